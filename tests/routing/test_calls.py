"""Lost calls, voicemail and callbacks: one person's calls are one work with one clock, and what is promised is kept."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import orjson
import pytest
from django.test import Client
from django.utils import timezone

from crm.choices import ChannelKind, Role
from crm.connectors.items import Item
from crm.models import Activity, Interaction, LiveEvent, Message
from crm.services import deliveries, interactions
from reports.models import Board
from reports.services import boards, reconciliation
from routing.models import Agent, Assignment, Call, WorkItem
from routing.services import assignments, calls, dispatch
from tests import factories as make

pytestmark = pytest.mark.django_db
JSON = "application/json"


def acting(user):
    client = Client()
    client.force_login(user)

    def ask(method: str, path: str, **body):
        return getattr(client, method)(f"/api/v1/{path}", body or None, content_type=JSON)

    return ask


@pytest.fixture
def line():
    make.make_queue(slug="phone-line", is_fallback=True)
    return make.make_channel(ChannelKind.PHONE)


def tell(
    line, call: str, state: str, *, ago: float = 0, caller: str = "+4930123", text: str = "", **more
) -> None:
    """One event of a call, taken in at once."""
    at = (timezone.now() - timedelta(seconds=ago)).isoformat()
    item = {
        "id": call, "kind": "call", "text": text, "created_at": at, "audience": "private",
        "author": {"id": caller, "phone": caller}, "extra": {"call": {"state": state, "at": at}}, **more,
    }  # fmt: skip
    raw = orjson.dumps(item)
    make.make_delivery(line, external_id=call, raw=raw, digest=f"event-{make.number()}")
    while deliveries.process():
        pass


def waiting() -> WorkItem:
    return WorkItem.objects.get(status__in=["waiting", "offered", "assigned"])


def sound() -> None:
    assert reconciliation.violations() == []


def level() -> dict:
    Board.objects.get_or_create(slug="floor", defaults={"title": "Floor"})
    return boards.snapshot("floor", make.make_user(Role.ADMINISTRATOR))["queues"][0]


def test_a_call_that_ends_while_it_waits_is_abandoned_and_leaves_one_work_with_the_same_clock(line):
    tell(line, "c1", "ringing", ago=90)
    call = waiting()
    assert (call.family, call.units, call.kind) == ("voice", 15, "")
    tell(line, "c1", "ended", ago=10)
    call.refresh_from_db()
    owed = waiting()
    assert (call.status, owed.kind, owed.family, owed.units) == ("withdrawn", "lost_call", "message", 3)
    rang = Call.objects.get().rang_at
    assert owed.queued_at == rang and (owed.deadline - owed.queued_at).total_seconds() == 900
    assert Interaction.objects.get().status == "open"
    assert Activity.objects.filter(verb="call.lost").count() == 1
    sound()


def test_who_calls_five_times_has_one_contact_one_ticket_and_one_work_whose_clock_is_the_firsts(line):
    for number in range(5):
        tell(line, f"c{number}", "ringing", ago=600 - number * 100)
        assert (waiting().family, waiting().kind) == ("voice", "")
        tell(line, f"c{number}", "ended", ago=580 - number * 100)
        assert waiting().kind == "lost_call"
    contact = Interaction.objects.get()
    assert contact.calls.count() == 5
    assert waiting().queued_at == contact.calls.order_by("rang_at").first().rang_at
    assert WorkItem.objects.filter(family="voice", status="withdrawn").count() == 5
    sound()


@pytest.mark.parametrize("order", list(permutations(["ringing", "held", "ended"])))
def test_in_whatever_order_the_telephone_tells_the_call_is_lost(line, order):
    ago = {"ringing": 60, "held": 40, "ended": 20}
    for state in order:
        tell(line, "c1", state, ago=ago[state])
    assert waiting().kind == "lost_call"
    told = Call.objects.get()
    assert 15 < (timezone.now() - told.ended_at).total_seconds() < 40
    assert (told.ended_at - told.rang_at).total_seconds() == pytest.approx(40, abs=2)
    sound()


def test_an_offered_call_that_ends_takes_its_offer_back(line):
    agent = make.make_agent(capacity=15)
    tell(line, "c1", "ringing")
    router = dispatch.Router()
    router.rebuild()
    assert router.round(timezone.now().timestamp()) == 1
    assert Agent.objects.get(pk=agent.pk).load == 15
    tell(line, "c1", "ended")
    assert Agent.objects.get(pk=agent.pk).load == 0
    assert waiting().kind == "lost_call"
    sound()


def test_a_call_that_an_agent_has_is_not_lost_when_it_ends(line):
    agent = make.make_agent(capacity=15)
    tell(line, "c1", "ringing")
    assignments.claim(waiting().pk, by=agent.user)
    tell(line, "c1", "ended")
    assert (waiting().status, waiting().kind) == ("assigned", "")
    sound()


@pytest.mark.parametrize("message_first", [False, True])
def test_a_voicemail_is_an_item_with_its_words_and_the_calls_clock(line, message_first):
    events = [
        ("c1", "ended", {}),
        ("v1", "voicemail", {"in_reply_to": "c1", "text": "Please call me, it is urgent."}),
    ]
    tell(line, "c1", "ringing", ago=60)
    for call, state, more in reversed(events) if message_first else events:
        tell(line, call, state, **more)
    owed = waiting()
    assert owed.kind == "voicemail" and owed.queued_at == Call.objects.get().rang_at
    assert Message.objects.filter(interaction=owed.interaction, text__contains="urgent").count() == 1
    sound()


def test_while_somebody_has_the_lost_call_in_hand_he_hears_that_the_caller_rings_again(line):
    agent = make.make_agent(capacity=15)
    tell(line, "c1", "ringing", ago=60)
    tell(line, "c1", "ended", ago=30)
    assignments.claim(waiting().pk, by=agent.user)
    tell(line, "c2", "ringing")
    told = LiveEvent.objects.filter(stream=f"desk:{agent.user_id}", type="alert").values_list(
        "data", flat=True
    )
    assert "on the line again" in list(told)[-1]["text"]
    sound()


def test_what_is_owed_closes_by_itself_when_the_customer_gets_through_on_another_line(line):
    agent = make.make_agent(capacity=15)
    tell(line, "c1", "ringing", ago=60)
    tell(line, "c1", "ended", ago=30)
    owed = waiting()
    assert calls.keep() == 0
    other = make.make_interaction(
        make.make_channel(ChannelKind.PHONE), Interaction.objects.get().customer, text=""
    )
    item = make.make_work_item(other, WorkItem.objects.first().queue, units=15)
    make.make_assignment(agent, item)
    assert calls.keep() == 1
    owed.refresh_from_db()
    assert owed.status == "withdrawn" and owed.interaction.status == "closed"
    assert Activity.objects.filter(verb="call.got_through", interaction_id=owed.interaction_id).count() == 1
    sound()


def test_a_callback_keeps_its_place_and_is_never_abandoned(line):
    tell(line, "c1", "ringing", ago=300)
    before = waiting()
    phone = make.make_user(Role.API_CLIENT)
    said = acting(phone)("post", f"work-items/{before.pk}/callback/").json()
    assert (said["kind"], said["queued_at"], said["not_before"]) == ("callback", said["queued_at"], None)
    tell(line, "c1", "ended")
    same = waiting()
    assert (same.pk, same.kind, same.family, same.queued_at) == (
        before.pk,
        "callback",
        "voice",
        before.queued_at,
    )
    interactions.close(same.interaction_id, by=None)
    assert level()["service_level"] is None
    WorkItem.objects.update(kind="", queued_at=timezone.now() - timedelta(minutes=2))
    assert level()["service_level"] == 0


def test_a_booked_time_is_kept_and_nobody_is_offered_it_before(line):
    make.make_agent(capacity=15)
    tell(line, "c1", "ringing")
    item, at = waiting(), timezone.now() + timedelta(hours=2)
    ask = acting(make.make_user(Role.API_CLIENT))
    for wrong in (timezone.now() - timedelta(hours=1), timezone.now() + timedelta(days=60)):
        assert set(ask("post", f"work-items/{item.pk}/callback/", at=wrong.isoformat()).json()["errors"]) == {
            "at"
        }
    assert ask("post", f"work-items/{item.pk}/callback/", at=at.isoformat()).status_code == 200
    router = dispatch.Router()
    router.rebuild()
    assert router.round(timezone.now().timestamp()) == 0
    item.refresh_from_db()
    assert item.deadline == at + timedelta(seconds=20)
    assert calls.keep() == 0
    WorkItem.objects.update(not_before=timezone.now() - timedelta(minutes=5))
    assert calls.keep() == 1
    router.catch_up()
    assert router.round(timezone.now().timestamp()) == 1


def test_two_attempts_then_a_message(line):
    make.make_codes()
    agent = make.make_agent(capacity=15)
    tell(line, "c1", "ringing", ago=60)
    calls.promise(waiting(), by=make.make_user(Role.API_CLIENT))
    ask, item = acting(agent.user), waiting()
    assert ask("post", f"work-items/{item.pk}/not-reached/").json()["code"] == "not_held"
    assignments.claim(item.pk, by=agent.user)
    said = ask("post", f"work-items/{item.pk}/not-reached/").json()
    assert (said["status"], said["attempts"], said["kind"]) == ("waiting", 1, "callback")
    again = datetime.fromisoformat(said["not_before"])
    assert timedelta(minutes=14) < again - timezone.now() <= timedelta(minutes=15)
    assert Agent.objects.get(pk=agent.pk).load == 0
    sound()
    assignments.claim(item.pk, by=agent.user)
    assert set(ask("post", f"work-items/{item.pk}/not-reached/").json()["errors"]) == {"message"}
    words = "We tried to call you twice. Please call us back."
    said = ask("post", f"work-items/{item.pk}/not-reached/", message=words).json()
    assert (said["status"], said["attempts"]) == ("assigned", 2)
    assert Message.objects.get(direction="outbound").text == words
    assert ask("post", f"work-items/{item.pk}/not-reached/", message=words).json()["code"] == "attempts_over"
    assignments.complete(item.pk, by=agent.user, reason="billing", outcome="solved")
    lines = Activity.objects.filter(verb="callback.not_reached").order_by("pk").values_list("data", flat=True)
    assert [line["attempt"] for line in lines] == [1, 2]
    sound()


def test_what_is_no_call_cannot_be_called_back_and_what_nobody_asked_for_was_not_missed(line):
    item = make.make_work_item()
    lead = acting(make.make_user(Role.ADMINISTRATOR))
    assert lead("post", f"work-items/{item.pk}/callback/").json()["code"] == "not_waiting"
    held = make.make_assignment()
    assert (
        acting(held.agent.user)("post", f"work-items/{held.work_item_id}/not-reached/").json()["code"]
        == "no_callback"
    )


@pytest.mark.parametrize(
    "said",
    [
        None,
        5,
        "",
        "yesterday",
        "2026-01-01",
        "2026-01-01T00:00:00",
        {"a": 1},
        "9999-12-31T23:59:59+00:00",
        "0001-01-01T00:00:00+00:00",
    ],
)
def test_an_odd_time_of_a_call_never_reaches_further_than_a_day_back_and_not_ahead(said):
    heard = datetime(2026, 11, 25, 12, tzinfo=UTC)
    item = Item(
        "c1",
        kind="call",
        created_at=heard - timedelta(minutes=1),
        extra={"call": {"state": "ended", "at": said}},
    )
    assert heard - timedelta(days=1) <= item.call_at(heard) <= heard


def test_lost_calls_show_in_the_queue_and_the_thread(line):
    tell(line, "c1", "ringing", ago=60)
    lead = Client()
    lead.force_login(make.make_user(Role.ADMINISTRATOR))
    contact = Interaction.objects.get()
    assert 'data-testid="callback"' in lead.get(f"/interactions/{contact.pk}/").content.decode()
    tell(line, "c1", "ended", ago=30)
    for page in ("/queues/", f"/interactions/{contact.pk}/"):
        assert "lost call" in lead.get(page).content.decode().lower(), page
    agent = make.make_agent(capacity=15)
    made = assignments.claim(waiting().pk, by=agent.user)
    lead.force_login(agent.user)
    assert 'data-testid="not-reached"' in lead.get(f"/interactions/{contact.pk}/").content.decode()
    assert Assignment.objects.get(pk=made.pk).units == 3
