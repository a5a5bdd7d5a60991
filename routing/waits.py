"""How long somebody who waits now will still wait: a pure function of his place and of what comes free, or nothing.

Agents who can take this kind of work come free one by one. With `slots` places of which each is free again after `handling`
seconds, `slots / handling` places come free in a second; what the queue really began lately per second, `recent`, says
the same from the other side, and is less where its agents also work elsewhere. Neither is the truth alone: the lower rate
gives the long end, the higher one the short end.

Who stands at place n (1 = next) begins when the n-th place comes free. Where places come free by chance at the rate r, that
moment has an Erlang distribution with n stages: mean n / r. The range goes from its tenth part at the higher rate to its
ninetieth at the lower one, so that of ten people who are told it about eight wait that long. The quantiles are Wilson and
Hilferty's (1931): the q-th of n stages is n (1 - 1/(9n) + z sqrt(1/(9n)))^3 / r with z = ±1.2816; for n = 1 and 10 % it gives
0.10 / r (exact 0.105), for n = 10 and 90 % 14.2 / r (exact 14.2).

Worked examples: tests/routing/test_waits.py.
"""

import math
from dataclasses import dataclass

Z = 1.2816  # of the normal distribution's tenth and ninetieth part
ENOUGH = 5  # begun lately, before that rate is believed
LONGEST = 4 * 3600.0  # s: beyond that nobody knows


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds from `low` to `high`; both None where nothing honest can be said, and why."""

    low: float | None
    high: float | None
    why: str = ""

    @property
    def words(self) -> str:
        """As a person says it."""
        if self.low is None or self.high is None:
            return self.why
        low, high = int(self.low // 60), math.ceil(self.high / 60)
        if high == 0:
            return "at once"
        if low == 0:
            return "less than a minute" if high == 1 else f"less than {high} minutes"
        return f"{low} to {high} minutes"


def _quantile(stages: int, z: float) -> float:
    """Of an Erlang distribution with `stages` stages at the rate 1."""
    ninth = 1 / (9 * stages)
    return stages * max(0.0, 1 - ninth + z * math.sqrt(ninth)) ** 3


def expected(
    place: int, *, slots: int, free: int, handling: float | None, begun: int, seconds: float
) -> Wait:
    """What to tell who stands at `place` (1 = next).

    `slots`: how many such items all who are in and able could have at once; `free`: how many of these are free now;
    `handling`: seconds that one takes, None when unknown; `begun`: how many were begun in the last `seconds`.
    """
    if place <= free:
        return Wait(0.0, 0.0)
    if slots <= 0:
        return Wait(None, None, "nobody is in who could take it")
    rates = []
    if handling and handling > 0:
        rates.append(slots / handling)
    if begun >= ENOUGH and seconds > 0:
        rates.append(begun / seconds)
    if not rates:
        return Wait(None, None, "not known yet")
    ahead = place - free
    low, high = _quantile(ahead, -Z) / max(rates), _quantile(ahead, Z) / min(rates)
    if high > LONGEST:
        return Wait(None, None, "longer than can be said")
    return Wait(low, high)
