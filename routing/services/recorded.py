"""The house's own past as a day to be played again: what came when, how long it took, who was there and what he can do.

Handling times are what the work would have taken alone: time in hand is shared among what an agent had in hand at once, as
the simulator slows him. Work that was never finished, and the patience of callers who were answered, are drawn from the
others of their channel by a fixed seed, so that the same past is the same day.
"""

import random
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from crm import rows
from crm.access import outside_closed
from crm.choices import Family, TeamVisibility
from crm.errors import InvalidInput
from crm.models import User
from routing import engine
from routing.models import Agent, Queue
from routing.pacing import Pacing
from routing.services import dispatch, scoring
from routing.simulation import HOUR, LIVE, SWITCHING, VIP_WEIGHT, Channel, Day, Played
from routing.whatif import House, Recorded, Worker, ruled

MOST = 60_000  # items of one day to be played
LONGEST_HOLD = HOUR  # work that was parked for days says nothing about handling
SHORTEST_WORK = 5.0  # s

# What was withdrawn unanswered on a channel that can wait asked for no answer.
_ITEMS = """
SELECT w.id, w.queue_id, w.family, w.units, w.required_skills, w.language, extract(epoch FROM w.queued_at)::float8,
    extract(epoch FROM w.deadline)::float8, w.priority_parts, w.customer_id, coalesce(u.vip, false),
    extract(epoch FROM w.accepted_at)::float8, extract(epoch FROM w.done_at)::float8
FROM routing_workitem w LEFT JOIN crm_customer u ON u.id = w.customer_id
WHERE w.queued_at >= %s AND w.queued_at < %s AND w.queue_id = ANY(%s)
    AND (w.accepted_at IS NOT NULL OR w.done_at IS NULL OR w.family IN ('voice', 'chat'))
ORDER BY w.queued_at, w.id LIMIT %s
"""
_HOLDS = """
SELECT m.work_item_id, m.agent_id, extract(epoch FROM m.accepted_at)::float8,
    extract(epoch FROM least(m.ended_at, m.accepted_at + make_interval(secs => %s)))::float8
FROM routing_assignment m WHERE m.work_item_id = ANY(%s) AND m.accepted_at IS NOT NULL AND m.ended_at > m.accepted_at
"""
_AGENTS = """
SELECT a.id, a.capacity, a.languages, a.max_family, coalesce((
    SELECT jsonb_object_agg(s.code, x.level) FROM routing_agentskill x JOIN routing_skill s ON s.id = x.skill_id
    WHERE x.agent_id = a.id AND (x.expires_at IS NULL OR x.expires_at > now())), '{}'::jsonb)
FROM routing_agent a WHERE a.id = ANY(%s) AND a.capacity > 0 ORDER BY a.id
"""
_THERE = """
SELECT agent_id, extract(epoch FROM started_at)::float8, extract(epoch FROM coalesce(ended_at, now()))::float8
FROM routing_presenceinterval
WHERE agent_id = ANY(%(agents)s) AND chosen = 'available' AND started_at < %(until)s AND coalesce(ended_at, now()) > %(since)s
"""
_PLANNED = """
SELECT agent_id, extract(epoch FROM starts_at)::float8, extract(epoch FROM ends_at)::float8 FROM routing_scheduledtime
WHERE agent_id = ANY(%(agents)s) AND kind = 'shift' AND starts_at < %(until)s AND ends_at > %(since)s
"""

Stretch = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Past:
    """A day that was, the rules that hold now, what really happened, and whether work of a closed team is in it."""

    day: Day
    house: House
    really: Played
    closed: bool


def house() -> House:
    """All rules as they are now."""
    scale, pacing = scoring.scale(), dispatch.pacing()
    fallback = Queue.objects.filter(is_fallback=True).values_list("pk", flat=True).first()
    leaving = (
        Queue.objects.filter(escape_seconds__isnull=False)
        .exclude(pk=fallback)
        .values_list("pk", "escape_seconds")
    )
    escapes = {queue: (fallback, float(seconds)) for queue, seconds in leaving} if fallback else {}
    return House(dispatch.rules_of_queues(), escapes, scale.weights, scale.channels, pacing)


