"""Figures of the trade as plain arithmetic; each function states its variant (`practice.md` 5)."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

SHORT_ABANDON_SECONDS = 5


def share(part: float, whole: float) -> float | None:
    """A share from 0 to 1, or None when there is nothing to divide."""
    return part / whole if whole else None


def service_level(in_time: int, answered: int, abandoned: int, abandoned_short: int = 0) -> float | None:
    """Answered within T ÷ (answered + abandoned after the short-abandon limit): the variant in force (5.2)."""
    return share(in_time, answered + abandoned - abandoned_short)


def service_level_abandons_in_time_met(
    in_time: int, answered: int, abandoned: int, abandoned_in_time: int
) -> float | None:
    """Published variant: who left within T counts as served within T."""
    return share(in_time + abandoned_in_time, answered + abandoned)


def service_level_all_abandons_missed(in_time: int, answered: int, abandoned: int) -> float | None:
    """Published variant: everybody who left counts as missed."""
    return share(in_time, answered + abandoned)


def service_level_abandons_in_time_left_out(
    in_time: int, answered: int, abandoned: int, abandoned_in_time: int
) -> float | None:
    """Published variant: who left within T is counted nowhere."""
    return share(in_time, answered + abandoned - abandoned_in_time)


def share_within_target(in_time: int, fell_due: int) -> float | None:
    """Deferred channels: answered in time ÷ all that fell due in the period, unanswered ones included (5.1)."""
    return share(in_time, fell_due)


def level_of_mixed_work(live: tuple[int, int, int, int], deferred: tuple[int, int]) -> float | None:
    """Live and deferred work of one queue in one figure, weighted by contacts (5.2).

    `live` is (in time, answered, abandoned, abandoned short), `deferred` is (in time, fell due).
    """
    in_time, answered, abandoned, short = live
    return share(in_time + deferred[0], answered + abandoned - short + deferred[1])


def load(held_units: float, units: float) -> float | None:
    """Mean units held ÷ units (5.3); beside occupancy, never instead of it."""
    return share(held_units, units)


# --- What customers say (5.5)

LEAST_ANSWERS = 30
NORMAL_95 = 1.959964  # 97.5 % quantile of the normal law


@dataclass(frozen=True)
class Estimate:
    """A figure from a sample with its 95 % interval and the number of answers; printed only together."""

    value: float
    low: float
    high: float
    answers: int


def net_promoter_score(promoters: int, passives: int, detractors: int) -> Estimate | None:
    """Share of marks 9–10 less share of marks 0–6, from -1 to 1 (Reichheld 2003); None under 30 answers.

    The variance of p - d over n answers is (p + d - (p - d)²) ÷ n. After a contact and of the relation: never pooled.
    """
    answers = promoters + passives + detractors
    if answers < LEAST_ANSWERS:
        return None
    for_us, against = promoters / answers, detractors / answers
    score = for_us - against
    half = NORMAL_95 * math.sqrt((for_us + against - score**2) / answers)
    return Estimate(score, max(-1.0, score - half), min(1.0, score + half), answers)


def net_promoter_score_of(marks: Iterable[int]) -> Estimate | None:
    """The same from marks 0 to 10."""
    counted = Counter(1 if mark >= 9 else -1 if mark <= 6 else 0 for mark in marks)
    return net_promoter_score(counted[1], counted[0], counted[-1])


def satisfaction(marks: Sequence[int], best: int = 5) -> Estimate | None:
    """CSAT: share of the two best marks, with Wilson's interval (1927), which holds near 0 and 1; None without answers."""
    if not marks:
        return None
    answers = len(marks)
    value = sum(mark >= best - 1 for mark in marks) / answers
    square = NORMAL_95**2 / answers
    middle = (value + square / 2) / (1 + square)
    half = NORMAL_95 * math.sqrt(value * (1 - value) / answers + square / (4 * answers)) / (1 + square)
    return Estimate(value, max(0.0, middle - half), min(1.0, middle + half), answers)


# --- Agents' time (5.3). Moments are seconds on one clock.

QUIET_SECONDS = 120


@dataclass(frozen=True)
class Span:
    """A stretch in which one item is active for one agent, or in its wrap-up; `whole`: takes all of him, as a call does."""

    item: int
    start: float
    end: float
    whole: bool = False


def active_spans(
    item: int, opened: float, closed: float, actions: Iterable[float], quiet: float = QUIET_SECONDS
) -> list[Span]:
    """When an open item was active: from its opening and each action of the agent on it, for two minutes at most."""
    spans: list[Span] = []
    for moment in sorted({opened, *(action for action in actions if opened <= action < closed)}):
        until = min(closed, moment + quiet)
        if spans and moment <= spans[-1].end:
            spans[-1] = Span(item, spans[-1].start, until)
        elif until > moment:
            spans.append(Span(item, moment, until))
    return spans


def focused_seconds(spans: Iterable[Span]) -> dict[int, float]:
    """Handle time by item for one agent: each second shared equally among the items active in it, a call takes it whole.

    The handle times add up to `worked_seconds`.
    """
    changes: list[tuple[float, int, Span]] = []
    found: dict[int, float] = {}
    for span in spans:
        found.setdefault(span.item, 0.0)
        if span.end > span.start:
            changes += [(span.start, 1, span), (span.end, -1, span)]
    active: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
    last = 0.0
    for moment, step, span in sorted(changes, key=lambda change: change[0]):
        sharing = +active[True] or +active[False]
        for item in sharing:
            found[item] += (moment - last) / len(sharing)
        active[span.whole][span.item] += step
        last = moment
    return found


