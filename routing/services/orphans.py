"""Waiting work that nobody here could ever take: after all steps of its queue, and of every queue it can come to."""

from typing import Any

from crm import rows
from crm.access import outside_closed
from crm.models import User
from routing import engine, rules
from routing.models import Queue, WorkItem
from routing.services import dispatch

NAMED = 20  # items of a group that are named

_GROUPS = """
SELECT w.queue_id, w.family, w.units, w.required_skills, w.language, w.refused_by, count(*), min(w.queued_at),
    (array_agg(w.id ORDER BY w.queued_at, w.id))[:{named}]
FROM routing_workitem w WHERE w.status = 'waiting'
GROUP BY w.queue_id, w.family, w.units, w.required_skills, w.language, w.refused_by
"""
_ESCAPES = """
SELECT q.id, f.id FROM routing_queue q JOIN routing_queue f ON f.is_fallback AND f.id <> q.id
WHERE q.escape_seconds IS NOT NULL
"""


def orphans() -> list[dict]:
    """Groups of such work: [{"queue" (id), "family", "count", "oldest_queued_at", "work_items", "why"}], oldest first.

    Who is here at this moment does not matter, only who is there at all; three statements, one of them over what waits.
    """
    groups = rows.run(_GROUPS.format(named=NAMED))
    if not groups:
        return []
    queues, escapes = dispatch.rules_of_queues(), dict(rows.run(_ESCAPES))
    seats = dispatch.seats_of_active()
    found = []
    for queue, family, units, skills, language, refused, count, oldest, ids in groups:
        asked = (family, units, rows.from_json(skills), language or None)
        able = _able(queue, asked, queues, escapes, seats)
        gone: Any = rows.from_json(refused)
        if able - set(gone):
            continue
        why = (
            "everybody who could take it has declined or missed it"
            if able
            else _missing(queues[queue], asked, seats)
        )
        found.append(
            {
                "queue": queue,
                "family": family,
                "count": count,
                "oldest_queued_at": oldest,
                "work_items": ids,
                "why": why,
            }
        )
    return sorted(found, key=lambda one: one["oldest_queued_at"])


def _item(asked: tuple, under: rules.Rules) -> engine.Item:
    family, units, skills, language = asked
    return under.rule(engine.Item(0, "", family, units, skills, language), 0.0)


def _able(
    queue: int,
    asked: tuple,
    queues: dict[int, rules.Rules],
    escapes: dict[int, int],
    seats: list[engine.Seat],
) -> set[int]:
    """Who could take it at last, there or in a queue it comes to."""
    found: set[int] = set()
    for way in rules.ways_out(queue, queues, escapes):
        need, _ = engine.requirement(_item(asked, queues[way]), float("inf"))
        found |= {seat.id for seat in seats if engine.able(need, seat)}
    return found


def _missing(under: rules.Rules, asked: tuple, seats: list[engine.Seat]) -> str:
    """What nobody has, as far as one thing alone keeps everybody out."""
    need, _ = engine.requirement(_item(asked, under), float("inf"))
    for code, level in need.skills:
        if not any(seat.skills.get(code, 0) >= level for seat in seats):
            return f"nobody has {code} {level}"
    if need.language and not any(need.language in seat.languages for seat in seats):
        return f"nobody speaks {need.language}"
    return "nobody has all that it asks for together"


def shown_to(user: User) -> list[dict]:
    """The same with the queue's slug and name, of queues the reader may know of, and only items he may see."""
    known = {queue.pk: queue for queue in outside_closed(Queue.objects.all(), user, "team")}
    found = [one for one in orphans() if one["queue"] in known]
    ids = [item for one in found for item in one["work_items"]]
    seen = (
        set(WorkItem.objects.visible_to(user).filter(pk__in=ids).values_list("pk", flat=True))
        if ids
        else set()
    )
    return [
        one
        | {
            "queue": known[one["queue"]].slug,
            "queue_name": known[one["queue"]].name,
            "work_items": [item for item in one["work_items"] if item in seen],
        }
        for one in found
    ]
