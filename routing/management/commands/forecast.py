"""How much will come, from a CSV of equal intervals; no database."""

import csv
import json
import math
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError

from routing import forecast

EPILOG = """FILE has a heading with the columns at (ISO 8601, local time, with or without offset) and count; other columns are
ignored; - reads stdin. Hours and days without rows are learned as closed, or as missing where that weekday is usually open.
The answer has the N intervals that follow the last row, closed ones with 0; low and high hold the count in four of five cases."""
MOST_COMPLAINTS = 5
LARGEST_COUNT = 1e9
CSV_FIELD = 10_000


class BadRows(ValueError):
    """Rows that cannot be read; the message has a line for each, the first few of them."""


def read_rows(lines: Iterable[str]) -> list[tuple[datetime, float]]:
    """Rows of `at,count`. Raises `BadRows`."""
    csv.field_size_limit(CSV_FIELD)
    reader = csv.reader(lines, strict=True)
    rows: list[tuple[datetime, float]] = []
    complaints: list[str] = []
    try:
        at, count = _columns(next(reader, []))
        for row in reader:
            if not row:
                continue
            try:
                rows.append((_time(row, at), _count(row, count)))
            except ValueError as error:
                complaints.append(f"line {reader.line_num}: {error}")
            if len(complaints) >= MOST_COMPLAINTS or len(rows) > forecast.MAX_ROWS:
                break
    except csv.Error as error:
        complaints.append(f"line {reader.line_num}: {error}")
    if not complaints and len({at.tzinfo is None for at, _ in rows}) > 1:
        complaints.append("some times have an offset and some have none")
    if complaints:
        raise BadRows("\n".join(complaints))
    return rows


def _columns(heading: list[str]) -> tuple[int, int]:
    names = [name.strip().lstrip("\ufeff").lower() for name in heading]
    missing = [name for name in ("at", "count") if name not in names]
    if missing:
        raise BadRows(f"line 1: the heading has no column {' and no column '.join(missing)}")
    return names.index("at"), names.index("count")


def _time(row: list[str], column: int) -> datetime:
    text = row[column].strip() if column < len(row) else ""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"at is not a time: {text[:40]!r}") from None


def _count(row: list[str], column: int) -> float:
    text = row[column].strip() if column < len(row) else ""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= LARGEST_COUNT:
        raise ValueError(f"count is not a number from 0 to {LARGEST_COUNT:.0f}: {text[:40]!r}")
    return value


def words(found: forecast.Forecast) -> dict[str, Any]:
    """The answer as `--json` prints it."""
    test = found.backtest
    return {
        "intervals": [
            {
                "at": one.at.isoformat(),
                "expected": round(one.expected, 4),
                "low": round(one.low, 4),
                "high": round(one.high, 4),
            }
            for one in found.intervals
        ],
        "method": found.method,
        "backtest": {
            "origins": test.origins,
            "days": test.days,
            "within_band": test.within_band,
            "methods": {
                name: {"error_per_interval": score.per_interval, "error_per_day": score.per_day}
                for name, score in test.scores.items()
            },
        },
    }


def table(found: forecast.Forecast) -> Iterable[str]:
    yield f"{'at':<26}{'expected':>12}{'low':>12}{'high':>12}"
    for one in found.intervals:
        yield f"{one.at.isoformat():<26}{one.expected:>12.1f}{one.low:>12.1f}{one.high:>12.1f}"
    yield f"\nMethod: {found.method}, the best over {found.backtest.days} days ahead of {found.backtest.origins} origins"
    for name, score in found.backtest.scores.items():
        if score.per_interval is not None:
            yield f"{name:<26}{score.per_interval:>11.1%} per interval{score.per_day:>9.1%} per day"


class Command(BaseCommand):
    help = "Forecast the intervals that follow a CSV of at,count by the method that was best in back-test."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.epilog = EPILOG
        parser.add_argument("file", metavar="FILE", help="CSV with the columns at and count; - for stdin")
        parser.add_argument("--horizon", type=int, required=True, metavar="N", help="intervals to forecast")
        parser.add_argument(
            "--zone", metavar="NAME", help="time zone of the times, for example Europe/Berlin"
        )
        parser.add_argument(
            "--json", action="store_true", help="JSON also on a terminal (in a pipe it always is)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        zone = _zone(options["zone"])
        try:
            found = forecast.forecast(_rows(options["file"]), options["horizon"], zone=zone)
        except (BadRows, forecast.Unforecastable) as error:
            raise CommandError(str(error)) from error
        try:
            if options["json"] or not sys.stdout.isatty():
                sys.stdout.write(json.dumps(words(found)) + "\n")
            else:
                sys.stdout.writelines(line + "\n" for line in table(found))
            sys.stdout.flush()
        except BrokenPipeError:
            sys.stderr.close()


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise CommandError(f"unknown time zone {name[:40]!r}") from None


def _rows(name: str) -> list[tuple[datetime, float]]:
    try:
        if name == "-":
            return read_rows(line.decode("utf-8", "replace") for line in sys.stdin.buffer)
        with open(name, encoding="utf-8", errors="replace", newline="") as lines:
            return read_rows(lines)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error
