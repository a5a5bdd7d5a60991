"""What the leading router believes at this moment, told in one row: what it holds for calls until when, and by what numbers.

Whoever explains a decision (why idle, why waiting) builds the same pool from the same rows and gives it these numbers, which
only the router can know, so that there is one set of reasons.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from crm import rows
from routing import engine
from routing.pacing import Pacing, Told
from routing.services import dispatch, scoring

FRESH_SECONDS = 15  # after which nobody leads, as far as anybody knows
SAID_AGAIN_SECONDS = 5

_TELL = """
INSERT INTO routing_standing (id, told_at, said) VALUES (1, now(), %s)
ON CONFLICT (id) DO UPDATE SET told_at = excluded.told_at, said = excluded.said
"""
_READ = "SELECT told_at, said FROM routing_standing WHERE told_at > now() - make_interval(secs => %s)"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the router said last. `held`: by queue, how many are held for calls and when the next is released."""

    told_at: datetime
    kept: float = 0.0
    needed: float = 0.0
    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    alarms: list[dict[str, Any]] = field(default_factory=list)


def tell(router: dispatch.Router) -> None:
    """Say what the router believes: one statement when it changed, and every few seconds; never for each decision."""
    now = time.time()
    holding = router.pool.holding(now)
    said = rows.as_json(
        {
            "kept": round(holding.kept, 2),
            "needed": round(holding.needed, 2),
            "held": _by_queue(router.pool, holding),
            "alarms": [
                {"first": one.first, "second": one.second, "per_100": round(one.per_100 or 0.0, 1)}
                for one in router.alarms
            ],
        }
    )
    told_at, before = router.told
    if said != before or now - told_at >= SAID_AGAIN_SECONDS:
        rows.write(_TELL, (said,))
        router.told = (now, said)


def _by_queue(pool: engine.Pool, holding: engine.Holding) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for item_id, until in holding.items.items():
        one = found.setdefault(pool.item(item_id).queue, {"count": 0, "next": until})
        one["count"] += 1
        one["next"] = min(one["next"], until)
    return found


def read() -> Standing | None:
    """What the router said last; None when it has said nothing for a while."""
    found = rows.run(_READ, (FRESH_SECONDS,))
    if not found:
        return None
    told_at, said = found[0]
    words: Any = rows.from_json(said)
    held = {
        queue: {"count": one["count"], "next_at": datetime.fromtimestamp(one["next"], UTC)}
        for queue, one in words["held"].items()
    }
    return Standing(told_at, words["kept"], words["needed"], held, words["alarms"])


def holding_of(
    items: list[engine.Item], seats: list[engine.Seat], now: float, scale: scoring.Scale
) -> engine.Holding:
    """What of these items the router holds now, and which of these agents it keeps for calls; nothing without a router."""
    said = read()
    pacing = Pacing()
    senses = Told(pacing, said.kept, said.needed) if said else Told(pacing, 0.0, 0.0)
    pool = engine.Pool(scale.weights, pacing=pacing, senses=senses)
    for seat in seats:
        pool.update_seat(seat)
    for item in items:
        pool.add(item)
    return pool.holding(now)
