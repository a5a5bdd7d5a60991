"""From the door to the offer: what is delivered becomes identities, threads, tickets, work, and offers."""

import random

import orjson
import pytest
from django.utils import timezone

from crm.choices import ChannelKind, DeliveryState, Role
from crm.models import (
    Brand,
    Channel,
    ChannelAccount,
    Customer,
    Delivery,
    Interaction,
    Message,
    Team,
    Ticket,
    User,
)
from crm.services import deliveries
from routing.conveyor import Conveyor
from routing.models import Agent, Assignment, Queue, WorkItem
from socialcare.filters import MentionFilter
from socialcare.models import Mention, MentionSource

pytestmark = pytest.mark.django_db

COMPLAINT = "@brand my internet is down since yesterday, please help, this is terrible"


@pytest.fixture
def channel():
    brand = Brand.objects.create(slug="brand", name="Brand")
    team = Team.objects.create(slug="care", name="Care")
    Queue.objects.create(slug="general", name="General", team=team, is_fallback=True)
    made = Channel.objects.create(slug="sim-x", name="X", kind=ChannelKind.X, brand=brand)
    ChannelAccount.objects.create(channel=made, external_id="brand", handle="brand")
    return made


def item(ident, author="c1", text=COMPLAINT, at="2026-01-01T10:00:00Z", kind="mention", **more):
    return {
        "id": ident,
        "kind": kind,
        "text": text,
        "created_at": at,
        "author": {"id": author, "handle": author},
        **more,
    }


def feed(channel, *items):
    receipt = deliveries.accept(channel, [orjson.dumps(one) for one in items])
    while deliveries.process():
        pass
    return receipt


def test_a_complaint_becomes_mention_customer_ticket_and_work_item(channel):
    assert feed(channel, item("1")).as_dict() == {"accepted": 1, "duplicates": 0, "rejected": []}
    mention = Mention.objects.get()
    assert mention.verdict in ("respond", "escalate") and mention.sentiment < 0 and mention.sentiment_words
    interaction = Interaction.objects.get()
    assert mention.interaction_id == interaction.pk
    assert interaction.ticket.customer == Customer.objects.get() == interaction.customer
    assert WorkItem.objects.get().interaction == interaction
    assert WorkItem.objects.get().deadline > timezone.now()
    assert interaction.messages.get().text == COMPLAINT


def test_the_same_item_again_is_only_counted(channel):
    feed(channel, item("1"))
    receipt = feed(channel, item("1"), item("1"))
    assert receipt.duplicates == 2 and receipt.accepted == 0
    assert Mention.objects.count() == Ticket.objects.count() == 1
    ledger = deliveries.ledger()
    assert ledger["received"] == 3 == ledger["done"] + ledger["duplicate"]


@pytest.mark.parametrize("together", [True, False])
def test_a_post_that_two_channels_saw_is_one_mention_that_each_of_them_finds(channel, together):
    other = Channel.objects.create(slug="watch-x", name="W", kind=ChannelKind.X, brand=channel.brand)
    third = Channel.objects.create(slug="third-x", name="T", kind=ChannelKind.X, brand=channel.brand)
    for one in (channel, other, other):
        deliveries.accept(one, [orjson.dumps(item("1"))])
        if not together:
            deliveries.process()
    deliveries.process()
    mention = Mention.objects.get()
    assert Ticket.objects.count() == 1
    assert list(MentionSource.objects.values_list("mention", "channel")) == [(mention.pk, other.pk)]
    for seen, found in ((channel, [mention]), (other, [mention]), (third, [])):
        assert list(MentionFilter({"channel": seen.slug}, Mention.objects.all()).qs) == found


def test_a_second_customer_in_the_thread_gets_his_own_ticket(channel):
    feed(channel, item("1"), item("2", author="c2", kind="reply", in_reply_to="1", at="2026-01-01T10:05:00Z"))
    assert Ticket.objects.count() == 2
    assert Interaction.objects.values("thread").distinct().count() == 1


def test_the_brands_answer_is_ours_and_stops_the_clock(channel):
    feed(
        channel,
        item("1"),
        item("2", author="brand", text="On it", kind="reply", in_reply_to="1", at="2026-01-01T10:05:00Z"),
    )
    interaction = Interaction.objects.get()
    assert interaction.waiting_since is None
    assert interaction.first_response_at.isoformat() == "2026-01-01T10:05:00+00:00"
    assert Mention.objects.count() == 1
    assert Message.objects.get(external_id="2").direction == "outbound"


def test_an_answer_before_its_question_is_adopted(channel):
    feed(
        channel,
        item("2", author="brand", text="On it", kind="reply", in_reply_to="1", at="2026-01-01T10:05:00Z"),
    )
    feed(channel, item("1"))
    assert Message.objects.get(external_id="2").interaction == Interaction.objects.get()


