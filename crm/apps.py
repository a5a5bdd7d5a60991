"""The floor registers its own connectors and loads its reactions."""

from importlib import import_module

from django.apps import AppConfig


class CrmConfig(AppConfig):
    """Customers, interactions, tickets."""

    name = "crm"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Customers and tickets"

    def ready(self) -> None:
        """Plug in what the floor brings."""
        base = import_module("crm.connectors.base")
        base.register("items", "crm.connectors.open_format")
        base.register("mail", "crm.connectors.mail")
        filters = import_module("crm.filters")
        import_module("crm.services.exports").register_own(
            filters.CustomerFilter, filters.TicketFilter, filters.InteractionFilter, filters.CompanyFilter
        )
        import_module("crm.services.person_export").register()
        import_module("crm.services.bulks").register_filters(
            {
                "customers": filters.CustomerFilter,
                "tickets": filters.TicketFilter,
                "companies": filters.CompanyFilter,
            }
        )
        import_module("crm.reactions")
