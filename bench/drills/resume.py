"""A desk socket is cut under load and comes back with `?after=`: no gap, no repeat, the same state as a fresh load."""

import argparse
import asyncio
import random
import time
from dataclasses import dataclass, field

import orjson

from bench import load
from bench.drills.log import Log
from bench.names import token_of
from bench.scene import Scene

TELLERS = 3  # agents whose desks are watched; the first one's socket is cut
POSTS = 15  # a second, so that something always happens on the desks
BEFORE, AFTER = 1.0, 1.5  # s of load around the cut
STATE = ("offers", "assignments")


@dataclass
class Desk:
    """What a client of `/ws/desk/` makes of its frames."""

    frames: list[dict] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    snapshots: int = 0
    offers: set[int] = field(default_factory=set)
    assignments: set[int] = field(default_factory=set)

    def heard(self, frame: dict) -> None:
        kind, data = frame["type"], frame.get("data") or {}
        if kind == "alive":
            return
        if kind == "snapshot":
            self.snapshots += 1
            self.offers = {one["offer"]["id"] for one in data["offers"]}
            self.assignments = {one["id"] for one in data["assignments"]}
            self.seqs.append(frame["seq"])
            return
        self.frames.append(frame)
        self.seqs.append(frame["seq"])
        if kind == "offer.made":
            self.offers.add(data["offer"]["id"])
        elif kind in ("offer.withdrawn", "offer.expired"):
            self.offers.discard(data["offer"])
        elif kind == "assignment.started":
            self.offers.discard(data["assignment"])
            self.assignments.add(data["assignment"])
        elif kind == "assignment.ended":
            self.assignments.discard(data["assignment"])

    @property
    def newest(self) -> int:
        return self.seqs[-1] if self.seqs else 0

    def state(self) -> tuple[set[int], set[int]]:
        return self.offers, self.assignments


def run(scene: Scene, options: argparse.Namespace, dice: random.Random, log: Log) -> tuple[dict, dict]:
    scene.available(scene.agents[:TELLERS])
    return load.run(drill(scene, options.seconds, dice, log))


async def watch(scene: Scene, after: int | None = None) -> tuple[load.Wire, Desk]:
    """A desk socket of the first agent."""
    desk = Desk()
    path = "/ws/desk/" + (f"?after={after}" if after is not None else "")
    wire = await load.open_wire(
        scene.stack.port, path, lambda _, text: desk.heard(orjson.loads(text)), token_of(1)
    )
    return wire, desk


async def drill(scene: Scene, seconds: float, dice: random.Random, log: Log) -> tuple[dict, dict]:
    whole_wire, whole = await watch(scene)
    wire, cut = await watch(scene)
    await load.when(lambda: whole.snapshots and cut.snapshots, 10)
    going = asyncio.Event()
    work = [
        asyncio.create_task(posting(scene, going, dice)),
        *[asyncio.create_task(hands(scene, number, going, dice)) for number in range(1, TELLERS + 1)],
    ]
    await asyncio.sleep(BEFORE)
    wire.cut()
    seen = cut.newest
    log.note(f"cut at {seen}")
    await asyncio.sleep(seconds)
    missed = whole.newest - seen
    wire, later = await watch(scene, after=seen)
    await asyncio.sleep(AFTER)
    going.set()
    done = await asyncio.gather(*work)
    await settled(whole, later)
    fresh_wire, fresh = await watch(scene)
    await load.when(lambda: fresh.snapshots, 10)
    await settled(whole, later)
    for one in (wire, whole_wire, fresh_wire):
        one.cut()
    return judged(whole, cut, later, fresh, seen, missed, done)


async def settled(whole: Desk, later: Desk) -> None:
    """Nothing more is coming: both sockets stand at the same number for half a second."""
    end = time.monotonic() + 10
    quiet = time.monotonic()
    last = (whole.newest, later.newest)
    while time.monotonic() < end and time.monotonic() - quiet < 0.6:
        await asyncio.sleep(0.05)
        now = (whole.newest, later.newest)
        if now != last or now[0] != now[1]:
            last, quiet = now, time.monotonic()


def judged(
    whole: Desk, cut: Desk, later: Desk, fresh: Desk, seen: int, missed: int, done: list[int]
) -> tuple[dict, dict]:
    both = [frame["seq"] for frame in cut.frames] + [frame["seq"] for frame in later.frames]
    never_cut = [frame["seq"] for frame in whole.frames]
    first = never_cut[0] if never_cut else 0
    same = {frame["seq"]: frame["type"] for frame in whole.frames}
    facts = {
        "events on the desk": len(never_cut),
        "missed while cut": missed,
        "posts, then work done by each agent": done,
        "newest number: never cut, cut, fresh": (whole.newest, later.newest, fresh.newest),
        "open offers, assignments at the end": [len(one) for one in fresh.state()],
    }
    # Who was cut goes on from the state he had: offers and assignments are carried over.
    resumed = Desk(offers=set(cut.offers), assignments=set(cut.assignments))
    for frame in later.frames:
        resumed.heard(frame)
    return facts, {
        "much happened while the socket was cut": missed >= 3,
        "the socket never cut has no gap": never_cut == list(range(first, first + len(never_cut))),
        "came back without a snapshot": later.snapshots == 0,
        "no gap, no repeat over the cut": both == list(range(both[0], both[0] + len(both)))
        if both
        else False,
        "the same events as without the cut": both[-1:] == never_cut[-1:]
        and all(same[frame["seq"]] == frame["type"] for frame in [*cut.frames, *later.frames]),
        "it ends where a fresh load ends": later.newest == whole.newest == fresh.newest
        and later.newest > seen,
        "state equal to a fresh load": resumed.state() == fresh.state() == whole.state(),
    }


async def posting(scene: Scene, over: asyncio.Event, dice: random.Random) -> int:
    """Complaints of new people at a steady pace."""
    caller = await load.connect(scene.stack.port)
    sent = 0
    while not over.is_set():
        sent += 1
        status, answer = await caller.call(scene.delivery([load.item(f"resume-{sent}", f"caller{sent}")]))
        if status != 202:
            raise load.Lost(f"the door answered {status}: {answer[:200]!r}")
        await asyncio.sleep(dice.expovariate(POSTS))
    return sent


async def hands(scene: Scene, number: int, over: asyncio.Event, dice: random.Random) -> int:
    """An agent at another device: accepts or declines what is offered, finishes what he holds, all by REST."""
    caller = await load.connect(scene.stack.port)
    who = load.bearer(token_of(number))
    port = scene.stack.port
    done = 0
    while not over.is_set():
        _, body = await caller.call(load.request("GET", "/api/v1/desk/", port, headers=who))
        desk = orjson.loads(body)
        for one in desk["offers"]:
            act, words = ("decline", b'{"reason": "busy"}') if dice.random() < 0.2 else ("accept", b"{}")
            path = f"/api/v1/offers/{one['offer']['id']}/{act}/"
            status, _ = await caller.call(load.request("POST", path, port, words, who))
            done += status < 300
        for one in desk["assignments"]:
            if dice.random() < 0.7:
                path = f"/api/v1/work-items/{one['work_item']}/complete/"
                words = b'{"reason": "billing", "outcome": "solved"}'
                status, _ = await caller.call(load.request("POST", path, port, words, who))
                done += status < 300
        await asyncio.sleep(0.05)
    return done
