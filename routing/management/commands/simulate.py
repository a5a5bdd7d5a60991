"""A centre's day through the live routing engine and the references, side by side; without a database unless --own asks."""

import dataclasses
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from crm.errors import DomainError
from routing.pipe import RouterPipe
from routing.policies import REFERENCES
from routing.services import simulations
from routing.simulation import (
    CENTRES,
    SCENARIOS,
    Day,
    Figures,
    Policy,
    figures,
    gap_closed,
    play,
    recorded_day,
    synthetic_day,
)

ENGINE = "engine"
MASKED = "masked"  # the engine that hears no channel's name
POLICIES: dict[str, Callable[[], Policy]] = {
    ENGINE: RouterPipe,
    MASKED: lambda: RouterPipe(masked=True),
    **REFERENCES,
}
USUAL = [ENGINE, *REFERENCES]
HEADINGS = (
    "policy", "score", "attain", "gap", "voice", "chat", "dm", "social", "email", "vip", "worst lang", "occup", "bias",
    "idle min", "carried", "refused", "ms", "slowest",
)  # fmt: skip


class Command(BaseCommand):
    help = "Play simulated or recorded days through the live routing engine, beside reference policies."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="default: all")
        parser.add_argument(
            "--seed", action="append", type=int, help="repeat for means over several days; default 1"
        )
        parser.add_argument(
            "--policy", action="append", choices=sorted(POLICIES), help="default: all but masked"
        )
        parser.add_argument(
            "--centre", choices=sorted(CENTRES), default="reference", help="who works and what they can do"
        )
        parser.add_argument("--size", type=float, default=1.0, help="of arrivals and staff, 1 is 77 agents")
        parser.add_argument(
            "--record", help="a file of arrivals (JSON lines, or CSV with a heading), - is stdin"
        )
        parser.add_argument(
            "--own",
            type=int,
            metavar="DAYS",
            help="the house's own last days, from its database, as they were and otherwise",
        )
        parser.add_argument(
            "--change",
            metavar="JSON",
            help='what is otherwise, as on the page: {"agents": -1, "volume": {"voice": 1.2}}; plays the engine on both days',
        )
        parser.add_argument("--json", action="store_true", help="Print all figures as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["policy"] or USUAL
        seeds = options["seed"] or [1]
        if options["size"] <= 0:
            raise CommandError("--size is more than nothing")
        if options["own"] is not None or options["change"]:
            self.compare(seeds, options)
            return
        found: dict[str, dict[str, list[Figures]]] = {}
        for scenario in ["recorded"] if options["record"] else options["scenario"] or SCENARIOS:
            for seed in seeds:
                day = self.day(scenario, seed, options)
                for name in names:
                    shown = figures(day, play(day, POLICIES[name]()))
                    found.setdefault(scenario, {}).setdefault(name, []).append(shown)
            if not options["json"]:
                self.table(scenario, found[scenario])
        if options["json"]:
            self.stdout.write(json.dumps(self.body(found, seeds), indent=1))

    def compare(self, seeds: list[int], options: dict[str, Any]) -> None:
        """The same comparison that the page makes."""
        scenarios = [""] if options["own"] is not None else options["scenario"] or SCENARIOS
        for scenario in scenarios:
            for seed in [0] if options["own"] is not None else seeds:
                try:
                    asked = simulations.checked(self.asked(scenario, seed, options), None)
                    found = simulations.compare(asked)
                except (DomainError, ValueError) as error:
                    said = getattr(error, "extra", {}).get("errors", {})
                    raise CommandError(
                        "; ".join([str(error), *(f"{name} {text}" for name, text in said.items())])
                    ) from error
                if options["json"]:
                    self.stdout.write(json.dumps({"asked": asked, **found.told()}))
                    continue
                self.stdout.write(f"\n{simulations.words(asked)}")
                both = {"as it was": [found.before], "otherwise": [found.after]}
                self.tables(both, {name: None for name in both})

    def asked(self, scenario: str, seed: int, options: dict[str, Any]) -> dict[str, Any]:
        """The question in the words of the service."""
        try:
            change = json.loads(options["change"] or "{}")
        except (ValueError, RecursionError) as error:
            raise CommandError(f"--change is no JSON: {error}") from error
        if options["own"] is not None:
            return {"day": {"kind": "recorded", "days": options["own"]}, "change": change}
        made = {"kind": "synthetic", "scenario": scenario, "seed": seed}
        return {
            "day": made | {"centre": options["centre"], "size": min(1.0, options["size"])},
            "change": change,
        }

    def day(self, scenario: str, seed: int, options: dict[str, Any]) -> Day:
        """The day asked for."""
        if not options["record"]:
            return synthetic_day(scenario, seed, options["centre"], options["size"])
        try:
            text = sys.stdin.read() if options["record"] == "-" else Path(options["record"]).read_text()
            return recorded_day(text.splitlines(), seed)
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error

    def body(self, found: dict[str, dict[str, list[Figures]]], seeds: list[int]) -> dict[str, Any]:
        """All figures, day by day, and the means of them."""
        return {
            "seeds": seeds,
            "scenarios": {
                scenario: {
                    name: {"mean": mean(days), "gap_closed": gap(by_policy, name), "days": list(map(dataclasses.asdict, days))}
                    for name, days in by_policy.items()
                }
                for scenario, by_policy in found.items()
            },
        }  # fmt: skip

    def table(self, scenario: str, by_policy: dict[str, list[Figures]]) -> None:
        """Two tables: what was kept, and how long it took."""
        days = next(iter(by_policy.values()))
        items = statistics.fmean(one.items for one in days)
        self.stdout.write(f"\n{scenario}, {len(days)} day(s) of {items:,.0f} items")
        self.tables(by_policy, {name: gap(by_policy, name) for name in by_policy})

    def tables(self, by_policy: dict[str, list[Figures]], gaps: dict[str, float | None]) -> None:
        """What was kept, how long it took, and whose setting does not count."""
        rows = [line(name, mean(found), gaps[name]) for name, found in by_policy.items()]
        self.stdout.write(aligned([list(HEADINGS), *rows]))
        channels = list(next(iter(by_policy.values()))[0].median_wait)
        self.stdout.write("age at the first answer, median / 90th percentile in seconds")
        waits = [waiting(name, mean(found), channels) for name, found in by_policy.items()]
        self.stdout.write(aligned([["policy", *channels, "calls lost"], *waits]))
        for name, found in by_policy.items():
            if not all(one.counts for one in found):
                self.stdout.write(
                    f"{name} does not count as won: the median first answer of social is above half its target"
                )


def mean(days: list[Figures]) -> dict[str, Any]:
    """The mean of each figure over the days."""
    every = [dataclasses.asdict(one) for one in days]
    found: dict[str, Any] = {}
    for name, value in every[0].items():
        if isinstance(value, list):
            continue
        if isinstance(value, dict):
            found[name] = {key: statistics.fmean(one[name].get(key, 0.0) for one in every) for key in value}
        else:
            found[name] = statistics.fmean(one[name] for one in every)
    return found


def gap(by_policy: dict[str, list[Figures]], name: str) -> float | None:
    """Gap closed of the mean scores against the best reference, where all of them were played too."""
    if not REFERENCES.keys() <= by_policy.keys():
        return None
    score = {known: statistics.fmean(one.score for one in days) for known, days in by_policy.items()}
    return gap_closed(score[name], score["longest"], max(score[known] for known in REFERENCES))


def line(name: str, about: dict[str, Any], closed: float | None) -> list[str]:
    """One policy's row of the first table."""
    levels = [about["levels"].get(channel) for channel in HEADINGS[4:10]]
    return [
        name, f"{about['score']:.4f}", f"{about['attainment']:.3f}", "-" if closed is None else f"{closed:.3f}",
        *["-" if level is None else f"{level:.3f}" for level in levels],
        f"{min(about['languages'].values(), default=1.0):.3f}", f"{about['occupancy']:.3f}", f"{about['social_bias']:.2f}",
        f"{about['idle_beside_work']:.0f}", f"{about['carried']:.0f}", f"{about['refused']:.0f}",
        f"{about['ms_per_decision']:.3f}", f"{about['slowest_ms']:.1f}",
    ]  # fmt: skip


def waiting(name: str, about: dict[str, Any], channels: list[str]) -> list[str]:
    """One policy's row of the second table."""
    ages = [
        f"{about['median_wait'].get(key, 0):.0f} / {about['p90_wait'].get(key, 0):.0f}" for key in channels
    ]
    return [name, *ages, f"{about['abandoned'].get('voice', 0):.1%}"]


def aligned(rows: list[list[str]]) -> str:
    """Columns under their headings."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )
