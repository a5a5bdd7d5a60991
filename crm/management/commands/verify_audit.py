"""`manage.py verify_audit`: whether the history is what was written."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from crm.services import audit


class Command(BaseCommand):
    """Seals what is not sealed yet, then walks the chain; exit 1 when a line was changed, taken away or put in."""

    help = "Prove that the history of who did what was not tampered with; exit 1 and a list if it was."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print the findings as JSON.")

    def handle(self, *args: object, **options: Any) -> None:
        while audit.seal_new():
            pass
        found = audit.verify()
        if options["json"]:
            self.stdout.write(json.dumps(found))
        else:
            for one in found["problems"]:
                self.stdout.write(f"line {one['seq']}: {one['problem']}")
            self.stdout.write(f"{found['lines']:,} lines, {found['broken']:,} broken")
        if found["broken"]:
            raise SystemExit(1)