def test_a_repost_raises_reach_and_opens_nothing(channel):
    feed(channel, item("9", author="c3", text="", kind="repost", in_reply_to="1"))
    feed(channel, item("1"), item("10", author="c4", text="", kind="repost", in_reply_to="1"))
    assert Mention.objects.get().reposts == 2
    assert Ticket.objects.count() == 1


def test_edits_and_deletions_apply_whatever_their_order(channel):
    edit = item("1", text="edited", event="edited", edited_at="2026-01-01T11:00:00Z")
    older = item("1", text="older edit", event="edited", edited_at="2026-01-01T10:30:00Z")
    feed(channel, edit)
    feed(channel, item("1"))
    feed(channel, older)
    assert Message.objects.get().text == "edited" == Mention.objects.get().text
    feed(channel, {"id": "1", "event": "deleted"})
    assert Message.objects.get().text == "" == Mention.objects.get().text
    assert Mention.objects.get().deleted_at


def test_items_without_thread_join_within_the_window_in_any_order(channel):
    times = ["2026-01-01T10:00:00Z", "2026-01-01T13:00:00Z", "2026-01-01T16:00:00Z"]
    posts = [item(str(place), at=at) for place, at in enumerate(times)]
    for seed in range(6):
        shuffled = [{**one, "id": f"{seed}-{one['id']}", "author": {"id": f"a{seed}"}} for one in posts]
        random.Random(seed).shuffle(shuffled)
        for one in shuffled:
            feed(channel, one)
        customer = Customer.objects.get(identities__value=f"a{seed}")
        assert customer.interactions.filter(folded_into=None).count() == 1, seed
        assert customer.tickets.exclude(status="folded").count() == 1
        assert customer.interactions.get(folded_into=None).messages.count() == 3


def test_an_item_that_ties_two_threads_folds_the_younger_ticket(channel):
    feed(channel, item("1", conversation="A"), item("2", conversation="B", at="2026-01-01T11:00:00Z"))
    assert Ticket.objects.exclude(status="folded").count() == 2
    feed(channel, item("3", kind="reply", conversation="B", in_reply_to="1", at="2026-01-01T12:00:00Z"))
    kept = Interaction.objects.get(folded_into=None)
    assert kept.messages.count() == 3 and kept.first_message_at.hour == 10
    assert WorkItem.objects.filter(status="waiting").count() == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"id": "1"},
        item("1", text="a\x00b"),
        item("1", at="2026-01-01T10:00:00"),
        item("1", at="0000-01-01T10:00:00Z"),
        item("1", author=""),
        item("1", kind="unknown"),
        item(1),
        item("1", text=5),
        item("x" * 300),
        item("1", extra={"deep": ["\x00"]}),
    ],
)
def test_what_breaks_the_rules_is_quarantined_with_a_reason_and_can_be_corrected(channel, bad):
    receipt = feed(channel, bad)
    assert len(receipt.rejected) == 1
    kept = Delivery.objects.get()
    assert kept.state == DeliveryState.QUARANTINED and kept.error
    feed(channel, item("1"))
    assert Mention.objects.count() == 1


def test_an_offer_goes_to_the_agent_and_capacity_holds(channel):
    user = User.objects.create_user("a@example.com", "x", role=Role.AGENT)
    agent = Agent.objects.create(
        user=user,
        languages=["en"],
        capacity=6,
        chosen="available",
        seen_at=timezone.now(),
        seen_on_socket=True,
    )
    belt = Conveyor()
    belt.start()
    deliveries.accept(channel, [orjson.dumps(item(str(n), author=f"c{n}")) for n in range(5)])
    for _ in range(4):
        belt.step()
    agent.refresh_from_db()
    assert Assignment.objects.filter(status="offered").count() == 2
    assert agent.load == 6
    first = Assignment.objects.first()
    assert first.explanation["parts"] and first.explanation["candidates"]
    assert abs(sum(first.explanation["parts"].values()) - first.score) < 1e-6


def test_tone_is_marked_in_the_text_and_not_where_it_would_be_behind_the_title(channel):
    feed(channel, item("m1", text="this is terrible", title="Router keeps restarting"))
    message = Message.objects.get()
    assert message.sentiment_words
    assert {message.text[start:end] for start, end, *_ in message.sentiment_words} == {"terrible"}


def test_a_subject_does_not_begin_with_whom_it_speaks_to(channel):
    feed(
        channel,
        item("s1", text="@brand @other: my internet is down, please help"),
        item("s2", author="c2", text="@brand"),
    )
    subjects = set(Ticket.objects.values_list("subject", flat=True))
    assert "my internet is down, please help" in subjects
    assert "" not in subjects
