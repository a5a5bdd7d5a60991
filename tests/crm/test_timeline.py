"""One timeline of a customer: every kind of entry, paged without gap or repeat, narrowed, and the same at every door."""

import random
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from crm.choices import Role, TeamVisibility
from crm.errors import InvalidInput
from crm.models import Message, Order, PastMessage
from crm.services import context, timeline
from tests import factories

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def at(days):
    return NOW - timedelta(days=days)


def said(interaction, days, text="words", **fields):
    return factories.make_message(interaction, at=at(days), text=text, **fields)


def contact(customer, days, *, until=None, kind="x", text="words", **fields):
    """A contact whose first word was so many days ago."""
    identity = customer.identities.filter(kind=kind).first() or factories.make_identity(customer, kind=kind)
    one = factories.make_interaction(
        customer=customer, identity=identity, channel=factories.make_channel(kind), first_message_at=at(days),
        last_message_at=at(days if until is None else until), **fields,
    )  # fmt: skip
    type(one.ticket).objects.filter(pk=one.ticket_id).update(opened_at=at(days), team=fields.get("team"))
    Message.objects.filter(interaction=one).delete()
    said(one, days, text)
    return one


def everything(customer, user, size, **asked):
    entries, cursor = [], ""
    while cursor is not None:
        page = timeline.of(customer.pk, user, cursor=cursor, size=size, **asked)
        entries += page.entries
        cursor = page.next
    return entries


@pytest.fixture
def reader():
    return factories.make_user(Role.ADMINISTRATOR)


@pytest.fixture
def customer():
    return factories.make_customer()


def test_all_kinds_stand_in_one_order_newest_first(customer, reader):
    old = contact(customer, 30, text="first words", kind="email")
    contact(customer, 20, text="later words")
    said(old, 1, "a late note on an old contact", direction="note", author=reader)
    Order.objects.create(customer=customer, number="A-1", at=at(25), amount="9.90", state="sent")
    PastMessage.objects.create(
        customer=customer, kind="phone", audience="private", direction="inbound", at=at(400), text="long ago", digest="d1",
    )  # fmt: skip
    entries = everything(customer, reader, 50)
    assert [one["kind"] for one in entries] == [
        "note",
        "message",
        "ticket",
        "order",
        "message",
        "ticket",
        "past",
    ]
    assert [one["text"] for one in entries if one["kind"] in ("note", "message", "past")] == [
        "a late note on an old contact", "later words", "first words", "long ago",
    ]  # fmt: skip
    assert str(entries[3]["amount"]) == "9.90"


@pytest.mark.parametrize("seed", range(3))
def test_pages_of_any_size_give_every_entry_once_in_order(customer, reader, seed):
    dice = random.Random(seed)
    for n in range(12):
        begin = dice.randint(2, 60)
        until = dice.randint(1, begin)
        one = contact(customer, begin, until=until, text=f"opens {n}")
        for m in range(dice.randint(0, 6)):
            said(one, dice.randint(until, begin), f"{n} {m}")
        if until < begin:
            said(one, until, f"ends {n}")
        if dice.random() < 0.5:
            said(one, dice.randint(0, begin), f"note {n}", direction="note", author=reader)
    whole = everything(customer, reader, 200)
    assert len(whole) == Message.objects.count() + 12
    assert [one["at"] for one in whole] == sorted((one["at"] for one in whole), reverse=True)
    for size in (1, 3, 7):
        assert everything(customer, reader, size) == whole


def test_it_is_narrowed_by_channel_and_by_kind(customer, reader):
    contact(customer, 3, kind="email", text="a mail")
    contact(customer, 2, kind="x", text="a post")
    assert [one["text"] for one in everything(customer, reader, 5, channels=["email"])] == ["a mail"]
    assert {one["kind"] for one in everything(customer, reader, 5, kinds=["ticket"])} == {"ticket"}
    assert everything(customer, reader, 5, kinds=["order"], channels=["x"]) == []
    assert timeline.channels_of(customer.pk) == ["x", "email"]
    with pytest.raises(InvalidInput):
        timeline.of(customer.pk, reader, channels=["pigeon"])
    with pytest.raises(InvalidInput):
        timeline.of(customer.pk, reader, cursor="bm9uc2Vuc2U")


@pytest.mark.parametrize(
    "role", [Role.ADMINISTRATOR, Role.SUPERVISOR, Role.AGENT, Role.MARKETING, Role.AUDITOR]
)
def test_its_words_are_those_of_the_card_for_every_role(customer, role):
    mine = factories.make_team()
    for days, visibility in enumerate(TeamVisibility.values, 2):
        contact(
            customer,
            days,
            team=factories.make_team(visibility=visibility),
            text=f"of a team that is {visibility}",
        )
    contact(customer, 6, team=mine, audience="private", text="private")
    contact(customer, 7, text="of nobody's team")
    user = factories.make_user(role, mine)
    names = ("at", "channel", "direction", "by", "text", "deleted", "barred", "interaction")
    shown = [
        {name: one[name] for name in names}
        for one in everything(customer, user, 50, kinds=["message", "note"])
    ]
    of_card = [
        {name: one[name] for name in names} | {"at": datetime.fromisoformat(one["at"])}
        for one in context.card([customer.pk], user)[customer.pk]["history"]
    ]
    assert shown == of_card
    if role in (Role.AGENT, Role.MARKETING):
        assert "of a team that is closed" not in [one["text"] for one in shown] and "" in [
            one["text"] for one in shown
        ]


def test_page_and_api_show_the_same(customer, reader, client):
    for n in range(60):
        contact(customer, n + 1, text=f"words {n}")
    client.force_login(reader)
    first = client.get(f"/api/v1/customers/{customer.pk}/timeline/?kind=message").json()
    second = client.get(first["next"]).json()
    assert [one["text"] for one in first["results"] + second["results"]] == [f"words {n}" for n in range(60)]
    assert second["next"] is None
    page = client.get(f"/customers/{customer.pk}/?channel=x")
    assert [one["text"] for one in page.context["entries"]] == [one["text"] for one in first["results"]]
    older = client.get(page.context["older_url"])
    assert [one["text"] for one in older.context["entries"]] == [one["text"] for one in second["results"]]
    assert client.get(f"/customers/{customer.pk}/?from=rubbish").status_code in (200, 400)
    assert client.get(f"/api/v1/customers/{customer.pk}/timeline/?cursor=rubbish").status_code == 400
    assert client.get(f"/api/v1/customers/{customer.pk}/timeline/?kind=pigeon").status_code == 400
