"""The load generator: HTTP over kept connections and WebSockets, on bare asyncio protocols so that it costs little itself."""

import asyncio
import base64
import hmac
import os
import resource
import statistics
import time
from collections.abc import Callable, Coroutine, Iterable
from hashlib import sha256
from typing import Any

import orjson
import uvloop

COMPLAINT = "@brand my parcel has been lost for nine days and nobody answers, this is terrible, please help"
HOST = "127.0.0.1"
TEXT, CLOSE, PING = 1, 8, 9


class Lost(Exception):
    """The other side closed the connection."""


def run(work: Coroutine) -> Any:
    """Run a coroutine on the fast loop, with as many open files as the machine allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which this share (0 to 100) lies, between neighbours in a straight line."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    place = (len(ordered) - 1) * share / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def spread(groups: list[list[float]]) -> list[dict]:
    """How many, p50 and p99 of each round, for the record."""
    return [{"n": len(one), "p50": percentile(one, 50), "p99": percentile(one, 99)} for one in groups]


def over(value: float | None, limit: float | None) -> float | None:
    """The ratio, where there is a limit."""
    return value / limit if value is not None and limit else None


# --- HTTP


class Caller(asyncio.Protocol):
    """One kept HTTP/1.1 connection, one request at a time."""

    def __init__(self) -> None:
        self.buffer = b""
        self.answer: asyncio.Future | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, mark, rest = self.buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        length = length_in(head)
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        answer, self.answer = self.answer, None
        if answer and not answer.done():
            answer.set_result((int(head[9:12]), rest[:length]))

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self.answer and not self.answer.done():
            self.answer.set_exception(Lost())

    async def call(self, request: bytes) -> tuple[int, bytes]:
        """Send a request made by `request`; returns status and body."""
        if self.transport is None:
            raise Lost
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answer


def length_in(head: bytes) -> int:
    lower = head.lower()
    start = lower.find(b"content-length:")
    if start < 0:
        return 0
    end = lower.find(b"\r\n", start)
    return int(lower[start + 15 : end if end > 0 else None])


async def connect(port: int) -> Caller:
    """A kept connection to the local server."""
    return (await asyncio.get_running_loop().create_connection(Caller, HOST, port))[1]


def request(
    method: str, path: str, port: int, body: bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}:{port}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines += ["Content-Type: application/json"]
    if body or method != "GET":
        lines += [f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def signed(body: bytes, secret: str) -> dict[str, str]:
    """The header that signs a delivery."""
    stamp = str(int(time.time()))
    mark = hmac.new(secret.encode(), stamp.encode() + b"." + body, sha256).hexdigest()
    return {"X-Earshot-Signature": f"t={stamp},v1={mark}"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def delivery(port: int, slug: str, secret: str, body: bytes) -> bytes:
    """The bytes of a signed delivery."""
    return request("POST", f"/api/v1/deliveries/{slug}/", port, body, signed(body, secret))


def item(ident: str, author: str, text: str = COMPLAINT) -> dict:
    """A public complaint in the open format."""
    return {
        "id": ident,
        "kind": "mention",
        "text": text,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "author": {"id": author, "handle": author},
    }


async def hammer(port: int, make: Callable[[int], bytes], seconds: float, connections: int) -> dict:
    """Keep so many connections busy; `make` gives the bytes of the n-th request. Counts, latencies in ms, statuses."""
    sent = 0
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    end = time.perf_counter() + seconds

    async def one(caller: Caller) -> None:
        nonlocal sent
        while (started := time.perf_counter()) < end:
            sent += 1
            status, _ = await caller.call(make(sent))
            latencies.append((time.perf_counter() - started) * 1000)
            statuses[status] = statuses.get(status, 0) + 1

    callers = [await connect(port) for _ in range(connections)]
    started = time.perf_counter()
    await asyncio.gather(*[one(caller) for caller in callers])
    took = time.perf_counter() - started
    for caller in callers:
        if caller.transport:
            caller.transport.close()
    return {
        "per_s": len(latencies) / took,
        "latencies": latencies,
        "statuses": statuses,
        "count": len(latencies),
    }


# --- WebSockets


class Wire(asyncio.Protocol):
    """One WebSocket: hands every text frame to `heard(wire, bytes)`, answers pings, can speak."""

    def __init__(self, path: str, port: int, heard: Callable[["Wire", bytes], None], token: str = "") -> None:
        self.path, self.port, self.heard, self.token = path, port, heard, token
        self.buffer = bytearray()
        self.opened: asyncio.Future = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future = asyncio.get_running_loop().create_future()
        self.code = 0
        self.seq: int | None = None
        self.about: Any = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **(bearer(self.token) if self.token else {}),
        }
        self.transport.write(request("GET", self.path, self.port, headers=headers))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.opened.done() and not self._shake():
            return
        place = 0
        while (found := frame_at(self.buffer, place)) is not None:
            kind, start, place = found
            self._take(kind, bytes(self.buffer[start:place]))
        del self.buffer[:place]

    def _shake(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if b" 101 " not in self.buffer[:20]:
            self.opened.set_exception(Lost(bytes(self.buffer[:200]).decode("latin-1")))
            return False
        del self.buffer[: end + 4]
        self.opened.set_result(True)
        return True

    def _take(self, kind: int, data: bytes) -> None:
        if kind == TEXT:
            self.heard(self, data)
        elif kind == PING:
            self._write(10, data)
        elif kind == CLOSE:
            self.code = int.from_bytes(data[:2], "big")
            if self.transport:
                self.transport.close()

    def _write(self, kind: int, data: bytes) -> None:
        if self.transport and len(data) < 126:
            # Masked with zeros: a client must mask, and the mask may be any.
            self.transport.write(bytes([0x80 | kind, 0x80 | len(data), 0, 0, 0, 0]) + data)

    def say(self, words: dict) -> None:
        """Send a small JSON frame."""
        self._write(TEXT, orjson.dumps(words))

    def cut(self) -> None:
        """Lose the connection without a word."""
        if self.transport:
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if not self.opened.done():
            self.opened.set_exception(Lost())
        if not self.ended.done():
            self.ended.set_result(self.code)


def frame_at(buffer: bytes | bytearray, place: int) -> tuple[int, int, int] | None:
    """(kind, start, end) of the server's frame at this place, or None when it has not all come."""
    have = len(buffer) - place
    if have < 2:
        return None
    length, head = buffer[place + 1] & 127, 2
    if length == 126:
        head = 4
    elif length == 127:
        head = 10
    if have < head:
        return None
    if head > 2:
        length = int.from_bytes(buffer[place + 2 : place + head], "big")
    if have < head + length:
        return None
    return buffer[place] & 15, place + head, place + head + length


async def open_wire(port: int, path: str, heard: Callable[[Wire, bytes], None], token: str = "") -> Wire:
    """Open one WebSocket."""
    wire = (
        await asyncio.get_running_loop().create_connection(lambda: Wire(path, port, heard, token), HOST, port)
    )[1]
    await wire.opened
    return wire


async def open_wires(
    port: int, asked: list[tuple[str, str]], heard: Callable[[Wire, bytes], None], at_once: int = 25
) -> list[Wire]:
    """Open many (path, token), some at a time."""
    wires: list[Wire] = []
    for start in range(0, len(asked), at_once):
        group = [open_wire(port, path, heard, token) for path, token in asked[start : start + at_once]]
        wires += await asyncio.gather(*group)
    return wires


async def when(true: Callable[[], object], seconds: float) -> bool:
    """Wait inside the loop until something is so; whether it came."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.005)
    return True
