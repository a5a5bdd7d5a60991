"""`manage.py ledger`: what arrived and where it is."""

import json

from django.core.management.base import BaseCommand, CommandError, CommandParser

from crm.services import deliveries


class Command(BaseCommand):
    """received = queued + in_progress + done + duplicate + quarantined; exit 1 when the sum does not hold."""

    help = "Print the ledger: received = queued + in_progress + done + duplicate + quarantined."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print it as JSON.")

    def handle(self, *args: object, **options: object) -> None:
        counted = deliveries.ledger()
        if options["json"]:
            self.stdout.write(json.dumps(counted))
        else:
            for name, count in counted.items():
                self.stdout.write(f"{name:12} {count:>10,}")
        parts = sum(count for name, count in counted.items() if name != "received")
        if parts != counted["received"]:
            raise CommandError(
                f"The sum does not hold: received {counted['received']}, accounted for {parts}."
            )
