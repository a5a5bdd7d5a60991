"""When deferred work is begun, and what goes first where agents are short: pure; it learns only from what passes by.

Three questions, each answered from what waits and what was seen, never from real handling times or patience:

* How many idle agents should be kept for calls? Square-root staffing: with `a` calls in progress on average (calls seen
  lately x their handling time), `a + calls * sqrt(a)` agents should be in a call or free for one. No calls, no reserve.
* How many agents does deferred work need now? Each waiting item should have begun when `begin` of its promise is over; the
  steepest line from now over the work due by then is the staff it needs. On a quiet day the line is flat and work is
  packed on few agents; a storm makes it steep at once, and the reserve is given up as far as the line demands.
* What is worth most to serve next? `rush`: weight x multiplier x items an agent serves in an hour (c-mu), rising
  steeply towards the end of the promise. Multipliers grow for a channel that falls behind its goal.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

LATELY = 300.0  # s; before so much was seen, what was seen counts as if it had taken so long
MINUTE = 60.0
ALL_THERE_IS = math.inf


@dataclass(frozen=True, slots=True)
class Pacing:
    """What a centre may set; families of channels that are not named are never held."""

    # The share of the promise after which the work should have begun, and the share after which it is held no longer.
    begin: Mapping[str, float] = field(default_factory=lambda: {"message": 0.6, "social": 0.6, "mail": 0.7})
    longest: Mapping[str, float] = field(
        default_factory=lambda: {"message": 0.5, "social": 0.45, "mail": 0.8}
    )
    hold_seconds: Mapping[str, float] = field(
        default_factory=dict
    )  # longest hold by queue, instead of the share
    urgent_from: float = 0.9  # safety: what is known to be this urgent is never held
    calls: float = 2.8  # standard deviations of the calls in progress that are kept free
    most: float = 0.5  # of those who take calls, so many are kept free at most
    fewest: int = 1  # while calls come, so many are kept free at least
    window: float = 1200.0  # s of calls that are remembered
    start: float = 0.3  # agents that must be missing before another one begins deferred work
    steep: float = 6.0  # the power with which an item's rush grows towards the end of its promise
    early: float = 0.03  # the rush of deferred work that has only just come; that of a call or chat is one
    # The rush of a call or chat whose promise is over: one of another kind whose promise can still be kept goes first, until
    # the older one starves. Among those of one kind the older goes first all the same.
    late: float = 0.6
    push: float = 8.0  # how strongly a channel is pushed that falls behind its goal
    margin: float = 0.03  # by which a goal should be surpassed
    memory: float = 0.01  # weight of the last answer in a channel's level
    switching: float = 0.15  # each further item at once slows an agent by so much
    starving_after: float = 600.0  # s; see `engine.Pool`
    handling: Mapping[str, float] = field(
        default_factory=lambda: {
            "voice": 360.0,
            "chat": 600.0,
            "message": 420.0,
            "social": 240.0,
            "mail": 480.0,
        }
    )  # s, by family, where it is not known better
    goals: Mapping[str, float] = field(default_factory=lambda: {"voice": 0.8, "chat": 0.8})
    goal: float = 0.9  # of the other families
    live: frozenset[str] = frozenset({"voice", "chat"})  # somebody is there and waits
    packed: frozenset[str] = frozenset({"chat", "message", "social", "mail"})

    def __post_init__(self) -> None:
        for share in (
            *self.begin.values(),
            *self.longest.values(),
            self.most,
            self.margin,
            self.memory,
            self.late,
        ):
            if not 0 <= share <= 1:
                raise ValueError("a share is between nought and one")
        if not all(seconds > 0 for seconds in self.handling.values()):
            raise ValueError("handling takes time")
        if not (self.window > 0 and self.steep > 0 and self.early >= 0 and self.starving_after > 0):
            raise ValueError("window, steepness and starving are more than nothing")

    def occupies(self, family: str, units: int, capacity: int) -> float:
        """Seconds of a whole agent that one item takes when he is as full as his capacity allows."""
        at_once = max(1, capacity // max(1, units)) if family != "voice" else 1
        return self.handling.get(family, MINUTE * 5) * (1 + self.switching * (at_once - 1)) / at_once

    def held_for(self, family: str, queue: str, promise: float) -> float:
        """The longest time in seconds for which an item may be held; nought when its family never is."""
        if family not in self.longest:
            return 0.0
        return self.hold_seconds.get(queue, self.longest[family] * promise)


class Senses:
    """What the pool has seen of the day: calls, waiting deferred work by the minute it should begin, levels kept."""

    __slots__ = (
        "_calls",
        "_counted",
        "_levels",
        "_line_at",
        "_line",
        "_since",
        "_work",
        "expects_calls",
        "pacing",
    )

    def __init__(self, pacing: Pacing, expects_calls: bool = False) -> None:
        self.pacing = pacing
        self.expects_calls = expects_calls  # calls are known to come, though none was seen yet
        self._since: float | None = None
        self._calls: deque[tuple[float, int]] = deque()
        self._counted: set[int] = set()
        self._work: dict[int, float] = {}  # agent seconds by the minute in which they should begin
        self._levels: dict[str, float] = {}
        self._line = 0.0
        self._line_at = -math.inf

    # -- what passes by

    def call_came(self, item_id: int, at: float) -> None:
        """A call began to wait; one that is read again is not counted again."""
        if item_id not in self._counted:
            self._counted.add(item_id)
            self._calls.append((at, item_id))

    def waits(self, family: str, begin_at: float, seconds: float, sign: int = 1) -> None:
        """Deferred work came (or left, with sign -1) that should begin at this time and takes so many agent seconds."""
        if family not in self.pacing.begin:
            return
        minute = int(begin_at // MINUTE)
        left = self._work.get(minute, 0.0) + sign * seconds
        if left > 1e-6:
            self._work[minute] = left
        else:
            self._work.pop(minute, None)

    def answered(self, family: str, kept: bool) -> None:
        """An item was given to an agent inside its promise, or too late, or never."""
        goal = self.goal(family)
        level = self._levels.get(family, goal + self.pacing.margin)
        self._levels[family] = level + self.pacing.memory * ((1.0 if kept else 0.0) - level)

    # -- what follows from it

    def goal(self, family: str) -> float:
        """The share of a family's items that should be answered in time."""
        return self.pacing.goals.get(family, self.pacing.goal)

    def multiplier(self, family: str) -> float:
        """How much more an item counts because its family falls behind its goal; one when it does not."""
        wanted = self.goal(family) + self.pacing.margin
        return math.exp(self.pacing.push * max(0.0, wanted - self._levels.get(family, wanted)))

    def call_load(self, now: float) -> float:
        """Calls in progress on average, as far as the last calls tell (Erlang)."""
        if self._since is None:
            self._since = now
        calls = self._calls
        while calls and calls[0][0] < now - self.pacing.window:
            self._counted.discard(calls.popleft()[1])
        seen = min(self.pacing.window, max(LATELY, now - self._since))
        return len(calls) / seen * self.pacing.handling.get("voice", MINUTE * 5)

    def kept(self, now: float, in_call: int, callers: int) -> float:
        """How many of those who take calls should stay free for one now."""
        load = self.call_load(now)
        settled = self._since is not None and now - self._since > self.pacing.window
        if load <= 0 and (settled or not self.expects_calls):
            return 0.0
        wanted = self.pacing.calls * math.sqrt(load) + load - in_call
        return max(float(self.pacing.fewest), min(wanted, self.pacing.most * callers))

    def needed(self, now: float) -> float:
        """How many agents deferred work needs now, so that all of it begins in time; looked up every ten seconds."""
        if not 0 <= now - self._line_at < 10.0:
            self._line_at = now
            here, total, steepest = int(now // MINUTE), 0.0, 0.0
            for minute in sorted(self._work):
                total += self._work[minute]
                steepest = max(steepest, total / (MINUTE * max(1, minute - here + 1)))
            self._line = steepest
        return self._line


class Told(Senses):
    """What another pool sensed: for whoever explains its decisions without having seen the day."""

    __slots__ = ("_told_kept", "_told_needed")

    def __init__(self, pacing: Pacing, kept: float, needed: float) -> None:
        super().__init__(pacing)
        self._told_kept, self._told_needed = kept, needed

    def kept(self, now: float, in_call: int, callers: int) -> float:
        """As it was told."""
        return self._told_kept

    def needed(self, now: float) -> float:
        """As it was told."""
        return self._told_needed


def rush(pacing: Pacing, family: str, waited: float, promise: float) -> float:
    """How pressing an item is: of deferred work, from nearly nothing to one at the end of its promise and after it."""
    if family in pacing.live:
        return 1.0 if waited <= promise else pacing.late
    share = waited / promise
    return 1.0 if share >= 1.0 else pacing.early + (1.0 - pacing.early) * max(0.0, share) ** pacing.steep
