"""Work that has waited long enough moves on to the next queue of its chain, or to the fallback; its age is kept.

Asked once a second by the leader: one statement finds whose time has come, grouped by what it asks; one moves. Nothing goes
back to a queue it came from, so a chain ends.
"""

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from crm import rows
from crm.bus import publish
from crm.services import activities, interactions, streams
from routing import engine, events, rules
from routing.services import dispatch, work_items

AT_ONCE = 1000  # moved in one turn

_DUE = """
WITH timed AS (
    SELECT s.*, sum(s.seconds) OVER (PARTITION BY s.queue_id ORDER BY s.position) AS after FROM routing_queuestep s
), ways AS (
    SELECT queue_id, target_id, skip_if_nobody, position, after FROM timed WHERE gives_up = 'overflow'
    UNION ALL
    SELECT q.id, f.id, false, 32767, q.escape_seconds FROM routing_queue q JOIN routing_queue f ON f.is_fallback AND f.id <> q.id
    WHERE q.escape_seconds IS NOT NULL
)
SELECT x.queue_id, x.target_id, x.skip_if_nobody, w.family, w.units, w.required_skills, w.language, array_agg(w.id ORDER BY w.id)
FROM ways x JOIN routing_workitem w ON w.queue_id = x.queue_id AND w.status = 'waiting'
    AND coalesce(w.entered_at, w.created_at) <= now() - make_interval(secs => x.after)
WHERE NOT coalesce(w.been_in, '[]') @> to_jsonb(x.target_id)
GROUP BY x.position, x.queue_id, x.target_id, x.skip_if_nobody, w.family, w.units, w.required_skills, w.language
ORDER BY x.position, x.queue_id
"""

# Contacts first, as everywhere; what somebody holds at this moment moves at the next turn.
_MOVE = """
WITH given AS (
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS g(item, source, target)
), contacts AS MATERIALIZED (
    SELECT i.id FROM crm_interaction i WHERE i.id IN (
        SELECT w.interaction_id FROM routing_workitem w JOIN given g ON g.item = w.id
    ) ORDER BY i.id FOR NO KEY UPDATE SKIP LOCKED
), free AS MATERIALIZED (
    SELECT w.id FROM routing_workitem w JOIN given g ON g.item = w.id
    WHERE w.interaction_id IS NULL OR w.interaction_id IN (SELECT id FROM contacts)
    ORDER BY w.id FOR NO KEY UPDATE OF w SKIP LOCKED
), moved AS (
    UPDATE routing_workitem w SET queue_id = g.target, entered_at = now(),
        been_in = coalesce(w.been_in, '[]') || to_jsonb(g.source)
    FROM given g JOIN free f ON f.id = g.item WHERE w.id = g.item AND w.status = 'waiting' AND w.queue_id = g.source
    RETURNING w.id, w.interaction_id, w.ticket_id, g.source, g.target
)
SELECT m.id, m.interaction_id, coalesce(i.ticket_id, m.ticket_id), a.slug, b.slug
FROM moved m JOIN routing_queue a ON a.id = m.source JOIN routing_queue b ON b.id = m.target
LEFT JOIN crm_interaction i ON i.id = m.interaction_id ORDER BY m.id
"""


def move(seats: Iterable[engine.Seat]) -> int:
    """Move what is due; `seats` are the agents as the leader knows them. Returns how many moved."""
    found = rows.run(_DUE)
    if not found:
        return 0
    chosen = _chosen(found, [seat for seat in seats if seat.live])
    if not chosen:
        return 0
    with transaction.atomic():
        moved = rows.run(
            _MOVE,
            (
                list(chosen),
                [source for source, _ in chosen.values()],
                [target for _, target in chosen.values()],
            ),
        )
        if moved:
            _say(moved)
    return len(moved)


def _chosen(found: list[tuple], present: list[engine.Seat]) -> dict[int, tuple[int, int]]:
    """Where each item goes: the first target of its chain where somebody is in, or that asks for nobody."""
    queues = dispatch.rules_of_queues()
    chosen: dict[int, tuple[int, int]] = {}
    for queue, target, skips, family, units, skills, language, ids in found:
        asked: Any = rows.from_json(skills)
        item = engine.Item(0, "", family, units, asked, language or None)
        if skips and not rules.somebody_could(queues[target].rule(item, 0.0), present):
            continue
        for one in ids:
            if len(chosen) >= AT_ONCE:
                return chosen
            chosen.setdefault(one, (queue, target))
    return chosen


def _say(moved: list[tuple]) -> None:
    ids = [row[0] for row in moved]
    work_items.own(ids)
    activities.record_many(
        "work_item.overflowed",
        [
            (ticket, {"work_item": item, "interaction": contact, "from": source, "to": target})
            for item, contact, ticket, source, target in moved
            if ticket
        ],
    )
    work_items.changed(work_items=ids)
    publish(*[events.WorkItemQueued(work_item_id=one) for one in ids])
    tellings: list[streams.Telling] = []
    for item, contact, _, source, target in moved:
        tellings.append(
            (streams.EVENTS, "work_item.overflowed", {"work_item": item, "from": source, "to": target})
        )
        if contact:
            tellings.append((f"interaction:{contact}", "interaction.updated", {"interaction": contact}))
    interactions.tell(tellings)
