"""What was said before this house kept it: read from a file, shown on the timeline, counted nowhere."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.choices import Audience, ChannelKind, Direction
from crm.models.customers import Customer
from crm.models.tickets import Ticket
from crm.querysets import PastMessageQuerySet


class PastMessage(models.Model):
    """One utterance of the past. It belongs to no contact, so no queue, clock or figure knows of it."""

    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="past_messages", db_index=False
    )
    ticket = models.ForeignKey(
        Ticket, null=True, blank=True, on_delete=models.SET_NULL, related_name="past_messages", db_index=False
    )
    kind = models.CharField(max_length=12, choices=ChannelKind)
    audience = models.CharField(max_length=8, choices=Audience)
    direction = models.CharField(max_length=8, choices=Direction)
    at = models.DateTimeField()
    title = models.CharField(max_length=200, blank=True)
    text = models.TextField()
    author_name = models.CharField(max_length=100, blank=True, help_text="Who of us.")
    reference = models.CharField(max_length=100, blank=True, help_text="Its id in the former system.")
    digest = models.CharField(max_length=32, unique=True, help_text="To know it again.")
    created_at = models.DateTimeField(db_default=Now())

    objects = PastMessageQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index("customer", F("at").desc(), name="past_message_of_customer"),
            models.Index("ticket", name="past_message_of_ticket", condition=Q(ticket__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.text[:60]
