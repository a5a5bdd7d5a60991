"""Deferred work held for calls: what is never held, what the queue sets, and that page, board and REST say it in words."""

import time
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from crm.choices import Role
from reports.models import Board
from reports.services import boards
from routing.engine import Holding, Item, Pool, Seat, why_idle
from routing.models import Standing
from routing.pacing import Pacing, Told
from routing.rules import Rules
from routing.services import dispatch, idleness, standing
from tests import factories as make

NOW = 1_700_000_000.0
CALLS = {"voice": 1, "chat": 5, "message": 5, "social": 5, "mail": 5}


def post(number, **about):
    return Item(id=number, **{"queue": "general", "family": "social", "queued_at": NOW, "units": 3, "goal_seconds": 3600.0,
                              "deadline": NOW + 3600.0, **about})  # fmt: skip


def pool_with(items, seats, *, kept=1.0, needed=0.0):
    """A pool whose day brings calls: so many idle agents are kept free for them."""
    pacing = Pacing()
    pool = Pool(pacing=pacing, senses=Told(pacing, kept, needed))
    for seat in seats:
        pool.update_seat(seat)
    for item in items:
        pool.add(item)
    return pool


def held(*items, seats=None, **senses):
    """Of these items, which are held and until when (seconds from now)."""
    pool = pool_with(items, seats or [Seat(1, capacity=15)], **senses)
    return {item: until - NOW for item, until in pool.holding(NOW).items.items()}


def offered(*items, seats=None, **senses):
    pool = pool_with(items, seats or [Seat(1, capacity=15)], **senses)
    return [one.item_id for one in pool.decide(NOW)]


# --- what the engine holds


def test_a_young_post_is_held_while_agents_are_kept_for_calls_and_goes_when_the_hold_ends():
    rules = Rules("general", {"social": 3600.0})
    one = rules.rule(post(1), NOW)
    assert held(one) == {1: 900.0}  # a quarter of the target
    pool = pool_with([one], [Seat(1, capacity=15)])
    assert pool.decide(NOW + 899) == []
    assert [given.item_id for given in pool.decide(NOW + 901)] == [1]


@pytest.mark.parametrize("hold, until", [(60, 60.0), (3600, 3600.0), (90_000, 3600.0), (None, 900.0)])
def test_the_longest_hold_is_the_queues_never_beyond_the_deadline(hold, until):
    one = Rules("general", {"social": 3600.0}, longest_hold=hold).rule(post(1), NOW)
    assert held(one) == {1: until}


def test_a_queue_that_holds_nothing_holds_nothing():
    one = Rules("general", {"social": 3600.0}, longest_hold=0).rule(post(1), NOW)
    assert held(one) == {} and offered(one) == [1]


@pytest.mark.parametrize(
    "about",
    [
        {"family": "message", "begun": True},
        {"family": "message", "preferred": 7, "preferred_until": NOW + 60},
        {"parts": {"urgency": 0.9}},
        {"family": "chat"},
        {"family": "voice", "units": 15},
    ],
    ids=["conversation", "last agent", "safety", "chat", "call"],
)
def test_never_held(about):
    one = Rules("general", {}).rule(post(1, **about), NOW)
    assert held(one) == {} and offered(one) == [1]


def test_while_no_call_is_forecast_the_only_work_there_is_is_never_held():
    assert offered(post(1), kept=0.0) == [1]
    # The pool's own senses: no call was seen, none is expected.
    pool = Pool(pacing=Pacing())
    pool.update_seat(Seat(1, capacity=15))
    pool.add(post(1))
    assert pool.holding(NOW).items == {}
    assert [one.item_id for one in pool.decide(NOW)] == [1]


def test_what_nobody_free_could_take_waits_but_is_not_held():
    assert held(post(1, skills={"billing": 1})) == {}
    assert held(post(1), seats=[Seat(1, capacity=15, load=15)]) == {}


def test_who_takes_no_calls_is_not_kept_for_them():
    assert held(post(1), seats=[Seat(1, capacity=15), Seat(2, capacity=15, max_family={"voice": 0})]) == {}


