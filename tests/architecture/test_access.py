"""The access table, walked: every role at every door, with own and with foreign things, by session and by token."""

import asyncio
import re
from importlib.util import find_spec

import orjson
import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.cache import cache
from django.test import Client

from crm import asgi, intake
from crm.choices import Role, Scope
from crm.models import ApiToken, Channel, Team, User
from crm.services import rights
from crm.services.tokens import SCOPES
from reports.services import demo
from tests import factories as make
from tests.architecture import access_table as table
from tests.architecture.access_table import Door, cell
from tests.architecture.centre import CANARY, Centre, build, make_token
from tests.architecture.doors import (
    METHODS,
    admin_addresses,
    doors_there_are,
    shape,
    signed,
    undone,
    with_an_intake_of_its_own,
)  # fmt: skip
from tests.sockets import OURS, cookie, opened, run

CLOSED_TO = "SGM"  # the roles that see nothing of another closed team


@pytest.fixture
def centre(db, settings, monkeypatch) -> Centre:
    settings.DEMO = True
    monkeypatch.setattr(demo, "play", lambda: 17)
    cache.clear()  # allauth counts failed logins there
    return build()


# --- What there is


def test_every_address_and_method_is_in_the_table_and_no_other():
    listed = {f"{door.method} {shape(door.path)}" for door in table.HTTP}
    there = doors_there_are()
    assert there - listed == set(), "a door without a line in access_table.py"
    assert listed - there == set(), "a line of access_table.py without a door"


def test_every_socket_and_plain_door_is_in_the_table_and_no_other():
    sockets = {
        shape("/" + str(route.pattern).replace("^", "").removesuffix("$")) for route in asgi.sockets.routes
    }
    assert sockets == {shape(door.path) for door in table.SOCKETS}
    with_sockets = {
        name for name in ("crm", "routing", "socialcare", "reports") if find_spec(f"{name}.sockets")
    }
    assert with_sockets == {
        route.callback.consumer_class.__module__.split(".")[0] for route in asgi.sockets.routes
    }
    assert set(intake.ROUTES) == {line.split()[1] for line in table.PLAIN}


def test_every_cell_names_every_role_once():
    for door in [*table.HTTP, *table.SOCKETS]:
        for text in filter(None, (door.own, door.foreign)):
            letters = "".join(part.split(":")[1] for part in text.split())
            assert sorted(letters) == sorted(table.ROLES), str(door)
        assert set(door.scope.split()) <= SCOPES, str(door)


# --- Walking


def ask(client: Client, door: Door, things: dict, **headers: str):
    """One request; what it wrote is undone, a logout too, so that the next caller finds the same centre."""
    cookies = client.cookies.copy()
    with undone():
        answer = _send(client, door, things, headers)
    client.cookies = cookies
    return answer


def _send(client: Client, door: Door, things: dict, headers: dict):
    path = door.path.format(**things)
    body = {
        name: value.format(**things) if isinstance(value, str) else value for name, value in door.body.items()
    }
    if door.method == "GET":
        return client.get(path, headers=headers)
    if door.method == "POST" and not path.startswith("/api/"):
        return client.post(path, body, headers=headers)
    return client.generic(
        door.method, path, orjson.dumps(body), content_type="application/json", headers=headers
    )


def by_session(user) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def sides(door: Door, centre: Centre) -> list[tuple[str, str, dict]]:
    """(own or foreign, expected cell, things)."""
    found = [("own", door.own, centre.own)]
    return [*found, ("foreign", door.foreign, centre.foreign)] if door.foreign else found


