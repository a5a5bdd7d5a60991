"""The durable problem, and the append-only lines of a customer's timeline."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now, Upper

from crm.choices import TicketStatus
from crm.models.channels import Brand
from crm.models.customers import Customer
from crm.models.users import Team, User
from crm.querysets import TicketQuerySet


class Ticket(models.Model):
    """What is owed to a customer, across interactions. Its number can be read on the phone."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="tickets")
    brand = models.ForeignKey(Brand, on_delete=models.PROTECT, related_name="tickets")
    subject = models.CharField(max_length=200)
    status = models.CharField(max_length=20, choices=TicketStatus, default=TicketStatus.NEW)
    topic = models.CharField(max_length=30, blank=True)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT)
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="tickets")
    continues = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    folded_into = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="folded"
    )
    promised_by = models.DateTimeField(null=True, blank=True)
    promise = models.TextField(blank=True)
    opened_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(null=True, blank=True, help_text="First response is due.")
    solved_at = models.DateTimeField(null=True, blank=True)

    objects = TicketQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["solved", "closed"], solved_at__isnull=False)
                | (~Q(status__in=["solved", "closed"]) & Q(solved_at=None)),
                name="ticket_solved_at",
            )
        ]
        indexes = [
            models.Index("customer", F("opened_at").desc(), name="ticket_of_customer"),
            models.Index(F("opened_at").desc(), F("id").desc(), name="ticket_newest"),
            models.Index("owner", name="ticket_owner"),
            GinIndex(OpClass(Upper("subject"), "gin_trgm_ops"), name="ticket_subject_parts"),
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.subject}"

    @property
    def number(self) -> int:
        """What people say on the phone."""
        return 1000 + self.pk


class Activity(models.Model):
    """Who did what to whom, when: append-only."""

    at = models.DateTimeField(db_default=Now())
    actor = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT)
    verb = models.CharField(max_length=40)
    customer = models.ForeignKey(Customer, null=True, blank=True, on_delete=models.CASCADE)
    ticket = models.ForeignKey(Ticket, null=True, blank=True, on_delete=models.CASCADE)
    interaction_id = models.BigIntegerField(null=True, blank=True)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name_plural = "activities"
        indexes = [
            models.Index("customer", F("at").desc(), name="activity_of_customer"),
            models.Index("ticket", F("at").desc(), name="activity_of_ticket"),
        ]
