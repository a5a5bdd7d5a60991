"""Work items: queued with skills and a deadline, returned to their place, withdrawn."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from crm import live, rows
from crm.bus import publish
from crm.choices import Family
from crm.judging import Opening, Owner
from routing import events
from routing.models import Queue

NOTHING_OWN: Mapping[str, int] = {}
UNITS = {Family.VOICE: 15, Family.CHAT: 5}
PREFERRED_SECONDS = 60

_HELD = """
SELECT DISTINCT ON (w.customer_id) w.customer_id, a.agent_id FROM routing_workitem w
JOIN routing_assignment a ON a.work_item_id = w.id AND a.status = 'accepted'
WHERE w.status = 'assigned' AND w.customer_id = ANY(%s) ORDER BY w.customer_id, a.accepted_at DESC
"""

# Who answers for the queue answers for the contact and its problem; the first answer to it is due with the item. What just
# opened was written so: only what opens again, or came otherwise, is touched.
_OWN = """
WITH queued AS (
    SELECT w.interaction_id, i.ticket_id, i.first_response_at, w.deadline, q.team_id
    FROM routing_workitem w JOIN routing_queue q ON q.id = w.queue_id JOIN crm_interaction i ON i.id = w.interaction_id
    WHERE w.id = ANY(%s)
), teamed AS (
    UPDATE crm_interaction i SET team_id = q.team_id FROM queued q
    WHERE i.id = q.interaction_id AND i.team_id IS DISTINCT FROM q.team_id
)
UPDATE crm_ticket t SET team_id = d.team_id,
    due_at = CASE WHEN d.first_response_at IS NULL THEN least(coalesce(t.due_at, d.deadline), d.deadline) ELSE t.due_at END
FROM queued d WHERE t.id = d.ticket_id AND (t.team_id IS DISTINCT FROM d.team_id
    OR d.first_response_at IS NULL AND (t.due_at IS NULL OR t.due_at > d.deadline))
"""


_QUEUES = rows.with_columns(
    "SELECT (SELECT array_agg(code::text) FROM routing_skill), {q} FROM routing_queue q ORDER BY q.id",
    q=Queue,
)


def offer_seconds(family: str, own: Mapping[str, int] = NOTHING_OWN) -> int:
    """How long an offer rings (`practice.md` 2.2): what its queue says of the family, else the installation."""
    return own.get(family) or getattr(
        settings, "OFFER_SECONDS_" + {"voice": "CALL"}.get(family, family.upper())
    )


def units_of(family: str) -> int:
    """What an item takes of an agent's capacity: a call all of it, a chat a third, deferred work a fifth."""
    return UNITS.get(Family(family), 3)


class _Desk:
    """The queues and skills as a batch sees them, and which queue an interaction belongs to."""

    def __init__(self) -> None:
        found = rows.kept(_QUEUES)
        self.queues = [rows.made(Queue, row[1:]) for row in found]
        self.skills = set(found[0][0] or ()) if found else set()
        self.by_slug = {queue.slug: queue for queue in self.queues}
        everywhere = [queue for queue in self.queues if not queue.channels]
        self.by_topic = {topic: queue for queue in reversed(everywhere) for topic in queue.topics}
        self.by_channel: dict[str, list[Queue]] = {}
        for queue in sorted(self.queues, key=lambda one: not one.topics):  # who names topics too, first
            for channel in queue.channels:
                self.by_channel.setdefault(channel, []).append(queue)
        self.fallback = next(
            (q for q in self.queues if q.is_fallback), self.queues[-1] if self.queues else None
        )

    def queue_for(self, hint: str, topic: str, channel: str) -> Queue:
        """By channel, by a rule's hint, by topic, else the fallback: nothing is left without a queue."""
        for queue in self.by_channel.get(channel, ()):
            if not queue.topics or topic in queue.topics:
                return queue
        hinted = self.by_slug.get(hint)
        if hinted is not None and not hinted.channels:
            return hinted
        return self.by_topic.get(topic) or self.fallback


class _Kept:
    """What a process that reads the queues for every batch remembers of them."""

    seconds = 0.0
    desk: _Desk | None = None
    until = 0.0


