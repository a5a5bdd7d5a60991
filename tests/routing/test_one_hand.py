"""One customer, one hand (`practice.md` 1.1), from the doors: post, mail and chat of a person within a minute."""

import time

import orjson
import pytest
from django.utils import timezone

from crm.choices import ChannelKind, Role
from crm.models import Channel, ChannelAccount, Identity, Interaction
from crm.services import deliveries, matches, merges
from routing.models import Agent, Assignment
from routing.services import assignments, dispatch
from tests import factories as make

pytestmark = pytest.mark.django_db

WORDS = "@brand my internet is down since yesterday and nobody answers, this is terrible, please help"
KINDS = {ChannelKind.X: "mention", ChannelKind.EMAIL: "email", ChannelKind.CHAT: "chat"}
EVERY_STEP = 1e10  # a time at which nothing is held any more


@pytest.fixture
def channels() -> dict[str, Channel]:
    """Three doors of one brand, one queue, three agents with free hands."""
    brand = make.make_brand()
    make.make_queue(is_fallback=True)
    for _ in range(3):
        make.make_agent()
    made = {
        kind: make.make_channel(kind, brand=brand)
        for kind in (ChannelKind.X, ChannelKind.EMAIL, ChannelKind.CHAT)
    }
    ChannelAccount.objects.create(channel=made[ChannelKind.X], external_id="brand", handle="brand")
    return made


def item(kind: str, ident: str, author: str, **more: object) -> dict:
    """What a network, a mailbox or the chat says of a person's words."""
    by = {"id": author, "handle": author, "name": "Anna Quist-Lindberg", **more}
    return {
        "id": ident,
        "kind": KINDS[kind],
        "text": WORDS,
        "created_at": timezone.now().isoformat(),
        "author": by,
    }


def writes(channel: Channel, ident: str, author: str, **more: object) -> Interaction:
    """Through the door, and as far as the queue."""
    receipt = deliveries.accept(channel, [orjson.dumps(item(channel.kind, ident, author, **more))])
    assert receipt.accepted == 1, receipt
    while deliveries.process():
        pass
    return Interaction.objects.get(messages__external_id=ident)


def offered(contact: Interaction, now: float = 0.0) -> Assignment:
    """Who is asked first; he takes it."""
    router = dispatch.Router()
    router.rebuild()
    router.round(now or time.time())
    made = Assignment.objects.select_related("agent__user").get(
        work_item__interaction=contact, status="offered"
    )
    assignments.accept(made.pk, by=made.agent.user)
    return made


def test_post_mail_and_chat_of_one_customer_go_to_the_agent_who_has_the_first_though_others_are_idle(
    channels,
):
    anna = make.make_customer()
    for kind, value in (
        (ChannelKind.X, "anna"),
        (ChannelKind.EMAIL, "anna@example.com"),
        (ChannelKind.CHAT, "visitor-7"),
    ):
        make.make_identity(anna, kind=kind, value=value, verified=True)
    first = offered(writes(channels[ChannelKind.X], "post-1", "anna"), EVERY_STEP)
    assert not first.explanation["preferred"]
    # He is full now, so that only the rule can bring him more; one item above capacity is what it allows.
    Agent.objects.filter(pk=first.agent_id).update(capacity=first.units)
    mail = offered(
        writes(channels[ChannelKind.EMAIL], "mail-1", "anna@example.com", email="anna@example.com")
    )
    assert mail.agent_id == first.agent_id and mail.explanation["reason"].startswith(
        "has this customer's open work"
    )
    Agent.objects.filter(pk=first.agent_id).update(capacity=15)
    chat = offered(writes(channels[ChannelKind.CHAT], "chat-1", "visitor-7"))
    assert chat.agent_id == first.agent_id and chat.explanation["preferred"]
    contacts = Interaction.objects.filter(customer=anna)
    assert contacts.count() == 3 and set(contacts.values_list("assigned_to", flat=True)) == {
        first.agent.user_id
    }
    assert set(contacts.values_list("channel__kind", flat=True)) == set(channels)


def test_a_fourth_contact_waits_for_a_full_hand_a_minute_and_then_goes_to_the_pool(channels):
    anna = make.make_customer()
    for kind, value in (
        (ChannelKind.X, "anna"),
        (ChannelKind.EMAIL, "anna@example.com"),
        (ChannelKind.CHAT, "visitor-7"),
    ):
        make.make_identity(anna, kind=kind, value=value)
    first = offered(writes(channels[ChannelKind.X], "post-1", "anna"), EVERY_STEP)
    Agent.objects.filter(pk=first.agent_id).update(capacity=first.units)
    offered(writes(channels[ChannelKind.EMAIL], "mail-1", "anna@example.com", email="anna@example.com"))
    chat = writes(channels[ChannelKind.CHAT], "chat-1", "visitor-7")
    router = dispatch.Router()
    router.rebuild()
    assert router.round(time.time()) == 0
    assert router.round(time.time() + 61) == 1
    last = Assignment.objects.get(work_item__interaction=chat)
    assert last.agent_id != first.agent_id and not last.explanation["preferred"]


def test_who_was_merged_with_the_customer_is_the_customer_also_for_what_waits_already(channels):
    boss = make.make_user(Role.ADMINISTRATOR)
    first = offered(writes(channels[ChannelKind.X], "post-1", "anna"), EVERY_STEP)
    Agent.objects.filter(pk=first.agent_id).update(capacity=first.units)
    chat = writes(channels[ChannelKind.CHAT], "chat-1", "visitor-7")
    router = dispatch.Router()
    router.rebuild()
    anna, visitor = (Identity.objects.get(value=value).customer for value in ("anna", "visitor-7"))
    merges.merge(anna, visitor, by=boss)
    router.catch_up()
    mail = writes(channels[ChannelKind.EMAIL], "mail-1", "anna@example.com", email="anna@example.com")
    merges.merge(anna, mail.customer, by=boss)
    Agent.objects.filter(pk=first.agent_id).update(capacity=15)
    for contact in (chat, mail):
        made = offered(contact) if contact == chat else Assignment.objects.get(work_item__interaction=mail)
        assert made.agent_id == first.agent_id and made.explanation["preferred"]
    assert set(Interaction.objects.values_list("customer", flat=True)) == {anna.pk}


def test_a_guess_who_it_may_be_is_shown_and_brings_nobody_anything(channels):
    first = offered(writes(channels[ChannelKind.X], "post-1", "anna"), EVERY_STEP)
    Agent.objects.filter(pk=first.agent_id).update(capacity=first.units)
    mail = writes(channels[ChannelKind.EMAIL], "mail-1", "anna@example.com", email="anna@example.com")
    anna = Identity.objects.get(value="anna").customer
    assert mail.customer in [one.customer for one in matches.suggestions(anna)]
    made = offered(mail, EVERY_STEP)
    assert made.agent_id != first.agent_id and not made.explanation["preferred"]
    assert mail.customer_id != anna.pk
