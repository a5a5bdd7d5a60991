"""P10: the context card over HTTP with a long history in the database; beside one statement that reads the same.

The history comes from `manage.py seed_scale`; the limit's from its own schema, made as large.
"""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time

from bench import load
from bench.limits import limit
from bench.names import token_of
from bench.report import Found, Row
from bench.scene import Scene
from bench.stack import ROOT, BenchError, Stack

CUSTOMERS = int(os.environ.get("BENCH_CUSTOMERS", "100000"))  # 1,000,000 takes minutes to make
GETS = 500
ROUNDS = 3


def run(scene: Scene) -> Found:
    rounds = 1 if scene.quick else ROUNDS
    gets = 50 if scene.quick else GETS
    customers = 2_000 if scene.quick else CUSTOMERS
    people = fill(scene.stack, customers)
    busy = people[: len(people) // 10]
    dice = random.Random(5)
    got: dict[str, list[list[float]]] = {"card": [], "busy": [], "empty": []}
    theirs = []
    with limit(scene.stack, "context", LIM_CUSTOMERS=str(customers)) as floor:
        for number in range(rounds + 1):
            measured = {
                "empty": load.run(timed(scene.stack.port, ["/health/live"] * gets)),
                "card": load.run(timed(scene.stack.port, [card(dice.choice(people)) for _ in range(gets)])),
                "busy": load.run(
                    timed(scene.stack.port, [card(dice.choice(busy)) for _ in range(gets // 2)])
                ),
            }
            one = floor.measure(gets) if floor else None
            if number:  # the first round warms up
                for name, waits in measured.items():
                    got[name].append(waits)
                theirs += [one] if one else []
    return judged(scene, got, theirs, people, customers)


def judged(scene: Scene, got: dict, theirs: list[dict], people: list[int], customers: int) -> Found:
    def middle(name: str, share: float) -> float:
        return load.median(load.percentile(waits, share) for waits in got[name])

    half, late, empty, busy = middle("card", 50), middle("card", 99), middle("empty", 50), middle("busy", 50)
    query = load.median(one["p50_ms"] for one in theirs) if theirs else None
    floor = query + empty if query else None
    counted = statements(scene.stack, people[1:4])
    what = f"context card, {customers:,} customers, p50"
    return Found(
        rows=[
            Row("P10", what, half, "ms", floor, load.over(half, floor), 10, 1.5, False),
            Row("P10", "  p99", late, "ms", None, None, None, 25, False, alone=True),
            Row("P10", "statements a card", counted, "", None, None, 5, 2, False, alone=True),
            Row("P10", "busy customers' p50 over anybody's", busy, "ms", half, busy / half, None, 1.15, False),
            Row("P10", "  the empty answer of the same server, p50", empty, "ms"),
        ],
        checks={"every answer was a card": all(len(waits) > 0 for group in got.values() for waits in group)},
        notes=[
            "the limit is one statement's p50 plus the empty answer's; the busy tenth holds half of all tickets",
            *([] if theirs else ["limit: skipped, see above"]),
            *([] if customers >= 1_000_000 else ["BENCH_CUSTOMERS=1000000 measures it on a million"]),
        ],
        rounds={
            "product": {name: load.spread(groups) for name, groups in got.items()},
            "limit": theirs,
        },
    )  # fmt: skip


def fill(stack: Stack, customers: int) -> list[int]:
    """The history, and the ids of its people, the busy tenth first."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "seed_scale", "--customers", str(customers), "--json"],
        cwd=ROOT, env=stack.environ(), capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"no history could be made:\n{done.stderr[-1500:]}")
    said = json.loads(done.stdout)
    print(f"   {said['customers']:,} customers with their history made in {said['seconds']} s")
    return [
        row[0]
        for row in stack.sql(
            "SELECT customer_id FROM crm_identity WHERE kind = 'x' AND value LIKE 'scale-%' ORDER BY customer_id"
        )
    ]  # fmt: skip


def card(customer: int) -> str:
    return f"/api/v1/customers/{customer}/context/"


async def timed(port: int, paths: list[str]) -> list[float]:
    """Milliseconds of each GET, one after another over a kept connection; agents take turns in asking."""
    caller = await load.connect(port)
    waits = []
    for number, path in enumerate(paths):
        words = load.request("GET", path, port, headers=load.bearer(token_of(1 + number % 200)))
        started = time.perf_counter()
        status, _ = await caller.call(words)
        waits.append((time.perf_counter() - started) * 1000)
        if status != 200:
            raise BenchError(f"{path} answered {status}")
        await asyncio.sleep(0)
    if caller.transport:
        caller.transport.close()
    return waits


def statements(stack: Stack, people: list[int]) -> float:
    """How many statements a card costs, by the server's own log."""
    path = stack.home / "logs" / "postgresql.log"
    stack.sql("ALTER SYSTEM SET log_statement = 'all'")
    stack.sql("ALTER SYSTEM SET log_line_prefix = '%p '")
    stack.sql("SELECT pg_reload_conf()")
    time.sleep(0.5)
    try:
        load.run(timed(stack.port, [card(people[0])]))
        time.sleep(0.3)
        start = path.stat().st_size
        load.run(timed(stack.port, [card(person) for person in people]))
        time.sleep(0.3)
        said = path.read_bytes()[start:].decode(errors="replace")
    finally:
        stack.sql("ALTER SYSTEM RESET log_statement")
        stack.sql("ALTER SYSTEM RESET log_line_prefix")
        stack.sql("SELECT pg_reload_conf()")
    return count(said) / len(people)


def count(said: str) -> int:
    """Statements of the connections that asked for a token, as every request does."""
    entries = [entry for entry in re.split(r"^(?=\d+ LOG:)", said, flags=re.MULTILINE) if entry.strip()]
    lines = [
        (entry.split(" ", 1)[0], entry)
        for entry in entries
        if " statement: " in entry or " execute " in entry
    ]
    ours = {pid for pid, entry in lines if "crm_apitoken" in entry}
    return sum(pid in ours for pid, _ in lines)
