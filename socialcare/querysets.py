"""Reads of social care in the field's words."""

from typing import Any

from django.db import models

from crm.access import for_workers


class MentionQuerySet(models.QuerySet):
    """What was posted in public may be read by everybody who may read work."""

    def visible_to(self, user: Any) -> "MentionQuerySet":
        return for_workers(self.all(), user)
