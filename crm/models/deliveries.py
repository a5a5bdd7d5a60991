"""What arrived, raw, and changes that came before the thing they change."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.choices import DeliveryOutcome, DeliveryState, Event
from crm.models.channels import Channel
from crm.querysets import DeliveryQuerySet


class Delivery(models.Model):
    """One item as it came. The row is the promise that it will be handled."""

    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, related_name="deliveries", db_index=False, db_constraint=False
    )
    external_id = models.CharField(max_length=255)
    event = models.CharField(max_length=8, choices=Event, default=Event.CREATED)
    digest = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of an edit's canonical form, else empty."
    )
    raw = models.BinaryField()
    form = models.CharField(
        max_length=30,
        blank=True,
        help_text="The connector whose wire format it is; empty: the open format.",
        db_default="",
    )
    state = models.CharField(max_length=12, choices=DeliveryState, default=DeliveryState.QUEUED)
    outcome = models.CharField(max_length=8, choices=DeliveryOutcome, blank=True)
    copies = models.PositiveIntegerField(default=1, help_text="How often it came.")
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    interaction_id = models.BigIntegerField(null=True, blank=True)
    received_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "external_id", "event", "digest"], name="delivery_once"
            )
        ]
        indexes = [
            models.Index("id", name="delivery_open", condition=Q(state__in=["queued", "in_progress"])),
            models.Index("id", name="delivery_quarantined", condition=Q(state="quarantined")),
        ]

    def __str__(self) -> str:
        return f"{self.external_id} ({self.event})"


class AwaitedChange(models.Model):
    """An edit, deletion or repost whose item has not come yet; applied when it comes."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE)
    external_id = models.CharField(max_length=255)
    event = models.CharField(max_length=8)
    text = models.TextField(blank=True)
    at = models.DateTimeField(null=True)
    count = models.PositiveIntegerField(default=1)

    class Meta:
        indexes = [models.Index("channel", "external_id", name="awaited_item")]
