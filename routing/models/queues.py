"""Work items waiting under one set of rules."""

from django.db import models

from crm.choices import Family
from crm.models import Team


def default_targets() -> dict:
    """Seconds to the first answer by channel family."""
    return {
        Family.VOICE: 20,
        Family.CHAT: 30,
        Family.MESSAGE: 900,
        Family.SOCIAL: 3600,
        Family.MAIL: 14400,
    }


class Queue(models.Model):
    """One line of the universal queue, with its owner and its service target."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="queues", help_text="Who answers for it."
    )
    topics = models.JSONField(default=list, blank=True, help_text="Topic codes that lead here.")
    targets = models.JSONField(
        default=default_targets, help_text="Seconds to the first answer, by channel family."
    )
    goal = models.FloatField(default=0.9, help_text="Share to be answered within the target.")
    is_fallback = models.BooleanField(default=False, help_text="Takes what no other queue claims.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_fallback"], condition=models.Q(is_fallback=True), name="queue_one_fallback"
            )
        ]

    def __str__(self) -> str:
        return self.name