def test_why_idle_says_held_for_calls_of_the_agent_who_is_kept_and_of_him_alone():
    one = post(1)
    pool = pool_with([one], [Seat(1, capacity=15)])
    holding = pool.holding(NOW)
    assert holding.agents == {1} and holding.idle == 1 and holding.kept == 1.0
    assert why_idle(Seat(1, capacity=15), [one], NOW, holding=holding)["why"] == "held for calls: 1 waiting"
    free = why_idle(Seat(2, capacity=15), [one], NOW, holding=holding)["why"]
    assert free == "could take it at the next round: 1 waiting"


def test_what_waits_for_its_own_agent_is_no_work_for_others():
    one = post(1, customer=5, preferred_until=NOW + 60)
    busy = Seat(2, capacity=15, load=13, over=1, customers=frozenset({5}))
    holding = pool_with([one], [Seat(1, capacity=15), busy], kept=0.0).holding(NOW)
    assert holding.promised == {1}
    assert (
        why_idle(Seat(1, capacity=15), [one], NOW, holding=holding)["why"]
        == "waits for an agent of its own: 1 waiting"
    )


def test_nothing_is_held_without_pacing():
    assert Pool().holding(NOW) == Holding()


# --- what the router says of it

pytest_db = pytest.mark.django_db


@pytest.fixture
def owner(client) -> Client:
    client.force_login(make.make_user(Role.ADMINISTRATOR))
    return client


def calls_come(router):
    """As if many calls had been seen lately, so that agents are kept free."""
    for number in range(40):
        router.pool.senses.call_came(-number, time.time() - 60)


def a_quiet_hour(posts=2):
    queue = make.make_queue()
    made = [make.make_work_item(queue=queue, family="social") for _ in range(posts)]
    agent = make.make_agent(make.make_user(Role.AGENT, team=queue.team), capacity=15)
    router = dispatch.Router()
    router.rebuild()
    calls_come(router)
    assert router.round(time.time()) == 0
    standing.tell(router)
    return queue, made, agent


@pytest_db
def test_queue_page_board_and_rest_say_how_many_are_held_and_when_the_next_is_released(owner):
    queue, made, _ = a_quiet_hour()
    page = owner.get("/queues/").content.decode()
    assert "2 held for calls, next at" in page
    Board.objects.create(slug="all", title="All")
    tile = next(
        one
        for one in boards.snapshot("all", make.make_user(Role.ADMINISTRATOR))["queues"]
        if one["slug"] == queue.slug
    )
    assert tile["held"]["count"] == 2
    first = min(item.queued_at for item in made) + timedelta(seconds=900)
    assert abs((tile["held"]["next_at"] - first).total_seconds()) < 1
    waits = owner.get(f"/api/v1/work-items/{made[0].pk}/explanation/").json()["waiting"]
    assert waits["why"] == "held for calls" and waits["held_until"]


@pytest_db
def test_why_idle_names_what_is_held_with_the_routers_own_numbers(owner):
    _, made, agent = a_quiet_hour()
    told = owner.get(f"/api/v1/agents/{agent.pk}/idle/").json()
    assert told["why"] == "Kept free for calls: 2 of 2 that wait."
    assert told["reasons"] == [{"why": "kept free for calls", "count": 2}]
    assert told["calls"]["idle"] == 1 and told["calls"]["kept"] >= 1 and told["next_release_at"]
    assert {one["work_item"] for one in told["items"]} == {item.pk for item in made}
    page = owner.get(f"/agents/{agent.pk}/idle/").content.decode()
    assert "Kept free for calls: 2 of 2 that wait." in page and "heard" in page


@pytest_db
def test_nothing_is_said_to_be_held_when_the_router_was_not_heard_for_a_while(owner):
    _, made, agent = a_quiet_hour()
    Standing.objects.update(told_at=timezone.now() - timedelta(seconds=60))
    assert "held for calls" not in owner.get("/queues/").content.decode()
    told = owner.get(f"/api/v1/agents/{agent.pk}/idle/").json()
    assert (
        told["told_at"] is None and "not heard of" in owner.get(f"/agents/{agent.pk}/idle/").content.decode()
    )


@pytest_db
def test_the_router_says_it_once_while_nothing_changes(django_assert_num_queries):
    a_quiet_hour()
    router = dispatch.Router()
    router.rebuild()
    calls_come(router)
    with django_assert_num_queries(1):
        standing.tell(router)
    with django_assert_num_queries(0):
        standing.tell(router)


