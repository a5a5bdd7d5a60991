"""A person is gone from everywhere, figures stand, what was posted before stays out, the history can still be verified."""

from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from django.apps import apps
from django.db import connection, models
from django.utils import timezone

from crm.choices import ErasureState, ExportState, Role, TicketStatus
from crm.connectors.base import names
from crm.errors import Conflict, NotAllowed
from crm.models import (
    Activity,
    Customer,
    Delivery,
    Erasure,
    Export,
    IdempotencyKey,
    Identity,
    ImportRow,
    Interaction,
    LegalHold,
    Message,
    NameWord,
    Ticket,
)
from crm.services import (
    activities,
    audit,
    bulks,
    customers,
    deliveries,
    erasures,
    exports,
    holds,
    imports,
    interactions,
    merges,
    messages,
    search,
    tickets,
    views,
)
from crm.services.erased import author_key
from reports.services import reconciliation
from socialcare.models import Mention
from tests.factories import (
    make_channel,
    make_customer,
    make_identity,
    make_interaction,
    make_queue,
    make_user,
)

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = (
    "zephyrine",
    "quibblethorpe",
    "zq_handle",
    "z.q@mail.test",
    "490151777",
    "canarywords",
    "77001122",
    "canaryid",
)


@pytest.fixture(autouse=True)
def no_broker(monkeypatch):
    """Rows are the promise; what a worker would do is done by hand."""
    for task in ("deliver", "erase", "read_in", "write_out"):
        monkeypatch.setattr(f"crm.tasks.{task}.delay", lambda *_: None)


@pytest.fixture
def admin():
    return make_user(Role.ADMINISTRATOR)


@pytest.fixture
def channel():
    assert "items" in names()
    make_queue(is_fallback=True)
    return make_channel(connector="items")


def item(number: int, **fields) -> dict:
    """What the person posts."""
    return {
        "id": f"canaryid-{number}", "kind": "mention", "text": f"canarywords {number}: my parcel is lost, help, terrible",
        "created_at": "2026-01-05T10:00:00Z",
        "author": {"id": "77001122", "handle": "zq_handle", "name": "Zephyrine Quibblethorpe", "email": "z.q@mail.test",
                   "phone": "+490151777"},
        **fields,
    }  # fmt: skip


def deliver(channel, *items: dict) -> None:
    deliveries.accept(channel, [orjson.dumps(one) for one in items])
    while deliveries.process():
        pass


def found(words=WORDS) -> dict[str, list[str]]:
    """Every table, column and row in which a word of the person stands, whatever the column's type."""
    hits: dict[str, list[str]] = {}
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.local_fields:
            if not isinstance(
                field, models.CharField | models.TextField | models.JSONField | models.BinaryField
            ):
                continue
            as_text = "encode({0}, 'escape')" if isinstance(field, models.BinaryField) else "{0}::text"
            column = as_text.format(f'"{field.column}"')
            for word in words:
                with connection.cursor() as cursor:
                    cursor.execute(
                        f'SELECT {column} FROM "{model._meta.db_table}" WHERE position(%s in lower({column})) > 0',
                        [word],
                    )
                    for (value,) in cursor.fetchall():
                        hits.setdefault(f"{model._meta.label}.{field.name}", []).append(value)
    return hits


