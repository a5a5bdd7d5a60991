"""The mirror reads everybody; nobody reads it."""

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    """Boards and figures."""

    name = "reports"
    default_auto_field = "django.db.models.BigAutoField"
