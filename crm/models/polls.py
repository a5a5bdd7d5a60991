"""What we fetch ourselves: where we are at each channel, how it goes, and what it cost by day."""

from django.db import models
from django.db.models.functions import Now

from crm.models.channels import Channel


class Poll(models.Model):
    """A channel that is asked for what is new. The row with its due time is the promise that it will be."""

    channel = models.OneToOneField(Channel, on_delete=models.CASCADE, primary_key=True, related_name="poll")
    is_on = models.BooleanField(default=False, help_text="Whether it is fetched.")
    every = models.PositiveIntegerField(default=30, help_text="Seconds between two looks.")
    cursor = models.JSONField(default=dict, blank=True, help_text="Where the next look begins.")
    turn = models.PositiveBigIntegerField(
        default=0, help_text="Counted up by whoever fetches: who finds another number has lost his turn."
    )
    due_at = models.DateTimeField(db_default=Now())
    fetched_at = models.DateTimeField(null=True, blank=True, help_text="The last look that went well.")
    last_in_at = models.DateTimeField(
        null=True, blank=True, help_text="The last look that brought something."
    )
    failing_since = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    error = models.TextField(blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Of our key there, where it is known.")
    day_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Units of the network's quota a day; none: as many as we like."
    )
    reserve = models.PositiveIntegerField(default=0, help_text="Units of it that are kept for answers.")

    class Meta:
        indexes = [
            models.Index("due_at", name="poll_due", condition=models.Q(is_on=True)),
        ]

    def __str__(self) -> str:
        return str(self.channel)


class PollDay(models.Model):
    """What one day of a channel brought and cost; days are UTC, as the networks count their quotas."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="days", db_index=False)
    day = models.DateField()
    looks = models.PositiveIntegerField(default=0)
    units = models.PositiveIntegerField(default=0, help_text="Of the network's quota.")
    fetched = models.PositiveIntegerField(default=0, help_text="Items, those that we had included.")
    fresh = models.PositiveIntegerField(default=0, help_text="Items that were new.")
    failed = models.PositiveIntegerField(default=0, help_text="Looks that failed.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "day"], name="poll_day_once")]

    def __str__(self) -> str:
        return f"{self.channel_id} {self.day}"
