"""Views of lists that people keep, for themselves or for others."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.choices import Sharing
from crm.models.users import Team, User
from crm.querysets import SavedViewQuerySet


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
