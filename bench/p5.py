"""P5: 10,000 items wait, 200 agents free their hands at random; offers/s beside greedy matching in batches of 200."""

import random
import threading
import time

from bench import load
from bench.limits import limit
from bench.report import Found, Row
from bench.scene import Scene

WAITING = 10_000
ROUNDS = 3
SECONDS = 8.0
WRONG = {
    "no item offered twice at once": "SELECT count(*) FROM (SELECT work_item_id FROM routing_assignment "
    "WHERE status IN ('offered', 'accepted') GROUP BY 1 HAVING count(*) > 1) x",
    "no item handed out twice": "SELECT count(*) FROM (SELECT work_item_id FROM routing_assignment "
    "GROUP BY 1 HAVING count(*) > 1) x",
    "nobody over capacity": "SELECT count(*) FROM routing_agent WHERE load > capacity",
    "every load is what is held": "SELECT count(*) FROM routing_agent a WHERE a.load <> (SELECT coalesce(sum(units), 0) "
    "FROM routing_assignment m WHERE m.agent_id = a.id AND m.status IN ('offered', 'accepted'))",
    "no wrong skill": "SELECT count(*) FROM routing_assignment m JOIN routing_workitem w ON w.id = m.work_item_id, "
    "jsonb_object_keys(w.required_skills) k WHERE NOT EXISTS (SELECT 1 FROM routing_agentskill x JOIN routing_skill s "
    "ON s.id = x.skill_id WHERE x.agent_id = m.agent_id AND s.code = k)",
}
# What agents do, for all at once: they finish a random share of what they were offered, in one statement.
_FREE = """
WITH chosen AS (
    SELECT id, agent_id, units, work_item_id FROM routing_assignment WHERE status = 'offered' AND random() < %s
), locked AS (
    SELECT id FROM routing_agent WHERE id IN (SELECT agent_id FROM chosen) ORDER BY id FOR UPDATE
), ended AS (
    UPDATE routing_assignment a SET status = 'completed', accepted_at = greatest(now(), offered_at), ended_at = now()
    FROM chosen c WHERE a.id = c.id AND a.status = 'offered' RETURNING a.agent_id, a.units, a.work_item_id
), done AS (
    UPDATE routing_workitem w SET status = 'done', done_at = now() FROM ended e WHERE w.id = e.work_item_id RETURNING w.id
), freed AS (
    UPDATE routing_agent a SET load = a.load - e.units, idle_since = now()
    FROM (SELECT agent_id, sum(units) AS units FROM ended GROUP BY 1) e
    WHERE a.id = e.agent_id AND (SELECT count(*) FROM locked) > 0 RETURNING a.id
)
INSERT INTO routing_change (agent_id) SELECT id FROM freed RETURNING agent_id
"""


def run(scene: Scene) -> Found:
    rounds = 1 if scene.quick else ROUNDS
    waiting = WAITING // 10 if scene.quick else WAITING
    fill(scene, waiting)
    ours, theirs = [], []
    with limit(scene.stack, "assign") as floor:
        for number in range(rounds):
            if floor:
                theirs.append(floor.measure(3))
            ours.append(one_round(scene, number))
            if number < rounds - 1:
                wait_again(scene)
    rate = load.median(one["per_s"] for one in ours)
    what = f"offers with {waiting:,} waiting, 200 agents"
    per_s = load.median(one["per_s"] for one in theirs) if theirs else None
    late = load.median(one["free_to_offer_p99_ms"] for one in ours)
    return Found(
        rows=[
            Row("P5", what, rate, "/s", per_s, load.over(rate, per_s), 0.10, 0.50),
            Row("P5", "agent free to next offer, p99", late, "ms", None, None, 500, 30, False, alone=True),
        ],
        checks={name: all(one["wrong"][name] == 0 for one in ours) for name in WRONG},
        notes=[
            f"{rounds} rounds, alternating; five hands an agent; a driver ends a random third of the open offers every 10 ms "
            "in one statement, on the same cores",
        ],
        rounds={"product": ours, "limit": theirs},
    )


def fill(scene: Scene, waiting: int) -> None:
    """So many distinct people's complaints through the door, nobody there to take them."""
    scene.post([load.item(f"p5-{n}", f"h{n + 1}") for n in range(waiting)])
    scene.stack.sql("ANALYZE routing_workitem")


def wait_again(scene: Scene) -> None:
    """Put every item back as if it had never been offered."""
    scene.stack.sql("UPDATE routing_agent SET chosen = 'offline', load = 0")
    scene.stack.sql("DELETE FROM routing_assignment")
    scene.stack.sql(
        "UPDATE routing_workitem SET status = 'waiting', accepted_at = NULL, done_at = NULL, refused_by = '[]'"
    )
    scene.stack.sql("VACUUM ANALYZE routing_workitem")
    scene.stack.lead_again()


def one_round(scene: Scene, seed: int) -> dict:
    """Let all agents in and free hands until nothing waits or the time is over."""
    freed: list[tuple[int, float]] = []
    stop = threading.Event()
    helper = threading.Thread(target=free_hands, args=(scene, stop, freed, random.Random(seed)))
    started = time.time()
    scene.available()
    helper.start()
    end = time.monotonic() + SECONDS
    with scene.stack.connect() as link:
        while time.monotonic() < end:
            if not link.execute("SELECT 1 FROM routing_workitem WHERE status = 'waiting' LIMIT 1").fetchone():
                break
            time.sleep(0.05)
    stop.set()
    helper.join()
    offers = scene.stack.sql(
        "SELECT agent_id, extract(epoch FROM offered_at)::float8 FROM routing_assignment ORDER BY 2"
    )
    took = offers[-1][1] - started
    # Towards the end there is nothing left to offer: only hands freed while enough waited count.
    latest = offers[int(len(offers) * 0.9)][1]
    waits = waits_of(offers, [one for one in freed if one[1] < latest - 0.5])
    return {
        "per_s": len(offers) / took, "offers": len(offers), "took_s": took,
        "free_to_offer_p50_ms": load.percentile(waits, 50), "free_to_offer_p99_ms": load.percentile(waits, 99),
        "wrong": {name: scene.stack.sql(statement)[0][0] for name, statement in WRONG.items()},
    }  # fmt: skip


def free_hands(scene: Scene, stop: threading.Event, freed: list, dice: random.Random) -> None:
    bell = scene.stack.bell()
    with scene.stack.connect() as link:
        while not stop.is_set():
            agents = link.execute(_FREE, (dice.uniform(0.2, 0.45),)).fetchall()
            at = time.time()
            freed += [(agent, at) for (agent,) in agents]
            if agents:
                bell.publish("earshot:conveyor", "1")
            time.sleep(0.01)


def waits_of(offers: list[tuple[int, float]], freed: list[tuple[int, float]]) -> list[float]:
    """Milliseconds from each freeing to the agent's next offer."""
    by_agent: dict[int, list[float]] = {}
    for agent, at in offers:
        by_agent.setdefault(agent, []).append(at)
    waits = []
    for agent, at in freed:
        following = next((one for one in by_agent.get(agent, ()) if one >= at - 0.001), None)
        if following is not None:
            waits.append(max(0.0, following - at) * 1000)
    return waits
