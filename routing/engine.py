"""Who gets which waiting item: pure, deterministic, told the time; every decision says why."""

import heapq
import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter

from routing import bias
from routing.pacing import Pacing, Senses, rush

FAMILIES = ("voice", "chat", "message", "social", "mail")
FIRM_PARTS = ("urgency", "value")  # these lift an item from band to band
SOFT_PARTS = ("sentiment", "reach")  # these move it only inside its band: shouting does not pay
PARTS = FIRM_PARTS + SOFT_PARTS
ESTIMATED = "_estimated"  # suffix of a part that is unknown and therefore counts as the average
EXACT = "exact"  # the step of an item whose requirements were not widened
LANGUAGES = {
    "de": "German", "en": "English", "es": "Spanish", "fr": "French", "it": "Italian", "ja": "Japanese",
    "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "tr": "Turkish", "uk": "Ukrainian", "zh": "Chinese",
}  # fmt: skip
SHOWN = 5
# A short promise counts for more; this promise (seconds) counts for one half.
HALF_TARGET = 60.0
# Means are taken over whole numbers, so that they do not depend on the order in which items came and went.
GRAIN = 1 << 30
# The rank of an item that has waited beyond its bound: nothing that presses, however much, comes near it.
STARVING = 1e12
URGENT = 0.9  # safety: what is known to be this urgent is exempt from counting and from locks
HOUR = 3600.0

Means = dict[str, float]


@dataclass(slots=True)
class Item:
    """One waiting work item, as far as the choice needs it."""

    id: int
    queue: str
    family: str
    units: int = 1
    skills: Mapping[str, int] = field(default_factory=dict)
    language: str | None = None
    queued_at: float = 0.0
    deadline: float | None = None
    goal_seconds: float = 3600.0
    parts: Mapping[str, float | None] = field(default_factory=dict)
    weight: float = 1.0  # what its channel is worth
    customer: int | None = None
    preferred: int | None = None
    preferred_until: float = 0.0
    refused: frozenset[int] = frozenset()
    relax_at: tuple[tuple[float, str], ...] = ()
    prefers: Mapping[str, int] = field(default_factory=dict)
    whole: bool = False  # takes an agent whole, as a call does
    hold: float | None = None  # s for which its queue lets it be held for calls; None: as the pacing says
    begun: bool = False  # somebody has spoken with the customer: a conversation is never held


@dataclass(slots=True)
class Seat:
    """One agent, as far as the choice needs him."""

    id: int
    skills: Mapping[str, int] = field(default_factory=dict)
    languages: frozenset[str] = frozenset()
    capacity: int = 1
    load: int = 0
    live: bool = True
    idle_since: float = 0.0
    blocked: frozenset[str] = frozenset()
    customers: frozenset[int] = frozenset()
    in_call: bool = False
    over: int = 0
    max_family: Mapping[str, int] | None = None
    open_family: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weights:
    """What a centre sets on one page: the worth of each part, the bands, and the channels that are packed."""

    urgency: float = 0.3
    value: float = 0.2
    target: float = 0.4
    channel: float = 0.1
    age: float = 0.15  # added for each promise (goal) an item has waited
    sentiment: float = 0.1
    reach: float = 0.0
    bands: int = 4
    band_width: float = 0.25
    packed: frozenset[str] = frozenset({"message", "social", "mail"})
    over_limit: int = 1  # items above capacity for "one customer, one hand"
    locked: frozenset[str] = frozenset()  # channel families that overtake no other, see `Pool`

    def __post_init__(self) -> None:
        numbers = (self.urgency, self.value, self.target, self.channel, self.sentiment, self.reach)
        if not all(math.isfinite(number) and number >= 0 for number in numbers):
            raise ValueError("a weight is a finite number, zero or more")
        if not (math.isfinite(self.age) and self.age > 0):
            raise ValueError("age must weigh more than nothing, or an item could starve")
        if self.bands < 1 or not (math.isfinite(self.band_width) and self.band_width > 0):
            raise ValueError("there is at least one band, and it is wider than nothing")


@dataclass(frozen=True, slots=True)
class Reserve:
    """Idle agents kept free for calls: deferred work that is young is packed on busy agents or held."""

    seats: int = 2  # at least so many
    share: float = 0.25  # of those who are there and take calls
    hold: float = 0.25  # share of the promise for which an item may be held
    hold_seconds: Mapping[str, float] = field(
        default_factory=dict
    )  # longest hold by queue, instead of the share
    families: frozenset[str] = frozenset({"social", "mail"})  # never private messages
    urgent_from: float = 0.9  # safety: what is known to be this urgent is never held

    def kept(self, callable_seats: int) -> int:
        """How many idle agents are kept free."""
        return max(self.seats, int(self.share * callable_seats))

    def until(self, item: Item) -> float:
        """The moment from which the item is no longer held."""
        urgency = item.parts.get("urgency")
        if item.family not in self.families or (urgency is not None and urgency >= self.urgent_from):
            return -math.inf
        return item.queued_at + self.hold_seconds.get(item.queue, self.hold * _goal(item))


@dataclass(slots=True)
class Decision:
    """One item goes to one agent, and why."""

    item_id: int
    agent_id: int
    units: int
    score: float
    parts: dict[str, float]
    reason: str
    candidates: list[dict[str, object]]
    step: str
    preferred: bool
    # With pacing: the factors whose product brought it its turn.
    pressing: dict[str, float] = field(default_factory=dict)


# --- the score ---------------------------------------------------------------------------------------------


def _goal(item: Item) -> float:
    return max(1.0, item.goal_seconds)


def _known(item: Item, part: str) -> float | None:
    value = item.parts.get(part)
    return None if value is None or math.isnan(value) else min(1.0, max(0.0, value))


def means(items: Iterable[Item]) -> Means:
    """The mean of each part over the waiting items where it is known; nought where it is known of none."""
    tally = _Tally()
    for item in items:
        tally.count(item, 1)
    return tally.means()


class _Tally:
    """Running sums of the known parts."""

    __slots__ = ("known", "total")

    def __init__(self) -> None:
        self.total = dict.fromkeys(PARTS, 0)
        self.known = dict.fromkeys(PARTS, 0)

    def count(self, item: Item, sign: int) -> None:
        for part, value in item.parts.items():
            if part in self.known and value is not None and not math.isnan(value):
                value = min(1.0, max(0.0, value))
                self.total[part] += sign * round(value * GRAIN)
                self.known[part] += sign

    def means(self) -> Means:
        return {
            part: self.total[part] / GRAIN / self.known[part] if self.known[part] else 0.0 for part in PARTS
        }


def _missing(item: Item) -> tuple[str, ...]:
    return tuple([part for part in PARTS if _known(item, part) is None])


def _firm(item: Item, weights: Weights) -> float:
    """The part of the level that is known and does not change with time."""
    level = weights.target * HALF_TARGET / (HALF_TARGET + _goal(item)) + weights.channel * max(
        0.0, item.weight
    )
    for part in FIRM_PARTS:
        value = _known(item, part)
        if value is not None:
            level += getattr(weights, part) * value
    return level


def score(
    item: Item, now: float, averages: Means, weights: Weights | None = None
) -> tuple[float, dict[str, float]]:
    """The total and its named parts, which add up to it exactly (in this order).

    A part the item cannot have counts as the average and its name ends in `_estimated`. Age grows with the
    share of the promise that was waited, up to what is needed to reach the highest band from nothing.
    """
    weights = weights or Weights()
    parts: dict[str, float] = {}
    for part in PARTS:
        value = _known(item, part)
        if value is None:
            parts[part + ESTIMATED] = getattr(weights, part) * averages.get(part, 0.0)
        else:
            parts[part] = getattr(weights, part) * value
    parts["target"] = weights.target * HALF_TARGET / (HALF_TARGET + _goal(item))
    parts["channel"] = weights.channel * max(0.0, item.weight)
    waited = max(0.0, now - item.queued_at) / _goal(item)
    parts["age"] = min(weights.age * waited, (weights.bands - 1) * weights.band_width)
    return sum(parts.values()), parts