@pytest_db
@pytest.mark.parametrize(
    "about, work, why",
    [
        ({"chosen": "break"}, {}, "No work comes: break."),
        ({"silent": True}, {}, "No work comes: not responding, there is no sign of life."),
        (
            {"then_state": "meal", "then_after": "all"},
            {},
            "No new work comes: meal begins when what is in hand is over.",
        ),
        ({}, {"required_skills": {"billing": 3}}, "Lacks Billing: 1 of 1 that wait."),
        ({"capacity": 2}, {}, "No room, 0 of 2 units in use, needs 3: 1 of 1 that wait."),
        ({"blocked_families": ["social"]}, {}, "Not responding on social: 1 of 1 that wait."),
        ({"max_family": {"social": 0}}, {}, "Takes no social: 1 of 1 that wait."),
    ],
)
def test_why_idle_in_words(about, work, why):
    queue = make.make_queue()
    make.make_work_item(queue=queue, family="social", **work)
    agent = make.make_agent(**{"capacity": 15, **about})
    assert idleness.of(agent, make.make_user(Role.ADMINISTRATOR))["why"] == why


@pytest_db
def test_why_idle_when_nothing_waits_or_agents_fetch():
    agent, reader = make.make_agent(), make.make_user(Role.ADMINISTRATOR)
    assert idleness.of(agent, reader)["why"] == "Nothing waits."
    make.make_work_item(queue=make.make_queue(mode="next"), family="social")
    told = idleness.of(agent, reader)
    assert told["why"] == "Nothing waits that is offered: agents fetch it themselves."
    assert told["notes"] == ["1 more wait in queues from which agents fetch."]


@pytest_db
def test_why_idle_names_no_work_that_the_reader_may_not_see(client):
    queue = make.make_queue(team=make.make_team(visibility="closed"))
    make.make_work_item(queue=queue, family="social", required_skills={"billing": 3})
    agent = make.make_agent()
    client.force_login(agent.user)
    told = client.get("/api/v1/agents/me/idle/").json()
    assert (told["waiting"], told["items"]) == (1, [])
    assert client.get("/agents/me/idle/").status_code == 200


@pytest_db
def test_the_setting_is_kept_with_a_reason_and_tried_before(owner):
    queue = make.make_queue()
    path = f"/api/v1/queues/{queue.slug}/"
    kept = owner.patch(path, {"longest_hold": 60, "reason": "short"}, content_type="application/json")
    assert (kept.status_code, kept.json()["longest_hold"]) == (200, 60)
    assert (
        owner.patch(path, {"longest_hold": -1, "reason": "x"}, content_type="application/json").status_code
        == 400
    )
    item = make.make_work_item(queue=queue, family="social")
    assert dispatch.items_of([item.pk])[0].hold == 60.0
    page = owner.post(f"/queues/{queue.slug}/", {"longest_hold": "", "reason": "as usual", "act": "keep"})
    assert page.status_code == 302
    assert dispatch.items_of([item.pk])[0].hold == 900.0


@pytest_db
def test_what_waits_for_its_own_agent_names_him_on_page_and_rest(owner):
    holder = make.make_agent(capacity=3)
    held = make.make_assignment(holder)
    item = make.make_work_item(
        queue=held.work_item.queue, family="social", customer_id=held.work_item.customer_id,
        preferred_agent=holder, preferred_until=timezone.now() + timedelta(seconds=60),
    )  # fmt: skip
    why = owner.get(f"/api/v1/work-items/{item.pk}/explanation/").json()["waiting"]["why"]
    assert why == f"waits for {holder}, who has this customer's open work"
    assert str(holder) in owner.get(f"/interactions/{item.interaction_id}/").content.decode()


@pytest_db
def test_why_the_others_lost_stands_beside_the_thread_on_desk_and_ticket(owner):
    queue = make.make_queue()
    item = make.make_work_item(queue=queue, family="social", required_skills={"billing": 2})
    winner = make.make_agent(capacity=15, skills={"billing": 3})
    make.make_agent(capacity=15)
    router = dispatch.Router()
    router.rebuild()
    assert router.round(time.time()) == 1
    for path in (f"/interactions/{item.interaction_id}/thread/", f"/tickets/{item.interaction.ticket_id}/"):
        page = owner.get(path).content.decode()
        assert "Why this agent?" in page and str(winner) in page and "lacks Billing" in page
