"""Hostile input at every door: a clear refusal or a clean success, never a fault of ours, never silence."""

import asyncio
import base64
import re
import time
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from html.parser import HTMLParser
from urllib.parse import quote

import orjson
import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.cache import cache
from django.db import transaction
from django.test import Client

from crm import asgi, hub
from crm.api.schema import SchemaView
from crm.choices import ChannelKind, DeliveryState, Role
from crm.models import Delivery, Interaction
from crm.services import deliveries, streams
from reports.services import demo
from reports.services.reconciliation import violations
from tests import factories as make
from tests.architecture import access_table as table
from tests.architecture import corpus
from tests.architecture.centre import Centre, build
from tests.architecture.doors import admin_addresses, patterns, signed, undone, with_an_intake_of_its_own
from tests.sockets import OURS, closing, cookie, frame, opened, run

MEMBERS = {"type", "title", "status", "detail", "code", "errors"}


@pytest.fixture
def centre(db, settings, monkeypatch) -> Centre:
    settings.DEMO = True
    monkeypatch.setattr(demo, "play", lambda: 17)
    cache.clear()  # allauth counts tries there
    monkeypatch.setattr(demo, "colleagues", lambda *, on: None)
    return build()


@pytest.fixture
def client(centre) -> Client:
    """An administrator, who gets furthest."""
    return logged_in(centre)


def logged_in(centre: Centre) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(centre.users["A"])
    return client


def send(client: Client, method: str, address: str, body: bytes = b"", kind: str = "", **headers: str):
    """One request as the bytes that are given; whatever it wrote is undone, and who was logged in stays so."""
    cookies = client.cookies.copy()
    with undone():
        answer = client.generic(method, address, body, content_type=kind, headers=headers)
    client.cookies = cookies
    return answer


def fault(answer, *, problem: bool = True) -> str:
    """What is wrong with an answer, or nothing."""
    if answer.status_code >= 500:
        return str(answer.status_code)
    if problem and answer.status_code >= 400:
        if answer.get("Content-Type") != "application/problem+json":
            return f"{answer.status_code} as {answer.get('Content-Type')}"
        if not set(answer.json()) >= MEMBERS or answer.json()["status"] != answer.status_code:
            return f"{answer.status_code} without all members"
    return ""


