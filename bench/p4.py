"""P4: from a post at the door to the offer with its whole context on the agent's socket, 50 a second, 200 agents connected.

Beside it the raw chain: one insert, one publish, one socket, over the same loop, in rounds that alternate.
"""

import asyncio
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

import orjson

from bench import load, raw
from bench.limits import bare_server
from bench.names import token_of
from bench.report import Found, Row
from bench.scene import Scene

RATE = 50  # posts a second
SECONDS = 10.0
ROUNDS = 3
HEARTBEAT = 10.0  # s
HANDS = 16  # kept connections over which agents accept and complete
DOORS = 8  # kept connections over which networks post
MARK = "parcel number "


@dataclass
class Watch:
    """When each marked post left, when its frame came, and what the frames said."""

    sent: dict[str, float] = field(default_factory=dict)
    came: dict[str, float] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    bare: int = 0

    def left(self, mark: str) -> None:
        self.sent[mark] = time.perf_counter()

    def arrived(self, mark: str) -> None:
        self.seen[mark] = self.seen.get(mark, 0) + 1
        self.came.setdefault(mark, time.perf_counter())

    def whole(self) -> bool:
        """Whether every post has come."""
        return len(self.came) >= len(self.sent)

    def waits(self) -> list[float]:
        """Milliseconds from door to socket; a post that never came counts as the longest wait there is."""
        end = time.perf_counter()
        return [(self.came.get(mark, end) - at) * 1000 for mark, at in self.sent.items()]


def mark_in(text: str) -> str:
    """The number that tells a post from every other."""
    start = text.find(MARK)
    return text[start + len(MARK) :].split(" ", 1)[0] if start >= 0 else ""


def run(scene: Scene) -> Found:
    rounds = 1 if scene.quick else ROUNDS
    seconds = 1.0 if scene.quick else SECONDS
    scene.available()
    with bare_server(scene.stack) as (port, _, driver):
        ours, theirs, watches = load.run(play(scene, port, rounds, seconds))
    figures = {
        (name, share): load.median(load.percentile(waits, share) for waits in group)
        for name, group in (("ours", ours), ("raw", theirs))
        for share in (50, 99)
    }
    half, floor_half = figures["ours", 50], figures["raw", 50]
    late, floor_late = figures["ours", 99], figures["raw", 99]
    return Found(
        rows=[
            Row("P4", "post to offer with context, p50", half, "ms", floor_half, load.over(half, floor_half), 20, 5, False),
            Row("P4", "post to offer with context, p99", late, "ms", None, None, 500, 100, False, alone=True),
            Row("P4", "  p99 beside the raw chain", late, "ms", floor_late, load.over(late, floor_late)),
        ],
        checks={
            "every post came as one offer to one agent": all(
                one.whole() and set(one.seen.values()) == {1} for one in watches
            ),
            "every offer carried its context": all(one.bare == 0 for one in watches),
            **undone(scene),
        },
        notes=[
            f"{rounds} rounds of {seconds:g} s, alternating; {RATE} posts/s, {len(scene.agents)} desks connected, "
            "each offer accepted and completed at once through REST, on the same cores",
            f"the raw chain: one insert by {driver}, one publish, one of {len(scene.agents)} sockets",
        ],
        rounds={"product": load.spread(ours), "limit": load.spread(theirs)},
    )  # fmt: skip


def undone(scene: Scene) -> dict[str, bool]:
    """Whether the agents' work came through: everything offered was completed."""
    rest = scene.stack.sql("SELECT count(*) FROM routing_workitem WHERE status <> 'done'")[0][0]
    return {"every item was accepted and completed": rest == 0}


async def play(scene: Scene, bare_port: int, rounds: int, seconds: float) -> tuple[list, list, list[Watch]]:
    """Connect everybody once, then let the two paths take turns."""
    desks = Desks(scene)
    chain = Chain(scene, bare_port)
    await desks.connect()
    await chain.connect()
    ours, theirs, watches = [], [], []
    for _ in range(rounds):
        for path, waits in ((chain, theirs), (desks, ours)):
            path.watch = Watch()
            await steadily(path.post, seconds)
            await load.when(path.watch.whole, 20)
            await path.settle()
            waits.append(path.watch.waits())
        watches.append(desks.watch)
    desks.close()
    chain.close()
    return ours, theirs, watches


async def steadily(post: Callable[[int], None], seconds: float) -> None:
    """Begin a post at each beat of the clock, whether or not the earlier ones were answered."""
    start = time.perf_counter()
    for number in range(int(seconds * RATE)):
        await asyncio.sleep(max(0.0, start + number / RATE - time.perf_counter()))
        post(number)


