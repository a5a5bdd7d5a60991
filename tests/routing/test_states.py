"""Presence, offers, capacity, parking, wrap-up, transfer and their timers in any order: nothing is lost, nobody overfilled.

`STATE_STEPS=5000` runs the drill's length; without it a small form.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from crm.choices import ChannelKind
from crm.errors import DomainError
from crm.models import Interaction, Ticket
from crm.services import tickets
from reports.services import reconciliation
from routing.models import Agent, Assignment, WorkItem
from routing.services import assignments, dispatch, parking, plans, presence, returns, wrap_ups
from tests import factories as make

pytestmark = pytest.mark.django_db

STEPS = 50
EXAMPLES = max(8, int(os.environ.get("STATE_STEPS", 0)) // STEPS)
KINDS = {ChannelKind.X: 3, ChannelKind.EMAIL: 3, ChannelKind.CHAT: 5, ChannelKind.PHONE: 15}
MINE = (
    "a work item's state fits its live assignment", "an agent's load is what he holds",
    "nobody is over capacity by more than two items", "a closed contact has no open work item",
    "an open contact has exactly one open work item",
)  # fmt: skip
whom = st.integers(0, 3)
which = st.integers(0, 30)


def refused(act: Callable, *args: object, **more: object) -> None:
    """What the domain refuses changes nothing; anything else is a fault."""
    with suppress(DomainError):
        act(*args, **more)


class Floor(RuleBasedStateMachine):
    """Four agents, two queues, a few customers: acts of people, and what timers and routers do to them."""

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        make.make_codes()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undo.__exit__(None, None, None)

    @initialize()
    def open_the_house(self) -> None:
        self.queues = [make.make_queue(is_fallback=True), make.make_queue(codes_required=False, mode="auto")]
        self.channels = {kind: make.make_channel(kind) for kind in KINDS}
        self.customers = [make.make_customer() for _ in range(3)]
        self.agents = [make.make_agent(capacity=15, parked_limit=3) for _ in range(4)]
        for number in range(8):
            self.writes(list(KINDS)[number % 4], number % 3, number % 2)
        for number in range(6):
            self.is_offered(number, number % 4, True)
        self.route()

    # --- What there is to choose from

    def one(self, number: int, **where: object) -> Assignment | None:
        found = list(
            Assignment.objects.filter(**where).select_related("agent__user", "work_item").order_by("pk")
        )
        return found[number % len(found)] if found else None

    def held(self, number: int, **where: object) -> Assignment | None:
        return self.one(number, status="accepted", **where)

    # --- Customers, routers and timers

    @rule(kind=st.sampled_from(list(KINDS)), customer=st.integers(0, 2), queue=st.integers(0, 1))
    def writes(self, kind: str, customer: int, queue: int) -> None:
        contact = make.make_interaction(self.channels[kind], self.customers[customer], text="")
        make.make_work_item(contact, self.queues[queue], units=KINDS[kind])

    @rule()
    def route(self) -> None:
        router = dispatch.Router()
        router.rebuild()
        router.round(1e10)
        assignments.give_unasked()

    @rule(
        number=which,
        minutes=st.sampled_from([0, 5, 12]),
        what=st.sampled_from(["offer", "wrap-up", "second", "answer"]),
    )
    def time_passes(self, number: int, minutes: int, what: str) -> None:
        past = timezone.now() - timedelta(minutes=minutes, seconds=1)
        if what == "offer" and (offer := self.one(number, status="offered")):
            Assignment.objects.filter(pk=offer.pk).update(expires_at=past)
            assignments.expire()
        if what == "wrap-up" and (held := self.held(number, wrap_up_until__isnull=False)):
            Assignment.objects.filter(pk=held.pk).update(wrap_up_until=past)
            wrap_ups.end_due()
        if what == "answer" and (held := self.held(number, parked_at__isnull=False)):
            parking.answered([held.work_item.interaction_id])
        Assignment.objects.filter(answered_at__isnull=False).update(answered_at=past)
        plans.keep()
        presence.drop_silent()
        returns.take_from_silent()
        parking.keep()

    # --- Agents

    @rule(
        agent=whom,
        state=st.sampled_from(["available", "available", "break", "offline"]),
        after=st.sampled_from(["", "this", "all"]),
    )
    def chooses(self, agent: int, state: str, after: str) -> None:
        one = self.agents[agent]
        presence.choose(one, state, by=one.user, after=after)

    @rule(agent=whom, seconds=st.sampled_from([0, 0, 45, 200, 1000]))
    def is_silent_or_heard(self, agent: int, seconds: int) -> None:
        if seconds == 0:
            presence.beat([self.agents[agent].user_id], socket=True)
        else:
            Agent.objects.filter(pk=self.agents[agent].pk).update(
                seen_at=timezone.now() - timedelta(seconds=seconds)
            )
            presence.drop_silent()

    @rule(number=which, agent=whom, takes=st.sampled_from([True, True, True, False]))
    def is_offered(self, number: int, agent: int, takes: bool) -> None:
        waiting = list(WorkItem.objects.filter(status="waiting").order_by("pk"))
        if offer := self.one(number, status="offered"):
            if takes:
                refused(assignments.accept, offer.pk, by=offer.agent.user)
            else:
                refused(assignments.decline, offer.pk, by=offer.agent.user, reason="busy")
        elif waiting:
            refused(assignments.claim, waiting[number % len(waiting)].pk, by=self.agents[agent].user)

    @rule(number=which, act=st.sampled_from(["complete", "uncoded", "wrap up", "extend"]))
    def finishes(self, number: int, act: str) -> None:
        if not (held := self.held(number)):
            return
        item, by = held.work_item_id, held.agent.user
        if act == "complete":
            refused(assignments.complete, item, by=by, reason="billing", outcome="solved")
        elif act == "uncoded":
            refused(assignments.complete, item, by=by, reason="", outcome="")
        else:
            refused(wrap_ups.begin if act == "wrap up" else wrap_ups.extend, item, by=by)

    @rule(number=which, act=st.sampled_from(["pending", "sleep", "take up", "wake"]))
    def puts_aside(self, number: int, act: str) -> None:
        where = {} if act in ("pending", "sleep") else {"parked_at__isnull": False}
        if not (held := self.held(number, **where)):
            return
        item, by = held.work_item_id, held.agent.user
        if act == "take up":
            refused(parking.take_up, item, by=by)
        elif act == "wake":
            ticket = Ticket.objects.get(interactions=held.work_item.interaction_id)
            tickets.wake(ticket, by=by)
            parking.due([ticket.pk])  # what is said after the commit
        else:
            until = timezone.now() + timedelta(hours=2) if act == "sleep" else None
            refused(parking.park, item, by=by, until=until)

    @rule(number=which, to=st.integers(0, 9))
    def hands_on(self, number: int, to: int) -> None:
        if not (held := self.held(number)):
            return
        if to > 5:
            refused(assignments.take_over, held.work_item_id, by=self.agents[to - 6].user)
        else:
            where = {"queue": self.queues[to]} if to < 2 else {"agent": self.agents[to - 2]}
            refused(assignments.transfer, held.work_item_id, by=held.agent.user, note="yours", **where)

    # --- What always holds

    @invariant()
    def load_is_what_is_held_and_within_bounds(self) -> None:
        for agent in Agent.objects.all():
            live = Assignment.objects.filter(agent=agent, status__in=["offered", "accepted"])
            assert agent.load == (live.aggregate(units=Sum("units"))["units"] or 0)
            assert 0 <= agent.load <= 2 * agent.capacity

    @invariant()
    def everything_open_waits_or_is_owned_by_one(self) -> None:
        for name in MINE:
            assert not (broken := reconciliation.find(name)), (name, broken)
        for item in WorkItem.objects.filter(status__in=["waiting", "offered", "assigned"]):
            live = item.assignments.filter(status__in=["offered", "accepted"]).count()
            assert live == (0 if item.status == "waiting" else 1), item.status
            assert Interaction.objects.get(pk=item.interaction_id).status == "open"

    @invariant()
    def nobody_is_offered_anything_who_is_away_or_is_leaving(self) -> None:
        offered = Assignment.objects.filter(status="offered").select_related("agent")
        for one in offered:
            assert one.agent.chosen == "available" and not one.agent.then_state and not one.agent.silent

    @invariant()
    def everybody_has_one_current_presence_and_it_is_what_he_chose(self) -> None:
        for agent in Agent.objects.all():
            assert agent.intervals.get(ended_at=None).chosen == agent.chosen
            parked = agent.assignments.filter(status="accepted", parked_at__isnull=False)
            assert parked.count() <= agent.parked_limit and not parked.exclude(units=0).exists()


def test_no_order_of_acts_and_timers_loses_work_or_overfills_anybody():
    run_state_machine_as_test(
        Floor,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