class Faults:
    """Collects what went wrong, with a count of what was tried so that an empty walk is no success."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.tried = 0

    def look(self, answer, what: str, *, problem: bool = True) -> None:
        self.tried += 1
        if said := fault(answer, problem=problem):
            self.found.append(f"{said}: {what}")

    def none_in(self, at_least: int) -> None:
        assert "\n".join(self.found) == ""
        assert self.tried >= at_least


# --- REST


def filled(door: table.Door, centre: Centre) -> tuple[str, dict]:
    """Address and good body of a door."""
    body = {
        name: one.format(**centre.own) if isinstance(one, str) else one for name, one in door.body.items()
    }
    return door.path.format(**centre.own), body


def with_value(body: dict, name: str, value: bytes) -> bytes:
    """A JSON object in which one member is exactly these bytes."""
    others = b"".join(
        orjson.dumps(key) + b":" + orjson.dumps(one) + b"," for key, one in body.items() if key != name
    )
    return b"{" + others + orjson.dumps(name) + b":" + value + b"}"


@lru_cache
def parameters() -> dict[str, list[str]]:
    """The query parameters of each address, as the document names them."""
    paths = SchemaView().generator_class(api_version="1").get_schema(request=None, public=True)["paths"]
    found = {}
    for path, operations in paths.items():
        named = operations.get("get", {}).get("parameters", [])
        if names := [one["name"] for one in named if one["in"] == "query"]:
            found[path] = names
    return found


def test_no_value_of_a_field_breaks_a_rest_write(centre, client):
    faults = Faults()
    values = {**corpus.VALUES, **{name: orjson.dumps(word) for name, word in corpus.WORDS.items()}}
    for door in table.REST:
        path, body = filled(door, centre)
        for field in body:
            for name, value in values.items():
                answer = send(client, door.method, path, with_value(body, field, value), "application/json")
                faults.look(answer, f"{door} {field}={name}")
    faults.none_in(600)


def test_no_body_breaks_a_rest_write(centre, client):
    faults = Faults()
    for door in table.REST:
        if door.method != "GET":
            for name, (body, kind) in corpus.BODIES.items():
                faults.look(send(client, door.method, filled(door, centre)[0], body, kind), f"{door} {name}")
    faults.none_in(400)


def test_no_query_breaks_a_rest_list(centre, client):
    faults, listed = Faults(), parameters()
    assert len(listed) > 15
    for path, names in listed.items():
        for name in [*names, "no\x00such"]:
            for said, word in corpus.WORDS.items():
                if len(word) <= 5_000:
                    query = f"{quote(name)}={quote(word)}"
                    faults.look(send(client, "GET", f"{path}?{query}"), f"{path} {name}={said}")
        raw = "&".join(f"{name}=%FF%FE%ED%A0%80" for name in names)
        faults.look(send(client, "GET", f"{path}?{raw}"), f"{path} bad UTF-8")
        faults.look(
            send(client, "GET", f"{path}?{'&'.join(['search=x'] * 2_000)}"), f"{path} many parameters"
        )
    faults.none_in(2000)


def test_no_id_breaks_a_rest_door(centre, client):
    faults = Faults()
    for door in table.REST:
        if "{" in door.path:
            for hostile in corpus.IDS:
                path = re.sub(r"\{[^}]+\}", lambda _, hostile=hostile: hostile, door.path)
                body = orjson.dumps(filled(door, centre)[1])
                answer = send(client, door.method, path, body, "application/json")
                faults.look(answer, f"{door} {hostile[:30]}")
    faults.none_in(1000)


def test_no_header_breaks_a_rest_door(centre, client):
    faults = Faults()
    doors = [door for door in table.REST if door.method != "GET"] + table.REST[:8]
    for door in doors:
        path, body = filled(door, centre)
        for name, said in corpus.HEADERS.items():
            for value in said:
                answer = send(
                    client, door.method, path, orjson.dumps(body), "application/json", **{name: value}
                )
                # A host that is not ours is refused before any door is found.
                faults.look(answer, f"{door} {name}: {value[:30]!r}", problem=name != "Host")
    faults.none_in(1000)


@pytest.mark.parametrize(
    "cursor",
    [
        "x", "%00", "AAAA", "W10", "bnVsbA", "eyJhIjoxfQ", "%FF", "e" * 5_000, "WyItaWQiLGZhbHNlLG51bGwsMWUzMF0",
        "WyItaWQiLGZhbHNlLG51bGwsOTIyMzM3MjAzNjg1NDc3NTgwOF0", "WyItaWQiLDAsMSwxXQ", "=", "....",
    ],
)  # fmt: skip
def test_no_cursor_breaks_a_list(centre, client, cursor):
    faults = Faults()
    for path, names in parameters().items():
        for ordering in (
            "",
            "&ordering=-id",
            "&ordering=password",
            "&ordering=user__password",
            "&ordering=%00",
        ):
            answer = send(client, "GET", f"{path}?cursor={cursor}{ordering}")
            faults.look(answer, f"{path} {ordering}")
            if ordering and "ordering" in names and ordering != "&ordering=-id":
                assert answer.status_code == 400, (path, ordering)
    faults.none_in(50)


def test_a_cursor_of_another_order_or_with_other_values_is_refused_not_believed(centre, client):
    path = "/api/v1/tickets/"
    for packed in (
        ["-opened_at", False, "\x00", 1], ["-opened_at", False, "not a time", 1], ["-opened_at", False, 10**18, 1],
        ["-opened_at", False, [], 1], ["-opened_at", False, {}, 1], ["-opened_at", False, True, 1],
        ["-opened_at", False, "10000-01-01", 1], ["-opened_at", False, "0001-01-01T00:00:00+23:59", 1],
        ["-opened_at", False, "9999-12-31T23:59:59-23:59", 1], ["id", False, None, 1], ["-opened_at", "x", None, 1],
    ):  # fmt: skip
        cursor = packed_cursor(packed)
        answer = send(client, "GET", f"{path}?cursor={cursor}")
        assert answer.status_code in (200, 400) and not fault(answer), packed


def packed_cursor(packed: list) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(packed)).decode().rstrip("=")


# --- Pages and their forms


class Forms(HTMLParser):
    """The forms of a page: (method, address, {field: what stands in it})."""

    def __init__(self, here: str, html: str) -> None:
        super().__init__()
        self.here, self.found, self._choice = here, [], ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        at = dict(attrs)
        if tag == "form":
            self.found.append((at.get("method", "get").upper(), at.get("action") or self.here, {}))
        elif self.found and at.get("name") and tag in ("input", "textarea", "select", "button"):
            skip = at.get("type") in ("checkbox", "radio") and "checked" not in at
            self.found[-1][2].setdefault(at["name"], "" if skip else at.get("value") or "")
            self._choice = at["name"] if tag == "select" else ""
        elif tag == "option" and self.found and self._choice and "selected" in at:
            self.found[-1][2][self._choice] = at.get("value") or ""


def form_bytes(fields: dict) -> bytes:
    return "&".join(f"{quote(name)}={quote(str(value))}" for name, value in fields.items()).encode()


def pages(centre: Centre) -> Iterator[str]:
    """Every page that may hold a form."""
    for door in (*table.PAGES, *table.ACCOUNTS):
        if door.method == "GET":
            yield door.path.format(**centre.own)
    yield from admin_addresses(centre)


def test_no_words_break_a_form(centre, client):
    """Every form of every page, found by reading the page: all fields at once, then each by itself with the sharpest."""
    faults, seen = Faults(), set()
    for walker in (client, Client(raise_request_exception=False)):
        for page in pages(centre):
            answer = send(walker, "GET", page)
            faults.look(answer, page, problem=False)
            if answer.status_code != 200 or "html" not in answer["Content-Type"]:
                continue
            for method, action, fields in Forms(page, answer.content.decode()).found:
                key = (method, re.sub(r"\d+", "0", action), *sorted(fields))
                if key not in seen and action.startswith("/"):
                    seen.add(key)
                    _try_form(faults, walker, method, action, fields)
    assert len(seen) > 40
    faults.none_in(1000)


def _try_form(faults: Faults, client: Client, method: str, action: str, fields: dict) -> None:
    kept = {
        name: value for name, value in fields.items() if name.endswith("_FORMS")
    }  # how many rows a table has
    # The admin's many forms stand on the same few fields: a third of the words each is enough to meet them all.
    words_at_once = (
        list(corpus.WORDS.items())[len(fields) % 3 :: 3] if "/admin/" in action else corpus.WORDS.items()
    )
    tries = [(name, {**dict.fromkeys(fields, word), **kept}) for name, word in words_at_once]
    tries += [
        (f"{one}={name}", {**fields, one: corpus.WORDS[name]})
        for one in fields.keys() - kept
        for name in ("NUL", "number")
    ]
    tries += [("odd counts", {**fields, **dict.fromkeys(kept, word)}) for word in ("-1", "9" * 400, "x")]
    for name, filled_in in tries:
        words, kind, address = form_bytes(filled_in), "application/x-www-form-urlencoded", action
        if method == "GET":
            address, words = f"{action}?{words[:20_000].decode()}", b""
        faults.look(send(client, method, address, words, kind), f"{method} {action} {name}", problem=False)


def test_no_body_breaks_a_page_that_takes_one(centre, client):
    faults = Faults()
    for walker in (client, Client(raise_request_exception=False)):
        for door in (*table.PAGES, *table.ACCOUNTS):
            if door.method == "POST":
                for name, (body, kind) in corpus.BODIES.items():
                    path = door.path.format(**centre.own)
                    faults.look(send(walker, "POST", path, body, kind), f"{door} {name}", problem=False)
    for path in ("/admin/crm/brand/add/", "/admin/crm/user/", "/admin/routing/agent/add/", "/admin/login/"):
        for name, (body, kind) in corpus.BODIES.items():
            faults.look(send(client, "POST", path, body, kind), f"{path} {name}", problem=False)
    faults.none_in(500)


def test_no_address_breaks_a_page(centre, client):
    faults = Faults()
    names = (
        "search", "q", "status", "state", "before", "after", "verdict", "tone", "network", "actionable", "next", "page", "p",
        "o", "e", "_popup", "_to_field", "_changelist_filters", "id__in", "user__password__startswith", "team__id__exact",
    )  # fmt: skip
    for page in pages(centre):
        few = re.search("/(history|delete|password)/$", page)  # all of one kind with the pages beside them
        for said, word in list(corpus.WORDS.items())[:: 5 if few else 1]:
            if len(word) <= 5_000:
                query = "&".join(f"{name}={quote(word)}" for name in names)
                faults.look(send(client, "GET", f"{page}?{query[:60_000]}"), f"{page} {said}", problem=False)
        faults.look(
            send(client, "GET", f"{page}?search=%FF%ED%A0%80&q=%FF&%FF=%FF"),
            f"{page} bad UTF-8",
            problem=False,
        )
    faults.none_in(1500)


def test_no_id_breaks_a_page(centre, client):
    faults = Faults()
    shapes = {path for path, _ in patterns() if "<" in path and not path.startswith("/api/")}
    assert len(shapes) > 30
    for path in shapes:
        for hostile in corpus.IDS:
            address = re.sub(r"\(\?P<[^>]+>(?:[^()\[\]]|\[[^\]]*\])+\)|<[^>]+>", lambda _, h=hostile: h, path)
            for method in ("GET", "POST") if "admin" not in path else ("GET",):
                answer = send(client, method, address)
                faults.look(answer, f"{method} {path} {hostile[:30]}", problem=False)
                assert "x=1" not in answer.headers.get("Set-Cookie", ""), path
    faults.none_in(1000)


def test_no_header_breaks_a_page(centre, client):
    faults = Faults()
    for walker in (client, Client(raise_request_exception=False)):
        for page in (
            "/",
            "/tickets/",
            "/desk/",
            "/accounts/login/",
            "/admin/",
            "/nowhere/",
            "/boards/floor/",
        ):
            for name, said in corpus.HEADERS.items():
                for value in said:
                    answer = send(walker, "GET", page, **{name: value})
                    faults.look(answer, f"{page} {name}: {value[:30]!r}", problem=False)
    faults.none_in(500)


# --- Deliveries


GOOD = {
    "id": "1", "kind": "mention", "text": "@brand my line is down, please help", "created_at": "2026-01-01T10:00:00Z",
    "author": {"id": "a"},
}  # fmt: skip
FIELDS = (
    "id", "kind", "text", "created_at", "permalink", "in_reply_to", "conversation", "lang", "title", "audience", "author",
    "author.id", "author.handle", "author.name", "author.followers", "author.verified", "author.avatar", "author.email",
    "author.phone", "reach", "reach.likes", "reach.paid", "media", "extra", "extra.call", "event", "edited_at", "no such",
)  # fmt: skip


def item_with(number: int, field: str, value: bytes) -> bytes:
    """A good item in which one member is exactly these bytes; `author.name` means within the author."""
    good = {**GOOD, "id": f"h{number}", "author": {"id": f"a{number}"}}
    outer, _, inner = field.partition(".")
    if inner:
        return with_value(good, outer, with_value(good.get(outer) or {}, inner, value))
    return with_value(good, outer, value)


@pytest.mark.parametrize("kind", [ChannelKind.X, ChannelKind.EMAIL, ChannelKind.PHONE])
def test_whatever_is_delivered_is_refused_whole_or_kept_in_the_ledger(
    transactional_db, monkeypatch, valkey, kind
):
    """4xx and nothing stored, or rows whose states add up; what was taken goes down the whole path and shows on every page."""
    channel = make.make_channel(kind, secret="ours")
    make.make_queue(is_fallback=True)
    own = {"x": "mention", "email": "email", "phone": "call"}[kind]
    values = {**corpus.VALUES, **{name: orjson.dumps(word) for name, word in corpus.WORDS.items()}}
    cases = [(field, name) for field in FIELDS for name in values][:: 2 if kind == ChannelKind.X else 4]
    sent = [
        item_with(number, field, values[name]).replace(b'"mention"', b'"%s"' % own.encode(), 1)
        for number, (field, name) in enumerate(cases)
    ]
    sent += [body for body, _ in corpus.BODIES.values()]
    answers: list[tuple[int, dict]] = []

    async def story():
        for body in sent:
            path = f"/api/v1/deliveries/{channel.slug}/"
            answers.append(await delivered(path, [signed(body, "ours")], body))

    asyncio.run(with_an_intake_of_its_own(monkeypatch, story))
    odd = [
        (sent[n][:200], status) for n, (status, _) in enumerate(answers) if status not in (202, 400, 413, 422)
    ]
    assert odd == [] and len(answers) > 300
    told = Counter()
    for status, said in answers:
        if status in (202, 422):
            told.update(accepted=said["accepted"], copies=said["duplicates"], rejected=len(said["rejected"]))
            for one in said["rejected"]:
                kept = Delivery.objects.get(pk=one["delivery"])
                assert kept.state == DeliveryState.QUARANTINED and kept.error and one["errors"]
        else:
            assert said["code"] and said["detail"]
    assert sum(Delivery.objects.values_list("copies", flat=True)) == sum(told.values())
    while deliveries.process():
        pass
    assert set(Delivery.objects.values_list("state", flat=True)) <= {
        DeliveryState.DONE,
        DeliveryState.QUARANTINED,
    }
    assert not Delivery.objects.filter(state=DeliveryState.QUARANTINED, error="").exists()
    # What the door took is kept by the path behind it: only the door sets things aside.
    assert Delivery.objects.filter(state=DeliveryState.QUARANTINED, attempts__gt=0).count() == 0
    counted = deliveries.ledger()
    assert counted["received"] == sum(count for name, count in counted.items() if name != "received")
    assert violations() == []
    everything_shows()


def everything_shows() -> None:
    """Each list to its end, and a good part of the things one by one, on pages and over REST."""
    client = Client(raise_request_exception=False)
    client.force_login(make.make_user(Role.ADMINISTRATOR))
    faults = Faults()
    for noun in (
        "customers",
        "identities",
        "interactions",
        "messages",
        "tickets",
        "mentions",
        "deliveries",
        "work-items",
    ):
        url = f"/api/v1/{noun}/?page_size=200"
        while url:
            answer = client.get(url)
            faults.look(answer, url)
            url = answer.json().get("next")
    for page in ("customers", "tickets", "mentions", "deliveries", "queues", "deliveries/?state=done"):
        faults.look(client.get(f"/{page}" if "?" in page else f"/{page}/"), page, problem=False)
    for interaction in Interaction.objects.order_by("pk")[::8]:
        for page in (
            f"/interactions/{interaction.pk}/", f"/tickets/{interaction.ticket_id}/", f"/customers/{interaction.customer_id}/",
            f"/api/v1/customers/{interaction.customer_id}/context/",
        ):  # fmt: skip
            answer = client.get(page)
            faults.look(answer, page, problem=False)
            assert b"<script>alert" not in answer.content or "json" in answer["Content-Type"], page
    faults.none_in(50)


async def delivered(path: str, headers: list, body: bytes) -> tuple[int, dict]:
    """Status and answer of the whole application to one delivery."""
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
    client = ApplicationCommunicator(asgi.application, scope)
    await client.send_input({"type": "http.request", "body": body})
    start = await client.receive_output(timeout=20)
    return start["status"], orjson.loads((await client.receive_output(timeout=20))["body"])


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("", 401), ("t=,v1=", 401), ("t=1,v1=00", 401), ("v1=00", 401), ("t=" + "9" * 5_000 + ",v1=00", 401),
        ("t=-1,v1=00", 401), ("t=NaN,v1=00", 401), ("t=1e9,v1=00", 401), ("," * 5_000, 401), ("\xff=\xfe", 401),
        ("t=\u0663,v1=00", 401),
    ],
)  # fmt: skip
def test_no_signature_breaks_the_door(transactional_db, monkeypatch, valkey, header, status):
    channel = make.make_channel(secret="ours")

    async def story():
        headers = [(b"x-earshot-signature", header.encode("utf-8"))]
        got, said = await delivered(f"/api/v1/deliveries/{channel.slug}/", headers, orjson.dumps(GOOD))
        assert (got, bool(said["code"])) == (status, True)

    asyncio.run(with_an_intake_of_its_own(monkeypatch, story))
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("late", [-301, 301, -(10**9), 10**9])
def test_a_signature_outside_the_tolerance_is_refused(transactional_db, monkeypatch, valkey, late):
    channel, body = make.make_channel(secret="ours"), orjson.dumps(GOOD)

    async def story():
        headers = [signed(body, "ours", time.time() + late)]
        assert (await delivered(f"/api/v1/deliveries/{channel.slug}/", headers, body))[0] == 401

    asyncio.run(with_an_intake_of_its_own(monkeypatch, story))
    assert not Delivery.objects.exists()


# --- Sockets


FRAMES: list[dict] = [
    {"text": text}
    for text in (
        "", "hello", "{", "[]", "null", "5", '"x"', "NaN", '{"type": 5}', '{"type": null}', '{"type": ["heartbeat"]}',
        '{"type": {"a": 1}}', '{"type": "accept", "offer": 1}', '{"type": "typing", "data": [[]]}', '{"type": "a\\u0000"}',
        '{"type": "\\ud800"}', '{"type": "\ud800"}', "\x00", "[" * 100_000, "[" * 400 + "]" * 400, "1" + "0" * 5_000,
        '{"type": "heartbeat", "x": "' + "x" * 60_000 + '"}', "x" * 1_000_000,
    )
] + [{"bytes": one} for one in (b"", b"\x00", b"\xff\xfe", b'{"type": "heartbeat"}', b"x" * 1_000_000)]  # fmt: skip


def test_no_frame_breaks_a_socket(running, caplog):
    """After each hostile frame the socket still tells its news, densely."""
    centre = build()
    agent, auditor = cookie(centre.users["G"]), cookie(centre.users["U"])
    thread = centre.own["interaction"]
    walked = [
        ("/ws/desk/", agent),
        (f"/ws/interactions/{thread}/", agent),
        ("/ws/notices/", agent),
        ("/ws/events/", auditor),
        ("/ws/boards/floor/", auditor),
    ]
    assert len(walked) == len(table.SOCKETS)
    streams_of = {"/ws/desk/": f"desk:{centre.users['G'].pk}", walked[1][0]: f"interaction:{thread}"}
    streams_of["/ws/notices/"] = f"notices:{centre.users['G'].pk}"

    async def story():
        for path, who in walked:
            async with opened(path, [OURS, who]) as (client, accepted, _):
                assert accepted and (await frame(client))["type"] == "snapshot"
                for hostile in FRAMES:
                    await client.send_input({"type": "websocket.receive", **hostile})
                if stream := streams_of.get(path):
                    await hub.hub.in_thread(tell, stream)
                    hub.hub.ring([stream])
                    assert (await frame(client))["type"] == "alert"
                assert not client.future.done(), path

    run(story)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def tell(stream: str) -> None:
    with transaction.atomic():
        streams.tell([(stream, "alert", {})])


def test_no_handshake_breaks_a_socket(running):
    centre = build()
    who = cookie(centre.users["A"])
    queries = [
        "after=%00",
        "after=%FF",
        "after=" + "9" * 5_000,
        "after=-1",
        "after=1&after=x",
        "&&&=",
        "after=%D9%A3",
        "%00=%00",
    ]
    paths = [
        "/ws/",
        "/ws/nothing/",
        "/ws/interactions/0/",
        "/ws/interactions/x/",
        "/ws/interactions/" + "9" * 18 + "/",
    ]
    paths += [
        "/ws/interactions/" + "9" * 5_000 + "/",
        "/ws/boards/no-such/",
        "/ws/boards/\x00/",
        "/ws/boards/\ud800/",
        "/ws/desk",
    ]
    cookies = [
        b"",
        b"sessionid=",
        b'sessionid="\\000\\000\\000\\000\\000\\000\\000\\000"',
        b"sessionid=a\x00b\x00c\x00d\x00e\x00",
    ]
    cookies += [b"\xff=\xff", b"sessionid=" + b"x" * 5_000, b";;;"]

    async def story():
        for door in table.SOCKETS:
            for query in queries:
                async with opened(f"{door.path.format(**centre.own)}?{query}", [OURS, who]) as (
                    client,
                    accepted,
                    _,
                ):
                    assert accepted and (await frame(client))["type"] == "snapshot", query
            for value in cookies:
                async with opened(door.path.format(**centre.own), [OURS, (b"cookie", value)]) as (
                    client,
                    accepted,
                    _,
                ):
                    assert accepted and await closing(client) == 4401, value
            for token in (
                b"Bearer",
                b"Bearer \x00",
                b"Bearer \xff",
                b"Bearer " + b"x" * 5_000,
                b"Basic x",
                b"\x00",
            ):
                headers = [(b"authorization", token)]
                async with opened(door.path.format(**centre.own), headers) as (client, accepted, _):
                    assert accepted and await closing(client) == 4401, token
        for path in paths:
            async with opened(path, [OURS, who]) as (client, accepted, _):
                assert not accepted or await closing(client) == 4403, path

    run(story)
