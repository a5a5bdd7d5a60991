"""`manage.py conveyor`: the hot-path process."""

from django.core.management.base import BaseCommand

from routing import conveyor


class Command(BaseCommand):
    """Runs until SIGTERM, finishing the batch in hand."""

    help = "Take deliveries to work items to offers. One leads; others stand by."

    def handle(self, *args: object, **options: object) -> None:
        conveyor.main()
