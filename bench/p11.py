"""P11: search over HTTP among as many customers as P10 has: by handle, by name, by telephone, with a typo; beside the same
kinds of search as one statement each, on the limit's own customers.
"""

import asyncio
import random
import time
from urllib.parse import quote

from bench import load
from bench.limits import limit
from bench.names import token_of
from bench.p10 import CUSTOMERS, fill
from bench.report import Found, Row
from bench.scene import Scene
from bench.stack import BenchError, Stack

GETS = 200
ROUNDS = 3
# What an agent types, by kind, and the limit's statement that finds the same.
KINDS = {
    "handle": "identity exact (source, handle)",
    "part of a handle": "handle contains",
    "name": "name contains, both parts",
    "phone": "phone ends with 7 digits, reversed btree",
    "typo": "name with a typo, similarity order",
}
GOALS = {"typo": 150.0}  # ms, p99


def run(scene: Scene) -> Found:
    rounds = 1 if scene.quick else ROUNDS
    gets = 20 if scene.quick else GETS
    customers = 2_000 if scene.quick else CUSTOMERS
    fill(scene.stack, customers)
    people = sample(scene.stack, gets)
    ours: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    whole: list[list[float]] = []
    theirs: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    with limit(scene.stack, "search", LIM_CUSTOMERS=str(customers)) as floor:
        for number in range(rounds + 1):
            measured = {
                kind: load.run(timed(scene.stack.port, [typed(kind, one) for one in people]))
                for kind in KINDS
            }
            found = floor.measure(gets) if floor else {}
            everything = load.run(
                timed(scene.stack.port, [typed("name", one) for one in people], "customers,tickets,messages")
            )
            if number:  # the first round warms up
                whole.append(everything)
                for kind in KINDS:
                    ours[kind].append(measured[kind])
                    theirs[kind] += [found[KINDS[kind]]] if found else []
    return judged(customers, ours, theirs, whole)


def judged(customers: int, ours: dict, theirs: dict, whole: list[list[float]]) -> Found:
    found = Found(rounds={"product": {kind: load.spread(groups) for kind, groups in ours.items()}})
    for kind, groups in ours.items():
        for share in (50, 99):
            value = load.median(load.percentile(waits, share) for waits in groups)
            floor = (
                load.median(load.percentile(waits, share) for waits in theirs[kind]) if theirs[kind] else None
            )
            what = f"search by {kind}, {customers:,} customers, p{share}"
            bounds = (5, 1.5) if share == 99 else (None, None)
            found.rows.append(Row("P11", what, value, "ms", floor, load.over(value, floor), *bounds, False))
    for share in (50, 99):
        value = load.median(load.percentile(waits, share) for waits in whole)
        found.rows.append(Row("P11", f"search by name for everything, p{share}", value, "ms"))
    found.checks = {
        "every search was answered": all(len(one) > 0 for groups in ours.values() for one in groups)
    }
    found.notes = [
        "among customers and all their addresses; `everything` is the whole search, tickets and words too"
    ]
    return found


def sample(stack: Stack, many: int) -> list[tuple[str, str, str]]:
    """(name, handle, telephone) of people taken at random."""
    found = stack.sql(
        "SELECT c.name, x.handle, p.value FROM crm_identity x JOIN crm_customer c ON c.id = x.customer_id "
        "JOIN crm_identity p ON p.customer_id = c.id AND p.kind = 'phone' WHERE x.kind = 'x' AND x.value LIKE 'scale-%%' "
        "AND c.name LIKE '%% %%' ORDER BY hashtext(x.value) LIMIT %s",
        (many,),
    )
    if len(found) < many:
        raise BenchError(f"only {len(found)} people with name, handle and telephone")
    return random.Random(7).sample(found, many)


def typed(kind: str, person: tuple[str, str, str]) -> str:
    """What an agent types to find this person."""
    name, handle, phone = person
    first, *_, last = name.split(" ")
    words = {
        "handle": handle,
        "part of a handle": handle[3:-2],
        "name": f"{first[1:]} {last[:4]}",
        "phone": phone[-7:],
        "typo": f"{first[:-1]}x {last}",
    }
    return words[kind]


async def timed(port: int, searches: list[str], kinds: str = "customers") -> list[float]:
    """Milliseconds of each search over a kept connection; agents take turns in asking."""
    caller = await load.connect(port)
    waits = []
    for number, words in enumerate(searches):
        path = f"/api/v1/search/?q={quote(words)}&kinds={kinds}"
        asked = load.request("GET", path, port, headers=load.bearer(token_of(1 + number % 200)))
        started = time.perf_counter()
        status, _ = await caller.call(asked)
        waits.append((time.perf_counter() - started) * 1000)
        if status != 200:
            raise BenchError(f"{path} answered {status}")
        await asyncio.sleep(0)
    if caller.transport:
        caller.transport.close()
    return waits
