"""Erlang C and Erlang A over JSON lines: how many people, and what given people make of it; no database."""

import json
import math
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from django.core.management.base import BaseCommand

from routing import staffing
from routing.management.pipes import lines

EPILOG = """One object a line, for example {"model": "A", "interval_s": 1800, "arrivals": 100, "aht_s": 180, "patience_s": 300,
"target": 0.8, "within_s": 20, "max_occupancy": 0.85, "max_abandoned": 0.05, "shrinkage": 0.3, "agents": null}.
Needed: arrivals, aht_s, and patience_s for model A. With agents given they are only judged. Seconds and shares from 0 to 1."""
LONGEST = 1e9  # s


class BadLine(ValueError):
    """A line that cannot be reckoned; it is answered with the reason and the pipe goes on."""


Asked = tuple[staffing.Demand, staffing.Goal, float, int | None]


def understood(line: str) -> Asked:
    """Demand, goal, shrinkage and agents of one line. Raises `BadLine`."""
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not JSON: {error}") from error
    if not isinstance(asked, dict):
        raise BadLine("a line must be a JSON object")
    demand = staffing.Demand(
        arrivals=_number(asked, "arrivals", 0, LONGEST),
        aht_s=_number(asked, "aht_s", 0, LONGEST, above=True),
        interval_s=_number(asked, "interval_s", 0, LONGEST, above=True, default=1800.0),
        patience_s=_patience(asked),
    )
    goal = staffing.Goal(
        target=_share(asked, "target", 0.8),
        within_s=_number(asked, "within_s", 0, LONGEST, default=20.0),
        max_occupancy=_share(asked, "max_occupancy"),
        max_abandoned=_share(asked, "max_abandoned"),
    )
    return demand, goal, _shrinkage(asked), _agents(asked)


def answer(asked: Asked) -> dict[str, Any]:
    """What one line is answered with. Raises `BadLine`."""
    demand, goal, shrinkage, agents = asked
    try:
        return _words(staffing.staff(demand, goal, shrinkage=shrinkage, agents=agents))
    except staffing.Unstaffable as error:
        raise BadLine(str(error)) from error


def _words(found: staffing.Staffing) -> dict[str, Any]:
    figures = found.figures
    said = {
        "agents": found.agents,
        "positions": found.positions,
        "p_wait": figures.p_wait,
        "service_level": figures.service_level,
        "asa_s": figures.asa_s,
        "occupancy": figures.occupancy,
        "abandoned": figures.abandoned,
    }
    if not figures.stable:
        said["note"] = "not stable: the agents cannot do the work that comes, the queue grows without end"
    return said


def _number(
    asked: dict[str, Any],
    name: str,
    low: float,
    high: float,
    *,
    above: bool = False,
    default: float | None = None,
) -> float:
    value = asked.get(name)
    if value is None:
        if default is None:
            raise BadLine(f"{name} is missing")
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise BadLine(f"{name} must be a number")
    if not low <= value <= high or (above and value == low):
        raise BadLine(
            f"{name} must be {'more than' if above else 'from'} {low:g}{' and at most' if above else ' to'} {high:g}"
        )
    return float(value)


def _share(asked: dict[str, Any], name: str, default: float | None = None) -> float | None:
    if asked.get(name) is None:
        # An explicit null asks for nothing; what is not named is as usual.
        return None if name in asked else default
    return _number(asked, name, 0, 1)


def _patience(asked: dict[str, Any]) -> float | None:
    model = asked.get("model", "C" if asked.get("patience_s") is None else "A")
    if model == "C":
        return None
    if model != "A":
        raise BadLine('model must be "C" or "A"')
    return _number(asked, "patience_s", 0, LONGEST, above=True)


def _shrinkage(asked: dict[str, Any]) -> float:
    shrinkage = _number(asked, "shrinkage", 0, 1, default=0.0)
    if shrinkage > 0.99:
        raise BadLine("shrinkage must be at most 0.99: somebody has to be there")
    return shrinkage


def _agents(asked: dict[str, Any]) -> int | None:
    if asked.get("agents") is None:
        return None
    agents = _number(asked, "agents", 0, staffing.MAX_AGENTS)
    if agents != math.floor(agents):
        raise BadLine("agents must be a whole number")
    return int(agents)


def serve(said: Iterable[str], out: TextIO, *, day: bool = False, table: bool = False) -> int:
    """Answer each line; how many could not be answered. `day`: read all first, each interval begins where the last ended."""
    refused = 0
    for words in _day(said) if day else _each(said):
        refused += "error" in words
        out.write((_row(words) if table else json.dumps(words)) + "\n")
    out.flush()
    return refused


def _each(said: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(said, start=1):
        if line.strip():
            try:
                yield answer(understood(line))
            except BadLine as error:
                yield _refusal(number, error)


def _day(said: Iterable[str]) -> Iterator[dict[str, Any]]:
    """One bad line leaves a hole in the day, so that it spoils all: it is named and nothing else is answered."""
    asked: list[Asked] = []
    bad: list[dict[str, Any]] = []
    for number, line in enumerate(said, start=1):
        if line.strip():
            try:
                asked.append(understood(line))
            except BadLine as error:
                bad.append(_refusal(number, error))
            if len(asked) > staffing.LONGEST_DAY:
                break
    if bad:
        yield from bad
        return
    try:
        yield from map(_words, staffing.staff_day(asked) if asked else ())
    except staffing.Unstaffable as error:
        yield {"error": str(error)}


def _refusal(number: int, error: BadLine) -> dict[str, Any]:
    return {"line": number, "error": str(error)[:300]}


def _row(words: dict[str, Any]) -> str:
    return "  ".join(
        f"{name} {round(value, 4) if isinstance(value, float) else value}" for name, value in words.items()
    )


class Command(BaseCommand):
    help = "How many agents, by Erlang C or Erlang A: JSON lines on stdin, one answer a line on stdout."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.epilog = EPILOG
        parser.add_argument(
            "--json", action="store_true", help="JSON lines also on a terminal (in a pipe they always are)"
        )

        parser.add_argument(
            "--day",
            action="store_true",
            help="the lines are a day's intervals in order: each begins with the queue that the one before left",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            refused = serve(
                lines(sys.stdin.buffer), sys.stdout, table=sys.stdout.isatty() and not options["json"]
            )
        except (BrokenPipeError, KeyboardInterrupt):
            sys.stderr.close()
            return
        if refused:
            sys.stderr.write(f"{refused} line(s) could not be answered\n")
            sys.exit(1)
