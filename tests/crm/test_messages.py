"""Replies and notes: what may be written, and how a reply leaves exactly once, against a real simulated network."""

import threading
from datetime import timedelta
from itertools import count

import orjson
import pytest
from django.db import connection, connections
from django.utils import timezone

from crm import tasks
from crm.connectors import base
from crm.errors import Conflict, DeliveryError, InvalidInput
from crm.models import ChannelAccount, LiveEvent, Message
from crm.services import deliveries, messages
from tests import factories
from tests.simnet import Networks

NUMBERS = count(1)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    running = Networks(tmp_path_factory.mktemp("simnet"))
    yield running
    running.stop()


@pytest.fixture
def channel(db, networks, settings):
    settings.SEND_TIMEOUT = 2
    slug = f"sim-{next(NUMBERS)}"
    made = factories.make_channel(
        "x", slug=slug, connector="simnet", base_url=f"{networks.url}/{slug}", token="t", name="X"
    )
    ChannelAccount.objects.create(channel=made, external_id="brand", handle="brand")
    return made


@pytest.fixture
def agent(db):
    return factories.make_user(alias="^KA")


@pytest.fixture
def interaction(channel):
    return factories.make_interaction(channel)


def write(interaction, agent, text="We are looking into it.", **more):
    return messages.reply(interaction, by=agent, text=text, **more)


def fresh(message):
    return Message.objects.select_related("interaction__ticket").get(pk=message.pk)


def echo(interaction, message, external_id):
    """The network tells us our own post."""
    item = {
        "id": external_id, "kind": "post", "text": message.text, "created_at": timezone.now().isoformat(),
        "in_reply_to": message.in_reply_to, "author": {"id": "brand", "handle": "brand"},
    }  # fmt: skip
    deliveries.accept(interaction.channel, [orjson.dumps(item)])
    while deliveries.process():
        pass


# --- Writing


def test_a_reply_waits_to_leave_and_everybody_who_follows_is_told(interaction, agent):
    message = write(interaction, agent)
    assert (message.state, message.direction, message.audience) == ("queued", "outbound", "public")
    assert message.in_reply_to == interaction.messages.get(direction="inbound").external_id
    assert message.author_name == "^KA"
    streams = set(LiveEvent.objects.values_list("stream", "type"))
    assert (f"interaction:{interaction.pk}", "message.updated") in streams
    assert (f"desk:{agent.pk}", "message.updated") in streams
    assert ("events", "message.queued") in streams


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 10_001, "a\x00b", "half a pair \ud83d"])
def test_what_no_network_takes_is_refused(interaction, agent, text):
    with pytest.raises(InvalidInput):
        write(interaction, agent, text)
    assert not Message.objects.filter(direction="outbound").exists()


def test_the_audience_must_fit_the_contact(agent):
    public = factories.make_interaction(factories.make_channel("x"))
    youtube = factories.make_interaction(factories.make_channel("youtube"))
    mail = factories.make_interaction(factories.make_channel("email"))
    assert write(public, agent, audience="private").audience == "private"
    assert write(mail, agent).audience == "private"
    for contact, audience in ((youtube, "private"), (mail, "public"), (public, "internal")):
        with pytest.raises(InvalidInput):
            write(contact, agent, audience=audience)


def test_the_same_public_text_to_one_person_is_refused_for_a_day(interaction, agent):
    first = write(interaction, agent)
    other = factories.make_interaction(
        interaction.channel, interaction.customer, identity=interaction.identity
    )
    with pytest.raises(Conflict) as refused:
        write(other, agent)
    assert refused.value.code == "duplicate_text"
    assert write(interaction, agent, audience="private").state == "queued"
    assert write(factories.make_interaction(interaction.channel), agent).state == "queued"
    Message.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(hours=25))
    assert write(other, agent).state == "queued"


def test_a_text_that_failed_may_be_written_again(interaction, agent):
    Message.objects.filter(pk=write(interaction, agent).pk).update(state="failed")
    assert write(interaction, agent).state == "queued"


def test_the_same_key_is_the_same_message_and_other_words_are_a_conflict(interaction, agent):
    first = write(interaction, agent, idempotency_key="k1")
    assert write(interaction, agent, idempotency_key="k1").pk == first.pk
    with pytest.raises(Conflict) as refused:
        write(interaction, agent, "Something else", idempotency_key="k1")
    assert refused.value.status == 422
    with pytest.raises(Conflict):
        write(factories.make_interaction(interaction.channel), agent, idempotency_key="k1")
    colleague = factories.make_user()
    assert write(interaction, colleague, "Of a colleague", idempotency_key="k1").pk != first.pk