def remember_queues(seconds: float) -> None:
    """Believe what was read of queues and skills for so long: for the conveyor, which reads them many times a second."""
    _Kept.seconds, _Kept.desk = seconds, None


def _desk() -> _Desk:
    now = time.monotonic()
    if _Kept.desk is None or now >= _Kept.until:
        _Kept.desk, _Kept.until = _Desk(), now + _Kept.seconds
    return _Kept.desk


def owners(openings: list[Opening]) -> list[Owner]:
    """Whose queue each contact that opens will wait in, and until when: the same rules as when it is queued."""
    desk = _desk()
    if desk.fallback is None:
        return [Owner() for _ in openings]
    queues = [desk.queue_for(one.queue_hint, one.topic, one.channel) for one in openings]
    return [
        Owner(queue.team_id, _due(one.received_at, one.family, queue))
        for one, queue in zip(openings, queues, strict=True)
    ]


def enqueue(interaction_ids: list[int]) -> None:
    """Queue opened interactions, set-based, in the opener's transaction. One that is queued already stays as it is."""
    opened = rows.run(
        "SELECT i.id, family, queue_hint, topic, required_skills, language, priority_parts, customer_id, "
        "coalesce(waiting_since, received_at) AS since, received_at, now(), nextval('routing_workitem_id_seq'), "
        "(SELECT c.slug FROM crm_channel c WHERE c.id = i.channel_id) "
        "FROM crm_interaction i WHERE id = ANY(%s::bigint[]) AND status = 'open' "
        "AND NOT EXISTS (SELECT 1 FROM routing_workitem w "
        "WHERE w.interaction_id = i.id AND w.status IN ('waiting', 'offered', 'assigned')) ORDER BY id",
        (sorted(set(interaction_ids)),),
    )
    if not opened:
        return
    desk = _desk()
    if desk.fallback is None:
        return
    held = dict(rows.run(_HELD, (sorted({row[7] for row in opened}),)))
    queues = [desk.queue_for(row[2], row[3], row[12]) for row in opened]
    n = len(opened)
    # Targets run from when we had it, not from the network's own time.
    queued_at = [row[9] for row in opened]
    ids = [row[11] for row in opened]
    rows.insert(
        "routing_workitem",
        {
            "id": ("bigint", ids),
            "interaction_id": ("bigint", [row[0] for row in opened]),
            "queue_id": ("bigint", [queue.pk for queue in queues]),
            "status": ("text", ["waiting"] * n),
            "family": ("text", [row[1] for row in opened]),
            "units": ("smallint", [units_of(row[1]) for row in opened]),
            "required_skills": ("jsonb", [rows.as_json(_skills(row[4], desk)) for row in opened]),
            "language": ("text", [row[5] for row in opened]),
            "priority_parts": ("jsonb", [rows.json_text(row[6]) for row in opened]),
            "customer_id": ("bigint", [row[7] for row in opened]),
            "preferred_agent_id": ("bigint", [held.get(row[7]) for row in opened]),
            "refused_by": ("jsonb", ["[]"] * n),
            "preferred_until": ("timestamptz", [_preferred_until(row, held) for row in opened]),
            "queued_at": ("timestamptz", queued_at),
            "deadline": (
                "timestamptz",
                [_due(row[9], row[1], queue) for row, queue in zip(opened, queues, strict=True)],
            ),
            "reason": ("text", [""] * n),
            "outcome": ("text", [""] * n),
        },
        tail="ON CONFLICT (interaction_id) WHERE status IN ('waiting', 'offered', 'assigned') DO NOTHING",
    )
    own(ids)
    changed(work_items=ids)
    publish(*[events.WorkItemQueued(work_item_id=one) for one in ids])


def own(ids: list[int]) -> None:
    """Who answers for the queue of these items answers for their contacts and tickets."""
    rows.write(_OWN, (ids,))


def _preferred_until(row: tuple, held: dict[int, int]) -> datetime | None:
    return row[10] + timedelta(seconds=PREFERRED_SECONDS) if row[7] in held else None


def _due(since: datetime, family: str, queue: Queue) -> datetime:
    return since + timedelta(seconds=float(queue.targets.get(family, 3600)))


