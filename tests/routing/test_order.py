"""Two thousand items of mixed priority through the engine as it is used: no order is broken, nobody is passed over for ever."""

import random
from dataclasses import replace

from routing.engine import Item, Pool, Seat, Weights, means, order_key, requirement, why_not
from routing.pacing import Pacing

ITEMS, AGENTS, STEP = 2000, 14, 20.0
GOALS = {"chat": 30.0, "message": 900.0, "social": 3600.0, "mail": 14400.0}
UNITS = {"chat": 5, "message": 3, "social": 3, "mail": 3}
SKILLS = ("french", "billing")
PACING, WEIGHTS = Pacing(), Weights()


def day(dice: random.Random) -> list[Item]:
    """More than the agents can do for an hour, so that much waits long; some of it urgent, some of it for few."""
    found = []
    for number in range(ITEMS):
        family = dice.choices(list(GOALS), (1, 2, 4, 2))[0]
        came = dice.uniform(0, 3600)
        found.append(
            Item(
                id=number, queue="general", family=family, units=UNITS[family], queued_at=came, deadline=came + GOALS[family],
                goal_seconds=GOALS[family], skills={dice.choice(SKILLS): dice.randint(1, 4)} if dice.random() < 0.2 else {},
                parts={part: dice.random() for part in ("urgency", "value", "sentiment", "reach")},
            )
        )  # fmt: skip
    return sorted(found, key=lambda item: item.queued_at)


def agents(dice: random.Random) -> list[Seat]:
    return [
        Seat(id=n, capacity=15, skills={code: dice.randint(1, 5) for code in SKILLS if dice.random() < 0.6})
        for n in range(AGENTS)
    ]


def starves_at(item: Item) -> float:
    """From then on an item goes before all that has waited less (the bound of `Pool`)."""
    climb = (WEIGHTS.bands - 1) * WEIGHTS.band_width / WEIGHTS.age * item.goal_seconds
    return item.queued_at + max(climb, PACING.starving_after)


def test_two_thousand_items_of_mixed_priority_break_no_order_and_none_waits_beyond_its_bound():
    dice = random.Random(2000)
    coming, seats = day(dice), {seat.id: seat for seat in agents(dice)}
    # What stands in one line: the same agents could take it, and its promise is as long.
    line = {item.id: (requirement(item, 0.0)[0], item.goal_seconds) for item in coming}
    pool = Pool(WEIGHTS, pacing=PACING)
    hands: list[tuple[float, int, Item]] = []  # (done at, agent, item)
    waiting: dict[int, Item] = {}
    now, served, starved = 0.0, 0, 0
    while coming or waiting:
        now += STEP
        while coming and coming[0].queued_at <= now:
            item = coming.pop(0)
            waiting[item.id] = item
            pool.add(item)
        for done in [one for one in hands if one[0] <= now]:
            hands.remove(done)
            seats[done[1]] = with_one(seats[done[1]], done[2], -1, now)
        for seat in seats.values():
            pool.update_seat(seat)
        averages = means(waiting.values())
        for decision in pool.decide(now):
            item, seat = waiting.pop(decision.item_id), seats[decision.agent_id]
            assert why_not(item, seat, now) is None
            rank = order_key(item, now, averages, WEIGHTS)
            for other in waiting.values():
                if (
                    line[other.id] == line[item.id]
                    and held(other, pool, now) == held(item, pool, now)
                    and starves_at(other) > now
                ):
                    assert starves_at(item) <= now or order_key(other, now, averages, WEIGHTS) > rank, (
                        "an order is broken"
                    )
                if now >= starves_at(other) < starves_at(item) and other.units <= item.units:
                    assert why_not(other, seat, now) is not None, "who starves is passed over"
            served, starved = served + 1, starved + (now >= starves_at(item))
            seats[seat.id] = with_one(seat, item, 1, now)
            hands.append((now + dice.uniform(200, 900), seat.id, item))
        assert now < 20 * 3600, "it never ends"
    assert served == ITEMS
    assert starved > 50, "too little waited so long that the bound was tried"


def held(item: Item, pool: Pool, now: float) -> bool:
    return pool.held_until(item) > now


def with_one(seat: Seat, item: Item, more: int, now: float) -> Seat:
    """The agent with an item more or less."""
    open_family = {**seat.open_family, item.family: seat.open_family.get(item.family, 0) + more}
    since = now if more < 0 else seat.idle_since
    return replace(seat, load=seat.load + more * item.units, open_family=open_family, idle_since=since)
