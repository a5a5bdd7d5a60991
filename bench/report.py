"""What a phase found: a table for people, JSON for machines."""

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.stack import ROOT

RESULTS = Path(os.environ.get("BENCH_RESULTS", ROOT / "bench" / "results"))


@dataclass
class Row:
    """One figure with its limit, its ratio to it, and what is asked of the ratio."""

    phase: str
    what: str
    value: float
    unit: str
    limit: float | None = None
    ratio: float | None = None
    floor: float | None = None
    goal: float | None = None
    higher_is_better: bool = True
    alone: bool = False  # floor and goal are about the figure itself, not about its ratio

    @property
    def judged(self) -> float | None:
        """What floor and goal are about; nothing when the limit was skipped."""
        return self.value if self.alone else self.ratio

    @property
    def verdict(self) -> str:
        if self.judged is None:
            return ""
        if self.floor is not None and not self._reaches(self.floor):
            return "BELOW"
        if self.goal is not None and self._reaches(self.goal):
            return "goal"
        return "floor" if self.floor is not None else ""

    def _reaches(self, wanted: float) -> bool:
        return self.judged >= wanted if self.higher_is_better else self.judged <= wanted


@dataclass
class Found:
    """Everything one phase has to say."""

    rows: list[Row] = field(default_factory=list)
    checks: dict[str, bool] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rounds: dict = field(default_factory=dict)


def number(value: float | None) -> str:
    if value is None:
        return ""
    if value != value:
        return "none"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"


def say(found: dict[str, Found]) -> None:
    """Print the table."""
    print(
        f"\n{'':4} {'figure':46} {'value':>10} {'unit':9} {'limit':>9} {'ratio':>8} {'floor':>7} {'goal':>7}"
    )
    for one in found.values():
        for row in one.rows:
            print(
                f"{row.phase:4} {row.what[:46]:46} {number(row.value):>10} {row.unit:9} {number(row.limit):>9} "
                f"{number(row.ratio):>8} {number(row.floor):>7} {number(row.goal):>7} {row.verdict}"
            )
    for phase, one in found.items():
        for name, right in one.checks.items():
            print(f"{phase:4} {'yes' if right else 'NO ':4} {name}")
        for note in one.notes:
            print(f"{phase:4} note: {note}")


def save(found: dict[str, Found], took: float, beside: str) -> Path:
    """One JSON file a run; `beside` says where the limits came from, or that they were skipped."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / time.strftime("bench-%Y%m%d-%H%M%S.json", time.gmtime())
    phases = {
        phase: {
            **asdict(one),
            "rows": [asdict(row) | {"verdict": row.verdict} for row in one.rows],
        }
        for phase, one in found.items()
    }
    body = {
        "took_s": round(took, 1),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "limits": beside,
        "phases": phases,
    }
    path.write_text(json.dumps(body, indent=1, default=str) + "\n")
    return path
