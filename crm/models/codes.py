"""Coded lists of wrap-up."""

from django.db import models

from crm.choices import CodeKind


class Code(models.Model):
    """A reason or an outcome. Retired, never deleted."""

    kind = models.CharField(max_length=8, choices=CodeKind)
    code = models.SlugField(max_length=40)
    label = models.CharField(max_length=100)
    retired = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "code"], name="code_once")]

    def __str__(self) -> str:
        return self.label
