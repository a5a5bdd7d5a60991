"""Parked work (`practice.md` 2.3): snoozed and pending items cost nothing, and come back to their owner or to the queue."""

from datetime import datetime

from django.conf import settings
from django.db import transaction

from crm import rows
from crm.bus import publish
from crm.errors import Conflict, NotFound
from crm.models import User
from crm.services import activities, interactions, messages, tickets
from routing import events
from routing.choices import AssignmentStatus
from routing.models import Assignment, WorkItem
from routing.services import returns, work_items

OVER = 2  # items above capacity that come back to who is there
UNREAD = 600  # s that an answer waits for its owner
BEFORE_DUE = 900  # s before the next due time at which an absent owner's work goes to others

# Contacts, agents, holds: in the order in which everybody locks them. A call or a chat is never parked: it is on hold.
_PARK = """
WITH held AS MATERIALIZED (
    SELECT a.id, a.agent_id, a.units, w.interaction_id FROM routing_assignment a
    JOIN routing_workitem w ON w.id = a.work_item_id JOIN crm_interaction i ON i.id = w.interaction_id
    WHERE {which} AND a.status = 'accepted' AND w.family NOT IN ('voice', 'chat')
), contacts AS MATERIALIZED (
    SELECT i.id FROM crm_interaction i WHERE i.id IN (SELECT interaction_id FROM held){still} ORDER BY i.id
    FOR NO KEY UPDATE {skip}
), agents AS MATERIALIZED (
    SELECT g.id, g.user_id, g.parked_limit FROM routing_agent g WHERE g.id IN (SELECT agent_id FROM held)
        AND (SELECT count(*) FROM contacts) >= 0 ORDER BY g.id FOR NO KEY UPDATE {skip}
), parked AS (
    UPDATE routing_assignment a SET units = 0, parked_at = coalesce(a.parked_at, now()), parked_until = %(until)s::timestamptz,
        answered_at = NULL, interrupted_at = NULL
    FROM held h JOIN agents g ON g.id = h.agent_id WHERE a.id = h.id AND a.status = 'accepted' AND a.wrap_up_until IS NULL
        AND h.interaction_id IN (SELECT id FROM contacts)
    RETURNING a.id, a.agent_id, a.work_item_id, h.units, h.interaction_id
), freed AS (
    UPDATE routing_agent g SET load = g.load - p.units,
        idle_since = CASE WHEN g.load - p.units <= 0 THEN now() ELSE g.idle_since END
    FROM (SELECT agent_id, sum(units) AS units FROM parked GROUP BY agent_id) p WHERE g.id = p.agent_id
)
SELECT p.id, p.agent_id, g.user_id, p.work_item_id, p.interaction_id, g.parked_limit
FROM parked p JOIN agents g ON g.id = p.agent_id ORDER BY p.id
"""

_COUNT = """
SELECT agent_id, count(*) FROM routing_assignment WHERE agent_id = ANY(%s::bigint[]) AND status = 'accepted'
    AND parked_at IS NOT NULL AND interrupted_at IS NULL GROUP BY agent_id
"""

# Answered, and the customer's turn: nobody touched it for the time that its queue gives. As many as may be kept aside.
_PENDING = """
SELECT id FROM (
    SELECT a.id, g.parked_limit - (SELECT count(*) FROM routing_assignment p WHERE p.agent_id = a.agent_id
        AND p.status = 'accepted' AND p.parked_at IS NOT NULL AND p.interrupted_at IS NULL) AS room,
        row_number() OVER (PARTITION BY a.agent_id ORDER BY i.last_message_at, a.id) AS place
    FROM routing_assignment a JOIN routing_agent g ON g.id = a.agent_id JOIN routing_workitem w ON w.id = a.work_item_id
    JOIN routing_queue q ON q.id = w.queue_id JOIN crm_interaction i ON i.id = w.interaction_id
    WHERE a.status = 'accepted' AND a.parked_at IS NULL AND a.wrap_up_until IS NULL AND w.family NOT IN ('voice', 'chat')
        AND w.kind = '' AND i.waiting_since IS NULL AND i.first_response_at IS NOT NULL
        AND greatest(i.last_message_at, a.accepted_at, a.in_hand_at) < now() - make_interval(secs => q.pending_seconds)
) due WHERE place <= room ORDER BY id LIMIT 500
"""

