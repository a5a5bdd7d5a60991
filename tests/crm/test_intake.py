"""The door: authorised, bounded, one durable write, then 202; never a 5xx for what strangers send."""

import asyncio
import hmac
import time
from hashlib import sha256

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.choices import ChannelKind, DeliveryState, Role
from crm.intake import Intake, depth_and_slices, open_envelope, signature_fits
from crm.models import ApiToken, Brand, Channel, Delivery, User
from crm.secrets import digest

GOOD = {
    "id": "1", "kind": "mention", "text": "hello", "created_at": "2026-01-01T10:00:00Z", "author": {"id": "a"},
}  # fmt: skip
TOKEN = "ear_test"


@pytest.fixture
def door(transactional_db):
    brand = Brand.objects.create(slug="b", name="B")
    Channel.objects.create(
        slug="sim-x", name="X", kind=ChannelKind.X, brand=brand, secret="new", previous_secret="old"
    )
    client = User.objects.create_user("api@example.com", role=Role.API_CLIENT)
    ApiToken.objects.create(user=client, digest=digest(TOKEN), scopes=["deliveries:write"])
    ApiToken.objects.create(user=client, digest=digest("other"), scopes=["customers:read"])


def post(*requests):
    """Post bodies at once to one door; answers [(status, body)]."""

    async def all_at_once():
        intake = Intake()
        answers = await asyncio.gather(*[one(intake, *request) for request in requests])
        if intake._connection:
            await intake._connection.close()
        return answers

    return asyncio.run(all_at_once())


async def one(intake, body, headers, path="/api/v1/deliveries/sim-x/"):
    sent = []
    chunks = [body[:7], body[7:]]

    async def receive():
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    await intake(scope, receive, send)
    return sent[0]["status"], orjson.loads(sent[1]["body"])


def bearer(token=TOKEN):
    return [(b"authorization", f"Bearer {token}".encode())]


def signed(body, secret="new", at=None):
    stamp = str(int(at if at is not None else time.time()))
    mac = hmac.new(secret.encode(), stamp.encode() + b"." + body, sha256).hexdigest()
    return [(b"x-earshot-signature", f"t={stamp},v1=00,v1={mac}".encode())]


def test_one_item_and_a_batch_are_kept_as_the_bytes_that_came(door):
    spaced = b'{ "items" : [ ' + orjson.dumps(GOOD) + b' , {"id":"2",  "kind": "mention"} , 5 ] }'
    (first, one_answer), (second, batch) = post(
        (orjson.dumps({**GOOD, "id": "9"}), bearer()), (spaced, bearer())
    )
    assert (first, one_answer["accepted"]) == (202, 1)
    assert second == 202
    assert (batch["accepted"], batch["duplicates"], [r["index"] for r in batch["rejected"]]) == (1, 0, [1, 2])
    kept = Delivery.objects.get(external_id="2")
    assert bytes(kept.raw) == b'{"id":"2",  "kind": "mention"}'
    assert kept.state == DeliveryState.QUARANTINED and "created_at" in kept.error


def test_a_hundred_copies_at_once_are_one_delivery(door):
    answers = post(*[(orjson.dumps(GOOD), bearer())] * 100)
    assert sum(body["accepted"] for _, body in answers) == 1
    assert sum(body["duplicates"] for _, body in answers) == 99
    assert Delivery.objects.get().copies == 100


def test_signatures_and_tokens_are_checked_on_the_raw_body(door):
    body = orjson.dumps(GOOD)
    cases = [
        (signed(body), 202), (signed(body, "old"), 202), (signed(body, "wrong"), 401), (signed(b"x" + body), 401),
        (signed(body, at=time.time() - 301), 401), (signed(body, at=time.time() + 301), 401),
        ([(b"x-earshot-signature", b"t=\xb2,v1=\xff")], 401), ([], 401), (bearer("none"), 401), (bearer("other"), 401),
    ]  # fmt: skip
    answers = post(*[(body, headers) for headers, _ in cases])
    assert [status for status, _ in answers] == [status for _, status in cases]
    assert Delivery.objects.count() == 1
    assert post((body, bearer(), "/api/v1/deliveries/nothing-here/"))[0][0] == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"nonsense", 400), (b"[]", 400), (b'"x"', 400), (b'{"items": 5}', 400), (b"\xff\xfe", 400),
        (b"[" * 100_000 + b"]" * 100_000, 400), (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
        (b'{"id": NaN}', 400), (b'{"items": [' + b"{}," * 1000 + b"{}]}", 413), (b"x" * (5 * 1024 * 1024 + 1), 413),
        (b'{"id": "\\ud800", "kind": "mention"}', 422), (b'{"id": 1e400}', 422), (b'{"id": ' + b"9" * 5000 + b"}", 400),
        (orjson.dumps({**GOOD, "text": "a\x00b"}), 422), (orjson.dumps({**GOOD, "author": ["x"]}), 422),
        (b"{}", 422), (b'{"items": []}', 202), (orjson.dumps({**GOOD, "author": {"id": "a", "name": "n" * 5000}}), 202),
    ],
)  # fmt: skip
def test_hostile_bodies_get_a_clear_answer(door, body, status):
    answer, document = post((body, bearer()))[0]
    assert answer == status, document
    if status in (400, 413):
        assert document["code"] and Delivery.objects.count() == 0


@given(
    st.lists(
        st.recursive(
            st.none() | st.text() | st.integers(-(2**53), 2**53),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        )
    )
)
@settings(max_examples=200, deadline=None)
def test_slices_are_exactly_the_elements(items):
    body = orjson.dumps({"before": {"items": [1]}, "items": items, "after": [[]]}, option=orjson.OPT_INDENT_2)
    _, slices = depth_and_slices(body)
    assert [orjson.loads(one) for one in slices] == items
    raws, single = open_envelope(body)
    assert not single and raws == slices


@given(st.text(max_size=80), st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_a_made_up_signature_never_fits(header, body):
    assert not signature_fits(header, body, ["secret"], time.time())
