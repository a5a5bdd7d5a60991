"""The plain ASGI doors in front of Django: deliveries and health. One small durable write, then 202.

Requests that arrive within a few milliseconds share one INSERT; each is acknowledged after its commit.
"""

import asyncio
import hmac
import json
import re
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

import orjson
import psycopg
import redis.asyncio
from django.conf import settings
from django.db import connection, connections
from django.utils import timezone

from crm import counters, live
from crm.access import Permission, may
from crm.connectors import base
from crm.models import ApiToken, Channel
from crm.secrets import digest
from crm.services import deliveries

MAX_BODY = 5 * 1024 * 1024
MAX_ITEMS = 1000
MAX_DEPTH = 64
JOIN_SECONDS = 0.0015

# What these doors serve: asgi, the OpenAPI document and the access table all read this list.
ROUTES = ["/api/v1/deliveries/<slug>/", "/health/live", "/health/ready"]

_DOOR = re.compile(r"^/api/v1/deliveries/([-a-zA-Z0-9_]*[a-zA-Z_-][-a-zA-Z0-9_]*)/$")
_HOOK = re.compile(r"^/hooks/([a-z0-9_]{1,30})/([-a-zA-Z0-9_]*[a-zA-Z_-][-a-zA-Z0-9_]*)/$")
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]|,')

Send = Callable[[dict], Awaitable[None]]
Receive = Callable[[], Awaitable[dict]]


class Refused(Exception):
    """The envelope is broken or the sender unknown: nothing is stored."""

    def __init__(self, status: int, code: str, detail: str):
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


def depth_and_slices(body: bytes) -> tuple[int, list[bytes]]:
    """How deep the JSON nests, and the bytes of each element of the top object's last `items` list. Linear, no recursion."""
    depth = deepest = 0
    start = -1
    key = b""
    inside = False
    found: list[bytes] = []
    for token in _TOKENS.finditer(body):
        text = token.group()
        if text in (b"{", b"["):
            depth += 1
            deepest = max(deepest, depth)
            if depth == 2 and text == b"[" and key == b'"items"':
                inside, found, start = True, [], token.end()
        elif text in (b"}", b"]"):
            if inside and depth == 2:
                if tail := body[start : token.start()].strip():
                    found.append(tail)
                inside = False
            depth -= 1
        elif text == b",":
            if inside and depth == 2:
                found.append(body[start : token.start()].strip())
                start = token.end()
        elif depth == 1:
            key = text
    return deepest, found


def open_envelope(body: bytes) -> tuple[list[bytes], bool]:
    """The items of a body as the bytes that came, and whether it was a single item. Raises Refused."""
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH or b'"items"' in body:
        deepest, slices = depth_and_slices(body)
        if deepest > MAX_DEPTH:
            raise Refused(400, "too_deep", f"JSON nests deeper than {MAX_DEPTH}.")
    else:
        slices = []
    data = _decode(body)
    if not isinstance(data, dict):
        raise Refused(400, "not_an_object", "The body must be an object: one item, or a list under “items”.")
    if "items" not in data:
        return [body], True
    if not isinstance(data["items"], list):
        raise Refused(400, "items_not_a_list", "“items” must be a list.")
    if len(data["items"]) > MAX_ITEMS:
        raise Refused(413, "too_many_items", f"At most {MAX_ITEMS} items at once.")
    if len(slices) != len(data["items"]):
        # A key written with escapes: keep each item in its canonical form rather than guess at its bytes.
        slices = [json.dumps(item).encode() for item in data["items"]]
    return slices, False


def _asked(scope: dict) -> dict[str, str]:
    """The words of the query. Raises Refused."""
    try:
        return dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=50))
    except ValueError as error:
        raise Refused(400, "bad_query", "The query cannot be read.") from error


def opened(body: bytes) -> Any:
    """The JSON of a body that nests no deeper than we read. Raises Refused."""
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and depth_and_slices(body)[0] > MAX_DEPTH:
        raise Refused(400, "too_deep", f"JSON nests deeper than {MAX_DEPTH}.")
    return _decode(body)


