"""Work that goes back to its queue without its owner's doing: he is silent, away, or never looked. Its age is kept."""

from django.conf import settings
from django.db import transaction

from crm import rows
from crm.bus import publish
from crm.services import activities, interactions
from routing import events
from routing.services import assignments

# Contacts, agents, holds, items: in the order in which everybody locks them. What somebody has in hand at this moment is
# looked at again in a second.
_BACK = """
WITH due AS MATERIALIZED (
    SELECT a.id, a.agent_id, a.work_item_id, w.interaction_id FROM routing_assignment a
    JOIN routing_workitem w ON w.id = a.work_item_id WHERE a.id = ANY(%(ids)s::bigint[]) AND a.status = 'accepted'
), contacts AS MATERIALIZED (
    SELECT i.id FROM crm_interaction i WHERE i.id IN (SELECT interaction_id FROM due) ORDER BY i.id FOR NO KEY UPDATE SKIP LOCKED
), agents AS MATERIALIZED (
    SELECT g.id, g.user_id FROM routing_agent g WHERE g.id IN (SELECT agent_id FROM due)
        AND (SELECT count(*) FROM contacts) >= 0 ORDER BY g.id FOR NO KEY UPDATE SKIP LOCKED
), ended AS (
    UPDATE routing_assignment a SET status = 'withdrawn', ended_at = now(), reason = %(reason)s
    FROM due d JOIN agents g ON g.id = d.agent_id
    WHERE a.id = d.id AND a.status = 'accepted'
        AND (d.interaction_id IS NULL OR d.interaction_id IN (SELECT id FROM contacts))
    RETURNING a.id, a.agent_id, g.user_id, a.units, a.work_item_id, d.interaction_id
), freed AS (
    UPDATE routing_agent g SET load = g.load - e.units,
        idle_since = CASE WHEN g.load - e.units <= 0 THEN now() ELSE g.idle_since END
    FROM (SELECT agent_id, sum(units) AS units FROM ended GROUP BY agent_id) e WHERE g.id = e.agent_id
), back AS (
    UPDATE routing_workitem w SET status = 'waiting', preferred_agent_id = NULL, preferred_until = NULL,
        attempts = w.attempts + CASE WHEN %(again)s::float8 IS NULL THEN 0 ELSE 1 END,
        not_before = now() + make_interval(secs => %(again)s::float8)
    FROM ended e
    WHERE w.id = e.work_item_id
)
SELECT id, agent_id, user_id, work_item_id, interaction_id FROM ended ORDER BY id
"""

# Who waits for his codes only is no owner of anything any more: the wrap-up's own timer ends that.
_SILENT = """
SELECT a.id FROM routing_agent g JOIN routing_assignment a ON a.agent_id = g.id AND a.status = 'accepted'
JOIN routing_workitem w ON w.id = a.work_item_id
WHERE g.silent AND a.wrap_up_until IS NULL AND a.parked_at IS NULL
    AND g.seen_at < now() - make_interval(secs => CASE WHEN w.family IN ('voice', 'chat') THEN %s ELSE %s END)
ORDER BY a.id LIMIT %s
"""


def give_back(assignment_ids: list[int], reason: str, *, again: float | None = None) -> int:
    """End these holds and let their items wait again in their old place, owned by nobody; returns how many.

    With `again` it was an attempt at a callback, and nobody is offered them for so many seconds.
    """
    with transaction.atomic():
        ended = rows.run(_BACK, {"ids": assignment_ids, "reason": reason[:100], "again": again})
        if not ended:
            return 0
        contacts = [row[4] for row in ended if row[4]]
        interactions.assign([(contact, None) for contact in contacts])
        activities.record_contacts(
            "work_item.returned", [(contact, {"reason": reason}) for contact in contacts]
        )
        publish(*[events.WorkItemQueued(work_item_id=row[3]) for row in ended])
        assignments.say_moved(ended, "assignment.ended", "withdrawn", reason)
    return len(ended)


def take_from_silent(limit: int = 500) -> int:
    """An owner of whom nothing is heard for long owns nothing any more (`practice.md` 2.1); returns what he lost."""
    waits = (settings.OWNER_SILENT_LIVE_SECONDS, settings.OWNER_SILENT_SECONDS)
    lost = [row[0] for row in rows.run(_SILENT, (*waits, limit))]
    return give_back(lost, "owner silent") if lost else 0
