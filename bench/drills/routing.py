"""Offers under faults: two hands on one item, offers that lapse, a router killed or stopped meanwhile, an agent who vanishes.

Also how soon a new leader knows ten thousand waiting items, and how soon who comes back has work.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import orjson

from bench import load
from bench.drills.log import Log
from bench.drills.races import Router, code_in
from bench.names import token_of
from bench.p5 import WRONG
from bench.scene import Scene
from bench.stack import ROOT, BenchError, Stack, children_of, until

PAIRS = 10  # of agents who reach for the same items
TOLD = 1.0  # s within which the loser hears of it
RINGS = 3  # s, where offers are to lapse
LATE = 2.0  # s that a lapsed offer may end after its time
SETTLED = 30.0  # s after which a killed router's offers have ended
CROWDED = 5  # times as long in the short form, which runs beside other tests
SILENT = 45.0  # s after which an agent of whom nothing is heard is not responding
OPEN = "SELECT count(*) FROM routing_assignment WHERE status = 'offered'"
# What is wrong in any state of offers; an item whose offer lapsed is rightly handed out again.
BROKEN = {
    **{name: statement for name, statement in WRONG.items() if name != "no item handed out twice"},
    "offered and held items have their one hold": "SELECT count(*) FROM routing_workitem w "
    "WHERE w.status IN ('offered', 'assigned') AND (SELECT count(*) FROM routing_assignment a "
    "WHERE a.work_item_id = w.id AND a.status IN ('offered', 'accepted')) <> 1",
    "waiting items have none": "SELECT count(*) FROM routing_workitem w JOIN routing_assignment a ON a.work_item_id = w.id "
    "WHERE w.status = 'waiting' AND a.status IN ('offered', 'accepted')",
}
# Everybody offline and everything waiting, past its promise, so that no hand is kept free for later.
_AGAIN = """
UPDATE routing_agent SET chosen = 'offline', load = 0, silent = false, blocked_families = '[]', missed_in_row = 0;
DELETE FROM routing_assignment;
UPDATE routing_workitem SET status = 'waiting', refused_by = '[]', accepted_at = NULL,
    queued_at = now() - interval '2 hours', deadline = now() - interval '1 hour'
WHERE status IN ('waiting', 'offered', 'assigned');
INSERT INTO routing_change (work_item_id) SELECT id FROM routing_workitem WHERE status = 'waiting';
INSERT INTO routing_change (agent_id) SELECT id FROM routing_agent
"""


def run(scene: Scene, options: argparse.Namespace, dice: random.Random, log: Log) -> tuple[dict, dict]:
    facts: dict = {}
    checks: dict = {}
    for part in (reach_for_one, let_lapse, kill_the_router, vanish, come_back_to_many):
        started = time.monotonic()
        said, right = part(scene, options)
        log.note(f"{part.__name__} took {time.monotonic() - started:.1f} s: {said}")
        facts |= said
        checks |= right
    return facts, checks


def slack(options: argparse.Namespace) -> int:
    """By how much a limit of time is stretched."""
    return CROWDED if options.small else 1


def wait_with(scene: Scene, name: str, wanted: int) -> None:
    """So many people's items wait, nobody is there."""
    scene.post([load.item(f"{name}-{n}", f"{name}{n}") for n in range(wanted)])
    again(scene)


def again(scene: Scene) -> None:
    scene.stack.sql(f"BEGIN; {_AGAIN}; COMMIT")
    scene.stack.bell().publish("earshot:conveyor", "1")


def ring_for(scene: Scene, seconds: int) -> None:
    """How long offers ring from now on."""
    scene.stack.sql(
        "UPDATE routing_queue SET offer_seconds = jsonb_build_object('social', %s::int)", (seconds,)
    )
    again(scene)


def broken(stack: Stack) -> dict[str, int]:
    found = {name: stack.sql(statement)[0][0] for name, statement in BROKEN.items()}
    return {name: number for name, number in found.items() if number}


# --- Two agents, one item


def reach_for_one(scene: Scene, options: argparse.Namespace) -> tuple[dict, dict]:
    races = 2 * options.races
    wait_with(scene, "one", races)
    items = [
        row[0]
        for row in scene.stack.sql("SELECT id FROM routing_workitem WHERE status = 'waiting' ORDER BY id")
    ]
    told = load.run(reaching(scene, items[:races]))
    winners = [sum(status == 201 for status, _, _ in race) for race in told]
    losers = [one for race in told for one in race if one[0] != 201]
    slowest = max(seconds for _, _, seconds in losers)
    facts = {
        "two agents, one item": f"{len(told)} races, the loser told after at most {slowest * 1000:.0f} ms",
        "what losers heard": sorted({(status, code) for status, code, _ in losers}),
    }
    return facts, {
        f"{len(told)} races for one item: one winner each": winners == [1] * races,
        "the loser is told that it is taken": {(status, code) for status, code, _ in losers}
        == {(409, "taken")},
        f"the loser is told within {TOLD * slack(options):.0f} s": slowest <= TOLD * slack(options),
        "races for one item leave nothing doubled": not broken(scene.stack),
    }


