"""The distributor listens to the floor."""

from importlib import import_module

from django.apps import AppConfig


class RoutingConfig(AppConfig):
    """Queues, skills, agents, offers."""

    name = "routing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Load the reactions, say whose a contact is when it opens, and show its pages what waits and why."""
        import_module("routing.personal")
        import_module("routing.reactions")
        import_module("crm.judging").register_owners(import_module("routing.services.work_items").owners)
        import_module("crm.views.base").register_panel(
            import_module("routing.services.panels").of_interactions
        )
