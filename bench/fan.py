"""Many sockets in one process, and the teller: our own copy of the limits' fan-out client, through the product.

Broadcast: one event of the feed to every socket of `/ws/events/`. Targeted: one event to one of many threads, each with
its socket on `/ws/interactions/<id>/`. An event is a row told by the product's own service; its data holds the time.
"""

import argparse
import asyncio
import base64
import json
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from django.db import transaction

from bench import (
    load,
    ready,  # noqa: F401 - Django before its services
)
from bench.names import token_of
from bench.stack import cpu_of
from crm import live
from crm.services import interactions, streams

PAD = "x" * 225  # with the envelope the frame has the 320 bytes of the limit's
TELLERS = 4  # threads that write events, each on its own connection
STAMP = b'"t":"'
SEQ = b'"seq":'


class Client(asyncio.Protocol):
    """One socket: as little work a frame as can be, because it shares the cores with the server."""

    def __init__(self, hub: "Hub", path: str, port: int, after: int | None = None) -> None:
        self.hub, self.path, self.port = hub, path, port
        self.query = f"?after={after}" if after is not None else ""
        self.buffer = b""
        self.opened = asyncio.get_running_loop().create_future()
        self.ready = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self.seqs: list[int] = []
        self.cut = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **load.bearer(token_of(0)),
        }
        self.transport.write(load.request("GET", self.path + self.query, self.port, headers=headers))

    def data_received(self, data: bytes) -> None:
        if self.cut:
            return
        data = self.buffer + data if self.buffer else data
        if not self.opened.done():
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.buffer = data
                return
            if b" 101 " not in data[:20]:
                self.opened.set_exception(load.Lost(data[:200].decode("latin-1")))
                return
            self.opened.set_result(True)
            data = data[end + 4 :]
        place = 0
        while (found := load.frame_at(data, place)) is not None:
            kind, start, place = found
            if kind == load.TEXT:
                self.hub.got(self, data, start, place)
            elif kind == load.PING and self.transport:
                self.transport.write(bytes([0x8A, 0x80 | (place - start), 0, 0, 0, 0]) + data[start:place])
        self.buffer = data[place:]

    def lose(self) -> None:
        """Gone without a word."""
        self.cut = True
        if self.transport:
            self.transport.abort()


class Hub:
    """Counts what all sockets got."""

    def __init__(self) -> None:
        self.count = 0
        self.waits: list[int] = []
        self.want: int | None = None
        self.event = asyncio.Event()

    def got(self, client: Client, data: bytes, start: int, end: int) -> None:
        stamp = data.find(STAMP, start, min(end, start + 160))
        if stamp < 0:
            if data.startswith(b'{"type":"snapshot"', start) and not client.ready.done():
                client.ready.set_result(int(number_after(data, SEQ, start)))
            return
        self.count += 1
        self.waits.append(time.perf_counter_ns() - int(data[stamp + 5 : stamp + 25]))
        client.seqs.append(int(number_after(data, SEQ, start)))
        if self.want is not None and self.count >= self.want:
            self.event.set()

    async def wait(self, wanted: int, seconds: float = 20) -> bool:
        """Until so many frames have come."""
        self.want = wanted
        if self.count < wanted:
            self.event.clear()
            try:
                await asyncio.wait_for(self.event.wait(), seconds)
            except TimeoutError:
                return False
        return True


def number_after(data: bytes, mark: bytes, start: int) -> bytes:
    place = data.find(mark, start) + len(mark)
    end = place
    while 48 <= data[end] <= 57:
        end += 1
    return data[place:end]


class Fan:
    """The sockets and the teller."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.hub = Hub()
        self.clients: list[Client] = []
        self.threads = ThreadPoolExecutor(TELLERS)

    async def open(self, path: str, after: int | None = None) -> Client:
        loop = asyncio.get_running_loop()
        client = (
            await loop.create_connection(
                lambda: Client(self.hub, path, self.options.port, after), load.HOST, self.options.port
            )
        )[1]
        await client.opened
        return client

    async def open_all(self, paths: list[str]) -> float:
        """All sockets, some at a time, each up to its snapshot; connects a second."""
        started = time.perf_counter()
        for place in range(0, len(paths), 50):
            group = await asyncio.gather(*[self.open(path) for path in paths[place : place + 50]])
            await asyncio.gather(*[client.ready for client in group])
            self.clients += group
        return len(paths) / (time.perf_counter() - started)

    async def tell(self, stream: str) -> None:
        """One event, by the product's own service, after its commit."""
        await asyncio.get_running_loop().run_in_executor(self.threads, tell, stream)

    def cpu(self) -> float:
        return cpu_of(self.options.server_pid)


def tell(stream: str) -> None:
    data = {"t": f"{time.perf_counter_ns():020d}", "pad": PAD}
    with transaction.atomic():
        interactions.tell([(stream, "bench.event", data)])
        if stream == streams.EVENTS:
            live.ring(live.CONVEYOR)


