"""How many people: live contacts by Erlang, deferred work as open work that falls due, both in one plan. Pure.

Units: seconds, contacts per interval, shares from 0 to 1. `agents` are people at work; `positions` are people on the payroll
for it, after shrinkage. The formulas are in `routing/erlang.py`; deferred work has no queue in Erlang's sense: it may be done
at any time between its coming and its falling due (B. Cleveland, "Call Center Management on Fast Forward").
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from routing.erlang import Figures, Stretch, erlang_a, erlang_c, room_for, through_the_day

MAX_LOAD = 100_000.0  # Erlangs
MAX_AGENTS = 1_000_000
LONGEST_DAY = 400  # intervals carried over: a week of half-hours
MOST_IN_A_DAY = 5_000  # contacts at once
HAIR = 1e-9  # of rounding: 14 ÷ (1 - 0.3) is 20 people, not 21

# Chats at once → as many times the work of one, a trade table to start from until it is measured.
CONCURRENCY_TABLE = {1: 1.0, 2: 1.7, 3: 2.5, 4: 2.9, 5: 3.5}


class Unstaffable(ValueError):
    """What was asked has no answer; the message says why, for people."""


@dataclass(frozen=True)
class Demand:
    """Live contacts of one interval. `patience_s` is the mean patience; None: everybody waits for ever (Erlang C).

    `at_once`: contacts an agent holds at the same time (calls 1); `pace`: how many times the work of one at a time he
    gets through then (measured; None: the trade table). `aht_s` is focused handle time.
    """

    arrivals: float
    aht_s: float
    interval_s: float = 1800.0
    patience_s: float | None = None
    at_once: int = 1
    pace: float | None = None

    @property
    def load(self) -> float:
        """Erlangs offered, in focused work."""
        return self.arrivals * self.aht_s / self.interval_s

    @property
    def stretch(self) -> float:
        """How much longer a contact takes because its agent holds others beside it."""
        if self.at_once == 1:
            return 1.0
        pace = self.pace if self.pace is not None else pace_of(self.at_once)
        return self.at_once / pace


@dataclass(frozen=True)
class Goal:
    """What must hold, all of it; None asks for nothing."""

    target: float | None = 0.8
    within_s: float = 20.0
    max_occupancy: float | None = None
    max_abandoned: float | None = None

    def met_by(self, figures: Figures) -> bool:
        return (
            (self.target is None or figures.service_level >= self.target - HAIR)
            and (self.max_occupancy is None or figures.occupancy <= self.max_occupancy + HAIR)
            and (self.max_abandoned is None or figures.abandoned <= self.max_abandoned + HAIR)
        )


@dataclass(frozen=True)
class Staffing:
    """Agents at work, people for it on the payroll, and what they give."""

    agents: int
    positions: int
    figures: Figures


NOBODY_CALLS = Figures(0.0, 1.0, 0.0, 0.0, 0.0)


def pace_of(at_once: int) -> float:
    """Times the work of one contact at a time, by the trade table; beyond it the last step's share."""
    return CONCURRENCY_TABLE.get(at_once, at_once * CONCURRENCY_TABLE[5] / 5)


def positions_for(agents: int, shrinkage: float) -> int:
    """People needed so that `agents` are at work when the share `shrinkage` is away (applied after the search)."""
    return math.ceil(agents / (1.0 - shrinkage) - HAIR)


def staff(demand: Demand, goal: Goal, *, shrinkage: float = 0.0, agents: int | None = None) -> Staffing:
    """The fewest agents who keep the goal, or with `agents` just what these would give. Raises `Unstaffable`."""
    count = agents if agents is not None else agents_needed(demand, goal)
    return Staffing(count, positions_for(count, shrinkage), figures(demand, count, goal.within_s))


