"""How much will come: a few honest methods, the best of them chosen by back-test on the series itself, with bands. Pure.

A series of equal intervals is cut into days of slots. Hours and days without rows are learned as closed, or as missing where
that weekday is usually open; neither counts as zero contacts. Counts are contacts an interval.

Methods: seasonal naive; mean and exponentially weighted mean of same weekdays; Holt–Winters with damped trend (Gardner and
McKenzie 1985) over days; and `calendar`: ridge regression of the day's logarithm on weekday, place in the month and reopening
after a closed day, its residuals followed by exponential smoothing, times a profile of the day (after Weinberg, Brown and
Stroud 2007, who model calls as rate of the day × profile). Chosen by rolling origin (Tashman 2000): each origin sees only
what came before it. Errors are Σ|actual - expected| ÷ Σ actual, per interval and per day.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

DAY_S = 86_400
BAND = 0.8  # share of outcomes between low and high
RECENT = 8  # occurrences of a weekday from which opening hours are learned
MEMORY = 400  # days from which methods learn
SURELY_SILENT = (
    12.0  # a day expected to bring that many and bringing none (chance e^-12) was closed or not recorded
)
LONGEST_TEST = 28  # days ahead of an origin that are judged
MOST_TESTED = 28  # days of origins
LEAST_HISTORY = 6  # days before the first origin
MAX_ROWS = 2_000_000
MAX_HORIZON = 200_000


class Unforecastable(ValueError):
    """A series or horizon that cannot be forecast; the message says why, for people."""


@dataclass(frozen=True)
class Expected:
    """One interval to come. `low` and `high` hold the actual count with a chance of 80 %."""

    at: datetime
    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """Σ|actual - expected| ÷ Σ actual over the back-test, per interval and per day; None where nothing came."""

    per_interval: float | None
    per_day: float | None


@dataclass(frozen=True)
class Backtest:
    """What the rolling origins showed. `within_band`: share of tested intervals inside the band."""

    origins: int
    days: int
    scores: dict[str, Score]
    within_band: float | None


@dataclass(frozen=True)
class Forecast:
    """The intervals that follow the last one given, the method chosen for them, and why."""

    intervals: list[Expected]
    method: str
    backtest: Backtest


# --- A series as days and slots


@dataclass(frozen=True)
class Days:
    """Days that have data, oldest first. `counts[day, slot]` is nan where there is no row; `ordinals` are proleptic days."""

    ordinals: np.ndarray
    counts: np.ndarray
    width_s: int

    def __len__(self) -> int:
        return len(self.ordinals)

    @property
    def weekdays(self) -> np.ndarray:
        return (self.ordinals + 6) % 7  # date.weekday of an ordinal

    def before(self, index: int) -> "Days":
        start = max(0, index - MEMORY)
        return replace(self, ordinals=self.ordinals[start:index], counts=self.counts[start:index])


@dataclass(frozen=True)
class Clock:
    """Where an interval stands: a day's ordinal and a slot. Intervals longer than a day are days a week apart."""

    width_s: int
    start: datetime

    @property
    def slots(self) -> int:
        return max(1, math.ceil(DAY_S / self.width_s))

    def place(self, at: datetime) -> tuple[int, int]:
        wall = at.replace(tzinfo=None)
        if self.width_s > DAY_S:
            return self.start.toordinal() + 7 * round(
                (wall - self.start) / timedelta(seconds=self.width_s)
            ), 0
        seconds = wall.hour * 3600 + wall.minute * 60 + wall.second
        return wall.toordinal(), seconds // self.width_s


def width_of(ats: Sequence[datetime]) -> int:
    """Seconds between intervals by the wall clock. Raises `Unforecastable` where they are not equal, gaps apart."""
    walls = sorted({at.replace(tzinfo=None) for at in ats})
    steps = Counter(
        round((after - before).total_seconds()) for before, after in zip(walls, walls[1:], strict=False)
    )
    if not steps:
        raise Unforecastable("a forecast needs at least two intervals")
    width = min(steps)
    if width < 1:
        raise Unforecastable("intervals must be at least a second apart")
    odd = next((step for step in steps if step % width), None)
    if odd is not None:
        raise Unforecastable(f"the intervals are not equal: steps of {width} s and of {odd} s")
    return width


