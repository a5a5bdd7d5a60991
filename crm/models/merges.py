"""Two customers who were found to be one person, and what moved, so that it can be undone at any time."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.models.customers import Customer
from crm.models.users import User
from crm.querysets import CustomerQuerySet


class Merge(models.Model):
    """One customer made part of another. Both rows stay; the merged one is empty until the merge is undone."""

    survivor = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="merges")
    merged = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="merged_in")
    fields = models.JSONField(
        default=dict, blank=True, help_text="The survivor's fields that changed: {name: [before, after]}."
    )
    score = models.FloatField(
        null=True, blank=True, help_text="How sure the matching was; empty: it was not asked."
    )
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())
    undone_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(survivor=F("merged")), name="merge_of_two"),
            models.UniqueConstraint(fields=["merged"], condition=Q(undone_at=None), name="merge_once"),
        ]

    def __str__(self) -> str:
        return f"{self.merged_id} into {self.survivor_id}"


class Apart(models.Model):
    """Two customers of whom somebody said that they are not one person: they are not suggested any more."""

    one = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="+")
    other = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="+")
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "not the same person"
        verbose_name_plural = "not the same person"
        constraints = [models.UniqueConstraint(fields=["one", "other"], name="apart_once")]


class MergeRule(models.Model):
    """From which certainty on new customers are merged into known ones by themselves: one row, once the owner has said so."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    percent = models.PositiveSmallIntegerField(help_text="0: never.")
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="merge_rule_one"),
            models.CheckConstraint(
                condition=Q(percent=0) | Q(percent__range=(50, 100)), name="merge_rule_percent"
            ),
        ]


class MovedRow(models.Model):
    """A row that belonged to the merged customer, by its table and id."""

    merge = models.ForeignKey(Merge, on_delete=models.CASCADE, related_name="moved")
    table = models.CharField(max_length=63)
    row_id = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merge", "table", "row_id"], name="moved_row_once")]