def read(since: datetime, until: datetime, by: User | None) -> Past:
    """What came in this time, as far as the reader may know of its queues (None: the house itself); a few statements."""
    known = _visible(Queue.objects.select_related("team"), by, "team")
    queues = {queue.pk: queue for queue in known}
    found = rows.run(_ITEMS, (since, until, list(queues), MOST + 1))
    if len(found) > MOST:
        raise InvalidInput(
            f"More than {MOST:,} items came then: choose fewer days.", errors={"days": "are too many"}
        )
    if not found:
        raise InvalidInput("Nothing came then.", errors={"days": "hold no work"})
    begins = since.timestamp()
    holds = rows.run(_HOLDS, (LONGEST_HOLD, [row[0] for row in found]))
    rules = house()
    arrivals = ruled(_arrivals(found, _alone(holds), rules.pacing, begins), rules)
    workers = _workers(since, until, by, holds)
    local = timezone.localtime(since)
    day = Day(
        list(arrivals),
        workers,
        _channels(arrivals, queues, rules.pacing),
        closes=(until - since).total_seconds(),
        opens=local.hour * HOUR + local.minute * 60.0,
    )
    seen = {one.queue for one in arrivals}
    closed = any(queues[queue].team.visibility == TeamVisibility.CLOSED for queue in seen)
    return Past(day, rules, _really(found, begins), closed)


def _visible(queryset: QuerySet, by: User | None, team: str, own: str = "") -> QuerySet:
    return queryset if by is None else outside_closed(queryset, by, team, own)


# --- what came


def _alone(holds: list[tuple]) -> dict[int, float]:
    """Seconds that each item would have taken alone; what an agent had in hand at once shares his time."""
    by_agent: dict[int, list[tuple]] = defaultdict(list)
    for item, agent, start, end in holds:
        by_agent[agent] += [(start, 1, item), (end, 0, item)]
    alone: dict[int, float] = defaultdict(float)
    for events in by_agent.values():
        in_hand: dict[int, int] = {}
        last = 0.0
        for at, begins, item in sorted(events):
            share = (at - last) / (1 + SWITCHING * (len(in_hand) - 1)) if in_hand else 0.0
            for one in in_hand:
                alone[one] += share
            last = at
            in_hand[item] = in_hand.get(item, 0) + (1 if begins else -1)
            if in_hand[item] <= 0:
                del in_hand[item]
    return alone


def _arrivals(found: list[tuple], alone: dict[int, float], pacing: Pacing, begins: float) -> list[Recorded]:
    dice = random.Random("recorded")
    worked: dict[str, list[float]] = defaultdict(list)
    for row in found:
        if row[0] in alone:
            worked[row[2]].append(alone[row[0]])
    usual = {
        family: statistics.median(worked[family]) if worked[family] else pacing.handling[family]
        for family in Family.values
    }
    patience = _patience(found)
    arrivals = []
    for row in found:
        at, vip = row[6] - begins, bool(row[10])
        arrivals.append(
            Recorded(
                id=row[0],
                channel=row[2],
                at=at,
                work=max(SHORTEST_WORK, alone.get(row[0], usual[row[2]])),
                lang=row[5] or "",
                vip=vip,
                target=max(1.0, row[7] - row[6]) if row[7] is not None else HOUR,
                units=row[3],
                weight=VIP_WEIGHT if vip else 1.0,
                patience=_patient(row, patience, dice),
                item=_item(row),
                queue=row[1],
            )
        )
    return arrivals


def _item(row: tuple) -> engine.Item:
    return engine.Item(
        id=row[0], queue="", family=row[2], units=row[3], skills=rows.from_json(row[4]), language=row[5] or None,
        parts=rows.from_json(row[8]), customer=row[9],
    )  # fmt: skip