def test_each_role_gets_the_tables_answer_at_each_door(centre):
    wrong, leaks = [], []
    for letter, user in centre.users.items():
        client = by_session(user)
        for door in table.HTTP:
            for side, expected, things in sides(door, centre):
                answer = ask(client, door, things)
                if str(answer.status_code) != cell(expected)[letter]:
                    wrong.append(
                        f"{letter} {side} {door}: {answer.status_code}, not {cell(expected)[letter]}"
                    )
                if letter in CLOSED_TO and CANARY.encode() in answer.content:
                    leaks.append(f"{letter} {side} {door}")
    assert "\n".join(wrong) == ""
    assert "\n".join(leaks) == ""


def test_a_list_shows_exactly_what_its_rows_show_one_by_one(centre):
    wrong, compared = [], 0
    details = {
        door.path.rsplit("{", 1)[0]: door
        for door in table.REST
        if door.method == "GET"
        and re.fullmatch(r"/api/v1/[a-z-]+/\{\w+\}/", door.path)
        and "boards" not in door.path
        and "/lists/" not in door.path  # a description of a list is no row of one
    }
    for letter, user in centre.users.items():
        client = by_session(user)
        for path, door in details.items():
            listed = {row["id"] for row in client.get(path, {"page_size": 200}).json()["results"]}
            for side, expected, things in sides(door, centre):
                name = re.search(r"\{(\w+)\}", door.path)[1]
                if isinstance(things[name], int):
                    compared += 1
                    if (things[name] in listed) != (cell(expected)[letter] == "200"):
                        wrong.append(f"{letter} {side} {path}: {things[name]}")
    assert "\n".join(wrong) == "" and compared > 100


def test_who_is_nobody_is_told_so_at_each_door(centre):
    over = by_session(centre.users["A"])
    centre.users["A"].is_active = False
    centre.users["A"].save()
    wrong = []
    for name, client in (("anonymous", Client(raise_request_exception=False)), ("deactivated", over)):
        for door in table.HTTP:
            answer = ask(client, door, centre.own)
            if answer.status_code != door.login:
                wrong.append(f"{name} {door}: {answer.status_code}, not {door.login}")
            if door.login == 302 and "/accounts/login/" not in answer.headers.get("Location", ""):
                wrong.append(f"{name} {door}: {answer.headers.get('Location')}")
    assert "\n".join(wrong) == ""
    for door in table.PAGES:
        assert ask(Client(), door, centre.own, **{"X-Fragment": "1"}).status_code == 401, str(door)


def test_a_token_reaches_what_its_scopes_name_and_nothing_else(centre):
    admin, wrong = centre.users["A"], []
    stranger = Client(raise_request_exception=False)
    for door in table.REST:
        wanted = door.scope.split()
        if_scoped = "403" if str(door) in table.NOT_BY_TOKEN else cell(door.own)["A"]
        cases = [((one,), if_scoped) for one in wanted]
        cases.append((tuple(sorted(SCOPES - set(wanted))), "403"))
        for scopes, expected in cases:
            answer = ask(stranger, door, centre.own, Authorization=f"Bearer {make_token(admin, *scopes)}")
            if str(answer.status_code) != expected:
                wrong.append(f"{door} with {scopes[:2]}: {answer.status_code}, not {expected}")
            code = "not_by_token" if {*scopes} == {*wanted} else "insufficient_scope"
            if expected == "403" and answer.json()["code"] != code:
                wrong.append(f"{door}: {answer.json()}")
    assert "\n".join(wrong) == ""


def test_a_token_of_an_api_client_does_what_the_client_may(centre):
    token, wrong = make_token(centre.users["C"]), []
    for door in table.REST:
        for side, expected, things in sides(door, centre):
            answer = ask(Client(), door, things, Authorization=f"Bearer {token}")
            if str(answer.status_code) != cell(expected)["C"]:
                wrong.append(f"{side} {door}: {answer.status_code}, not {cell(expected)['C']}")
    assert "\n".join(wrong) == ""


