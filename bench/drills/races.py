"""Many at once: 50 parallel deliveries of the same 200 items, four routers on 200 items and 50 agents, 50 accepts."""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import orjson

from bench import load
from bench.drills.log import Log
from bench.names import token_of
from bench.p5 import WRONG
from bench.scene import Scene
from bench.stack import ROOT, Stack, children_of, until

ITEMS = 200
COPIES = 50
AGENTS = 50
ROUTERS = 4
UNITS = 3  # an item of a social channel
HANDS = 3  # items an agent may hold
ACCEPTS = 50


def run(scene: Scene, options: argparse.Namespace, dice: random.Random, log: Log) -> tuple[dict, dict]:
    facts: dict = {}
    checks: dict = {}
    for part in (deliver_at_once, accept_at_once, route_at_once):
        started = time.monotonic()
        said, right = part(scene, options, dice)
        log.note(f"{part.__name__} took {time.monotonic() - started:.1f} s: {said}")
        facts |= said
        checks |= right
    return facts, checks


# --- The same items from fifty senders


def deliver_at_once(scene: Scene, options: argparse.Namespace, dice: random.Random) -> tuple[dict, dict]:
    items = [load.item(f"race-{n}", f"person{n}") for n in range(ITEMS)]
    most = 20 if options.small else 4
    receipts = load.run(senders(scene, items, dice, most))
    until(scene.stack.drained, 60, "all deliveries handled")
    counts = [sum(one.get(name, 0) for one in receipts) for name in ("accepted", "duplicates")]
    mentions, customers, tickets = scene.stack.sql(
        "SELECT (SELECT count(*) FROM socialcare_mention), (SELECT count(*) FROM crm_customer), (SELECT count(*) FROM crm_ticket)"
    )[0]
    ledger = scene.stack.ledger()
    facts = {"requests": len(receipts), "accepted, duplicates": counts, "ledger": ledger}
    return facts, {
        f"{ITEMS} items {COPIES} times in parallel: {ITEMS} mentions": mentions == ITEMS,
        "each person once, each ticket once": customers == tickets == ITEMS,
        "the senders were told so": counts == [ITEMS, ITEMS * (COPIES - 1)],
        "the ledger counts every copy": ledger["received"] == ITEMS * COPIES and ledger["done"] == ITEMS,
    }


async def senders(scene: Scene, items: list[dict], dice: random.Random, most: int) -> list[dict]:
    orders = [dice.sample(items, len(items)) for _ in range(COPIES)]
    sizes = random.Random(dice.random())
    receipts = []

    async def sender(order: list[dict]) -> None:
        caller = await load.connect(scene.stack.port)
        while order:
            size = sizes.randint(1, most)
            batch, order = order[:size], order[size:]
            status, answer = await caller.call(scene.delivery(batch))
            receipts.append(orjson.loads(answer) if status == 202 else {"refused": status})

    await asyncio.gather(*[sender(order) for order in orders])
    return receipts


# --- One offer, fifty clicks


def accept_at_once(scene: Scene, options: argparse.Namespace, dice: random.Random) -> tuple[dict, dict]:
    scene.available(scene.agents[:1])
    until(lambda: offers_of(scene), 10, "an offer is made")
    offer = offers_of(scene)[0][0]
    answers = load.run(clicks(scene.stack, offer))
    statuses = sorted(status for status, _ in answers)
    codes = {code for status, code in answers if status != 200}
    row = scene.stack.sql(
        "SELECT a.status, w.status, (SELECT count(*) FROM crm_activity WHERE verb = 'offer.accepted') "
        "FROM routing_assignment a JOIN routing_workitem w ON w.id = a.work_item_id WHERE a.id = %s",
        (offer,),
    )[0]
    scene.stack.sql("UPDATE routing_agent SET chosen = 'offline'")
    return {
        "answers to fifty accepts": {status: statuses.count(status) for status in set(statuses)},
        "codes": codes,
    }, {
        f"{ACCEPTS} parallel accepts: one 200, the others 409": statuses == [200] + [409] * (ACCEPTS - 1),
        "accepted once": row == ("accepted", "assigned", 1),
    }


def offers_of(scene: Scene) -> list[tuple]:
    return scene.stack.sql(
        "SELECT id FROM routing_assignment WHERE agent_id = %s AND status = 'offered' ORDER BY id",
        (scene.agents[0],),
    )


