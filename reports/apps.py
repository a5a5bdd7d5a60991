"""The mirror reads everybody; nobody reads it."""

from importlib import import_module

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    """Boards and figures."""

    name = "reports"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to the apps below."""
        import_module("reports.personal")
        import_module("reports.reactions")