async def broadcast(fan: Fan) -> dict:
    """At most `window` events on their way (deliveries/s), then a steady rate (how late)."""
    options, hub = fan.options, fan.hub
    count = options.clients
    connects = await fan.open_all(["/ws/events/"] * count)
    for _ in range(3):
        await fan.tell(streams.EVENTS)
    if not await hub.wait(3 * count, 20):
        raise load.Lost("the first events never came")
    base, sent, cpu, started = hub.count, 0, fan.cpu(), time.perf_counter()
    while time.perf_counter() - started < options.seconds:
        await fan.tell(streams.EVENTS)
        sent += 1
        if sent > options.window and not await hub.wait(base + (sent - options.window) * count, 10):
            break
    await hub.wait(base + sent * count, 10)
    took, got = time.perf_counter() - started, hub.count - base
    found = {
        "connects_per_s": connects,
        "broadcast_deliveries_per_s": got / took,
        "broadcast_server_cpu_us_per_delivery": (fan.cpu() - cpu) / max(1, got) * 1e6,
        "broadcast_lost": sent * count - got,
    }
    hub.waits.clear()
    base, beats, gap = hub.count, max(2, int(options.seconds * options.rate / count)), count / options.rate
    started = time.perf_counter()
    telling = []
    for beat in range(beats):
        telling.append(asyncio.ensure_future(fan.tell(streams.EVENTS)))
        await asyncio.sleep(max(0.0, started + (beat + 1) * gap - time.perf_counter()))
    await asyncio.gather(*telling)
    await hub.wait(base + beats * count, 10)
    return found | {
        "paced_ms_p50": load.percentile(hub.waits, 50) / 1e6,
        "paced_ms_p99": load.percentile(hub.waits, 99) / 1e6,
        "paced_lost": base + beats * count - hub.count,
        "gaps_or_repeats": sum(not dense(client.seqs) for client in fan.clients),
    }


def dense(seqs: list[int]) -> bool:
    return seqs == list(range(seqs[0], seqs[0] + len(seqs))) if seqs else True


async def targeted(fan: Fan) -> dict:
    """200 events a second, each to one of many; meanwhile a fifth of the sockets is cut and comes back with its number."""
    options, hub, dice = fan.options, fan.hub, random.Random(3)
    threads = json.loads(sys.stdin.readline())
    paths = [f"/ws/interactions/{one}/" for one in threads]
    connects = await fan.open_all(paths)
    first = [await client.ready for client in fan.clients]
    told = [0] * len(threads)
    everything = int(options.seconds * options.rate)

    async def one(place: int) -> None:
        told[place] += 1
        await fan.tell(f"interaction:{threads[place]}")

    await paced(options.rate, everything, lambda _: one(dice.randrange(len(threads))))
    await hub.wait(everything, 10)
    steady = list(hub.waits)
    # Now a fifth is cut in the middle of it, and comes back to what it missed.
    chosen = dice.sample(range(len(threads)), len(threads) // 5)
    kept = {place: list(fan.clients[place].seqs) for place in chosen}
    back: dict[int, Client] = {}

    async def one_or_cut(number: int) -> None:
        if number == everything // 4:
            for place in chosen:
                fan.clients[place].lose()
                kept[place] = list(fan.clients[place].seqs)
        if number == everything // 2:
            await resume()
        await one(dice.randrange(len(threads)))

    async def resume() -> None:
        for start in range(0, len(chosen), 50):
            group = chosen[start : start + 50]
            opened = await asyncio.gather(
                *[fan.open(paths[place], kept[place][-1] if kept[place] else first[place]) for place in group]
            )
            back.update(zip(group, opened, strict=True))

    await paced(options.rate, everything, one_or_cut)

    def seen(place: int) -> list[int]:
        return [*kept[place], *back[place].seqs] if place in back else fan.clients[place].seqs

    def complete() -> bool:
        return all(len(seen(place)) >= told[place] for place in range(len(threads)))

    await load.when(complete, 10)
    wrong = sum(
        seen(place) != list(range(first[place] + 1, first[place] + told[place] + 1))
        for place in range(len(threads))
    )
    return {
        "connects_per_s": connects,
        "targeted_ms_p50": load.percentile(steady, 50) / 1e6,
        "targeted_ms_p99": load.percentile(steady, 99) / 1e6,
        "told": sum(told),
        "seen": sum(len(seen(place)) for place in range(len(threads))),
        "cut": len(chosen),
        "missed_while_cut": sum(len(client.seqs) for client in back.values()),
        "sockets_with_gap_or_repeat": wrong,
        "snapshots_after_return": sum(client.ready.done() for client in back.values()),
    }


async def paced(rate: int, count: int, make) -> None:
    """Begin `make(n)` at each beat of the clock; wait for all of them."""
    started = time.perf_counter()
    running = []
    for number in range(count):
        running.append(asyncio.ensure_future(make(number)))
        await asyncio.sleep(max(0.0, started + (number + 1) / rate - time.perf_counter()))
    await asyncio.gather(*running)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("broadcast", "targeted"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--server-pid", type=int, required=True)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rate", type=int, default=4000, help="deliveries a second when paced")
    parser.add_argument("--window", type=int, default=4)
    options = parser.parse_args()

    async def work() -> dict:
        fan = Fan(options)
        try:
            return await {"broadcast": broadcast, "targeted": targeted}[options.what](fan)
        finally:
            for client in fan.clients:
                client.lose()

    print(json.dumps(load.run(work())))


if __name__ == "__main__":
    main()