def staff_day(asked: Sequence[tuple[Demand, Goal, float, int | None]]) -> list[Staffing]:
    """Intervals that follow each other: the same search in each, but figures that carry queue and calls over to the next.

    Each is (demand, goal, shrinkage, agents or None). Raises `Unstaffable` also for a day too large to carry.
    """
    alone = [
        staff(demand, goal, shrinkage=shrinkage, agents=agents) for demand, goal, shrinkage, agents in asked
    ]
    stretches = [
        Stretch(
            demand.interval_s,
            demand.arrivals / demand.interval_s,
            demand.aht_s * demand.stretch,
            demand.patience_s,
            found.agents * demand.at_once,
            goal.within_s,
        )
        for (demand, goal, _, _), found in zip(asked, alone, strict=True)
    ]
    if len(stretches) > LONGEST_DAY or room_for(stretches) > MOST_IN_A_DAY:
        raise Unstaffable(
            f"a day of more than {LONGEST_DAY} intervals or {MOST_IN_A_DAY:,} contacts at once is not carried over"
        )
    if any(stretch.within_s > stretch.seconds for stretch in stretches):
        raise Unstaffable("within_s must not be longer than an interval of the day")
    carried = through_the_day(stretches)
    return [replace(found, figures=figures) for found, figures in zip(alone, carried, strict=True)]


def figures(demand: Demand, agents: int, within_s: float) -> Figures:
    """What `agents` give: Erlang A where there is patience, else Erlang C."""
    if demand.load <= 0:
        return NOBODY_CALLS
    if demand.load > MAX_LOAD or agents > MAX_AGENTS:
        raise Unstaffable(f"more than {MAX_LOAD:,.0f} Erlangs or {MAX_AGENTS:,} agents are not reckoned")
    servers = agents * demand.at_once
    rate = demand.arrivals / demand.interval_s
    aht = demand.aht_s * demand.stretch
    if demand.patience_s is None:
        return erlang_c(rate, aht, servers, within_s)
    return erlang_a(rate, aht, demand.patience_s, servers, within_s)


def agents_needed(demand: Demand, goal: Goal) -> int:
    """The fewest agents who keep all of the goal. Every figure gets better with each agent, so halving finds them.

    Raises `Unstaffable` where no number keeps it.
    """
    if demand.load <= 0:
        return 0
    for name, limit in (("target", goal.target), ("max_occupancy", goal.max_occupancy)):
        if limit is not None and not 0 <= limit <= 1:
            raise Unstaffable(f"{name} must be a share from 0 to 1")
    if (
        goal.target == 1
        or goal.max_occupancy == 0
        or (demand.patience_s is not None and goal.max_abandoned == 0)
    ):
        raise Unstaffable("no number of agents promises that nobody waits, leaves or works")

    def kept(count: int) -> bool:
        found = figures(demand, count, goal.within_s)
        return found.stable and goal.met_by(found)

    # Square-root staffing (Halfin and Whitt 1981), less where people leave soon: near enough to need few steps.
    load = demand.load * demand.stretch / demand.at_once
    spare = 1.0 if demand.patience_s is None else max(0.0, 1.0 - demand.aht_s / (2 * demand.patience_s))
    return _fewest(kept, max(1, math.ceil(load + spare * math.sqrt(load / demand.at_once))))


def _fewest(kept: Callable[[int], bool], guess: int) -> int:
    """Smallest count from 1 for which `kept` is true, outwards from a good guess in doubled steps, then by halves."""
    step = 1
    if kept(guess):
        enough = guess
        while (lower := max(0, enough - step)) and kept(lower):
            enough, step = lower, step * 2
        short = lower
    else:
        short = guess
        while not kept(short + step):
            short, step = short + step, step * 2
            if short > MAX_AGENTS:
                raise Unstaffable(f"not even {MAX_AGENTS:,} agents keep this goal")
        enough = short + step
    while enough - short > 1:
        middle = (enough + short) // 2
        short, enough = (short, middle) if kept(middle) else (middle, enough)
    return enough


# --- Deferred work


@dataclass(frozen=True)
class Deferred:
    """Deferred work of one queue, interval by interval. `target_s` counts open time only, as business clocks do.

    `open_at_start`: contacts waiting before the first interval, all due with the first interval's own.
    """

    arrivals: Sequence[float]
    aht_s: float
    target_s: float
    open_at_start: float = 0.0
    is_open: Sequence[bool] | None = None