def level(item: Item, now: float, averages: Means, weights: Weights) -> float:
    """The channel-neutral score: urgency, value, promise and age, the unknown as average.

    Without the channel's weight; without reach and sentiment, which not every channel can have and which move an item only
    inside its band; and without the cap of the age, so that whoever waits comes to stand above all that is new.
    """
    found = weights.target * HALF_TARGET / (HALF_TARGET + _goal(item))
    found += weights.age * max(0.0, now - item.queued_at) / _goal(item)
    for part in FIRM_PARTS:
        value = _known(item, part)
        found += getattr(weights, part) * (averages.get(part, 0.0) if value is None else value)
    return found


def is_urgent(item: Item) -> bool:
    """Whether it is known to be a matter of safety."""
    return (item.parts.get("urgency") or 0.0) >= URGENT


def due(item: Item) -> float:
    """The deadline, never before the item came; without one, the promise of its queue."""
    if item.deadline is None:
        return item.queued_at + _goal(item)
    return max(item.deadline, item.queued_at)


def _promise(item: Item) -> float:
    """Seconds from its coming to its deadline."""
    return max(1.0, due(item) - item.queued_at)


def _paced_until(item: Item, pacing: Pacing) -> float:
    urgency = item.parts.get("urgency")
    # Who is asked for by name goes on with a conversation: that is never held.
    if item.begun or item.preferred is not None or (urgency is not None and urgency >= pacing.urgent_from):
        return -math.inf
    held = pacing.held_for(item.family, item.queue, _promise(item))
    if item.hold is not None and held > 0:
        held = min(item.hold, _promise(item))
    return item.queued_at + held if held > 0 else -math.inf


# --- what an item asks for ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Requirement:
    """What all items of one kind ask of an agent; items with the same requirement share one index."""

    family: str
    units: int
    skills: tuple[tuple[str, int], ...]
    language: str | None
    prefers: tuple[tuple[str, int], ...] = ()  # of those who could, who has them goes first
    whole: bool = False

    def need(self, capacity: int) -> int:
        """The units it takes: a call takes the whole agent."""
        return max(1, capacity) if self.family == "voice" or self.whole else self.units


def requirement(item: Item, now: float) -> tuple[Requirement, str]:
    """The requirement at this moment and the step of widening that was reached.

    Steps: `levels` (any level will do), `level:N` and `level:N:CODE` (this level will do), `prefer` and `prefer:CODE` (only
    preferred from now on), `skill:CODE` (without this skill), `skills` (without any), `language` (in any), `anybody` (neither
    skills nor language). Any other name only names the ring.
    """
    skills, language, prefers, step = item.skills, item.language, item.prefers, EXACT
    if item.relax_at:
        asked = _Asked(dict(skills), language, dict(prefers))
        for at, name in sorted(item.relax_at, key=itemgetter(0)):  # steps of one instant stay in their order
            if at > now:
                break
            step = name
            asked.give_up(*name.split(":", 2))
        skills, language, prefers = asked.skills, asked.language, asked.prefers
    wanted = language.lower() if language else None
    return Requirement(
        item.family,
        max(1, item.units),
        tuple(sorted(skills.items())),
        wanted,
        tuple(sorted(prefers.items())),
        item.whole,
    ), step


@dataclass(slots=True)
class _Asked:
    """What an item asks of an agent while its steps are taken."""

    skills: dict[str, int]
    language: str | None
    prefers: dict[str, int]

    def give_up(self, what: str, first: str = "", second: str = "") -> None:
        """Take one step."""
        if what in ("skills", "anybody"):
            self.skills = {}
        if what in ("language", "anybody"):
            self.language = None
        if what == "skill":
            self.skills.pop(first, None)
        elif what == "prefer":
            for code in [first] if first else list(self.skills):
                if code in self.skills:
                    self.prefers[code] = max(self.skills.pop(code), self.prefers.get(code, 1))
        elif what in ("level", "levels"):
            self.lower(int(first or 1), second)

    def lower(self, level: int, only: str) -> None:
        """From now on this level will do, of one skill or of all."""
        for code, wanted in self.skills.items():
            if only in ("", code):
                self.skills[code] = min(wanted, level)


def _speaks(seat: Seat, language: str | None) -> bool:
    return (
        language is None
        or language in seat.languages
        or any(own.lower() == language for own in seat.languages)
    )


def _say(code: str) -> str:
    return code.replace("_", " ").replace("-", " ").capitalize()


def _say_language(code: str) -> str:
    return LANGUAGES.get(code.split("-")[0], code)


def _unskilled(need: Requirement, seat: Seat) -> str | None:
    """Why this agent could never take such an item."""
    for code, level in need.skills:
        own = seat.skills.get(code)
        if own is None:
            return f"lacks {_say(code)}"
        if own < level:
            return f"{_say(code)} {own}, needs {level}"
    if not _speaks(seat, need.language):
        return f"does not speak {_say_language(need.language or '')}"
    if seat.max_family is not None and seat.max_family.get(need.family, 1) <= 0:
        return f"takes no {need.family}"
    return None


def able(need: Requirement, seat: Seat) -> bool:
    """Whether this agent has the skills and the language, whatever he does now."""
    return _unskilled(need, seat) is None


def _absent(need: Requirement, seat: Seat) -> str | None:
    """Why this agent may not be asked now, whatever his load."""
    if not seat.live:
        return "not available"
    if need.family in seat.blocked:
        return f"not responding on {need.family}"
    return None


def _full(need: Requirement, seat: Seat) -> str | None:
    """Why this agent has no room now."""
    if seat.in_call:
        return "in a call"
    if seat.max_family is not None:
        limit = seat.max_family.get(need.family)
        if limit is not None and seat.open_family.get(need.family, 0) >= limit:
            return f"already {limit} open on {need.family}"
    if seat.capacity <= 0:
        return "no capacity"
    units = need.need(seat.capacity)
    if seat.load + units > seat.capacity:
        if need.family == "voice":
            return f"a call needs a whole agent, {seat.load} of {seat.capacity} units in use"
        return f"no room, {seat.load} of {seat.capacity} units in use, needs {units}"
    return None


def why_not(item: Item, seat: Seat, now: float) -> str | None:
    """The first reason why this agent cannot take this item now, or None."""
    need, _ = requirement(item, now)
    reason = _unskilled(need, seat) or _absent(need, seat) or _full(need, seat)
    if reason is None and seat.id in item.refused:
        return "declined or missed it"
    return reason


def flexibility(seat: Seat) -> int:
    """How much else this agent could do: the fewer, the sooner he is chosen, so that generalists stay free."""
    closed = sum(1 for limit in (seat.max_family or {}).values() if limit <= 0)
    return len(seat.skills) + len(seat.languages) - closed


def _rank(seat: Seat) -> tuple[int, float, int]:
    return (flexibility(seat), seat.idle_since, seat.id)


# --- the index of waiting items ----------------------------------------------------------------------------

Due = tuple[float, float, int]  # due, queued at, id
Key = tuple[
    float, float, float, int
]  # minus the band (or rank), due, queued at, id: the smallest is served first


