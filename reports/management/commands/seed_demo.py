"""`manage.py seed_demo`: the demo centre."""

import json

from django.core.management.base import BaseCommand, CommandParser

from reports.services import demo


class Command(BaseCommand):
    """Makes the demo centre; run again, only what is missing."""

    help = "Make the demo centre: brands, teams, people, queues, channels, customers with a past."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print the counts as JSON.")

    def handle(self, *args: object, **options: object) -> None:
        made = demo.seed()
        if options["json"]:
            self.stdout.write(json.dumps(made))
        else:
            self.stdout.write(", ".join(f"{count} {name}" for name, count in made.items()))
