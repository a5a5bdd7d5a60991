"""A day with something changed, and recorded work through the live engine with its queues' rules: pure, deterministic."""

import heapq
import math
import random
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from routing import engine
from routing.pacing import Pacing
from routing.rules import OVERFLOW, Rules, ways_out
from routing.simulation import Agent, Arrival, Day

AGAIN = 60.0  # s, then a step that nobody was in for is looked at again
JITTER = 900.0  # s by which a copy of an arrival comes earlier or later at most


# --- what may be changed


@dataclass(frozen=True, slots=True)
class Change:
    """What is otherwise than it was. Nothing named: nothing changes."""

    agents: int = (
        0  # so many more (copies of those with the middle number of hours), or fewer (those themselves)
    )
    out: frozenset[int] = frozenset()  # agents who are not there
    shift: float = 0.0  # s by which everybody comes and goes later
    shifts: Mapping[int, float] = field(default_factory=dict)  # s, of some agents instead
    volume: Mapping[str, float] = field(default_factory=dict)  # by channel, so many times as much
    targets: Mapping[str, float] = field(default_factory=dict)  # s, by channel


def changed(day: Day, change: Change, seed: int = 1) -> Day:
    """The same day with this changed; what is not touched stays exactly as it was."""
    arrivals = _volumes(day, change.volume, random.Random(f"{seed} volume"))
    if change.targets:
        arrivals = [_promised(one, day, change.targets) for one in arrivals]
    channels = {
        name: replace(about, target=change.targets[name]) if name in change.targets else about
        for name, about in day.channels.items()
    }
    agents = [agent for agent in day.agents if agent.id not in change.out]
    agents = [_moved(agent, change.shifts.get(agent.id, change.shift), day) for agent in agents]
    return replace(day, arrivals=arrivals, agents=_staffed(agents, change.agents), channels=channels)


def _promised(one: Arrival, day: Day, targets: Mapping[str, float]) -> Arrival:
    """With another promise; who was promised half of the channel's is promised half of the new one."""
    if one.channel not in targets:
        return one
    return replace(one, target=targets[one.channel] * one.target / day.channels[one.channel].target)


def _volumes(day: Day, volume: Mapping[str, float], dice: random.Random) -> list[Arrival]:
    if not volume:
        return day.arrivals
    found: list[Arrival] = []
    free = max((one.id for one in day.arrivals), default=0) + 1
    for one in day.arrivals:
        times = volume.get(one.channel, 1.0)
        many = int(times) + (dice.random() < times % 1)
        if many:
            found.append(one)
        for _ in range(many - 1):
            at = min(day.closes, max(0.0, one.at + dice.uniform(-JITTER, JITTER)))
            found.append(replace(one, id=free, at=at))
            free += 1
    return sorted(found, key=lambda one: (one.at, one.id))


def _moved(agent: Agent, seconds: float, day: Day) -> Agent:
    if not seconds:
        return agent
    moved = [
        (max(0.0, start + seconds), min(day.closes, end + seconds))
        for start, end in agent.stretches
        if start + seconds < day.closes and end + seconds > 0
    ]
    (start, end), *more = moved or [(0.0, 0.0)]
    return replace(agent, start=start, end=end, more=tuple(more))


def _staffed(agents: list[Agent], more: int) -> list[Agent]:
    by_hours = sorted(agents, key=lambda one: (sum(end - start for start, end in one.stretches), one.id))
    ranked = sorted(enumerate(by_hours), key=lambda pair: abs(pair[0] - (len(by_hours) - 1) / 2))
    middle = [one for _, one in ranked]
    if more < 0:
        gone = {one.id for one in middle[:-more]}
        return [one for one in agents if one.id not in gone]
    free = max((one.id for one in agents), default=0) + 1
    return agents + [
        replace(middle[place % len(middle)], id=free + place) for place in range(more if middle else 0)
    ]


# --- recorded work


@dataclass(frozen=True, slots=True)
class Recorded(Arrival):
    """Work that came once: as its queue knew it (without the queue's rules), and what it would ask at last on any way."""

    item: engine.Item | None = None
    queue: int = 0
    needs: tuple[engine.Requirement, ...] = ()

    @property
    def kind(self) -> Hashable:
        """Of one kind is what asks the same at last."""
        return self.needs


@dataclass(frozen=True, slots=True)
class Worker(Agent):
    """An agent as the engine knows him."""

    seat: engine.Seat | None = None

    def takes(self, one: Arrival) -> int:
        """A call takes him whole, and what its queue gives nobody beside other work."""
        whole = one.channel == "voice" or any(need.whole for need in getattr(one, "needs", ()))
        return self.capacity if whole else one.units

    def can(self, one: Arrival) -> bool:
        """Whether he could take it when it has taken all its steps."""
        return any(engine.able(need, self.seat) for need in getattr(one, "needs", ()))