def days_of(rows: Sequence[tuple[datetime, float]], clock: Clock) -> Days:
    """Rows by day and slot; an hour that the clock repeats counts as its mean, as do rows given twice."""
    places = np.array([clock.place(at) for at, _ in rows])
    ordinals, day = np.unique(places[:, 0], return_inverse=True)
    sums = np.zeros((len(ordinals), clock.slots))
    times = np.zeros_like(sums)
    np.add.at(sums, (day, places[:, 1]), [count for _, count in rows])
    np.add.at(times, (day, places[:, 1]), 1)
    counts = np.full_like(sums, np.nan)
    np.divide(sums, times, out=counts, where=times > 0)
    return _without_silence(Days(ordinals, counts, clock.width_s))


def _without_silence(days: Days) -> Days:
    """Whole days of zeros on a weekday that is usually busy are holidays or outages, not calm days."""
    totals = np.nansum(days.counts, axis=1)
    usual = np.array([np.median(totals[days.weekdays == weekday]) for weekday in days.weekdays])
    kept = (totals > 0) | (usual < SURELY_SILENT)
    return replace(days, ordinals=days.ordinals[kept], counts=days.counts[kept])


@dataclass(frozen=True)
class Hours:
    """Learned opening hours: `open[weekday, slot]`."""

    open: np.ndarray

    def on(self, ordinals: np.ndarray) -> np.ndarray:
        return self.open[(ordinals + 6) % 7]


def hours_of(days: Days) -> Hours:
    """A weekday is open if at least half of its last eight occurrences have data, a slot if half of those days have it.

    The first and the last day may be cut off, so hours are learned between them. A weekday that never occurred there is
    taken to be like the others. Less than a day says nothing of closing: all is open.
    """
    hours = np.zeros((7, days.counts.shape[1]), bool)
    if len(days) == 1:
        return Hours(~hours)
    mean = np.nansum(days.counts) / len(days)
    first, last = int(days.ordinals[0]) + 1, int(days.ordinals[-1]) - 1
    for weekday in range(7):
        occurrences = np.arange(last - (last + 6 - weekday) % 7, first - 1, -7)[:RECENT]
        seen = days.counts[np.isin(days.ordinals, occurrences)]
        silent = np.nansum(seen) == 0 and mean * len(seen) >= SURELY_SILENT
        if len(occurrences) == 0:
            seen = days.counts
        elif len(seen) * 2 < len(occurrences) or silent:
            continue
        hours[weekday] = np.mean(~np.isnan(seen), axis=0) >= 0.5
    return Hours(hours)


# --- Methods: (history, hours, ordinals wanted) → expected counts by day and slot

Method = Callable[[Days, Hours, np.ndarray], np.ndarray]


def _same_weekdays(days: Days, ordinal: int) -> np.ndarray:
    same = days.counts[days.weekdays == (ordinal + 6) % 7]
    return same if len(same) else days.counts[-7:]


