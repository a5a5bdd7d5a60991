"""One contact on one channel from opening to close, and the ids that tie its thread together."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.choices import Audience, Family, InteractionStatus
from crm.models.channels import Channel
from crm.models.customers import Customer, Identity
from crm.models.tickets import Ticket
from crm.models.users import Team, User
from crm.querysets import InteractionQuerySet


class Interaction(models.Model):
    """The unit that is routed and measured: one customer, by one identity, in one thread of one channel."""

    # Each index and each check of a reference costs at every post: what a wider index covers, and what is asked of few rows
    # or never, has none of its own; settings (channel, team, brand, queue) are protected by Django, not checked at each row.
    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, related_name="interactions", db_index=False, db_constraint=False
    )
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="interactions", db_index=False
    )
    identity = models.ForeignKey(Identity, on_delete=models.PROTECT, related_name="interactions")
    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="interactions", db_index=False)
    thread = models.BigIntegerField(help_text="The number that all items of a thread share.")
    loose = models.BooleanField(
        default=False, help_text="The channel named no thread; joined by author and time."
    )
    family = models.CharField(max_length=8, choices=Family)
    audience = models.CharField(max_length=8, choices=Audience, default=Audience.PUBLIC)
    status = models.CharField(max_length=8, choices=InteractionStatus, default=InteractionStatus.OPEN)
    team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, db_index=False, db_constraint=False
    )
    assigned_to = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, db_index=False)
    training = models.BooleanField(
        default=False, db_default=False, help_text="Somebody in training had it: outside all figures."
    )
    folded_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, db_index=False)
    # What routing needs stands here, so that nothing else crosses between the apps above.
    language = models.CharField(max_length=8, blank=True)
    topic = models.CharField(max_length=30, blank=True)
    queue_hint = models.CharField(max_length=50, blank=True)
    required_skills = models.JSONField(default=list, blank=True)
    priority_parts = models.JSONField(default=dict, blank=True)
    judgement = models.JSONField(default=dict, blank=True)
    sentiment = models.FloatField(null=True, blank=True)
    reach = models.BigIntegerField(null=True, blank=True)
    customer_value = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    opened_at = models.DateTimeField(db_default=Now())
    received_at = models.DateTimeField(help_text="When the first delivery arrived; targets run from here.")
    first_message_at = models.DateTimeField(help_text="The network's own time.")
    last_message_at = models.DateTimeField()
    waiting_since = models.DateTimeField(
        null=True, blank=True, help_text="Oldest unanswered customer message."
    )
    first_response_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=40, blank=True)
    outcome = models.CharField(max_length=40, blank=True)

    objects = InteractionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["thread", "identity", "audience"],
                condition=Q(folded_into=None),
                name="interaction_once",
            ),
            models.CheckConstraint(
                condition=Q(status="open", closed_at=None) | Q(status="closed", closed_at__isnull=False),
                name="interaction_closed_at",
            ),
        ]
        indexes = [
            models.Index("customer", F("last_message_at").desc(), name="interaction_of_customer"),
            models.Index("thread", name="interaction_thread"),
            models.Index("ticket", name="interaction_ticket"),
            models.Index(F("last_message_at").desc(), F("id").desc(), name="interaction_newest"),
            models.Index("assigned_to", name="interaction_held", condition=Q(assigned_to__isnull=False)),
            models.Index("folded_into", name="interaction_folded", condition=Q(folded_into__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"Interaction {self.pk}"


class ThreadRef(models.Model):
    """An id of an item or a conversation on a channel, and the thread it belongs to."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, db_index=False, db_constraint=False)
    external_id = models.CharField(
        max_length=257, help_text="`i:` and an item's id, or `c:` and a conversation's."
    )
    thread = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "external_id"], name="thread_ref_once")]
        indexes = [models.Index("thread", name="thread_ref_thread")]
