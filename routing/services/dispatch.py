"""From waiting to offered: the queue in memory, decided by the engine, committed in guarded statements.

The memory is only a copy: `Change` rows say what to read again, and the statements that write refuse whatever has moved
on meanwhile (`status = waiting`, load + units <= capacity), so that several routers at once do no harm.
"""

from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from django.db import transaction

from crm import rows
from crm.bus import publish
from crm.services import interactions, streams
from routing import bias, engine, events
from routing.choices import QueueMode
from routing.pacing import Pacing
from routing.rules import Rules, as_steps
from routing.services import assignments, presence, scoring, work_items

_STEPS = """
SELECT x.queue_id, jsonb_agg(jsonb_build_array(x.seconds, x.gives_up, k.code, x.level, x.target_id, x.skip_if_nobody)
    ORDER BY x.position) AS steps
FROM routing_queuestep x LEFT JOIN routing_skill k ON k.id = x.skill_id GROUP BY x.queue_id
"""
_RULES = "q.slug, q.targets, q.required_skills, q.preferred_skills, q.ordering, s.steps, q.exclusive, q.longest_hold"

_ITEMS_OF = """
SELECT w.id, q.slug, w.family, w.units, w.required_skills, w.language, extract(epoch FROM w.queued_at)::float8,
       extract(epoch FROM w.deadline)::float8, w.priority_parts, w.customer_id, w.preferred_agent_id,
       extract(epoch FROM w.preferred_until)::float8, w.refused_by,
       extract(epoch FROM coalesce(w.entered_at, w.created_at))::float8, q.offer_seconds, q.mode,
       {rules}, q.id, w.accepted_at IS NOT NULL
FROM routing_workitem w JOIN routing_queue q ON q.id = w.queue_id LEFT JOIN ({steps}) s ON s.queue_id = q.id
WHERE
"""
_ITEMS = _ITEMS_OF.format(rules=_RULES, steps=_STEPS)
_QUEUES_OF = "SELECT q.id, {rules} FROM routing_queue q LEFT JOIN ({steps}) s ON s.queue_id = q.id"
# What is pulled is never pushed.
_PUSHED = "w.status = 'waiting' AND w.not_before IS NULL AND q.mode NOT IN ('next', 'free')"

# What a call set aside comes back first: its room is kept.
_SEATS = """
SELECT a.id, a.user_id, a.capacity, a.load + coalesce((
           SELECT sum(w.units) FROM routing_assignment m JOIN routing_workitem w ON w.id = m.work_item_id
           WHERE m.agent_id = a.id AND m.status = 'accepted' AND m.interrupted_at IS NOT NULL
       ), 0)::int, a.languages, a.blocked_families, extract(epoch FROM a.idle_since)::float8,
       a.chosen = 'available' AND a.then_state = '' AND NOT a.silent AND a.seen_at > now() - make_interval(secs =>
           CASE WHEN a.seen_on_socket THEN %s ELSE %s END) AND u.is_active AS live,
       coalesce((SELECT jsonb_object_agg(s.code, x.level) FROM routing_agentskill x JOIN routing_skill s ON s.id = x.skill_id
                 WHERE x.agent_id = a.id AND (x.expires_at IS NULL OR x.expires_at > now())), '{}'::jsonb) AS skills,
       coalesce((SELECT jsonb_agg(jsonb_build_array(w.customer_id, CASE WHEN m.parked_at IS NULL THEN w.family END))
                 FROM routing_assignment m
                 JOIN routing_workitem w ON w.id = m.work_item_id
                 WHERE m.agent_id = a.id AND m.status IN ('offered', 'accepted')), '[]'::jsonb) AS holds,
       a.max_family, EXISTS (
           SELECT 1 FROM routing_scheduledtime s WHERE s.agent_id = a.id AND s.kind = 'shift' AND s.starts_at <= now()
               AND s.ends_at BETWEEN now() - interval '4 hours' AND now() + interval '10 minutes'
               AND NOT EXISTS (SELECT 1 FROM routing_scheduledtime n WHERE n.agent_id = a.id AND n.kind = 'shift'
                   AND n.starts_at <= now() + interval '10 minutes' AND n.ends_at > now() + interval '10 minutes')
       ) AS leaving, EXISTS (
           SELECT 1 FROM routing_joining j JOIN routing_assignment o ON o.id = j.assignment_id AND o.status = 'accepted'
           JOIN routing_workitem w ON w.id = o.work_item_id AND w.family = 'voice'
           WHERE j.user_id = a.user_id AND j.joined_at IS NOT NULL AND j.ended_at IS NULL
       ) AS joined_call
FROM routing_agent a JOIN crm_user u ON u.id = a.user_id
"""