async def clicks(stack: Stack, offer: int) -> list[tuple[int, str]]:
    callers = [await load.connect(stack.port) for _ in range(ACCEPTS)]
    click = load.request(
        "POST", f"/api/v1/offers/{offer}/accept/", stack.port, b"{}", load.bearer(token_of(1))
    )
    answers = await asyncio.gather(*[caller.call(click) for caller in callers])
    return [(status, code_in(body)) for status, body in answers]


def code_in(body: bytes) -> str:
    try:
        return str(orjson.loads(body).get("code", ""))
    except (ValueError, AttributeError):
        return "not JSON"


# --- Four routers


def route_at_once(scene: Scene, options: argparse.Namespace, dice: random.Random) -> tuple[dict, dict]:
    stack = scene.stack
    wrong: dict[str, int] = dict.fromkeys(WRONG, 0)
    assigned, answers = [], []
    sleeping = asleep(stack)
    try:
        with ExitStack() as house:
            routers = [house.enter_context(Router(stack)) for _ in range(ROUTERS)]
            for _ in range(options.rounds):
                reset(scene)
                answers.append(one_round(routers))
                assigned.append(
                    stack.sql(
                        "SELECT count(*) FILTER (WHERE status = 'offered'), count(*) FILTER (WHERE status = 'waiting') "
                        "FROM routing_workitem"
                    )[0]
                )
                for name, statement in WRONG.items():
                    wrong[name] += stack.sql(statement)[0][0]
    finally:
        for pid in sleeping:
            os.kill(pid, signal.SIGCONT)
    seats = AGENTS * HANDS
    facts = {
        "rounds of four routers": len(answers),
        "decided, made by each router": answers[:3],
        "decisions the statement refused": sum(decided - made for one in answers for decided, made in one),
        "rounds in which more than one router won": sum(
            sum(1 for _, made in one if made) > 1 for one in answers
        ),
        "offered, waiting": sorted(set(assigned)),
    }
    return facts, {
        f"four routers: {seats} offered, {ITEMS - seats} waiting, in every round": set(assigned)
        == {(seats, ITEMS - seats)},
        "each offer was made by one router": all(sum(made for _, made in one) == seats for one in answers),
        "the routers did compete": any(decided > made for one in answers for decided, made in one),
        **{f"four routers: {name}": number == 0 for name, number in wrong.items()},
    }


def asleep(stack: Stack) -> list[int]:
    """Stop the house's own conveyor, both its parts, between two statements, so that it holds nothing: the four are alone."""
    pids = [one for pid in stack.pids("conveyor") for one in (pid, *children_of(pid))]

    def stopped() -> bool:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        busy = stack.sql(
            "SELECT 1 FROM pg_stat_activity a JOIN routing_leader l ON l.backend_pid = a.pid WHERE a.state <> 'idle'"
        )
        if busy:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        return not busy

    until(stopped, 20, "the house's conveyor sleeps")
    return pids


class Router:
    """A router process that waits for our word."""

    def __init__(self, stack: Stack) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.drills.router"], cwd=ROOT, env=stack.environ(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __enter__(self) -> "Router":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait(20)

    def tell(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        return self.process.stdout.readline().strip()


def one_round(routers: list[Router]) -> list[tuple[int, int]]:
    """All read the same state, then all decide at the same instant: (decided, made) of each."""
    for router in routers:
        router.tell("rebuild")
    for router in routers:
        router.hear()
    at = time.time() + 0.05
    for router in routers:
        router.tell(f"go {at}")
    return [tuple(map(int, router.hear().split())) for router in routers]


def reset(scene: Scene) -> None:
    """Everything waits again, past its promise so that nobody's hand is kept free for later, and everybody has free hands."""
    stack = scene.stack
    stack.sql("DELETE FROM routing_assignment")
    stack.sql("DELETE FROM routing_change")
    stack.sql(
        "UPDATE routing_workitem SET status = 'waiting', refused_by = '[]', accepted_at = NULL, done_at = NULL, "
        "queued_at = now() - interval '2 hours', deadline = now() - interval '1 hour'"
    )
    stack.sql(
        "UPDATE routing_agent SET load = 0, chosen = 'available', silent = false, seen_on_socket = true, "
        "missed_in_row = 0, blocked_families = '[]', seen_at = now() + interval '1 hour'"
    )