@pytest.mark.parametrize("end", ["revoked_at", "expires_at"])
def test_a_token_that_is_over_opens_nothing(centre, end):
    token = make_token(centre.users["A"])
    ApiToken.objects.update(**{end: "2020-01-01T00:00:00Z"})
    for door in table.REST:
        answer = ask(Client(), door, centre.own, Authorization=f"Bearer {token}")
        assert answer.status_code == 401 and answer["WWW-Authenticate"].startswith("Bearer"), str(door)


def test_no_write_goes_by_a_session_without_the_pages_own_token(centre):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(centre.users["A"])
    for door in [one for one in (*table.REST, *table.PAGES, *table.ACCOUNTS) if one.method != "GET"]:
        assert ask(client, door, centre.own).status_code == 403, str(door)


def test_a_method_that_is_not_listed_does_nothing(centre):
    client, listed = by_session(centre.users["A"]), doors_there_are()
    wrong = []
    for path in sorted({door.path for door in (*table.REST, *table.PAGES, *table.OPEN)}):
        for method in METHODS[1:]:
            if f"{method} {shape(path)}" not in listed:
                answer = ask(client, Door(method, path, ""), centre.own)
                if answer.status_code != 405:
                    wrong.append(f"{method} {path}: {answer.status_code}")
    assert "\n".join(wrong) == ""


def test_any_other_address_under_the_api_is_a_problem_document(centre):
    client = by_session(centre.users["A"])
    for method in METHODS:
        for path in ("/api/v1/", "/api/v1/nothing/", "/api/v1/customers/1/nothing/", "/api/v1/deliveries/x/"):
            answer = client.generic(method, path, b"{}", content_type="application/json")
            assert answer.status_code in (404, 405), (method, path)
            assert answer["Content-Type"] == "application/problem+json", (method, path)


# --- The admin: one entry, all of its addresses


def test_the_admin_is_for_administrators_whatever_flags_others_have(centre):
    wrong = []
    flagged = make.make_user(Role.SUPERVISOR, is_staff=True, is_superuser=True)
    callers = {
        **{letter: by_session(user) for letter, user in centre.users.items()},
        "flagged": by_session(flagged),
    }
    callers["anonymous"] = Client(raise_request_exception=False)
    addresses = admin_addresses(centre)
    assert len(addresses) > 60
    for name, client in callers.items():
        for path in addresses:
            for answer in (client.get(path), client.post(path)):
                # The one page of the admin for everybody is the login.
                refused = answer.status_code in (302, 403) or path == "/admin/login/"
                fine = answer.status_code < 500 if name == "A" else refused
                if not fine:
                    wrong.append(f"{name} {path}: {answer.status_code}")
        client.logout()
    assert "\n".join(wrong) == ""


# --- Plain doors and sockets


GOOD = {
    "id": "1",
    "kind": "mention",
    "text": "hello",
    "created_at": "2026-01-01T10:00:00Z",
    "author": {"id": "a"},
}


async def knock(method: str, path: str, headers: list, body: bytes = b"") -> int:
    """The status that the whole application answers with."""
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
    client = ApplicationCommunicator(asgi.application, scope)
    await client.send_input({"type": "http.request", "body": body})
    return (await client.receive_output(timeout=10))["status"]


def test_the_plain_doors_answer_as_the_table_says(transactional_db, monkeypatch, valkey):
    channel, other = make.make_channel(secret="ours"), make.make_channel(secret="theirs")
    users = {letter: make.make_user(role) for letter, role in table.ROLES.items()}
    body = orjson.dumps(GOOD)

    def bearer(letter, *scopes):
        return (b"authorization", f"Bearer {make_token(users[letter], *scopes)}".encode())

    callers = {
        "C": [bearer("C", "deliveries:write")], "c": [bearer("C", "deliveries:read")], "A": [bearer("A")],
        "G": [bearer("G")], "=": [signed(body, "ours")], "~": [signed(body, "theirs")], "-": [],
    }  # fmt: skip

    async def story():
        for line, expected in table.PLAIN.items():
            method, path = line.split()
            for letter, headers in callers.items():
                got = await knock(method, path.replace("<slug>", channel.slug), headers, body)
                assert str(got) == cell(expected)[letter], (line, letter)
        assert await knock("POST", "/api/v1/deliveries/no-such-channel/", callers["C"], body) == 404
        assert await knock("POST", "/api/v1/deliveries/no-such-channel/", [], body) == 401

    asyncio.run(with_an_intake_of_its_own(monkeypatch, story))
    assert Channel.objects.get(pk=channel.pk).deliveries.count() == 1
    assert not other.deliveries.exists()


