"""LISTS: pages of every list over REST among as many customers as P10 has: each order, later pages, and conditions."""

import asyncio
import json
import time
from urllib.parse import quote, urlsplit

import orjson

from bench import load
from bench.names import token_of
from bench.p10 import CUSTOMERS, fill
from bench.report import Found, Row
from bench.scene import Scene
from bench.stack import BenchError

TIMES = 3  # each page is asked for so often; the middle one counts
LATER = 4  # pages after the first
LISTS = {
    "customers": ("id", "-id", "created_at", "-created_at", "last_contact", "-last_contact"),
    "identities": ("id", "-id"),
    "tickets": ("id", "-id", "opened_at", "-opened_at", "due_at", "-due_at"),
    "interactions": ("id", "-id", "last_message_at", "-last_message_at"),
    "messages": ("id", "-id"),
    "companies": ("id", "-id"),
    "deliveries": ("id", "-id"),
    "work-items": ("id", "-id"),
    "mentions": ("id", "-id", "posted_at", "-posted_at"),
}  # fmt: skip
# What people ask for: a few rows among all, many rows, none.
ASKED = {
    "customers": [
        {"column": "name", "op": "contains", "value": "mari"},
        {"column": "vip", "op": "is", "value": True},
        {"all": [{"column": "vip", "op": "is", "value": True}, {"column": "name", "op": "contains", "value": "son"}]},
        {"column": "last_contact", "op": "last_days", "value": 30},
        {"column": "last_contact", "op": "before", "value": "2020-01-01"},
    ],
    "tickets": [
        {"column": "status", "op": "any_of", "value": ["open", "waiting_on_us"]},
        {"column": "subject", "op": "contains", "value": "parcel"},
        {"any": [{"column": "topic", "op": "is", "value": "billing"}, {"column": "status", "op": "any_of", "value": ["new"]}]},
    ],
}  # fmt: skip


def run(scene: Scene) -> Found:
    customers = 2_000 if scene.quick else CUSTOMERS
    fill(scene.stack, customers)
    waits = load.run(walked(scene.stack.port))
    slowest = sorted(waits, key=lambda one: one[1], reverse=True)
    every = [wait for _, wait in waits]
    what = f"a page of any list, {customers:,} customers"
    return Found(
        rows=[
            Row("LISTS", f"{what}, p50", load.percentile(every, 50), "ms"),
            Row("LISTS", f"{what}, slowest", slowest[0][1], "ms", None, None, 500, 40, False, alone=True),
        ],
        checks={"every page came": len(waits) > 50},
        notes=[f"{len(waits)} pages", *[f"slowest: {path} {wait:.0f} ms" for path, wait in slowest[:8]]],
        rounds={"product": [{"path": path, "ms": wait} for path, wait in waits]},
    )


async def walked(port: int) -> list[tuple[str, float]]:
    """(path, milliseconds) of each page."""
    caller = await load.connect(port)
    found = []
    for noun, orders in LISTS.items():
        for order in orders:
            path: str | None = f"/api/v1/{noun}/?ordering={order}"
            for _ in range(1 + LATER):
                if path:
                    wait, following = await page(caller, port, path)
                    found.append((path, wait))
                    path = following
        for condition in ASKED.get(noun, ()):
            path = f"/api/v1/{noun}/?where={quote(json.dumps(condition))}"
            found.append((path, (await page(caller, port, path))[0]))
    if caller.transport:
        caller.transport.close()
    return found


async def page(caller: load.Caller, port: int, path: str) -> tuple[float, str | None]:
    """Milliseconds of a page, and the address of the next."""
    waits = []
    for _ in range(TIMES):
        words = load.request("GET", path, port, headers=load.bearer(token_of(1)))
        started = time.perf_counter()
        status, body = await caller.call(words)
        waits.append((time.perf_counter() - started) * 1000)
        if status != 200:
            raise BenchError(f"{path} answered {status}: {body[:300]!r}")
        await asyncio.sleep(0)
    following = orjson.loads(body)["next"]
    parts = urlsplit(following) if following else None
    return load.median(waits), f"{parts.path}?{parts.query}" if parts else None