# Of the decisions of one agent, as many as fit are taken; the one item that "one customer, one hand" allows is `over`.
# An agent whose row somebody holds at this moment is left out: one slow click must not make everybody wait, and the next
# round comes at once. So is who left since the round began: his offers were taken back then, and this one would ring for
# nobody. Locked rows are read as they are, not as they were when the statement began.
_COMMIT = """
WITH given AS (
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::float8[], %s::jsonb[], %s::int[], %s::boolean[])
        AS g(item, agent, units, score, explanation, seconds, over)
), agents AS MATERIALIZED (
    SELECT id, user_id, capacity, load FROM routing_agent WHERE id IN (SELECT agent FROM given)
        AND chosen = 'available' AND then_state = '' AND NOT silent ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), fitting AS (
    SELECT g.*, a.user_id, a.capacity, a.load + sum(g.units) OVER (PARTITION BY g.agent ORDER BY g.item) AS load_after
    FROM given g JOIN agents a ON a.id = g.agent
), allowed AS (
    SELECT f.* FROM fitting f WHERE f.load_after <= f.capacity OR (f.over AND f.load_after <= f.capacity + f.units)
), taken AS (
    UPDATE routing_workitem w SET status = 'offered' FROM allowed f
    WHERE w.id = f.item AND w.status = 'waiting' RETURNING w.id
), made AS (
    INSERT INTO routing_assignment
        (work_item_id, agent_id, status, units, score, explanation, offered_at, expires_at, reason, step)
    SELECT f.item, f.agent, 'offered', f.units, f.score, f.explanation, now(), now() + make_interval(secs => f.seconds), '',
        left(f.explanation ->> 'step', 60)
    FROM allowed f JOIN taken t ON t.id = f.item RETURNING id, work_item_id, agent_id, units
), loaded AS (
    UPDATE routing_agent a SET load = a.load + m.units
    FROM (SELECT agent_id, sum(units) AS units FROM made GROUP BY agent_id) m WHERE a.id = m.agent_id RETURNING a.id
)
SELECT m.id, m.work_item_id, m.agent_id, f.user_id FROM made m JOIN allowed f ON f.item = m.work_item_id ORDER BY m.id
"""

# Work that was parked for days says nothing about handling: an hour is the most that counts.
_HANDLING = """
SELECT w.family, avg(least(3600, greatest(10, extract(epoch FROM m.ended_at - m.accepted_at))))::float8, count(*)
FROM (SELECT work_item_id, accepted_at, ended_at FROM routing_assignment
      WHERE status = 'completed' AND accepted_at IS NOT NULL AND ended_at IS NOT NULL ORDER BY id DESC LIMIT 2000) m
JOIN routing_workitem w ON w.id = m.work_item_id GROUP BY w.family HAVING count(*) >= %s
"""
ENOUGH_HANDLED = 50


