"""Erlang C and Erlang A, exactly and for any size: only sums of positive terms, no factorials. Pure.

Rates in contacts a second, times in seconds, shares from 0 to 1, load in Erlangs (hours of work an hour).

Sources: A. K. Erlang 1917; C. Palm 1946 (impatience); A. Mandelbaum and S. Zeltyn, "Service Engineering in Action: The
Palm/Erlang-A Queue", 2007.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

NEGLIGIBLE = 40.0  # e^-40: what is left out of an integral


@dataclass(frozen=True)
class Figures:
    """Of one interval in its steady state. Shares are of all who arrive, those who give up included.

    `asa_s` is the mean wait of all who arrive, answered or not, as in Erlang A's published cases; None: without end.
    """

    p_wait: float
    service_level: float
    asa_s: float | None
    occupancy: float
    abandoned: float
    stable: bool = True


# --- Erlang C


def erlang_b_inverse(servers: int, load: float) -> float:
    """1 ÷ Erlang B by its recursion 1/B(n) = 1 + n/load · 1/B(n-1): only sums of positive terms, no factorials."""
    inverse = 1.0
    for count in range(1, servers + 1):
        inverse = 1.0 + inverse * count / load
        if inverse > 1e300:
            return math.inf
    return inverse


def erlang_c(rate: float, aht_s: float, servers: int, within_s: float) -> Figures:
    """M/M/n (Erlang 1917). `rate` in contacts a second. With too few servers the queue grows without end.

    P(wait) = B ÷ (1 - ρ(1 - B)); P(wait ≤ T) = 1 - P(wait)·e^(-(n - load)·T/aht); mean wait = P(wait)·aht ÷ (n - load).
    """
    load = rate * aht_s
    spare = servers - load
    if spare <= 0:
        return Figures(1.0, 0.0, None, 1.0 if servers else 0.0, 0.0, stable=False)
    occupancy = load / servers
    p_wait = 1.0 / (erlang_b_inverse(servers, load) * (1.0 - occupancy) + occupancy)
    level = 1.0 - p_wait * math.exp(-spare * within_s / aht_s)
    return Figures(p_wait, level, p_wait * aht_s / spare, occupancy, 0.0)


# --- Erlang A


def erlang_a(rate: float, aht_s: float, patience_s: float, servers: int, within_s: float) -> Figures:
    """M/M/n+M (Palm 1946; Mandelbaum and Zeltyn 2007). Stable at any load.

    The time v that an endlessly patient customer would wait has the density λ·π(n-1)·e^g(v) for v > 0, where
    g(v) = λ·patience·(1 - e^(-v/patience)) - n·v/aht, and 1/π(n-1) in units of the states below n is 1/B(n-1). Whoever
    arrives is answered within T with probability P(v = 0) + ∫₀ᵀ e^(-v/patience) f(v) dv, and waits min(v, patience).
    """
    if servers == 0:
        return Figures(1.0, 0.0, patience_s, 0.0, 1.0)
    waits = _waits(rate, servers / aht_s, patience_s, within_s)
    # e^peak was taken out of the integral and may be vast.
    free = (
        erlang_b_inverse(servers - 1, rate * aht_s) / (rate * waits.whole) * math.exp(-min(700.0, waits.peak))
    )
    p_wait = 1.0 / (1.0 + free)
    abandoned = p_wait * waits.left
    return Figures(
        p_wait=p_wait,
        service_level=1.0 - p_wait + p_wait * waits.in_time,
        asa_s=abandoned * patience_s,  # each waiting second is given up at the rate 1/patience
        occupancy=rate * aht_s * (1.0 - abandoned) / servers,
        abandoned=abandoned,
    )


@dataclass(frozen=True, slots=True)
class _Waits:
    """Of those who find nobody free: ∫ e^(g - peak), the peak of g, the shares who leave and who are answered in time."""

    whole: float
    peak: float
    left: float
    in_time: float


def _waits(rate: float, drain: float, patience_s: float, within_s: float) -> _Waits:
    """`drain`: contacts a second that all servers finish together."""
    most = rate * patience_s  # would wait if nobody was served; a bell of this height and its root's width
    spare = drain * patience_s
    if max(0.0, most - spare) < 200.0 and spare < 40_000.0:
        return _waits_by_series(rate, drain, patience_s, within_s)
    return _waits_by_integral(rate, drain, patience_s, within_s)


def _waits_by_series(rate: float, drain: float, patience_s: float, within_s: float) -> _Waits:
    """∫ from T of e^g is e^g(T) · (1 + R(T)) ÷ drain, R the tail of the series of the incomplete gamma function.

    R(T) = Σ from k = 1 of the products of x ÷ (drain·patience + i), i = 1 … k, x = λ·patience·e^(-T/patience): only
    positive terms. By parts, ∫₀ᵀ e^(-v/patience)·e^g = (R(0) - e^g(T)·R(T)) ÷ λ.
    """
    servings = drain * patience_s
    x = rate * patience_s
    tail = _gamma_tail(servings, x)
    late = 0.0
    if within_s < 700.0 * patience_s:
        kept = math.exp(-within_s / patience_s)
        late = math.exp(x * -math.expm1(-within_s / patience_s) - drain * within_s) * _gamma_tail(
            servings, x * kept
        )
    served = drain / (rate * (1.0 + tail))
    return _Waits((1.0 + tail) / drain, 0.0, max(0.0, 1.0 - served * tail), max(0.0, served * (tail - late)))


def _gamma_tail(servings: float, x: float) -> float:
    total, term, below = 0.0, 1.0, servings
    while True:
        below += 1.0
        term *= x / below
        total += term
        if term < total * 1e-17 or term < 1e-300:
            return total


def _waits_by_integral(rate: float, drain: float, patience_s: float, within_s: float) -> _Waits:
    """The same for vast queues, whose series is long and overflows: e^g has one top and falls on both sides (g is concave)."""

    def exponent(v: float) -> float:
        return -rate * patience_s * math.expm1(-v / patience_s) - drain * v

    top = patience_s * math.log(rate / drain) if rate > drain else 0.0
    peak = exponent(top)
    cuts = _cuts(exponent, peak, top, rate, drain, patience_s)
    whole = _integral(lambda v, f: f, exponent, peak, cuts)
    left = _integral(lambda v, f: -f * math.expm1(-v / patience_s), exponent, peak, cuts)
    soon = [*(cut for cut in cuts if cut < within_s), min(within_s, cuts[-1])]
    in_time = _integral(lambda v, f: f * math.exp(-v / patience_s), exponent, peak, soon)
    return _Waits(whole, peak, left / whole, in_time / whole)


def _cuts(
    exponent: Callable[[float], float], peak: float, top: float, rate: float, drain: float, patience_s: float
) -> tuple[float, ...]:
    """Where to cut the integral: at the top, and on each side where e^g has fallen by e^-5 and by e^-40."""
    # Near the top e^g is a bell of this width, or falls at the rate of what is drained beyond what comes.
    bell = math.sqrt(patience_s / max(rate, drain))
    first = bell if rate >= drain else min(bell, 1.0 / (drain - rate))
    right = [_fallen(exponent, peak - fall, top, first) for fall in (5.0, NEGLIGIBLE)]
    left = []
    for fall in (NEGLIGIBLE, 5.0):
        if top > 0:
            left.append(0.0 if exponent(0.0) >= peak - fall else _fallen(exponent, peak - fall, top, -first))
    return tuple(sorted({*left, top, *right}))


def _fallen(exponent: Callable[[float], float], level: float, start: float, step: float) -> float:
    """About where g passes below `level`, going from its top at `start` in the direction of `step`; never below 0."""
    near, far = start, max(0.0, start + step)
    while exponent(far) > level and far > 0:
        near, step = far, step * 2
        far = max(0.0, start + step)
    for _ in range(6):  # a cut need not be exact
        middle = (near + far) / 2
        near, far = (middle, far) if exponent(middle) > level else (near, middle)
    return far


def _integral(
    part: Callable[[float, float], float],
    exponent: Callable[[float], float],
    peak: float,
    cuts: Sequence[float],
) -> float:
    """∫ part(v, e^(g(v) - peak)) dv between the first and the last cut, by Gauss and Legendre's rule in each piece."""
    total = 0.0
    for start, end in zip(cuts, cuts[1:], strict=False):
        half, middle = (end - start) / 2, (end + start) / 2
        piece = 0.0
        for node, weight in gauss_legendre(24):
            v = middle + half * node
            piece += weight * part(v, math.exp(exponent(v) - peak))
        total += half * piece
    return total


