"""P8: 200 events a second, each to one of 1,000 sockets; a fifth of them is cut and comes back with its number."""

import json

from bench import load, p7
from bench.limits import fanout
from bench.report import Found, Row
from bench.scene import Scene

CLIENTS = 1000
SECONDS = 5.0
ROUNDS = 3
RATE = 200


def run(scene: Scene) -> Found:
    rounds = 1 if scene.quick else ROUNDS
    seconds = 1.0 if scene.quick else SECONDS
    clients = 50 if scene.quick else CLIENTS
    threads = talk(scene, clients)
    ours, theirs = [], []
    with fanout(scene.stack, ("raw",)) as servers:
        for _ in range(rounds):
            for server in servers:
                theirs.append(server.measure(clients, min(seconds, 2), 4000))
            ours.append(
                p7.ours(scene, "targeted", "--clients", clients, "--seconds", seconds, "--rate", RATE,
                        said=json.dumps(threads) + "\n")
            )  # fmt: skip
    late, half = (load.median(one[f"targeted_ms_p{share}"] for one in ours) for share in (99, 50))
    floor = load.median(one["targeted_200_per_s_ms_p99"] for one in theirs) if theirs else None
    floor_half = load.median(one["targeted_200_per_s_ms_p50"] for one in theirs) if theirs else None
    return Found(
        rows=[
            Row("P8", f"{RATE}/s to one of {clients:,}, p99", late, "ms", floor, load.over(late, floor), 10, 2, False),
            Row("P8", "  p50", half, "ms", floor_half, load.over(half, floor_half)),
        ],
        checks={
            "every event seen exactly once, also by who was cut": all(
                one["sockets_with_gap_or_repeat"] == 0 and one["seen"] == one["told"] for one in ours
            ),
            "something was missed and made good": all(one["missed_while_cut"] > 0 for one in ours),
            "who came back got no snapshot": all(one["snapshots_after_return"] == 0 for one in ours),
        },
        notes=[
            f"{rounds} rounds, alternating; {clients // 5} sockets cut for a quarter of {seconds:g} s; an event is a durable row",
            *([] if theirs else ["raw: skipped, see above"]),
        ],
        rounds={"product": ours, "limit": theirs},
    )  # fmt: skip


def talk(scene: Scene, wanted: int) -> list[int]:
    """So many interactions, each of another person."""
    scene.post([load.item(f"p8-{number}", f"h{number + 1}") for number in range(wanted)])
    return [
        row[0] for row in scene.stack.sql("SELECT id FROM crm_interaction ORDER BY id LIMIT %s", (wanted,))
    ]
