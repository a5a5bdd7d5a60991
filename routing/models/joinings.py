"""A second person in the thread of work that somebody holds: asked for a word, to answer beside him, or to take it on."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.models import User
from routing.choices import JoiningKind
from routing.models.work_items import Assignment


class Joining(models.Model):
    """Asked, then in, then over. The hold keeps its one owner; a joining costs no units, its time is counted by itself."""

    assignment = models.ForeignKey(
        Assignment, on_delete=models.CASCADE, related_name="joinings", help_text="The owner's hold."
    )
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="joinings")
    by = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="+", db_index=False,
        help_text="Who asked him in; himself when he came by himself.",
    )  # fmt: skip
    kind = models.CharField(max_length=10, choices=JoiningKind)
    asked_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(help_text="Then nobody waits for his answer any more.")
    joined_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_why = models.CharField(max_length=100, blank=True, db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["assignment", "user"], condition=Q(ended_at=None), name="joining_once"
            ),
            models.UniqueConstraint(
                fields=["assignment"], condition=Q(ended_at=None, kind="warm"), name="joining_one_receiver"
            ),
            models.CheckConstraint(condition=Q(kind__in=JoiningKind.values), name="joining_kind"),
            models.CheckConstraint(
                condition=Q(joined_at=None) | Q(joined_at__gte=F("asked_at")), name="joining_in_after_asked"
            ),
        ]
        indexes = [models.Index("user", name="joining_open", condition=Q(ended_at=None))]

    def __str__(self) -> str:
        return f"{self.user} in {self.assignment_id}"

    @property
    def state(self) -> str:
        """`asked`, `joined` or `ended`."""
        if self.ended_at:
            return "ended"
        return "joined" if self.joined_at else "asked"

    @property
    def seconds(self) -> float | None:
        """How long he was in; None while he is, or when he never was."""
        if self.joined_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.joined_at).total_seconds()
