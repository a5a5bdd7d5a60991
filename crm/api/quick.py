"""The few doors that clients with a token ask all day: the same services, without Django's handler and REST framework around.

Only what succeeds is answered here. Whatever is odd or refused goes on to the full door, which knows how to say it: by then
nothing was changed, for an act that is refused is rolled back. So there is one set of refusals, and it cannot drift apart.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
import psycopg
from django.conf import settings
from django.db import DatabaseError, connection

from crm import sources
from crm.api.base import as_bytes, refuse_hostile, within_rate
from crm.errors import DomainError
from crm.models import ApiToken
from crm.services import tokens

log = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024
WAITING = 64  # requests that may wait for a thread here; more go the full way, which says 503 in time
# What only the full door understands: saved answers, versions, files.
_FULL = {
    b"idempotency-key",
    b"if-match",
    b"if-none-match",
    b"transfer-encoding",
    b"content-encoding",
    b"expect",
}

Act = Callable[[ApiToken, int, Any], Any]
App = Callable[[dict, Callable, Callable], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Door:
    method: str
    path: re.Pattern[str]
    scopes: tuple[str, ...]
    act: Act
    asks: bool


@dataclass(frozen=True, slots=True)
class Match:
    """A request that may be answered here."""

    act: Act
    scopes: tuple[str, ...]
    pk: int
    token: str
    query: str | None = None


_doors: list[_Door] = []


def register(method: str, path: str, scopes: tuple[str, ...], act: Act, *, asks: bool = False) -> None:
    """Plug an act in: `path` may name one id by `{id}`; the act gets token, id and data, and returns what is shown.

    The data are the body's, or with `asks` the words of the query by name, of which the last counts.
    """
    pattern = re.compile("/api/v1/" + re.escape(path).replace(r"\{id\}", "([1-9][0-9]{0,17})"))
    _doors.append(_Door(method, pattern, scopes, act, asks))


def match(scope: dict) -> Match | None:
    """Whose request this is, if it is one of ours and plain: a token, an id, a small JSON body or a query, nothing else."""
    path = scope["path"]
    if not path.startswith("/api/v1/"):
        return None
    for door in _doors:
        if scope["method"] == door.method and (found := door.path.fullmatch(path)):
            if scope["query_string"] and not door.asks:
                return None
            query = scope["query_string"].decode("latin-1") if door.asks else None
            pk = int(found[1]) if found.groups() else 0
            token = _token(scope["headers"])
            return Match(door.act, door.scopes, pk, token, query) if token else None
    return None


def _token(headers: list[tuple[bytes, bytes]]) -> str:
    """The token of a plain request, or nothing."""
    token = ""
    for name, value in headers:
        if name in _FULL or (name == b"content-length" and not 0 <= _number(value) <= LARGEST_BODY):
            return ""
        if name == b"content-type" and value.partition(b";")[0].strip().lower() != b"application/json":
            return ""
        if name == b"authorization":
            kind, _, given = value.decode("latin-1").partition(" ")
            token = given.strip() if kind.lower() == "bearer" else ""
    return token


def _number(value: bytes) -> int:
    return int(value) if value.isdigit() and len(value) < 10 else -1


class Quick:
    """The quick doors of one web process."""

    def __init__(self, full: App) -> None:
        self._full = full
        self._threads = ThreadPoolExecutor(settings.QUICK_THREADS, thread_name_prefix="quick")
        self._inside = 0

    async def __call__(self, found: Match, scope: dict, receive: Callable, send: Callable) -> None:
        if self._inside >= WAITING:
            await self._full(scope, receive, send)
            return
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        body = b"".join(message.get("body", b"") for message in messages)
        self._inside += 1
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, _answer, found, body)
        finally:
            self._inside -= 1
        if answer is None:
            await self._full(scope, _again(messages, receive), send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": _headers(answer)})
        await send({"type": "http.response.body", "body": answer})


def _again(messages: list[dict], receive: Callable) -> Callable:
    """What was read, for the one who reads it next."""
    waiting = list(messages)

    async def read() -> dict:
        return waiting.pop(0) if waiting else await receive()

    return read


def _headers(body: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]


def _answer(found: Match, body: bytes) -> bytes | None:
    """The answer's bytes, or None for the full door."""
    try:
        _stand()
        token = tokens.recognise(found.token)
        if token is None or not tokens.allows(token, found.scopes) or not within_rate(str(token.user_id)):
            return None
        data = orjson.loads(body) if body else {}
        if found.query is not None:
            data = dict(parse_qsl(found.query, keep_blank_values=True, max_num_fields=20))
        refuse_hostile(data)
        with sources.through("api"):
            return as_bytes(found.act(token, found.pk, data))
    except (DomainError, orjson.JSONDecodeError):
        return None
    except DatabaseError:
        connection.close()
        return None
    except Exception:  # said by the full door, whatever it is
        log.info("left to the full door", exc_info=True)
        return None


def _stand() -> None:
    """This thread keeps its connection: whether it still stands is one look at its socket (`crm.pooled`)."""
    if connection.connection is not None:
        try:
            connection.connection.execute("")
        except psycopg.Error:
            connection.close()
