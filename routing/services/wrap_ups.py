"""Wrap-up (`practice.md` 1.6): live work keeps its agent for the two codes, under a timer; nothing else is kept waiting."""

from django.db import transaction

from crm import rows
from crm.bus import publish
from crm.errors import Conflict, NotFound
from crm.events import InteractionClosed
from crm.models import User
from crm.services import codes, interactions
from routing import events
from routing.choices import AssignmentStatus
from routing.models import Assignment, WorkItem
from routing.services import assignments

NOT_CODED = "not coded"
LEARNED_FROM = 500  # finished items that say what is likely

_BEGIN = """
UPDATE routing_assignment a SET wrap_up_at = now(), wrap_up_until = now() + make_interval(secs => q.wrap_up_seconds)
FROM routing_workitem w JOIN routing_queue q ON q.id = w.queue_id
WHERE a.id = %s AND w.id = a.work_item_id AND a.status = 'accepted' AND a.wrap_up_at IS NULL
    AND w.family IN ('voice', 'chat') AND q.wrap_up_seconds > 0 RETURNING a.agent_id
"""

_EXTEND = """
UPDATE routing_assignment a SET wrap_up_until = a.wrap_up_until + make_interval(secs => q.wrap_up_seconds),
    wrap_up_extended = true
FROM routing_workitem w JOIN routing_queue q ON q.id = w.queue_id
WHERE a.id = %s AND w.id = a.work_item_id AND a.status = 'accepted' AND a.wrap_up_until > now() AND NOT a.wrap_up_extended
RETURNING a.agent_id
"""

# Contacts and agents in the order in which everybody locks them; what somebody has in hand is looked at again in a moment.
_OVER = """
WITH due AS MATERIALIZED (
    SELECT a.id, a.agent_id, a.work_item_id, w.interaction_id FROM routing_assignment a
    JOIN routing_workitem w ON w.id = a.work_item_id
    WHERE a.status = 'accepted' AND a.wrap_up_until <= now() ORDER BY a.wrap_up_until LIMIT %s
), contacts AS MATERIALIZED (
    SELECT i.id FROM crm_interaction i WHERE i.id IN (SELECT interaction_id FROM due) ORDER BY i.id FOR NO KEY UPDATE SKIP LOCKED
), agents AS MATERIALIZED (
    SELECT g.id, g.user_id FROM routing_agent g WHERE g.id IN (SELECT agent_id FROM due)
        AND (SELECT count(*) FROM contacts) >= 0 ORDER BY g.id FOR NO KEY UPDATE SKIP LOCKED
), ended AS (
    UPDATE routing_assignment a SET status = 'completed', ended_at = now(), reason = %s
    FROM due d JOIN agents g ON g.id = d.agent_id
    WHERE a.id = d.id AND a.status = 'accepted' AND a.wrap_up_until <= now()
        AND (d.interaction_id IS NULL OR d.interaction_id IN (SELECT id FROM contacts))
    RETURNING a.id, a.agent_id, g.user_id, a.units, a.work_item_id, d.interaction_id
), freed AS (
    UPDATE routing_agent g SET load = g.load - e.units,
        idle_since = CASE WHEN g.load - e.units <= 0 THEN now() ELSE g.idle_since END
    FROM (SELECT agent_id, sum(units) AS units FROM ended GROUP BY agent_id) e WHERE g.id = e.agent_id
), done AS (
    UPDATE routing_workitem w SET status = 'done', done_at = now(), reason = '', outcome = '' FROM ended e
    WHERE w.id = e.work_item_id
)
SELECT id, agent_id, user_id, work_item_id, interaction_id FROM ended ORDER BY id
"""

# What was given lately, for the same subject first.
_LATELY = """
SELECT kind, code FROM (
    SELECT i.topic = %(topic)s AS same, unnest(ARRAY['reason', 'outcome']) AS kind, unnest(ARRAY[w.reason, w.outcome]) AS code
    FROM (SELECT interaction_id, reason, outcome FROM routing_workitem
          WHERE accepted_at IS NOT NULL AND status = 'done' ORDER BY accepted_at DESC LIMIT %(many)s) w
    JOIN crm_interaction i ON i.id = w.interaction_id
) given WHERE code <> '' GROUP BY kind, code ORDER BY kind, count(*) FILTER (WHERE same) DESC, count(*) DESC, code
"""


def _held(work_item_id: int, by: User) -> Assignment:
    found = (
        Assignment.objects.filter(work_item=work_item_id, status=AssignmentStatus.ACCEPTED, agent__user=by)
        .select_related("agent")
        .first()
    )
    if found is None:
        if not WorkItem.objects.visible_to(by).filter(pk=work_item_id).exists():
            raise NotFound("There is no such item, or it is not yours to see.")
        raise Conflict("You do not hold it.", code="not_held")
    return found


def begin(work_item_id: int, *, by: User) -> Assignment:
    """The live contact is over: the time for its codes runs. Again changes nothing; deferred work has no such time."""
    with transaction.atomic():
        held = _held(work_item_id, by)
        if rows.run(_BEGIN, (held.pk,)):
            _say(held, by)
        held.refresh_from_db()
    if held.wrap_up_at is None:
        raise Conflict("This work has no time for wrap-up.", code="no_wrap_up")
    return held


def extend(work_item_id: int, *, by: User) -> Assignment:
    """The same time again, once."""
    with transaction.atomic():
        held = _held(work_item_id, by)
        if not rows.run(_EXTEND, (held.pk,)):
            raise Conflict("It was extended already, or does not run.", code="not_extended")
        _say(held, by)
        held.refresh_from_db()
    return held


def _say(held: Assignment, by: User) -> None:
    publish(events.PresenceChanged(agent_id=held.agent_id))
    interactions.tell([(f"desk:{by.pk}", "presence.changed", {})])


def end_due(limit: int = 200) -> int:
    """Wrap-ups whose time ran out: saved as not coded, contacts closed, agents free; returns how many."""
    with transaction.atomic():
        ended = rows.run(_OVER, (limit, NOT_CODED))
        if not ended:
            return 0
        closed = interactions.close_all([row[4] for row in ended if row[4]])
        publish(*[InteractionClosed(interaction_id=one) for one in closed])
        publish(*[events.PresenceChanged(agent_id=row[1]) for row in ended])
        told = [telling for one in closed for telling in interactions.closed_tellings(one)]
        assignments.say_moved(ended, "assignment.ended", "completed", NOT_CODED, first=told)
    return len(ended)


def choices(item: WorkItem) -> dict:
    """Both lists for an item, the most likely first; the subject that triage found leads where it is a code."""
    contact = item.interaction
    topic = contact.topic if contact else ""
    brand = contact.channel.brand_id if contact else item.ticket.brand_id
    likely: dict[str, list[str]] = {"reason": [topic] if topic else [], "outcome": []}
    for kind, code in rows.run(_LATELY, {"topic": topic, "many": LEARNED_FROM}):
        likely[kind].append(code)
    return {
        "required": item.queue.codes_required,
        "live": item.family in ("voice", "chat") and item.queue.wrap_up_seconds > 0,
        **{
            kind: [{"code": one.code, "label": one.label, "likely": one.likely} for one in found]
            for kind, found in codes.choices(brand, likely).items()
        },
    }