def _weighted(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over days slot by slot, leaving out what is missing; zero where nothing is known."""
    known = np.where(np.isnan(counts), 0.0, weights[:, None])
    sums = (np.nan_to_num(counts) * known).sum(axis=0)
    weight = known.sum(axis=0)
    return np.divide(sums, weight, out=np.zeros_like(sums), where=weight > 0)


def _by_weekday(days: Days, ordinals: np.ndarray, weights_of: Callable[[int], np.ndarray]) -> np.ndarray:
    found = {}
    for ordinal in ordinals:
        if (weekday := (ordinal + 6) % 7) not in found:
            same = _same_weekdays(days, ordinal)
            found[weekday] = _weighted(same, weights_of(len(same)))
    return np.array([found[(ordinal + 6) % 7] for ordinal in ordinals])


def seasonal_naive(days: Days, hours: Hours, ordinals: np.ndarray) -> np.ndarray:
    """The last same weekday again; where it has no row, the one before."""
    return _by_weekday(days, ordinals, lambda count: 1e-6 ** np.arange(count - 1, -1, -1.0))


def mean_of_weekdays(days: Days, hours: Hours, ordinals: np.ndarray) -> np.ndarray:
    """The mean of the last four same weekdays."""
    return _by_weekday(days, ordinals, lambda count: (np.arange(count) >= count - 4).astype(float))


def weighted_weekdays(days: Days, hours: Hours, ordinals: np.ndarray) -> np.ndarray:
    """All same weekdays, each worth 0.7 of the one after it."""
    return _by_weekday(days, ordinals, lambda count: 0.7 ** np.arange(count - 1, -1, -1.0))


def holt_winters(days: Days, hours: Hours, ordinals: np.ndarray) -> np.ndarray:
    """Level, damped trend and weekday factors of the days, smoothed exponentially, times the profile of the day."""
    totals, share = day_totals(days, hours)
    best: tuple[float, np.ndarray] | None = None
    for alpha, beta, gamma in ((0.1, 0.01, 0.1), (0.3, 0.01, 0.1), (0.3, 0.05, 0.3), (0.5, 0.1, 0.2)):
        missed, ahead = _smooth(days, totals, share, ordinals, (alpha, beta, gamma))
        if best is None or missed < best[0]:
            best = missed, ahead
    return best[1][:, None] * profiles(days, hours, ordinals, totals)


DAMPING = 0.9
ORDINARY = 0.15  # by which days differ from their expectation
CLIP = 3.5  # deviations beyond which a surprise is cut (a storm, an outage)


def _smooth(
    days: Days, totals: np.ndarray, share: np.ndarray, ordinals: np.ndarray, rates: tuple[float, float, float]
) -> tuple[float, np.ndarray]:
    """Sum of squares of the errors one day ahead, and the totals of the days wanted."""
    alpha, beta, gamma = rates
    weekdays = days.weekdays
    level = float(np.mean(totals[:7])) or 1e-9
    trend, missed = 0.0, 0.0
    season = np.ones(7)
    for weekday in np.unique(weekdays[:14]):
        season[weekday] = np.mean(totals[:14][weekdays[:14] == weekday]) / level
    for total, weekday, weight in zip(totals, weekdays, share, strict=True):
        factor = max(season[weekday], 1e-6)
        before = level + DAMPING * trend
        usual = max(0.0, before) * factor
        missed += weight * (total - usual) ** 2
        # A storm moves the level no further than a busy day does.
        most = CLIP * math.sqrt(usual + (ORDINARY * usual) ** 2)
        total = min(max(total, usual - most), usual + most)
        level = max(1e-9, before + alpha * weight * (total / factor - before))
        trend = DAMPING * trend + beta * weight * (level - before)
        season[weekday] += gamma * weight * (total / level - season[weekday])
    known = np.isin(np.arange(7), weekdays)
    season[~known] = np.mean(season[known])
    ahead = np.arange(1, len(ordinals) + 1)
    drift = trend * DAMPING * (1 - DAMPING**ahead) / (1 - DAMPING)
    return missed, np.maximum(0.0, level + drift) * season[(ordinals + 6) % 7]


HALF_LIFE = 80.0  # days after which the regression trusts a day half as much
FOLLOW = 0.4  # of a day's surprise is taken over into the level
KEPT = 0.97  # of the level's distance from the long run a day later
RIDGE = (0.05, 1.0, 0.3)  # on weekdays, place in the month, reopening


def calendar(days: Days, hours: Hours, ordinals: np.ndarray) -> np.ndarray:
    """Regression on the calendar and a level that follows, times the profile of the day."""
    totals, share = day_totals(days, hours)
    logs = np.log(np.maximum(totals, 0.5))
    both = np.concatenate([days.ordinals, ordinals])
    facts = _facts(both, hours, int(days.ordinals[-1]))
    weights = share * 0.5 ** (np.arange(len(days) - 1, -1, -1.0) / HALF_LIFE)
    mean = np.average(logs, weights=weights)
    penalties = np.repeat(RIDGE, (7, 4, 1))
    for _ in range(2):  # the second time without being led by storms
        known = facts[: len(days)]
        squares = (known * weights[:, None]).T @ known + np.diag(penalties)
        slopes = np.linalg.solve(squares, (known * weights[:, None]).T @ (logs - mean))
        residuals = logs - mean - known @ slopes
        level, surprises = _follow(residuals, share)
        spread = CLIP * max(1e-3, 1.4826 * float(np.median(np.abs(surprises))))
        weights = weights * np.minimum(1.0, spread / np.maximum(np.abs(surprises), 1e-12))
    level, followed = _follow(residuals, share, spread)[0], residuals - surprises
    fitted = np.exp(mean + facts[: len(days)] @ slopes + followed)
    # The mean of a count is above the exponential of its mean logarithm (Duan 1983, smearing).
    smear = np.average(totals, weights=weights) / np.average(fitted, weights=weights)
    ahead = np.maximum(0, ordinals - days.ordinals[-1] - 1)
    expected = np.exp(mean + facts[len(days) :] @ slopes + level * KEPT**ahead) * min(max(smear, 0.5), 2.0)
    return expected[:, None] * profiles(days, hours, ordinals, totals)


def _follow(residuals: np.ndarray, share: np.ndarray, clip: float = math.inf) -> tuple[float, np.ndarray]:
    level, surprises = 0.0, np.empty_like(residuals)
    for index, (residual, weight) in enumerate(zip(residuals, share, strict=True)):
        surprises[index] = residual - level
        level += FOLLOW * weight * min(clip, max(-clip, residual - level))
    return level, surprises


def _facts(ordinals: np.ndarray, hours: Hours, last: int) -> np.ndarray:
    """Weekday, two waves over the month, and whether the last day that should have been open was not."""
    weekday = np.eye(7)[(ordinals + 6) % 7]
    place = np.array([_place_in_month(int(ordinal)) for ordinal in ordinals])
    waves = np.stack([np.cos(place), np.sin(place), np.cos(2 * place), np.sin(2 * place)], axis=1)
    opens: list[bool] = hours.open.any(axis=1).tolist()
    present = set(ordinals.tolist())
    reopened = np.zeros((len(ordinals), 1))
    for index, ordinal in enumerate(ordinals[1:], start=1):
        before = next(
            (int(ordinal) - gap for gap in range(1, 8) if opens[(int(ordinal) - gap + 6) % 7]), None
        )
        reopened[index] = before is not None and before not in present and before <= last
    return np.hstack([weekday, waves, reopened])


def _place_in_month(ordinal: int) -> float:
    day = date.fromordinal(ordinal)
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1) if day.year < 9999 else day
    length = max(28, (following - day.replace(day=1)).days)
    return 2 * math.pi * (day.day - 1) / length


def day_totals(days: Days, hours: Hours) -> tuple[np.ndarray, np.ndarray]:
    """Totals as if each day had all its open slots, and the share of its work that each day really shows."""
    usual = _weighted(days.counts, np.ones(len(days)))
    there = (~np.isnan(days.counts) * usual).sum(axis=1)
    whole = ((hours.on(days.ordinals) | ~np.isnan(days.counts)) * usual).sum(axis=1)
    share = np.divide(there, whole, out=np.ones(len(days)), where=whole > 0)
    totals = np.nansum(days.counts, axis=1)
    return np.divide(totals, share, out=totals.copy(), where=share > 0.05), np.maximum(share, 0.01)


PROFILE_HALF_LIFE = 40.0  # days
PROFILE_MINUTES = (
    5.0,
    25.0,
)  # smoothing of the common profile and of a weekday's own, at this many contacts a minute:
PROFILE_RATE = 38.0
PROFILE_SHRINK = 0.75  # days for which the common profile counts beside a weekday's own


def profiles(days: Days, hours: Hours, ordinals: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Share of a day's contacts in each slot: that of all days, bent smoothly towards the weekday's own."""
    found = {
        weekday: _profile(days, hours, weekday, totals) for weekday in {int(o + 6) % 7 for o in ordinals}
    }
    return np.array([found[int(ordinal + 6) % 7] for ordinal in ordinals])


def _profile(days: Days, hours: Hours, weekday: int, totals: np.ndarray) -> np.ndarray:
    profile = np.zeros(days.counts.shape[1])
    opened = np.flatnonzero(hours.open[weekday])
    if len(opened) == 0:
        return profile
    counts = days.counts[:, opened]
    sums = np.nansum(counts, axis=1)
    rows = np.divide(counts, sums[:, None], out=np.full_like(counts, np.nan), where=sums[:, None] > 0)
    fading = 0.5 ** (np.arange(len(days) - 1, -1, -1.0) / PROFILE_HALF_LIFE)
    fine, coarse = _bandwidths(days, len(opened), float(np.average(totals, weights=fading)))
    common = _smoothed(_weighted(rows, fading * sums), opened, fine)
    own = fading * (days.weekdays == weekday)
    bend = np.divide(rows, common, out=np.ones_like(rows), where=common > 0) - 1
    trust = own.sum() / (own.sum() + PROFILE_SHRINK)
    profile[opened] = np.maximum(0.0, common * (1 + trust * _smoothed(_weighted(bend, own), opened, coarse)))
    whole = profile.sum()
    return profile / whole if whole > 0 else profile


def _bandwidths(days: Days, slots: int, total: float) -> tuple[float, float]:
    """In slots. What is rarer needs wider smoothing, by the fifth root (Silverman 1986)."""
    rate = max(1e-3, total / (slots * days.width_s / 60))
    wider = min(4.0, max(0.5, (PROFILE_RATE / rate) ** 0.2))
    fine, coarse = (minutes * wider * 60 / days.width_s for minutes in PROFILE_MINUTES)
    return fine, coarse


def _smoothed(values: np.ndarray, slots: np.ndarray, width: float) -> np.ndarray:
    """Gaussian mean over neighbouring open slots, `width` in slots; nothing flows over closed hours' edges."""
    if width < 0.3 or len(values) < 3:
        return values
    reach = math.ceil(4 * width)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    line = np.zeros(slots[-1] - slots[0] + 1)
    there = line.copy()
    line[slots - slots[0]], there[slots - slots[0]] = values, 1.0
    spread, weight = np.convolve(line, kernel), np.convolve(there, kernel)
    return (spread[reach : len(spread) - reach] / np.maximum(weight[reach : len(weight) - reach], 1e-12))[
        slots - slots[0]
    ]


METHODS: dict[str, Method] = {
    "seasonal naive": seasonal_naive,
    "mean of weekdays": mean_of_weekdays,
    "weighted weekdays": weighted_weekdays,
    "holt-winters": holt_winters,
    "calendar": calendar,
}


# --- Back-test and bands


@dataclass(frozen=True)
class _Trial:
    """One method's days ahead of all origins: actual (nan: no row) and expected."""

    actual: np.ndarray
    expected: np.ndarray

    def score(self) -> Score:
        whole = np.nansum(self.actual)
        if not whole > 0:
            return Score(None, None)
        per_day = np.nansum(self.actual, axis=1) - np.nansum(
            np.where(np.isnan(self.actual), np.nan, self.expected), axis=1
        )
        return Score(
            float(np.nansum(np.abs(self.actual - self.expected)) / whole),
            float(np.abs(per_day).sum() / whole),
        )


def try_methods(days: Days, ahead: int) -> tuple[int, dict[str, _Trial]]:
    """Each method from rolling origins, `ahead` days at a time, and the number of origins."""
    ahead = min(ahead, LONGEST_TEST, max(1, len(days) // 3))
    step = max(1, ahead // 3)
    first = max(LEAST_HISTORY, len(days) - MOST_TESTED - ahead + 1)
    origins = range(len(days) - ahead, first - 1, -step)[::-1]
    actual: list[np.ndarray] = []
    expected: dict[str, list[np.ndarray]] = {name: [] for name in METHODS}
    for origin in origins:
        history, wanted = days.before(origin), days.ordinals[origin : origin + ahead]
        hours = hours_of(history)
        actual.append(days.counts[origin : origin + ahead])
        for name, method in METHODS.items():
            expected[name].append(np.where(hours.on(wanted), method(history, hours, wanted), 0.0))
    if not actual:
        return 0, {}
    return len(origins), {name: _Trial(np.vstack(actual), np.vstack(made)) for name, made in expected.items()}


def best_of(scores: dict[str, Score]) -> str:
    """Least error per interval and per day together; without a test the plain mean."""
    judged = {name: s.per_interval + s.per_day for name, s in scores.items() if s.per_interval is not None}
    return min(judged, key=judged.__getitem__) if judged else "mean of weekdays"


@dataclass(frozen=True)
class Band:
    """Errors are told in units of √(expected + (drift·expected)²): chance within the interval, and the day's level missed."""

    drift: float
    low: float
    high: float

    def unit(self, expected: np.ndarray) -> np.ndarray:
        return np.sqrt(expected + (self.drift * expected) ** 2)

    def around(self, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        unit = self.unit(expected)
        return np.maximum(0.0, expected + self.low * unit), np.maximum(expected, expected + self.high * unit)


def band_of(trial: _Trial | None) -> Band:
    """Quantiles of the back-test's errors; with fewer than 30 of them those of the normal law."""
    usual = 1.2816
    if trial is None:
        return Band(0.1, -usual, usual)
    there = np.where(np.isnan(trial.actual), 0.0, trial.expected).sum(axis=1)
    ratios = np.divide(np.nansum(trial.actual, axis=1), there, out=np.ones(len(there)), where=there > 0) - 1
    # What chance alone does to a day's total is not the level's doing.
    drift = math.sqrt(max(0.0, float(np.mean(ratios**2)) - float(np.mean(1 / np.maximum(there, 1.0)))))
    band = Band(min(drift, 2.0), -usual, usual)
    counted = ~np.isnan(trial.actual) & (trial.expected > 0)
    errors = (trial.actual - trial.expected)[counted] / band.unit(trial.expected[counted])
    if len(errors) < 30:
        return band
    low, high = np.quantile(errors, [(1 - BAND) / 2, (1 + BAND) / 2])
    return replace(band, low=min(0.0, float(low)), high=max(0.0, float(high)))


# --- The forecast


def forecast(
    rows: Sequence[tuple[datetime, float]], horizon: int, *, zone: ZoneInfo | None = None
) -> Forecast:
    """The `horizon` intervals after the last row. Raises `Unforecastable`.

    Times are local: naive, with their own offset, or brought to `zone`, whose changes of the clock are then right ahead too.
    The last day may be unfinished; its rest and the days after it heed what it has brought so far.
    """
    if not 1 <= horizon <= MAX_HORIZON:
        raise Unforecastable(f"the horizon must be from 1 to {MAX_HORIZON:,} intervals")
    if len(rows) > MAX_ROWS:
        raise Unforecastable(f"more than {MAX_ROWS:,} rows")
    local = sorted(((_local(at, zone), count) for at, count in rows), key=lambda row: row[0])
    width = width_of([at for at, _ in local])
    clock = Clock(width, local[0][0].replace(tzinfo=None))
    days = _at_least_a_day(days_of(local, clock))
    ats = coming(local[-1][0], width, horizon)
    places = np.array([clock.place(at) for at in ats])
    hours = hours_of(days)
    finished, today = _split_today(days, hours, places)
    wanted = np.unique(places[:, 0])
    ahead = int(hours.on(wanted).any(axis=1).sum())
    origins, trials = try_methods(finished, max(1, ahead))
    scores = {name: trial.score() for name, trial in trials.items()}
    name = best_of(scores)
    band = band_of(trials.get(name))
    expected = _expect(METHODS[name], finished, today, hours, wanted, band)
    means = expected[np.searchsorted(wanted, places[:, 0]), places[:, 1]]
    low, high = band.around(means)
    made = [Expected(*one) for one in zip(ats, means.tolist(), low.tolist(), high.tolist(), strict=True)]
    tested = len(trials[name].actual) if trials else 0
    return Forecast(made, name, Backtest(origins, tested, scores, _within(trials.get(name), band)))


def _at_least_a_day(days: Days) -> Days:
    """The hours that a single day does not show are taken to be like those it does."""
    if len(days) > 1:
        return days
    return replace(days, counts=np.where(np.isnan(days.counts), np.nanmean(days.counts), days.counts))


def _local(at: datetime, zone: ZoneInfo | None) -> datetime:
    if zone is None:
        return at
    return at.astimezone(zone) if at.tzinfo else at.replace(tzinfo=zone)


def coming(last: datetime, width_s: int, horizon: int) -> list[datetime]:
    """Times of the intervals after `last`: by real time where the zone is known (days of 23 and 25 hours), else by the wall."""
    step = timedelta(seconds=width_s)
    try:
        if last.tzinfo is None or width_s >= DAY_S:
            return [last + step * index for index in range(1, horizon + 1)]
        start = last.astimezone(UTC)
        return [(start + step * index).astimezone(last.tzinfo) for index in range(1, horizon + 1)]
    except OverflowError as error:
        raise Unforecastable("the horizon ends beyond the calendar") from error


def _split_today(days: Days, hours: Hours, places: np.ndarray) -> tuple[Days, Days | None]:
    """The finished days, and the last one apart if the forecast begins in it while it is open."""
    day, slot = places[0]
    rest = hours.on(np.array([day]))[0][slot:]
    if len(days) > 1 and days.ordinals[-1] == day and rest.any():
        return days.before(len(days) - 1), replace(days, ordinals=days.ordinals[-1:], counts=days.counts[-1:])
    return days.before(len(days)), None


def _expect(
    method: Method, days: Days, today: Days | None, hours: Hours, wanted: np.ndarray, band: Band
) -> np.ndarray:
    """Expected counts of the days wanted; today's surprise so far moves its rest, and through it the days after."""
    if today is not None:
        made = np.where(hours.on(today.ordinals), method(days, hours, today.ordinals), 0.0)
        so_far = np.where(np.isnan(today.counts), 0.0, made).sum()
        surprise = np.nansum(today.counts) / so_far - 1 if so_far > 0 else 0.0
        # The level's own uncertainty against chance in what has come so far.
        trust = band.drift**2 / (band.drift**2 + 1 / max(so_far, 1e-9)) if so_far > 0 else 0.0
        made = made * max(0.1, 1 + trust * surprise)
        whole = np.where(
            np.isnan(today.counts), np.where(hours.on(today.ordinals), made, np.nan), today.counts
        )
        days = replace(
            days,
            ordinals=np.concatenate([days.ordinals, today.ordinals]),
            counts=np.vstack([days.counts, whole]),
        )
        rest = method(days, hours, wanted)
        rest[wanted == today.ordinals[0]] = made
        return np.where(hours.on(wanted), rest, 0.0)
    return np.where(hours.on(wanted), method(days, hours, wanted), 0.0)


def _within(trial: _Trial | None, band: Band) -> float | None:
    if trial is None:
        return None
    counted = ~np.isnan(trial.actual) & (trial.expected > 0)
    if not counted.any():
        return None
    low, high = band.around(trial.expected[counted])
    actual = trial.actual[counted]
    return float(np.mean((low <= actual) & (actual <= high)))
