"""Calls interrupt deferred work, never the reverse; exclusive channels; answered work goes aside; who returns gets work."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from crm.choices import ChannelKind, Role
from crm.errors import Conflict
from crm.models import Activity, Interaction
from reports.services import reconciliation
from routing.conveyor import ROUTER, Conveyor
from routing.models import Agent, Assignment, Queue, WorkItem
from routing.services import assignments, dispatch, interruptions, parking, presence
from tests import factories as make

pytestmark = pytest.mark.django_db
LOADS = (
    "a work item's state fits its live assignment", "an agent's load is what he holds",
    "nobody is over capacity by more than two items",
)  # fmt: skip


def sums_hold() -> None:
    for name in LOADS:
        assert not (broken := reconciliation.find(name)), (name, broken)


def piece(queue, kind: str = ChannelKind.EMAIL, ago: float = 60, units: int = 3, **fields) -> WorkItem:
    at = timezone.now() - timedelta(seconds=ago)
    contact = make.make_interaction(make.make_channel(kind))
    return make.make_work_item(
        contact, queue, **{"units": units, "queued_at": at, "created_at": at, **fields}
    )


def call(queue, ago: float = 60) -> WorkItem:
    return piece(queue, ChannelKind.PHONE, ago, 15)


def second() -> int:
    """What the leader does once a second, as far as calls go; returns the calls that interrupted."""
    interruptions.end()
    router = dispatch.Router()
    router.rebuild()
    router.round(timezone.now().timestamp())
    router.catch_up()
    return interruptions.make(router.calls, list(router.pool.seats))


def mails(agent: Agent, queue, n: int = 3) -> list[Assignment]:
    return [make.make_assignment(agent, piece(queue)) for _ in range(n)]


def of(agent: Agent, **where) -> list[int]:
    return list(agent.assignments.filter(**where).order_by("pk").values_list("pk", flat=True))


def test_a_call_takes_an_agent_from_deferred_work_which_stays_his_and_comes_back_first():
    queue, agent = make.make_queue(), make.make_agent(capacity=15)
    held = [one.pk for one in mails(agent, queue)]
    waiting = call(queue)
    assert second() == 1
    offer = Assignment.objects.get(work_item=waiting)
    agent.refresh_from_db()
    assert (offer.agent, offer.status, offer.units, agent.load) == (agent, "offered", 15, 15)
    assert of(agent, interrupted_at__isnull=False, units=0, parked_at__isnull=False) == held
    assert Activity.objects.filter(verb="work_item.interrupted").count() == 3
    assert "set aside" in offer.explanation["reason"]
    sums_hold()

    for _ in range(5):
        piece(queue)  # others wait, too
    assignments.accept(offer.pk, by=agent.user)
    assert second() == 0 and interruptions.end() == 0  # in a call nothing comes back
    make.make_codes()
    assignments.complete(waiting.pk, by=agent.user, reason="billing", outcome="solved")
    router = dispatch.Router()
    router.rebuild()
    router.round(timezone.now().timestamp())
    assert Assignment.objects.filter(status="offered").count() == 2  # the room of three is kept
    assert interruptions.end() == 3
    agent.refresh_from_db()
    assert agent.load == 15 and of(agent, interrupted_at__isnull=False) == []
    assert of(agent, status="accepted", units=3) == held
    assert Activity.objects.filter(verb="work_item.resumed").count() == 3
    sums_hold()


@pytest.mark.parametrize("how", ["declined", "missed"])
def test_a_call_that_is_not_taken_gives_the_work_back_at_no_cost_and_interrupts_him_no_more(how):
    queue, agent = make.make_queue(), make.make_agent(capacity=15)
    held = [one.pk for one in mails(agent, queue)]
    waiting = call(queue)
    assert second() == 1
    offer = Assignment.objects.get(work_item=waiting)
    if how == "declined":
        assignments.decline(offer.pk, by=agent.user, reason="busy")
    else:
        Assignment.objects.filter(pk=offer.pk).update(expires_at=timezone.now() - timedelta(minutes=5))
        assignments.expire()
    assert second() == 0
    assert of(agent, status="accepted", units=3) == held
    assert Agent.objects.get(pk=agent.pk).load == 9
    sums_hold()


def test_neither_chats_nor_calls_nor_wrap_ups_nor_who_is_not_able_or_there_are_interrupted():
    queue = make.make_queue(required_skills={"billing": 2})
    skilled = {"skills": {"billing": 3}, "capacity": 15}
    chatting, calling, wrapping = (make.make_agent(**skilled) for _ in range(3))
    make.make_assignment(chatting, piece(queue, ChannelKind.CHAT, units=5))
    mails(chatting, queue, 1)
    make.make_assignment(calling, call(queue))
    make.make_assignment(
        wrapping, piece(queue), wrap_up_at=timezone.now(), wrap_up_until=timezone.now() + timedelta(minutes=1)
    )
    unskilled, away = make.make_agent(capacity=15), make.make_agent(**skilled)
    for agent in (unskilled, away):
        mails(agent, queue, 1)
    presence.choose(away, "break", by=away.user)
    call(queue)
    assert second() == 0
    assert not Assignment.objects.filter(interrupted_at__isnull=False).exists()
    sums_hold()


def test_the_least_deferred_work_is_interrupted_by_the_call_that_goes_first_and_each_agent_once():
    queue = make.make_queue()
    much, little = make.make_agent(capacity=15), make.make_agent(capacity=15)
    mails(much, queue, 4), mails(little, queue, 1)
    first, later, last = call(queue, 90), call(queue, 50), call(queue, 40)
    assert second() == 2
    assert Assignment.objects.get(work_item=first).agent == little
    assert Assignment.objects.get(work_item=later).agent == much
    assert WorkItem.objects.get(pk=last.pk).status == "waiting"
    sums_hold()


def test_a_queue_says_after_how_long_or_never_and_who_is_free_is_asked_before():
    queue, never = make.make_queue(interrupt_seconds=30), make.make_queue(interrupt_seconds=None)
    agent = make.make_agent(capacity=15)
    mails(agent, queue, 1)
    young, barred = call(queue, 20), call(never, 500)
    assert second() == 0
    WorkItem.objects.filter(pk=young.pk).update(created_at=timezone.now() - timedelta(seconds=40))
    assert second() == 1
    assert Assignment.objects.get(work_item=young).agent == agent
    free = make.make_agent(capacity=15)
    assert second() == 0
    assert Assignment.objects.get(work_item=barred).agent == free
    sums_hold()


def test_deferred_work_never_comes_on_top_of_a_call():
    queue, agent = make.make_queue(), make.make_agent(capacity=15)
    make.make_assignment(agent, call(queue))
    for _ in range(3):
        piece(queue)
    second()
    assert Agent.objects.get(pk=agent.pk).load == 15
    assert not Assignment.objects.filter(status="offered").exists()


def test_a_customer_who_writes_meanwhile_is_waited_for_ten_minutes_then_goes_to_the_queue():
    queue, agent = make.make_queue(), make.make_agent(capacity=15)
    held = mails(agent, queue, 1)[0]
    call(queue)
    second()
    parking.answered([held.work_item.interaction_id])
    assert parking.keep() == 0
    Assignment.objects.filter(pk=held.pk).update(answered_at=timezone.now() - timedelta(minutes=11))
    assert parking.keep() == 1
    assert WorkItem.objects.get(pk=held.work_item_id).status == "waiting"
    sums_hold()


# --- Exclusive channels


def test_an_exclusive_channel_takes_an_agent_whole_and_comes_only_to_empty_hands():
    queue = make.make_queue(exclusive=["chat"])
    small, big = make.make_agent(capacity=10), make.make_agent(capacity=30)
    mails(big, queue, 1)
    for _ in range(2):
        piece(queue, ChannelKind.CHAT, units=5)
    second()
    offers = Assignment.objects.filter(status="offered", work_item__family="chat")
    assert [(one.agent, one.units) for one in offers] == [(small, 10)]
    waiting = WorkItem.objects.get(family="chat", status="waiting")
    with pytest.raises(Conflict) as refusal:
        assignments.claim(waiting.pk, by=big.user)
    assert refusal.value.code == "no_capacity"
    Assignment.objects.filter(agent=big).update(status="completed")
    Agent.objects.filter(pk=big.pk).update(load=0)
    WorkItem.objects.filter(family="mail").update(status="done")
    assert assignments.claim(waiting.pk, by=big.user).units == 30
    sums_hold()


def test_the_page_and_rest_keep_these_rules_and_refuse_what_makes_no_sense():
    queue, client = make.make_queue(), Client()
    client.force_login(make.make_user(Role.ADMINISTRATOR))
    form = {
        "exclusive": ["", "chat"],
        "interrupt_seconds": "",
        "pending_seconds": "60",
        "reason": "chats are long",
        "act": "keep",
    }
    assert client.post(f"/queues/{queue.slug}/", form).status_code == 302
    queue.refresh_from_db()
    assert (queue.exclusive, queue.interrupt_seconds, queue.pending_seconds) == (["chat"], None, 60)
    path = f"/api/v1/queues/{queue.slug}/"
    for wrong in ({"exclusive": ["pigeon"]}, {"interrupt_seconds": -1}, {"pending_seconds": 1}):
        said = client.patch(path, {**wrong, "reason": "no"}, content_type="application/json")
        assert (said.status_code, set(said.json()["errors"])) == (400, set(wrong))
    given = {"interrupt_seconds": 0, "exclusive": [], "reason": "at once"}
    assert client.patch(path, given, content_type="application/json").json()["interrupt_seconds"] == 0
    assert Queue.objects.get(pk=queue.pk).exclusive == []


# --- Pending by itself


def answer(held: Assignment, ago: float) -> None:
    at = timezone.now() - timedelta(seconds=ago)
    Assignment.objects.filter(pk=held.pk).update(offered_at=at, accepted_at=at)
    Interaction.objects.filter(pk=held.work_item.interaction_id).update(
        first_response_at=at, last_message_at=at, waiting_since=None
    )


def test_answered_work_goes_aside_by_itself_and_comes_back_with_the_customers_answer():
    queue, agent = make.make_queue(), make.make_agent(capacity=15)
    answered, fresh, owed, live = mails(agent, queue, 3) + [
        make.make_assignment(agent, piece(queue, ChannelKind.CHAT, units=5))
    ]
    for held, ago in ((answered, 400), (fresh, 100), (live, 400)):
        answer(held, ago)
    assert parking.put_answered_aside() == 1
    assert of(agent, parked_at__isnull=False) == [answered.pk]
    assert Agent.objects.get(pk=agent.pk).load == 11
    assert Activity.objects.filter(verb="work_item.pending").count() == 1
    sums_hold()
    parking.answered([answered.work_item.interaction_id])
    assert parking.keep() == 1
    assert of(agent, parked_at__isnull=False) == [] and owed.pk in of(agent, units=3)
    sums_hold()


def test_what_is_taken_up_again_stays_for_the_same_time_and_no_more_goes_aside_than_may():
    queue = make.make_queue(pending_seconds=60)
    agent = make.make_agent(capacity=15, parked_limit=1)
    first, other = mails(agent, queue, 2)
    for held in (first, other):
        answer(held, 90)
    assert parking.put_answered_aside() == 1 and parking.put_answered_aside() == 0
    aside = Assignment.objects.get(agent=agent, parked_at__isnull=False)
    parking.take_up(aside.work_item_id, by=agent.user)
    Assignment.objects.exclude(pk=aside.pk).update(accepted_at=timezone.now())
    assert parking.put_answered_aside() == 0
    Queue.objects.update(pending_seconds=None)
    Assignment.objects.update(in_hand_at=timezone.now() - timedelta(hours=1))
    assert parking.put_answered_aside() == 0
    sums_hold()


# --- Who returns


def test_open_work_reaches_an_agent_with_the_very_turn_in_which_he_returns(monkeypatch, settings):
    settings.LEADER_LOCK = False
    agent = make.make_agent(chosen="break", capacity=15)
    waiting = piece(make.make_queue())
    leader = Conveyor((ROUTER,))
    leader.start()
    leader.step()
    assert not Assignment.objects.exists()
    presence.choose(agent, "available", by=agent.user)
    monkeypatch.setattr(leader, "_each_second", lambda: None)  # without the clock's help: the click alone
    leader.step()
    assert Assignment.objects.get(work_item=waiting).agent == agent
