"""Some agents, queues and customers, what they and the timers may do in any order, and what must hold after every step.

Time stands still in the database while a machine runs: when time passes, every moment of the house is moved back instead.
What is expected is kept beside the rows or read from them by other statements than the product's own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models, transaction
from django.db.models import Q
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from crm import rows
from crm.choices import ChannelKind
from crm.errors import DomainError
from crm.models import Interaction, Ticket
from crm.services import interactions, tickets
from reports.services import reconciliation
from routing.conveyor import ROUTER, Conveyor
from routing.models import Agent, Assignment, PresenceInterval, QueueStep, ScheduledTime, Skill, WorkItem
from routing.services import (
    assignments,
    desk,
    dispatch,
    overflows,
    parking,
    plans,
    presence,
    returns,
    wrap_ups,
)
from tests import factories as make

UNITS = {ChannelKind.X: 3, ChannelKind.EMAIL: 3, ChannelKind.CHAT: 5, ChannelKind.PHONE: 15}
# Capacities that threes do not fill evenly, so that one unit too many is seen.
CAPACITIES = (8, 8, 11, 15)
MOST_OPEN = 14
HELD = ("offered", "accepted")
OPEN = ("waiting", "offered", "assigned")
BOOKS = (
    "a work item's state fits its live assignment", "an agent's load is what he holds",
    "nobody is over capacity by more than two items", "a closed contact has no open work item",
    "an open contact has exactly one open work item",
    "work waits in a queue that there is, and never goes back to one it overflowed from",
)  # fmt: skip
STEPS = {  # of a hold, and of an item: what may follow what between two looks
    "offered": {"offered", "accepted", "declined", "missed", "withdrawn"},
    "accepted": {"accepted", "completed", "transferred", "withdrawn"},
}
ITEM_STEPS = {
    "waiting": {*OPEN, "withdrawn"},
    "offered": {*OPEN, "withdrawn"},
    "assigned": {*OPEN, "withdrawn", "done"},
}
MOVING = (Assignment, Agent, WorkItem, PresenceInterval, ScheduledTime, Ticket)  # what has moments

# What is overdue, said anew: nothing of this may be left when the timers have run.
OVERDUE = {
    "an offer that ran out still rings": "SELECT id FROM routing_assignment WHERE status = 'offered' AND expires_at <= now()",
    "a wrap-up that ran out holds its agent": "SELECT id FROM routing_assignment WHERE status = 'accepted' "
    "AND wrap_up_until <= now()",
    "who is not heard of counts as there": "SELECT id FROM routing_agent WHERE chosen = 'available' AND NOT silent "
    "AND seen_at < now() - interval '40 seconds'",
    "a silent owner keeps work": "SELECT a.id FROM routing_assignment a JOIN routing_agent g ON g.id = a.agent_id "
    "JOIN routing_workitem w ON w.id = a.work_item_id WHERE a.status = 'accepted' AND g.silent AND a.parked_at IS NULL "
    "AND a.wrap_up_until IS NULL AND g.seen_at < now() - (CASE WHEN w.family IN ('chat', 'voice') THEN 120 ELSE 900 END) "
    "* interval '1 second'",
    "nobody looked at an answer for ten minutes": "SELECT id FROM routing_assignment WHERE status = 'accepted' "
    "AND parked_at IS NOT NULL AND least(answered_at, parked_until) < now() - interval '10 minutes'",
    "what is due stays aside although its owner is free": "SELECT a.id FROM routing_assignment a "
    "JOIN routing_agent g ON g.id = a.agent_id WHERE a.status = 'accepted' AND a.parked_at IS NOT NULL "
    "AND (a.answered_at IS NOT NULL OR a.parked_until <= now()) AND g.chosen = 'available' AND NOT g.silent AND g.load = 0",
    "a choice made ahead is not kept": "SELECT id FROM routing_agent g WHERE then_state <> '' AND NOT EXISTS "
    "(SELECT 1 FROM routing_assignment a WHERE a.agent_id = g.id AND a.status = 'accepted' AND a.units > 0)",
    "a planned pause was not asked for": "SELECT id FROM routing_scheduledtime WHERE kind <> 'shift' AND starts_at <= now() "
    "AND begun_at IS NULL",
    "who is late was not told": "SELECT id FROM routing_agent WHERE chosen_until <= now() AND NOT over_told",
}  # fmt: skip

ALL_BOOKS = " UNION ALL ".join(
    f"SELECT {place} WHERE EXISTS ({reconciliation.CHECKS[name]})" for place, name in enumerate(BOOKS)
)
PEOPLE = """
SELECT g.id, g.load, g.capacity, g.parked_limit, g.chosen, g.missed_in_row, coalesce(h.units, 0) AS held, h.parked, h.costly,
    p.current, p.intervals
