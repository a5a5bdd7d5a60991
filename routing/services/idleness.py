"""Why an agent has nothing (more) to do, in words, by the rules and numbers of the router itself (`practice.md` 3.3)."""

from datetime import UTC, datetime
from typing import Any

from crm import rows
from crm.models import User
from routing import engine
from routing.choices import PresenceState
from routing.models import Agent, WorkItem
from routing.services import dispatch, scoring, shifts, standing

LOOKED_AT = 1000  # of what waits, the next due
SHOWN = 10
HELD = "kept free for calls"

_WAITING = """
SELECT count(*), count(*) FILTER (WHERE q.mode IN ('next', 'free')) FROM routing_workitem w
JOIN routing_queue q ON q.id = w.queue_id WHERE w.status = 'waiting'
"""
_WORDS = {
    "held for calls": HELD,
    "could take it at the next round": "comes at the next round, if nobody else takes it first",
}


def of(agent: Agent, by: User) -> dict[str, Any]:
    """What keeps work from him: {"why", "reasons": [{"why", "count"}], "items", …}; a fixed number of statements.

    `why` is the answer in one sentence, `notes` what else limits him; `items` names some of what waits, of what `by` may see;
    `calls`: how many idle agents take calls and how many are kept free; `next_release_at`: when the first item is held no
    longer. `looked_at` of `waiting` were looked at, the next due first.
    """
    now = rows.run("SELECT extract(epoch FROM now())::float8")[0][0]
    waiting, fetched = rows.run(_WAITING)[0]
    scale = scoring.scale()
    items = [scale.weigh(dispatch.item_of(row)) for row in dispatch.pushed(LOOKED_AT)]
    seats = dispatch.seats_of_active()
    holding = standing.holding_of(items, seats, now, scale)
    seat = next((one for one in seats if one.id == agent.pk), None)
    told = engine.why_idle(seat, items, now, shown=len(items), holding=holding) if seat else {}
    reasons: Any = told.get("reasons", {})
    away = _away(agent, seat)
    release = min((holding.items[item.id] for item in items if item.id in holding.items), default=None)
    return {
        "agent": agent.pk,
        "name": str(agent),
        "load": agent.load,
        "units": agent.capacity,
        "why": away or _sentence(reasons, len(items), waiting, fetched),
        "reasons": [{"why": _WORDS.get(why, why), "count": count} for why, count in reasons.items()],
        "items": _named(told, by),
        "notes": _notes(agent, fetched),
        "calls": {"idle": holding.idle, "kept": holding.kept},
        "next_release_at": None if release is None else datetime.fromtimestamp(release, UTC),
        "waiting": waiting,
        "looked_at": len(items),
        "told_at": said.told_at if (said := standing.read()) else None,
    }


def _away(agent: Agent, seat: engine.Seat | None) -> str:
    """Why nothing is offered to him at all; empty when something may be."""
    if seat is None:
        return "No work comes: the account is switched off."
    if agent.chosen != PresenceState.AVAILABLE:
        return f"No work comes: {_state(agent)}."
    if agent.silent or not seat.live and not agent.then_state:
        return "No work comes: not responding, there is no sign of life."
    if agent.then_state:
        return f"No new work comes: {_chosen_next(agent)} begins when what is in hand is over."
    return ""


def _state(agent: Agent) -> str:
    return str(agent.own_reason or PresenceState(agent.chosen).label).lower()


def _chosen_next(agent: Agent) -> str:
    return str(agent.then_reason or PresenceState(agent.then_state).label).lower()


def _sentence(reasons: dict[str, int], looked_at: int, waiting: int, fetched: int) -> str:
    if not waiting:
        return "Nothing waits."
    if not reasons:
        return "Nothing waits that is offered: agents fetch it themselves." if fetched else "Nothing waits."
    why, count = next(iter(reasons.items()))
    return f"{_WORDS.get(why, why)[:1].upper()}{_WORDS.get(why, why)[1:]}: {count} of {looked_at} that wait."


def _notes(agent: Agent, fetched: int) -> list[str]:
    found = []
    if agent.blocked_families:
        found.append(f"Not responding on {', '.join(agent.blocked_families)}: one click brings him back.")
    shift = shifts.shift_of(agent.pk)
    if shift and shift["ending"]:
        found.append(f"The shift ends at {shift['ends_at']:%H:%M} UTC: no call and no chat begins any more.")
    if fetched:
        found.append(f"{fetched} more wait in queues from which agents fetch.")
    return found


def _named(told: dict[str, Any], by: User) -> list[dict[str, Any]]:
    """Some items with what keeps them from him, one of each reason first; of those the reader may see."""
    found: list[dict[str, Any]] = told.get("items", [])
    readable = {
        pk: (interaction, subject)
        for pk, interaction, subject in WorkItem.objects.visible_to(by)
        .filter(pk__in=[one["item"] for one in found])
        .values_list("pk", "interaction_id", "interaction__ticket__subject")
    }
    seen: dict[str, int] = {}
    ranked = []
    for place, one in enumerate(found):
        if one["item"] in readable:
            seen[one["why"]] = seen.get(one["why"], 0) + 1
            ranked.append((seen[one["why"]], place, one))
    return [
        {
            "work_item": one["item"],
            "interaction": readable[one["item"]][0],
            "subject": readable[one["item"]][1] or "",
            "why": _WORDS.get(one["why"], one["why"]),
        }
        for _, _, one in sorted(ranked, key=lambda line: line[:2])[:SHOWN]
    ]
