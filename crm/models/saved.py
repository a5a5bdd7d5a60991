"""Views of lists that people keep, and edits of many rows at once, each with what it was before."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.choices import BulkOutcome, BulkState, Sharing
from crm.models.users import Team, User
from crm.querysets import BulkQuerySet, SavedViewQuerySet


class SavedView(models.Model):
    """Conditions, columns and order of a list under a name. What it shows is what its reader may see, whoever made it."""

    noun = models.CharField(max_length=20)
    name = models.CharField(max_length=60)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="views")
    sharing = models.CharField(max_length=9, choices=Sharing, default=Sharing.PRIVATE)
    team = models.ForeignKey(
        Team,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Whose members see it.",
    )
    columns = models.JSONField(default=list, help_text="Names, in their order; none: the usual ones.")
    where = models.JSONField(default=dict, help_text="Conditions (`crm/conditions.py`).")
    ordering = models.CharField(max_length=40, blank=True)
    place = models.PositiveSmallIntegerField(default=100)
    created_at = models.DateTimeField(db_default=Now())

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "noun", "name"], name="saved_view_once"),
            models.CheckConstraint(
                condition=Q(sharing="team", team__isnull=False) | ~Q(sharing="team"), name="saved_view_team"
            ),
        ]
        indexes = [models.Index("noun", "sharing", name="saved_view_noun")]

    def __str__(self) -> str:
        return self.name


class Bulk(models.Model):
    """One edit of many rows of a list: chosen, previewed, made, and undone as a whole."""

    noun = models.CharField(max_length=20)
    change = models.JSONField(help_text="New values by column; `add_tags` and `remove_tags` by slug.")
    state = models.CharField(max_length=8, choices=BulkState, default=BulkState.OPEN)
    total = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict, help_text="Rows by outcome, of the last pass.")
    asked = models.JSONField(
        default=dict, help_text="How the rows were chosen: the list's filters, or by hand."
    )
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=8, help_text="By which door it was asked for.")
    at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)

    objects = BulkQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index("id", name="bulk_promised", condition=Q(state__in=["running", "undoing"])),
            models.Index("by", "id", name="bulk_of_person"),
        ]

    def __str__(self) -> str:
        return f"{self.noun} {self.pk}"

    @property
    def passed(self) -> int:
        """Rows that the pass at hand has dealt with."""
        return sum(self.counts.values())


class BulkRow(models.Model):
    """One row of such an edit. `waiting` is the promise that the pass at hand will deal with it."""

    of = models.ForeignKey(Bulk, on_delete=models.CASCADE, related_name="rows", db_index=False)
    row_id = models.BigIntegerField()
    waiting = models.BooleanField(default=True)
    outcome = models.CharField(max_length=9, choices=BulkOutcome, blank=True, db_default="")
    reason = models.CharField(max_length=300, blank=True, db_default="")
    before = models.JSONField(default=dict, db_default={}, help_text="What was changed, as it was.")
    after = models.JSONField(default=dict, db_default={}, help_text="The same as it was left.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["of", "row_id"], name="bulk_row_once")]
        indexes = [
            models.Index("of", "row_id", name="bulk_row_waiting", condition=Q(waiting=True)),
            models.Index("of", "outcome", "row_id", name="bulk_row_outcome"),
            models.Index("row_id", name="bulk_row_of_row"),  # for who is erased
        ]