@pytest.fixture
def person(channel, admin, settings):
    """Somebody who left traces everywhere."""
    deliver(
        channel,
        item(1),
        item(2, kind="reply", in_reply_to="canaryid-1"),
        item(3, text="canarywords: nice weather"),
    )
    other = {"id": "9001", "handle": "other", "name": "Other One"}
    deliver(channel, {
        "id": "answer-1", "kind": "reply", "in_reply_to": "canaryid-1", "text": "@zq_handle same here, my parcel is lost, help!",
        "created_at": "2026-01-05T11:00:00Z", "author": other,
    })  # fmt: skip
    deliver(
        channel,
        {
            **item(1),
            "event": "edited",
            "edited_at": "2026-01-05T10:05:00Z",
            "text": "canarywords edited: help me",
        },
    )
    deliver(channel, item(4, kind="repost", in_reply_to="answer-1"))
    deliveries.accept(channel, [orjson.dumps({**item(5), "created_at": "yesterday"})])  # into the quarantine
    customer = Identity.objects.get(value="77001122").customer
    contact = Interaction.objects.filter(customer=customer).first()
    messages.note(contact, by=admin, text="canarywords: she rings twice")
    sent = messages.reply(contact, by=admin, text="Dear Zephyrine, canarywords")
    Message.objects.filter(pk=sent.pk).update(state="sent", external_id="our-answer")
    ticket = contact.ticket
    tickets.edit(
        ticket,
        {"subject": "Parcel of Quibblethorpe", "promise": "ring canarywords", "promised_by": timezone.now()},
        by=admin,
    )
    tickets.pause(ticket, reason="waits for Zephyrine", by=admin)
    tickets.add_to_checklist(ticket, text="ring Quibblethorpe", by=admin)
    customers.edit(customer, {"note": "canarywords", "name": "Zephyrine Quibblethorpe"}, by=admin)
    double = make_customer(name="Z. Quibblethorpe", note="canarywords")
    make_identity(double, kind="email", value="z.q@mail.test", name="Zephyrine Quibblethorpe")
    merges.merge(customer, double, by=admin, take=["name"])
    held = imports.upload(
        b"name,email\nZephyrine Quibblethorpe,z.q@mail.test\nAnn Other,ann@mail.test\n",
        "people.csv",
        by=admin,
    )
    IdempotencyKey.objects.create(
        user=admin, key="k", digest="d", status=201, body={"text": "canarywords by zq_handle"}
    )
    exports.ask("customers", "csv", {"search": ["zq_handle"]}, by=admin)
    views.create(by=admin, noun="customers", name="Zephyrine Quibblethorpe", where={})
    urgent = {"priority": "high", "priority_reason": "for Zephyrine Quibblethorpe"}
    bulks.start(bulks.preview("tickets", urgent, by=admin, ids=[ticket.pk]), by=admin)
    bulks.preview("customers", {"vip": True}, by=admin, words={"search": ["zq_handle"]})
    kept = Export.objects.create(
        noun="customers", form="csv", by=admin, role=admin.role, state=ExportState.DONE
    )
    exports.path_of(kept).parent.mkdir(exist_ok=True)
    exports.path_of(kept).write_text("Zephyrine Quibblethorpe")
    assert ImportRow.objects.filter(of=held).count() == 2
    customer.refresh_from_db()
    return customer


def ask(customer, by, way="erase"):
    word = erasures.preview(customer, by=by)["confirmation"]
    return erasures.ask(customer, way=way, why="request", confirmation=word, by=by)


def figures() -> dict:
    """What reports count: rows by their states and times, without ids."""
    counted = {
        Interaction: ("opened_at", "status", "topic", "sentiment", "first_response_at", "closed_at"),
        Message: ("at", "direction", "state", "sentiment", "sent_at"),
        Ticket: ("opened_at", "status", "topic", "priority", "solved_at"),
        Mention: ("posted_at", "verdict", "topic", "likes", "reposts", "sentiment"),
    }
    counts = {
        model.__name__: sorted(map(str, model.objects.values_list(*names)))
        for model, names in counted.items()
    }
    return counts | {"customers": Customer.objects.count(), "ledger": deliveries.ledger()}


@pytest.mark.parametrize("way", ["erase", "anonymise"])
def test_nothing_of_the_person_is_left_anywhere(person, admin, way):
    assert len(found()) > 15
    folder = Path(exports.path_of(Export(pk=1, form="csv"))).parent
    ask(person, admin, way)
    assert erasures.work() == 1
    assert found() == {}
    assert not [path for path in folder.glob("*") if b"Quibblethorpe" in path.read_bytes()]
    assert not NameWord.objects.filter(word="zephyrine").exists()
    assert not search.search("Zephyrine", by=admin)


def test_figures_stay_and_the_invariants_hold(person, admin):
    for contact in Interaction.objects.filter(customer=person, status="open"):
        interactions.close(contact.pk, by=admin)  # what is open would be closed by the erasure itself
    ask(person, admin)
    before = figures()
    assert erasures.work() == 1
    assert figures() == before
    assert reconciliation.violations() == []


