"""`manage.py seed_scale`: a history as large as one wants."""

import json
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from crm.errors import DomainError
from crm.processes import STOPPED, told_to_stop
from crm.services import scale


class Command(BaseCommand):
    """Fills the database with customers, their identities, tickets and messages, set by set."""

    help = "Fill the database with N customers and their identities, tickets and messages, to see how it behaves."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--customers", type=int, required=True, metavar="N", help="How many customers are added."
        )
        parser.add_argument(
            "--seed", type=int, default=1, metavar="S", help="The same seed makes the same history."
        )
        parser.add_argument("--json", action="store_true", help="Print the counts as JSON.")

    def handle(self, *args: object, **options: Any) -> None:
        wanted, started = options["customers"], time.monotonic()
        silent, made_so_far = options["json"] or not sys.stderr.isatty(), 0
        try:
            with told_to_stop() as stopping, tqdm(total=wanted, unit=" customers", disable=silent) as bar:
                for done in scale.fill(wanted, options["seed"]):
                    bar.update(done)
                    made_so_far += done
                    if stopping() and made_so_far < wanted:
                        self.stderr.write(f"Stopped after {made_so_far:,} customers.")
                        sys.exit(STOPPED)
        except DomainError as error:
            raise CommandError(error.detail) from error
        made = {"customers": wanted, "seconds": round(time.monotonic() - started, 1)}
        self.stdout.write(
            json.dumps(made) if options["json"] else f"{wanted:,} customers in {made['seconds']} s"
        )
