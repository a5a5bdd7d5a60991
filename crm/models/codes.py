"""Coded lists of wrap-up."""

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from crm.choices import CodeKind
from crm.models.channels import Brand

DEEPEST = 3


class Code(models.Model):
    """A reason or an outcome, at most three levels deep. Retired, never deleted; one that has codes below is a heading."""

    kind = models.CharField(max_length=8, choices=CodeKind)
    code = models.SlugField(max_length=40)
    label = models.CharField(max_length=100)
    brand = models.ForeignKey(
        Brand,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="codes",
        help_text="Only for contacts of this brand; empty: of all.",
    )
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="below",
        help_text="The heading it stands under; at most three levels.",
    )
    level = models.PositiveSmallIntegerField(default=1, db_default=1, editable=False)
    retired = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "code"], name="code_once"),
            models.CheckConstraint(
                condition=Q(parent=None, level=1) | Q(parent__isnull=False, level__gte=2, level__lte=DEEPEST),
                name="code_levels",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    def clean(self) -> None:
        """A heading is of the same list, of this brand or of all, and not too deep."""
        above = self.parent
        if above is None:
            return
        if above.kind != self.kind:
            raise ValidationError({"parent": "is of the other list"})
        if above.brand_id not in (None, self.brand_id):
            raise ValidationError({"parent": "is another brand's"})
        if above.level >= DEEPEST:
            raise ValidationError({"parent": f"would be deeper than {DEEPEST} levels"})

    def save(self, *args: object, **kwargs: object) -> None:
        """Keep its level with its heading's."""
        self.level = self.parent.level + 1 if self.parent else 1
        super().save(*args, **kwargs)
