"""A centre's day played event by event through a policy, and the figures of it: pure, deterministic for a seed.

The policy is whatever hears the messages of the router pipe and answers with pairs of item and agent: the live engine
(`routing.pipe.RouterPipe`), a reference (`routing.policies`), or a process behind a pipe. It is never told how long work
takes or when a customer gives up; the day knows.
"""

import csv
import heapq
import json
import math
import random
import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

HOUR = 3600.0
DAY = 24 * HOUR
UNITS = 15  # of an agent: a call takes all, a chat a third, other work a fifth
SWITCHING = 0.15  # n items at once slow each by 1 / (1 + SWITCHING * (n - 1))
VIPS = 0.06
VIP_WEIGHT = 3.0
VIP_GOAL = 0.9
LANGUAGES = {"en": 0.6, "es": 0.25, "fr": 0.15}
TECHNICAL = 0.25
TOLD_EVERY = 2_000
HIGHEST_MEDIAN = (
    0.5  # of its target: a setting under which social waits longer at the median does not count as won
)
SPEAKS = (("en", "es"), ("es", "fr"), ("fr", "en"), ("en",), ("en", "es"), ("en", "fr"))  # a chain


class Policy(Protocol):
    """What decides: see the router pipe in the interface."""

    def hear(self, message: dict[str, Any]) -> list[list[int]] | None:
        """Take a message in; of an arrival or a freed agent, answer with the assignments made now."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel's promise (seconds) and goal (share), an item's units, mean patience and handling time (seconds)."""

    target: float
    goal: float
    units: int
    patience: float | None
    aht: float


CHANNELS: Mapping[str, Channel] = {
    "voice": Channel(20, 0.8, 15, 240, 360),
    "chat": Channel(30, 0.8, 5, 180, 600),
    "dm": Channel(900, 0.9, 3, None, 420),
    "social": Channel(3600, 0.9, 3, None, 240),
    "email": Channel(14400, 0.9, 3, None, 480),
}
LIVE = ("voice", "chat")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One contact. `work` is the seconds it takes alone, `patience` when the customer gives up: the policy is told neither."""

    id: int
    channel: str
    at: float
    work: float
    lang: str = "en"
    tech: bool = False
    vip: bool = False
    target: float = 3600.0
    units: int = 3
    weight: float = 1.0
    patience: float | None = None

    @property
    def kind(self) -> Hashable:
        """What an agent must have for it: arrivals of one kind fit the same agents."""
        return (self.channel, self.lang, self.tech)

    def told(self) -> dict[str, Any]:
        """What a policy hears of it."""
        return {
            "id": self.id, "channel": self.channel, "lang": self.lang, "tech": self.tech, "vip": self.vip, "at": self.at,
            "target": self.target, "units": self.units, "weight": self.weight,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent and his shift, in seconds since the start of the day."""

    id: int
    channels: tuple[str, ...]
    langs: tuple[str, ...] = ("en",)
    tech: bool = False
    start: float = 0.0
    end: float = 12 * HOUR
    capacity: int = UNITS
    more: tuple[tuple[float, float], ...] = ()  # further stretches of work, after the first

    @property
    def stretches(self) -> tuple[tuple[float, float], ...]:
        """When he is there: from and to."""
        return ((self.start, self.end), *self.more)

    def takes(self, one: Arrival) -> int:
        """The units of his that it takes: a call takes all of them."""
        return self.capacity if one.channel == "voice" else one.units

    def can(self, one: Arrival) -> bool:
        """Whether he has channel, language and skill for it."""
        return one.channel in self.channels and one.lang in self.langs and (self.tech or not one.tech)


@dataclass(frozen=True, slots=True)
class Day:
    """Who comes and who is there. What still waits inside its promise at `closes` is carried over, neither kept nor missed."""

    arrivals: list[Arrival]
    agents: list[Agent]
    channels: Mapping[str, Channel] = field(default_factory=lambda: CHANNELS)
    closes: float = 12 * HOUR
    opens: float = 8 * HOUR  # the time of day, in seconds since midnight, at which its clock begins


# --- a synthetic day ---------------------------------------------------------------------------------------

