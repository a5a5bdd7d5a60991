"""Why an item went to whom: what the engine said with each offer. And why it still waits, and what is given up when."""

from datetime import UTC, datetime
from typing import Any

from crm import rows
from routing import engine
from routing.models import Agent, Assignment, Queue, WorkItem
from routing.rules import OVERFLOW, say
from routing.services import dispatch, scoring, standing


def of(work_item_id: int) -> dict:
    """The item's state and every offer made of it with its explanation, newest first."""
    item = WorkItem.objects.get(pk=work_item_id)
    made = (
        Assignment.objects.filter(work_item_id=work_item_id)
        .select_related("agent__user")
        .order_by("-pk")[:50]
    )
    return {
        "work_item": work_item_id,
        "status": item.status,
        "priority_parts": item.priority_parts,
        "waiting": why_waiting([work_item_id]).get(work_item_id) if item.status == "waiting" else None,
        "offers": [
            {
                "id": one.pk,
                "agent": {"id": one.agent_id, "name": str(one.agent.user)},
                "status": one.status,
                "reason_ended": one.reason,
                "offered_at": one.offered_at,
                **one.explanation,
                "step_words": say(one.explanation.get("step") or engine.EXACT),
            }
            for one in made
        ],
    }


def why_waiting(ids: list[int]) -> dict[int, dict[str, Any]]:
    """Of items that wait: {"why", "held_until", "step", "steps": [{"at", "words", "passed"}]}; a fixed number of statements."""
    found = dispatch.rows_of(ids) if ids else []
    if not found:
        return {}
    now = rows.run("SELECT extract(epoch FROM now())::float8")[0][0]
    queues, scale = dispatch.rules_of_queues(), scoring.scale()
    seats = dispatch.seats_of_active()
    names = dict(Queue.objects.values_list("pk", "name"))
    items = {row[0]: scale.weigh(dispatch.item_of(row)) for row in found}
    holding = standing.holding_of(list(items.values()), seats, now, scale)
    explained = {
        one.id: engine.explain(one, seats, now, weights=scale.weights, holding=holding)
        for one in items.values()
    }
    own = _names({one["waits_for"] for one in explained.values()} - {None})
    told = {}
    for row in found:
        item, entered = items[row[0]], dispatch.entered_at(row)
        under = queues[dispatch.queue_of(row)]
        _, step = engine.requirement(item, now)
        told[item.id] = {
            "why": _words(explained[item.id], own),
            "held_until": _moment(holding.items.get(item.id)),
            "step": "" if step == engine.EXACT else say(step),
            "steps": [
                {
                    "at": datetime.fromtimestamp(entered + after, UTC),
                    "words": f"to {names[one.target]}" if one.gives_up == OVERFLOW else say(one.name),
                    "passed": entered + after <= now,
                }
                for after, one in under.timed
            ],
        }
    return told


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _names(agents: set[Any]) -> dict[int, str]:
    known = Agent.objects.filter(pk__in=agents).select_related("user") if agents else ()
    return {agent.pk: str(agent) for agent in known}


def _words(explained: dict[str, object], names: dict[int, str]) -> str:
    """Why it waits, with the agent's name where it waits for one."""
    agent: Any = explained["waits_for"]
    why = str(explained["why"])
    return why.replace(f"agent {agent},", f"{names[agent]},") if agent in names else why