class Router:
    """The conveyor's routing state: rebuilt from PostgreSQL in one read, then kept in step by `Change` rows."""

    def __init__(self) -> None:
        self.scale = scoring.Scale()
        self.meter = bias.Meter()
        self.alarms: list[bias.Pair] = []  # of the meter, as last looked up
        self.told: tuple[float, str] = (0.0, "")  # when it said last what it believes, and what
        self.pool = engine.Pool(pacing=Pacing(), meter=self.meter)
        self.rings: dict[int, int] = {}  # by item, how long its offer rings, in seconds
        self.unasked: set[int] = set()  # items whose queue gives them without asking
        self.calls: set[int] = set()  # that wait
        self._loaded: set[int] = set()  # agents who were just offered something: their seats are read again

    def rebuild(self) -> None:
        """Forget everything and read what waits and who works."""
        self.scale = scoring.scale()
        self.pool = engine.Pool(self.scale.weights, pacing=pacing(), meter=self.meter)
        rows.run("DELETE FROM routing_change")
        self.rings, self.unasked, self.calls = {}, set(), set()
        self._add(rows.run(_ITEMS + _PUSHED))
        self.refresh_seats()

    def _add(self, found: list[tuple]) -> None:
        for row in found:
            item = self.scale.weigh(item_of(row))
            self.rings[item.id] = work_items.offer_seconds(item.family, _known(row[14]))
            if row[15] == QueueMode.AUTO:
                self.unasked.add(item.id)
            if item.family == "voice":
                self.calls.add(item.id)
            self.pool.add(item)

    def _drop(self, item_id: int) -> None:
        self.rings.pop(item_id, None)
        self.unasked.discard(item_id)
        self.calls.discard(item_id)
        self.pool.remove(item_id)

    def refresh_seats(self) -> None:
        """Read every agent again: they are few, and their heartbeats write no `Change`."""
        params = (presence.REACHABLE_ON_SOCKET, presence.REACHABLE_WITHOUT_SOCKET)
        for row in rows.run(_SEATS, params):
            self.pool.update_seat(_seat(row))

    def catch_up(self) -> bool:
        """Read again what changed; returns whether anything did."""
        changed = rows.kept("DELETE FROM routing_change RETURNING work_item_id, agent_id")
        if not changed and not self._loaded:
            return False
        if (None, None) in changed:  # the weights changed
            with transaction.atomic():
                self.rebuild()
            return True
        items = sorted({item for item, _ in changed if item})
        if items:
            for item in items:
                self._drop(item)
            self._add(rows.run(_ITEMS + "w.id = ANY(%s) AND " + _PUSHED, (items,)))
        agents = sorted({agent for _, agent in changed if agent} | self._loaded)
        self._loaded = set()
        if agents:
            params = (presence.REACHABLE_ON_SOCKET, presence.REACHABLE_WITHOUT_SOCKET, agents)
            for row in rows.run(_SEATS + " WHERE a.id = ANY(%s)", params):
                self.pool.update_seat(_seat(row))
        return True

    def round(self, now: float) -> int:
        """Decide what can be decided now and commit it; returns the offers made."""
        decisions = self.pool.decide(now)
        if not decisions:
            return 0
        made = commit(decisions, self.rings)
        offered = {row[1] for row in made}
        if not self.unasked.isdisjoint(offered):
            assignments.give_unasked()
        self._loaded |= {row[2] for row in made}
        for one in decisions:
            self._drop(one.item_id)
        # What the statement refused moved on in the database: read it and its agent again.
        refused = [one for one in decisions if one.item_id not in offered]
        if refused:
            work_items.changed(
                work_items=[one.item_id for one in refused], agents=sorted({one.agent_id for one in refused})
            )
        return len(made)


def pacing() -> Pacing:
    """The defaults, with the handling times of the last work done where there was enough of it."""
    usual = Pacing()
    measured = {family: seconds for family, seconds, _ in rows.run(_HANDLING, (ENOUGH_HANDLED,))}
    return replace(usual, handling={**usual.handling, **measured})


@lru_cache(4096)
def _known(text: str) -> Any:
    """Small JSON that thousands of items share, read once; nobody changes what comes out."""
    return orjson.loads(text)


@lru_cache(1024)
def _rules(
    slug: str,
    targets: str,
    required: str,
    preferred: str,
    ordering: str,
    steps: str | None,
    exclusive: str,
    hold: int | None,
) -> Rules:
    found = [orjson.loads(text) for text in (targets, required, preferred, steps or "[]")]
    alone = frozenset(orjson.loads(exclusive))
    return Rules(slug, found[0], found[1], found[2], ordering, as_steps(found[3]), alone, hold)


def rules_of_queues() -> dict[int, Rules]:
    """The rules of every queue, by its id."""
    found = rows.run(_QUEUES_OF.format(rules=_RULES, steps=_STEPS))
    return {row[0]: _rules(*row[1:]) for row in found}


def seat_of(user_id: int) -> engine.Seat | None:
    """One agent as the engine knows him; None when this user takes no work."""
    params = (presence.REACHABLE_ON_SOCKET, presence.REACHABLE_WITHOUT_SOCKET, user_id)
    found = rows.run(_SEATS + " WHERE a.user_id = %s", params)
    return _seat(found[0]) if found else None


def items_of(ids: list[int]) -> list[engine.Item]:
    """These items as far as they wait, under their queues' rules, however they come to agents."""
    return [item_of(row) for row in rows_of(ids)]


def rows_of(ids: list[int]) -> list[tuple]:
    """These items as far as they wait, as rows for `item_of`, `entered_at` and `queue_of`."""
    return rows.run(_ITEMS + "w.id = ANY(%s) AND w.status = 'waiting'", (ids,))


def seats_of_active() -> list[engine.Seat]:
    """Everybody who could come to work here, there or not."""
    params = (presence.REACHABLE_ON_SOCKET, presence.REACHABLE_WITHOUT_SOCKET)
    return [_seat(row) for row in rows.run(_SEATS + " WHERE u.is_active", params)]