def test_a_note_never_leaves(interaction, agent, networks):
    kept = messages.note(interaction, by=agent, text="Canary: he is furious")
    messages.deliver(kept.pk)
    tasks.sweep()
    assert (kept.direction, kept.audience) == ("note", "internal")
    assert networks.posts(interaction.channel.slug) == []


def test_a_reply_to_a_folded_contact_goes_to_the_one_that_stands(interaction, agent):
    young = factories.make_interaction(
        interaction.channel, interaction.customer, identity=interaction.identity, folded_into=interaction,
        status="closed", closed_at=timezone.now(),
    )  # fmt: skip
    assert write(young, agent).interaction_id == interaction.pk


# --- Leaving


def test_a_sent_reply_stops_the_clocks_and_waits_for_the_customer(interaction, agent, networks):
    message = write(interaction, agent)
    messages.deliver(message.pk)
    sent = fresh(message)
    (post,) = networks.posts(interaction.channel.slug)
    assert (sent.state, sent.external_id, sent.attempts) == ("sent", post["id"], 1)
    assert (post["text"], post["in_reply_to"]) == (message.text, message.in_reply_to)
    assert post["idempotency_key"] == message.idempotency_key
    assert sent.interaction.first_response_at == sent.sent_at
    assert sent.interaction.waiting_since is None
    assert sent.interaction.ticket.status == "waiting_on_customer"


def test_what_the_customer_wrote_meanwhile_still_waits(interaction, agent):
    message = write(interaction, agent)
    late = factories.make_message(interaction, text="Hello??")
    messages.deliver(message.pk)
    assert fresh(message).interaction.waiting_since == late.at
    assert fresh(message).interaction.ticket.status == "new"


def test_delivering_twice_posts_once(interaction, agent, networks):
    message = write(interaction, agent)
    messages.deliver(message.pk)
    messages.deliver(message.pk)
    assert len(networks.posts(interaction.channel.slug)) == 1
    assert fresh(message).attempts == 1


def test_later_words_wait_for_earlier_ones(interaction, agent, networks):
    first, second = write(interaction, agent, "One"), write(interaction, agent, "Two")
    messages.deliver(second.pk)
    assert fresh(second).state == "queued"
    messages.deliver(first.pk)
    assert [post["text"] for post in networks.posts(interaction.channel.slug)] == ["One", "Two"]
    assert fresh(second).state == "sent"


def test_too_many_requests_wait_as_long_as_the_network_asks(interaction, agent, networks):
    networks.behave(interaction.channel.slug, "error_429", 1, 30)
    message = write(interaction, agent)
    messages.deliver(message.pk)
    waiting = fresh(message)
    assert waiting.state == "queued" and "429" in waiting.error
    assert waiting.due_at - timezone.now() > timedelta(seconds=28)
    messages.deliver(message.pk)
    assert fresh(message).attempts == 1, "not before its time"
    Message.objects.filter(pk=message.pk).update(due_at=timezone.now())
    tasks.sweep()
    assert fresh(message).state == "sent"


def test_a_final_refusal_is_failed_and_a_person_may_send_again(interaction, agent, networks):
    networks.behave(interaction.channel.slug, "error_401")
    message = write(interaction, agent)
    messages.deliver(message.pk)
    assert fresh(message).state == "failed" and "401" in fresh(message).error
    assert messages.send_again(message.pk, by=agent).state == "queued"
    messages.deliver(message.pk)
    assert fresh(message).state == "sent"
    with pytest.raises(Conflict):
        messages.send_again(
            factories.make_message(interaction, direction="outbound", state="queued").pk, by=agent
        )


def test_errors_that_pass_are_tried_until_the_end_is_in_sight(interaction, agent, networks):
    networks.behave(interaction.channel.slug, "error_500", None)
    message = write(interaction, agent)
    for _ in range(messages.MAX_ATTEMPTS):
        Message.objects.filter(pk=message.pk).update(due_at=timezone.now())
        messages.deliver(message.pk)
    assert (fresh(message).state, fresh(message).attempts) == ("failed", messages.MAX_ATTEMPTS)
    assert networks.posts(interaction.channel.slug) == []


