"""A call may interrupt deferred work, never the other way round (`practice.md` 2.3).

Asked once a second by the leader, after its round: a call that has waited as long as its queue says (`interrupt_seconds`) and
found nobody whole gets the one who could take it and has the least deferred work in hand. That work is set aside: it costs
nothing, stays his, and comes back before anything new as soon as he is in no call. A chat, another call, an offer that rings
and a wrap-up are never interrupted. Nothing comes on top of what is set aside: its room is kept (`dispatch._SEATS`).
"""

from collections.abc import Iterable
from dataclasses import replace

from django.db import transaction

from crm import rows
from crm.bus import publish
from crm.services import activities, interactions
from routing import engine, events
from routing.services import dispatch, parking, scoring, work_items

OVER = parking.OVER  # items above capacity that come back, as with all parked work
WHY = "its call had waited; deferred work was set aside"

_DUE = """
SELECT w.id FROM routing_workitem w JOIN routing_queue q ON q.id = w.queue_id
WHERE w.id = ANY(%s) AND w.status = 'waiting' AND w.not_before IS NULL AND q.mode IN ('push', 'auto')
    AND coalesce(w.entered_at, w.created_at) <= now() - make_interval(secs => q.interrupt_seconds)
"""

# All that he has in hand, or nothing: a call takes him whole. Whom somebody holds at this moment is asked in a second again.
_SET_ASIDE = """
WITH agent AS MATERIALIZED (
    SELECT id, user_id, load FROM routing_agent WHERE id = %s AND chosen = 'available' AND NOT silent
    FOR NO KEY UPDATE SKIP LOCKED
), held AS (
    SELECT a.id, a.units, a.agent_id, w.id AS item, w.interaction_id FROM agent g
    JOIN routing_assignment a ON a.agent_id = g.id AND a.status = 'accepted' AND a.units > 0 AND a.wrap_up_until IS NULL
    JOIN routing_workitem w ON w.id = a.work_item_id AND w.family NOT IN ('voice', 'chat')
), aside AS (
    UPDATE routing_assignment a SET units = 0, parked_at = now(), parked_until = NULL, answered_at = NULL, interrupted_at = now()
    FROM held h, agent g
    WHERE a.id = h.id AND a.status = 'accepted' AND g.load = (SELECT sum(units) FROM held) RETURNING a.id
), freed AS (
    UPDATE routing_agent g SET load = 0 FROM agent WHERE g.id = agent.id AND EXISTS (SELECT 1 FROM aside)
)
SELECT h.id, h.agent_id, g.user_id, h.item, h.interaction_id FROM held h JOIN aside USING (id), agent g ORDER BY h.id
"""

_COME_BACK = """
WITH due AS MATERIALIZED (
    SELECT a.id, a.agent_id, a.interrupted_at, w.units, w.id AS item, w.interaction_id FROM routing_assignment a
    JOIN routing_workitem w ON w.id = a.work_item_id
    WHERE a.status = 'accepted' AND a.parked_at IS NOT NULL AND a.interrupted_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM routing_assignment c JOIN routing_workitem v ON v.id = c.work_item_id AND v.family = 'voice'
        WHERE c.agent_id = a.agent_id AND c.status IN ('offered', 'accepted')
    )
), agents AS MATERIALIZED (
    SELECT g.id, g.user_id, g.load, g.capacity FROM routing_agent g WHERE g.id IN (SELECT agent_id FROM due)
    ORDER BY g.id FOR NO KEY UPDATE SKIP LOCKED
), fitting AS (
    SELECT d.*, g.user_id, g.capacity,
        g.load + sum(d.units) OVER (PARTITION BY g.id ORDER BY d.interrupted_at, d.id) AS after
    FROM due d JOIN agents g ON g.id = d.agent_id
), back AS (
    UPDATE routing_assignment a SET units = f.units, parked_at = NULL, parked_until = NULL, answered_at = NULL,
        interrupted_at = NULL, in_hand_at = now()
    FROM fitting f WHERE a.id = f.id AND a.status = 'accepted' AND a.interrupted_at IS NOT NULL
        AND f.after <= least(f.capacity + %s * f.units, 2 * f.capacity)
    RETURNING a.id, a.agent_id, f.user_id, f.item, f.interaction_id, f.units
), loaded AS (
    UPDATE routing_agent g SET load = g.load + b.units
    FROM (SELECT agent_id, sum(units) AS units FROM back GROUP BY agent_id) b WHERE g.id = b.agent_id
)
SELECT id, agent_id, user_id, item, interaction_id FROM back ORDER BY id
"""


class _NotNow(Exception):
    """He, or the call, moved on meanwhile: nothing is set aside."""


def make(calls: Iterable[int], seats: list[engine.Seat]) -> int:
    """Give calls that have waited long enough to agents with deferred work alone; returns how many were given.

    `calls` are those that wait and `seats` the agents, as the leader knows them.
    """
    waiting = sorted(calls)
    due = [row[0] for row in rows.run(_DUE, (waiting,))] if waiting else []
    if not due:
        return 0
    now = rows.run("SELECT extract(epoch FROM now())::float8")[0][0]
    scale = scoring.scale()
    found = dispatch.rows_of(due)
    items = [scale.weigh(dispatch.item_of(row)) for row in found]
    rings = {row[0]: dispatch.ring_of(row) for row in found}
    means = engine.means(items)
    free = [
        seat
        for seat in seats
        if seat.live and seat.load > 0 and not seat.in_call and "chat" not in seat.open_family
    ]
    given = 0
    for item in sorted(items, key=lambda one: engine.order_key(one, now, means, scale.weights)):
        able = [
            seat for seat in free if engine.why_not(item, replace(seat, load=0, open_family={}), now) is None
        ]
        for seat in sorted(able, key=lambda one: (one.load, engine.flexibility(one), one.idle_since, one.id)):
            free.remove(seat)
            if _one(item, seat, engine.score(item, now, means, scale.weights), rings):
                given += 1
                break
    return given


def _one(item: engine.Item, seat: engine.Seat, scored: tuple[float, dict], rings: dict[int, int]) -> bool:
    total, parts = scored
    decision = engine.Decision(
        item.id, seat.id, max(1, seat.capacity), total, parts, WHY, [{"agent": seat.id, "eligible": True, "why": WHY}],
        engine.EXACT, False,
    )  # fmt: skip
    try:
        with transaction.atomic():
            aside = rows.run(_SET_ASIDE, (seat.id,))
            if not aside:
                raise _NotNow
            _record(aside, "work_item.interrupted", {"by": item.id})
            work_items.changed(work_items=[item.id])
            if not dispatch.commit([decision], rings):
                raise _NotNow
    except _NotNow:
        return False
    return True


def end() -> int:
    """What calls had set aside comes back to who is in no call any more; returns how much."""
    with transaction.atomic():
        back = rows.run(_COME_BACK, (OVER,))
        if back:
            _record(back, "work_item.resumed", {})
            desks = sorted({row[2] for row in back})
            interactions.tell([(f"desk:{user}", "presence.changed", {}) for user in desks])
    return len(back)


def _record(moved: list[tuple], verb: str, data: dict) -> None:
    activities.record_contacts(verb, [(row[4], data) for row in moved if row[4]])
    agents = sorted({row[1] for row in moved})
    work_items.changed(agents=agents)
    publish(*[events.PresenceChanged(agent_id=one) for one in agents])