def waiting_in(queue_ids: list[int], limit: int) -> list[tuple]:
    """What waits in these queues, the next due first, as rows for `item_of` and `entered_at`."""
    return rows.run(
        _ITEMS + "w.queue_id = ANY(%s) AND w.status = 'waiting' ORDER BY w.deadline LIMIT %s",
        (queue_ids, limit),
    )


def live_in(queue_ids: list[int]) -> list[tuple]:
    """Calls and chats that wait in these queues, as rows for `item_of` and `queue_of`."""
    return rows.run(
        _ITEMS + "w.queue_id = ANY(%s) AND w.status = 'waiting' AND w.family IN ('voice', 'chat') "
        "AND w.not_before IS NULL ORDER BY w.deadline LIMIT 1000",
        (queue_ids,),
    )


def pushed(limit: int) -> list[tuple]:
    """What waits to be offered in any queue, the next due first, as rows for `item_of`."""
    return rows.run(_ITEMS + _PUSHED + " ORDER BY w.deadline LIMIT %s", (limit,))


def entered_at(row: tuple) -> float:
    """When this item came into its queue (epoch)."""
    return row[13]


def ring_of(row: tuple) -> int:
    """How long an offer of this item rings, in seconds."""
    return work_items.offer_seconds(row[2], _known(row[14]))


def queue_of(row: tuple) -> int:
    """The id of this item's queue."""
    return row[24]


def item_of(row: tuple, under: Rules | None = None) -> engine.Item:
    """A waiting item for the engine, under its queue's rules or under others."""
    item = engine.Item(
        id=row[0],
        queue=row[1],
        family=row[2],
        units=row[3],
        skills=_known(row[4]),
        language=row[5] or None,
        queued_at=row[6],
        deadline=row[7],
        parts=rows.from_json(row[8]),
        customer=row[9],
        preferred=row[10],
        preferred_until=row[11] or 0.0,
        refused=frozenset(_known(row[12])),
        begun=row[25],
    )
    return (under or _rules(*row[16:24])).rule(item, row[13])


def _seat(row: tuple) -> engine.Seat:
    holds = rows.from_json(row[9])
    families: dict[str, int] = {}
    for _, family in holds:
        if family:  # parked work is nobody's load
            families[family] = families.get(family, 0) + 1
    limits = dict(rows.from_json(row[10]))
    if row[11]:  # his shift ends in ten minutes or has ended: no call and no chat begins any more
        limits |= {"voice": 0, "chat": 0}
    return engine.Seat(
        id=row[0],
        skills=rows.from_json(row[8]),
        languages=frozenset(rows.from_json(row[4])),
        capacity=row[2],
        load=row[3],
        live=bool(row[7]),
        idle_since=row[6],
        blocked=frozenset(rows.from_json(row[5])),
        customers=frozenset(customer for customer, _ in holds),
        in_call="voice" in families or row[12],
        over=1 if row[3] > row[2] else 0,
        open_family=families,
        max_family=limits or None,
    )


def commit(decisions: list[engine.Decision], rings: dict[int, int]) -> list[tuple]:
    """Write a round in one statement guarded by `status = waiting` and by capacity; `rings` says how long each offer rings.

    Returns (assignment, work item, agent, user) of the offers made.
    """
    with transaction.atomic(), rows.pipelined():
        made = rows.run(
            _COMMIT,
            (
                [one.item_id for one in decisions],
                [one.agent_id for one in decisions],
                [one.units for one in decisions],
                [one.score for one in decisions],
                [rows.as_json(_explanation(one)) for one in decisions],
                [rings[one.item_id] for one in decisions],
                [one.preferred for one in decisions],
            ),
        )
        if not made:
            return []
        publish(*[events.OfferMade(assignment_id=row[0], user_id=row[3]) for row in made])
        tellings: list[streams.Telling] = []
        for assignment, work_item, _, user in made:
            tellings.append((f"desk:{user}", "offer.made", {"offer": assignment}))
            tellings.append((streams.EVENTS, "offer.made", {"offer": assignment, "work_item": work_item}))
        interactions.tell(tellings)
    return made


def _explanation(one: engine.Decision) -> dict:
    return {
        "score": one.score,
        "parts": one.parts,
        "reason": one.reason,
        "candidates": one.candidates,
        "step": one.step,
        "preferred": one.preferred,
        "pressing": one.pressing,
        "decided_at": datetime.now().astimezone().isoformat(),
    }


def offer_deadline() -> float | None:
    """When the next open offer runs out, in seconds from now by the database's clock; None without offers."""
    found = rows.run(
        "SELECT extract(epoch FROM min(expires_at) - now())::float8 FROM routing_assignment WHERE status = 'offered'"
    )
    return found[0][0]