def _decode(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        # Only what orjson is stricter about (lone surrogates in an item) may pass here; such items are quarantined.
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "not_json", f"The body is not JSON: {str(error)[:200]}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def signature_fits(header: str, body: bytes, secrets: list[str], now: float) -> bool:
    """Whether `t=…,v1=…` signs these bytes with one of the secrets, within the tolerance."""
    stamp, given = "", []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            stamp = value
        elif name == "v1":
            given.append(value.lower())
    if (
        not stamp.isascii()
        or not stamp.isdecimal()
        or abs(now - int(stamp[:15])) > settings.SIGNATURE_TOLERANCE
    ):
        return False
    signed = stamp.encode() + b"." + body
    wanted = [hmac.new(secret.encode(), signed, sha256).hexdigest() for secret in secrets if secret]
    return any(hmac.compare_digest(one.encode(), other) for one in wanted for other in map(_ascii, given))


def _ascii(text: str) -> bytes:
    return text.encode("utf-8", "replace")


@dataclass(slots=True)
class _Known:
    """What the door remembers of a channel for a second, so that a burst does not ask the database each time."""

    id: int
    secrets: list[str]
    connector: str
    options: dict[str, Any]
    until: float


@dataclass(slots=True)
class _Waiting:
    sent: list[deliveries.Sent]
    future: asyncio.Future


class Intake:
    """The doors of one web process."""

    def __init__(self) -> None:
        self._channels: dict[str, _Known | None] = {}
        self._tokens: dict[str, float] = {}
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="intake")
        self._waiting: list[_Waiting] = []
        self._flusher: asyncio.Task | None = None
        self._connection: psycopg.AsyncConnection | None = None
        self._redis: redis.asyncio.Redis | None = None

    def serves(self, path: str, method: str) -> bool:
        """Whether this request is for a plain door."""
        return path.startswith(("/health/", "/hooks/")) or (method != "GET" and bool(_DOOR.match(path)))

    async def __call__(self, scope: dict, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        try:
            if path.startswith("/health/"):
                await self._health(path, send)
                return
            if path.startswith("/hooks/"):
                await self._hook(scope, receive, send)
                return
            if method != "POST":
                raise Refused(405, "method_not_allowed", "Deliveries are posted.")
            status, answer = await self._deliver(_DOOR.match(path).group(1), scope, receive)
            await respond(send, status, answer)
        except Refused as error:
            counters.REFUSED.labels(error.code).inc()
            await respond(send, error.status, problem(error.status, error.code, error.detail))
        except (psycopg.Error, TimeoutError, OSError) as error:
            counters.REFUSED.labels("unavailable").inc()
            await respond(
                send,
                503,
                problem(503, "unavailable", f"Not stored; send it again: {type(error).__name__}."),
                [(b"retry-after", b"2")],
            )

    async def _deliver(self, slug: str, scope: dict, receive: Receive) -> tuple[int, dict]:
        headers = {name.lower(): value for name, value in scope["headers"]}
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > MAX_BODY:
            raise Refused(413, "too_large", f"At most {MAX_BODY} bytes.")
        body = await read_body(receive)
        channel = await self._channel(slug)
        await self._authorise(channel, headers, body)
        if channel is None:
            raise Refused(404, "not_found", "There is no such channel.")
        raws, single = open_envelope(body)
        sent = deliveries.read(channel.id, raws)
        answer = (await self._store(sent)).as_dict()
        if single and answer["rejected"]:
            return 422, answer
        return 202, answer

    async def _hook(self, scope: dict, receive: Receive, send: Send) -> None:
        """A provider's own handshake, or its own signature and then one durable write. It hears 200, as providers wish."""
        place = _HOOK.match(scope["path"])
        channel = await self._channel(place[2]) if place else None
        hooked = base.hooked(place[1]) if place and channel and channel.connector == place[1] else None
        if channel is None or hooked is None:
            raise Refused(404, "not_found", "There is no such webhook.")
        if scope["method"] == "GET":
            shown = hooked.challenge(channel.secrets[0], channel.options, _asked(scope))
            if shown is None:
                raise Refused(403, "wrong_challenge", "This is not the handshake that was agreed.")
            await respond_raw(send, 200, shown[1], shown[0])
            return
        if scope["method"] != "POST":
            raise Refused(405, "method_not_allowed", "Events are posted.")
        body = await read_body(receive)
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        if not any(secret and hooked.is_signed(secret, headers, body) for secret in channel.secrets):
            raise Refused(401, "bad_signature", "The signature is missing or wrong.")
        raws = hooked.split(opened(body), channel.options)
        if len(raws) > MAX_ITEMS:
            raise Refused(413, "too_many_items", f"At most {MAX_ITEMS} items at once.")
        sent = deliveries.read(channel.id, raws, channel.connector)
        await respond(send, 200, (await self._store(sent)).as_dict())

    async def _channel(self, slug: str) -> _Known | None:
        now = time.monotonic()
        known = self._channels.get(slug)
        if known is not None and known.until > now:
            return known
        found = await self._in_thread(_load_channel, slug)
        self._channels[slug] = found
        if len(self._channels) > 10_000:
            self._channels.clear()
        return found

    async def _authorise(self, channel: _Known | None, headers: dict[bytes, bytes], body: bytes) -> None:
        if signature := headers.get(b"x-earshot-signature"):
            secrets = channel.secrets if channel else []
            if channel is not None and not signature_fits(
                signature.decode("latin-1"), body, secrets, time.time()
            ):
                raise Refused(401, "bad_signature", "The signature is missing, wrong or stale.")
            return
        kind, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Refused(401, "not_authorised", "Sign the body or show a token.")
        hashed = digest(token.strip())
        if self._tokens.get(hashed, 0) > time.monotonic():
            return
        if not await self._in_thread(_token_may_deliver, hashed):
            raise Refused(401, "not_authorised", "The token is unknown, over, or not for deliveries.")
        self._tokens[hashed] = time.monotonic() + 1.0

    async def _in_thread(self, work: Callable, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, _with_own_connection, work, *args
        )

    async def _store(self, sent: list[deliveries.Sent]) -> deliveries.Receipt:
        if not sent:
            return deliveries.Receipt()
        waiting = _Waiting(sent, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        stored = await asyncio.wait_for(asyncio.shield(waiting.future), 10)
        return deliveries.receipt(sent, stored)

    async def _flush(self) -> None:
        """Write all that waits in one statement after another until nothing waits."""
        await asyncio.sleep(JOIN_SECONDS)
        while self._waiting:
            batch = self._take()
            try:
                stored = await self._write([one for waiting in batch for one in waiting.sent])
            except Exception as error:  # every sender must hear that it was not stored
                for waiting in batch:
                    if not waiting.future.done():
                        waiting.future.set_exception(
                            error if isinstance(error, psycopg.Error | OSError) else OSError(str(error))
                        )
                continue
            claimed: set[deliveries.Key] = set()
            for waiting in batch:
                if not waiting.future.done():
                    waiting.future.set_result(_for_sender(waiting.sent, stored, claimed))
            await self._ring()

    def _take(self) -> list[_Waiting]:
        """As many senders as fit one statement."""
        taken, count = [], 0
        while self._waiting and (not taken or count + len(self._waiting[0].sent) <= MAX_ITEMS):
            taken.append(self._waiting.pop(0))
            count += len(taken[-1].sent)
        return taken

    async def _write(self, sent: list[deliveries.Sent]) -> dict[deliveries.Key, tuple]:
        for last in (False, True):
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = await psycopg.AsyncConnection.connect(**_dsn(), autocommit=True)
                cursor = psycopg.AsyncClientCursor(self._connection)
                await cursor.execute(deliveries.STORE, deliveries.store_params(sent))
                return {tuple(row[:4]): row for row in await cursor.fetchall()}
            except psycopg.OperationalError:
                # The statement may have been stored: sending it again only counts copies, never doubles.
                self._connection = None
                if last:
                    raise
        raise OSError("not stored")

    async def _ring(self) -> None:
        try:
            if self._redis is None:
                self._redis = redis.asyncio.Redis.from_url(
                    settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1
                )
            await self._redis.publish(live.BELT, "1")
        except (redis.RedisError, OSError, ValueError):
            self._redis = None

    async def _health(self, path: str, send: Send) -> None:
        if path.rstrip("/") == "/health/live":
            await respond(send, 200, {"status": "live"})
        elif path.rstrip("/") == "/health/ready":
            parts = {
                "postgresql": await self._in_thread(_database_answers),
                "redis": await self._redis_answers(),
            }
            ready = all(parts.values())
            await respond(
                send, 200 if ready else 503, {"status": "ready" if ready else "not ready", "parts": parts}
            )
        else:
            raise Refused(404, "not_found", "There is no such page.")

    async def _redis_answers(self) -> bool:
        try:
            client = redis.asyncio.Redis.from_url(
                settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1
            )
            return bool(await client.ping())
        except (redis.RedisError, OSError, ValueError):
            return False


def _for_sender(sent: list[deliveries.Sent], stored: dict, claimed: set) -> list[tuple]:
    """A sender's rows; of several senders of one new item the first is told it was accepted, the others a duplicate."""
    answer = []
    for key in {one.key for one in sent}:
        row = stored[key]
        answer.append(row if key not in claimed else (*row[:5], False))
        claimed.add(key)
    return answer


def _with_own_connection(work: Callable, *args: Any) -> Any:
    try:
        return work(*args)
    finally:
        connections.close_all()


def _load_channel(slug: str) -> _Known | None:
    channel = Channel.objects.filter(slug=slug, is_active=True).first()
    if channel is None:
        return None
    secrets = [channel.secret, channel.previous_secret]
    return _Known(channel.pk, secrets, channel.connector, channel.options, time.monotonic() + 1.0)


def _token_may_deliver(hashed: str) -> bool:
    token = ApiToken.objects.select_related("user").filter(digest=hashed, revoked_at=None).first()
    if token is None or (token.expires_at and token.expires_at <= timezone.now()):
        return False
    return may(token.user, Permission.DELIVER) and (not token.scopes or "deliveries:write" in token.scopes)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return True
    except Exception:  # any failure means: not ready
        return False


def _dsn() -> dict:
    given = settings.DATABASES["default"]
    values = {
        "dbname": given["NAME"],
        "user": given["USER"],
        "password": given["PASSWORD"],
        "host": given["HOST"],
        "port": given["PORT"],
    }
    options = {name: value for name, value in given.get("OPTIONS", {}).items() if name != "pool"}
    return {**options, **{name: value for name, value in values.items() if value}, "connect_timeout": 5}


async def read_body(receive: Receive) -> bytes:
    """The whole body, refused as soon as it is too large or too slow."""
    chunks, size = [], 0
    async with asyncio.timeout(30):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "gone", "The sender left.")
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > MAX_BODY:
                raise Refused(413, "too_large", f"At most {MAX_BODY} bytes.")
            if not message.get("more_body"):
                return b"".join(chunks)


def problem(status: int, code: str, detail: str) -> dict:
    """An RFC 9457 problem document."""
    return {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "detail": detail,
        "code": code,
    }


async def respond_raw(send: Send, status: int, data: bytes, kind: str) -> None:
    """Answer with these bytes."""
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(data)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


async def respond(send: Send, status: int, body: dict, headers: list[tuple[bytes, bytes]] = ()) -> None:
    """Answer with JSON."""
    data = orjson.dumps(body)
    kind = b"application/problem+json" if "code" in body and status >= 400 else b"application/json"
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", kind),
                (b"content-length", str(len(data)).encode()),
                (b"cache-control", b"no-store"),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": data})