class _Lane:
    """Items whose levels rise at one speed and lack the same parts: their order among themselves never changes
    except by passing from band to band, so averages that drift move the lane's clock and not each item."""

    __slots__ = (
        "band",
        "births",
        "clock",
        "dues",
        "heaps",
        "key",
        "pushed",
        "quiet_from",
        "quiet_to",
        "step",
        "top",
    )

    def __init__(self, key: tuple[float, tuple[str, ...]], bands: int) -> None:
        self.key = key
        self.step = key[0]  # seconds from one band to the next
        self.clock = -math.inf
        self.quiet_from = self.quiet_to = -math.inf  # between these times nobody changes his band
        self.births: list[tuple[float, int]] = []
        self.heaps: list[list[Due]] = [[] for _ in range(bands)]
        self.band: dict[int, int] = {}
        self.dues: dict[int, Due] = {}
        self.top: tuple[int, Due] | None = None
        self.pushed = 0  # entries in the heaps, stale ones included

    def add(self, birth: float, entry: Due) -> None:
        item_id = entry[2]
        insort(self.births, (birth, item_id))
        band = _band(birth, self.clock, self.step, len(self.heaps))
        self.band[item_id] = band
        self.dues[item_id] = entry
        heapq.heappush(self.heaps[band], entry)
        self.pushed += 1
        self.top = None
        self.quiet_to = -math.inf

    def remove(self, birth: float, item_id: int) -> None:
        del self.births[bisect_left(self.births, (birth, item_id))]
        del self.band[item_id], self.dues[item_id]
        if self.top is not None and self.top[1][2] == item_id:
            self.top = None
        if self.pushed > 4 * len(self.band) + 64:
            self._rebuild()

    def _rebuild(self) -> None:
        self.heaps = [[] for _ in self.heaps]
        for item_id, band in self.band.items():
            self.heaps[band].append(self.dues[item_id])
        for heap in self.heaps:
            heapq.heapify(heap)
        self.pushed = len(self.band)

    def advance(self, clock: float) -> None:
        """Move the items that passed a threshold since the last look, in either direction."""
        low, high = min(clock, self.clock), max(clock, self.clock)
        self.clock = clock
        self.quiet_from, self.quiet_to = -math.inf, math.inf
        self.top = None
        births, moved = self.births, set()
        for number in range(1, len(self.heaps)):
            offset = number * self.step
            first = bisect_right(births, (low - offset, math.inf))
            last = bisect_right(births, (high - offset, math.inf))
            moved.update(births[first:last])
            here = last if clock == high else first
            # The margin is for the rounding of the two ways to write one comparison.
            if here > 0:
                self.quiet_from = max(self.quiet_from, births[here - 1][0] + offset + 1e-5)
            if here < len(births):
                self.quiet_to = min(self.quiet_to, births[here][0] + offset - 1e-5)
        for birth, item_id in moved:
            band = _band(birth, clock, self.step, len(self.heaps))
            self.band[item_id] = band
            heapq.heappush(self.heaps[band], self.dues[item_id])
            self.pushed += 1

    def find_top(self) -> tuple[int, Due]:
        """The highest band with somebody in it, and its first; a lane is never empty."""
        for band in range(len(self.heaps) - 1, -1, -1):
            heap = self.heaps[band]
            while heap:
                entry = heap[0]
                if self.band.get(entry[2]) == band and self.dues[entry[2]] == entry:
                    self.top = (band, entry)
                    return self.top
                heapq.heappop(heap)
                self.pushed -= 1
        raise LookupError("an empty lane was kept")


@dataclass(frozen=True, slots=True)
class Holding:
    """What a pool holds for calls at one moment, and by what numbers."""

    items: Mapping[int, float] = field(default_factory=dict)  # held although somebody is free: until when
    can_wait: frozenset[int] = frozenset()  # items that may still be held
    agents: frozenset[int] = frozenset()  # who get nothing that can wait: they are kept for calls
    promised: frozenset[int] = frozenset()  # items that wait for an agent of their own
    idle: int = 0  # agents who could take a call now
    kept: float = 0.0  # how many of them are kept free
    needed: float = 0.0  # how many agents deferred work needs now,
    bound: float = 0.0  # and how many it has


class _Unit:
    """All lanes of one requirement, held for calls or not."""

    __slots__ = ("able", "deferred", "lanes", "need")

    def __init__(self, need: Requirement, deferred: bool) -> None:
        self.need = need
        self.deferred = deferred
        self.able = 0  # this round's agents with the skills and the language for it
        self.lanes: dict[tuple[float, tuple[str, ...]], _Lane] = {}


@dataclass(slots=True)
class _Entry:
    """What the pool remembers of a waiting item."""

    item: Item
    need: Requirement
    step: str
    deferred: bool
    missing: tuple[str, ...]
    pace: float  # seconds from one band to the next
    birth: float  # when its level would have been nought
    due: Due
    changes_at: float  # when a step or a hold ends
    begin_at: float = 0.0  # when it should have begun,
    seconds: float = 0.0  # and how much of a whole agent's time it takes
    held_until: float = -math.inf
    lift: float = 0.0  # what its firm parts that are known add to its worth
    # Where it stands; nowhere while it is parked for the agent who holds its customer.
    unit: _Unit | None = None
    lane: _Lane | None = None