def come_and_due(work: Deferred, interval_s: float) -> tuple[list[float], list[float]]:
    """Work in agent-intervals that has come, and that must be done, by the end of each interval (both cumulative).

    What comes while closed waits for the opening. What comes during an interval counts from its start, so with a target of
    two intervals it must be done by the end of the next one; nothing can be due before it can be worked. What falls due after
    the last interval is left to the next plan, but no more of it than was open at the start: no plan lives on the next.
    """
    count = len(work.arrivals)
    opened = list(work.is_open) if work.is_open is not None else [True] * count
    steps = max(1, math.floor(work.target_s / interval_s + HAIR))
    hours = [index for index in range(count) if opened[index]]
    come, due = [0.0] * count, [0.0] * count
    waiting, following = work.open_at_start, 0
    for index in range(count):
        waiting += work.arrivals[index]
        if not opened[index]:
            continue
        amount, waiting = waiting * work.aht_s / interval_s, 0.0
        come[index] += amount
        if following + steps - 1 < len(hours):
            due[hours[following + steps - 1]] += amount
        following += 1
    if hours:
        left = min(sum(come) - sum(due), work.open_at_start * work.aht_s / interval_s)
        due[hours[-1]] += sum(come) - sum(due) - left
    return list(accumulate(come)), list(accumulate(due))


def agents_for_deferred(
    works: Sequence[Deferred], interval_s: float, beside: Sequence[float] | None = None
) -> list[float]:
    """Agents for deferred work in each interval, in time and as even as can be: the flattest total with those `beside`.

    Water is filled from one interval to the next up to one level for as long as that neither runs ahead of the work that has
    come nor falls behind the work that is due; where it would, the level changes there. This makes the peak, and any convex
    cost of the total, the least possible (the taut string; generalised by the ground `beside`).
    """
    count = len(works[0].arrivals) if works else 0
    curves = [come_and_due(work, interval_s) for work in works]
    come = [sum(curve[0][index] for curve in curves) for index in range(count)]
    due = [sum(curve[1][index] for curve in curves) for index in range(count)]
    ground = list(beside) if beside is not None else [0.0] * count
    opened = [
        not works or any(work.is_open is None or work.is_open[i] for work in works) for i in range(count)
    ]
    filled: list[float] = []
    done = 0.0
    while len(filled) < count:
        end, level = _stretch(ground, opened, come, due, len(filled), done)
        for index in range(len(filled), end + 1):
            filled.append(max(0.0, level - ground[index]) if opened[index] else 0.0)
            done += filled[-1]
    return filled


def _stretch(
    ground: Sequence[float],
    opened: Sequence[bool],
    come: Sequence[float],
    due: Sequence[float],
    start: int,
    done: float,
) -> tuple[int, float]:
    """How far one level carries from `start`, and that level."""
    lowest, highest = (start, -math.inf), (start, math.inf)
    grounds: list[float] = []
    for end in range(start, len(come)):
        if opened[end]:
            grounds.append(ground[end])
        if not grounds:
            continue
        least, most = level_for(grounds, due[end] - done), level_for(grounds, come[end] - done)
        if least > highest[1]:  # would have to rise, after the work that has come ran out
            return highest
        if most < lowest[1]:  # may fall, after what is due is done
            return lowest
        if least >= lowest[1]:
            lowest = (end, least)
        if most <= highest[1]:
            highest = (end, most)
    # Nothing forces more than what is due.
    return (lowest[0], lowest[1]) if lowest[1] > -math.inf else (len(come) - 1, -math.inf)


def level_for(grounds: Sequence[float], amount: float) -> float:
    """The level up to which `amount` of water fills the grounds; their lowest point for none."""
    rising = sorted(grounds)
    if amount <= HAIR:
        return rising[0] if amount > -HAIR else -math.inf
    held = 0.0
    for width, (here, beyond) in enumerate(zip(rising, [*rising[1:], math.inf], strict=True), start=1):
        room = (beyond - here) * width
        if held + room >= amount:
            return here + (amount - held) / width
        held += room
    return math.inf


