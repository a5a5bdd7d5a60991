"""Generated queues under the lock: no locked channel overtakes another outside the exemptions. The engine alone, no house."""

import argparse
import random
from collections.abc import Iterator
from dataclasses import replace

from bench.drills.log import Log
from bench.scene import Scene
from routing import engine
from routing.pacing import Pacing

NOW = 1_700_000_000.0
SKILLS = ("billing", "technical", "sales")
PEOPLE = range(6)
PART = 0.1  # of the queues have a second round


def run(scene: Scene | None, options: argparse.Namespace, dice: random.Random, log: Log) -> tuple[dict, dict]:
    decided, overtaken, open_overtaken, idle = 0, [], 0, 0
    for number in range(options.queues):
        items, seats, weights, pacing = queue(dice)
        later = random.Random(dice.random())
        state = later.getstate()
        locked, found, made = played(items, seats, weights, pacing, later, weights)
        later.setstate(state)
        unlocked = replace(weights, locked=frozenset())
        free, would, _ = played(items, seats, unlocked, pacing, later, weights)
        if found or locked > free:
            log.note(f"queue {number}: overtakings {found}, idle {locked}, without the lock {free}")
        decided, idle = decided + made, idle + (locked > free)
        overtaken += found
        open_overtaken += len(would)
    facts = {"queues": options.queues, "decisions": decided, "overtakings without the lock": open_overtaken}
    return facts, {
        "no overtaking by a locked channel outside the exemptions": not overtaken,
        "without the lock there are some": open_overtaken > 0,
        "nobody stays idle for the lock": idle == 0,
    }


def played(
    items: list[engine.Item],
    seats: list[engine.Seat],
    weights: engine.Weights,
    pacing: Pacing | None,
    dice: random.Random,
    locks: engine.Weights,
) -> tuple[int, list[tuple[int, int, int]], int]:
    """How often somebody idles beside work he could take, the overtakings by what `locks` locks, and the decisions."""
    pool = filled(items, seats, weights, pacing)
    made = list(rounds(pool, dice))
    found = [broken for one in made for broken in overtakings(*one, locks)]
    idle = sum(1 for item in pool.items for seat in pool.seats if _kept_from(pool, item, seat))
    return (idle if pacing is None else 0), found, sum(len(one[2]) for one in made)


def _kept_from(pool: engine.Pool, item: engine.Item, seat: engine.Seat) -> bool:
    """Whether an agent could take what still waits and is nobody else's."""
    now = pool.decided_at
    return engine.why_not(item, seat, now) is None and not promised(item, list(pool.seats), now)


def filled(
    items: list[engine.Item], seats: list[engine.Seat], weights: engine.Weights, pacing: Pacing | None
) -> engine.Pool:
    pool = engine.Pool(weights, pacing=pacing)
    for seat in seats:
        pool.update_seat(seat)
    for item in items:
        pool.add(item)
    return pool


Round = tuple[list[engine.Item], list[engine.Seat], list[engine.Decision], float]