class Pool:
    """Waiting items and agents with their indexes, kept between rounds.

    Order: the band of the level (urgency, value, promise, channel, age), highest first; inside a band the earliest
    deadline, brought forward by sentiment and reach by at most their weights' share of the promise.

    No item starves: it rises one band each `band_width / age` promises, hence stands in the highest band after at
    most (bands - 1) * band_width / age promises (5 with the defaults). There only items with an earlier
    deadline go before it, and no item has a deadline before its own arrival, so from then on at most the items that
    arrived before its deadline do. (It still needs an agent who is able and allowed to take it.)

    With `pacing` the lanes of items are served in the order of what presses most (see `_Round._rank`), and deferred work
    may be held for calls; inside a lane the order stays as it is. The bound becomes S = the larger of (bands - 1) *
    band_width / age promises (5 with the defaults) and `starving_after` seconds. Proof: an item that waited S is in the
    highest band of its lane, where only items due before it, hence come before its deadline, stand ahead; the first of
    a lane that has waited S is starving, ranks above all that is not, is never held (a hold ends inside the promise), and
    among starving ones the one that became so first goes first. So at the latest S after its deadline everything ahead
    of an item is starving or served, and nothing that came later passes it any more. Work that needs more room than
    refilled agents ever have does not wait for luck: while a starving item finds no room, the emptiest agent able to
    take it gets nothing else, so it waits no longer than he needs to finish what he has in hand.

    With `weights.locked` an agent about to get an item of a locked channel goes instead to the waiting item of another channel
    that he could take and that stands highest by `level`, as long as one stands higher: a locked channel overtakes nobody,
    except with what is exempt (safety, a call, the last agent, one customer one hand), and no agent stays idle for it. Among
    locked channels the highest goes first. The lock goes before the bound above, and has one of its own: a level grows by
    `age` with each promise that was waited, without end, and is at most `urgency + value + target` without it. So what has
    waited w promises is stood above only by what itself has waited w - (urgency + value + target) / age promises or more
    (w - 6 with the defaults): what is new never holds it up for ever, and as long as others are served within some number of
    their promises, so is it.

    With a `meter` the choices between channels are counted (`routing/bias.py`).

    A round that fills k places costs about k log n, plus the skills of the agents with room, plus one mask for
    each requirement; agents are bits, in the order of preference, so the best one is the lowest bit.
    """

    def __init__(
        self,
        weights: Weights | None = None,
        reserve: Reserve | None = None,
        pacing: Pacing | None = None,
        expects_calls: bool = False,
        meter: bias.Meter | None = None,
        senses: Senses | None = None,
    ) -> None:
        self.weights = weights or Weights()
        self.meter = meter
        self.reserve = reserve
        self.pacing = pacing
        self.senses = (senses or Senses(pacing, expects_calls)) if pacing else None
        self._entries: dict[int, _Entry] = {}
        self._seats: dict[int, Seat] = {}
        self._units: dict[tuple[Requirement, bool], _Unit] = {}
        self._tally = _Tally()
        self._changes: list[tuple[float, int]] = []
        self._by_customer: dict[int, set[int]] = {}
        self._by_preferred: dict[int, set[int]] = {}
        self._holders: dict[int, set[int]] = {}
        self._open: set[int] = set()
        self._ranks: dict[int, tuple[int, float, int]] = {}
        self._callable: set[int] = set()
        self._calling: set[int] = set()
        self._bound: dict[int, float] = {}  # by agent, the share of him that deferred work has
        self._capacity = 1  # of the agent told last: what an item takes of an agent is measured by it
        self._parked: set[int] = set()
        self._now = -math.inf

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, item_id: int) -> bool:
        return item_id in self._entries

    def item(self, item_id: int) -> Item:
        """One of the waiting items; LookupError when it waits no more."""
        return self._entries[item_id].item

    @property
    def decided_at(self) -> float:
        """When it decided last."""
        return self._now

    @property
    def items(self) -> Iterator[Item]:
        """The waiting items, in no particular order."""
        return (entry.item for entry in self._entries.values())

    @property
    def seats(self) -> Iterator[Seat]:
        """The agents, as the pool believes them to be."""
        return iter(self._seats.values())

    # -- items

    def add(self, item: Item) -> None:
        """Let an item wait; a known id is replaced."""
        if item.id in self._entries:
            self.remove(item.id)
        entry = self._entry(item, self._now)
        self._entries[item.id] = entry
        self._tally.count(item, 1)
        if self.senses is not None:
            if item.family == "voice":
                self.senses.call_came(item.id, item.queued_at)
            else:
                self.senses.waits(item.family, entry.begin_at, entry.seconds)
        if item.customer is not None:
            self._by_customer.setdefault(item.customer, set()).add(item.id)
        if item.preferred is not None:
            self._by_preferred.setdefault(item.preferred, set()).add(item.id)
        self._list(entry)
        self._await_change(entry)

    def remove(self, item_id: int) -> Item | None:
        """Forget an item: taken, withdrawn or abandoned."""
        entry = self._entries.pop(item_id, None)
        if entry is None:
            return None
        item = entry.item
        self._unlist(entry)
        self._parked.discard(item_id)
        self._tally.count(item, -1)
        if self.senses is not None:
            self.senses.waits(item.family, entry.begin_at, entry.seconds, -1)
        _discard(self._by_customer, item.customer, item_id)
        _discard(self._by_preferred, item.preferred, item_id)
        return item

    def abandon(self, item_id: int) -> Item | None:
        """Forget an item whose customer gave up: its promise was not kept."""
        item = self.remove(item_id)
        if item is not None and self.senses is not None:
            self.senses.answered(item.family, False)
        return item

    def held_until(self, item: Item) -> float:
        """The moment from which the item is no longer held for calls; long ago when it never is."""
        if self.pacing is not None:
            return _paced_until(item, self.pacing)
        return self.reserve.until(item) if self.reserve else -math.inf

    def _entry(self, item: Item, now: float) -> _Entry:
        weights = self.weights
        need, step = requirement(item, now)
        missing = _missing(item)
        pace = _goal(item) * weights.band_width / weights.age
        soft = sum(getattr(weights, part) * (_known(item, part) or 0.0) for part in SOFT_PARTS)
        held_until = self.held_until(item)
        later = [at for at, _ in item.relax_at if at > now]
        if held_until > now:
            later.append(held_until)
        return _Entry(
            item=item,
            need=need,
            step=step,
            deferred=held_until > now,
            missing=missing,
            pace=pace,
            birth=item.queued_at - pace * _firm(item, weights) / weights.band_width,
            due=(due(item) - soft * _goal(item), item.queued_at, item.id),
            changes_at=min(later, default=math.inf),
            held_until=held_until,
            begin_at=item.queued_at + self.pacing.begin.get(item.family, 0.0) * _promise(item)
            if self.pacing
            else 0.0,
            seconds=self.pacing.occupies(item.family, need.units, self._capacity) if self.pacing else 0.0,
            lift=sum(getattr(weights, part) * (_known(item, part) or 0.0) for part in FIRM_PARTS),
        )

    def _list(self, entry: _Entry) -> None:
        place = (entry.need, entry.deferred)
        unit = self._units.get(place)
        if unit is None:
            unit = self._units[place] = _Unit(*place)
        key = (entry.pace, entry.missing)
        lane = unit.lanes.get(key)
        if lane is None:
            lane = unit.lanes[key] = _Lane(key, self.weights.bands)
        lane.add(entry.birth, entry.due)
        entry.unit, entry.lane = unit, lane

    def _await_change(self, entry: _Entry) -> None:
        if entry.changes_at < math.inf:
            heapq.heappush(self._changes, (entry.changes_at, entry.item.id))

    def _unlist(self, entry: _Entry) -> None:
        unit, lane = entry.unit, entry.lane
        if unit is None or lane is None:
            return
        entry.unit = entry.lane = None
        lane.remove(entry.birth, entry.item.id)
        if not lane.births:
            del unit.lanes[lane.key]
            if not unit.lanes:
                del self._units[unit.need, unit.deferred]

    def _renew(self, item_id: int, now: float) -> None:
        """Index an item again, because a step of widening or its hold has ended."""
        old = self._entries[item_id]
        self._unlist(old)
        entry = self._entries[item_id] = self._entry(old.item, now)
        entry.seconds = old.seconds
        if item_id not in self._parked:
            self._list(entry)
        self._await_change(entry)

    def _tell_time(self, now: float) -> None:
        if now < self._now:
            for item_id in list(self._entries):
                self._renew(item_id, now)
        while self._changes and self._changes[0][0] <= now:
            at, item_id = heapq.heappop(self._changes)
            entry = self._entries.get(item_id)
            if entry is not None and entry.changes_at == at:
                self._renew(item_id, now)
        self._now = now

    # -- agents

    def update_seat(self, seat: Seat) -> None:
        """Say what is true of an agent now; the pool keeps a copy and adds what it gives him."""
        self._forget_holder(seat.id)
        self._seats[seat.id] = replace(seat, open_family=dict(seat.open_family))
        for customer in seat.customers:
            self._holders.setdefault(customer, set()).add(seat.id)
        self._ranks[seat.id] = _rank(seat)
        takes_calls = (
            seat.live and "voice" not in seat.blocked and (seat.max_family or {}).get("voice", 1) > 0
        )
        (self._callable.add if takes_calls else self._callable.discard)(seat.id)
        self._capacity = max(1, seat.capacity)
        self._note_room(self._seats[seat.id])

    def remove_seat(self, seat_id: int) -> None:
        """Forget an agent."""
        self._forget_holder(seat_id)
        self._seats.pop(seat_id, None)
        self._ranks.pop(seat_id, None)
        self._open.discard(seat_id)
        self._callable.discard(seat_id)
        self._calling.discard(seat_id)
        self._bound.pop(seat_id, None)

    def seat(self, seat_id: int) -> Seat | None:
        """The agent, as the pool believes him to be."""
        return self._seats.get(seat_id)

    def _forget_holder(self, seat_id: int) -> None:
        old = self._seats.get(seat_id)
        for customer in old.customers if old else ():
            _discard(self._holders, customer, seat_id)

    def _note_room(self, seat: Seat) -> None:
        if self.pacing is not None:
            self._note_work(seat, self.pacing)
        if seat.live and not seat.in_call and seat.load < seat.capacity:
            self._open.add(seat.id)
        else:
            self._open.discard(seat.id)

    def _note_work(self, seat: Seat, pacing: Pacing) -> None:
        (self._calling.add if seat.live and seat.in_call else self._calling.discard)(seat.id)
        deferred = seat.live and not seat.in_call and seat.capacity > 0
        if deferred and any(seat.open_family.get(family) for family in pacing.begin):
            self._bound[seat.id] = seat.load / seat.capacity
        else:
            self._bound.pop(seat.id, None)

    # -- the round

    def decide(self, now: float, limit: int | None = None) -> list[Decision]:
        """Give what can be given now. What was given has left the pool and weighs on the agent."""
        self._tell_time(now)
        return _Round(self, now, len(self._entries) if limit is None else limit).run()

    def holding(self, now: float) -> Holding:
        """What is held for calls now, by the same rules and numbers by which a round decides; nothing is given."""
        self._tell_time(now)
        return _Round(self, now, 0).holding()

    def _attached(self) -> set[int]:
        """Items that some agent has a claim on: he holds the customer, or is the one preferred."""
        found: set[int] = set()
        small, large = sorted((self._by_customer, self._holders), key=len)
        for customer in small:
            if customer in large:
                found |= self._by_customer[customer]
        for agent, item_ids in self._by_preferred.items():
            if agent in self._seats:
                found |= item_ids
        return found

    def _take(self, entry: _Entry, seat: Seat, units: int) -> None:
        """The item leaves the pool and weighs on the agent."""
        item = entry.item
        self.remove(item.id)
        if self.senses is not None:
            self.senses.answered(item.family, self._now <= due(item))
        seat.load += units
        if seat.load > seat.capacity:
            seat.over += 1
        seat.in_call = seat.in_call or item.family == "voice"
        seat.open_family = {**seat.open_family, item.family: seat.open_family.get(item.family, 0) + 1}
        if item.customer is not None and item.customer not in seat.customers:
            seat.customers = seat.customers | {item.customer}
            self._holders.setdefault(item.customer, set()).add(seat.id)
        self._note_room(seat)


