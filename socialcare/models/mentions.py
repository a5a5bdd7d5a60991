"""Public posts that name or address the brand."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.choices import ChannelKind, Verdict
from crm.models import Channel, Customer, Identity, User
from socialcare.choices import MentionStatus
from socialcare.querysets import MentionQuerySet


class Mention(models.Model):
    """One public post, however many channels saw it, with our first judgement and the people's corrections."""

    network = models.CharField(max_length=12, choices=ChannelKind)
    external_id = models.CharField(max_length=255)
    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, related_name="mentions", db_index=False, db_constraint=False
    )
    identity = models.ForeignKey(Identity, on_delete=models.PROTECT, related_name="mentions")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="mentions", db_index=False)
    interaction_id = models.BigIntegerField(null=True, blank=True)
    thread = models.BigIntegerField()
    text = models.TextField(blank=True)
    permalink = models.TextField(blank=True)
    language = models.CharField(max_length=8, blank=True)
    sentiment = models.FloatField(null=True, blank=True)
    sentiment_words = models.JSONField(default=list, blank=True)
    topic = models.CharField(max_length=30, blank=True)
    actionable = models.BooleanField(default=False)
    verdict = models.CharField(max_length=16, choices=Verdict)
    status = models.CharField(max_length=8, choices=MentionStatus, default=MentionStatus.TRIAGED)
    judgement = models.JSONField(
        default=dict, blank=True, help_text="What triage said and why; corrections beside it."
    )
    corrections = models.JSONField(default=dict, blank=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, db_index=False)
    decided_at = models.DateTimeField(null=True, blank=True)
    likes = models.BigIntegerField(default=0)
    reposts = models.BigIntegerField(default=0)
    followers = models.BigIntegerField(null=True, blank=True)
    posted_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = MentionQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["network", "external_id"], name="mention_once")]
        indexes = [
            models.Index(F("received_at").desc(), F("id").desc(), name="mention_newest"),
            models.Index(
                F("posted_at").desc(), F("id").desc(), name="mention_posted"
            ),  # the other order of the list
            models.Index("thread", name="mention_thread"),
            models.Index("decided_by", name="mention_decided", condition=Q(decided_by__isnull=False)),
            models.Index("customer", F("posted_at").desc(), name="mention_of_customer"),
        ]

    def __str__(self) -> str:
        return self.text[:60]


class MentionSource(models.Model):
    """A channel through which a mention came, beside the one with which it is stored."""

    mention = models.ForeignKey(Mention, on_delete=models.CASCADE, related_name="sources", db_index=False)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, db_index=False, db_constraint=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mention", "channel"], name="mention_source_once")]
