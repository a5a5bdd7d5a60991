"""P2 and P3: items by the thousand through the door to the last ticket; rate and CPU beside `unnest_100` x 2 clients."""

import asyncio
import time

from bench import load
from bench.limits import limit
from bench.report import Found, Row
from bench.scene import BATCH, Scene
from bench.stack import cpu_of_house, spent_since

ITEMS = 20_000
ROUNDS = 3
DUPLICATES = 0.05
SENDERS = 2


def run(scene: Scene) -> Found:
    rounds = 1 if scene.quick else ROUNDS
    each = ITEMS // 10 if scene.quick else ITEMS
    ours, theirs = [], []
    with limit(scene.stack, "ingest") as floor:
        for _ in range(rounds):
            if floor:
                theirs.append(floor.measure(3))
            ours.append(one_round(scene, each))
    found = Found(rounds={"product": ours, "limit": theirs})
    found.checks = counted(scene)
    rate = load.median(one["per_s"] for one in ours)
    cpu = load.median(one["cpu_us"] for one in ours)
    per_s = load.median(one["per_s"] for one in theirs) if theirs else None
    micro = load.median(one["cpu_us"] for one in theirs) if theirs else None
    found.rows = [
        Row(
            "P2",
            "mentions to the last ticket",
            rate,
            "/s",
            per_s,
            load.over(rate, per_s),
            0.10,
            0.50,
        ),
        Row(
            "P3",
            "CPU of all our processes a mention",
            cpu,
            "us",
            micro,
            load.over(cpu, micro),
            12,
            3,
            False,
        ),
    ]
    for kind in ours[0]["us_by_kind"]:
        part = load.median(one["us_by_kind"][kind] for one in ours)
        found.rows.append(Row("P3", f"  of it {kind}", part, "us"))
    found.notes = [
        f"{rounds} rounds of {each} items in batches of {BATCH}, {SENDERS} senders, alternating with the limit"
    ]
    return found


def one_round(scene: Scene, wanted: int) -> dict:
    """Send so many items and wait for the last; the rate and where the CPU went."""
    batches = [scene.items(BATCH, DUPLICATES) for _ in range(wanted // BATCH)]
    before = cpu_of_house(scene.stack)
    started = time.monotonic()
    statuses = load.run(send_all(scene, batches))
    acked = time.monotonic() - started
    scene.stack.drain(120)
    took = time.monotonic() - started
    mentions = len({item["id"] for batch in batches for item in batch})
    spent = {kind: seconds / mentions * 1e6 for kind, seconds in spent_since(scene.stack, before).items()}
    return {
        "per_s": mentions / took, "acked_after_s": acked, "took_s": took, "mentions": mentions, "statuses": statuses,
        "cpu_us": sum(spent.values()), "us_by_kind": spent,
    }  # fmt: skip


async def send_all(scene: Scene, batches: list[list[dict]]) -> list[int]:
    waiting = list(batches)
    statuses = []

    async def sender() -> None:
        caller = await load.connect(scene.stack.port)
        while waiting:
            statuses.append((await caller.call(scene.delivery(waiting.pop())))[0])

    await asyncio.gather(*[sender() for _ in range(SENDERS)])
    return statuses


def counted(scene: Scene) -> dict[str, bool]:
    """Nothing lost, nothing doubled, the books balance."""
    ledger = scene.stack.ledger()
    ids, mentions, tickets, work = scene.stack.sql(
        "SELECT (SELECT count(*) FROM crm_delivery), (SELECT count(*) FROM socialcare_mention), "
        "(SELECT count(*) FROM crm_ticket), (SELECT count(DISTINCT interaction_id) FROM routing_workitem)"
    )[0]
    return {
        "every id is one mention": ids == mentions,
        "every ticket is queued once": tickets == work > 0,
        "the ledger sums": ledger["received"]
        == sum(ledger[name] for name in ("queued", "in_progress", "done", "duplicate", "quarantined")),
        "nothing quarantined": ledger["quarantined"] == 0,
    }