def _patience(found: list[tuple]) -> dict[str, float]:
    """Mean patience of a live channel, as far as those tell who gave up: all waits over how many did."""
    mean = {}
    for family in LIVE:
        waits = [(row[11] or row[12], row[6], row[11] is None) for row in found if row[2] == family]
        gave_up = sum(1 for until, _, lost in waits if lost and until)
        if gave_up:
            mean[family] = sum(max(0.0, until - since) for until, since, _ in waits if until) / gave_up
    return mean


def _patient(row: tuple, mean: dict[str, float], dice: random.Random) -> float | None:
    """When he gives up: as he did, or, who was answered, some time after that."""
    if row[2] not in mean:
        return None
    if row[11] is None:
        return max(0.0, row[12] - row[6]) if row[12] else None
    return max(0.0, row[11] - row[6]) + dice.expovariate(1 / max(1.0, mean[row[2]]))


def _channels(arrivals: Iterable[Recorded], queues: dict[int, Queue], pacing: Pacing) -> dict[str, Channel]:
    """Each channel with the mean promise and goal of what came on it."""
    groups: dict[str, list[Recorded]] = defaultdict(list)
    for one in arrivals:
        groups[one.channel].append(one)
    return {
        family: Channel(
            target=statistics.fmean(one.target for one in groups[family]),
            goal=statistics.fmean(queues[one.queue].goal for one in groups[family]),
            units=groups[family][0].units,
            patience=None,
            aht=pacing.handling[family],
        )
        for family in Family.values
        if family in groups
    }


def _really(found: list[tuple], begins: float) -> Played:
    """What happened: who was answered when, who gave up."""
    played = Played()
    for row in found:
        if row[11] is not None:
            played.answered[row[0]] = (row[11] - begins, 0)
        elif row[12] is not None:
            played.abandoned[row[0]] = row[12] - begins
        else:
            played.waiting.add(row[0])
    return played


# --- who was there


def _workers(since: datetime, until: datetime, by: User | None, holds: list[tuple]) -> list[Worker]:
    known = list(
        _visible(Agent.objects.filter(user__is_active=True), by, "user__team", "user").values_list(
            "pk", flat=True
        )
    )
    when = {"agents": known, "since": since, "until": until}
    there, planned = _by_agent(rows.run(_THERE, when)), _by_agent(rows.run(_PLANNED, when))
    worked: dict[int, list[Stretch]] = defaultdict(list)
    for _, agent, start, end in holds:
        worked[agent].append((start, end))
    begins, ends = since.timestamp(), until.timestamp()
    found = []
    for agent, capacity, languages, max_family, skills in rows.run(_AGENTS, (known,)):
        stretches = _stretches(
            there.get(agent, []), planned.get(agent, []), worked.get(agent, []), begins, ends
        )
        if not stretches:
            continue
        seat = engine.Seat(
            id=agent, skills=rows.from_json(skills), languages=frozenset(rows.from_json(languages)), capacity=capacity,
            max_family=dict(rows.from_json(max_family)) or None,
        )  # fmt: skip
        (start, end), *more = stretches
        found.append(
            Worker(
                id=agent, channels=tuple(Family.values), langs=tuple(sorted(seat.languages)), start=start, end=end,
                capacity=capacity, more=tuple(more), seat=seat,
            )
        )  # fmt: skip
    return found


def _by_agent(found: list[tuple]) -> dict[int, list[Stretch]]:
    by_agent: dict[int, list[Stretch]] = defaultdict(list)
    for agent, start, end in found:
        by_agent[agent].append((start, end))
    return by_agent


def _stretches(
    there: list[Stretch], planned: list[Stretch], worked: list[Stretch], begins: float, ends: float
) -> list[Stretch]:
    """When he was available, inside his plan where he has one; without either, as planned, or while he had work in hand."""
    both = [(max(a, c), min(b, d)) for a, b in there for c, d in planned if max(a, c) < min(b, d)]
    merged: list[Stretch] = []
    for start, end in sorted(both or there or planned or worked):
        start, end = max(start, begins) - begins, min(end, ends) - begins
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
