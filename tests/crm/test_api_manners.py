"""How every REST door behaves: problems, keyset pages, keys for writes, versions for edits, limits."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm import rows
from crm.api import base
from crm.choices import Role
from crm.models import ApiToken, Customer, Interaction, Message, Ticket
from crm.services import messages, tokens
from tests import factories as make

pytestmark = pytest.mark.django_db

JSON = "application/json"


@pytest.fixture
def admin(client):
    user = make.make_user(Role.ADMINISTRATOR)
    client.force_login(user)
    return user


def walked(client: Client, address: str, between=lambda: None, link: str = "next") -> list[int]:
    """The ids of all pages from here on; something may happen between two pages."""
    found = []
    while address:
        page = client.get(address).json()
        found += [row["id"] for row in page["results"]]
        address = page[link]
        between()
    return found


# --- Problems


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status", "code"),
    [
        ("GET", "/api/v1/customers/0/", b"", JSON, 404, "not_found"),
        ("GET", "/api/v1/nothing/", b"", JSON, 404, "not_found"),
        ("GET", "/api/v1/customers/?vip=perhaps", b"", JSON, 400, "invalid"),
        ("GET", "/api/v1/customers/?created_after=soon", b"", JSON, 400, "invalid"),
        ("GET", "/api/v1/customers/?page_size=0", b"", JSON, 400, "invalid"),
        ("GET", "/api/v1/customers/?ordering=password", b"", JSON, 400, "invalid"),
        ("DELETE", "/api/v1/customers/1/", b"", JSON, 405, "method_not_allowed"),
        ("PATCH", "/api/v1/customers/{customer}/", b"{}", "text/plain", 415, "unsupported_media_type"),
        ("PATCH", "/api/v1/customers/{customer}/", b"{", JSON, 400, "not_json"),
        ("PATCH", "/api/v1/customers/{customer}/", b"[" * 70 + b"]" * 70, JSON, 400, "too_deep"),
        ("PATCH", "/api/v1/customers/{customer}/", b'{"note": "\\u0000"}', JSON, 400, "nul"),
        ("PATCH", "/api/v1/customers/{customer}/", b'{"vip": "perhaps", "nothing": 1}', JSON, 400, "invalid"),
        ("PATCH", "/api/v1/customers/{customer}/", b" " * (base.MAX_BODY + 1), JSON, 413, "too_large"),
    ],
)  # fmt: skip
def test_every_refusal_is_a_problem_document(client, admin, method, path, body, kind, status, code):
    path = path.format(customer=make.make_customer().pk)
    answer = client.generic(method, path, body, content_type=kind)
    said = answer.json()
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), said
    assert (said["status"], said["code"], said["type"]) == (status, code, "about:blank")
    assert said["title"] and said["detail"]
    assert all(isinstance(one, list) for one in said["errors"].values())


def test_what_is_wrong_stands_by_its_field(client, admin):
    path = f"/api/v1/customers/{make.make_customer().pk}/"
    said = client.patch(path, {"vip": "perhaps", "language": "English!"}, content_type=JSON).json()
    assert set(said["errors"]) == {"vip", "language"}


def test_strangers_are_told_how_to_come_in(client):
    answer = client.get("/api/v1/customers/")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer["WWW-Authenticate"] == 'Bearer realm="earshot"'


# --- Pages


@pytest.mark.parametrize(
    "ordering", ["id", "-id", "waiting_since", "-waiting_since", "opened_at", "-last_message_at"]
)
def test_pages_lose_and_repeat_nothing_while_rows_come(client, admin, ordering):
    """Ties and missing values included; what comes meanwhile may or may not be seen."""
    now, chance = timezone.now(), random.Random(7)
    channel, customer = make.make_channel(), make.make_customer()

    def arrive() -> None:
        at = now - timedelta(minutes=chance.randrange(4))
        since = None if chance.random() < 0.3 else at
        make.make_interaction(channel, customer, text="", waiting_since=since, last_message_at=at)

    for _ in range(30):
        arrive()
    before = set(Interaction.objects.values_list("pk", flat=True))
    found = walked(client, f"/api/v1/interactions/?page_size=4&ordering={ordering}", arrive)
    assert len(found) == len(set(found))
    assert before <= set(found)


def test_the_way_back_is_the_way_there(client, admin):
    for _ in range(11):
        make.make_customer()
    first = client.get("/api/v1/customers/?page_size=3").json()
    there = walked(client, "/api/v1/customers/?page_size=3")
    last, address = None, first["next"]
    while address:
        last, address = address, client.get(address).json()["next"]
    back = walked(client, last, link="previous")
    pages = [back[start : start + 3] for start in range(0, len(back), 3)]
    tail = len(there) % 3 or 3
    assert back[:tail] == there[-tail:] and sorted(back) == sorted(there), pages
    assert first["previous"] is None


def test_a_page_holds_at_most_two_hundred(client, admin):
    Customer.objects.bulk_create([Customer(name=f"C{n}") for n in range(230)])
    assert len(client.get("/api/v1/customers/?page_size=100000").json()["results"]) == 200
    assert len(client.get("/api/v1/customers/").json()["results"]) == 50


@pytest.mark.parametrize(
    "noun",
    ["customers", "identities", "interactions", "messages", "tickets", "deliveries", "users", "teams", "channels", "macros",
     "work-items", "offers", "assignments", "agents", "queues", "skills", "mentions"],
)  # fmt: skip
def test_a_list_asks_as_often_for_many_rows_as_for_few(client, admin, noun):
    def grow(times: int) -> None:
        for _ in range(times):
            agent = make.make_agent(team=make.make_team(), skills={f"s{make.number()}": 3})
            make.make_offer(agent)
            make.make_assignment(agent)
            make.make_mention()
            make.make_delivery()
            make.make_macro(reach="team", team=make.make_team())

    def asked() -> tuple[int, int]:
        with CaptureQueriesContext(
            connection,
        ) as counted:
            rows = client.get(f"/api/v1/{noun}/?page_size=200").json()["results"]
        return len(counted), len(rows)

    grow(2)
    asked()  # what a process asks once is asked
    few, rows = asked()
    grow(6)
    many, more = asked()
    assert few == many and more > rows


# --- A key names one write


@pytest.fixture
def contact(admin):
    return make.make_interaction()


def answered(client: Client, contact, key: str, text: str = "On its way."):
    path = f"/api/v1/interactions/{contact.pk}/replies/"
    return client.post(path, {"text": text}, content_type=JSON, headers={"Idempotency-Key": key})


def test_the_same_key_and_body_is_one_write_with_one_answer(client, contact):
    first, again = answered(client, contact, "k1"), answered(client, contact, "k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json() and first["Location"] == again["Location"]
    assert again["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first
    assert contact.messages.filter(direction="outbound").count() == 1


def test_the_same_key_with_another_body_or_address_is_refused(client, contact):
    answered(client, contact, "k1")
    for other in (
        answered(client, contact, "k1", "Other words."),
        answered(client, make.make_interaction(), "k1"),
    ):
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert Message.objects.filter(direction="outbound").count() == 1


def test_a_refusal_is_kept_too_and_keys_are_each_users_own(client, contact):
    for _ in range(2):
        assert answered(client, contact, "k1", "").status_code == 400
    client.force_login(make.make_user(Role.ADMINISTRATOR))
    assert answered(client, contact, "k1").status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 256, "\x00", "é"])
def test_an_odd_key_is_refused(client, contact, key):
    answer = answered(client, contact, key)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_idempotency_key")
    assert not Message.objects.filter(direction="outbound").exists()


def at_once(times: int, ask) -> list:
    """The same request from as many threads, each with a connection of its own."""

    def one(number: int):
        try:
            return ask(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


@pytest.mark.django_db(transaction=True)
def test_one_key_from_many_at_once_is_one_write(services):
    admin, contact = make.make_user(Role.ADMINISTRATOR), make.make_interaction()
    token = tokens.issue(admin)

    def ask(_):
        headers = {"Idempotency-Key": "k1", "Authorization": f"Bearer {token}"}
        path = f"/api/v1/interactions/{contact.pk}/notes/"
        return Client().post(path, {"text": "Once."}, content_type=JSON, headers=headers)

    answers = at_once(8, ask)
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"in_progress"}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert contact.messages.filter(direction="note").count() == 1


def lock(number: int) -> None:
    rows.run("SELECT pg_advisory_xact_lock(%s)", (number,))


@pytest.mark.django_db(transaction=True)
def test_a_deadlocks_victim_under_a_key_is_done_again_and_the_client_hears_nothing_of_it(
    services, monkeypatch
):
    admin, contact = make.make_user(Role.ADMINISTRATOR), make.make_interaction()
    token, note, holds, asks, tries = tokens.issue(admin), messages.note, Event(), Event(), []

    def crossed(*args, **more):
        made = note(*args, **more)
        tries.append(made.pk)
        if len(tries) == 1:
            lock(1)
            assert holds.wait(20)
            asks.set()
            lock(2)  # who waits first is who looks first, and becomes the victim
        return made

    monkeypatch.setattr(messages, "note", crossed)

    def ask(number):
        if number:
            with transaction.atomic():
                lock(2)
                holds.set()
                assert asks.wait(20)
                time.sleep(0.4)
                lock(1)
            return None
        headers = {"Idempotency-Key": "k1", "Authorization": f"Bearer {token}"}
        path = f"/api/v1/interactions/{contact.pk}/notes/"
        return Client().post(path, {"text": "Once."}, content_type=JSON, headers=headers)

    first, _ = at_once(2, ask)
    assert (first.status_code, len(tries)) == (201, 2)
    again = ask(0)
    assert again["Idempotent-Replayed"] == "true" and again.json() == first.json()
    assert list(contact.messages.filter(direction="note").values_list("pk", flat=True)) == [tries[1]]


# --- A version for an edit


def test_an_edit_takes_the_version_it_read(client, admin):
    path = f"/api/v1/customers/{make.make_customer().pk}/"
    read = client.get(path)
    assert client.get(path, headers={"If-None-Match": read["ETag"]}).status_code == 304

    def edit(note: str, tag: str):
        return client.patch(path, {"note": note}, content_type=JSON, headers={"If-Match": tag})

    changed = edit("tea", read["ETag"])
    assert changed.status_code == 200 and changed["ETag"] != read["ETag"]
    assert changed["ETag"] == client.get(path)["ETag"]
    stale = edit("coffee", read["ETag"])
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert client.get(path).json()["note"] == "tea"
    assert edit("milk", "*").status_code == 200
    assert edit("milk", 'W/"x"').status_code == 412
    assert client.get(path, headers={"If-None-Match": read["ETag"]}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_many_edits_of_one_version_one_is_taken(services):
    admin, ticket = make.make_user(Role.ADMINISTRATOR), make.make_ticket()
    headers = {"Authorization": f"Bearer {tokens.issue(admin)}"}
    path = f"/api/v1/tickets/{ticket.pk}/"
    headers["If-Match"] = Client().get(path, headers=headers)["ETag"]

    def ask(number):
        return Client().patch(path, {"subject": f"S{number}"}, content_type=JSON, headers=headers)

    statuses = sorted(answer.status_code for answer in at_once(6, ask))
    assert statuses == [200, *[412] * 5]
    assert Ticket.objects.get().subject.startswith("S")


def test_a_field_that_is_not_to_be_changed_is_not(client, admin):
    ticket = make.make_ticket()
    before = list(Ticket.objects.filter(pk=ticket.pk).values())
    for field, value in (
        ("id", 1),
        ("customer", 1),
        ("opened_at", "2020-01-01T00:00:00Z"),
        ("team", "x"),
        ("folded_into", 1),
    ):
        answer = client.patch(f"/api/v1/tickets/{ticket.pk}/", {field: value}, content_type=JSON)
        assert answer.status_code == 400 and field in answer.json()["errors"], field
    assert list(Ticket.objects.filter(pk=ticket.pk).values()) == before


# --- Tokens and limits


def test_a_token_is_kept_as_a_digest_and_its_use_is_noted(client):
    text = tokens.issue(make.make_user(Role.API_CLIENT), scopes=["customers:read"])
    kept = ApiToken.objects.get()
    assert text not in str(kept.__dict__) and kept.last_used_at is None
    assert client.get("/api/v1/customers/", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    kept.refresh_from_db()
    assert kept.last_used_at is not None


def test_too_many_requests_are_told_when_to_come_again(client, admin, valkey, settings):
    settings.API_REQUESTS_PER_MINUTE = 3
    answers = [client.get("/api/v1/macros/") for _ in range(8)]
    late = [answer for answer in answers if answer.status_code == 429]
    assert answers[0].status_code == 200 and len(late) >= 2  # a minute may turn meanwhile
    assert 0 < int(late[0]["Retry-After"]) <= 60 and late[0]["Content-Type"] == "application/problem+json"