def _discard(index: dict[int, set[int]], key: int | None, value: int) -> None:
    if key is not None and key in index:
        index[key].discard(value)
        if not index[key]:
            del index[key]


class _Round:
    """One round over the pool: claims first, then the waiting items in order, each to the best agent."""

    def __init__(self, pool: Pool, now: float, limit: int) -> None:
        self.pool = pool
        self.now = now
        self.limit = limit
        self.weights = pool.weights
        self.averages = pool._tally.means()
        self.made: list[Decision] = []
        self.claimed: set[int] = set()  # customers who got an agent in this round
        self.shelf: list[_Entry] = []  # taken out of the lanes for this round only
        # Held lanes, which may go on when an idle agent gets his first item.
        self.stalled: list[tuple[_Lane, _Unit]] = []
        self.queue: list[tuple[Key, _Lane, _Unit]] = []  # keys end in an id: no two are equal
        self.clocks: dict[tuple[float, tuple[str, ...]], tuple[float, float]] = {}
        self.sayings: dict[tuple[Requirement, int], str] = {}
        self.order: list[Seat] = []
        self.bit: dict[int, int] = {}
        self.closed = 0  # agents who are emptied for somebody starving
        self.closed_for: dict[int, _Unit] = {}
        self.pacing = pool.pacing
        self.meter = pool.meter
        self.packed = self.weights.packed | (pool.pacing.packed if pool.pacing else frozenset())
        self.multipliers: dict[str, float] = {}
        if pool.senses is not None:
            self.needed = pool.senses.needed(now)
            self.kept = pool.senses.kept(now, len(pool._calling), len(pool._callable))
            self.bound = sum(pool._bound.values())

    def run(self) -> list[Decision]:
        self._serve_claims()
        self._set_masks()  # after the claims, which change who has room
        if self.order and len(self.made) < self.limit:
            self._serve_lanes()
        for entry in self.shelf:
            self.pool._list(entry)
        return self.made

    def holding(self) -> Holding:
        """See `Pool.holding`."""
        entries = self.pool._entries
        promised = frozenset(
            item_id for item_id in self.pool._attached() if self._best_claim(entries[item_id])[0] == "wait"
        )
        self._set_masks()
        if self.pacing is None:
            return Holding(promised=promised)
        free = self._may_defer()
        can_wait = [unit for unit in self.pool._units.values() if unit.deferred]
        held: dict[int, float] = {}
        for unit in can_wait:
            mask = self._able(unit.need) & self._welcoming(unit.need.family) & self._roomy(unit.need)
            if mask and not mask & free:
                held |= {item: entries[item].held_until for item in _items_of(unit) if item not in promised}
        return Holding(
            items=held,
            can_wait=frozenset(item for unit in can_wait for item in _items_of(unit)),
            agents=frozenset(seat.id for seat in self.order if not self.bit[seat.id] & free),
            promised=promised,
            idle=(self.idle & self._welcoming("voice")).bit_count(),
            kept=self.kept,
            needed=self.needed,
            bound=self.bound,
        )

    # -- one customer, one hand

    def _serve_claims(self) -> None:
        entries, attached = self.pool._entries, self.pool._attached()
        for item_id in self.pool._parked - attached:
            self._park(entries[item_id], False)
        keyed = sorted((self._key(entries[item_id]), item_id) for item_id in attached)
        for _, item_id in keyed:
            if len(self.made) >= self.limit:
                return
            self._claim(entries[item_id])

    def _claim(self, entry: _Entry) -> bool:
        """Try the agents with a claim; true when the item was given or waits for one of them."""
        verdict, seat = self._best_claim(entry)
        if seat is not None and verdict in ("take", "over"):
            self._park(entry, False)
            self._give(
                entry, seat, self._claim_reason(entry, seat, verdict), self._claim_shown(entry, seat), True
            )
            return True
        self._park(entry, verdict == "wait")
        return verdict == "wait"

    def _best_claim(self, entry: _Entry) -> tuple[str, Seat | None]:
        item, seats = entry.item, self.pool._seats
        agents = set(self.pool._holders.get(item.customer, ())) if item.customer is not None else set()
        if item.preferred in seats:
            agents.add(item.preferred)
        best: tuple[str, Seat | None] = ("none", None)
        for seat in sorted(
            (seats[agent] for agent in agents), key=lambda one: (one.id != item.preferred, _rank(one))
        ):
            verdict = self._claim_of(entry, seat)
            if verdict == "take":
                return verdict, seat
            if verdict != "none" and (best[0] == "none" or (verdict, best[0]) == ("over", "wait")):
                best = (verdict, seat)
        return best

    def _claim_of(self, entry: _Entry, seat: Seat) -> str:
        """`take` (has room), `over` (one above capacity), `wait` (soon, perhaps) or `none`."""
        item, need = entry.item, entry.need
        if seat.id in item.refused or _absent(need, seat) or _unskilled(need, seat):
            return "none"
        if _full(need, seat) is None:
            return "take"
        # A caller is never made to wait for one agent, and a call never comes on top of other work.
        if need.family == "voice" or need.whole or self.now >= item.preferred_until:
            return "none"
        if seat.in_call or seat.over >= self.weights.over_limit or seat.capacity <= 0:
            return "wait"
        return "over" if seat.load + need.units > seat.capacity else "wait"

    def _claim_reason(self, entry: _Entry, seat: Seat, verdict: str) -> str:
        holds = entry.item.customer is not None and entry.item.customer in seat.customers
        why = "has this customer's open work" if holds else "asked for by name"
        return f"{why}, one above capacity" if verdict == "over" else why

    def _claim_shown(self, entry: _Entry, seat: Seat) -> list[dict[str, object]]:
        return [{"agent": seat.id, "eligible": True, "why": "one customer, one hand"}]

    def _park(self, entry: _Entry, waits: bool) -> None:
        parked = self.pool._parked
        if waits and entry.item.id not in parked:
            parked.add(entry.item.id)
            self.pool._unlist(entry)
        elif not waits and entry.item.id in parked:
            parked.discard(entry.item.id)
            self.pool._list(entry)

    # -- the order of the items

    def _clock(self, pace: float, missing: tuple[str, ...]) -> tuple[float, float]:
        found = self.clocks.get((pace, missing))
        if found is None:
            found = self.clocks[pace, missing] = _clock(self.now, pace, missing, self.averages, self.weights)
        return found

    def _key(self, entry: _Entry) -> Key:
        clock, shift = self._clock(entry.pace, entry.missing)
        band = _band(entry.birth, clock, entry.pace, self.weights.bands)
        return (-band, entry.due[0] + shift, entry.due[1], entry.due[2])

    def _head(self, lane: _Lane) -> Key:
        clock, shift = self.clocks.get(lane.key) or self._clock(*lane.key)
        if not lane.quiet_from <= clock <= lane.quiet_to:
            lane.advance(clock)
        band, entry = lane.top or lane.find_top()
        if self.pacing is not None:
            return self._pressing_key(entry[2], entry[0] + shift)
        return (-band, entry[0] + shift, entry[1], entry[2])

    def _pressing_key(self, item_id: int, due_at: float) -> Key:
        entry = self.pool._entries[item_id]
        item = entry.item
        starves_at = item.queued_at + self._patience(item)
        if self.now >= starves_at:
            return (-STARVING, starves_at, item.queued_at, item_id)
        return (-self._rank(entry), due_at, item.queued_at, item_id)

    def _patience(self, item: Item) -> float:
        """How long an item waits at most until it goes before all that has waited less, see `Pool`."""
        weights = self.weights
        climb = (weights.bands - 1) * weights.band_width / weights.age * _goal(item)
        return max(climb, self.pacing.starving_after if self.pacing else 0.0)

    def _rank(self, entry: _Entry) -> float:
        """What serving the item now is worth: the product of the factors of `_factors`."""
        return math.prod(self._factors(entry).values())

    def _factors(self, entry: _Entry) -> dict[str, float]:
        """Weight, urgency and value, items of its kind that one agent serves in an hour, how far its channel
        is behind its goal, and how pressing its promise is."""
        item, pacing = entry.item, self.pacing
        if pacing is None:
            return {}
        urgent = (item.parts.get("urgency") or 0.0) >= pacing.urgent_from
        multiplier = self.multipliers.get(item.family)
        if multiplier is None:
            multiplier = self.multipliers[item.family] = self.pool.senses.multiplier(item.family)
        return {
            "weight": max(0.0, item.weight),
            "need": 1.0 + entry.lift,
            "pace": HOUR / entry.seconds,
            "channel": multiplier,
            "promise": 1.0
            if urgent
            else rush(pacing, item.family, self.now - item.queued_at, _promise(item)),
        }

    def _line_up(self, unit: _Unit) -> None:
        for lane in unit.lanes.values():
            heapq.heappush(self.queue, (self._head(lane), lane, unit))

    # -- agents as bits, the best one lowest

    def _set_masks(self) -> None:
        seats = self.pool._seats
        self.order = [
            seats[agent] for _, _, agent in sorted(self.pool._ranks[agent] for agent in self.pool._open)
        ]
        self.bit = {seat.id: 1 << place for place, seat in enumerate(self.order)}
        self.family: dict[str, int] = {}
        self.room: dict[int, int] = {}
        self.idle = 0
        self.busy: dict[int, int] = {}  # by load
        self.filed: dict[int, int] = {}  # the load under which an agent stands there
        self.by_skill: dict[str, list[tuple[int, int]]] = {}
        self.by_language: dict[str, int] = {}
        self.by_level: dict[tuple[str, int], int] = {}
        for seat in self.order:
            bit = self.bit[seat.id]
            if seat.load <= 0:
                self.idle |= bit
            else:
                self._file(seat, bit)
            for code, level in seat.skills.items():
                self.by_skill.setdefault(code, []).append((level, bit))
            for language in {one.lower() for one in seat.languages}:
                self.by_language[language] = self.by_language.get(language, 0) | bit

    def _able(self, need: Requirement) -> int:
        """Agents who have skills and language for it."""
        mask = (1 << len(self.order)) - 1
        for code, level in need.skills:
            mask &= self._skilled(code, level)
        if need.language is not None:
            mask &= self.by_language.get(need.language, 0)
        return mask

    def _file(self, seat: Seat, bit: int) -> None:
        """Keep who is busy sorted by load."""
        before = self.filed.get(seat.id)
        if before is not None:
            self.busy[before] &= ~bit
        self.filed[seat.id] = seat.load
        self.busy[seat.load] = self.busy.get(seat.load, 0) | bit

    def _skilled(self, code: str, level: int) -> int:
        mask = self.by_level.get((code, level))
        if mask is None:
            mask = 0
            for own, bit in self.by_skill.get(code, ()):
                if own >= level:
                    mask |= bit
            self.by_level[code, level] = mask
        return mask

    def _welcoming(self, family: str) -> int:
        """Agents who take one more of this channel family, room apart."""
        mask = self.family.get(family)
        if mask is None:
            mask = 0
            for seat in self.order:
                if family not in seat.blocked and _below_limit(seat, family):
                    mask |= self.bit[seat.id]
            self.family[family] = mask
        return mask

    def _roomy(self, need: Requirement) -> int:
        if need.family == "voice" or need.whole:
            mask = self.room.get(0)
            if mask is None:
                mask = self.room[0] = self.idle
            return mask & self.idle
        mask = self.room.get(need.units)
        if mask is None:
            mask = 0
            for seat in self.order:
                if not seat.in_call and seat.load + need.units <= seat.capacity:
                    mask |= self.bit[seat.id]
            self.room[need.units] = mask
        return mask

    def _candidates(self, unit: _Unit) -> int:
        mask = unit.able
        if mask:
            mask &= self._welcoming(unit.need.family) & self._roomy(unit.need)
        if mask & self.closed:
            mask &= ~self.closed | sum(bit for bit, owner in self.closed_for.items() if owner is unit)
        if mask and unit.deferred and self.pacing is not None:
            return mask & self._may_defer()
        reserve = self.pool.reserve
        if mask and unit.deferred and reserve is not None:
            callable_idle = self.idle & self._welcoming("voice")
            if callable_idle.bit_count() <= reserve.kept(len(self.pool._callable)):
                mask &= ~callable_idle
        return mask

    def _may_defer(self) -> int:
        """Agents who may get work that can still wait: all while it needs more of them than it has, or while more of
        those who take calls are idle than are kept; else those with other work in hand, or who take no calls."""
        callers = self._welcoming("voice")
        idle = (self.idle & callers).bit_count()
        if idle > self.kept or self.bound + self.pacing.start <= self.needed:
            return -1
        if idle > self.kept / 2 or self.bound < self.needed + 1:
            return ~(self.idle & callers)
        return ~callers

    def _note_load(self, seat: Seat) -> None:
        """Take the agent out of the masks he no longer fits."""
        if self.pacing is not None:
            self.bound = sum(self.pool._bound.values())
        bit = self.bit.get(seat.id)
        if bit is None:
            return
        was_idle = self.idle & bit
        self.idle &= ~bit
        self._file(seat, bit)
        left = 0 if seat.in_call else seat.capacity - seat.load
        for units in self.room:
            if units > left:
                self.room[units] &= ~bit
        for family in self.family:
            if not _below_limit(seat, family):
                self.family[family] &= ~bit
        if was_idle and left > 0 and self.stalled:
            stalled, self.stalled = [pair for pair in self.stalled if pair[0].births], []
            for lane, unit in stalled:
                if unit.able & bit and unit.need.units <= left:
                    heapq.heappush(self.queue, (self._head(lane), lane, unit))
                else:
                    self.stalled.append((lane, unit))

    # -- the items of the lanes

    def _serve_lanes(self) -> None:
        starving: list[tuple[Key, _Unit]] = []
        for unit in self.pool._units.values():
            unit.able = self._able(unit.need)
            if self._candidates(unit):
                self._line_up(unit)
            elif unit.deferred and unit.able:
                self.stalled += [(lane, unit) for lane in unit.lanes.values()]
            elif unit.able and self.pacing is not None:
                starving += self._starving(unit)
        for _, unit in sorted(starving, key=lambda pair: pair[0]):
            self._empty_one_for(unit)
        while self.queue and len(self.made) < self.limit:
            key, lane, unit = heapq.heappop(self.queue)
            mask = self._candidates(unit)
            if mask:
                self._serve(self.pool._entries.get(key[3]), lane, unit, mask)
                if lane.births:
                    heapq.heappush(self.queue, (self._head(lane), lane, unit))
            elif unit.deferred:
                self.stalled.append((lane, unit))

    def _starving(self, unit: _Unit) -> list[tuple[Key, _Unit]]:
        heads = [self._head(lane) for lane in unit.lanes.values()]
        return [(min(heads), unit)] if min(heads)[0] <= -STARVING else []

    def _empty_one_for(self, unit: _Unit) -> None:
        """Somebody starves who finds no room: the emptiest agent able to take him gets nothing else."""
        mask = unit.able & self._welcoming(unit.need.family) & ~self.closed
        seats = [seat for seat in self.order if mask & self.bit[seat.id] and not seat.in_call]
        if seats:
            bit = self.bit[min(seats, key=lambda seat: (seat.load, seat.id)).id]
            self.closed |= bit
            self.closed_for[bit] = unit

    def _serve(self, entry: _Entry | None, lane: _Lane, unit: _Unit, mask: int) -> None:
        if entry is None or entry.lane is not lane:
            return  # given before its turn, see `_yields`
        item = entry.item
        if item.customer in self.claimed and self._claim(entry):
            return
        if item.refused:
            others = mask
            for agent in item.refused:
                others &= ~self.bit.get(agent, 0)
            if not others and not _last_resort(entry.need, item, self.pool._seats.values()):
                self.pool._unlist(entry)
                self.shelf.append(entry)
                return
            mask = others or mask
        favoured = self._favoured(unit.need, mask) if unit.need.prefers else mask
        seat, tie = self._pick(unit, favoured)
        if item.family in self.weights.locked and self._yields(entry, seat):
            return
        if favoured != mask and favoured & (favoured - 1) == 0:
            tie = "the only one free with what is preferred"
        reason = self._saying(entry.need, seat)
        self._give(
            entry, seat, f"{reason}, {tie}" if reason else tie, self._shown(unit, seat, mask, tie), False
        )

    # -- one channel and the others

    def _exemption(self, entry: _Entry, seat: Seat, preferred: bool) -> str:
        """Why this decision may put its channel before another; empty when it may not."""
        item = entry.item
        if preferred:
            holds = item.customer is not None and item.customer in seat.customers
            return bias.ONE_HAND if holds else bias.LAST_AGENT
        if is_urgent(item):
            return bias.SAFETY
        return bias.CALL if item.family == "voice" else ""

    def _level(self, entry: _Entry) -> float:
        return level(entry.item, self.now, self.averages, self.weights)

    def _rivals(self, family: str, seat: Seat) -> dict[str, tuple[float, _Entry]]:
        """By other channel, the waiting item that stands highest of those which this agent could take now."""
        bit = self.bit[seat.id]
        found: dict[str, tuple[float, int, _Entry]] = {}
        for unit in self.pool._units.values():
            need = unit.need
            if need.family == family or not unit.able & bit:
                continue
            if not self._welcoming(need.family) & self._roomy(need) & bit:
                continue
            best = found.get(need.family)
            for lane in unit.lanes.values():
                clock = (self.clocks.get(lane.key) or self._clock(*lane.key))[0]
                # In bands, with the channel's own worth, which is the same for all of one channel.
                if best is not None and (clock - lane.births[0][0]) / lane.step < best[0]:
                    continue
                entry = self._highest_for(lane, seat)
                if entry is not None:
                    here = ((clock - entry.birth) / lane.step, -entry.item.id, entry)
                    if best is None or here[:2] > best[:2]:
                        best = found[need.family] = here
        return {name: (self._level(entry), entry) for name, (_, _, entry) in found.items()}

    def _highest_for(self, lane: _Lane, seat: Seat) -> _Entry | None:
        """The lane's first by level, which is by birth, that he has not refused and that waits for nobody else."""
        for _, item_id in lane.births:
            entry = self.pool._entries[item_id]
            item = entry.item
            if seat.id in item.refused:
                continue
            if item.customer in self.claimed and self._best_claim(entry)[0] != "none":
                continue
            return entry
        return None

    def _yields(self, entry: _Entry, seat: Seat) -> bool:
        """The lock: the agent goes to whom this item would overtake, if there is one; true when he did."""
        if self._exemption(entry, seat, False):
            return False
        chosen, here = entry, self._level(entry)
        while chosen.item.family in self.weights.locked and not self._exemption(chosen, seat, False):
            over = [
                (value, -rival.item.id, rival)
                for value, rival in self._rivals(chosen.item.family, seat).values()
                if value > here + bias.ALIKE
            ]
            if not over:
                break
            here, _, chosen = max(over)
        if chosen is entry or chosen.unit is None:
            return False
        tie = f"{entry.item.family} may not overtake it"
        reason = self._saying(chosen.need, seat)
        shown = self._shown(chosen.unit, seat, self._candidates(chosen.unit) | self.bit[seat.id], tie)
        self._give(chosen, seat, f"{reason}, {tie}" if reason else tie, shown, False)
        return True

    def _count(self, entry: _Entry, seat: Seat, preferred: bool, meter: bias.Meter) -> None:
        """Look at the choice between this item and what else the agent could have got."""
        family = entry.item.family
        if exempt := self._exemption(entry, seat, preferred):
            meter.exempt(family, exempt)
            return
        here = self._level(entry)
        for passed, (there, _) in self._rivals(family, seat).items():
            meter.choice(family, passed, there > here + bias.ALIKE)

    def _pick(self, unit: _Unit, mask: int) -> tuple[Seat, str]:
        """Packed work goes to those who already have some, so that whole agents stay free for calls."""
        if mask & (mask - 1) == 0:
            return self._lowest(mask), "the only one free"
        if unit.need.family in self.packed:
            if mask & ~self.idle:
                return self._fullest(mask), "has room beside open work"
            if self.pacing is not None and mask & ~self._welcoming("voice"):
                return self._lowest(mask & ~self._welcoming("voice")), "free, and takes no calls"
        seat = self._lowest(mask)
        second = self._lowest(mask & (mask - 1))
        if self.pool._ranks[seat.id][0] < self.pool._ranks[second.id][0]:
            return seat, "least flexible"
        return seat, "longest idle" if seat.idle_since < second.idle_since else "first in order"

    def _favoured(self, need: Requirement, mask: int) -> int:
        """Who of these has what is preferred: each skill in turn, as long as somebody is left."""
        for code, level in need.prefers:
            mask = (mask & self._skilled(code, level)) or mask
        return mask

    def _fullest(self, mask: int) -> Seat:
        """The one with the highest load, so that those with little to do become free."""
        load = max(load for load, busy in self.busy.items() if mask & busy)
        return self._lowest(mask & self.busy[load])

    def _lowest(self, mask: int) -> Seat:
        return self.order[(mask & -mask).bit_length() - 1]

    def _saying(self, need: Requirement, seat: Seat) -> str:
        words = self.sayings.get((need, seat.id))
        if words is None:
            found = [_say_language(need.language)] if need.language else []
            found += [f"{_say(code)} {seat.skills[code]}" for code, _ in need.skills]
            found += [
                f"{_say(code)} {seat.skills[code]} preferred"
                for code, level in need.prefers
                if seat.skills.get(code, 0) >= level
            ]
            words = self.sayings[need, seat.id] = ", ".join(found)
        return words

    def _shown(self, unit: _Unit, chosen: Seat, mask: int, tie: str) -> list[dict[str, object]]:
        """The chosen one, the next who could, then some who could not and why."""
        shown: list[dict[str, object]] = [{"agent": chosen.id, "eligible": True, "why": tie}]
        rest = mask & ~self.bit[chosen.id]
        while rest and len(shown) < SHOWN:
            seat = self._lowest(rest)
            rest &= rest - 1
            shown.append({"agent": seat.id, "eligible": True, "why": self._lost(unit.need, seat, chosen)})
        for seat in self.order if len(shown) < SHOWN else ():
            if not mask & self.bit[seat.id]:
                need = unit.need
                why = (
                    _unskilled(need, seat)
                    or _absent(need, seat)
                    or _full(need, seat)
                    or "declined, or kept for calls"
                )
                shown.append({"agent": seat.id, "eligible": False, "why": why})
                if len(shown) >= SHOWN:
                    break
        return shown

    def _lost(self, need: Requirement, seat: Seat, chosen: Seat) -> str:
        for code, level in need.prefers:
            if seat.skills.get(code, 0) < level <= chosen.skills.get(code, 0):
                return f"could, lacks {_say(code)}, which is preferred"
        if chosen.load > 0 and seat.load <= 0:
            return "could, kept whole for calls"
        if self.pool._ranks[seat.id][0] > self.pool._ranks[chosen.id][0]:
            return "could, but is more flexible"
        return "could, idle for less time" if seat.idle_since > chosen.idle_since else "could, later in order"

    def _give(
        self, entry: _Entry, seat: Seat, reason: str, shown: list[dict[str, object]], preferred: bool
    ) -> None:
        item = entry.item
        if self.meter is not None and self.meter.looks(item.family, self.now):
            self._count(entry, seat, preferred, self.meter)
        units = entry.need.need(seat.capacity)
        total, parts = score(item, self.now, self.averages, self.weights)
        decision = Decision(
            item.id, seat.id, units, total, parts, reason, shown, entry.step, preferred, self._factors(entry)
        )
        self.made.append(decision)
        self.pool._take(entry, seat, units)
        if item.customer is not None:
            self.claimed.add(item.customer)
        self._note_load(seat)


