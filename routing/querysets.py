"""Reads of the distributor in the field's words."""

from typing import Any

from django.db import models

from crm.access import work_filter


class WorkItemQuerySet(models.QuerySet):
    """Work is seen by who may see its interaction."""

    def visible_to(self, user: Any) -> "WorkItemQuerySet":
        return self.filter(work_filter(user, "interaction__"))
