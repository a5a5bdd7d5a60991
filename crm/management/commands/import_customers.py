"""`manage.py import_customers`: customers, or what is theirs, from a CSV or spreadsheet, tried dry, read in, undone."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from crm import columns
from crm.choices import ImportState
from crm.errors import DomainError
from crm.models import Import, ImportRow
from crm.processes import STOPPED, told_to_stop
from crm.services import imports

SHOWN = 20  # bad rows printed
LOOK_SECONDS = 0.3  # between looks when a worker has the import in hand


class Command(BaseCommand):
    """Bad rows are named with line and reason and never stop the others; exit 1 when the file cannot be used."""

    help = "Import customers from a CSV or XLSX file. Columns are guessed; a second run of the same file changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="CSV or XLSX with a header")
        parser.add_argument(
            "--noun",
            default="customers",
            choices=columns.NOUNS,
            help="what is in the file (default: customers)",
        )
        parser.add_argument(
            "--map", action="append", default=[], metavar="COLUMN=FIELD",
            help=f"what a column is: {', '.join(columns.TARGETS)}, field:<slug>; nothing after = leaves it out; "
            "other nouns: docs/imports.md",
        )  # fmt: skip
        parser.add_argument(
            "--region", default="", metavar="CC", help="country of phone numbers that name none, such as DE"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would happen")
        parser.add_argument("--undo", type=int, metavar="ID", help="undo a whole import")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: object, **options: Any) -> None:
        if (options["file"] is None) == (options["undo"] is None):
            raise CommandError("Name a FILE, or --undo ID.")
        started = time.monotonic()
        try:
            kept = self._undone(options["undo"]) if options["undo"] else self._promised(options)
            self._follow(kept, silent=options["json"])
        except DomainError as error:
            raise CommandError(error.detail) from error
        kept.refresh_from_db()
        self._say(kept, time.monotonic() - started, as_json=options["json"])

    def _undone(self, import_id: int) -> Import:
        kept = Import.objects.filter(pk=import_id).first()
        if kept is None:
            raise CommandError(f"There is no import {import_id}.")
        return imports.undo(kept, by=None)

    def _promised(self, options: dict[str, Any]) -> Import:
        path: Path = options["file"]
        try:
            size = path.stat().st_size
            raw = path.read_bytes() if size <= imports.LARGEST_FILE else b""
        except OSError as error:
            raise CommandError(f"{path}: cannot be read ({error.strerror}).") from error
        if size > imports.LARGEST_FILE:
            raise CommandError(f"{path}: is larger than {imports.LARGEST_FILE // 1024 // 1024} MB.")
        kept = imports.upload(raw, path.name, by=None, noun=options["noun"])
        try:
            kept = imports.remap(kept, _mapping(kept, options["map"]), options["region"] or kept.region)
            return imports.check(kept) if options["dry_run"] else imports.start(kept, by=None)
        except (DomainError, CommandError):
            # Nobody can go on with it: a later run keeps the file anew.
            kept.delete()
            raise

    def _follow(self, kept: Import, *, silent: bool) -> None:
        """Do the work here, or follow the worker who was faster."""
        of_it = ImportRow.objects.filter(of=kept, waiting=True)
        total = of_it.count() if kept.state == ImportState.UNDOING else kept.total
        with (
            told_to_stop() as stopping,
            tqdm(total=total, unit=" rows", disable=silent or not sys.stderr.isatty()) as bar,
        ):

            def told(dealt_with: int) -> bool:
                bar.update(dealt_with)
                return stopping()

            while kept.state in imports.PROMISED:
                if imports.work(kept.pk, told=told):
                    kept.refresh_from_db()
                    bar.update(kept.passed - bar.n)
                if stopping():
                    self.stderr.write(f"Stopped; import {kept.pk} goes on when Earshot runs.")
                    sys.exit(STOPPED)
                if kept.state in imports.PROMISED:
                    time.sleep(LOOK_SECONDS)

    def _say(self, kept: Import, seconds: float, *, as_json: bool) -> None:
        bad = list(ImportRow.objects.filter(of=kept, outcome__in=("failed", "kept")).order_by("line"))
        problems = [{"line": row.line, "outcome": row.outcome, "reason": row.report} for row in bad]
        if as_json:
            said = {
                "import": kept.pk,
                "state": kept.state,
                "rows": kept.total,
                "counts": kept.counts,
                "kept": kept.kept,
            }
            mapping = dict(zip(kept.headers, kept.mapping, strict=True))
            said |= {"mapping": mapping, "seconds": round(seconds, 1), "problems": problems}
            self.stdout.write(json.dumps(said))
            return
        for header, target in zip(kept.headers, kept.mapping, strict=True):
            self.stdout.write(f"  {header:30} {target or '(left out)'}")
        for one in problems[:SHOWN]:
            self.stdout.write(f"line {one['line']}: {one['reason']}")
        if len(problems) > SHOWN:
            self.stdout.write(f"… and {len(problems) - SHOWN:,} more: /imports/{kept.pk}/")
        counts = ", ".join(f"{count:,} {name}" for name, count in kept.counts.items())
        self.stdout.write(f"Import {kept.pk} {kept.get_state_display().lower()} in {seconds:.1f} s: {counts}")


def _mapping(kept: Import, said: list[str]) -> list[str]:
    mapping = list(kept.mapping)
    names = [header.casefold() for header in kept.headers]
    for one in said:
        column, sign, target = one.rpartition("=")
        if not sign or column.strip().casefold() not in names:
            raise CommandError(f"--map {one}: write COLUMN=FIELD; the columns are {', '.join(kept.headers)}.")
        mapping[names.index(column.strip().casefold())] = target.strip()
    return mapping