def whole_agents(wanted: Sequence[float], come: Sequence[float], idle: Sequence[float]) -> list[int]:
    """Whole people, beside the `idle` time used, who are never behind the wanted work.

    What one does beyond it saves work later, as far as there is work.
    """
    done, aim, found = 0.0, 0.0, []
    for amount, here, spare in zip(wanted, come, idle, strict=True):
        aim += amount
        people = max(0, math.ceil(aim - done - spare - HAIR))
        done = min(here, done + people + spare)
        found.append(people)
    return found


@dataclass(frozen=True)
class OpenWork:
    """At the end of an interval: contacts open, how many of them overdue, and for how much open time the oldest has waited."""

    waiting: float
    overdue: float
    oldest_s: float


def burn_down(work: Deferred, agents: Sequence[float], interval_s: float) -> list[OpenWork]:
    """What given people make of deferred work, oldest first; people in closed hours do nothing."""
    steps = max(1, math.floor(work.target_s / interval_s + HAIR))
    come, _ = come_and_due(work, interval_s)
    each = work.aht_s / interval_s
    opened = work.is_open if work.is_open is not None else [True] * len(come)
    queue: deque[list[float]] = deque()  # [number of the open interval of coming, work left]
    now, found = 0, []
    for before, after, people, is_open in zip([0.0, *come], come, agents, opened, strict=False):
        if is_open:
            now += 1
            queue.append([now, after - before])
            _work_off(queue, people)
        overdue = sum(left for since, left in queue if now - since + 1 >= steps)
        age = (now - queue[0][0] + 1) * interval_s if queue else 0.0
        found.append(OpenWork(sum(left for _, left in queue) / each, overdue / each, age))
    return found


def _work_off(queue: deque[list[float]], people: float) -> None:
    while queue and queue[0][1] <= people + HAIR:
        people -= queue.popleft()[1]
    if queue:
        queue[0][1] -= max(0.0, people)


# --- One plan


@dataclass(frozen=True)
class Live:
    """Live work of one queue: its demand in each interval and what must hold."""

    demands: Sequence[Demand]
    goal: Goal = field(default_factory=Goal)


@dataclass(frozen=True)
class PlannedInterval:
    """People needed in one interval: for live work per queue, on top of them for deferred work, and on the payroll."""

    live: tuple[Staffing, ...]
    deferred: int
    agents: int
    positions: int


def plan(
    lives: Sequence[Live],
    deferred: Sequence[Deferred],
    *,
    interval_s: float,
    shrinkage: float = 0.0,
    idle_used: float = 0.0,
) -> list[PlannedInterval]:
    """One plan for live and deferred work: Erlang first, deferred work into the valleys between.

    `idle_used`: share of the idle time of live agents in which deferred work gets done (0: none, calls come at any moment).
    """
    count = max((len(live.demands) for live in lives), default=0) or max(
        (len(w.arrivals) for w in deferred), default=0
    )
    answered = [tuple(staff(live.demands[index], live.goal) for live in lives) for index in range(count)]
    talking = [sum(one.agents for one in row) for row in answered]
    idle = [idle_used * sum(one.agents * (1 - one.figures.occupancy) for one in row) for row in answered]
    extra = _beside_live(deferred, interval_s, talking, idle) if deferred else [0] * count
    return [
        PlannedInterval(row, more, here + more, positions_for(here + more, shrinkage))
        for row, more, here in zip(answered, extra, talking, strict=True)
    ]


def _beside_live(
    deferred: Sequence[Deferred], interval_s: float, talking: Sequence[int], idle: Sequence[float]
) -> list[int]:
    """People for deferred work on top of the live ones, who do some of it when idle: the idle time is ground below them."""
    ground = [people - spare for people, spare in zip(talking, idle, strict=True)]
    wanted = agents_for_deferred(deferred, interval_s, ground)
    come = [0.0] * len(talking)
    for work in deferred:
        come = [so_far + more for so_far, more in zip(come, come_and_due(work, interval_s)[0], strict=True)]
    return whole_agents(wanted, come, idle)
