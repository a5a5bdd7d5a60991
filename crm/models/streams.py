"""What a desk, a thread and the event feed were told, numbered without gaps."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Stream(models.Model):
    """A numbered line of events, named by person or subject: `desk:5`, `interaction:17`, `events`."""

    name = models.CharField(max_length=60, primary_key=True)
    seq = models.BigIntegerField(default=0)


class LiveEvent(models.Model):
    """One thing that was told. `seq` is empty while an event of the feed waits to be numbered."""

    stream = models.CharField(max_length=60)
    seq = models.BigIntegerField(null=True)
    type = models.CharField(max_length=40)
    data = models.JSONField(default=dict)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["stream", "seq"], name="live_event_dense")]
        indexes = [
            models.Index("id", name="live_event_unnumbered", condition=Q(seq=None)),
            models.Index("at", name="live_event_age"),
        ]
