"""Work items, the agents' holds on them, and what the conveyor needs to lead."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.choices import Family
from crm.models import Interaction, Ticket, User
from routing.choices import AssignmentStatus, WorkItemStatus, WorkKind
from routing.models.agents import Agent
from routing.models.queues import Queue
from routing.querysets import WorkItemQuerySet


class WorkItem(models.Model):
    """One interaction or ticket waiting for or being handled by an agent."""

    interaction = models.ForeignKey(
        Interaction, null=True, blank=True, on_delete=models.CASCADE, related_name="work_items"
    )
    ticket = models.ForeignKey(
        Ticket, null=True, blank=True, on_delete=models.CASCADE, related_name="work_items", db_index=False
    )
    kind = models.CharField(max_length=9, choices=WorkKind, blank=True, default="", db_default="")
    queue = models.ForeignKey(
        Queue, on_delete=models.PROTECT, related_name="work_items", db_index=False, db_constraint=False
    )
    status = models.CharField(max_length=9, choices=WorkItemStatus, default=WorkItemStatus.WAITING)
    family = models.CharField(max_length=8, choices=Family)
    units = models.PositiveSmallIntegerField()
    required_skills = models.JSONField(default=dict, blank=True, help_text="Skill code to lowest level.")
    language = models.CharField(max_length=8, blank=True)
    priority_parts = models.JSONField(default=dict, blank=True)
    customer_id = models.BigIntegerField(null=True)
    preferred_agent = models.ForeignKey(
        Agent, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    preferred_until = models.DateTimeField(null=True, blank=True)
    refused_by = models.JSONField(default=list, blank=True, help_text="Agents who declined or missed it.")
    sent_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False,
        help_text="Who handed it on and hears of a refusal.",
    )  # fmt: skip
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="A booked time, until which nobody is offered it."
    )
    attempts = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="How often the caller was not reached."
    )
    transfers = models.PositiveSmallIntegerField(default=0, db_default=0)
    queued_at = models.DateTimeField(help_text="When the customer began to wait; kept through every return.")
    deadline = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    entered_at = models.DateTimeField(
        null=True, blank=True, help_text="When it came into this queue, if that was not its first."
    )
    been_in = models.JSONField(null=True, blank=True, help_text="Queues it overflowed from.")
    accepted_at = models.DateTimeField(null=True, blank=True, help_text="First accept; the wait ends here.")
    done_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=40, blank=True)
    outcome = models.CharField(max_length=40, blank=True)

    objects = WorkItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(interaction=None, ticket__isnull=False)
                | Q(interaction__isnull=False, ticket=None),
                name="work_item_one_subject",
            ),
            models.UniqueConstraint(
                fields=["interaction"],
                condition=Q(status__in=["waiting", "offered", "assigned"]),
                name="work_item_one_open",
            ),
            models.CheckConstraint(condition=Q(kind__in=["", *WorkKind.values]), name="work_item_kind"),
            models.CheckConstraint(
                condition=Q(not_before=None) | ~Q(kind=""), name="work_item_booked_is_owed"
            ),
        ]
        indexes = [
            models.Index("queue", "deadline", name="work_item_waiting", condition=Q(status="waiting")),
            models.Index("customer_id", name="work_item_held", condition=Q(status="assigned")),
            models.Index(
                "status", "queue", name="work_item_live", condition=~Q(status__in=["done", "withdrawn"])
            ),
            models.Index("accepted_at", name="work_item_accepted", condition=Q(accepted_at__isnull=False)),
            models.Index("ticket", name="work_item_of_ticket", condition=Q(ticket__isnull=False)),
            models.Index("customer_id", name="work_item_owed", condition=~Q(kind="") & Q(status="waiting")),
            models.Index(
                "preferred_agent", name="work_item_preferred", condition=Q(preferred_agent__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"Work item {self.pk}"


class Assignment(models.Model):
    """One agent's hold of one work item, from offer to end, with the explanation of the choice."""

    work_item = models.ForeignKey(WorkItem, on_delete=models.CASCADE, related_name="assignments")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="assignments")
    status = models.CharField(max_length=11, choices=AssignmentStatus, default=AssignmentStatus.OFFERED)
    units = models.PositiveSmallIntegerField()
    score = models.FloatField(default=0)
    explanation = models.JSONField(default=dict, blank=True)
    step = models.CharField(max_length=60, null=True, blank=True, help_text="Step of widening that served.")
    passed_over = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Where agents choose: how many he could have taken stood before it."
    )
    offered_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    wrap_up_at = models.DateTimeField(null=True, blank=True, help_text="Live work was over; codes are due.")
    wrap_up_until = models.DateTimeField(null=True, blank=True, help_text="Then it is saved as not coded.")
    wrap_up_extended = models.BooleanField(default=False, db_default=False)
    # Parked work costs its owner nothing: its units are nought until it comes back (`practice.md` 2.3).
    parked_at = models.DateTimeField(null=True, blank=True)
    parked_until = models.DateTimeField(null=True, blank=True, help_text="Empty: until the customer writes.")
    answered_at = models.DateTimeField(
        null=True, blank=True, help_text="The customer wrote while it was parked."
    )
    interrupted_at = models.DateTimeField(
        null=True, blank=True, help_text="A call took its owner away; it comes back as soon as he is free."
    )
    in_hand_at = models.DateTimeField(null=True, blank=True, help_text="When it came back from aside.")
    ended_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["work_item"],
                condition=Q(status__in=["offered", "accepted"]),
                name="assignment_one_live",
            ),
            models.CheckConstraint(
                condition=Q(accepted_at=None) | Q(accepted_at__gte=F("offered_at")),
                name="assignment_accepted_after",
            ),
            models.CheckConstraint(
                condition=Q(wrap_up_until=None) | Q(wrap_up_at__isnull=False), name="assignment_wrap_up_whole"
            ),
            models.CheckConstraint(
                condition=Q(parked_at=None, parked_until=None, answered_at=None)
                | Q(parked_at__isnull=False, units=0),
                name="assignment_parked_is_free",
            ),
            models.CheckConstraint(
                condition=Q(interrupted_at=None) | Q(parked_at__isnull=False),
                name="assignment_interrupted_aside",
            ),
        ]
        indexes = [
            models.Index("expires_at", name="assignment_expiring", condition=Q(status="offered")),
            models.Index(
                "agent", name="assignment_of_agent", condition=Q(status__in=["offered", "accepted"])
            ),
            models.Index(
                "work_item",
                name="assignment_parked",
                condition=Q(status="accepted", parked_at__isnull=False),
            ),
            models.Index(
                "wrap_up_until",
                name="assignment_wrapping",
                condition=Q(status="accepted", wrap_up_until__isnull=False),
            ),
        ]


class Change(models.Model):
    """Tells the conveyor which work item or agent to read again. Written with the change, deleted when read."""

    work_item_id = models.BigIntegerField(null=True)
    agent_id = models.BigIntegerField(null=True)


class Leader(models.Model):
    """Who leads, and when he was last alive by the database's clock."""

    name = models.CharField(max_length=20, primary_key=True)
    backend_pid = models.IntegerField()
    beat_at = models.DateTimeField(db_default=Now())


class Standing(models.Model):
    """What the leading router believes at this moment, for everybody else: one row, written when it changes."""

    told_at = models.DateTimeField(db_default=Now())
    said = models.JSONField(default=dict)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="standing_one_row")]
