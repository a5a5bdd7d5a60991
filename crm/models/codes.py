"""Coded lists of wrap-up, and macros."""

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


class Macro(models.Model):
    """A canned reply."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    language = models.CharField(max_length=8, default="en")
    text = models.TextField()

    def __str__(self) -> str:
        return self.name