def rounds(pool: engine.Pool, dice: random.Random) -> Iterator[Round]:
    """What waited, who was there, and what was decided when: one round, and sometimes one more when somebody became free."""
    for now in (NOW, NOW + dice.choice([5.0, 600.0, 9000.0])):
        if now > NOW:
            for seat in dice.sample(list(pool.seats), len(list(pool.seats)) // 2):
                pool.update_seat(replace(seat, load=0, in_call=False, over=0, open_family={}))
        items, seats = list(pool.items), [replace(seat) for seat in pool.seats]
        yield items, seats, pool.decide(now), now
        if dice.random() > PART:
            return


# --- What is generated


def queue(
    dice: random.Random,
) -> tuple[list[engine.Item], list[engine.Seat], engine.Weights, Pacing | None]:
    """Waiting items and agents of all sorts, the weights with one or two channels locked, and whether work is held."""
    worth = {family: dice.choice([0.2, 1.0, 3.0]) for family in engine.FAMILIES}
    items = [_item(number, worth, dice) for number in range(dice.randrange(2, 25))]
    seats = [_seat(number, dice) for number in range(dice.randrange(1, 7))]
    weights = engine.Weights(
        channel=dice.choice([0.0, 0.1, 1.0]),
        reach=dice.choice([0.0, 0.3]),
        locked=frozenset(dice.sample(engine.FAMILIES, dice.choice([1, 1, 2]))),
    )
    return items, seats, weights, dice.choice([None, Pacing()])


def _item(number: int, worth: dict[str, float], dice: random.Random) -> engine.Item:
    family = dice.choice(engine.FAMILIES)
    queued = NOW - dice.choice([0.0, 30.0, dice.random() * 20_000])
    goal = dice.choice([20.0, 30.0, 900.0, 3600.0, 14400.0])
    return engine.Item(
        id=number, queue=dice.choice(["general", "billing"]), family=family,
        units=10 if family == "voice" else dice.choice([1, 3, 5]),
        skills={dice.choice(SKILLS): dice.randrange(1, 4)} if dice.random() < 0.4 else {},
        language=dice.choice([None, None, "en", "es"]), queued_at=queued,
        deadline=dice.choice([None, queued + goal]), goal_seconds=goal, weight=worth[family],
        parts={part: dice.choice([None, dice.random()]) for part in engine.PARTS},
        customer=dice.choice([None, None, *PEOPLE]), preferred=dice.choice([None, None, None, *PEOPLE]),
        preferred_until=NOW + dice.choice([-10.0, 0.0, 30.0]),
        refused=frozenset(dice.sample(PEOPLE, dice.choice([0, 0, 0, 1, 2]))),
        relax_at=((NOW + dice.choice([-5.0, 100.0]), "anybody"),) if dice.random() < 0.2 else (),
    )  # fmt: skip


def _seat(number: int, dice: random.Random) -> engine.Seat:
    load = dice.choice([0, 0, 0, 3, 7])
    return engine.Seat(
        id=number, skills={code: dice.randrange(1, 5) for code in SKILLS if dice.random() < 0.7},
        languages=frozenset(code for code in ("en", "es") if dice.random() < 0.8), capacity=10, load=load,
        live=dice.random() < 0.9, idle_since=NOW - dice.randrange(100), over=dice.choice([0, 0, 1]),
        blocked=frozenset(dice.sample(engine.FAMILIES, 1) if dice.random() < 0.1 else ()),
        customers=frozenset(dice.sample(PEOPLE, 1) if load else ()),
        max_family=dice.choice([None, None, {"voice": 0}, {"chat": 1}, {"social": 0}]),
    )  # fmt: skip


# --- What is asked of it, from the rules alone


def overtakings(
    items: list[engine.Item],
    seats: list[engine.Seat],
    made: list[engine.Decision],
    now: float,
    weights: engine.Weights,
) -> Iterator[tuple[int, int, int]]:
    """(item, agent, overtaken item): what a locked channel of these weights took from one that stood higher."""
    averages = engine.means(items)
    waiting = {item.id: item for item in items}
    there = {seat.id: replace(seat) for seat in seats}
    levels = {item.id: engine.level(item, now, averages, weights) for item in items}
    for one in made:
        item, seat = waiting.pop(one.item_id), there[one.agent_id]
        exempt = one.preferred or item.family == "voice" or engine.is_urgent(item)
        if item.family in weights.locked and not exempt:
            for other in waiting.values():
                if (
                    other.family != item.family
                    and levels[other.id] > levels[item.id] + 1e-6
                    and engine.why_not(other, seat, now) is None
                    and not promised(other, list(there.values()), now)
                ):
                    yield item.id, seat.id, other.id
        _take(item, seat, one.units)


def promised(item: engine.Item, seats: list[engine.Seat], now: float) -> bool:
    """Whether it waits for an agent of its own: one customer one hand, or its last agent."""
    need, _ = engine.requirement(item, now)
    for seat in seats:
        own = seat.id == item.preferred or (item.customer is not None and item.customer in seat.customers)
        welcome = seat.live and need.family not in seat.blocked and seat.id not in item.refused
        if own and welcome and engine.able(need, seat):
            soon = item.family != "voice" and now < item.preferred_until
            if soon or engine.why_not(item, seat, now) is None:
                return True
    return False


def _take(item: engine.Item, seat: engine.Seat, units: int) -> None:
    seat.load += units
    seat.over += seat.load > seat.capacity
    seat.in_call = seat.in_call or item.family == "voice"
    seat.open_family = {**seat.open_family, item.family: seat.open_family.get(item.family, 0) + 1}
    if item.customer is not None:
        seat.customers = seat.customers | {item.customer}
