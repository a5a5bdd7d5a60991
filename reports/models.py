"""What the mirror keeps of its own."""

from django.db import models


class Board(models.Model):
    """A supervisors' board over some channel families; empty means all."""

    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=100)
    families = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return self.title