def test_what_was_posted_before_stays_out_and_is_counted(person, admin, channel):
    ask(person, admin)
    erasures.work()
    customers_before = Customer.objects.count()
    ledger = deliveries.ledger()
    deliver(channel, item(1), item(1), item(77), {"id": "canaryid-2", "event": "deleted"})
    assert found() == {}
    assert Customer.objects.count() == customers_before
    assert Delivery.objects.filter(outcome="erased", state="done").count() == 3
    assert deliveries.ledger()["received"] == ledger["received"] + 4
    assert reconciliation.violations() == []


def test_who_writes_again_after_his_erasure_is_a_new_customer(person, admin, channel):
    ask(person, admin)
    erasures.work()
    later = (timezone.now() + timedelta(minutes=5)).isoformat()
    deliver(channel, item(900, created_at=later))
    again = Identity.objects.get(value="77001122").customer
    assert again.pk != person.pk
    assert Interaction.objects.filter(customer=again).count() == 1


def test_what_waits_in_the_queue_while_he_is_erased_stays_out_too(person, admin, channel):
    deliveries.accept(channel, [orjson.dumps(item(31))])
    ask(person, admin)
    erasures.work()
    while deliveries.process():
        pass
    assert found() == {}


def test_the_history_can_still_be_verified_and_names_nobody(person, admin):
    while audit.seal_new():
        pass
    ask(person, admin)
    erasures.work()
    while audit.seal_new():
        pass
    assert audit.verify()["broken"] == 0
    paused = Activity.objects.get(verb="ticket.paused")
    assert paused.data["reason"] == "" and len(paused.data["erased"]) == 128


def test_a_line_that_somebody_else_emptied_is_found(admin):
    contact = make_interaction()
    activities.record("ticket.paused", by=admin, interaction_id=contact.pk, reason="waits for Ann")
    while audit.seal_new():
        pass
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE crm_activity SET data = jsonb_build_object('reason', '', 'erased', repeat('a', 128))"
        )
        with pytest.raises(Exception, match="append-only"):
            cursor.execute("UPDATE crm_activity SET data = '{}'")
    assert audit.verify()["broken"] >= 1


def test_a_line_that_was_tampered_with_stays_a_finding_when_it_is_erased(admin):
    contact = make_interaction()
    activities.record("ticket.paused", by=admin, interaction_id=contact.pk, reason="waits for Ann")
    while audit.seal_new():
        pass
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE crm_activity DISABLE TRIGGER activity_append_only")
        cursor.execute('UPDATE crm_activity SET data = \'{"reason": "another"}\'')
        cursor.execute("ALTER TABLE crm_activity ENABLE TRIGGER activity_append_only")
    audit.erase(list(Activity.objects.values_list("pk", flat=True)))
    assert audit.verify()["broken"] >= 1
    assert Activity.objects.get().data["reason"] == ""


def test_the_proof_says_what_when_and_by_whom_and_nothing_of_the_person(person, admin):
    ask(person, admin)
    erasures.work()
    proof = Erasure.objects.get()
    assert (proof.state, proof.by, proof.why) == (ErasureState.DONE, admin, "request")
    assert proof.done_at is not None
    assert proof.counts["identities"] == 2 and proof.counts["customers"] == 2
    assert proof.counts["messages"] >= 4 and proof.counts["mentions"] == 3
    assert bytes(author_key("x", "77001122")) in {bytes(one.digest) for one in proof.keys.all()}
    assert Activity.objects.filter(verb="customer.erased", customer=person).count() == 1


def test_a_hold_keeps_the_record_and_says_why(person, admin):
    word = erasures.preview(person, by=admin)["confirmation"]
    held = holds.place(person, reason="law suit 7", until=None, by=admin)
    with pytest.raises(Conflict, match="law suit 7"):
        erasures.ask(person, way="erase", why="request", confirmation=word, by=admin)
    holds.lift(held, by=admin)
    ask(person, admin)
    holds.place(person, reason="law suit 8", until=None, by=admin)
    assert erasures.work() == 0
    assert "law suit 8" in Erasure.objects.get().problem
    LegalHold.objects.update(until=timezone.now() - timedelta(days=1))
    assert erasures.work() == 1


