"""Files that came in and lists that left: each row of an import with what it became, so that it can be undone."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.choices import ExportFormat, ExportState, ImportNoun, ImportState, RowOutcome
from crm.models.users import Team, User
from crm.querysets import ExportQuerySet, ImportQuerySet


class Import(models.Model):
    """A file of customers or of what is theirs: kept whole at its upload, mapped, checked, read in, and undone as a whole."""

    name = models.CharField(max_length=200, help_text="Of the file.")
    noun = models.CharField(
        max_length=10, choices=ImportNoun, db_default=ImportNoun.CUSTOMERS, default=ImportNoun.CUSTOMERS
    )
    state = models.CharField(max_length=8, choices=ImportState, default=ImportState.OPEN)
    headers = models.JSONField(default=list)
    mapping = models.JSONField(
        default=list, help_text="What each column is (`crm/columns.py`); empty: left out."
    )
    region = models.CharField(
        max_length=2, blank=True, help_text="Country of telephone numbers that name none, such as DE."
    )
    total = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict, help_text="Rows by outcome, of the last pass.")
    kept = models.JSONField(default=dict, help_text="What an undo left because it is used: {noun: [names]}.")
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())
    started_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    done_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)

    objects = ImportQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                "id", name="import_promised", condition=Q(state__in=["checking", "running", "undoing"])
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def passed(self) -> int:
        """Rows that the pass at hand has dealt with."""
        return sum(self.counts.values())


class ImportRow(models.Model):
    """One row of the file. `waiting` is the promise that the pass at hand will deal with it."""

    of = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="rows", db_index=False)
    line = models.PositiveIntegerField(help_text="Where it begins in the file.")
    cells = models.JSONField()
    problem = models.CharField(
        max_length=500, blank=True, db_default="", help_text="Why the file's row cannot be read at all."
    )
    waiting = models.BooleanField(default=True)
    outcome = models.CharField(max_length=9, choices=RowOutcome, blank=True, db_default="")
    report = models.TextField(blank=True, db_default="", help_text="What was done, or why not.")
    # An id and no key: merges leave it alone, and an undo deletes what it points to.
    customer_id = models.BigIntegerField(null=True)
    did = models.JSONField(default=dict, db_default={}, help_text="What was made and changed, for the undo.")
    digest = models.CharField(
        max_length=32, blank=True, db_default="", help_text="Of a row without an address, to know it again."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["of", "line"], name="import_row_once")]
        indexes = [
            models.Index("of", "line", name="import_row_waiting", condition=Q(waiting=True)),
            models.Index("of", "outcome", "line", name="import_row_outcome"),
            models.Index("customer_id", name="import_row_customer", condition=Q(customer_id__isnull=False)),
            models.Index("digest", name="import_row_digest", condition=~Q(digest="")),
        ]


class ImportMade(models.Model):
    """What an import made beside customers: a company, a tag, a word of names."""

    of = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="made")
    noun = models.CharField(max_length=8)
    row_id = models.BigIntegerField(null=True)
    name = models.CharField(max_length=200)


class Export(models.Model):
    """A list that somebody asked for as a file: which rows, in which form, and until when it lies in the home."""

    noun = models.CharField(max_length=20)
    form = models.CharField(max_length=5, choices=ExportFormat)
    query = models.JSONField(default=dict, help_text="The list's filters, by name.")
    state = models.CharField(max_length=7, choices=ExportState, default=ExportState.WAITING)
    rows = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    # What the asker could see then: another role or team must ask again.
    role = models.CharField(max_length=16)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    reach = models.JSONField(default=dict, db_default={})
    at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True, blank=True)

    objects = ExportQuerySet.as_manager()

    class Meta:
        indexes = [models.Index("id", name="export_promised", condition=Q(state="waiting"))]

    def __str__(self) -> str:
        return f"{self.noun} {self.pk}"