@dataclass(frozen=True, slots=True)
class House:
    """The rules of all queues by id, where work goes that waited too long (queue, seconds), and what counts."""

    rules: Mapping[int, Rules]
    escapes: Mapping[int, tuple[int, float]] = field(default_factory=dict)
    weights: engine.Weights = field(default_factory=engine.Weights)
    worth: Mapping[str, float] = field(default_factory=dict)  # of a channel family, one where none is named
    pacing: Pacing = field(default_factory=Pacing)

    def needs(self, item: engine.Item, queue: int) -> tuple[engine.Requirement, ...]:
        """What an item that came to this queue asks at last in each queue that it can come to."""
        fallback = {place: self.escapes[place][0] if place in self.escapes else None for place in self.rules}
        found = [
            engine.requirement(self.rules[place].rule(replace(item), 0.0), math.inf)[0]
            for place in ways_out(queue, self.rules, fallback)
        ]
        return tuple(sorted(set(found), key=repr))


def ruled(arrivals: Iterable[Any], house: House, promised: int | None = None) -> list[Recorded]:
    """Recorded work under a house's rules; in the queue `promised` its targets count instead of the recorded ones."""
    needs: dict[Hashable, tuple[engine.Requirement, ...]] = {}
    arrivals = list(arrivals)
    for one in arrivals:
        if (one.queue, _asked(one)) not in needs:
            needs[one.queue, _asked(one)] = house.needs(one.item, one.queue)
    return [
        replace(
            one,
            needs=needs[one.queue, _asked(one)],
            target=house.rules[promised].goal(one.channel) if one.queue == promised else one.target,
        )
        for one in arrivals
    ]


def _asked(one: Recorded) -> Hashable:
    """What an item itself asks."""
    return (one.channel, one.item.units, tuple(sorted(one.item.skills.items())), one.item.language)


class LiveEngine:
    """The engine as the router drives it: queues' rules, overflow, weights and pacing; it hears the router pipe's messages.

    Queues from which agents pull are served like the others: the next one goes to whoever is free.
    """

    def __init__(self, day: Day, house: House) -> None:
        self.house = house
        self.arrivals = {one.id: one for one in day.arrivals}
        self.workers = {one.id: one for one in day.agents}
        calls = any(one.channel == "voice" for one in day.arrivals)
        self.pool = engine.Pool(house.weights, pacing=house.pacing, expects_calls=calls)
        self.queue_of: dict[int, int] = {}
        self.been: dict[int, set[int]] = {}
        self.leaves: list[tuple[float, int, int, int]] = []  # at, item, from, to
        for worker in day.agents:
            self.pool.update_seat(replace(worker.seat, id=worker.id, load=0, live=False))

    def hear(self, message: dict[str, Any]) -> list[list[int]] | None:
        """One message of the pipe."""
        event = message["event"]
        if event == "abandon":
            self.pool.abandon(message["item"]["id"])
        elif event == "arrival":
            one = self.arrivals[message["item"]["id"]]
            self.been[one.id] = set()
            self._enter(one.id, one.queue, message["now"])
        elif event in ("agent_free", "agent_off"):
            self.pool.update_seat(self._seat(message["agent"]))
        if event in ("arrival", "agent_free"):
            return self._round(message["now"])
        return None

    def _round(self, now: float) -> list[list[int]]:
        while self.leaves and self.leaves[0][0] <= now:
            at, item_id, source, target = heapq.heappop(self.leaves)
            self._leave(item_id, source, target, at)
        return [[one.item_id, one.agent_id] for one in self.pool.decide(now)]

    def _enter(self, item_id: int, queue: int, at: float) -> None:
        one, rules = self.arrivals[item_id], self.house.rules[queue]
        item = replace(
            one.item, id=item_id, queued_at=one.at, deadline=one.at + one.target,
            weight=self.house.worth.get(one.channel, 1.0),
        )  # fmt: skip
        self.queue_of[item_id] = queue
        self.been[item_id].add(queue)
        self.pool.add(rules.rule(item, at))
        for after, step in rules.timed:
            if step.gives_up == OVERFLOW and step.target in self.house.rules:
                heapq.heappush(self.leaves, (at + after, item_id, queue, step.target))
        if queue in self.house.escapes:
            target, after = self.house.escapes[queue]
            heapq.heappush(self.leaves, (at + after, item_id, queue, target))

    def _leave(self, item_id: int, source: int, target: int, at: float) -> None:
        """Overflow, if it still waits there and was never in the other queue; where the step asks so, when somebody is in."""
        if item_id not in self.pool or self.queue_of[item_id] != source or target in self.been[item_id]:
            return
        one = self.arrivals[item_id]
        asks = any(
            step.gives_up == OVERFLOW and step.target == target and step.skip_if_nobody
            for step in self.house.rules[source].steps
        )
        need = engine.requirement(self.house.rules[target].rule(replace(one.item), 0.0), math.inf)[0]
        if asks and not any(seat.live and engine.able(need, seat) for seat in self.pool.seats):
            heapq.heappush(self.leaves, (at + AGAIN, item_id, source, target))
        else:
            self._enter(item_id, target, at)

    def _seat(self, about: Mapping[str, Any]) -> engine.Seat:
        template = self.workers[about["id"]].seat
        families: dict[str, int] = {}
        customers = set()
        for item_id in about["open"]:
            held = self.arrivals[item_id]
            families[held.channel] = families.get(held.channel, 0) + 1
            customers.add(held.item.customer)
        return replace(
            template, id=about["id"], load=template.capacity - about["free"], live=about["on"], idle_since=about["since"],
            open_family=families, in_call="voice" in families, customers=frozenset(customers - {None}),
        )  # fmt: skip
