"""Reads of the distributor in the field's words."""

from typing import Any

from django.db import models

from crm.access import Permission, may, sees_everything, work_filter


class WorkItemQuerySet(models.QuerySet):
    """Work is seen by who may see its interaction."""

    def visible_to(self, user: Any) -> "WorkItemQuerySet":
        return self.filter(work_filter(user, "interaction__"))


class SimulationQuerySet(models.QuerySet):
    """Figures of the house: for all who may simulate; those with work of a closed team for who asked and who sees all."""

    def visible_to(self, user: Any) -> "SimulationQuerySet":
        if not may(user, Permission.SIMULATE):
            return self.none()
        return self if sees_everything(user) else self.filter(models.Q(closed=False) | models.Q(by=user.pk))
