"""What would have happened: today's waiting work under rules that nobody has kept yet (`practice.md` 3.4)."""

from typing import Any

from crm import rows
from crm.access import outside_closed
from crm.models import User
from routing import engine, rules
from routing.models import Queue, WorkItem
from routing.services import dispatch, queues, scoring

LOOKED_AT = 500  # the next due of the queue
SHOWN = 25


def of_queue(queue: Queue, given: dict[str, Any], *, by: User) -> dict[str, Any]:
    """The queue's waiting work re-ordered and re-stepped under changed rules; nothing is written.

    `items`: the first in the new order, each with its place, step, and how many agents who are in could take it, before and
    after. `moved`: how many change their place; `overflows`: how many would leave for which queue at once.
    """
    now = rows.run("SELECT extract(epoch FROM now())::float8")[0][0]
    found = dispatch.waiting_in([queue.pk], LOOKED_AT)
    under = {False: dispatch.rules_of_queues()[queue.pk], True: queues.rules_under(queue, given)}
    seats = [seat for seat in dispatch.seats_of_active() if seat.live]
    scale = scoring.scale()
    stands = {changed: _standing(found, one, scale, seats, now) for changed, one in under.items()}
    order = sorted(stands[True], key=lambda item: stands[True][item]["place"])
    readable = _readable(order[:SHOWN], by)
    return {
        "waiting": len(found),
        "moved": sum(stands[False][item]["place"] != stands[True][item]["place"] for item in order),
        "overflows": _overflows(found, under[True], now),
        "items": [
            {
                "work_item": item,
                **readable.get(item, {"interaction": None, "subject": ""}),
                "before": stands[False][item],
                "after": stands[True][item],
            }
            for item in order[:SHOWN]
        ],
    }


def _standing(
    found: list[tuple], under: rules.Rules, scale: scoring.Scale, seats: list[engine.Seat], now: float
) -> dict[int, dict[str, Any]]:
    """By item: its place in the queue from 1, the step it stands on, and how many of these agents could take it."""
    items = [scale.weigh(dispatch.item_of(row, under)) for row in found]
    means = engine.means(items)
    ordered = sorted(items, key=lambda item: engine.order_key(item, now, means, scale.weights))
    able: dict[engine.Requirement, int] = {}
    standing = {}
    for place, item in enumerate(ordered, 1):
        need, step = engine.requirement(item, now)
        if need not in able:
            able[need] = sum(engine.able(need, seat) for seat in seats)
        standing[item.id] = {"place": place, "step": step, "step_words": rules.say(step), "able": able[need]}
    return standing


def _overflows(found: list[tuple], under: rules.Rules, now: float) -> dict[str, int]:
    """How many have waited longer than an overflow asks, by the target's slug: the first in the chain counts."""
    slugs = dict(Queue.objects.values_list("pk", "slug"))
    counts: dict[str, int] = {}
    for row in found:
        entered = dispatch.entered_at(row)
        due = [
            step for after, step in under.timed if step.gives_up == rules.OVERFLOW and entered + after <= now
        ]
        if due:
            slug = slugs[due[0].target]
            counts[slug] = counts.get(slug, 0) + 1
    return counts


def _readable(items: list[int], by: User) -> dict[int, dict[str, Any]]:
    """Words of what the reader may see."""
    seen = WorkItem.objects.visible_to(by).filter(pk__in=items)
    return {
        pk: {"interaction": interaction, "subject": subject or ""}
        for pk, interaction, subject in seen.values_list(
            "pk", "interaction_id", "interaction__ticket__subject"
        )
    }


def of_scoring(given: dict[str, Any], *, by: User) -> dict[str, Any]:
    """What waits in the queues that the reader may know of, re-ordered under other weights; nothing is written.

    `items`: the first in the new order with place and score before and after; `moved`: how many change their place.
    """
    now = rows.run("SELECT extract(epoch FROM now())::float8")[0][0]
    known = dict(outside_closed(Queue.objects.all(), by, "team").values_list("pk", "name"))
    found = dispatch.waiting_in(list(known), LOOKED_AT)
    names = {row[0]: known[dispatch.queue_of(row)] for row in found}
    scales = {False: scoring.scale(), True: scoring.under(given)}
    stands = {changed: _scored(found, one, now) for changed, one in scales.items()}
    order = sorted(stands[True], key=lambda item: stands[True][item]["place"])
    readable = _readable(order[:SHOWN], by)
    return {
        "waiting": len(found),
        "moved": sum(stands[False][item]["place"] != stands[True][item]["place"] for item in order),
        "items": [
            {
                "work_item": item,
                **readable.get(item, {"interaction": None, "subject": ""}),
                "queue": names[item],
                "before": stands[False][item],
                "after": stands[True][item],
            }
            for item in order[:SHOWN]
        ],
    }


def _scored(found: list[tuple], scale: scoring.Scale, now: float) -> dict[int, dict[str, Any]]:
    """By item: its place from 1 and its score."""
    items = [scale.weigh(dispatch.item_of(row)) for row in found]
    means = engine.means(items)
    ordered = engine.lined_up(items, now, means, scale.weights)
    return {
        item.id: {"place": place, "score": round(engine.score(item, now, means, scale.weights)[0], 3)}
        for place, item in enumerate(ordered, 1)
    }