FROM routing_agent g CROSS JOIN LATERAL (
    -- What a call set aside was not put aside by him: it comes back by itself, and its room is kept.
    SELECT sum(a.units) AS units, count(*) FILTER (WHERE a.parked_at IS NOT NULL AND a.interrupted_at IS NULL) AS parked,
        count(*) FILTER (WHERE a.parked_at IS NOT NULL AND a.units > 0) AS costly
    FROM routing_assignment a WHERE a.agent_id = g.id AND a.status IN ('offered', 'accepted')
) h CROSS JOIN LATERAL (
    SELECT min(i.chosen) AS current, count(*) AS intervals FROM routing_presenceinterval i
    WHERE i.agent_id = g.id AND i.ended_at IS NULL
) p
"""
# Contacts whose owner is not who holds their work; what came back or was handed on is nobody's.
STRANGE = """
SELECT w.id, w.status, i.assigned_to_id, g.user_id FROM routing_workitem w JOIN crm_interaction i ON i.id = w.interaction_id
LEFT JOIN routing_assignment a ON a.work_item_id = w.id AND a.status = 'accepted' LEFT JOIN routing_agent g ON g.id = a.agent_id
WHERE w.status IN ('waiting', 'offered', 'assigned') AND i.assigned_to_id IS DISTINCT FROM g.user_id
    AND EXISTS (SELECT 1 FROM routing_assignment h WHERE h.work_item_id = w.id AND h.accepted_at IS NOT NULL)
"""

whom = st.integers(0, len(CAPACITIES) - 1)
which = st.integers(0, 30)


class House:
    """What stands before anybody does anything; made once for many machines."""

    def __init__(self) -> None:
        self.reason, self.outcome = make.make_codes()
        self.skills = [Skill.objects.get_or_create(code=code, name=code)[0] for code in ("french", "billing")]
        self.boss = make.make_user("administrator")
        self.queues = [
            make.make_queue(is_fallback=True),
            make.make_queue(codes_required=False, mode="auto", escape_seconds=2000),
            make.make_queue(wrap_up_seconds=30, escape_seconds=1500),
        ]
        # In a circle, so that only what an item remembers keeps it from going round.
        for place, queue in enumerate(self.queues):
            target = self.queues[(place + 1) % 3]
            QueueStep.objects.create(queue=queue, position=1, seconds=100, gives_up="level", level=2)
            QueueStep.objects.create(
                queue=queue,
                position=2,
                seconds=200,
                gives_up="overflow",
                target=target,
                skip_if_nobody=place > 0,
            )
        self.channels = {kind: make.make_channel(kind) for kind in UNITS}
        self.customers = [make.make_customer() for _ in range(4)]
        knows = ({"french": 5}, {"french": 2, "billing": 4}, {"billing": 3}, {"french": 4, "billing": 5})
        self.agents = [
            make.make_agent(capacity=capacity, parked_limit=2, skills=skills)
            for capacity, skills in zip(CAPACITIES, knows, strict=True)
        ]


def refused(act: Callable, *args: Any, **more: Any) -> str:
    """Do it; the code of the domain's refusal, which changes nothing, or nothing. Anything else is a fault."""
    try:
        act(*args, **more)
    except DomainError as refusal:
        return refusal.code
    return ""


