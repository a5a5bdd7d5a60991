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
EXAMPLES = max(6, int(os.environ.get("STATE_STEPS", 0)) // STEPS)
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

    # --- What there is to choose from

    def one(self, number: int, **where: object) -> Assignment | None:
        found = list(
            Assignment.objects.filter(**where).select_related("agent__user", "work_item").order_by("pk")
        )
        return found[number % len(found)] if found else None

    def held(self, number: int, **where: object) -> Assignment | None:
        return self.one(number, status="accepted", **where)

    # --- Customers

    @rule(kind=st.sampled_from(list(KINDS)), customer=st.integers(0, 2), queue=st.integers(0, 1))
    def writes(self, kind: str, customer: int, queue: int) -> None:
        contact = make.make_interaction(self.channels[kind], self.customers[customer], text="")
        make.make_work_item(contact, self.queues[queue], units=KINDS[kind])

    @rule(number=which)
    def answers(self, number: int) -> None:
        if held := self.held(number, parked_at__isnull=False):
            parking.answered([held.work_item.interaction_id])

    # --- Routers and timers

    @rule()
    def route(self) -> None:
        router = dispatch.Router()
        router.rebuild()
        router.round(1e10)
        assignments.give_unasked()

    @rule(number=which)
    def an_offer_runs_out(self, number: int) -> None:
        if offer := self.one(number, status="offered"):
            past = timezone.now() - timedelta(seconds=1)
            Assignment.objects.filter(pk=offer.pk).update(expires_at=past)
        assignments.expire()

    @rule(number=which)
    def a_wrap_up_runs_out(self, number: int) -> None:
        if held := self.held(number, wrap_up_until__isnull=False):
            Assignment.objects.filter(pk=held.pk).update(wrap_up_until=timezone.now() - timedelta(hours=1))
        wrap_ups.end_due()

    @rule(minutes=st.sampled_from([0, 5, 12]))
    def the_second_strikes(self, minutes: int) -> None:
        ago = timezone.now() - timedelta(minutes=minutes)
        Assignment.objects.filter(answered_at__isnull=False).update(answered_at=ago)
        plans.keep()
        presence.drop_silent()
        returns.take_from_silent()
        parking.keep()

    # --- Agents

    @rule(
        agent=whom,
        state=st.sampled_from(["available", "break", "offline"]),
        after=st.sampled_from(["", "this", "all"]),
    )
    def chooses(self, agent: int, state: str, after: str) -> None:
        one = self.agents[agent]
        presence.choose(one, state, by=one.user, after=after)

    @rule(agent=whom, seconds=st.sampled_from([45, 200, 1000]))
    def is_silent(self, agent: int, seconds: int) -> None:
        Agent.objects.filter(pk=self.agents[agent].pk).update(
            seen_at=timezone.now() - timedelta(seconds=seconds)
        )
        presence.drop_silent()

    @rule(agent=whom)
    def is_heard(self, agent: int) -> None:
        presence.beat([self.agents[agent].user_id], socket=True)

    @rule(number=which)
    def accepts(self, number: int) -> None:
        if offer := self.one(number, status="offered"):
            refused(assignments.accept, offer.pk, by=offer.agent.user)

    @rule(number=which)
    def declines(self, number: int) -> None:
        if offer := self.one(number, status="offered"):
            refused(assignments.decline, offer.pk, by=offer.agent.user, reason="busy")

    @rule(agent=whom, number=which)
    def claims(self, agent: int, number: int) -> None:
        waiting = list(WorkItem.objects.filter(status="waiting").order_by("pk"))
        if waiting:
            refused(assignments.claim, waiting[number % len(waiting)].pk, by=self.agents[agent].user)

    @rule(number=which, coded=st.booleans())
    def completes(self, number: int, coded: bool) -> None:
        if held := self.held(number):
            reason, outcome = ("billing", "solved") if coded else ("", "")
            refused(
                assignments.complete, held.work_item_id, by=held.agent.user, reason=reason, outcome=outcome
            )

    @rule(number=which, again=st.booleans())
    def wraps_up(self, number: int, again: bool) -> None:
        if held := self.held(number):
            refused(wrap_ups.extend if again else wrap_ups.begin, held.work_item_id, by=held.agent.user)

    @rule(number=which, hours=st.sampled_from([None, 2]))
    def parks(self, number: int, hours: int | None) -> None:
        if held := self.held(number):
            until = timezone.now() + timedelta(hours=hours) if hours else None
            refused(parking.park, held.work_item_id, by=held.agent.user, until=until)

    @rule(number=which)
    def takes_up(self, number: int) -> None:
        if held := self.held(number):
            refused(parking.take_up, held.work_item_id, by=held.agent.user)

    @rule(number=which)
    def wakes(self, number: int) -> None:
        if held := self.held(number, parked_until__isnull=False):
            tickets.wake(Ticket.objects.get(interactions=held.work_item.interaction_id), by=held.agent.user)
            parking.due([held.work_item.interaction.ticket_id])

    @rule(number=which, to=st.integers(0, 5))
    def transfers(self, number: int, to: int) -> None:
        if held := self.held(number):
            where = {"queue": self.queues[to]} if to < 2 else {"agent": self.agents[to - 2]}
            refused(assignments.transfer, held.work_item_id, by=held.agent.user, note="yours", **where)

    @rule(number=which, agent=whom)
    def takes_over(self, number: int, agent: int) -> None:
        if held := self.held(number):
            refused(assignments.take_over, held.work_item_id, by=self.agents[agent].user)

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