# What is due, to owners who are there, as much as fits: the oldest first, at most OVER items above capacity.
_RETURN = """
WITH due AS MATERIALIZED (
    SELECT a.id, a.agent_id, w.units, coalesce(a.answered_at, a.parked_until) AS since FROM routing_assignment a
    JOIN routing_workitem w ON w.id = a.work_item_id
    WHERE a.status = 'accepted' AND a.parked_at IS NOT NULL AND (a.interrupted_at IS NULL OR %(only)s::bigint IS NOT NULL)
        AND (%(only)s::bigint IS NULL OR a.id = %(only)s::bigint)
        AND (a.answered_at IS NOT NULL OR a.parked_until <= now() OR a.id = %(only)s::bigint)
), agents AS MATERIALIZED (
    SELECT g.id, g.user_id, g.load, g.capacity FROM routing_agent g WHERE g.id IN (SELECT agent_id FROM due)
        AND (%(only)s::bigint IS NOT NULL OR g.chosen = 'available' AND NOT g.silent)
    ORDER BY g.id FOR NO KEY UPDATE {skip}
), fitting AS (
    SELECT d.id, d.units, g.id AS agent_id, g.user_id, g.capacity,
        g.load + sum(d.units) OVER (PARTITION BY g.id ORDER BY d.since, d.id) AS after
    FROM due d JOIN agents g ON g.id = d.agent_id
), back AS (
    UPDATE routing_assignment a SET units = f.units, parked_at = NULL, parked_until = NULL, answered_at = NULL,
        interrupted_at = NULL, in_hand_at = now() FROM fitting f
    WHERE a.id = f.id AND a.status = 'accepted' AND a.parked_at IS NOT NULL
        AND f.after <= least(f.capacity + %(over)s * f.units, 2 * f.capacity)
    RETURNING a.id, a.agent_id, f.user_id, a.work_item_id, a.units
), loaded AS (
    UPDATE routing_agent g SET load = g.load + b.units
    FROM (SELECT agent_id, sum(units) AS units FROM back GROUP BY agent_id) b WHERE g.id = b.agent_id
)
SELECT b.id, b.agent_id, b.user_id, b.work_item_id, w.interaction_id FROM back b JOIN routing_workitem w ON w.id = b.work_item_id
ORDER BY b.id
"""

# What nobody looked at in time, and what falls due while its owner is away.
_LEFT = """
SELECT a.id, a.answered_at IS NOT NULL OR a.parked_until IS NOT NULL AND a.parked_until < now() AS unread
FROM routing_assignment a JOIN routing_workitem w ON w.id = a.work_item_id JOIN routing_agent g ON g.id = a.agent_id
LEFT JOIN crm_interaction i ON i.id = w.interaction_id LEFT JOIN crm_ticket t ON t.id = i.ticket_id
WHERE a.status = 'accepted' AND a.parked_at IS NOT NULL AND (
    least(a.answered_at, a.parked_until) < now() - make_interval(secs => %(unread)s)
    OR ((g.chosen = 'offline' AND g.chosen_since < now() - make_interval(secs => %(unread)s)
         OR g.silent AND g.seen_at < now() - make_interval(secs => %(silent)s))
        AND least(t.next_due_at, CASE WHEN i.first_response_at IS NULL THEN w.deadline END, a.parked_until)
            < now() + make_interval(secs => %(before)s))
) ORDER BY a.id LIMIT 500
"""


def _own(work_item_id: int, by: User) -> Assignment:
    found = (
        Assignment.objects.filter(work_item=work_item_id, status=AssignmentStatus.ACCEPTED, agent__user=by)
        .select_related("work_item__interaction__ticket")
        .first()
    )
    if found is None:
        if not WorkItem.objects.visible_to(by).filter(pk=work_item_id).exists():
            raise NotFound("There is no such item, or it is not yours to see.")
        raise Conflict("You do not hold it.", code="not_held")
    return found


def park(work_item_id: int, *, by: User, until: datetime | None = None, note: str = "") -> Assignment:
    """Put own work aside: until a time (its ticket sleeps), or without one until the customer writes (pending).

    `note` is the next action, and stands in the thread.
    """
    held = _own(work_item_id, by)
    contact = held.work_item.interaction
    if contact is None or held.work_item.family in ("voice", "chat"):
        raise Conflict("A live contact is put on hold, not aside.", code="is_live")
    if until is not None:
        tickets.snooze(contact.ticket, until=until, by=by)
    else:
        with transaction.atomic():
            _park("w.id = %(id)s::bigint", work_item_id, None)
            activities.record("work_item.parked", by=by, interaction_id=contact.pk)
    held.refresh_from_db()
    if held.parked_at is None:
        raise Conflict("You do not hold it any more.", code="not_held")
    if note.strip():
        messages.note(contact, by=by, text=note)
    return held


