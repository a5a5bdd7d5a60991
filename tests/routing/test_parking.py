"""Parked work costs nothing, and comes back to its owner or to the queue."""

from datetime import timedelta

import orjson
import pytest
from django.db.models import Sum
from django.test import Client
from django.utils import timezone

from crm.choices import ChannelKind
from crm.errors import Conflict
from crm.models import Interaction, Ticket
from crm.services import deliveries, tickets
from reports.services import reconciliation
from routing.models import Agent, Assignment, WorkItem
from routing.services import parking, presence
from tests import factories as make

pytestmark = pytest.mark.django_db
JSON = "application/json"


def act(held: Assignment, name: str, **body):
    client = Client()
    client.force_login(held.agent.user)
    return client.post(f"/api/v1/work-items/{held.work_item_id}/{name}/", body, content_type=JSON)


def load(agent: Agent) -> int:
    now = Agent.objects.get(pk=agent.pk).load
    held = Assignment.objects.filter(agent=agent, status__in=["offered", "accepted"])
    assert now == (held.aggregate(units=Sum("units"))["units"] or 0)
    return now


def hold(agent: Agent) -> Assignment:
    return make.make_assignment(Agent.objects.get(pk=agent.pk))


def ago(**times) -> object:
    return timezone.now() - timedelta(**times)


def test_what_sleeps_or_is_pending_costs_nothing_and_does_not_keep_anybody_busy():
    agent = make.make_agent()
    sleeping, pending = hold(agent), hold(agent)
    until = timezone.now() + timedelta(hours=2)
    assert act(sleeping, "park", until=until.isoformat()).status_code == 200
    assert Ticket.objects.get(interactions=sleeping.work_item.interaction_id).snoozed_until == until
    assert act(pending, "park").json()["parked_until"] is None
    assert load(agent) == 0
    client = Client()
    client.force_login(agent.user)
    desk = client.get("/api/v1/desk/").json()
    assert desk["presence"]["doing"] == "idle" and desk["counts"]["parked"] == 2
    assert {one["state"] for one in desk["assignments"]} == {"parked"}
    assert act(sleeping, "take-up").status_code == 200 and load(agent) == 3
    assert act(sleeping, "take-up").json()["code"] == "not_parked"


def test_a_ticket_put_to_sleep_on_its_page_parks_its_work_and_waking_brings_it_back(
    django_capture_on_commit_callbacks,
):
    held = hold(make.make_agent())
    ticket = held.work_item.interaction.ticket
    tickets.snooze(ticket, until=timezone.now() + timedelta(days=1), by=held.agent.user)
    assert load(held.agent) == 0 and parking.keep() == 0
    with django_capture_on_commit_callbacks(execute=True):
        tickets.wake(ticket, by=held.agent.user)
    assert parking.keep() == 1 and load(held.agent) == 3


def test_the_customers_answer_brings_it_back_thanks_do_not():
    channel = make.make_channel(ChannelKind.X)
    make.make_queue(is_fallback=True)

    def writes(n: int, text: str) -> None:
        item = {
            "id": f"post-{n}", "kind": "mention", "text": text, "created_at": timezone.now().isoformat(),
            "author": {"id": "77"}, "conversation": "one",
        }  # fmt: skip
        deliveries.accept(channel, [orjson.dumps(item)])
        while deliveries.process():
            pass

    writes(1, "@brand nobody answers, where is my money?")
    held = make.make_assignment(work_item=WorkItem.objects.get())
    act(held, "park")
    writes(2, "Thanks!")
    assert parking.keep() == 0
    writes(3, "@brand it is still broken, where is my money?")
    assert Interaction.objects.get().messages.count() == 3
    assert parking.keep() == 1 and load(held.agent) == 3


def test_what_comes_back_puts_its_owner_two_items_over_at_most_and_the_rest_goes_to_the_queue():
    agent = make.make_agent(capacity=9)
    parked = [hold(agent) for _ in range(3)]
    for one in parked:
        act(one, "park")
    for _ in range(3):
        hold(agent)
    assert load(agent) == 9
    Assignment.objects.filter(pk__in=[one.pk for one in parked]).update(answered_at=ago(minutes=1))
    assert parking.keep() == 2 and load(agent) == 15
    assert parking.keep() == 0
    last = Assignment.objects.get(parked_at__isnull=False)
    assert act(last, "take-up").json()["code"] == "no_capacity"
    assert not any(
        one["check"].startswith(("nobody is over", "an agent's load")) for one in reconciliation.violations()
    )
    age = last.work_item.queued_at
    Assignment.objects.filter(pk=last.pk).update(answered_at=ago(minutes=11))
    assert parking.keep() == 1
    item = WorkItem.objects.get(pk=last.work_item_id)
    assert (item.status, item.queued_at, load(agent)) == ("waiting", age, 15)


def test_an_absent_owner_keeps_it_ten_minutes_unread_and_none_past_the_next_due_time():
    agent = make.make_agent()
    answered, due, later = hold(agent), hold(agent), hold(agent)
    for one in (answered, due, later):
        act(one, "park")
    presence.choose(agent, "offline", by=agent.user)
    Agent.objects.update(chosen_since=ago(minutes=30))
    WorkItem.objects.filter(pk=due.work_item_id).update(deadline=timezone.now() + timedelta(minutes=10))
    WorkItem.objects.filter(pk=later.work_item_id).update(deadline=timezone.now() + timedelta(hours=5))
    Assignment.objects.filter(pk=answered.pk).update(answered_at=ago(minutes=5))
    assert parking.keep() == 1
    assert Assignment.objects.get(pk=due.pk).reason == "owner absent"
    Assignment.objects.filter(pk=answered.pk).update(answered_at=ago(minutes=11))
    assert parking.keep() == 1
    assert Assignment.objects.get(pk=answered.pk).reason == "unread"
    assert Assignment.objects.get(pk=later.pk).status == "accepted"


def test_so_many_and_no_more_are_kept_aside_and_nothing_live():
    agent = make.make_agent(parked_limit=1)
    first, second = hold(agent), hold(agent)
    chat = make.make_assignment(
        Agent.objects.get(),
        make.make_work_item(make.make_interaction(make.make_channel(ChannelKind.CHAT)), units=5),
    )
    assert act(first, "park").status_code == 200
    assert act(second, "park").json()["code"] == "too_many_parked"
    with pytest.raises(Conflict):
        tickets.snooze(
            second.work_item.interaction.ticket, until=timezone.now() + timedelta(days=1), by=agent.user
        )
    assert Ticket.objects.get(interactions=second.work_item.interaction_id).snoozed_until is None
    assert act(chat, "park").json()["code"] == "is_live"
    assert load(agent) == 8


def test_parked_work_can_be_finished_and_handed_on_without_taking_room_twice():
    make.make_codes()
    agent = make.make_agent()
    one, two = hold(agent), hold(agent)
    act(one, "park"), act(two, "park")
    assert act(one, "complete", reason="billing", outcome="solved").status_code == 200
    assert act(two, "transfer", queue=make.make_queue().slug).status_code == 204
    assert load(agent) == 0
