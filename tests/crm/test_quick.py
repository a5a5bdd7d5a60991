"""The quick doors: what they answer is what the full door answers, and whatever is refused goes there."""

import asyncio
from collections.abc import Callable

import orjson
import pytest
from django.db import connections

from crm.api import doors, quick
from crm.choices import Role
from crm.models import Activity
from crm.services import tokens
from routing.api import doors as work_doors
from routing.models import Assignment
from tests import factories as make

assert doors and work_doors  # what registers the acts
pytestmark = pytest.mark.django_db(transaction=True)

ACCEPT = "/api/v1/offers/{}/accept/"
COMPLETE = "/api/v1/work-items/{}/complete/"
CARD = "/api/v1/customers/{}/context/"
QUERIES = [
    b"q=parcel",
    b"q=S%C3%B6hne&kinds=customers",
    b"q=",
    b"q=a&q=parcel",
    b"",
    b"kinds=people",
    b"q=%00",
    b"q=%ff",
]
DONE = b'{"reason": "billing", "outcome": "solved"}'


def asked(method: str, path: str, token: str, body: bytes = b"", query: bytes = b"", **headers: str):
    """(by whom, status, data) of a request; by "full" it is only said that the full door got it, with the body it read."""
    sent: list[dict] = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [
            (b"authorization", f"Bearer {token}".encode()),
            *([(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())] if body else []),
            *[(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        ],
    }  # fmt: skip
    chunks = [
        {"type": "http.request", "body": body[:5], "more_body": True},
        {"type": "http.request", "body": body[5:]},
    ]

    async def receive() -> dict:
        return chunks.pop(0)

    async def full(scope: dict, receive: Callable, send: Callable) -> None:
        got = [await receive(), await receive()]
        sent.append({"full": b"".join(one["body"] for one in got)})

    async def send(message: dict) -> None:
        sent.append(message)

    async def one() -> None:
        found = quick.match(scope)
        if found is None:
            await full(scope, receive, send)
            return
        door = quick.Quick(full)
        try:
            await door(found, scope, receive, send)
        finally:
            for _ in range(4):
                await asyncio.get_running_loop().run_in_executor(door._threads, connections.close_all)
            door._threads.shutdown()

    asyncio.run(one())
    if "full" in sent[0]:
        assert sent[0]["full"] == body
        return "full", None, None
    return "quick", sent[0]["status"], orjson.loads(sent[1]["body"])


def by_the_full_door(client, method: str, path: str, token: str, body: bytes = b""):
    """(status, data) of the same request, through Django."""
    found = client.generic(
        method, path, body, content_type="application/json", headers={"Authorization": f"Bearer {token}"}
    )
    return found.status_code, found.json() if found.content else None


def test_a_card_is_the_card_of_the_full_door_for_every_role_that_may_see_it(client):
    customer = make.make_interaction(text="Where is my parcel?").customer_id
    for role in Role:
        token = tokens.issue(make.make_user(role))
        status, data = by_the_full_door(client, "GET", CARD.format(customer), token)
        by, said, shown = asked("GET", CARD.format(customer), token)
        assert (by, said) == (("quick", 200) if status == 200 else ("full", None)), role
        if status == 200:
            assert shown == data, role


def test_a_search_finds_what_the_full_door_finds(client):
    make.make_interaction(text="Where is my parcel?")
    make.make_customer(name="Parcel & Söhne")
    for scopes in ([], ["customers:read"], ["messages:read", "tickets:read"], ["mentions:read"]):
        token = tokens.issue(make.make_user(Role.SUPERVISOR), scopes=scopes)
        for query in (
            b"q=parcel",
            b"q=S%C3%B6hne&kinds=customers",
            b"q=",
            b"q=a&q=parcel",
            b"",
            b"kinds=people",
            b"q=%00",
            b"q=%ff",
        ):
            status, data = by_the_full_door(client, "GET", f"/api/v1/search/?{query.decode()}", token)
            by, said, shown = asked("GET", "/api/v1/search/", token, query=query)
            assert (by, said) == (("quick", 200) if status == 200 else ("full", None)), (scopes, query)
            if status == 200:
                assert shown == data, (scopes, query)


def test_an_offer_is_taken_and_finished_once_as_by_the_api():
    make.make_codes()
    offer = make.make_offer()
    token = tokens.issue(offer.agent.user, scopes=["desk"])
    by, status, shown = asked("POST", ACCEPT.format(offer.pk), token, b"{}")
    assert (by, status, shown["status"], shown["id"]) == ("quick", 200, "accepted", offer.pk)
    assert Activity.objects.get(verb="offer.accepted").source == "api"
    assert asked("POST", ACCEPT.format(offer.pk), token, b"{}")[0] == "full"
    by, status, shown = asked("POST", COMPLETE.format(offer.work_item_id), token, DONE)
    assert (by, status, shown["status"], shown["outcome"]) == ("quick", 200, "done", "solved")
    assert Assignment.objects.get(pk=offer.pk).status == "completed"


def of_another(role: Role) -> Callable[[Assignment], dict]:
    return lambda offer: {"token": tokens.issue(make.make_user(role))}


def revoked(offer: Assignment) -> dict:
    token = tokens.issue(offer.agent.user)
    for known in offer.agent.user.tokens.all():
        tokens.revoke(known, by=None)
    return {"token": token}


ODD: dict[str, Callable[[Assignment], dict]] = {
    "unknown token": lambda offer: {"token": "ear_" + "x" * 40},
    "wrong scope": lambda offer: {"token": tokens.issue(offer.agent.user, scopes=["customers:read"])},
    "somebody else's": lambda offer: {"token": tokens.issue(make.make_agent().user)},
    "marketing": of_another(Role.MARKETING),
    "auditor": of_another(Role.AUDITOR),
    "revoked": revoked,
    "no such id": lambda offer: {"path": ACCEPT.format(10**17)},
    "not JSON": lambda offer: {"body": b'{"a": '},
    "NUL in it": lambda offer: {"body": b'{"a": "\u0000"}'},
    "not held": lambda offer: {"path": COMPLETE.format(offer.work_item_id), "body": DONE},
    "unknown code": lambda offer: {"path": COMPLETE.format(offer.work_item_id), "body": b'{"reason": "no", "outcome": "no"}'},
    "a list": lambda offer: {"path": COMPLETE.format(offer.work_item_id), "body": b"[]"},
    "a key for once": lambda offer: {"idempotency_key": "k"},
    "a version": lambda offer: {"if_match": "*"},
    "a query": lambda offer: {"query": b"page=1"},
    "another kind of body": lambda offer: {"content_type": "text/plain", "body": b""},
    "too large": lambda offer: {"body": b'{"a": "' + b"x" * quick.LARGEST_BODY + b'"}'},
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_or_refused_goes_to_the_full_door_and_changes_nothing(case):
    offer = make.make_offer()
    plain = {"token": tokens.issue(offer.agent.user), "path": ACCEPT.format(offer.pk), "body": b"{}"}
    before = Assignment.objects.values().get(pk=offer.pk)
    assert asked("POST", **{**plain, **ODD[case](offer)})[0] == "full"
    assert Assignment.objects.values().get(pk=offer.pk) == before
