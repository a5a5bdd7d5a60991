"""What is promised: business calendars, policies, and the clocks of tickets that follow from them."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from crm.choices import ChannelKind, ClockKind, ClockState, TicketPriority
from crm.models.channels import Brand
from crm.models.customers import Customer
from crm.models.tickets import Ticket


class BusinessCalendar(models.Model):
    """When we work: spans of a week in a zone. Dates that differ are holidays."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    zone = models.CharField(
        max_length=64, default="UTC", help_text="Of the tz database, for example Europe/Berlin."
    )
    week = models.JSONField(
        default=dict,
        help_text='Spans by weekday, "0" is Monday: {"0": [["09:00", "12:00"], ["13:00", "17:00"]], …}.',
    )

    def __str__(self) -> str:
        return self.name


class Holiday(models.Model):
    """A date with spans of its own, perhaps none."""

    calendar = models.ForeignKey(BusinessCalendar, on_delete=models.CASCADE, related_name="holidays")
    day = models.DateField()
    name = models.CharField(max_length=100, blank=True)
    spans = models.JSONField(
        default=list, blank=True, help_text='As in the week: [["09:00", "12:00"]]; empty is closed.'
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["calendar", "day"], name="holiday_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.name}"


class SlaPolicy(models.Model):
    """Promised times. The first policy in order whose conditions a ticket meets is its own; an empty condition is met."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    place = models.PositiveSmallIntegerField(default=100, help_text="The lowest that fits is used.")
    is_active = models.BooleanField(default=True)
    brand = models.ForeignKey(Brand, null=True, blank=True, on_delete=models.CASCADE)
    channel_kind = models.CharField(max_length=12, choices=ChannelKind, blank=True)
    priority = models.CharField(max_length=8, choices=TicketPriority, blank=True)
    customer = models.ForeignKey(Customer, null=True, blank=True, on_delete=models.CASCADE)
    vip_only = models.BooleanField(default=False)
    calendar = models.ForeignKey(
        BusinessCalendar,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        help_text="Without one all time counts.",
    )
    first_response = models.PositiveIntegerField(
        null=True, blank=True, help_text="Minutes; empty is no promise."
    )
    next_response = models.PositiveIntegerField(
        null=True, blank=True, help_text="Minutes; empty is no promise."
    )
    resolution = models.PositiveIntegerField(null=True, blank=True, help_text="Minutes; empty is no promise.")
    warn_percent = models.PositiveSmallIntegerField(
        default=80,
        validators=[MinValueValidator(1), MaxValueValidator(99)],
        help_text="Of the time used when the owner is warned.",
    )
    pauses_for_customer = models.BooleanField(
        default=True, help_text="The resolution waits while the customer has the word."
    )

    class Meta:
        verbose_name = "SLA policy"
        verbose_name_plural = "SLA policies"
        ordering = ["place", "id"]

    def __str__(self) -> str:
        return self.name


class TicketClock(models.Model):
    """One promise of one ticket as last replayed: its lines and the deadline that follows."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="clocks")
    policy = models.ForeignKey(SlaPolicy, null=True, on_delete=models.SET_NULL)
    kind = models.CharField(max_length=16, choices=ClockKind)
    state = models.CharField(max_length=8, choices=ClockState)
    started_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    warn_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)
    lines = models.JSONField(default=list, help_text="[[instant, act, cause], …]")
    warned_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True, help_text="When the breach was told.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ticket", "kind", "started_at"], name="ticket_clock_once")
        ]
        indexes = [
            models.Index("due_at", name="clock_running", condition=Q(state="running")),
        ]