async def reaching(scene: Scene, items: list[int]) -> list[list[tuple[int, str, float]]]:
    told: list[list[tuple[int, str, float]]] = []

    async def pair(first: int) -> None:
        hands = [(number, await load.connect(scene.stack.port)) for number in (first, first + 1)]
        while items:
            item = items.pop()
            race = await asyncio.gather(*[reach(scene, number, caller, item) for number, caller in hands])
            told.append(list(race))
            for (number, caller), (status, _, _) in zip(hands, race, strict=True):
                if status == 201:
                    body = orjson.dumps({"reason": "billing", "outcome": "solved"})
                    await caller.call(asked(scene, number, f"work-items/{item}/complete/", body))

    await asyncio.gather(*[pair(2 * number + 1) for number in range(PAIRS)])
    return told


async def reach(scene: Scene, number: int, caller: load.Caller, item: int) -> tuple[int, str, float]:
    started = time.monotonic()
    status, body = await caller.call(asked(scene, number, f"work-items/{item}/claim/", b"{}"))
    return status, code_in(body), time.monotonic() - started


def asked(scene: Scene, number: int, path: str, body: bytes, method: str = "POST") -> bytes:
    return load.request(method, f"/api/v1/{path}", scene.stack.port, body, load.bearer(token_of(number)))


async def be_available(scene: Scene, number: int, caller: load.Caller) -> None:
    status, body = await caller.call(
        asked(scene, number, "agents/me/presence/", b'{"state": "available"}', "PUT")
    )
    if status != 200:
        raise BenchError(f"agent {number} cannot be available: {status} {body[:200]!r}")


# --- Nobody answers


def let_lapse(scene: Scene, options: argparse.Namespace) -> tuple[dict, dict]:
    stack = scene.stack
    wait_with(scene, "lapse", 60)
    ring_for(scene, RINGS)
    scene.available(scene.agents[:20])
    until(
        lambda: stack.sql("SELECT count(*) FROM routing_assignment")[0][0] >= 60,
        10,
        "all hands are offered something",
    )
    until(lambda: not stack.sql(OPEN)[0][0], 20, "all offers have lapsed")
    late = worst_delay(stack)
    statuses = dict(stack.sql("SELECT status, count(*) FROM routing_assignment GROUP BY 1"))
    counted = stack.sql("SELECT sum(missed_in_row), count(*) FROM routing_agent WHERE missed_in_row > 0")[0]
    open_ones = stack.sql("SELECT count(*) FROM routing_workitem WHERE status IN ('offered', 'assigned')")[0][
        0
    ]
    return {"offers that lapsed": f"{statuses}, ended at most {late:.2f} s after their time"}, {
        f"lapsed offers end within {LATE * slack(options):.0f} s of their time": late
        <= LATE * slack(options),
        "each is counted as missed, by its agent": set(statuses) == {"missed"}
        and counted == (statuses["missed"], 20),
        "their items wait again": not open_ones and not broken(stack),
    }


def worst_delay(stack: Stack) -> float:
    """How far from its time an offer ended, in seconds, at worst."""
    return stack.sql(
        "SELECT max(abs(extract(epoch FROM ended_at - expires_at)))::float8 FROM routing_assignment WHERE status = 'missed'"
    )[0][0]


def kill_the_router(scene: Scene, options: argparse.Namespace) -> tuple[dict, dict]:
    """In the window between offer and answer: killed, stopped beside a belt that runs, stopped with it beside a standby."""
    kills = {"killed": killed, "router stopped": router_stopped, "both parts stopped": both_stopped}
    if options.small:
        kills = {"killed": killed}
    taken: dict[str, list[float]] = {name: [] for name in kills}
    wrong: dict[str, int] = {}
    for _ in range(1 if options.small else 3):
        for name, hurt in kills.items():
            again(scene)
            until(scene.stack.leads, 30, "a conveyor leads")
            with hurt(scene.stack) as act:
                scene.available(scene.agents[:20])
                until(lambda: scene.stack.sql(OPEN)[0][0] >= 20, 15, "offers are open")
                act()
                until(lambda: not scene.stack.sql(OPEN)[0][0], SETTLED + 10, f"offers settle ({name})")
            taken[name].append(worst_delay(scene.stack))
            wrong |= broken(scene.stack)
    worst = max(max(one) for one in taken.values())
    return {
        "offers settle after a fault of the router, s": {
            name: [round(one, 2) for one in all] for name, all in taken.items()
        }
    }, {
        f"offers settle within {SETTLED:.0f} s whatever became of the router": worst <= SETTLED,
        "a router that fell leaves nothing doubled or lost": not wrong,
    }


@contextmanager
def killed(stack: Stack) -> Iterator[Callable[[], None]]:
    yield lambda: [os.kill(pid, signal.SIGKILL) for pid in stack.pids("conveyor")]