class Callers:
    """Kept connections, lent to one request at a time."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.free: asyncio.Queue[load.Caller] = asyncio.Queue()
        self.tasks: set[asyncio.Task] = set()

    async def connect(self, count: int) -> None:
        for _ in range(count):
            self.free.put_nowait(await load.connect(self.port))

    async def call(self, words: bytes) -> tuple[int, bytes]:
        caller = await self.free.get()
        try:
            if caller.transport is None:
                # Servers close what was idle while the other path had its turn.
                caller = await load.connect(self.port)
            return await caller.call(words)
        finally:
            self.free.put_nowait(caller)

    def begin(self, work) -> None:
        """Let a coroutine run; held until it ends."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def idle(self) -> None:
        while self.tasks:
            await asyncio.gather(*list(self.tasks))

    def close(self) -> None:
        while not self.free.empty():
            caller = self.free.get_nowait()
            if caller.transport:
                caller.transport.close()


class Desks:
    """The product: agents at their sockets, networks at the door."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.watch = Watch()
        self.doors = Callers(scene.stack.port)
        self.hands = Callers(scene.stack.port)
        self.wires: list[load.Wire] = []
        self.beating: asyncio.Task | None = None
        self.posted = 0

    async def connect(self) -> None:
        await self.doors.connect(DOORS)
        await self.hands.connect(HANDS)
        asked = [("/ws/desk/", token_of(number)) for number in range(1, len(self.scene.agents) + 1)]
        self.wires = await load.open_wires(self.scene.stack.port, asked, self.heard)
        for number, wire in enumerate(self.wires, 1):
            wire.about = number
        self.beating = asyncio.get_running_loop().create_task(self.beat())
        await asyncio.sleep(1)

    async def beat(self) -> None:
        while True:
            for wire in self.wires:
                wire.say({"type": "heartbeat"})
            await asyncio.sleep(HEARTBEAT)

    def post(self, _: int) -> None:
        self.posted += 1
        mark = str(self.posted)
        words = f"@brand my {MARK}{mark} has been lost for nine days and nobody answers, this is terrible, please help"
        author = f"h{self.scene.dice.randint(1, 165_000)}"
        body = self.scene.delivery([load.item(f"p4-{mark}", author, words)])
        # Noted here and not in the task: the round's end must wait for the last post too.
        self.watch.left(mark)
        self.doors.begin(self.doors.call(body))

    def heard(self, wire: load.Wire, text: bytes) -> None:
        if not text.startswith(b'{"type":"offer.made"'):
            return
        data = orjson.loads(text)["data"]
        if mark := mark_in(data["offer"].get("text", "")):
            self.watch.arrived(mark)
        if not data["context"] or not data["context"]["customer"]["id"]:
            self.watch.bare += 1
        self.hands.begin(self.work(wire.about, data["offer"]["id"], data["offer"]["work_item"]))

    async def work(self, number: int, offer: int, item: int) -> None:
        """What the agent does: accept, wrap up."""
        who, port = load.bearer(token_of(number)), self.scene.stack.port
        await self.hands.call(load.request("POST", f"/api/v1/offers/{offer}/accept/", port, b"{}", who))
        words = b'{"reason": "billing", "outcome": "solved"}'
        await self.hands.call(load.request("POST", f"/api/v1/work-items/{item}/complete/", port, words, who))

    async def settle(self) -> None:
        await self.doors.idle()
        await self.hands.idle()

    def close(self) -> None:
        self.beating.cancel()
        self.doors.close()
        self.hands.close()
        for wire in self.wires:
            wire.cut()


class Chain:
    """The least that this could cost: signature, insert, publish, one socket."""

    def __init__(self, scene: Scene, port: int) -> None:
        self.scene, self.port = scene, port
        self.watch = Watch()
        self.doors = Callers(port)
        self.wires: list[load.Wire] = []

    async def connect(self) -> None:
        await self.doors.connect(DOORS)
        asked = [(f"/ws/{number}", "") for number in range(len(self.scene.agents))]
        self.wires = await load.open_wires(self.port, asked, self.heard)

    def post(self, number: int) -> None:
        text = (
            f"my {MARK}{number} has been lost for nine days and nobody answers, this is terrible, please help"
        )
        body = orjson.dumps(load.item(f"raw-{number}", "h1", text))
        signature = "sha256=" + hmac.new(raw.SECRET, body, sha256).hexdigest()
        path = f"/chain/{number % len(self.wires)}"
        words = load.request("POST", path, self.port, body, {"X-Hub-Signature-256": signature})
        self.watch.left(str(number))
        self.doors.begin(self.doors.call(words))

    def heard(self, _: load.Wire, text: bytes) -> None:
        self.watch.arrived(mark_in(orjson.loads(text)["text"]))

    async def settle(self) -> None:
        await self.doors.idle()

    def close(self) -> None:
        self.doors.close()
        for wire in self.wires:
            wire.cut()