@lru_cache
def gauss_legendre(count: int) -> tuple[tuple[float, float], ...]:
    """Nodes and weights on [-1, 1] by Newton's method on the Legendre polynomial (Press et al., Numerical Recipes 4.5)."""
    found = []
    for index in range(count):
        node, slope = math.cos(math.pi * (index + 0.75) / (count + 0.5)), 1.0
        for _ in range(100):
            value, former = 1.0, 0.0
            for degree in range(1, count + 1):
                value, former = ((2 * degree - 1) * node * value - (degree - 1) * former) / degree, value
            slope = count * (node * value - former) / (node * node - 1.0)
            node, last = node - value / slope, node
            if abs(node - last) < 1e-15:
                break
        found.append((node, 2.0 / ((1.0 - node * node) * slope * slope)))
    return tuple(found)


# --- Through a day


@dataclass(frozen=True)
class Stretch:
    """A part of a day with constant rates: contacts a second, mean times in seconds; patience None: for ever."""

    seconds: float
    rate: float
    aht_s: float
    patience_s: float | None
    servers: int
    within_s: float = 20.0


PARTS = 60  # time steps in a stretch


def through_the_day(stretches: Sequence[Stretch]) -> list[Figures]:
    """Figures of stretches that follow each other, each beginning with what the one before left; the first begins empty.

    The chance of each number of contacts in the system is carried forward by Kolmogorov's equations (backward Euler, two
    half steps against a whole one, Richardson 1911). Who is answered in time is judged as if the servers stay.
    """
    room = room_for(stretches)
    chances = [1.0] + [0.0] * room
    found = []
    for stretch in stretches:
        chances, seen = _carried(stretch, chances)
        found.append(_judged(stretch, seen))
    return found