@pytest.mark.parametrize(("mode", "posted"), [("reset", 1), ("never", 1), ("malformed", 1), ("lost", 0)])
def test_an_unclear_end_is_unknown_and_never_sent_again_by_itself(interaction, agent, networks, mode, posted):
    networks.behave(interaction.channel.slug, mode)
    message = write(interaction, agent)
    messages.deliver(message.pk)
    assert fresh(message).state == "unknown"
    assert fresh(message).interaction.first_response_at is None
    messages.deliver(message.pk)
    Message.objects.filter(pk=message.pk).update(due_at=timezone.now())
    tasks.sweep()
    assert len(networks.posts(interaction.channel.slug)) == posted
    assert fresh(message).state == ("sent" if posted else "unknown")
    assert messages.send_again(message.pk, by=agent).state == ("sent" if posted else "queued")
    messages.deliver(message.pk)
    assert fresh(message).state == "sent"
    assert len(networks.posts(interaction.channel.slug)) == 1


def test_a_send_whose_sender_is_gone_is_looked_for(interaction, agent, networks):
    message = write(interaction, agent)
    Message.objects.filter(pk=message.pk).update(
        state="sending", attempts=1, due_at=timezone.now() - timedelta(seconds=1)
    )
    tasks.sweep()
    assert fresh(message).state == "unknown" and networks.posts(interaction.channel.slug) == []
    assert fresh(message).due_at > timezone.now(), "the next look comes later"


def test_an_echo_settles_what_nobody_knew(interaction, agent):
    message = write(interaction, agent)
    Message.objects.filter(pk=message.pk).update(state="unknown", attempts=1)
    echo(interaction, message, "post-1")
    settled = fresh(message)
    assert (settled.state, settled.external_id) == ("sent", "post-1")
    assert settled.interaction.first_response_at is not None and settled.interaction.waiting_since is None
    assert Message.objects.filter(direction="outbound").count() == 1
    assert LiveEvent.objects.filter(stream="events", type="message.sent").exists()


def test_an_echo_before_the_answer_leaves_one_message(interaction, agent, monkeypatch):
    message = write(interaction, agent)

    class Shortening:
        """A network that changes the words and tells everybody before it answers us."""

        @staticmethod
        def send(channel, message):
            message.text = message.text[:5]
            echo(interaction, message, "post-2")
            return "post-2"

    real = base.connector
    monkeypatch.setattr(base, "connector", lambda name: Shortening if name == "short" else real(name))
    connection.cursor().execute(
        "UPDATE crm_channel SET connector = 'short' WHERE id = %s", (interaction.channel_id,)
    )
    Shortening.parse = staticmethod(real("simnet").parse)
    messages.deliver(message.pk)
    only = Message.objects.get(direction="outbound")
    assert (only.pk, only.state, only.external_id, only.text) == (message.pk, "sent", "post-2", message.text)


def test_an_echo_of_another_answer_with_the_same_words_settles_nothing(interaction, agent):
    message = write(interaction, agent, audience="private")
    Message.objects.filter(pk=message.pk).update(state="sending", attempts=1)
    message.in_reply_to = "somewhere-else"
    echo(interaction, message, "post-3")
    assert fresh(message).state == "sending"


def test_a_connector_that_stumbles_leaves_it_unknown(interaction, agent, monkeypatch):
    def stumble(channel, message):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("socialcare.networks.simulated.send", stumble)
    message = write(interaction, agent)
    messages.deliver(message.pk)
    assert fresh(message).state == "unknown" and "oops" in fresh(message).error


def test_a_channel_without_a_way_out_says_so(agent):
    contact = factories.make_interaction(factories.make_channel("x", connector="items"))
    message = write(contact, agent)
    messages.deliver(message.pk)
    assert fresh(message).state == "failed" and "no connector" in fresh(message).error


def test_private_addresses_are_refused_but_for_the_channel_s_own(interaction, agent):
    interaction.channel.base_url = "http://127.0.0.1:1/sim"
    interaction.channel.save()
    own = write(interaction, agent)
    messages.deliver(own.pk)
    assert fresh(own).state == "queued" and "ConnectError" in fresh(own).error


def test_waits_grow_with_jitter_and_never_undercut_the_network():
    assert 1 <= messages.wait_before(1) <= 2
    assert messages.wait_before(30) <= messages.LONGEST_WAIT
    assert messages.wait_before(1, 120) >= 120
    assert DeliveryError("x", permanent=True).retry_after is None


@pytest.mark.django_db(transaction=True)
def test_fifty_submits_of_one_key_make_one_message(networks):
    contact = factories.make_interaction(factories.make_channel("x"))
    agent = factories.make_user()
    seen, errors = [], []

    def submit():
        try:
            seen.append(write(contact, agent, idempotency_key="double").pk)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=submit) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set(seen)) == 1 == Message.objects.filter(direction="outbound").count()
