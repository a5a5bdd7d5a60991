"""`manage.py conveyor`: the hot-path process."""

from django.core.management.base import BaseCommand

from routing import conveyor


class Command(BaseCommand):
    """Runs until SIGTERM, finishing the batch in hand."""

    # The launcher has migrated and checked before it starts anything: here they would only keep a fallen leader's work waiting.
    requires_system_checks = ()
    help = "Take deliveries to work items to offers. One leads; others stand by."

    def handle(self, *args: object, **options: object) -> None:
        conveyor.main()
