"""P7: one event to 1,000 sockets; beside raw Redis and asyncio, and beside Channels' own groups, in rounds that alternate."""

import json
import subprocess
import sys

from bench import load
from bench.limits import Served, fanout
from bench.report import Found, Row
from bench.scene import Scene
from bench.stack import ROOT, BenchError

CLIENTS = 1000
SECONDS = 2.0
ROUNDS = 3
RATE = 4000  # deliveries a second when paced


def run(scene: Scene) -> Found:
    rounds = 1 if scene.quick else ROUNDS
    seconds = 0.5 if scene.quick else SECONDS
    clients = 50 if scene.quick else CLIENTS
    got: dict[str, list[dict]] = {"product": [], "raw": [], "channels-pubsub": []}
    with fanout(scene.stack, ("raw", "channels-pubsub")) as servers:
        for _ in range(rounds):
            for server in servers:
                got[server.kind].append(beside(server, clients, seconds))
            got["product"].append(
                ours(scene, "broadcast", "--clients", clients, "--seconds", seconds, "--rate", RATE)
            )
    return judged(got, clients, rounds, seconds)


def judged(got: dict[str, list[dict]], clients: int, rounds: int, seconds: float) -> Found:
    def figure(kind: str, name: str) -> float | None:
        return load.median(one[name] for one in got[kind]) if got[kind] else None

    spent = "CPU of the web process a delivery"

    def row(what: str, name: str, unit: str, beside: str, floor, goal, higher=True) -> Row:
        value, limit = figure("product", name), figure(beside, name)
        return Row("P7", what, value, unit, limit, load.over(value, limit), floor, goal, higher)

    rate, micro = "broadcast_deliveries_per_s", "broadcast_server_cpu_us_per_delivery"
    kinds = [kind for kind in ("raw", "channels-pubsub") if not got[kind]]
    return Found(
        rows=[
            row(f"deliveries to {clients:,} sockets, over raw", rate, "/s", "raw", 0.15, 0.60),
            row("  over Channels' groups", rate, "/s", "channels-pubsub", 2, 8),
            row(f"p99 at {RATE:,} deliveries/s, over raw", "paced_ms_p99", "ms", "raw", None, 2, False),
            row("  p50", "paced_ms_p50", "ms", "raw", None, None, False),
            Row("P7", spent, figure("product", micro), "us", figure("raw", micro), None, None, 30, False, alone=True),
        ],
        checks={
            "every socket got every event, no gap, no repeat": all(
                one["broadcast_lost"] == one["paced_lost"] == one["gaps_or_repeats"] == 0 for one in got["product"]
            )
        },
        notes=[
            f"{rounds} rounds of {seconds:g} s each kind, alternating; ours: an event is a durable row, numbered, then pushed",
            *(f"{kind}: skipped, see above" for kind in kinds),
        ],
        rounds=got,
    )  # fmt: skip


def beside(server: Served, clients: int, seconds: float) -> dict:
    """One round of the limit's own client."""
    return server.measure(clients, seconds, RATE)


def ours(scene: Scene, what: str, *options: object, said: str = "") -> dict:
    """One round of our client in a process of its own."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.fan", what, "--port", str(scene.stack.port)),
            *("--server-pid", str(scene.stack.pids("web")[0]), *map(str, options)),
        ],
        cwd=ROOT, env=scene.stack.environ(), input=said, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"the sockets' client failed:\n{done.stderr[-1500:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