# Arrivals by half-hour from 08:00; live contacts and mail follow the staff, the networks are flatter.
# fmt: off
_HUMP = (
    .55, .65, .75, .95, 1.1, 1.15, 1.2, 1.25, 1.35, 1.4, 1.4, 1.4, 1.4, 1.35, 1.3, 1.15, 1., .9, .75, .65, .55, .5, .45, .4,
)
_FLAT = (
    .8, .9, .95, 1., 1.05, 1.1, 1.1, 1.15, 1.2, 1.2, 1.2, 1.2, 1.2, 1.15, 1.1, 1.05, 1., 1., .95, .9, .85, .8, .7, .65,
)
# fmt: on
HALF_HOUR = 1800.0
STORM = {10: {"social": 7, "dm": 3}, 11: {"social": 7, "dm": 3}}  # the half-hours from 13:00
THIN = 0.1  # of the staff is missing
SCENARIOS = ("normal", "storm", "thin")


@dataclass(frozen=True, slots=True)
class Centre:
    """How many come on each channel, what waits from the night, teams as (parts, channels), shifts as (from, to, agents)."""

    volume: Mapping[str, int]
    overnight: Mapping[str, int]
    teams: tuple[tuple[int, tuple[str, ...]], ...]
    shifts: tuple[tuple[float, float, int], ...] = ((0, 8, 28), (1.5, 9.5, 25), (4, 12, 24))
    technical: float = 0.6


_ALL = tuple(CHANNELS)
CENTRES = {
    # Phone people, network people, and some who do everything: near the reference day's published figures.
    "reference": Centre(
        {"voice": 1330, "chat": 1300, "dm": 2400, "social": 3500, "email": 3300},
        {"email": 350, "social": 60, "dm": 50},
        ((4, ("voice", "chat")), (3, ("dm", "social", "email")), (3, _ALL)),
    ),
    # Nearly everybody takes calls beside something else: nothing is tuned on this one.
    "chained": Centre(
        {"voice": 1350, "chat": 1350, "dm": 2000, "social": 4700, "email": 2600},
        {"email": 350, "social": 60, "dm": 50},
        (
            (3, ("voice", "chat")), (2, ("voice", "dm", "social")), (2, ("voice", "email", "social")),
            (2, ("chat", "dm", "social", "email")), (2, _ALL),
        ),
    ),
}  # fmt: skip


def synthetic_day(
    scenario: str = "normal", seed: int = 1, centre: str = "reference", size: float = 1.0
) -> Day:
    """A day drawn from a seed; the same seed gives the same day. `size` scales arrivals and staff alike."""
    if scenario not in SCENARIOS:
        raise ValueError(f"a scenario is one of {', '.join(SCENARIOS)}")
    about = CENTRES[centre]
    return Day(
        list(_arrivals(about, scenario, random.Random(f"{seed} arrivals"), size)),
        _staff(about, scenario, random.Random(f"{seed} staff"), size),
    )


def _arrivals(about: Centre, scenario: str, dice: random.Random, size: float) -> Iterator[Arrival]:
    times: list[tuple[float, str]] = []
    for channel, volume in about.volume.items():
        profile = _FLAT if channel in ("dm", "social") else _HUMP
        for place, share in enumerate(profile):
            rate = size * volume * share / sum(profile) / HALF_HOUR
            if scenario == "storm":
                rate *= STORM.get(place, {}).get(channel, 1)
            times += [(place * HALF_HOUR + after, channel) for after in _poisson(rate, HALF_HOUR, dice)]
        times += [(0.0, channel)] * round(size * about.overnight.get(channel, 0))
    for number, (at, channel) in enumerate(sorted(times)):
        yield _drawn(number, at, channel, dice)


def _poisson(rate: float, seconds: float, dice: random.Random) -> Iterator[float]:
    after = dice.expovariate(rate) if rate > 0 else math.inf
    while after < seconds:
        yield after
        after += dice.expovariate(rate)


def _drawn(number: int, at: float, channel: str, dice: random.Random) -> Arrival:
    """Language, skill, VIP, lognormal work with a coefficient of variation of one, exponential patience."""
    about = CHANNELS[channel]
    spread = math.sqrt(math.log(2))
    vip = dice.random() < VIPS
    return Arrival(
        id=number, channel=channel, at=at, vip=vip, units=about.units,
        lang=dice.choices(list(LANGUAGES), list(LANGUAGES.values()))[0],
        tech=dice.random() < TECHNICAL,
        work=dice.lognormvariate(math.log(about.aht) - spread * spread / 2, spread),
        patience=dice.expovariate(1 / about.patience) if about.patience else None,
        target=about.target / 2 if vip else about.target,
        weight=VIP_WEIGHT if vip else 1.0,
    )  # fmt: skip