def _items_of(unit: _Unit) -> Iterator[int]:
    return (item for lane in unit.lanes.values() for item in lane.band)


# --- the same rules, asked in other ways -------------------------------------------------------------------


def _clock(
    now: float, pace: float, missing: tuple[str, ...], averages: Means, weights: Weights
) -> tuple[float, float]:
    """The lane's time, ahead by what the averages of its missing firm parts are worth, and what those of the
    soft ones take off its deadlines."""
    firm = sum(getattr(weights, part) * averages.get(part, 0.0) for part in FIRM_PARTS if part in missing)
    soft = sum(getattr(weights, part) * averages.get(part, 0.0) for part in SOFT_PARTS if part in missing)
    goal = pace * weights.age / weights.band_width
    return now + pace * firm / weights.band_width, -soft * goal


def _band(birth: float, clock: float, pace: float, bands: int) -> int:
    return sum(1 for number in range(1, bands) if birth <= clock - number * pace)


def _below_limit(seat: Seat, family: str) -> bool:
    limit = seat.max_family.get(family) if seat.max_family is not None else None
    return limit is None or seat.open_family.get(family, 0) < limit


def _last_resort(need: Requirement, item: Item, seats: Iterable[Seat]) -> bool:
    """Whether those who refused may be asked again: nobody else can be asked now, though somebody else exists.

    An item refused by everybody who has the skills waits for a person: offering it round and round helps nobody.
    """
    others = [seat for seat in seats if seat.id not in item.refused and not _unskilled(need, seat)]
    return bool(others) and all(_absent(need, seat) for seat in others)


