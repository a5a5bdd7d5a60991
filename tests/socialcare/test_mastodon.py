"""Mastodon against a server that we did not write: heard once, answered in the thread, never answered twice."""

import pytest
from django.utils import timezone

from crm.models import Customer, Delivery, Interaction, Message, Poll, Ticket
from crm.services import deliveries, messages, polls
from socialcare.models import Mention
from socialcare.networks import mastodon
from tests import factories
from tests.mastodon import Mastodon

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Mastodon(tmp_path_factory.mktemp("mastodon"))
    yield running
    running.stop()


@pytest.fixture
def channel(server, settings):
    settings.SEND_TIMEOUT = 5
    server.recover()
    server.say("customer", "@brand this was before your time")
    made = factories.make_channel(
        "mastodon", slug="fedi", connector="mastodon", base_url=server.url, token="brand_token", name="Fedi"
    )
    polls.switch(made, on=True, by=factories.make_user(role="administrator"))
    polls.fetch(made.pk)
    return made


def look(channel) -> int:
    Poll.objects.update(due_at=timezone.now())
    fresh = polls.fetch(channel.pk)
    while deliveries.process():
        pass
    return fresh


def answer(text="Please send us your number in private.", **more):
    message = messages.reply(Interaction.objects.get(), by=factories.make_user(), text=text, **more)
    messages.deliver(message.pk)
    message.refresh_from_db()
    return message


def test_what_is_said_to_us_becomes_a_ticket_once(channel, server):
    assert Delivery.objects.count() == 0  # what was said before is not ours to answer
    said = server.say("customer", "@brand my router is broken, this is terrible & <b>bad</b>")
    assert look(channel) == 1 and look(channel) == 0
    mention = Mention.objects.get()
    assert (
        mention.external_id == said["id"]
        and mention.text == "@brand my router is broken, this is terrible & <b>bad</b>"
    )
    assert Interaction.objects.get().identity.handle == "customer"
    assert Poll.objects.get().failures == 0


def test_the_answer_stands_below_and_tells_the_person_and_comes_back_as_ours(channel, server):
    said = server.say("customer", "@brand my router is broken")
    look(channel)
    message = answer()
    assert (message.state, message.error) == ("sent", "")
    post = server.posts("brand")[0]
    assert post["id"] == message.external_id and post["in_reply_to_id"] == said["id"]
    assert post["mentions"][0]["acct"] == "customer" and post["visibility"] == "public"
    assert look(channel) == 1  # its echo
    assert Delivery.objects.get(external_id=post["id"]).outcome == "own"
    assert Mention.objects.count() == 1 and Message.objects.filter(direction="outbound").count() == 1
    server.say("customer", "@brand it is 12345", in_reply_to_id=post["id"])
    look(channel)
    assert (
        Ticket.objects.count() == 1
        and Interaction.objects.get().messages.filter(direction="inbound").count() == 2
    )


def test_what_is_answered_by_hand_on_the_network_answers_here(channel, server):
    said = server.say("customer", "@brand anybody there? it is broken")
    look(channel)
    server.say("brand", "@customer yes!", in_reply_to_id=said["id"])
    look(channel)
    contact = Interaction.objects.get()
    assert contact.first_response_at is not None and contact.waiting_since is None


def test_private_words_stay_private(channel, server):
    server.say("customer", "@brand my contract is 4711", visibility="direct")
    look(channel)
    contact = Interaction.objects.get()
    assert contact.audience == "private" and contact.family == "message"
    assert not Mention.objects.filter(audience="public").exists() if hasattr(Mention, "audience") else True
    answer("Thank you, noted.")
    assert server.posts("brand")[0]["visibility"] == "direct"


def test_two_servers_requests_under_one_key_and_a_lost_answer_make_one_post(channel, server):
    server.say("customer", "@brand my router is broken")
    look(channel)
    before = len(server.posts("brand"))
    message = answer("We are on it.")
    # As if the answer had been lost on the way: nobody knows, it is looked for and found.
    Message.objects.filter(pk=message.pk).update(state="unknown", external_id=None, due_at=timezone.now())
    assert messages.check(message.pk).state == "sent"
    assert len(server.posts("brand")) == before + 1
    assert mastodon.send(channel, Message.objects.get(pk=message.pk)) == message.external_id
    assert len(server.posts("brand")) == before + 1


def test_a_busy_server_is_not_asked_before_its_time(channel, server):
    server.say("customer", "@brand one, broken")
    server.fail(
        match={"path": "/api/v1/notifications"},
        effect={"type": "status", "status": 429, "headers": {"Retry-After": "120"}},
        times=1,
    )
    assert look(channel) == 0
    poll = Poll.objects.get()
    assert poll.failures == 1 and 115 < (poll.due_at - timezone.now()).total_seconds() < 125
    assert polls.fetch(channel.pk) == 0
    server.recover()
    assert look(channel) == 1 and Poll.objects.get().failures == 0


def test_a_token_that_is_over_is_said_and_tried_once_a_minute_and_nothing_is_lost(channel, server):
    channel.token = "expired"
    channel.save()
    server.say("customer", "@brand while you were away: broken")
    assert look(channel) == 0
    poll = Poll.objects.get()
    assert "401" in poll.error and (poll.due_at - timezone.now()).total_seconds() < 61
    channel.token = "brand_token"
    channel.save()
    assert look(channel) == 1


def test_a_broken_body_and_a_hanging_server_cost_only_time(channel, server, settings):
    settings.SEND_TIMEOUT = 1
    server.say("customer", "@brand broken body")
    server.fail(match={"path": "/api/v1/notifications"}, effect={"type": "malformed"}, times=1)
    assert look(channel) == 0
    server.fail(
        match={"path": "/api/v1/notifications"}, effect={"type": "timeout", "delay_ms": 4000}, times=1
    )
    assert look(channel) == 0
    assert Poll.objects.get().failures == 2
    server.recover()
    settings.SEND_TIMEOUT = 5
    assert look(channel) == 1


def test_more_than_a_page_comes_whole_and_in_order(channel, server, monkeypatch):
    monkeypatch.setattr(mastodon, "PAGE", 3)
    said = [server.say("customer", f"@brand number {number} is broken")["id"] for number in range(8)]
    assert look(channel) == 8
    assert list(Mention.objects.order_by("external_id").values_list("external_id", flat=True)) == sorted(said)
    assert Customer.objects.count() == 1