def _staff(about: Centre, scenario: str, dice: random.Random, size: float) -> list[Agent]:
    """Teams spread over the shifts in their proportion, languages and skills over each team."""
    found: list[Agent] = []
    parts = sum(weight for weight, _ in about.teams)
    members = [0] * len(about.teams)
    for start, end, count in about.shifts:
        owed = [0.0] * len(about.teams)
        for _ in range(max(1, round(size * count))):
            owed = [due + weight / parts for due, (weight, _) in zip(owed, about.teams, strict=True)]
            team = owed.index(max(owed))
            owed[team] -= 1
            number, members[team] = members[team], members[team] + 1
            tech = int((number + 1) * about.technical) > int(number * about.technical)
            channels, langs = about.teams[team][1], SPEAKS[number % len(SPEAKS)]
            found.append(Agent(len(found), channels, langs, tech, start * HOUR, end * HOUR))
    if scenario == "thin":
        gone = set(dice.sample(range(len(found)), round(THIN * len(found))))
        found = [agent for agent in found if agent.id not in gone]
    return found


# --- a recorded day ----------------------------------------------------------------------------------------


def recorded_day(lines: Iterable[str], seed: int = 1, agents: list[Agent] | None = None) -> Day:
    """A day from JSON lines, or from CSV with a heading; `at` and `channel` are needed of an arrival, the rest is drawn.

    JSON lines may also hold agents: `{"agent": {"id": 1, "channels": [...], "langs": [...], "start": 0, "end": 28800}}`.
    Without any, the reference centre's staff is there. Raises ValueError with the line that cannot be understood.
    """
    dice = random.Random(f"{seed} recorded")
    arrivals: list[Arrival] = []
    found: list[Agent] = []
    for number, row in enumerate(_rows(lines), start=1):
        try:
            if "agent" in row:
                found.append(_recorded_agent(row["agent"]))
            else:
                arrivals.append(_recorded(row, len(arrivals), dice))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"record {number}: {error!r}") from error
    staff = found or agents or synthetic_day(seed=seed).agents
    return Day(sorted(arrivals, key=lambda one: (one.at, one.id)), staff)


def _rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    kept = [line for line in lines if line.strip()]
    if kept and kept[0].lstrip().startswith("{"):
        return (json.loads(line) for line in kept)
    return iter(csv.DictReader(kept))


def _recorded(row: Mapping[str, Any], number: int, dice: random.Random) -> Arrival:
    known = {key: value for key, value in row.items() if value not in (None, "")}
    drawn = asdict(_drawn(number, _finite(known["at"]), known["channel"], dice))
    drawn |= {"vip": _yes(known.get("vip")), "tech": _yes(known.get("tech")), "lang": known.get("lang", "en")}
    about = CHANNELS[known["channel"]]
    drawn["target"] = about.target / 2 if drawn["vip"] else about.target
    drawn["weight"] = VIP_WEIGHT if drawn["vip"] else 1.0
    drawn |= {
        name: _finite(known[name]) for name in ("work", "patience", "target", "weight") if name in known
    }
    return Arrival(**drawn)


def _recorded_agent(about: Mapping[str, Any]) -> Agent:
    return Agent(
        int(about["id"]), tuple(about["channels"]), tuple(about.get("langs", ("en",))), bool(about.get("tech")),
        _finite(about.get("start", 0)), _finite(about.get("end", 12 * HOUR)),
    )  # fmt: skip


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a number of seconds")
    return number


def _yes(value: Any) -> bool:
    return str(value).strip().lower() in ("1", "true", "yes")


