"""A replay through the door while conveyor, web, worker, Valkey and PostgreSQL are killed (-9) at random moments."""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psycopg

from bench import load
from bench.drills.door import Replay, Sender
from bench.drills.log import Log
from bench.p5 import WRONG
from bench.scene import Scene
from bench.stack import ROOT, Stack, until

VICTIMS = ("conveyor", "web", "worker", "valkey", "postgresql")
MOVING = 60.0  # s within which it must move again
AGENTS = 20

# What must not exist after everything came to rest.
BROKEN = {
    "no delivery is left in hand": "SELECT count(*) FROM crm_delivery WHERE state IN ('queued', 'in_progress')",
    "nothing is quarantined": "SELECT count(*) FROM crm_delivery WHERE state = 'quarantined'",
    "no message is stored twice": "SELECT count(*) FROM (SELECT channel_id, external_id FROM crm_message "
    "WHERE direction = 'inbound' GROUP BY 1, 2 HAVING count(*) > 1) x",
    "every mention has its message": "SELECT count(*) FROM socialcare_mention m WHERE m.interaction_id IS NOT NULL AND "
    "NOT EXISTS (SELECT 1 FROM crm_message x WHERE x.channel_id = m.channel_id AND x.external_id = m.external_id)",
    "one open contact a person and thread": "SELECT count(*) FROM (SELECT thread, customer_id, audience FROM crm_interaction "
    "WHERE folded_into_id IS NULL GROUP BY 1, 2, 3 HAVING count(*) > 1) x",
    "every open contact has one live work item": "SELECT count(*) FROM crm_interaction i WHERE i.status = 'open' AND "
    "i.folded_into_id IS NULL AND (SELECT count(*) FROM routing_workitem w WHERE w.interaction_id = i.id "
    "AND w.status IN ('waiting', 'offered', 'assigned')) <> 1",
    "offered items have their one offer": "SELECT count(*) FROM routing_workitem w WHERE w.status IN ('offered', 'assigned') "
    "AND (SELECT count(*) FROM routing_assignment a WHERE a.work_item_id = w.id AND a.status IN ('offered', 'accepted')) <> 1",
    "waiting items have no offer": "SELECT count(*) FROM routing_workitem w JOIN routing_assignment a ON a.work_item_id = w.id "
    "WHERE w.status = 'waiting' AND a.status IN ('offered', 'accepted')",
    "the feed is numbered without a gap": "SELECT count(*) FROM (SELECT seq - lag(seq) OVER (PARTITION BY stream ORDER BY seq) "
    "AS step FROM crm_liveevent WHERE seq IS NOT NULL) x WHERE step <> 1",
    **WRONG,
}
del BROKEN["no item handed out twice"]  # an offer that expired is rightly made again