def test_it_must_have_been_looked_at_by_the_same_person_and_be_still_so(person, admin):
    word = erasures.preview(person, by=admin)["confirmation"]
    another = make_user(Role.ADMINISTRATOR)
    for confirmation, by in (("", admin), ("made:up", admin), (word, another)):
        with pytest.raises(Conflict, match="preview"):
            erasures.ask(person, way="erase", why="request", confirmation=confirmation, by=by)
    customers.edit(person, {"note": "changed"}, by=admin)
    messages.note(Interaction.objects.filter(customer=person).first(), by=admin, text="new")
    with pytest.raises(Conflict, match="preview"):
        erasures.ask(person, way="erase", why="request", confirmation=word, by=admin)
    with pytest.raises(NotAllowed):
        erasures.preview(person, by=make_user(Role.AGENT))


def test_killed_in_the_middle_nothing_is_gone_and_the_next_pass_finishes(person, admin, monkeypatch):
    ask(person, admin)

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(erasures, "_prove", die)
        with pytest.raises(Killed):
            erasures.work()
    person.refresh_from_db()
    assert person.name and person.erased_at is None
    assert erasures.work() == 1
    assert erasures.work() == 0
    assert found() == {}


def test_erased_twice_it_is_still_once(person, admin):
    first = ask(person, admin)
    assert ask(person, admin).pk == first.pk
    erasures.work()
    ask(person, admin)
    assert erasures.work() == 1
    assert Erasure.objects.filter(state="done").count() == 2
    assert found() == {}
    assert audit.verify()["broken"] == 0


def test_an_erased_record_is_not_merged_nor_a_merge_of_it_undone(person, admin):
    step = merges.Merge.objects.get()
    ask(person, admin)
    with pytest.raises(Conflict, match="erased"):
        merges.merge(make_customer(), person, by=admin)
    erasures.work()
    with pytest.raises(Conflict, match="erased"):
        merges.undo(step, by=admin)


def test_anonymising_keeps_facts_that_name_nobody(person, admin):
    customers.edit(person, {"value": 900, "language": "de"}, by=admin)
    ask(person, admin, "anonymise")
    erasures.work()
    person.refresh_from_db()
    assert (person.name, person.value, person.language) == ("", 900, "de")


def test_erasing_takes_these_facts_too(person, admin):
    customers.edit(person, {"value": 900, "language": "de"}, by=admin)
    ask(person, admin)
    erasures.work()
    person.refresh_from_db()
    assert (person.name, person.value, person.language) == ("", None, "")


def test_open_contacts_end_and_replies_that_wait_do_not_leave(person, admin):
    contact = Interaction.objects.filter(customer=person, status="open").first()
    Message.objects.filter(interaction=contact, direction="outbound").delete()
    reply = messages.reply(contact, by=admin, text="We come on Friday.")
    ask(person, admin)
    erasures.work()
    reply.refresh_from_db()
    assert (reply.state, reply.text) == ("failed", "")
    assert not Interaction.objects.filter(customer=person, status="open").exists()
    assert set(Ticket.objects.filter(customer=person).values_list("status", flat=True)) <= {
        TicketStatus.SOLVED,
        "folded",
    }


def test_other_people_keep_their_words_without_the_handle(person, admin):
    ask(person, admin)
    erasures.work()
    said = Message.objects.get(external_id="answer-1")
    assert said.text == "@erased same here, my parcel is lost, help!"
    raw = orjson.loads(bytes(Delivery.objects.get(external_id="answer-1").raw))
    assert raw["author"]["handle"] == "other" and raw["text"].startswith("@erased same")
    assert ImportRow.objects.filter(cells__contains=["ann@mail.test"]).count() == 1


def test_a_namesake_keeps_everything(channel, admin):
    deliver(channel, item(1))
    deliver(channel, {
        **item(2), "id": "namesake-1", "kind": "repost", "in_reply_to": "nothing",
        "author": {"id": "5", "handle": "someone", "name": "Zephyrine Quibblethorpe"},
    })  # fmt: skip
    ask(Identity.objects.get(value="77001122").customer, admin)
    erasures.work()
    assert b"someone" in bytes(Delivery.objects.get(external_id="namesake-1").raw)
