"""Who is called in a note, and what people are told of beside their work."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.choices import NoticeKind
from crm.models.interactions import Interaction
from crm.models.messages import Message
from crm.models.users import Team, User
from crm.querysets import NoticeQuerySet


class NoteMention(models.Model):
    """One person or team called in a note by its writer."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="called")
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(user=None, team__isnull=False) | Q(user__isnull=False, team=None),
                name="note_mention_of_one",
            ),
            models.UniqueConstraint(
                fields=["message", "user"], condition=Q(team=None), name="note_mention_user_once"
            ),
            models.UniqueConstraint(
                fields=["message", "team"], condition=Q(user=None), name="note_mention_team_once"
            ),
        ]


class Notice(models.Model):
    """Something a person should see. It holds no words: those are read where they stand, with the rights of the reader."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices", db_index=False)
    kind = models.CharField(max_length=8, choices=NoticeKind, default=NoticeKind.MENTION)
    interaction = models.ForeignKey(Interaction, on_delete=models.CASCADE, related_name="+")
    message = models.ForeignKey(
        Message, null=True, blank=True, on_delete=models.CASCADE, related_name="notices"
    )
    team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    at = models.DateTimeField(db_default=Now())
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "message"], name="notice_once")]
        indexes = [
            models.Index("user", F("id").desc(), name="notice_of_user"),
            models.Index("user", name="notice_unread", condition=Q(read_at=None)),
        ]