class Floor(RuleBasedStateMachine):
    """Acts of people, and what timers and routers do to them."""

    house: ClassVar[House]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.now: datetime = rows.run("SELECT now()")[0][0]
        self.passed = timedelta()
        self.away: set[int] = set()  # agents whose browsers say nothing
        self.late_round: tuple[list, dict] | None = None  # decided, and not written yet
        self.over: dict[int, int] = {}  # units above capacity that this step may bring an agent
        self.loads: dict[int, int] = {}
        self.holds: dict[int, str] = {}
        self.items: dict[int, dict[str, Any]] = {}
        self.missed = dict.fromkeys([agent.pk for agent in self.house.agents], 0)

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undo.__exit__(None, None, None)

    @initialize(declined=which)
    def open_the_house(self, declined: int) -> None:
        """Everybody has something in hand, or is asked: what acts need is there from the first step on."""
        self.conveyor = Conveyor((ROUTER,))
        for number in range(9):
            self.writes(list(UNITS)[number % 4], number % 4, number % 3, number % 5, number)
        self.rebuild()
        self.route(True, 6)
        self.puts_aside(declined, "pending")

    # --- What there is to choose from

    def one(self, number: int, **where: Any) -> Assignment | None:
        found = Assignment.objects.filter(**where).select_related("agent__user", "work_item__queue")
        ids = list(found.order_by("pk").values_list("pk", flat=True))
        return found.get(pk=ids[number % len(ids)]) if ids else None

    def held(self, number: int, **where: Any) -> Assignment | None:
        return self.one(number, status="accepted", **where)

    def be_asked(self, number: int, kind: str) -> Assignment | None:
        """An open offer of this kind of work; where there is none everybody comes in, and somebody writes."""
        family = self.house.channels[kind].family
        if offer := self.one(number, status="offered", work_item__family=family):
            return offer
        self.away.clear()
        for agent in range(len(self.house.agents)):
            self.chooses(agent, "available", "")
        self.writes(kind, number % 4, number % 3, 5, 1)
        self.route(True, 0)
        return self.one(number, status="offered", work_item__family=family)

    def rebuild(self) -> None:
        self.conveyor.router = dispatch.Router()
        self.conveyor.router.rebuild()

    def epoch(self) -> float:
        return self.now.timestamp()

    # --- Customers

    @rule(
        kind=st.sampled_from(list(UNITS)), customer=st.integers(0, 3), queue=st.integers(0, 2), skill=st.integers(0, 5),
        urgent=which,
    )  # fmt: skip
    def writes(self, kind: str, customer: int, queue: int, skill: int, urgent: int) -> None:
        if WorkItem.objects.filter(status__in=OPEN).count() >= MOST_OPEN:
            return
        contact = make.make_interaction(self.house.channels[kind], self.house.customers[customer], text="")
        make.make_work_item(
            contact, self.house.queues[queue], units=UNITS[kind],
            required_skills=({"french": 4}, {"billing": 4}, {}, {}, {}, {})[skill],
            priority_parts={"urgency": 0.95 if urgent % 3 else 0.1},
            queued_at=self.now - timedelta(seconds=90),
        )  # fmt: skip
        self.heard_of()

    def heard_of(self) -> None:
        """What the factories wrote the conveyor reads like any other change."""
        rows.run(
            "INSERT INTO routing_change (work_item_id) SELECT id FROM routing_workitem WHERE status = 'waiting'"
        )

    @rule(number=which, at_once=st.booleans())
    def answers_what_is_aside(self, number: int, at_once: bool) -> None:
        held = self.held(number, parked_at__isnull=False)
        if held is None:
            self.puts_aside(number, "pending")
            return
        parking.answered([held.work_item.interaction_id])
        if at_once:
            self.timers_run()

    @rule(number=which)
    def comes_back(self, number: int) -> None:
        closed = list(Interaction.objects.filter(status="closed").order_by("pk").values_list("pk", flat=True))
        if closed and WorkItem.objects.filter(status__in=OPEN).count() < MOST_OPEN:
            interactions.reopen(closed[number % len(closed)], by=None)

    # --- Time and what it does

    @rule(
        seconds=st.sampled_from([5, 20, 35, 65, 130, 310, 700, 1000]),
        timers=st.sampled_from([True, True, False]),
    )
    def time_passes(self, seconds: int, timers: bool) -> None:
        self.passed += timedelta(seconds=seconds)
        for model in MOVING:
            moments = [f.column for f in model._meta.concrete_fields if isinstance(f, models.DateTimeField)]
            moved = ", ".join(f'"{name}" = "{name}" - %(by)s' for name in moments)
            rows.run(f'UPDATE "{model._meta.db_table}" SET {moved}', {"by": timedelta(seconds=seconds)})
        here = [agent.user_id for agent in self.house.agents if agent.pk not in self.away]
        presence.beat(here, socket=True)
        self.late_round = None  # it would have been written long ago
        self.rebuild()
        if timers:
            self.timers_run()

    def timers_run(self) -> None:
        before = {
            one.pk: one for one in Assignment.objects.filter(status="accepted").select_related("work_item")
        }
        for _ in range(2):  # what one timer frees is another's at its next turn
            self.conveyor._next_second = self.conveyor._next_expiry = 0.0
            self.conveyor.tick()
        for name, statement in OVERDUE.items():
            assert not (left := rows.run(statement)), (name, left)
        for gone in self.newly("missed"):
            self.missed[gone.agent_id] += 1
        # What came back to its owner may be two items too many.
        back = Assignment.objects.filter(status="accepted", parked_at=None, pk__in=before)
        for one in back:
            if before[one.pk].parked_at is not None:
                self.over[one.agent_id] = max(self.over.get(one.agent_id, 0), 2 * one.units)
        self.nothing_fires_twice()

    def nothing_fires_twice(self) -> None:
        """The same instant again: no timer has anything left to do."""
        again = {
            "expire": assignments.expire(), "silent": presence.drop_silent(), "plans": plans.keep(),
            "returns": returns.take_from_silent(), "parking": parking.keep(), "wrap-ups": wrap_ups.end_due(),
            "overflows": overflows.move(self.conveyor.router.pool.seats), "unasked": assignments.give_unasked(),
        }  # fmt: skip
        assert not any(again.values()), again

    def newly(self, status: str) -> Iterator[Assignment]:
        for one in Assignment.objects.filter(status=status):
            if self.holds.get(one.pk) != status:
                yield one

    # --- Routers

    @rule(late=st.booleans(), taken=st.integers(0, 3))
    def route(self, late: bool, taken: int) -> None:
        """One turn of the router, now or when every step of widening has been taken; some of who are asked take it at once."""
        self.conveyor.router.catch_up()
        self.remembers_what_waits()
        with self.offers_are_right(1e10 if late else self.epoch()):
            self.conveyor.router.round(1e10 if late else self.epoch())
        for number in range(taken):
            if offer := self.one(2 * number, status="offered", expires_at__gt=self.now):
                assert not refused(assignments.accept, offer.pk, by=offer.agent.user)
                self.missed[offer.agent_id] = 0

    @rule()
    def a_second_router_decides(self) -> None:
        """By what it read; others act before it writes."""
        self.conveyor.router.catch_up()
        second = dispatch.Router()
        second.rebuild()
        self.late_round = (second.pool.decide(self.epoch()), second.rings)

    @rule()
    def the_second_router_writes(self) -> None:
        decisions, rings = self.late_round or ([], {})
        if decisions:
            with self.offers_are_right(self.epoch(), fresh=False):
                dispatch.commit(decisions, rings)
                rows.run(
                    "INSERT INTO routing_change (work_item_id) SELECT id FROM routing_workitem WHERE status <> 'done'"
                )
                rows.run("INSERT INTO routing_change (agent_id) SELECT id FROM routing_agent")
            self.late_round = None

    def remembers_what_waits(self) -> None:
        """What the leader keeps in memory is what stands in the database, without its having been read again."""
        waiting = set(WorkItem.objects.filter(status="waiting").values_list("pk", flat=True))
        assert set(self.conveyor.router.rings) == waiting
        for agent in Agent.objects.all():
            seat = self.conveyor.router.pool.seat(agent.pk)
            assert (seat.load, seat.capacity) == (agent.load, agent.capacity)

    @contextmanager
    def offers_are_right(self, now: float, fresh: bool = True) -> Iterator[None]:
        """What is offered meanwhile goes to people who are there, may be asked, know how, and have room."""
        known = set(Assignment.objects.values_list("pk", flat=True))
        customers = {agent: set(held) for agent, held in self.customers_held().items()}
        yield
        made = Assignment.objects.exclude(pk__in=known).select_related("agent", "work_item__queue")
        for one in made:
            item, agent = one.work_item, one.agent
            assert agent.chosen == "available" and not agent.then_state and not agent.silent
            assert agent.pk not in self.away or agent.seen_at > self.now - timedelta(seconds=40)
            if fresh:
                assert item.family not in agent.blocked_families
            self.knows_how(one, now, fresh)
            if one.explanation["preferred"]:
                # One customer, one hand: one item too many for who has his other work, or was asked for by name.
                others = {x.work_item.customer_id for x in made if x.agent_id == agent.pk and x.pk != one.pk}
                has_his_work = item.customer_id in customers.get(agent.pk, set()) | others
                assert item.preferred_agent_id == agent.pk or has_his_work or not fresh
                self.over[agent.pk] = max(self.over.get(agent.pk, 0), one.units)

    def customers_held(self) -> dict[int, set[int]]:
        held: dict[int, set[int]] = {}
        for agent, customer in Assignment.objects.filter(status__in=HELD).values_list(
            "agent", "work_item__customer_id"
        ):
            held.setdefault(agent, set()).add(customer)
        return held

    def knows_how(self, offer: Assignment, now: float, fresh: bool) -> None:
        """Each level asked, or after the queue's step what the step leaves of it; of a late writer, as it was when he decided."""
        item, step = offer.work_item, offer.explanation["step"]
        entered = (item.entered_at or item.created_at).timestamp()
        relaxed = now >= entered + 100 if fresh else step != "exact"
        assert relaxed or step == "exact"
        levels = dict(offer.agent.agent_skills.values_list("skill__code", "level"))
        for code, level in item.required_skills.items():
            assert levels.get(code, 0) >= (min(level, 2) if relaxed else level), (code, level, levels)

    # --- Agents

    @rule(
        agent=whom,
        state=st.sampled_from(["available", "available", "break", "offline"]),
        after=st.sampled_from(["", "", "this", "all"]),
    )
    def chooses(self, agent: int, state: str, after: str) -> None:
        one = self.house.agents[agent]
        presence.choose(one, state, by=one.user, after=after)
        self.missed[one.pk] = 0

    @rule(agent=whom, seconds=st.sampled_from([45, 130, 1000]))
    def vanishes(self, agent: int, seconds: int) -> None:
        """For so long already, while he had something in hand; nobody has heard of him since."""
        held = self.held(agent, agent__chosen="available")
        gone = held.agent_id if held else self.house.agents[agent].pk
        self.away.add(gone)
        self.time_passes(seconds, True)
        assert not Agent.objects.filter(pk=gone, chosen="available", silent=False).exists()

    @rule(agent=whom)
    def is_heard_of_again(self, agent: int) -> None:
        gone = sorted(self.away)
        if gone:
            pk = gone[agent % len(gone)]
            self.away.discard(pk)
            one = next(agent for agent in self.house.agents if agent.pk == pk)
            presence.beat([one.user_id], socket=True)
            assert not Agent.objects.get(pk=pk).silent

    @rule(agent=whom, minutes=st.sampled_from([5, 15]))
    def is_planned_a_pause(self, agent: int, minutes: int) -> None:
        until = self.now + timedelta(minutes=minutes)
        refused(plans.schedule, self.house.agents[agent], "break", self.now, until, by=self.house.boss)

    @rule(
        number=which, takes=st.sampled_from([True, True, False]), another=st.sampled_from([0, 0, 0, 1]),
        after=st.sampled_from([0, 0, 130]),
    )  # fmt: skip
    def answers_an_offer(self, number: int, takes: bool, another: int, after: int) -> None:
        """In time, or when it has run out and no timer has said so yet; or it is another's."""
        offer = self.one(number, status="offered") or self.be_asked(number, ChannelKind.X)
        if after:
            self.time_passes(after, False)
        if offer is None:
            return
        offer.refresh_from_db()
        place = [agent.pk for agent in self.house.agents].index(offer.agent_id)
        by = self.house.agents[(place + another) % len(self.house.agents)].user
        if not takes:
            code = refused(assignments.decline, offer.pk, by=by, reason="busy")
            assert code == ("not_found" if another else "")
            return
        code = refused(assignments.accept, offer.pk, by=by)
        in_time = offer.expires_at > self.now
        assert code == ("not_found" if another else "" if in_time else "offer_gone")
        if not code:
            self.missed[offer.agent_id] = 0

    @rule(number=which, takes=st.booleans())
    def answers_too_late(self, number: int, takes: bool) -> None:
        """What is over stays over."""
        ended = self.one(number, status__in=["declined", "missed", "withdrawn", "transferred", "completed"])
        if ended and takes:
            assert refused(assignments.accept, ended.pk, by=ended.agent.user) == "offer_gone"
        elif ended:
            assert refused(assignments.decline, ended.pk, by=ended.agent.user, reason="busy") == "offer_gone"

    @rule(number=which)
    def takes_what_waits(self, number: int) -> None:
        """Mostly what just fits, or just does not."""
        self.writes(ChannelKind.X, number % 4, number % 3, 5, number)
        waiting = WorkItem.objects.filter(status="waiting").order_by("pk")
        agents = {agent.pk: agent for agent in Agent.objects.filter(pk__in=self.missed)}
        pairs = [
            (abs(one.load + item.units - one.capacity - 1), item.pk, one.pk, item.units)
            for item in waiting
            for one in agents.values()
        ]
        if pairs:
            _, item, pk, units = sorted(pairs)[number % min(6, len(pairs))]
            one = agents[pk]
            code = refused(assignments.claim, item, by=one.user)
            assert code == ("" if one.load + units <= one.capacity else "no_capacity")

    @rule(
        number=which,
        act=st.sampled_from(["complete", "complete", "uncoded", "wrap up", "wrap up", "extend"]),
        another=which,
    )
    def finishes(self, number: int, act: str, another: int) -> None:
        where = {"work_item__family__in": ("voice", "chat")} if act in ("wrap up", "extend") else {}
        held = self.held(number, **where)
        if held is None and where and (offer := self.be_asked(number, ChannelKind.CHAT)):
            assert not refused(assignments.accept, offer.pk, by=offer.agent.user)
            self.missed[offer.agent_id] = 0
            held = self.held(number, pk=offer.pk)
        if held is None:
            return
        item, by = held.work_item, held.agent.user
        if another == 0:
            stranger = next(agent for agent in self.house.agents if agent.pk != held.agent_id).user
            assert refused(assignments.complete, item.pk, by=stranger, reason="billing", outcome="solved")
        elif act == "complete":
            assert not refused(assignments.complete, item.pk, by=by, reason="billing", outcome="solved")
        elif act == "uncoded":
            code = refused(assignments.complete, item.pk, by=by, reason="", outcome="")
            assert code == ("invalid" if item.queue.codes_required else "")
        else:
            refused(wrap_ups.begin if act == "wrap up" else wrap_ups.extend, item.pk, by=by)

    @rule(number=which)
    def is_closed_elsewhere(self, number: int) -> None:
        contacts = list(Interaction.objects.filter(status="open").order_by("pk").values_list("pk", flat=True))
        if contacts:
            interactions.close(contacts[number % len(contacts)], by=self.house.boss)

    @rule(number=which, act=st.sampled_from(["pending", "sleep", "take up", "wake"]))
    def puts_aside(self, number: int, act: str) -> None:
        held = None
        if act in ("take up", "wake"):
            held = self.held(number, parked_at__isnull=False)
        if held is None:
            act = act if act in ("pending", "sleep") else "pending"
            held = self.held(number, work_item__family__in=("social", "mail"), parked_at=None)
        if held is None:
            return
        item, by = held.work_item, held.agent.user
        if act == "take up":
            self.over[held.agent_id] = 2 * item.units
            refused(parking.take_up, item.pk, by=by)
        elif act == "wake":
            ticket = Ticket.objects.get(interactions=item.interaction_id)
            tickets.wake(ticket, by=by)
            parking.due([ticket.pk])  # what is said after the commit
        else:
            until = self.now + timedelta(hours=2) if act == "sleep" else None
            refused(parking.park, item.pk, by=by, until=until)

    @rule(number=which, to=st.integers(0, 12))
    def hands_on(self, number: int, to: int) -> None:
        """To a queue, a colleague or a skill; or a colleague takes it over."""
        if not (held := self.held(number)):
            return
        house, item = self.house, held.work_item
        if to > 8:
            taker = house.agents[to - 9]
            self.over[taker.pk] = item.units
            refused(assignments.take_over, item.pk, by=taker.user)
            return
        where = [*({"queue": one} for one in house.queues), *({"agent": one} for one in house.agents)]
        where += [{"skill": one} for one in house.skills]
        assert not refused(assignments.transfer, item.pk, by=held.agent.user, note="yours", **where[to])
        item.refresh_from_db()
        self.items[item.pk] |= {"been": set(), "queue": item.queue_id}
        assert item.status == "waiting" and held.agent_id in item.refused_by

    @rule(agent=whom)
    def looks_at_his_desk(self, agent: int) -> None:
        """What the desk says he is doing, and of what he holds, is what the rows say."""
        one = Agent.objects.get(pk=self.house.agents[agent].pk)
        shown = desk.snapshot(self.house.agents[agent].user)
        offers = one.assignments.filter(status="offered", expires_at__gt=self.now).count()
        mine = one.assignments.filter(status="accepted", parked_at=None)
        wrapping = mine.filter(wrap_up_until__isnull=False).count()
        assert (shown["counts"]["offers"], shown["counts"]["mine"]) == (offers, mine.count())
        assert shown["presence"]["state"] == one.chosen and shown["capacity"]["used"] == one.load
        wanted = "idle"
        if one.silent or one.blocked_families:
            wanted = "not_responding"
        elif offers:
            wanted = "offered"
        elif mine.count():
            wanted = "wrap_up" if wrapping == mine.count() else "in_work"
        assert shown["presence"]["doing"] == wanted

    # --- What always holds

    @invariant()
    def everything_holds(self) -> None:
        type(self).steps += 1
        self.books_balance()
        self.people_and_their_loads_fit()
        self.holds_move_by_legal_steps()
        self.items_keep_their_age()
        self.over = {}

    def books_balance(self) -> None:
        """Every open item waits, is offered to one or is held by one; every open contact has one; loads add up."""
        broken = rows.run(ALL_BOOKS)
        assert not broken, [(BOOKS[place], reconciliation.find(BOOKS[place])) for (place,) in broken]
        assert not (strange := rows.run(STRANGE)), (
            "a contact belongs to somebody else than who holds it",
            strange,
        )
        refuses = ~Q(agent__chosen="available") | ~Q(agent__then_state="") | Q(agent__silent=True)
        assert not Assignment.objects.filter(refuses, status="offered").exists(), "who is not there is asked"

    def people_and_their_loads_fit(self) -> None:
        """What a step adds fits into the agent's capacity, but for what the named exceptions may add; he is as he chose."""
        for one in rows.dicts(PEOPLE):
            pk, load = one["id"], one["load"]
            assert load == one["held"] and 0 <= load <= 2 * one["capacity"], one
            if load > self.loads.get(pk, 0):
                assert load <= one["capacity"] + self.over.get(pk, 0), (one, self.over)
            self.loads[pk] = load
            assert one["parked"] <= one["parked_limit"] and not one["costly"], one
            assert (one["current"], one["intervals"]) == (one["chosen"], 1), one
            assert one["missed_in_row"] == self.missed[pk], "missed offers are counted once"

    def holds_move_by_legal_steps(self) -> None:
        now = dict(Assignment.objects.values_list("pk", "status"))
        for pk, status in now.items():
            before = self.holds.get(pk, status)
            assert status in STEPS.get(before, {before}), (before, status)
        self.holds = now

    def items_keep_their_age(self) -> None:
        """Handed on, returned, parked, moved on: how long the customer has waited is never forgotten."""
        for pk, status, queue, queued_at, deadline, accepted_at in WorkItem.objects.values_list(
            "pk", "status", "queue", "queued_at", "deadline", "accepted_at"
        ):
            waits = (queued_at + self.passed, deadline + self.passed)
            accepted = accepted_at and accepted_at + self.passed
            known = self.items.setdefault(
                pk, {"status": status, "queue": queue, "waits": waits, "accepted": None, "been": set()}
            )
            assert status in ITEM_STEPS.get(known["status"], {known["status"]}), (known, status)
            assert waits == known["waits"], "its age is another"
            assert known["accepted"] in (None, accepted), "its first answer is another"
            if queue != known["queue"]:
                assert queue not in known["been"], "it is back in a queue that it came from"
                known["been"].add(known["queue"])
            known |= {"status": status, "accepted": accepted, "queue": queue}
