"""Calls as the telephone told of them, whatever the order in which it did."""

from django.db import models
from django.db.models import Q

from crm.models import Interaction


class Call(models.Model):
    """One call within a contact: who calls five times has one contact with five of these."""

    interaction = models.ForeignKey(
        Interaction, on_delete=models.CASCADE, related_name="calls", db_index=False
    )
    external_id = models.CharField(max_length=255)
    rang_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    voicemail = models.BooleanField(default=False, help_text="The caller left a message.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["interaction", "external_id"], name="call_once"),
            models.CheckConstraint(condition=~Q(external_id=""), name="call_named"),
        ]

    def __str__(self) -> str:
        return self.external_id
