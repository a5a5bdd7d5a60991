"""Cards and accounts are masked before anything sees them; originals need a reason, restricted fields a verified person."""

from datetime import timedelta

import orjson
import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from crm import masks
from crm.choices import Role
from crm.errors import Conflict, InvalidInput, NotAllowed, NotFound
from crm.models import (
    Activity,
    Company,
    Customer,
    CustomField,
    Delivery,
    Interaction,
    Masked,
    Message,
    RestrictedValue,
    Verification,
)
from crm.services import (
    audit,
    customers,
    deliveries,
    disclosure,
    erasures,
    masking,
    merges,
    person_export,
    search,
)
from tests.factories import make_channel, make_customer, make_queue, make_ticket, make_user

BOTH = ("card", "iban")
CARDS = [
    "4111 1111 1111 1111",
    "5500-0000-0000-0004",
    "340000000000009",
    "6011000000000004",
    "3530111333300000",
    "30569309025904",
]
IBANS = [
    "DE89 3704 0044 0532 0130 00",
    "GB29NWBK60161331926819",
    "nl91abna0417164300",
    "FR1420041010050500013M02606",
    "NO9386011117947",
]


@pytest.mark.parametrize("number", CARDS + IBANS)
def test_numbers_with_right_check_digits_are_masked_up_to_their_end(number):
    said = masks.mask(f"please book it from {number}, thanks", BOTH)
    assert number not in said.text
    assert said.text.endswith(f"{number.replace(' ', '').replace('-', '')[-2:]}, thanks")
    assert said.pieces == [(number, said.pieces[0][1])]


@pytest.mark.parametrize(
    "words",
    [
        "order 4111 1111 1111 1112", "post 570306133677760513", "call +49 30 901820", "DE89 3704 0044 0532 0130 01",
        "IT IS 2026 AND NOTHING WORKS", "tracking 1Z999AA10123456784", "12345678901234", "contract BM-448190",
        "https://x.example/status/4111111111111111222",
    ],
)  # fmt: skip
def test_other_numbers_stay(words):
    assert masks.mask(words, BOTH).text == words


def test_mail_and_phone_are_masked_only_if_so_set():
    words = "write to anna.b@mail.example or ring +49 30 901820"
    assert masks.mask(words, BOTH).text == words
    masked = masks.mask(words, ("email", "phone")).text
    assert (
        masked.startswith("write to a•••@mail.example") and masked.endswith("20") and "901820" not in masked
    )


@given(st.text(max_size=200))
def test_whatever_is_said_masking_ends_and_changes_nothing_but_what_it_names(words):
    said = masks.mask(words, masks.KINDS)
    assert len(said.text) <= len(words) + 3 * len(said.pieces)
    if not said.pieces:
        assert said.text == words


@given(st.lists(st.integers(0, 9), min_size=15, max_size=15))
def test_of_all_last_digits_exactly_one_makes_a_card(digits):
    body = "4" + "".join(map(str, digits[:14]))
    assert sum(masks.is_card(f"{body}{last}") for last in range(10)) == 1


# --- On the way in


@pytest.fixture(autouse=True)
def no_broker(monkeypatch):
    for task in ("deliver", "erase", "write_out"):
        monkeypatch.setattr(f"crm.tasks.{task}.delay", lambda *_: None)


@pytest.fixture
def admin():
    return make_user(Role.ADMINISTRATOR)


def arrives(text: str, **fields) -> Message:
    """What a customer wrote, through the door."""
    make_queue(is_fallback=True)
    channel = make_channel(connector="items")
    deliveries.accept(channel, [orjson.dumps({
        "id": "m-1", "kind": "mention", "text": text, "created_at": "2026-01-05T10:00:00Z",
        "author": {"id": "7", "handle": "ann", "name": "Ann"}, **fields,
    })])  # fmt: skip
    while deliveries.process():
        pass
    return Message.objects.get(external_id="m-1")


def anywhere(word: str) -> list[str]:
    """Tables in which a text stands in clear."""
    hits = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' "
            "AND data_type IN ('text', 'character varying', 'jsonb', 'bytea')"
        )
        for table, column, kind in cursor.fetchall():
            text = f"encode(\"{column}\", 'escape')" if kind == "bytea" else f'"{column}"::text'
            cursor.execute(f'SELECT count(*) FROM "{table}" WHERE position(%s in {text}) > 0', [word])
            if cursor.fetchone()[0]:
                hits.append(f"{table}.{column}")
    return hits


NUMBER = "4111 1111 1111 1111"