def run(scene: Scene, options: argparse.Namespace, dice: random.Random, log: Log) -> tuple[dict, dict]:
    stack = scene.stack
    scene.available(scene.agents[:AGENTS])
    batches = made(options.items, dice)
    replay = Replay(stack.port, batches)
    probes = Probes(stack, log)
    order = [victim for victim in VICTIMS for _ in range(options.kills)]
    dice.shuffle(order)
    times: dict[str, list[float]] = {victim: [] for victim in VICTIMS}
    for place, victim in enumerate(order, 1):
        replay.allow(len(batches) * place // len(order))
        time.sleep(dice.uniform(0.02, 0.8))
        kill(stack, victim, dice)
        times[victim].append(probes.moving_again(place))
        log.note(
            f"{victim} killed ({place}/{len(order)}): moving again after {times[victim][-1]:.2f} s, {replay.sent} batches"
        )
        replay.done()
    until(replay.done, 300, "everything is acknowledged")
    rest = until(lambda: calm(stack), MOVING, "everything at rest", 0.1)
    return judged(scene, replay, probes, times, rest, log)


def made(wanted: int, dice: random.Random) -> list[list[dict]]:
    """Batches of 1 to 40; a third of the items by people who wrote before, a twentieth sent twice in the replay."""
    items = [
        load.item(f"kill-{n}", f"person{dice.randint(1, n) if n and dice.random() < 0.33 else n}")
        for n in range(wanted)
    ]
    items += dice.sample(items, wanted // 20)
    batches = []
    while items:
        size = dice.randint(1, 40)
        batches.append(items[:size])
        items = items[size:]
    return batches


class Probes:
    """Items that must come through after each kill: the time until then is how long nothing moved."""

    def __init__(self, stack: Stack, log: Log) -> None:
        self.stack = stack
        self.log = log
        self.ids: set[str] = set()
        self.sender = Sender(stack.port)

    def moving_again(self, number: int) -> float:
        """Send a probe now and wait until it is a mention whose work item is queued."""
        started = time.monotonic()
        name = f"probe-{number}"
        self.sender.post([load.item(name, name)])
        self.ids.add(name)
        acknowledged = time.monotonic() - started
        until(lambda: self.arrived(name), 2 * MOVING, "the probe is queued as work", 0.03)
        self.log.note(f"probe {number} acknowledged after {acknowledged:.2f} s")
        return time.monotonic() - started

    def arrived(self, name: str) -> bool:
        with suppress(psycopg.Error):
            return bool(
                self.stack.sql(
                    "SELECT 1 FROM crm_delivery d JOIN routing_workitem w USING (interaction_id) "
                    "WHERE d.external_id = %s AND d.state = 'done'",
                    (name,),
                )
            )
        return False


def kill(stack: Stack, victim: str, dice: random.Random) -> None:
    """-9 to one process of that kind, as soon as one lives."""

    def once() -> bool:
        for pid in dice.sample(found := stack.pids(victim), len(found)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    until(once, 30, f"a {victim} to kill")


def calm(stack: Stack) -> bool:
    with suppress(psycopg.Error):
        return stack.drained() and not stack.sql("SELECT 1 FROM crm_liveevent WHERE seq IS NULL LIMIT 1")
    return False


def judged(
    scene: Scene, replay: Replay, probes: Probes, times: dict, rest: float, log: Log
) -> tuple[dict, dict]:
    stack = scene.stack
    wanted = replay.acknowledged | probes.ids
    counted = stack.sql("SELECT external_id, count(*) FROM socialcare_mention GROUP BY 1")
    ledger = stack.ledger()
    broken = {name: stack.sql(statement)[0][0] for name, statement in BROKEN.items()}
    slowest = max(max(one) for one in times.values())
    facts = {
        "acknowledged ids": len(wanted),
        "mentions": len(counted),
        "sent again": replay.sender.retries + probes.sender.retries,
        "ledger": ledger,
        "seconds until moving again, by victim": {
            victim: [round(one, 2) for one in sorted(taken)] for victim, taken in times.items()
        },
        "slowest": f"{slowest:.2f} s",
        "at rest after the last acknowledgement": f"{rest:.1f} s",
        "offers made": stack.sql("SELECT count(*) FROM routing_assignment")[0][0],
        "broken rows": {name: number for name, number in broken.items() if number},
    }
    checks = {
        "everything was acknowledged": {item["id"] for batch in replay.batches for item in batch} <= wanted,
        "every acknowledged id is one mention": {name for name, _ in counted} == wanted
        and all(number == 1 for _, number in counted),
        "the ledger sums": ledger["received"]
        == sum(ledger[name] for name in ("queued", "in_progress", "done", "duplicate", "quarantined")),
        **{name: number == 0 for name, number in broken.items()},
        f"moving again within {MOVING:.0f} s": slowest <= MOVING,
    }
    reconciled(stack, facts, checks, log)
    return facts, checks


def reconciled(stack: Stack, facts: dict, checks: dict, log: Log) -> None:
    """The product's own books, where the command is there."""
    if not list(ROOT.glob("*/management/commands/reconcile.py")):
        facts["reconcile"] = "skipped, there is no such command"
        return
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "reconcile"],
        cwd=ROOT,
        env=stack.environ(),
        capture_output=True,
        text=True,
    )
    log.note(done.stdout + done.stderr)
    facts["reconcile"] = (done.stdout + done.stderr).strip()[-300:]
    checks["reconcile finds no violation"] = done.returncode == 0