def test_each_role_gets_the_tables_answer_at_each_socket(running):
    centre = build()
    cookies = {letter: cookie(user) for letter, user in centre.users.items()}
    admin = centre.users["A"]
    scoped = {
        door.path: (make_token(admin, door.scope), make_token(admin, *SCOPES - {door.scope}))
        for door in table.SOCKETS
    }
    wrong = []

    async def outcome(path, headers):
        async with opened(path, headers) as (client, accepted, _):
            if not accepted:
                return "refused"
            said = await client.receive_output(timeout=5)
            if said["type"] == "websocket.close":
                return str(said["code"])
            return orjson.loads(said["text"])["type"]

    async def story():
        for door in table.SOCKETS:
            for side, expected, things in sides(door, centre):
                path = door.path.format(**things)
                cases = [(letter, [OURS, cookies[letter]], cell(expected)[letter]) for letter in cookies]
                cases += [
                    ("anonymous", [OURS], "4401"),
                    ("foreign page", [(b"origin", b"https://evil.example")], "refused"),
                ]
                if side == "own":
                    right, other = scoped[door.path]
                    cases.append(("scope", [bearer_of(right)], cell(expected)["A"]))
                    cases.append(("other scopes", [bearer_of(other)], "4403"))
                for name, headers, wanted in cases:
                    if (got := await outcome(path, headers)) != wanted:
                        wrong.append(f"{name} {side} {path}: {got}, not {wanted}")
        assert await outcome("/ws/nothing/", [OURS, cookies["A"]]) == "refused"

    run(story)
    assert "\n".join(wrong) == ""


def bearer_of(token: str) -> tuple[bytes, bytes]:
    return (b"authorization", f"Bearer {token}".encode())


# --- Rights within a scope


def test_a_set_within_a_scope_opens_each_door_there_and_none_elsewhere(centre):
    """An agent of another team, with the agents' set in the foreign team: at its things he is told what its own are told."""
    admin, theirs = centre.users["A"], Team.objects.get(pk=centre.foreign["team"])
    guest = make.make_user(Role.AGENT, make.make_team(visibility="closed"))
    make.make_agent(guest)
    before, wrong = by_session(guest), []
    doors = [door for door in table.HTTP if door.foreign]
    for door in doors:
        got = ask(before, door, centre.foreign).status_code
        if str(got) != cell(door.foreign)["G"]:
            wrong.append(f"without: {door}: {got}, not {cell(door.foreign)['G']}")
    rights.give(guest, role=Role.AGENT, scope=Scope.TEAM, team=theirs, by=admin)
    client, token = by_session(User.objects.get(pk=guest.pk)), make_token(guest)
    for door in doors:
        expected = table.WITHIN_SCOPE.get(str(door)) or cell(door.own)["G"]
        answers = {"session": ask(client, door, centre.foreign)}
        if door.path.startswith("/api/"):
            answers["token"] = ask(Client(), door, centre.foreign, Authorization=f"Bearer {token}")
        for way, answer in answers.items():
            if str(answer.status_code) != expected:
                wrong.append(f"by {way}: {door}: {answer.status_code}, not {expected}")
        got = ask(client, door, centre.own).status_code
        if str(got) != cell(door.foreign)["G"]:
            wrong.append(f"outside: {door}: {got}, not {cell(door.foreign)['G']}")
    assert "\n".join(wrong) == ""