# --- playing it --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Played:
    """What happened: when and by whom each item was answered, who gave up, what was refused because it broke a rule."""

    answered: dict[int, tuple[float, int]] = field(default_factory=dict)
    abandoned: dict[int, float] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)
    refused: list[tuple[int, int]] = field(default_factory=list)
    busy: float = 0.0  # agent seconds with work in hand
    idle_beside_work: float = 0.0  # agent seconds with nothing in hand while work he could take waited
    decisions: int = 0
    seconds: float = 0.0  # of this process's CPU, that they took
    slowest: float = 0.0


class _Desk:
    """One agent at work: items share his attention."""

    __slots__ = ("about", "can", "free", "items", "on", "since", "told_at", "version")

    def __init__(self, about: Agent) -> None:
        self.about = about
        self.can = 0
        self.free = about.capacity
        self.on = False
        self.since = about.start
        self.items: dict[int, float] = {}  # seconds of work left
        self.told_at = 0.0
        self.version = 0

    def told(self) -> dict[str, Any]:
        about = self.about
        flexible = len(about.channels) * len(about.langs) * (2 if about.tech else 1)
        return {
            "id": about.id, "channels": list(about.channels), "langs": list(about.langs), "tech": about.tech,
            "free": self.free, "on": self.on, "since": self.since, "open": list(self.items), "flex": flexible,
        }  # fmt: skip

    def slowed(self) -> float:
        return 1 + SWITCHING * (len(self.items) - 1)

    def work_until(self, now: float) -> float:
        """Let time pass; returns the seconds he was busy."""
        passed, self.told_at = now - self.told_at, now
        if not self.items:
            return 0.0
        done = passed / self.slowed()
        for item in self.items:
            self.items[item] -= done
        return passed


def play(day: Day, policy: Policy, told: Callable[[float], None] | None = None) -> Played:
    """Play the day to the last event. An assignment that breaks a rule is refused and counted; the item waits on.

    Every `TOLD_EVERY` events `told` hears the share of the day that is over.
    """
    return _Play(day, policy, told).run()


