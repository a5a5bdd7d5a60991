"""Whether one channel is served before another that had the better claim: counted choice by choice, pure (`practice.md` 3.2).

A *choice*: an agent got an item of one channel while he could have taken a waiting item of another, by skills, language, room,
limits and refusals; whether it was held for calls does not matter, what waits for its own agent is no part of it. Of each
other channel only the item with the highest channel-neutral score (`engine.level`) is looked at: when it stood lower than the
one that was taken, so did all others of its channel. The choice is an *overtaking* when it stood higher.

A channel is a channel family, which is all that the engine knows of one.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FEW = 30  # choices; below it nothing is said
ALIKE = 1e-9  # scores that differ by less are equal
Z95 = 1.959963984540054  # standard deviations to either side that hold 95 % of a normal distribution
LOOKS = 8  # decisions of a second that are all looked at; of the next, as many of every fourth, then of every sixteenth …
STEP = 4

# Why a decision may put one channel before another; these are listed apart.
SAFETY, CALL, LAST_AGENT, ONE_HAND = "safety", "call", "last_agent", "one_hand"
EXEMPTIONS = (SAFETY, CALL, LAST_AGENT, ONE_HAND)
CHOICE, DECISION, LOOKED = "choice", "decision", "looked"

Line = tuple[str, str, str]  # what is counted, the channel that got the agent, the one that waited on


def interval(part: int, whole: int) -> tuple[float, float]:
    """95 % interval of a share, from nought to one (Wilson 1927, without correction for continuity).

    It stays inside nought and one and is honest for small numbers and rare events, where share ± 1.96 standard errors is not.
    ValueError without any.
    """
    if whole <= 0 or not 0 <= part <= whole:
        raise ValueError("a share is a part of something")
    share, square = part / whole, Z95 * Z95
    middle = (share + square / (2 * whole)) / (1 + square / whole)
    reach = Z95 * math.sqrt(share * (1 - share) / whole + square / (4 * whole * whole)) / (1 + square / whole)
    return 0.0 if part == 0 else middle - reach, 1.0 if part == whole else middle + reach


class Meter:
    """What was counted since it was last emptied, in memory; `lines` are numbers and overtakings.

    A look costs about as much as a decision, so a flood is looked at in part: the first `LOOKS` decisions of a second, then as
    many of every fourth one, and so on. How many there were and how many were looked at is counted too. Without `looks` all are.
    """

    __slots__ = ("lines", "overtakings", "_looks", "_looked", "_second", "_skip", "_stride")

    def __init__(self, looks: int | None = LOOKS) -> None:
        self.lines: Counter[Line] = Counter()
        self.overtakings: Counter[Line] = Counter()
        self._looks = looks
        self._second = -1
        self._looked = self._skip = 0
        self._stride = 1

    def looks(self, family: str, now: float) -> bool:
        """Count a decision of this channel; whether it should be looked at."""
        self.lines[DECISION, family, ""] += 1
        if self._skip and int(now) == self._second:
            self._skip -= 1
            return False
        self.lines[LOOKED, family, ""] += 1
        self._pace(int(now))
        return True

    def _pace(self, second: int) -> None:
        if second != self._second:
            self._second, self._looked, self._stride = second, 0, 1
        self._looked += 1
        if self._looks is not None and self._looked % self._looks == 0:
            self._stride *= STEP
        self._skip = self._stride - 1

    def choice(self, won: str, passed: str, overtaken: bool) -> None:
        """An agent who could have taken either got the one of `won`."""
        self.lines[CHOICE, won, passed] += 1
        if overtaken:
            self.overtakings[CHOICE, won, passed] += 1

    def exempt(self, won: str, why: str) -> None:
        """This decision may put one channel before another."""
        self.lines[why, won, ""] += 1

    def emptied(self) -> list[tuple[str, str, str, int, int]]:
        """What was counted: (what, won, passed, number, overtakings); from now on it counts from nought."""
        told = [(*line, number, self.overtakings[line]) for line, number in sorted(self.lines.items())]
        self.lines, self.overtakings = Counter(), Counter()
        return told


@dataclass(frozen=True, slots=True)
class Pair:
    """How often `first` overtook `second`, of all choices between the two, whichever got the agent."""

    first: str
    second: str
    choices: int
    overtakings: int
    per_100: float | None  # None: too few
    low: float | None  # of 95 %, per 100
    high: float | None
    alarm: bool


def pairs(counted: Mapping[tuple[str, str], tuple[int, int]], alarm_above: float) -> list[Pair]:
    """Each ordered pair of channels that were chosen between. `counted`: (got it, waited on) to (choices, overtakings).

    The alarm rings when the lower end of the interval is above `alarm_above` overtakings per 100 choices: chance alone would
    hardly show so many.
    """
    known = sorted({name for pair in counted for name in pair})
    return [
        _pair(first, second, counted, alarm_above)
        for first in known
        for second in known
        if first != second and ((first, second) in counted or (second, first) in counted)
    ]


def _pair(
    first: str, second: str, counted: Mapping[tuple[str, str], tuple[int, int]], alarm_above: float
) -> Pair:
    won, overtakings = counted.get((first, second), (0, 0))
    choices = won + counted.get((second, first), (0, 0))[0]
    if choices < FEW:
        return Pair(first, second, choices, overtakings, None, None, None, False)
    low, high = interval(overtakings, choices)
    return Pair(
        first, second, choices, overtakings, 100 * overtakings / choices, 100 * low, 100 * high, 100 * low > alarm_above,
    )  # fmt: skip


def choices_in(lines: Iterable[tuple[str, str, str, int, int]]) -> dict[tuple[str, str], tuple[int, int]]:
    """The choices among lines of a meter, for `pairs`."""
    return {
        (won, passed): (number, overtakings)
        for what, won, passed, number, overtakings in lines
        if what == CHOICE
    }