def decide(
    items: Iterable[Item],
    seats: Iterable[Seat],
    now: float,
    weights: Weights | None = None,
    reserve: Reserve | None = None,
) -> list[Decision]:
    """One round over a snapshot, in the order in which the decisions were taken; nothing given is changed."""
    pool = Pool(weights, reserve)
    for seat in seats:
        pool.update_seat(seat)
    for item in items:
        pool.add(item)
    return pool.decide(now)


def band(item: Item, now: float, averages: Means, weights: Weights | None = None) -> int:
    """The band an item stands in, 0 the lowest; sentiment and reach have no part in it."""
    return -int(order_key(item, now, averages, weights)[0])


def order_key(item: Item, now: float, averages: Means, weights: Weights | None = None) -> Key:
    """What the waiting list is sorted by, first served first."""
    weights = weights or Weights()
    entry = Pool(weights)._entry(item, now)
    clock, shift = _clock(now, entry.pace, entry.missing, averages, weights)
    return (
        -_band(entry.birth, clock, entry.pace, weights.bands),
        entry.due[0] + shift,
        entry.due[1],
        entry.due[2],
    )


def lined_up(
    items: Iterable[Item], now: float, averages: Means, weights: Weights | None = None
) -> list[Item]:
    """The order in which one agent who could take all of them would get them, locks between channels included."""
    weights = weights or Weights()
    ordered = sorted(items, key=lambda item: order_key(item, now, averages, weights))
    if not weights.locked:
        return ordered
    levels = {item.id: level(item, now, averages, weights) for item in ordered}
    highest: dict[str, list[Item]] = {}  # by channel, the highest last
    for item in sorted(ordered, key=lambda one: (levels[one.id], -one.id)):
        highest.setdefault(item.family, []).append(item)
    served: dict[int, Item] = {}
    for item in ordered:
        while item.id not in served:
            chosen = _instead(item, highest, levels, weights, served)
            served[chosen.id] = chosen
    return list(served.values())