class _Play:
    def __init__(self, day: Day, policy: Policy, told: Callable[[float], None] | None) -> None:
        self.day, self.policy, self.told = day, policy, told
        self.played = Played()
        self.items = {one.id: one for one in day.arrivals}
        self.desks = {agent.id: _Desk(agent) for agent in day.agents}
        self.events: list[tuple[float, int, int, str, Any]] = []
        self.pushed = 0
        self.now = 0.0
        # Kinds of work as bits, so that "idle beside suitable work" is one comparison.
        self.kinds: dict[Hashable, int] = {}
        self.waiting_by_kind: dict[int, int] = {}
        self.kinds_waiting = 0

    def run(self) -> Played:
        self._set_up()
        happened = 0
        while self.events:
            happened += 1
            if self.told is not None and happened % TOLD_EVERY == 0:
                self.told(min(1.0, self.now / self.day.closes))
            now, _, _, what, about = heapq.heappop(self.events)
            self._count_idle(now)
            self.now = now
            getattr(self, f"_{what}")(about)
        return self.played

    def _set_up(self) -> None:
        for one in self.day.arrivals:
            if one.kind in self.kinds:
                continue
            kind = self.kinds[one.kind] = 1 << len(self.kinds)
            for desk in self.desks.values():
                if desk.about.can(one):
                    desk.can |= kind
        self.policy.hear(
            {
                "event": "hello",
                "units": UNITS,
                "channels": {name: asdict(about) for name, about in self.day.channels.items()},
                "agents": [desk.told() for desk in self.desks.values()],
            }
        )
        for agent in self.day.agents:
            for start, end in agent.stretches:
                self._push(start, 0, "comes", agent.id)
                self._push(end, 2, "goes", agent.id)
        for one in self.day.arrivals:
            self._push(one.at, 1, "arrives", one)

    def _push(self, at: float, order: int, what: str, about: Any) -> None:
        self.pushed += 1
        heapq.heappush(self.events, (at, order, self.pushed, what, about))

    def _count_idle(self, now: float) -> None:
        if self.kinds_waiting and now > self.now:
            idle = sum(
                1
                for desk in self.desks.values()
                if desk.on and not desk.items and desk.can & self.kinds_waiting
            )
            self.played.idle_beside_work += idle * (now - self.now)

    # -- events

    def _arrives(self, one: Arrival) -> None:
        self._wait(one, 1)
        if one.patience is not None:
            self._push(self.now + one.patience, 1, "gives_up", one)
        self._ask({"event": "arrival", "now": self.now, "item": one.told()})

    def _gives_up(self, one: Arrival) -> None:
        if one.id in self.played.waiting:
            self._wait(one, -1)
            self.played.abandoned[one.id] = self.now
            self.policy.hear({"event": "abandon", "now": self.now, "item": {"id": one.id}})

    def _comes(self, agent: int) -> None:
        desk = self.desks[agent]
        desk.on, desk.since = True, self.now
        self._ask({"event": "agent_free", "now": self.now, "agent": desk.told()})

    def _goes(self, agent: int) -> None:
        desk = self.desks[agent]
        desk.on = False
        self.policy.hear({"event": "agent_off", "now": self.now, "agent": desk.told()})

    def _finishes(self, about: tuple[int, int, int]) -> None:
        agent, item, version = about
        desk = self.desks[agent]
        if version != desk.version:
            return
        self.played.busy += desk.work_until(self.now)
        del desk.items[item]
        desk.free += desk.about.takes(self.items[item])
        if not desk.items:
            desk.since = self.now
        self._plan(desk)
        if desk.on:
            self._ask({"event": "agent_free", "now": self.now, "agent": desk.told()})

    # -- what follows

    def _wait(self, one: Arrival, sign: int) -> None:
        (self.played.waiting.add if sign > 0 else self.played.waiting.discard)(one.id)
        kind = self.kinds[one.kind]
        self.waiting_by_kind[kind] = self.waiting_by_kind.get(kind, 0) + sign
        self.kinds_waiting = (
            (self.kinds_waiting | kind) if self.waiting_by_kind[kind] else self.kinds_waiting & ~kind
        )

    def _ask(self, message: dict[str, Any]) -> None:
        started = time.process_time()
        pairs = self.policy.hear(message)
        took = time.process_time() - started
        self.played.decisions += 1
        self.played.seconds += took
        self.played.slowest = max(self.played.slowest, took)
        for item, agent in pairs or ():
            self._assign(item, agent)

    def _assign(self, item: int, agent: int) -> None:
        one, desk = self.items.get(item), self.desks.get(agent)
        if one is None or desk is None or item not in self.played.waiting or not self._fits(one, desk):
            self.played.refused.append((item, agent))
            return
        self._wait(one, -1)
        self.played.answered[item] = (self.now, agent)
        self.played.busy += desk.work_until(self.now)
        desk.items[item] = one.work
        desk.free -= desk.about.takes(one)
        self._plan(desk)

    def _fits(self, one: Arrival, desk: _Desk) -> bool:
        return desk.on and desk.free >= desk.about.takes(one) and bool(desk.can & self.kinds[one.kind])

    def _plan(self, desk: _Desk) -> None:
        """When he will have finished the first of what he has in hand, if nothing comes between."""
        desk.version += 1
        if desk.items:
            item = min(desk.items, key=lambda one: (desk.items[one], one))
            after = max(0.0, desk.items[item]) * desk.slowed()
            self._push(self.now + after, 1, "finishes", (desk.about.id, item, desk.version))


# --- the figures of it -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Figures:
    """A played day in numbers; shares from nought to one, times in seconds unless named otherwise."""

    score: float  # weighted share answered inside the promise; abandoned counts as missed
    attainment: float  # mean of min(1, level / goal) over channels and VIPs
    levels: dict[str, float]  # by channel, and `vip`
    languages: dict[str, float]  # weighted share by language
    median_wait: dict[str, float]  # age at the first answer, of what was answered
    p90_wait: dict[str, float]
    abandoned: dict[str, float]
    social_bias: float  # (mean wait / promise) of social over that of live channels
    occupancy: float
    idle_beside_work: float  # agent minutes
    carried: int
    refused: int
    items: int
    ms_per_decision: float
    slowest_ms: float
    # Whether the median first answer of social stays within half its target: else it is no gain (`practice.md` 3.3).
    counts: bool
    # By half-hour of the day at which it came: [items, share kept, mean wait of what was answered in seconds].
    profile: list[list[float]]


