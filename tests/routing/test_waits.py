"""Expected wait: the worked examples of the formula, its honesty against chance, and where it is told."""

import random
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from crm.choices import ChannelKind, Role
from routing import waits
from routing.models import WorkItem
from routing.services import places
from routing.waits import expected
from tests import factories as make


def test_a_free_place_is_at_once_and_nobody_able_or_nothing_known_is_no_number():
    assert expected(1, slots=3, free=1, handling=300, begun=0, seconds=1800).words == "at once"
    nobody = expected(1, slots=0, free=0, handling=300, begun=9, seconds=1800)
    assert (nobody.low, nobody.words) == (None, "nobody is in who could take it")
    assert expected(1, slots=2, free=0, handling=None, begun=4, seconds=1800).words == "not known yet"
    assert (
        expected(99, slots=1, free=0, handling=900, begun=0, seconds=1800).words == "longer than can be said"
    )


@pytest.mark.parametrize(
    ("place", "free", "begun", "low", "high", "words"),
    [
        # 5 agents of whom each needs 300 s: one comes free each 60 s. Place 3: Erlang of 3 stages, tenth part 1.10 minutes,
        # ninetieth 5.31.
        (3, 0, 0, 66.2, 318.6, "1 to 6 minutes"),
        (1, 0, 0, 5.9, 136.8, "less than 3 minutes"),
        # Two of the five are free: who is third waits as the next one does.
        (3, 2, 0, 5.9, 136.8, "less than 3 minutes"),
        # The queue began 20 in half an hour, one each 90 s, as its agents also work elsewhere: the long end is longer.
        (3, 0, 20, 66.2, 477.9, "1 to 8 minutes"),
        # Four are too few to believe.
        (3, 0, 4, 66.2, 318.6, "1 to 6 minutes"),
        # It began one each 30 s: the short end is shorter.
        (3, 0, 60, 33.1, 318.6, "less than 6 minutes"),
        (10, 0, 0, 373.4, 852.0, "6 to 15 minutes"),
    ],
)
def test_worked_examples(place, free, begun, low, high, words):
    said = expected(place, slots=5, free=free, handling=300, begun=begun, seconds=1800)
    assert said.low == pytest.approx(low, abs=0.1) and said.high == pytest.approx(high, abs=0.1)
    assert said.words == words


@pytest.mark.parametrize("place", [1, 2, 5, 20])
def test_of_ten_who_are_told_a_range_about_eight_wait_that_long(place):
    dice = random.Random(7)
    said = expected(place, slots=4, free=0, handling=240, begun=0, seconds=1800)
    waited = [sum(dice.expovariate(4 / 240) for _ in range(place)) for _ in range(4000)]
    within = sum(said.low <= one <= said.high for one in waited) / len(waited)
    assert 0.77 <= within <= 0.83


@given(
    place=st.integers(1, 500), slots=st.integers(1, 300), free=st.integers(0, 5), handling=st.floats(1, 5000),
    begun=st.integers(0, 900),
)  # fmt: skip
def test_further_back_is_never_sooner_and_more_agents_are_never_slower(place, slots, free, handling, begun):
    more = {"free": free, "handling": handling, "begun": begun, "seconds": 1800}
    here = expected(place, slots=slots, **more)
    behind = expected(place + 1, slots=slots, **more)
    helped = expected(place, slots=slots + 1, **more)
    if here.low is None or here.high is None:
        assert behind.low is None
        return
    assert 0 <= here.low <= here.high <= waits.LONGEST
    if behind.low is not None and behind.high is not None:
        assert here.low <= behind.low and here.high <= behind.high
    assert helped.low is not None and helped.low <= here.low and helped.high <= here.high + 1e-9


# --- Where it is told


def call(queue, ago: float = 0, kind: str = ChannelKind.PHONE, **fields) -> WorkItem:
    at = timezone.now() - timedelta(seconds=ago)
    units = 15 if kind == ChannelKind.PHONE else 5
    contact = make.make_interaction(make.make_channel(kind))
    if "kind_" in fields:
        fields["kind"] = fields.pop("kind_")
    fields = {"units": units, "queued_at": at, "deadline": at + timedelta(seconds=20), **fields}
    return make.make_work_item(contact, queue, **fields)


