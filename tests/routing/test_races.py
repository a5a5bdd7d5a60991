"""Many hands at once on one database: the statements' own guards, without any leader's lock."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import orjson
import pytest
from django.db import connection, connections, transaction
from django.db.models import Count, F, Sum

from crm import rows
from crm.errors import Conflict
from crm.models import Customer, Delivery, Ticket
from crm.services import deliveries
from routing.models import Agent, Assignment, WorkItem
from routing.services import assignments, dispatch, presence
from socialcare.models import Mention
from tests import factories

ROUTERS = 4
ROUNDS = 5
UNITS = 3


@pytest.fixture
def _shared(transactional_db) -> Iterator[None]:
    """Rows that every thread sees; the threads' connections are closed by themselves."""
    yield
    connections.close_all()


def at_once(works: list[Callable]) -> list:
    """Run all works in threads that start at the same instant; results or the domain's refusals, in order."""
    gate = threading.Barrier(len(works))

    def one(work: Callable) -> object:
        try:
            connection.ensure_connection()
            gate.wait(20)
            return work()
        except Conflict as refusal:
            return refusal
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def over_or_doubled() -> tuple[int, int, int]:
    """Agents over capacity, items held twice, loads that are not what is held."""
    held = Assignment.objects.filter(status__in=["offered", "accepted"])
    doubled = held.values("work_item").annotate(n=Count("id")).filter(n__gt=1).count()
    loads = dict(held.values_list("agent").annotate(units=Sum("units")))
    wrong = sum(agent.load != loads.get(agent.pk, 0) for agent in Agent.objects.all())
    return Agent.objects.filter(load__gt=F("capacity")).count(), doubled, wrong


@pytest.mark.usefixtures("_shared")
def test_four_routers_at_once_offer_each_item_once_and_fill_nobody_beyond_capacity():
    queue, channel = factories.make_queue(), factories.make_channel()
    for _ in range(20):
        factories.make_agent(capacity=3 * UNITS)
    for _ in range(80):
        factories.make_work_item(factories.make_interaction(channel, text=""), queue, units=UNITS)
    for number in range(ROUNDS):
        Assignment.objects.all().delete()
        WorkItem.objects.update(status="waiting")
        Agent.objects.update(load=0)
        routers = [dispatch.Router() for _ in range(ROUTERS)]
        for router in routers:
            router.rebuild()
        # Each begins with a hand of its own, so that the rounds interleave instead of one taking all.
        dice = random.Random(number)
        for router in routers:
            for item in dice.sample(sorted(router.rings), 40):
                router._drop(item)
        at_once([lambda router=router: router.round(1e10) for router in routers])
        assert over_or_doubled() == (0, 0, 0)
        last = dispatch.Router()
        last.rebuild()
        last.round(1e10)
        assert Assignment.objects.filter(status="offered").count() == 60
        assert WorkItem.objects.filter(status="waiting").count() == 20
        assert over_or_doubled() == (0, 0, 0)


@pytest.mark.usefixtures("_shared")
def test_of_fifty_accepts_of_one_offer_one_wins_and_the_others_hear_that_it_is_theirs_already():
    offer = factories.make_offer()
    user = offer.agent.user
    answers = at_once([lambda: assignments.accept(offer.pk, by=user)] * 50)
    refusals = [one for one in answers if isinstance(one, Conflict)]
    assert len(refusals) == 49 and {one.code for one in refusals} == {"already_yours"}
    offer.refresh_from_db()
    assert offer.status == "accepted" and over_or_doubled() == (0, 0, 0)


@pytest.mark.usefixtures("_shared")
def test_of_ten_agents_who_claim_one_item_one_gets_it():
    item = factories.make_work_item()
    agents = [factories.make_agent() for _ in range(10)]
    answers = at_once([lambda agent=agent: assignments.claim(item.pk, by=agent.user) for agent in agents])
    assert sum(isinstance(one, Assignment) for one in answers) == 1
    assert {one.code for one in answers if isinstance(one, Conflict)} == {"taken"}
    assert over_or_doubled() == (0, 0, 0)


@pytest.mark.usefixtures("_shared")
def test_accept_decline_and_leaving_at_the_same_instant_end_an_offer_once():
    for _ in range(5):
        offer = factories.make_offer()
        at_once(
            [
                partial(assignments.accept, offer.pk, by=offer.agent.user),
                partial(assignments.decline, offer.pk, by=offer.agent.user, reason="busy"),
                partial(presence.choose, offer.agent, "break", by=offer.agent.user),
            ]
        )
        offer.refresh_from_db()
        item = WorkItem.objects.get(pk=offer.work_item_id)
        assert (offer.status, item.status) in {
            ("accepted", "assigned"),
            ("declined", "waiting"),
            ("withdrawn", "waiting"),
        }
        assert over_or_doubled() == (0, 0, 0)


@pytest.mark.usefixtures("_shared")
def test_the_same_items_from_many_senders_while_two_conveyors_handle_them_are_one_mention_each():
    channel = factories.make_channel()
    factories.make_queue(is_fallback=True)
    raws = [
        orjson.dumps(
            {
                "id": f"race-{n}", "kind": "mention", "text": "@brand nobody answers me, please help",
                "created_at": "2026-01-01T10:00:00Z", "author": {"id": f"person{n % 30}"},
            }
        )
        for n in range(60)
    ]  # fmt: skip

    def send(order: list[bytes]) -> int:
        return sum(deliveries.accept(channel, order[start : start + 7]).accepted for start in range(0, 60, 7))

    def handle() -> int:
        return sum(deliveries.process(15) for _ in range(12))

    dice = random.Random(5)
    orders = [dice.sample(raws, len(raws)) for _ in range(10)]
    told = at_once([*[lambda order=order: send(order) for order in orders], handle, handle])
    while deliveries.process():
        pass
    assert sum(told[:10]) == 60
    ledger = deliveries.ledger()
    assert (ledger["received"], ledger["done"], ledger["duplicate"]) == (600, 60, 540)
    assert Mention.objects.count() == 60
    assert Customer.objects.count() == Ticket.objects.count() == 30


@pytest.mark.usefixtures("_shared")
def test_a_sender_and_the_conveyor_never_wait_for_each_other_over_two_items():
    channel = factories.make_channel()
    factories.make_queue(is_fallback=True)
    # The later key has the lower id: held by id, the conveyor has it while the sender, by key, has the other.
    item = {"kind": "mention", "text": "hello", "created_at": "2026-01-01T10:00:00Z", "author": {"id": "p"}}
    raws = [orjson.dumps({"id": name, **item}) for name in ("b", "a")]
    for raw in raws:
        deliveries.accept(channel, [raw])
    Delivery.objects.update(state="in_progress")
    first = Delivery.objects.get(external_id="a")

    def wait_for(many: int) -> None:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        until = time.monotonic() + 20
        while rows.run(asked)[0][0] < many:
            assert time.monotonic() < until
            rows.run("SELECT pg_stat_clear_snapshot()")  # or the transaction would see the first answer again
            time.sleep(0.01)

    with ThreadPoolExecutor(2) as pool:

        def apart(work: Callable) -> object:
            try:
                return work()
            finally:
                connections.close_all()

        with transaction.atomic():
            Delivery.objects.select_for_update().get(pk=first.pk)
            sent = pool.submit(apart, lambda: deliveries.accept(channel, raws).duplicates)
            wait_for(1)
            handled = pool.submit(apart, deliveries.put_back)
            wait_for(2)
        assert (sent.result(20), handled.result(20)) == (2, 2)
    assert deliveries.process() == 2
    assert deliveries.ledger()["duplicate"] == 2
