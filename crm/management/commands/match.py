"""`manage.py match`: who in a file, or in two, is the same person. Needs no database."""

import json
import re
import sys
from collections import Counter
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from crm import matching
from crm.matching import Match, Person, Role
from crm.tables import Table, UnreadableError, read_table

_COPY = re.compile(r"(.+?)-(?:org|dup-?\d*)", re.IGNORECASE)


class Command(BaseCommand):
    """Pairs with score and reasons, likeliest first; exit 1 when a file cannot be read."""

    help = (
        "Find records of the same person within a CSV file, or between two. Columns are recognised by name and content; "
        "ids, social-security, tax and card numbers are never compared."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="CSV with a header, UTF-8")
        parser.add_argument(
            "file2",
            type=Path,
            nargs="?",
            metavar="FILE2",
            help="a second CSV: pairs are looked for between the two",
        )
        parser.add_argument(
            "--id", metavar="COL", help="Names the records (default: a column of ids, else the line)."
        )
        parser.add_argument("--truth", metavar="COL", help="The entity's key: measures precision and recall.")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: object, **options) -> None:
        paths = [path for path in (options["file"], options["file2"]) if path]
        try:
            files = [
                _File(path, options["id"], options["truth"], number) for number, path in enumerate(paths)
            ]
        except UnreadableError as error:
            raise CommandError(str(error)) from None
        with tqdm(unit="pair", disable=not sys.stderr.isatty()) as bar:
            found = matching.find(*[file.people for file in files], progress=bar.update, expect=bar.reset)
        figures = _figures(files, found) if options["truth"] else {}
        names = {key: name for file in files for key, name in file.names.items()}
        if options["json"]:
            self.stdout.write(json.dumps({**figures, "matches": [_as_json(match, names) for match in found]}))
            return
        for match in found:
            self.stdout.write(_as_line(match, names))
        for name, value in figures.items():
            shown = "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
            self.stdout.write(f"{name:10} {shown:>10}")


class _File:
    """A file's people, keyed by row, with the name of each and the entity it belongs to."""

    def __init__(self, path: Path, id_column: str | None, truth: str | None, number: int):
        table = read_table(path)
        roles = matching.guess(table.headers, table.rows)
        keys = [f"{number}.{place}" for place in range(len(table.rows))]
        self.names = dict(zip(keys, _row_names(table, roles, id_column), strict=True))
        self.entities: dict[str, str] = {}
        if truth:
            place = table.place(truth)
            roles[place] = Role.KEY
            self.entities = {
                key: _entity(row[place].strip()) for key, row in zip(keys, table.rows, strict=True)
            }
        if id_column:
            roles[table.place(id_column)] = Role.KEY
        if all(role == Role.KEY for role in roles):
            raise UnreadableError(f"{path.name}: no column says anything about a person.")
        reader = matching.Reader(table.headers, roles, table.rows)
        self.people: list[Person] = [reader.read(key, row) for key, row in zip(keys, table.rows, strict=True)]


def _row_names(table: Table, roles: list[Role], id_column: str | None) -> list[str]:
    if id_column:
        place = table.place(id_column)
        return [row[place].strip() for row in table.rows]
    for place, role in enumerate(roles):
        cells = [row[place].strip() for row in table.rows]
        if role == Role.KEY and all(cells) and len(set(cells)) == len(cells):
            return cells
    return [f"line {line}" for line in table.lines]


def _entity(cell: str) -> str:
    """The entity's key; FEBRL's own form (`rec-7-org`, `rec-7-dup-0`) names it by its beginning."""
    found = _COPY.fullmatch(cell)
    return found[1] if found else cell


def _as_json(match: Match, names: dict[str, str]) -> dict:
    reasons = [{"field": reason.field, "says": reason.says, "bits": reason.bits} for reason in match.reasons]
    by_way_of = [names[key] for key in match.by_way_of] if match.by_way_of else None
    found = {"a": names[match.one], "b": names[match.other], "score": match.score, "reasons": reasons}
    return {**found, "by_way_of": by_way_of}


def _as_line(match: Match, names: dict[str, str]) -> str:
    said = [f"{reason.field}: {reason.says} ({reason.bits:+.1f})" for reason in match.reasons]
    if match.by_way_of:
        said.append("tied by " + " and ".join(names[key] for key in match.by_way_of))
    return f"{match.score:.4f}  {names[match.one]}  {names[match.other]}  {'; '.join(said)}"


def _figures(files: list[_File], found: list[Match]) -> dict[str, int | float | None]:
    """How many `pairs` there are, how many of them were `found` among those `reported`; without a key: nobody's record."""
    first, last = Counter(files[0].entities.values()), Counter(files[-1].entities.values())
    if len(files) == 1:
        pairs = sum(count * (count - 1) // 2 for entity, count in first.items() if entity)
    else:
        pairs = sum(count * last[entity] for entity, count in first.items() if entity)
    entities = files[0].entities | files[-1].entities
    right = sum(entities[match.one] == entities[match.other] != "" for match in found)
    return {
        "pairs": pairs,
        "found": right,
        "reported": len(found),
        "precision": round(right / len(found), 6) if found else None,
        "recall": round(right / pairs, 6) if pairs else None,
    }
