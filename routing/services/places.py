"""Place in the queue and expected wait of live channels (`routing/waits.py`), for desks, widgets and the telephone."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from crm import rows
from crm.choices import Family
from crm.errors import InvalidInput
from routing import engine, waits
from routing.models import Queue, WorkItem
from routing.services import dispatch, scoring, work_items

LIVE = (str(Family.VOICE), str(Family.CHAT))
LATELY = 1800.0  # s that say how quickly a queue begins its work
FEW = 5  # finished in the last hours, before their handling time is believed

_LATELY = """
SELECT w.queue_id, w.family, count(DISTINCT w.id) FILTER (WHERE w.accepted_at > now() - make_interval(secs => %s)),
    CASE WHEN count(a.id) >= %s THEN
        (avg(least(3600, greatest(10, extract(epoch FROM a.ended_at - a.accepted_at)))) FILTER (WHERE a.id IS NOT NULL))::float8
    END
FROM routing_workitem w LEFT JOIN routing_assignment a ON a.work_item_id = w.id AND a.status = 'completed'
WHERE w.accepted_at > now() - interval '4 hours' AND w.family IN ('voice', 'chat') AND w.queue_id = ANY(%s)
GROUP BY w.queue_id, w.family
"""


@dataclass(slots=True)
class Line:
    """Who waits in one queue on one live family, first to last, and what is known of its pace."""

    items: list[engine.Item] = field(default_factory=list)
    begun: int = 0
    handling: float | None = None


@dataclass(slots=True)
class Floor:
    """All lines of some queues, and who is in, read in a fixed number of statements."""

    now: float
    seats: list[engine.Seat]
    lines: dict[tuple[int, str], Line]

    def wait(self, line: Line, item: engine.Item, place: int) -> dict[str, Any]:
        """What to tell who stands there."""
        need = engine.requirement(item, self.now)[0]
        slots = free = 0
        for seat in self.seats:
            if seat.live and need.family not in seat.blocked and engine.able(need, seat):
                slots += self._fit(need, seat, seat.capacity)
                if engine.why_not(item, seat, self.now) is None:
                    free += self._fit(need, seat, seat.capacity - seat.load)
        told = waits.expected(
            place, slots=slots, free=free, handling=line.handling, begun=line.begun, seconds=LATELY
        )
        return {
            "place": place,
            "waiting": len(line.items),
            "low": told.low,
            "high": told.high,
            "words": told.words,
        }

    def _fit(self, need: engine.Requirement, seat: engine.Seat, units: int) -> int:
        fit = units // need.need(seat.capacity)
        most = (seat.max_family or {}).get(need.family)
        return fit if most is None else min(fit, most)


def _floor(queue_ids: list[int], found: list[tuple]) -> Floor:
    lines: dict[tuple[int, str], Line] = defaultdict(Line)
    scale, now = scoring.scale(), rows.run("SELECT extract(epoch FROM now())::float8")[0][0]
    items = [(dispatch.queue_of(row), scale.weigh(dispatch.item_of(row))) for row in found]
    means = engine.means([item for _, item in items])
    for queue, item in sorted(items, key=lambda one: engine.order_key(one[1], now, means, scale.weights)):
        lines[queue, item.family].items.append(item)
    for queue, family, begun, handling in rows.run(_LATELY, (LATELY, FEW, queue_ids)):
        lines[queue, family].begun, lines[queue, family].handling = begun, handling
    return Floor(now, dispatch.seats_of_active(), lines)


def of_items(items: list[WorkItem]) -> dict[int, dict[str, Any]]:
    """Place (1 = next) and expected wait of those that wait on a live channel, by item; a fixed number of statements."""
    live = [
        item for item in items if item.family in LIVE and item.status == "waiting" and not item.not_before
    ]
    return _of([item.queue_id for item in live], {item.pk for item in live})


def of_queues(queue_ids: list[int]) -> dict[int, dict[str, Any]]:
    """The same of everybody who waits on a live channel in these queues."""
    return _of(queue_ids, None)


def _of(queue_ids: list[int], only: set[int] | None) -> dict[int, dict[str, Any]]:
    asked = sorted(set(queue_ids))
    found = dispatch.live_in(asked) if asked else []
    if not found:
        return {}
    floor = _floor(asked, found)
    return {
        item.id: floor.wait(line, item, place)
        for line in floor.lines.values()
        for place, item in enumerate(line.items, 1)
        if only is None or item.id in only
    }


def of_newcomer(queue: Queue, family: str) -> dict[str, Any]:
    """What to tell who would come into this queue now, by telephone or chat."""
    if family not in LIVE:
        raise InvalidInput("Which channel?", errors={"family": f"must be {' or '.join(LIVE)}"})
    floor = _floor([queue.pk], dispatch.live_in([queue.pk]))
    line = floor.lines[queue.pk, family]
    rules = dispatch.rules_of_queues()[queue.pk]
    item = rules.rule(
        engine.Item(
            id=0, queue=queue.slug, family=family, units=work_items.units_of(family), queued_at=floor.now
        ),
        floor.now,
    )
    return floor.wait(line, item, len(line.items) + 1)
