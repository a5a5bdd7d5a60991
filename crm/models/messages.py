"""One utterance in an interaction: received, sent, or a note."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Left, Now

from crm.choices import Audience, Direction, MessageState
from crm.models.channels import Channel
from crm.models.customers import Identity
from crm.models.interactions import Interaction
from crm.models.users import User
from crm.querysets import MessageQuerySet


class Message(models.Model):
    """What was said. `interaction` is empty only for our own posts in threads that no customer has opened yet."""

    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, related_name="messages", db_index=False, db_constraint=False
    )
    interaction = models.ForeignKey(
        Interaction, null=True, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    thread = models.BigIntegerField(null=True)
    external_id = models.CharField(max_length=255, null=True, blank=True)
    direction = models.CharField(max_length=8, choices=Direction)
    audience = models.CharField(max_length=8, choices=Audience)
    state = models.CharField(max_length=17, choices=MessageState, default=MessageState.RECEIVED)
    author = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, db_index=False)
    identity = models.ForeignKey(Identity, null=True, blank=True, on_delete=models.PROTECT)
    author_name = models.TextField(blank=True)
    title = models.TextField(blank=True)
    text = models.TextField(blank=True)
    media = models.JSONField(default=list, blank=True)
    versions = models.JSONField(default=list, blank=True, help_text="Earlier texts with their times.")
    courtesy = models.BooleanField(default=False)
    sentiment = models.FloatField(null=True, blank=True)
    sentiment_words = models.JSONField(default=list, blank=True)
    in_reply_to = models.CharField(max_length=255, blank=True)
    idempotency_key = models.CharField(max_length=64, null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    at = models.DateTimeField(help_text="The network's own time; for ours the time of writing.")
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(null=True, blank=True, help_text="Next try to send.")
    sent_at = models.DateTimeField(null=True, blank=True)
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel", "external_id"], name="message_once"),
            models.UniqueConstraint(
                fields=["idempotency_key"],
                name="message_said_once",
                condition=Q(idempotency_key__isnull=False),
            ),
        ]
        indexes = [
            models.Index("interaction", F("at").desc(), F("id").desc(), name="message_of_interaction"),
            models.Index("author", name="message_by", condition=Q(author__isnull=False)),
            # For the timeline: a note on an old contact is found without reading all that was said there.
            models.Index("interaction", F("at").desc(), name="message_note", condition=Q(direction="note")),
            models.Index("thread", name="message_adrift", condition=Q(interaction=None)),
            # A tsvector has a size limit: of a very long text the beginning is found.
            GinIndex(SearchVector(Left("text", 50_000), config="simple"), name="message_words"),
            models.Index(
                "due_at", name="message_leaving", condition=Q(state__in=["queued", "sending", "unknown"])
            ),
        ]

    def __str__(self) -> str:
        return self.text[:60]