def _instead(
    item: Item,
    highest: dict[str, list[Item]],
    levels: dict[int, float],
    weights: Weights,
    served: dict[int, Item],
) -> Item:
    """Whose turn it is by the locks when it is this item's by the order; see `_Round._yields`."""
    while item.family in weights.locked and item.family != "voice" and not is_urgent(item):
        over = []
        for family, found in highest.items():
            while found and found[-1].id in served:
                found.pop()
            if found and family != item.family and levels[found[-1].id] > levels[item.id] + bias.ALIKE:
                over.append(found[-1])
        if not over:
            break
        item = max(over, key=lambda one: (levels[one.id], -one.id))
    return item


def explain(
    item: Item,
    seats: Iterable[Seat],
    now: float,
    items: Iterable[Item] = (),
    weights: Weights | None = None,
    reserve: Reserve | None = None,
    holding: Holding | None = None,
) -> dict[str, object]:
    """Why an item still waits: its score and place, and of each agent why not. `holding`: what a pool with pacing holds."""
    weights = weights or Weights()
    waiting = {other.id: other for other in items} | {item.id: item}
    averages = means(waiting.values())
    total, parts = score(item, now, averages, weights)
    own = order_key(item, now, averages, weights)
    need, step = requirement(item, now)
    agents = sorted(seats, key=_rank)
    reasons = {seat.id: why_not(item, seat, now) for seat in agents}
    held_until = _held_until(item, now, reserve) if holding is None else holding.items.get(item.id)
    return {
        "item": item.id,
        "score": total,
        "parts": parts,
        "estimated": [name.removesuffix(ESTIMATED) for name in parts if name.endswith(ESTIMATED)],
        "band": -own[0],
        "due": due(item),
        "ahead": sum(1 for other in waiting.values() if order_key(other, now, averages, weights) < own),
        "step": step,
        "next_step": min(((at, name) for at, name in item.relax_at if at > now), default=None),
        "held_until": held_until,
        "why": _why_waiting(item, need, agents, now, held_until is not None),
        "waits_for": _own_agent(item, need, agents, now),
        "candidates": [
            {
                "agent": seat.id,
                "eligible": reasons[seat.id] is None,
                "why": reasons[seat.id] or "could take it",
            }
            for seat in sorted(agents, key=lambda one: reasons[one.id] is not None)
        ],
    }


def _held_until(item: Item, now: float, reserve: Reserve | None) -> float | None:
    until = reserve.until(item) if reserve else -math.inf
    return until if until > now else None


def _why_waiting(item: Item, need: Requirement, seats: list[Seat], now: float, is_held: bool) -> str:
    skilled = [seat for seat in seats if not _unskilled(need, seat)]
    present = [seat for seat in skilled if not _absent(need, seat)]
    if not skilled:
        return "nobody has the skills and the language for it"
    if all(seat.id in item.refused for seat in skilled):
        return "everybody who could take it has declined or missed it"
    if not present:
        return "nobody who could take it is available"
    holder = _own_agent(item, need, present, now)
    if holder is not None:
        return f"waits for agent {holder}, who has this customer's open work"
    free = [seat for seat in present if _full(need, seat) is None]
    if not free:
        return f"all {len(present)} who could take it are busy"
    if all(seat.id in item.refused for seat in free):
        return "the free ones have declined or missed it, the others are busy"
    if is_held:
        return "held for calls"
    return "goes to a free agent when those ahead of it are served"


def _own_agent(item: Item, need: Requirement, seats: list[Seat], now: float) -> int | None:
    """Whom it waits for: he is here and has this customer's work, or is asked for by name."""
    for seat in seats:
        if not _unskilled(need, seat) and not _absent(need, seat) and _waits_for(item, need, seat, now):
            return seat.id
    return None


def _waits_for(item: Item, need: Requirement, seat: Seat, now: float) -> bool:
    holds = (item.customer is not None and item.customer in seat.customers) or seat.id == item.preferred
    return holds and need.family != "voice" and now < item.preferred_until and seat.id not in item.refused


def why_idle(
    seat: Seat,
    items: Iterable[Item],
    now: float,
    reserve: Reserve | None = None,
    shown: int = SHOWN,
    holding: Holding | None = None,
) -> dict[str, object]:
    """Why an agent has nothing (more) to do: what keeps each waiting item from him, counted by reason."""
    if not seat.live:
        return {"agent": seat.id, "why": "not available", "reasons": {}, "items": []}
    counts: dict[str, int] = {}
    examples: list[dict[str, object]] = []
    for item in sorted(items, key=lambda one: (due(one), one.id)):
        why = why_not(item, seat, now) or _kept_back(item, seat, now, reserve, holding)
        counts[why] = counts.get(why, 0) + 1
        if len(examples) < shown:
            examples.append({"item": item.id, "why": why})
    ordered = dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
    why = (
        f"{next(iter(ordered))}: {next(iter(ordered.values()))} waiting" if ordered else "nothing is waiting"
    )
    return {"agent": seat.id, "why": why, "reasons": ordered, "items": examples}


def _kept_back(item: Item, seat: Seat, now: float, reserve: Reserve | None, holding: Holding | None) -> str:
    """Why an agent does not get at once what he could take."""
    if holding is None:
        held = _held_until(item, now, reserve) is not None
    elif item.id in holding.promised:
        return "waits for an agent of its own"
    else:
        held = item.id in holding.can_wait and seat.id in holding.agents
    return "held for calls" if held else "could take it at the next round"
