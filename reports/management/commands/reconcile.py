"""`manage.py reconcile`: proves the invariants."""

import json
import sys

from django.core.management.base import BaseCommand, CommandParser

from reports.services import reconciliation


class Command(BaseCommand):
    """Exit 0 when all invariants hold, else 1 and a list."""

    help = "Prove the invariants: ledger, uniqueness, one owner, load, dense streams, legal states."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *args: object, **options: object) -> None:
        broken = reconciliation.violations()
        if options["json"]:
            self.stdout.write(json.dumps({"checks": len(reconciliation.CHECKS) + 1, "violations": broken}))
        else:
            for one in broken:
                self.stdout.write(f"BROKEN  {one['check']}: {one['found'][:5]}")
            self.stdout.write(f"{len(reconciliation.CHECKS) + 1} checks, {len(broken)} broken")
        if broken:
            sys.exit(1)