def _skills(codes, desk: _Desk) -> dict[str, int]:
    codes = rows.from_json(codes) or []
    # A skill that no list knows cannot be had: it must not make an item wait for ever.
    return {code: 1 for code in codes if code in desk.skills}


def changed(work_items: list[int] = (), agents: list[int] = ()) -> None:
    """Tell the conveyor which rows to read again; it deletes what it read. Rings after commit."""
    items, people = sorted(set(work_items)), sorted(set(agents))
    if items or people:
        rows.write(
            "INSERT INTO routing_change (work_item_id, agent_id) SELECT * FROM unnest(%s::bigint[], %s::bigint[])",
            ([*items, *[None] * len(people)], [*[None] * len(items), *people]),
        )
    live.ring(live.CONVEYOR)


def rules_changed(queue_id: int) -> None:
    """Tell the conveyor to read again what waits in a queue whose rules changed. Rings after commit."""
    rows.write(
        "INSERT INTO routing_change (work_item_id) SELECT id FROM routing_workitem WHERE queue_id = %s AND status = 'waiting'",
        (queue_id,),
    )
    live.ring(live.CONVEYOR)


# Agents first: everybody who ends a hold locks them before the hold and its item.
_WITHDRAW = """
WITH agents AS MATERIALIZED (
    SELECT g.id FROM routing_agent g WHERE g.id IN (
        SELECT a.agent_id FROM routing_assignment a JOIN routing_workitem w ON w.id = a.work_item_id
        WHERE w.interaction_id = ANY(%(contacts)s::bigint[]) AND a.status IN ('offered', 'accepted')
    ) ORDER BY g.id FOR NO KEY UPDATE
), out AS (
    UPDATE routing_workitem SET status = 'withdrawn', done_at = now()
    WHERE interaction_id = ANY(%(contacts)s::bigint[]) AND status IN ('waiting', 'offered', 'assigned')
        AND (SELECT count(*) FROM agents) >= 0 RETURNING id, interaction_id
), ended AS (
    UPDATE routing_assignment a SET status = 'withdrawn', ended_at = now(), reason = 'closed'
    FROM out WHERE a.work_item_id = out.id AND a.status IN ('offered', 'accepted')
    RETURNING a.id, a.agent_id, a.units, a.work_item_id, out.interaction_id
), freed AS (
    UPDATE routing_agent g SET load = g.load - e.units,
        idle_since = CASE WHEN g.load - e.units <= 0 THEN now() ELSE g.idle_since END
    FROM (SELECT agent_id, sum(units) AS units FROM ended GROUP BY agent_id) e WHERE g.id = e.agent_id
)
SELECT e.id, e.agent_id, u.user_id, o.id, o.interaction_id FROM out o
LEFT JOIN ended e ON e.work_item_id = o.id LEFT JOIN routing_agent u ON u.id = e.agent_id
"""


def withdraw(interaction_ids: list[int]) -> list[tuple]:
    """Take open work items of these interactions out: they were closed or folded. Frees whoever held them.

    Returns the holds that ended: (assignment, agent, user, work item, interaction).
    """
    gone = rows.kept(_WITHDRAW, {"contacts": interaction_ids})
    ended = [row for row in gone if row[0] is not None]
    changed(work_items=[row[3] for row in gone], agents=[row[1] for row in ended])
    return ended


def follow_customers(customers: list[int]) -> None:
    """Open work items of these customers' contacts become theirs. Rows that others hold are passed over, never waited for."""
    with transaction.atomic():
        moved = rows.run(
            """
            UPDATE routing_workitem w SET customer_id = s.customer_id FROM (
                SELECT o.id, i.customer_id FROM crm_interaction i JOIN routing_workitem o ON o.interaction_id = i.id
                WHERE i.customer_id = ANY(%s) AND i.status = 'open' AND o.status IN ('waiting', 'offered', 'assigned')
                    AND o.customer_id IS DISTINCT FROM i.customer_id
                ORDER BY o.id FOR UPDATE OF o SKIP LOCKED
            ) s WHERE w.id = s.id RETURNING w.id
            """,
            (customers,),
        )
        changed(work_items=[row[0] for row in moved])