def park_ticket(ticket_id: int, until: datetime) -> None:
    """Whoever holds work on a ticket that sleeps has room for other work; within the caller's transaction."""
    _park("i.ticket_id = %(id)s::bigint", ticket_id, until)


def _park(which: str, pk: int, until: datetime | None) -> None:
    parked = rows.run(_PARK.format(which=which, still="", skip=""), {"id": pk, "until": until})
    if not parked:
        return
    limits = {row[1]: row[5] for row in parked}
    for agent, count in rows.run(_COUNT, (list(limits),)):
        if count > limits[agent]:
            raise Conflict(f"At most {limits[agent]} items are kept aside.", code="too_many_parked")
    _say(parked)


def put_answered_aside() -> int:
    """What is answered and waits for its customer costs nobody anything after its queue's time; returns how much it was."""
    due = [row[0] for row in rows.run(_PENDING)]
    if not due:
        return 0
    asked = _PARK.format(
        which="a.id = ANY(%(id)s::bigint[]) AND a.parked_at IS NULL",
        still=" AND i.waiting_since IS NULL",
        skip="SKIP LOCKED",
    )
    with transaction.atomic():
        parked = rows.run(asked, {"id": due, "until": None})
        if parked:
            activities.record_contacts("work_item.pending", [(row[4], {"agent": row[1]}) for row in parked])
            _say(parked)
    return len(parked)


def take_up(work_item_id: int, *, by: User) -> Assignment:
    """Go on with own parked work; there must be room, or at most two items too many."""
    with transaction.atomic():
        held = _own(work_item_id, by)
        if held.parked_at is None:
            raise Conflict("It is in your hands.", code="not_parked")
        back = rows.run(_RETURN.format(skip=""), {"only": held.pk, "over": OVER})
        if not back:
            raise Conflict("You have no room for it.", code="no_capacity")
        _say(back)
    held.refresh_from_db()
    return held


def _say(moved: list[tuple]) -> None:
    agents = sorted({row[1] for row in moved})
    work_items.changed(agents=agents)
    publish(*[events.PresenceChanged(agent_id=one) for one in agents])
    interactions.tell(
        [(f"desk:{user}", "presence.changed", {}) for user in sorted({row[2] for row in moved})]
    )


def answered(interaction_ids: list[int]) -> None:
    """The customers of these contacts wrote; within the transaction that takes their words in."""
    if interaction_ids:
        rows.write(
            "UPDATE routing_assignment a SET answered_at = coalesce(a.answered_at, now()) FROM routing_workitem w "
            "WHERE w.interaction_id = ANY(%s::bigint[]) AND w.status = 'assigned' AND a.work_item_id = w.id "
            "AND a.status = 'accepted' AND a.parked_at IS NOT NULL",
            (sorted(set(interaction_ids)),),
        )


def due(ticket_ids: list[int]) -> None:
    """These tickets sleep no longer: their work is due now."""
    rows.write(
        "UPDATE routing_assignment a SET parked_until = now() FROM routing_workitem w JOIN crm_interaction i "
        "ON i.id = w.interaction_id WHERE i.ticket_id = ANY(%s::bigint[]) AND w.status = 'assigned' "
        "AND a.work_item_id = w.id AND a.status = 'accepted' AND a.parked_at IS NOT NULL",
        (sorted(set(ticket_ids)),),
    )


def keep() -> int:
    """Once a second: what is due comes back to its owner, or goes to the queue with its age; returns how much moved."""
    with transaction.atomic():
        back = rows.run(_RETURN.format(skip="SKIP LOCKED"), {"only": None, "over": OVER})
        if back:
            _say(back)
            interactions.tell(
                [
                    (f"desk:{row[2]}", "alert", {"text": "Parked work is back.", "interaction": row[4]})
                    for row in back
                ]
            )
    waits = {"unread": UNREAD, "silent": settings.OWNER_SILENT_SECONDS, "before": BEFORE_DUE}
    left = rows.run(_LEFT, waits)
    unread = [row[0] for row in left if row[1]]
    absent = [row[0] for row in left if not row[1]]
    moved = returns.give_back(unread, "unread") if unread else 0
    return len(back) + moved + (returns.give_back(absent, "owner absent") if absent else 0)
