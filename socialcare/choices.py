"""The fixed lists of social care."""

from django.db.models import TextChoices


class MentionStatus(TextChoices):
    """Where a mention is in triage."""

    TRIAGED = "triaged"
    DECIDED = "decided"