def worked_seconds(spans: Iterable[Span]) -> float:
    """Seconds in which any item was active: the union of the spans."""
    return _length((span.start, span.end) for span in spans)


def concurrency(spans: Sequence[Span]) -> float | None:
    """Summed active spans ÷ their union: items an agent has in work at once while in work."""
    by_item: dict[int, list[tuple[float, float]]] = {}
    for span in spans:
        by_item.setdefault(span.item, []).append((span.start, span.end))
    return share(sum(_length(own) for own in by_item.values()), worked_seconds(spans))


def occupancy(spans: Sequence[Span], available: Iterable[tuple[float, float]]) -> float | None:
    """Seconds with an active item or wrap-up ÷ (those + available idle ones); never above 1, overlapping chats or not."""
    worked = worked_seconds(spans)
    either = _length([*((span.start, span.end) for span in spans), *available])
    return share(
        worked, max(worked, either)
    )  # sums of the same seconds in another order may differ by a rounding


def _length(stretches: Iterable[tuple[float, float]]) -> float:
    """Seconds in at least one of the stretches."""
    total, reached = 0.0, -math.inf
    for start, end in sorted(stretches):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


# --- First-contact resolution (5.4)


@dataclass(frozen=True)
class Problem:
    """A problem reported solved. `customer` is None where nobody could be identified."""

    customer: int | None
    reason: str
    solved_at: datetime
    reopened: bool = False
    passed_on: bool = False  # another department was needed


@dataclass(frozen=True)
class Contact:
    """A contact on any channel. `continues`: hand-off public → private, answer to our question, courtesy: the same contact."""

    customer: int | None
    reason: str
    at: datetime
    by_customer: bool = True
    continues: bool = False


@dataclass(frozen=True)
class FirstContact:
    """`at_once` of `solved` problems needed no second contact; `unidentified` ones are counted beside."""

    at_once: int
    solved: int
    unidentified: int

    @property
    def rate(self) -> float | None:
        return share(self.at_once, self.solved)

    def rate_of_an_agent(self) -> float | None:
        """No figure about a person below 30 problems."""
        return self.rate if self.solved >= LEAST_ANSWERS else None


def first_contact_resolution(
    problems: Iterable[Problem], contacts: Iterable[Contact], now: datetime, days: int = 7
) -> FirstContact:
    """Problems solved at least `days` ago without another customer-started contact about them on any channel since."""
    window = timedelta(days=days)
    later: dict[tuple[int, str], list[datetime]] = {}
    for contact in contacts:
        if contact.customer is not None and contact.by_customer and not contact.continues:
            later.setdefault((contact.customer, contact.reason), []).append(contact.at)
    ripe = [problem for problem in problems if problem.solved_at + window <= now]
    known = [problem for problem in ripe if problem.customer is not None]
    at_once = sum(
        not (problem.reopened or problem.passed_on)
        and not any(
            problem.solved_at < at <= problem.solved_at + window
            for at in later.get((problem.customer, problem.reason), ())
        )
        for problem in known
    )
    return FirstContact(at_once, len(known), len(ripe) - len(known))


# --- Sentiment change (5.5)

LEAST_MESSAGES = 3
TONE_LIMIT = 0.05  # beyond it a mean is negative or positive (Hutto and Gilbert 2014)


@dataclass(frozen=True)
class Tone:
    """Sentiment of one message of the customer, -1 to 1, by one version of the model."""

    score: float
    model: str
    courtesy: bool = False


def sentiment_change(tones: Sequence[Tone]) -> tuple[float, float] | None:
    """(starting tone, change): mean of the last third of the customer's messages less that of the first third.

    Courtesy is left out. None below three messages, and across versions of the model.
    """
    said = [tone for tone in tones if not tone.courtesy]
    if len(said) < LEAST_MESSAGES or len({tone.model for tone in said}) > 1:
        return None
    third = len(said) // 3
    start = sum(tone.score for tone in said[:third]) / third
    return start, sum(tone.score for tone in said[-third:]) / third - start


def tone_name(score: float) -> str:
    """negative, neutral or positive."""
    return "negative" if score <= -TONE_LIMIT else "positive" if score >= TONE_LIMIT else "neutral"


@dataclass(frozen=True)
class SentimentChange:
    """Mean change, the mean beyond what is usual for the same starting tone, and the share of tickets it covers."""

    mean: float | None
    beyond_usual: float | None
    coverage: float | None


def mean_sentiment_change(tickets: Sequence[Sequence[Tone]], usual: Mapping[str, float]) -> SentimentChange:
    """`usual`: change by starting tone (negative, neutral, positive) in comparable tickets.

    Angry people calm down by themselves: only what is beyond the usual can be our doing.
    """
    found = [change for change in map(sentiment_change, tickets) if change is not None]
    compared = [change - usual[name] for start, change in found if (name := tone_name(start)) in usual]
    return SentimentChange(
        share(sum(change for _, change in found), len(found)),
        share(sum(compared), len(compared)),
        share(len(found), len(tickets)),
    )