def room_for(stretches: Sequence[Stretch]) -> int:
    """A number of contacts in the system that is as good as never exceeded: the fluid's own most, and ten deviations."""
    queue, most = 0.0, 0.0
    for stretch in stretches:
        leaving = 1.0 / stretch.patience_s if stretch.patience_s else 0.0
        for _ in range(PARTS):
            surplus = stretch.rate - stretch.servers / stretch.aht_s
            part = stretch.seconds / PARTS
            queue = max(0.0, (queue + part * surplus) / (1.0 + part * leaving))
            load = min(stretch.rate * stretch.aht_s, stretch.servers)
            most = max(most, queue + load + 10.0 * math.sqrt(queue + stretch.rate * stretch.aht_s + 4.0))
    return math.ceil(most) + max(stretch.servers for stretch in stretches) // 20 + 20


def _carried(stretch: Stretch, chances: list[float]) -> tuple[list[float], list[float]]:
    """Chances at the end of the stretch, and their mean over it."""
    part = stretch.seconds / PARTS
    whole, half = _stepper(stretch, len(chances), part), _stepper(stretch, len(chances), part / 2)
    mean = [chance / 2 for chance in chances]
    for _ in range(PARTS):
        coarse, fine = whole(chances), half(half(chances))
        chances = [max(0.0, 2.0 * better - rough) for better, rough in zip(fine, coarse, strict=True)]
        scale = 1.0 / sum(chances)
        chances = [chance * scale for chance in chances]
        mean = [so_far + chance for so_far, chance in zip(mean, chances, strict=True)]
    mean = [(so_far - chance / 2) / PARTS for so_far, chance in zip(mean, chances, strict=True)]
    return chances, mean


