"""P1: signed single webhooks over 16 kept connections, acknowledged after commit; beside a bare app with one insert."""

import hmac
import json
from hashlib import sha256

from bench import load
from bench.limits import bare_server
from bench.raw import SECRET
from bench.report import Found, Row
from bench.scene import Scene
from bench.stack import cpu_of, cpu_of_house, spent_since

SECONDS = 4.0
ROUNDS = 3
CONNECTIONS = 16


def run(scene: Scene) -> Found:
    rounds = 1 if scene.quick else ROUNDS
    seconds = 1.0 if scene.quick else SECONDS
    body = json.dumps(load.item("0", "h1")).encode()
    mark = "sha256=" + hmac.new(SECRET, body, sha256).hexdigest()
    ours, theirs, accepted = [], [], 0
    with bare_server(scene.stack) as (port, pid, driver):
        plain = load.request("POST", "/hook", port, body, {"X-Hub-Signature-256": mark})
        load.run(load.hammer(port, lambda _: plain, 0.5, CONNECTIONS))
        for _ in range(rounds):
            before = cpu_of(pid)
            theirs.append(load.run(load.hammer(port, lambda _: plain, seconds, CONNECTIONS)))
            theirs[-1]["app_us"] = (cpu_of(pid) - before) / theirs[-1]["count"] * 1e6
            spent = cpu_of_house(scene.stack)
            ours.append(
                load.run(
                    load.hammer(
                        scene.stack.port, lambda _: scene.delivery(scene.items(1)), seconds, CONNECTIONS
                    )
                )
            )
            ours[-1]["app_us"] = spent_since(scene.stack, spent)["web"] / ours[-1]["count"] * 1e6
            accepted += ours[-1]["statuses"].get(202, 0)
            scene.stack.drain(120)
    rate, floor = (load.median(one["per_s"] for one in group) for group in (ours, theirs))
    late, late_floor = (
        load.median(load.percentile(one["latencies"], 99) for one in group) for group in (ours, theirs)
    )
    micro, micro_floor = (load.median(one["app_us"] for one in group) for group in (ours, theirs))
    kept = scene.stack.sql("SELECT count(*) FROM crm_delivery")[0][0]
    return Found(
        rows=[
            Row("P1", "acknowledged webhooks", rate, "/s", floor, rate / floor, 0.25, 0.70),
            Row(
                "P1", "p99 of the acknowledgement", late, "ms", late_floor, late / late_floor, None, 3, False
            ),
            Row("P1", "CPU of the web process a webhook", micro, "us", micro_floor, micro / micro_floor),
        ],
        checks={
            "every acknowledged post is kept": kept == accepted,
            "every answer was 202": all(set(one["statuses"]) == {202} for one in ours),
        },
        notes=[
            f"{rounds} rounds of {seconds:g} s, alternating; the floor is bare ASGI + {driver}, one insert each"
            + (
                ""
                if driver == "asyncpg"
                else " (asyncpg is not installed: set LIM_PYTHON; this floor is slower)"
            ),
            "the conveyor handles what was acknowledged on the same cores at the same time",
        ],
        rounds={
            "product": [{k: v for k, v in one.items() if k != "latencies"} for one in ours],
            "limit": [{k: v for k, v in one.items() if k != "latencies"} for one in theirs],
        },
    )
