"""The durable problem, and the append-only lines of a customer's timeline."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now, Upper

from crm import sources
from crm.choices import LinkKind, TicketKind, TicketPriority, TicketStatus
from crm.models.channels import Brand
from crm.models.companies import Tag
from crm.models.customers import Customer
from crm.models.users import Team, User
from crm.querysets import TicketQuerySet


class Ticket(models.Model):
    """What is owed to a customer, across interactions. Its number can be read on the phone."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="tickets", db_index=False)
    brand = models.ForeignKey(
        Brand, on_delete=models.PROTECT, related_name="tickets", db_index=False, db_constraint=False
    )
    subject = models.CharField(max_length=200)
    status = models.CharField(max_length=20, choices=TicketStatus, default=TicketStatus.NEW)
    status_name = models.ForeignKey(
        "StatusName", null=True, blank=True, on_delete=models.PROTECT, db_index=False
    )
    kind = models.CharField(max_length=10, choices=TicketKind, blank=True, db_default="")
    topic = models.CharField(max_length=30, blank=True)
    priority = models.CharField(max_length=8, choices=TicketPriority, db_default=TicketPriority.NORMAL)
    priority_reason = models.CharField(max_length=200, blank=True, db_default="")
    team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, db_index=False, db_constraint=False
    )
    owner = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="tickets", db_index=False
    )
    continues = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    folded_into = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="folded", db_index=False
    )
    tags = models.ManyToManyField(Tag, blank=True, related_name="tickets")
    fields = models.JSONField(
        default=dict, blank=True, db_default={}, help_text="Fields of our own, by slug."
    )
    followers = models.ManyToManyField(User, blank=True, related_name="followed_tickets")
    snoozed_until = models.DateTimeField(null=True, blank=True)
    snoozed_for = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        help_text="It wakes when this one is over, if that comes before the time.",
    )
    promised_by = models.DateTimeField(null=True, blank=True)
    promise = models.TextField(blank=True)
    opened_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(null=True, blank=True, help_text="First response is due.")
    solved_at = models.DateTimeField(null=True, blank=True)
    reference = models.CharField(
        max_length=100, blank=True, db_default="", help_text="Its number in the system it was imported from."
    )
    # The clocks were replayed when the ticket stood so; the replay is due when it has moved since.
    clocked_at = models.DateTimeField(null=True, blank=True)
    next_due_at = models.DateTimeField(
        null=True, blank=True, help_text="The earliest open promise, by the clocks."
    )

    objects = TicketQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reference"], condition=~Q(reference=""), name="ticket_reference_once"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["solved", "closed"], solved_at__isnull=False)
                | (~Q(status__in=["solved", "closed"]) & Q(solved_at=None)),
                name="ticket_solved_at",
            ),
        ]
        indexes = [
            models.Index("customer", F("opened_at").desc(), name="ticket_of_customer"),
            models.Index(F("opened_at").desc(), F("id").desc(), name="ticket_newest"),
            models.Index("owner", name="ticket_owner", condition=Q(owner__isnull=False)),
            models.Index("continues", name="ticket_continues", condition=Q(continues__isnull=False)),
            models.Index("folded_into", name="ticket_folded", condition=Q(folded_into__isnull=False)),
            models.Index("status_name", name="ticket_status_name", condition=Q(status_name__isnull=False)),
            models.Index("due_at", "id", name="ticket_due"),
            models.Index("next_due_at", "id", name="ticket_next_due"),
            models.Index(
                "id", name="ticket_unclocked", condition=~Q(clocked_at=F("updated_at")) | Q(clocked_at=None)
            ),
            models.Index("promised_by", "id", name="ticket_promised", condition=Q(promised_by__isnull=False)),
            models.Index("id", name="ticket_incident", condition=Q(kind="incident")),
            models.Index("snoozed_for", name="ticket_snoozed_for", condition=Q(snoozed_for__isnull=False)),
            models.Index("snoozed_until", name="ticket_snoozed", condition=Q(snoozed_until__isnull=False)),
            GinIndex(OpClass(Upper("subject"), "gin_trgm_ops"), name="ticket_subject_parts"),
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.subject}"

    @property
    def number(self) -> int:
        """What people say on the phone."""
        return 1000 + self.pk


class StatusName(models.Model):
    """A name of our own for a status: what people choose; the status behind it is what rules and clocks know."""

    status = models.CharField(max_length=20, choices=TicketStatus)
    name = models.CharField(max_length=40, unique=True)
    place = models.PositiveSmallIntegerField(default=100)
    retired = models.BooleanField(default=False)

    class Meta:
        ordering = ["place", "id"]

    def __str__(self) -> str:
        return self.name


class PauseReason(models.Model):
    """A cause for which the clock of the solution may stand still. Once there is one, no other words pause a clock."""

    name = models.CharField(max_length=60, unique=True)
    place = models.PositiveSmallIntegerField(default=100)
    retired = models.BooleanField(default=False)

    class Meta:
        ordering = ["place", "id"]

    def __str__(self) -> str:
        return self.name


class TicketLink(models.Model):
    """Two tickets that belong together; `kind` reads from `ticket` to `other`."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="links")
    other = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="linked_from")
    kind = models.CharField(max_length=8, choices=LinkKind)
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ticket", "other", "kind"], name="ticket_link_once"),
            models.CheckConstraint(condition=~Q(ticket=F("other")), name="ticket_link_to_another"),
            models.UniqueConstraint(
                fields=["ticket"],
                condition=Q(kind="child"),
                name="ticket_one_parent",
                violation_error_code="one_parent",
            ),
        ]


class ChecklistItem(models.Model):
    """One thing to do on a ticket."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="checklist")
    place = models.PositiveSmallIntegerField(default=0)
    text = models.CharField(max_length=200)
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT)

    class Meta:
        ordering = ["place", "id"]

    def __str__(self) -> str:
        return self.text


class TicketMerge(models.Model):
    """One ticket made part of another by a person: what moved, so that it can be undone at any time."""

    survivor = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="merges")
    merged = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="merged_in")
    interaction_ids = models.JSONField(default=list)
    status = models.CharField(max_length=20, help_text="What the merged ticket was.")
    solved_at = models.DateTimeField(null=True)
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT)
    at = models.DateTimeField(db_default=Now())
    undone_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merged"], condition=Q(undone_at=None), name="ticket_merged_once"
            ),
        ]


class Activity(models.Model):
    """Who did what to whom, when: append-only."""

    at = models.DateTimeField(db_default=Now())
    actor = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT)
    verb = models.CharField(max_length=40)
    customer = models.ForeignKey(Customer, null=True, blank=True, on_delete=models.PROTECT)
    ticket = models.ForeignKey(Ticket, null=True, blank=True, on_delete=models.PROTECT)
    interaction_id = models.BigIntegerField(null=True, blank=True)
    data = models.JSONField(default=dict, blank=True)
    source = models.CharField(max_length=8, blank=True, default=sources.current, db_default=sources.HOUSE)
    # The chain (`crm/services/audit.py`); empty until the line is sealed.
    seq = models.BigIntegerField(null=True, unique=True)
    seal = models.CharField(max_length=128, blank=True, db_default="")

    class Meta:
        verbose_name_plural = "activities"
        indexes = [
            models.Index("id", name="activity_unsealed", condition=Q(seq=None)),
            models.Index("customer", F("at").desc(), name="activity_of_customer"),
            models.Index("ticket", F("at").desc(), name="activity_of_ticket"),
        ]


class AuditHead(models.Model):
    """Where the chain of the history ends, so that cutting off its end shows too: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField()
    seal = models.CharField(max_length=64)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="audit_one_head")]