def _stepper(stretch: Stretch, states: int, part: float) -> Callable[[list[float]], list[float]]:
    """One backward step over `part` seconds: the tridiagonal system solved by Thomas, its factors made once."""
    leaving = 1.0 / stretch.patience_s if stretch.patience_s else 0.0
    falls = [
        part * (min(here, stretch.servers) / stretch.aht_s + max(0, here - stretch.servers) * leaving)
        for here in range(states)
    ]
    rise = part * stretch.rate
    pivots, ups = [], []
    for here in range(states):
        own = 1.0 + falls[here] + (rise if here < states - 1 else 0.0)
        pivots.append(1.0 / (own - (rise * ups[-1] if here else 0.0)))
        ups.append(falls[here + 1] * pivots[-1] if here < states - 1 else 0.0)

    def step(chances: list[float]) -> list[float]:
        carried, swept = 0.0, []
        for chance, pivot in zip(chances, pivots, strict=True):
            carried = (chance + rise * carried) * pivot
            swept.append(carried)
        found, after = [], 0.0
        for value, up in zip(reversed(swept), reversed(ups), strict=True):
            after = value + up * after
            found.append(after)
        found.reverse()
        return found

    return step


def _judged(stretch: Stretch, chances: Sequence[float]) -> Figures:
    servers = stretch.servers
    busy = sum(min(here, servers) * chance for here, chance in enumerate(chances))
    waiting = chances[servers:]
    queue = sum(ahead * chance for ahead, chance in enumerate(waiting))
    occupancy = min(1.0, busy / servers) if servers else 0.0
    if stretch.rate <= 0:
        return Figures(0.0, 1.0, 0.0, occupancy, 0.0)
    in_time = sum(
        chance * soon for chance, soon in zip(waiting, _served_within(stretch, len(waiting)), strict=True)
    )
    wait = queue / stretch.rate
    return Figures(
        p_wait=min(1.0, sum(waiting)),
        service_level=min(1.0, sum(chances[:servers]) + in_time),
        asa_s=wait,
        occupancy=occupancy,
        abandoned=min(1.0, wait / stretch.patience_s) if stretch.patience_s else 0.0,
    )


def _served_within(stretch: Stretch, places: int) -> list[float]:
    """Chance to be served within T with so many ahead: the way to the front in uniform beats (Jensen 1953)."""
    served = stretch.servers / stretch.aht_s
    leaving = 1.0 / stretch.patience_s if stretch.patience_s else 0.0
    within_s = stretch.within_s
    if served <= 0 or within_s <= 0:
        return [0.0] * places
    # Beyond these many ahead the chance is nil; the beat need only be right for those within.
    near = min(places, math.ceil(served * within_s + 10.0 * math.sqrt(served * within_s + 1.0)) + 10)
    beat = served + (near + 1) * leaving
    mean = beat * within_s
    state, found = [0.0] * near, [0.0] * near
    for jump in range(1, math.ceil(mean + 12.0 * math.sqrt(mean)) + 40):
        moved = [(served + (beat - served - leaving) * state[0]) / beat]
        for ahead in range(1, near):
            up = served + ahead * leaving
            moved.append((up * state[ahead - 1] + (beat - up - leaving) * state[ahead]) / beat)
        state = moved
        weight = math.exp(jump * math.log(mean) - mean - math.lgamma(jump + 1.0))
        found = [so_far + weight * value for so_far, value in zip(found, state, strict=True)]
    return found + [0.0] * (places - near)