def figures(day: Day, played: Played) -> Figures:
    """Levels, waits and the rest of a played day."""
    counted = [one for one in day.arrivals if not _carried(day, played, one)]
    kept = {one.id: _kept(played, one) for one in counted}
    groups: dict[str, list[Arrival]] = {
        name: [one for one in counted if one.channel == name] for name in day.channels
    }
    groups = {name: group for name, group in groups.items() if group}
    goals = {name: day.channels[name].goal for name in groups}
    vips = [one for one in counted if one.vip]
    if vips:
        groups, goals = {**groups, "vip": vips}, {**goals, "vip": VIP_GOAL}
    levels = {name: _share(kept[one.id] for one in group) for name, group in groups.items()}
    waits = {name: _waits(played, group) for name, group in groups.items()}
    shift = sum(
        min(end, day.closes) - start
        for agent in day.agents
        for start, end in agent.stretches
        if start < day.closes
    )
    medians = {name: _quantile(found, 0.5) for name, found in waits.items()}
    return Figures(
        score=_weighted(counted, kept),
        attainment=statistics.fmean(min(1.0, levels[name] / goals[name]) for name in levels)
        if levels
        else 1.0,
        levels=levels,
        languages={
            lang: _weighted([one for one in counted if one.lang == lang], kept)
            for lang in sorted({one.lang for one in counted})
        },
        median_wait=medians,
        p90_wait={name: _quantile(found, 0.9) for name, found in waits.items()},
        abandoned={
            name: _share(one.id in played.abandoned for one in group) for name, group in groups.items()
        },
        social_bias=_bias(day, waits),
        occupancy=played.busy / shift if shift else 0.0,
        idle_beside_work=played.idle_beside_work / 60,
        carried=len(day.arrivals) - len(counted),
        refused=len(played.refused),
        items=len(day.arrivals),
        ms_per_decision=played.seconds * 1000 / max(1, played.decisions),
        slowest_ms=played.slowest * 1000,
        counts="social" not in day.channels
        or medians.get("social", 0.0) <= HIGHEST_MEDIAN * day.channels["social"].target,
        profile=_profile(day, played, counted, kept),
    )


def _profile(day: Day, played: Played, counted: list[Arrival], kept: Mapping[int, bool]) -> list[list[float]]:
    """By half-hour of the day: how many came, the share kept, the mean wait of what was answered."""
    came: dict[int, list[Arrival]] = {}
    for one in counted:
        came.setdefault(int((day.opens + one.at) % DAY // HALF_HOUR), []).append(one)
    found = []
    for place in range(round(DAY / HALF_HOUR)):
        group = came.get(place, [])
        waits = _waits(played, group)
        found.append(
            [
                float(len(group)),
                round(_share(kept[one.id] for one in group), 4) if group else 1.0,
                round(statistics.fmean(waits), 1) if waits else 0.0,
            ]
        )
    return found


def gap_closed(score: float, longest_waiting: float, best_known: float) -> float:
    """How much of the way from longest waiting to the best reference was gone; over one is beyond it (P6)."""
    return (score - longest_waiting) / (best_known - longest_waiting) if best_known > longest_waiting else 1.0


def _carried(day: Day, played: Played, one: Arrival) -> bool:
    return one.id in played.waiting and one.at + one.target > day.closes


def _kept(played: Played, one: Arrival) -> bool:
    answered = played.answered.get(one.id)
    return answered is not None and answered[0] - one.at <= one.target + 1e-9


def _share(found: Iterable[bool]) -> float:
    return statistics.fmean(found)


def _weighted(group: list[Arrival], kept: Mapping[int, bool]) -> float:
    total = math.fsum(one.weight for one in group)
    return math.fsum(one.weight for one in group if kept[one.id]) / total if total else 1.0


def _waits(played: Played, group: list[Arrival]) -> list[float]:
    return sorted(played.answered[one.id][0] - one.at for one in group if one.id in played.answered)


def _quantile(found: list[float], share: float) -> float:
    return found[min(len(found) - 1, int(share * len(found)))] if found else 0.0


def _bias(day: Day, waits: Mapping[str, list[float]]) -> float:
    relative = {
        name: statistics.fmean(found) / day.channels[name].target
        for name, found in waits.items()
        if found and name in day.channels
    }
    live = [relative[name] for name in LIVE if name in relative]
    return relative.get("social", 0.0) / statistics.fmean(live) if live and statistics.fmean(live) else 0.0