@pytest.mark.django_db(transaction=True)
def test_a_card_number_stands_nowhere_in_clear_and_nobody_finds_it(admin):
    message = arrives(
        f"help, my parcel is lost and you charged {NUMBER} twice, terrible", title=f"Card {NUMBER}"
    )
    assert message.text == "help, my parcel is lost and you charged •••• •••• •••• 1111 twice, terrible"
    assert message.title == "Card •••• •••• •••• 1111"
    assert anywhere(NUMBER) == []
    assert "1111" in bytes(Delivery.objects.get().raw).decode()
    assert not search.search(NUMBER, by=admin).messages


@pytest.mark.django_db(transaction=True)
def test_who_may_reads_the_original_with_a_reason_and_that_stands_in_the_history(admin):
    message = arrives(f"you charged {NUMBER} twice, my parcel is lost, terrible, help")
    with pytest.raises(NotAllowed):
        masking.reveal(message, reason="a refund", by=make_user(Role.AGENT))
    with pytest.raises(InvalidInput):
        masking.reveal(message, reason=" x ", by=admin)
    assert not Activity.objects.filter(verb="message.unmasked").exists()
    assert NUMBER in masking.reveal(message, reason="the bank asks for a refund", by=admin)["text"]
    line = Activity.objects.get(verb="message.unmasked")
    assert (line.actor, line.data["message"], line.data["reason"]) == (
        admin,
        message.pk,
        "the bank asks for a refund",
    )
    Message.objects.filter(pk=message.pk).update(external_id="another")
    message.refresh_from_db()
    with pytest.raises(NotFound):
        masking.reveal(message, reason="a refund", by=admin)


@pytest.mark.django_db(transaction=True)
def test_an_edit_is_masked_too_and_an_erasure_takes_the_original(admin):
    message = arrives("my parcel is lost, terrible, help")
    deliveries.accept(message.channel, [orjson.dumps({
        "id": "m-1", "event": "edited", "edited_at": "2026-01-05T11:00:00Z", "kind": "mention", "text": f"charged {NUMBER}",
        "created_at": "2026-01-05T10:00:00Z", "author": {"id": "7", "handle": "ann", "name": "Ann"},
    })])  # fmt: skip
    while deliveries.process():
        pass
    message.refresh_from_db()
    assert message.text == "charged •••• •••• •••• 1111" and anywhere(NUMBER) == []
    customer = Customer.objects.get(name="Ann")
    assert NUMBER in orjson.dumps(person_export.collect(customer), default=str).decode()
    masking.reveal(message, reason="Ann asked for it", by=admin)
    word = erasures.preview(customer, by=admin)["confirmation"]
    erasures.ask(customer, way="erase", why="request", confirmation=word, by=admin)
    assert erasures.work() == 1
    assert not Masked.objects.exists()
    assert not Activity.objects.filter(data__reason__contains="Ann").exists()
    assert audit.verify()["broken"] == 0


@pytest.mark.django_db(transaction=True)
def test_nothing_is_masked_where_it_is_switched_off(settings):
    settings.MASK_ON_ARRIVAL = ["none"]
    assert NUMBER in arrives(f"you charged {NUMBER} twice, my parcel is lost, terrible, help").text
    assert not Masked.objects.exists()


# --- Verified before disclosure


@pytest.fixture
def secret_field(db) -> CustomField:
    return CustomField.objects.create(
        noun="customer", slug="iban", label="Account", kind="text", restricted=True
    )


@pytest.mark.django_db(transaction=True)
def test_restricted_fields_are_shown_to_who_may_once_the_person_is_verified(admin, secret_field):
    customer = make_customer()
    with pytest.raises(Conflict, match="Make sure"):
        disclosure.write(customer, {"iban": "DE89"}, by=admin)
    disclosure.verify(customer, how="code", minutes=10, by=make_user(Role.AGENT))
    assert disclosure.write(customer, {"iban": "DE89-secret"}, by=admin) == {"iban": "DE89-secret"}
    with pytest.raises(NotAllowed):
        disclosure.read(customer, by=make_user(Role.AGENT))
    assert anywhere("DE89-secret") == []
    Verification.objects.update(until=timezone.now() - timedelta(minutes=1))
    with pytest.raises(Conflict, match="Make sure"):
        disclosure.read(customer, by=admin)
    assert Activity.objects.filter(verb="restricted.read", customer=customer).count() == 1


@pytest.mark.django_db(transaction=True)
def test_no_other_door_takes_a_restricted_field_and_a_merge_takes_it_along(admin, secret_field):
    customer, survivor = make_customer(), make_customer()
    with pytest.raises(InvalidInput):
        customers.edit(customer, {"fields": {"iban": "DE89"}}, by=admin)
    disclosure.verify(customer, how="document", by=admin)
    disclosure.write(customer, {"iban": "DE89"}, by=admin)
    merges.merge(survivor, customer, by=admin)
    assert RestrictedValue.objects.get().customer == survivor
    assert disclosure.read(survivor, by=admin) == {"iban": "DE89"}


