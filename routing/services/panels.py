"""What the distributor shows beside an interaction: its work item, where it may go, and why whom."""

from crm.access import Permission, may, outside_closed
from crm.choices import Family
from crm.models import User
from routing.engine import EXACT
from routing.models import Agent, Assignment, Queue, WorkItem
from routing.rules import say
from routing.services import explanations, joinings, places

COLLEAGUES = 200  # shown to choose from
OPEN = ("waiting", "offered", "assigned")


def of_interactions(interaction_ids: list[int], user: User) -> dict[int, dict]:
    """Work item, score, explanation and queues for pages of interactions; a fixed number of statements for the list."""
    items = WorkItem.objects.filter(interaction__in=interaction_ids).select_related("queue").order_by("pk")
    newest = {item.interaction_id: item for item in items}
    held = Assignment.objects.filter(work_item__in=[item.pk for item in newest.values()]).order_by("pk")
    last = {assignment.work_item_id: assignment for assignment in held.select_related("agent")}
    names = _names(list(last.values()))
    waits = explanations.why_waiting([item.pk for item in newest.values() if item.status == "waiting"])
    told = places.of_items(list(newest.values()))
    queues = list(Queue.objects.order_by("name")) if newest else []
    live = [one.pk for one in last.values() if one.status == "accepted"]
    joined = joinings.of_holds(live) if live else {}
    shown = {
        interaction: _panel(item, last.get(item.pk), names, user)
        | {"queues": queues, "waits": waits.get(item.pk), "wait": told.get(item.pk)}
        for interaction, item in newest.items()
    }
    mine = any(one["held"] and not one["can_help"] and one["can_act"] for one in shown.values())
    colleagues = _colleagues(user) if mine else []
    for one in shown.values():
        one["joinings"] = joined.get(one["held"].pk, []) if one["held"] else []
        one["joining"] = next((each for each in one["joinings"] if each.user_id == user.pk), None)
        one["colleagues"] = colleagues
    return shown


def _colleagues(user: User) -> list[Agent]:
    """Who is there to be asked in or handed something, by name."""
    there = Agent.objects.filter(chosen="available", silent=False, user__is_active=True).exclude(user=user)
    known = outside_closed(there.select_related("user"), user, "user__team", own="user")
    return list(known.order_by("user__name", "pk")[:COLLEAGUES])


def _panel(item: WorkItem, assignment: Assignment | None, names: dict[int, str], user: User) -> dict:
    shown: dict = {
        "work_item": item if item.status in OPEN else None,
        "score": None,
        "explanation": None,
        "can_act": False,
        "held": None,
        "can_help": False,
        "can_promise": item.status == "waiting"
        and (item.family in (Family.VOICE, Family.CHAT) or bool(item.kind)),
    }
    if assignment is not None:
        shown["score"] = assignment.score or None
        shown["explanation"] = _explanation(assignment, names)
        held = item.status == "assigned" and assignment.status == "accepted"
        shown["held"] = assignment if held else None
        shown["can_help"] = held and assignment.agent.user_id != user.pk and may(user, Permission.SUPERVISE)
        shown["can_act"] = held and (assignment.agent.user_id == user.pk or may(user, Permission.SUPERVISE))
    return shown


def _names(assignments: list[Assignment]) -> dict[int, str]:
    """The names of everybody who was considered, in one statement."""
    wanted = {
        one.get("agent") for assignment in assignments for one in assignment.explanation.get("candidates", ())
    }
    wanted |= {assignment.agent_id for assignment in assignments}
    agents = Agent.objects.filter(pk__in=[pk for pk in wanted if isinstance(pk, int)]).select_related("user")
    return {agent.pk: str(agent) for agent in agents}


def _explanation(assignment: Assignment, names: dict[int, str]) -> dict | None:
    said = assignment.explanation
    if not said.get("reason"):
        return None
    candidates = said.get("candidates") or [{"agent": assignment.agent_id}]
    return {
        "reason": said["reason"],
        "step": "" if said.get("step") in (None, "", EXACT) else say(said["step"]),
        "candidates": [_candidate(one, assignment, names) for one in candidates],
    }


def _candidate(one: dict, assignment: Assignment, names: dict[int, str]) -> dict:
    """One row of the table: the score is the item's own, so only who got it shows its parts."""
    chosen = one.get("agent") == assignment.agent_id
    return {
        "agent": names.get(one.get("agent"), "somebody who left"),
        "score": assignment.score if chosen else None,
        "parts": assignment.explanation.get("parts", {}) if chosen else {},
        "why_not": "" if chosen else one.get("why", ""),
    }