@contextmanager
def router_stopped(stack: Stack) -> Iterator[Callable[[], None]]:
    """The process beside it looks after it."""
    yield lambda: [os.kill(pid, signal.SIGSTOP) for pid in stack.pids("conveyor")]


@contextmanager
def both_stopped(stack: Stack) -> Iterator[Callable[[], None]]:
    """Nobody of the pair can act; another conveyor stands by, as a second machine's would."""
    standby = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "conveyor"],
        cwd=ROOT,
        env=stack.environ() | {"LOG_LEVEL": "WARNING"},
        stdin=subprocess.DEVNULL,
    )
    time.sleep(3)  # it waits for its turn
    stopped = [one for pid in stack.pids("conveyor") for one in (pid, *children_of(pid))]
    try:
        yield lambda: [os.kill(pid, signal.SIGSTOP) for pid in stopped]
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        standby.terminate()
        standby.wait(30)


# --- An agent vanishes


def vanish(scene: Scene, options: argparse.Namespace) -> tuple[dict, dict]:
    ring_for(scene, 300)
    until(scene.stack.leads, 30, "a conveyor leads")
    took = load.run(vanishing(scene, options.small))
    states = dict(
        scene.stack.sql(
            "SELECT status, count(*) FROM routing_assignment WHERE agent_id = %s GROUP BY 1",
            (scene.agents[0],),
        )
    )
    owned = scene.stack.sql("SELECT count(*) FROM routing_workitem WHERE status = 'assigned'")[0][0]
    return {"an agent vanished": f"not responding after {took:.1f} s, then his holds are {states}"}, {
        f"who vanishes is not responding within {SILENT:.0f} s": took <= SILENT,
        "his offers return, what he owns stays": states == {"withdrawn": 2, "accepted": 1} and owned == 1,
        "who vanishes leaves nothing doubled or lost": not broken(scene.stack),
    }


async def vanishing(scene: Scene, small: bool) -> float:
    """A desk that says that it is there, takes one of three offers, and then says nothing more on a line that stays open."""
    stack = scene.stack
    wire = await load.open_wire(stack.port, "/ws/desk/", lambda *_: None, token_of(1))
    caller = await load.connect(stack.port)
    await be_available(scene, 1, caller)
    offered = "SELECT id FROM routing_assignment WHERE agent_id = %s AND status = 'offered' ORDER BY id"
    mine = (scene.agents[0],)
    await load.when(lambda: len(stack.sql(offered, mine)) == 3, 15)
    await caller.call(asked(scene, 1, f"offers/{stack.sql(offered, mine)[0][0]}/accept/", b"{}"))
    wire.say({"type": "heartbeat"})
    await asyncio.sleep(2)
    if wire.transport:
        wire.transport.pause_reading()
    if small:
        stack.sql("UPDATE routing_agent SET seen_at = seen_at - interval '36 s' WHERE id = %s", mine)
    silent = "SELECT extract(epoch FROM now() - seen_at)::float8 FROM routing_agent WHERE id = %s AND silent"
    await load.when(lambda: stack.sql(silent, mine), SILENT + 20)
    took = stack.sql(silent, mine)
    wire.cut()
    return took[0][0] if took else float("inf")


# --- Ten thousand wait


def come_back_to_many(scene: Scene, options: argparse.Namespace) -> tuple[dict, dict]:
    stack = scene.stack
    wait_with(scene, "many", options.items)
    waiting = stack.sql("SELECT count(*) FROM routing_workitem WHERE status = 'waiting'")[0][0]
    with Router(stack) as router:
        read = [rebuilt(router) for _ in range(5)]
    stack.lead_again()
    waits = load.run(coming_back(scene, 5 if options.small else 20))
    slowest = max(waits, default=float("inf"))
    return {
        f"a new leader knows {waiting:,} waiting items after, ms": [round(one * 1000) for one in read],
        "who comes back has work after, ms": [round(one * 1000) for one in sorted(waits)],
    }, {
        f"state is rebuilt within {slack(options)} s with {waiting:,} waiting": max(read) < slack(options),
        f"who comes back has open work within {slack(options)} s": slowest <= slack(options),
    }


def rebuilt(router: Router) -> float:
    """Seconds a router took to read all that waits; the leader's own are its own affair."""
    router.tell("rebuild")
    return float(router.hear().split()[1])


async def coming_back(scene: Scene, agents: int) -> list[float]:
    """From the click to the offer on his own socket, one agent after the other."""
    waits = []
    for number in range(1, agents + 1):
        offered = asyncio.Event()

        def heard(_: load.Wire, text: bytes, offered: asyncio.Event = offered) -> None:
            if b'"offer.made"' in text:
                offered.set()

        wire = await load.open_wire(scene.stack.port, "/ws/desk/", heard, token_of(number))
        caller = await load.connect(scene.stack.port)
        started = time.monotonic()
        await be_available(scene, number, caller)
        with suppress(TimeoutError):
            await asyncio.wait_for(offered.wait(), 10)
            waits.append(time.monotonic() - started)
        wire.cut()
    return waits if len(waits) == agents else []