@pytest.mark.django_db(transaction=True)
def test_a_ticket_has_restricted_fields_too_and_an_erasure_takes_them(admin, client):
    CustomField.objects.create(
        noun="ticket", slug="diagnosis", label="Diagnosis", kind="text", restricted=True
    )
    ticket = make_ticket()
    client.force_login(admin)
    path = f"/tickets/{ticket.pk}/restricted/"
    assert path in client.get(f"/tickets/{ticket.pk}/").content.decode()
    body = {"fields": {"diagnosis": "a broken heart"}}
    refused = client.put(f"/api/v1{path}", body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "verify_first")
    assert "Verify" in client.get(path + "?show=1").content.decode()
    disclosure.verify(ticket.customer, how="code", by=admin)
    assert client.put(f"/api/v1{path}", body, content_type="application/json").json() == body
    assert client.get(f"/api/v1{path}").json() == body
    assert "a broken heart" not in client.get(path).content.decode()
    assert "a broken heart" in client.get(path + "?show=1").content.decode()
    assert anywhere("a broken heart") == []
    assert (
        Activity.objects.filter(verb="restricted.read", ticket=ticket, customer=ticket.customer).count() == 3
    )
    for slug in ("iban", "fields"):
        wrong = client.put(f"/api/v1{path}", {"fields": {slug: "x"}}, content_type="application/json")
        assert wrong.status_code == 400
    assert "a broken heart" in str(person_export.collect(ticket.customer))
    word = erasures.preview(ticket.customer, by=admin)["confirmation"]
    erasures.ask(ticket.customer, way="erase", why="request", confirmation=word, by=admin)
    assert erasures.work() == 1 and not RestrictedValue.objects.exists()


@pytest.mark.django_db
def test_a_company_is_no_person_to_verify_but_each_look_stands_in_the_history(admin, client):
    CustomField.objects.create(noun="company", slug="terms", label="Terms", kind="text", restricted=True)
    CustomField.objects.create(
        noun="company", slug="risk", label="Risk", kind="choice", choices=["low", "high"], restricted=True
    )
    company = Company.objects.create(name="Acme")
    client.force_login(admin)
    path = f"/companies/{company.pk}/restricted/"
    client.post(path, {"act": "restricted", "field-terms": " 90 days ", "field-risk": "high"})
    assert disclosure.read(company, by=admin) == {"terms": "90 days", "risk": "high"}
    assert "not one of low, high" in client.post(
        path, {"field-risk": "none"}, follow=True
    ).content.decode().replace("is ", "")
    client.post(path, {"field-terms": ""})
    shown = client.get(path + "?show=1").content.decode()
    assert "90 days" not in shown and "<option selected>high</option>" in shown
    lines = Activity.objects.filter(verb__startswith="restricted.", data__company=company.pk)
    assert set(lines.values_list("verb", flat=True)) == {"restricted.read", "restricted.written"}
    with pytest.raises(NotAllowed):
        disclosure.read(company, by=make_user(Role.AGENT))
    assert "Restricted fields" in client.get(f"/companies/{company.pk}/").content.decode()


@pytest.mark.django_db
def test_restricted_fields_of_a_customer_are_written_on_his_page(admin, secret_field, client):
    customer = make_customer()
    client.force_login(admin)
    path = f"/customers/{customer.pk}/disclosure/"
    typed = {"act": "restricted", "field-iban": "DE89"}
    assert "Make sure first" in client.post(path, typed, follow=True).content.decode()
    client.post(path, {"how": "document", "minutes": "5"})
    client.post(path, typed)
    assert 'value="DE89"' in client.get(path + "?show=1").content.decode()
    client.force_login(make_user(Role.AGENT))
    assert client.post(path, typed).status_code == 403
    assert "DE89" not in client.get(path + "?show=1").content.decode()


@pytest.mark.django_db(transaction=True)
def test_the_flag_on_the_card_goes_when_its_time_is_over(admin):
    customer = make_customer()
    disclosure.verify(customer, how="call_back", minutes=5, by=admin)
    assert Customer.objects.get(pk=customer.pk).verified_before_disclosure
    disclosure.expire()
    assert Customer.objects.get(pk=customer.pk).verified_before_disclosure
    Verification.objects.update(until=timezone.now() - timedelta(seconds=1))
    disclosure.expire()
    assert not Customer.objects.get(pk=customer.pk).verified_before_disclosure
    with pytest.raises(InvalidInput):
        disclosure.verify(customer, how="by smell", by=admin)
    assert not Interaction.objects.exists()