def handled(queue, agent, ago: float, seconds: float) -> None:
    """A call that was begun `ago` and took so long."""
    at = timezone.now() - timedelta(seconds=ago)
    item = call(queue, status="done", accepted_at=at)
    make.make_offer(agent, item, status="completed")
    WorkItem.objects.filter(pk=item.pk).update(status="done")
    item.assignments.update(offered_at=at, accepted_at=at, ended_at=at + timedelta(seconds=seconds))
    agent.load = 0
    agent.save(update_fields=["load"])


@pytest.fixture
def read(db):
    client = Client()
    client.force_login(make.make_user(Role.ADMINISTRATOR))
    return lambda path, **given: client.get(f"/api/v1/{path}", given).json()


def test_the_place_is_that_of_the_live_order_and_the_range_that_of_the_formula(read):
    queue = make.make_queue()
    agents = [make.make_agent(capacity=15) for _ in range(5)]
    for number in range(6):
        handled(queue, agents[0], 3600 + number, 300)
    for agent in agents:
        held = make.make_assignment(agent, call(queue))
        WorkItem.objects.filter(pk=held.work_item_id).update(accepted_at=timezone.now() - timedelta(hours=1))
    second, first, third = call(queue, 20), call(queue, 40), call(queue, 10)
    call(queue, 60, not_before=timezone.now() + timedelta(hours=1), kind_="callback")
    call(make.make_queue(), 90)
    make.make_work_item(queue=queue)  # deferred work stands in no line
    said = [read(f"work-items/{one.pk}/wait/") for one in (first, second, third)]
    assert [(one["place"], one["waiting"]) for one in said] == [(1, 3), (2, 3), (3, 3)]
    assert said[2]["low"] == pytest.approx(66.2, abs=0.1) and said[2]["high"] == pytest.approx(318.6, abs=0.1)
    assert said[2]["words"] == "1 to 6 minutes"
    assert read(f"queues/{queue.slug}/wait/", family="voice")["place"] == 4
    assert read(f"queues/{queue.slug}/wait/", family="chat")["words"] == "not known yet"
    assert "family" in read(f"queues/{queue.slug}/wait/", family="mail")["errors"]


def test_only_who_is_in_and_able_counts_and_without_him_there_is_no_number(read):
    queue = make.make_queue(required_skills={"billing": 3})
    make.make_agent(capacity=15)
    make.make_agent(capacity=15, skills={"billing": 4}, chosen="break")
    waiting = call(queue, 30)
    assert read(f"work-items/{waiting.pk}/wait/")["words"] == "nobody is in who could take it"
    make.make_agent(capacity=15, skills={"billing": 3})
    assert read(f"work-items/{waiting.pk}/wait/")["words"] == "at once"


def test_chats_share_an_agent_within_his_limits(read):
    queue = make.make_queue()
    make.make_agent(capacity=15, max_family={"chat": 2})
    for _ in range(3):
        call(queue, 30, kind=ChannelKind.CHAT)
    said = [read(f"work-items/{one.pk}/wait/")["words"] for one in WorkItem.objects.order_by("pk")]
    assert sorted(said) == ["at once", "at once", "not known yet"]


def test_what_is_deferred_or_taken_has_no_place(read):
    nothing = {"place": None, "waiting": None, "low": None, "high": None, "words": ""}
    assert read(f"work-items/{make.make_work_item().pk}/wait/") == nothing
    assert read(f"work-items/{make.make_assignment().work_item_id}/wait/") == nothing


def test_the_page_of_queues_and_the_thread_tell_it(db):
    client = Client()
    client.force_login(make.make_user(Role.ADMINISTRATOR))
    waiting = call(make.make_queue(), 30)
    words = "nobody is in who could take it"
    assert f"Place 1, {words}" in client.get("/queues/").content.decode()
    assert f"place 1 of 1, {words}" in client.get(f"/interactions/{waiting.interaction_id}/").content.decode()


def test_more_calls_cost_no_more_statements(db, django_assert_num_queries):
    queue = make.make_queue()
    for number in range(3):
        call(queue, 10 * number)
    with CaptureQueriesContext(connection) as few:
        assert len(places.of_queues([queue.pk])) == 3
    for number in range(12):
        call(queue, 10 * number)
    with django_assert_num_queries(len(few)):
        assert len(places.of_queues([queue.pk])) == 15
