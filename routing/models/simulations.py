"""Days that were played through the live engine, as they were and otherwise, and what came of both."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models import User
from routing.choices import SimulationState
from routing.querysets import SimulationQuerySet


class Simulation(models.Model):
    """One comparison: which day, what was changed, how far it is, and the figures of both. Never changed when it is done."""

    title = models.CharField(max_length=120)
    asked = models.JSONField(help_text="The day and the changes, as they were asked for.")
    state = models.CharField(max_length=7, choices=SimulationState, default=SimulationState.WAITING)
    progress = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="Per cent.")
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    error = models.CharField(max_length=200, blank=True)
    result = models.JSONField(
        null=True, blank=True, help_text="Figures before and after: no words, nobody's work by name."
    )
    closed = models.BooleanField(default=False, help_text="Work of a closed team is in its figures.")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True, blank=True)

    objects = SimulationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=SimulationState.values), name="simulation_state"),
            models.CheckConstraint(condition=Q(progress__lte=100), name="simulation_progress"),
            models.CheckConstraint(
                condition=~Q(state="done") | Q(result__isnull=False, done_at__isnull=False),
                name="simulation_done_whole",
            ),
        ]
        indexes = [models.Index("id", name="simulation_promised", condition=Q(state="waiting"))]

    def __str__(self) -> str:
        return self.title
