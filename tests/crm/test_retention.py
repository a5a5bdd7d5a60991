"""What is older goes, what is on hold stays, a dry run changes nothing, rows and figures stay."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from crm.choices import Role
from crm.errors import InvalidInput, NotAllowed
from crm.models import Activity, Customer, Delivery, Erasure, Message, PastMessage, RetentionPolicy
from crm.services import holds, retention
from reports.services import reconciliation
from socialcare.models import Mention
from tests.factories import (
    make_channel,
    make_customer,
    make_delivery,
    make_interaction,
    make_mention,
    make_message,
    make_ticket,
    make_user,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_broker(monkeypatch):
    monkeypatch.setattr("crm.tasks.erase.delay", lambda *_: None)


def ago(days: int):
    return timezone.now() - timedelta(days=days)


def old_contact(days: int, **fields):
    """A closed contact whose last word is so old."""
    at = ago(days)
    contact = make_interaction(text="", status="closed", closed_at=at, waiting_since=None, received_at=at,
        first_message_at=at, last_message_at=at, **fields)  # fmt: skip
    make_message(contact, text="my words", at=at)
    return contact


def policy(kind: str, days: int = 30, **fields) -> RetentionPolicy:
    return RetentionPolicy.objects.create(kind=kind, days=days, is_active=True, **fields)


def test_words_of_old_closed_contacts_go_and_those_of_younger_and_open_ones_stay():
    old, young = old_contact(40), old_contact(20)
    still_open = make_interaction(text="open words")
    Message.objects.filter(interaction=still_open).update(at=ago(40))
    assert retention.run(policy("messages"), by=None) == 1
    assert old.messages.get().text == ""
    assert young.messages.get().text == "my words"
    assert still_open.messages.get().text == "open words"
    assert retention.run(RetentionPolicy.objects.get(), by=None) == 0


def test_of_one_brand_only():
    ours, theirs = make_channel(), make_channel()
    mine, other = old_contact(40, channel=ours), old_contact(40, channel=theirs)
    retention.run(policy("messages", brand=ours.brand), by=None)
    assert (mine.messages.get().text, other.messages.get().text) == ("", "my words")


@pytest.mark.parametrize("kind", ["messages", "deliveries", "mentions"])
def test_what_is_on_hold_stays(kind):
    contact = old_contact(40)
    delivery = make_delivery(
        contact.channel, state="done", outcome="opened", interaction_id=contact.pk, received_at=ago(40)
    )
    mention = make_mention(contact.channel, identity=contact.identity, posted_at=ago(40), received_at=ago(40))
    kept = holds.place(contact.customer, reason="law suit", until=None, by=make_user(Role.ADMINISTRATOR))
    rule = policy(kind)
    assert retention.dry_run(rule)["rows"] == 0
    assert retention.run(rule, by=None) == 0
    holds.lift(kept, by=kept.by)
    assert retention.run(rule, by=None) == 1
    left = {"messages": contact.messages.get().text, "mentions": Mention.objects.get(pk=mention.pk).text,
            "deliveries": bytes(Delivery.objects.get(pk=delivery.pk).raw).decode()}  # fmt: skip
    assert not left[kind]
    assert all(left[other] for other in left if other != kind)


def test_customers_without_any_contact_go_through_erasures_with_proof():
    quiet, busy, owed = (make_customer(name=name) for name in ("Quiet", "Busy", "Owed"))
    Customer.objects.update(created_at=ago(500))
    old_contact(450, customer=quiet)
    old_contact(10, customer=busy)
    make_ticket(owed, opened_at=ago(450), updated_at=ago(450))
    quiet.tickets.update(status="solved", solved_at=ago(450), updated_at=ago(450))
    rule = policy("customers", 400)
    assert retention.dry_run(rule)["rows"] == 1
    assert retention.run(rule, by=None) == 1
    assert retention.run(rule, by=None) == 0
    call_command("retention", json=True, stdout=StringIO())
    assert Erasure.objects.get().customer == quiet
    assert (Erasure.objects.get().why, Erasure.objects.get().state) == ("retention", "done")
    assert set(Customer.objects.exclude(name="").filter(pk__in=[quiet.pk, busy.pk, owed.pk])) == {busy, owed}


def test_a_dry_run_counts_and_changes_nothing():
    contact = old_contact(40)
    rule = policy("messages")
    out = StringIO()
    call_command("retention", dry_run=True, json=True, stdout=out)
    assert json.loads(out.getvalue())["policies"][0]["rows"] == 1
    assert contact.messages.get().text == "my words"
    assert not Activity.objects.filter(verb="retention.ran").exists()
    RetentionPolicy.objects.filter(pk=rule.pk).update(is_active=False)
    call_command("retention", json=True, stdout=StringIO())
    assert contact.messages.get().text == "my words"


def test_raw_deliveries_go_and_a_copy_is_still_a_copy(settings):
    channel = make_channel(connector="items")
    for number, state in enumerate(("done", "quarantined", "queued")):
        make_delivery(channel, external_id=f"x{number}", state=state, received_at=ago(40),
            error="broken" if state == "quarantined" else "", outcome="ignored" if state == "done" else "")  # fmt: skip
    assert retention.run(policy("deliveries"), by=None) == 1
    assert retention.run(policy("quarantine"), by=None) == 1
    assert Delivery.objects.filter(raw=b"").count() == 2
    assert Delivery.objects.get(state="queued").raw
    assert [
        one for one in reconciliation.violations() if "delivery" in one["check"] or "ledger" in one["check"]
    ] == []


def test_a_run_that_was_stopped_goes_on_with_the_next():
    for _ in range(5):
        old_contact(40)
    rule = policy("messages")
    retention.BATCH, before = 2, retention.BATCH
    try:
        assert retention.run(rule, by=None, told=lambda _: True) == 2
    finally:
        retention.BATCH = before
    assert retention.run(rule, by=None) == 3
    assert RetentionPolicy.objects.get().went == 5


def test_who_sets_a_policy_stands_in_the_history_and_nonsense_is_refused():
    admin = make_user(Role.ADMINISTRATOR)
    made = retention.keep(RetentionPolicy(kind="messages"), {"days": 90, "is_active": True}, by=admin)
    assert Activity.objects.get(verb="retention.set").data["days"] == 90
    with pytest.raises(InvalidInput):
        retention.keep(made, {"way": "anonymise"}, by=admin)
    with pytest.raises(InvalidInput):
        retention.keep(RetentionPolicy(kind="imports"), {"days": 0}, by=admin)
    with pytest.raises(NotAllowed):
        retention.keep(made, {"days": 10}, by=make_user(Role.SUPERVISOR))


def test_imported_words_of_the_past_go_too_but_not_those_of_open_tickets_or_held_people():
    def past(days, customer=None, ticket=None):
        return PastMessage.objects.create(
            customer=customer or make_customer(), ticket=ticket, kind="email", audience="private", direction="inbound",
            at=ago(days), text="old words", title="Old", digest=str(PastMessage.objects.count()),
        )  # fmt: skip

    held = make_customer()
    holds.place(held, reason="a law suit", until=None, by=make_user(Role.ADMINISTRATOR))
    old, young, open_one, kept = past(40), past(20), past(40, ticket=make_ticket()), past(40, customer=held)
    one = policy("past")
    assert retention.dry_run(one)["rows"] == 1 and retention.run(one, by=None) == 1
    words = dict(PastMessage.objects.values_list("pk", "text"))
    assert words == {old.pk: "", young.pk: "old words", open_one.pk: "old words", kept.pk: "old words"}
    assert retention.run(one, by=None) == 0
