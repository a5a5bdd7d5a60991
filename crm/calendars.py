"""Business hours: how much working time lies between two instants, and when so much of it has passed. Pure.

A minute counts when the wall clock of the calendar's zone shows a time inside one of that day's spans. So a span that
contains the hour which a spring day skips is an hour shorter there, and one that contains the hour which an autumn day
repeats is an hour longer, as the people at work experience it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

Span = tuple[int, int]  # minutes of the wall clock since midnight, from and until; 1440 is the end of the day
Interval = tuple[datetime, datetime]  # instants in UTC

DAY = timedelta(days=1)
LONGEST_SEARCH = 3_660  # days looked ahead; a calendar that is closed for ten years has no end of anything


@dataclass(frozen=True, slots=True)
class Calendar:
    """Spans by weekday (0 is Monday) in a zone; a date with spans of its own, perhaps none, is an exception."""

    zone: ZoneInfo
    week: Mapping[int, Sequence[Span]]
    exceptions: Mapping[date, Sequence[Span]] = field(default_factory=dict)

    def spans(self, day: date) -> Sequence[Span]:
        """The spans of a date, in order."""
        return sorted(self.exceptions.get(day, self.week.get(day.weekday(), ())))


def problems(spans: Sequence[Span]) -> str:
    """What is wrong with the spans of a day, or nothing."""
    last = 0
    for start, end in sorted(spans):
        if not 0 <= start < end <= 1440:
            return f"{_clock(start)}–{_clock(end)} is not a span of a day"
        if start < last:
            return f"{_clock(start)}–{_clock(end)} overlaps the span before it"
        last = end
    return ""


def is_open(calendar: Calendar, at: datetime) -> bool:
    """Whether an instant lies in business hours."""
    return any(start <= at < end for start, end in intervals(calendar, at, at + timedelta(microseconds=1)))


def between(calendar: Calendar | None, start: datetime, end: datetime) -> timedelta:
    """Business time between two instants; without a calendar all time is. Nothing when the end is not later."""
    if end <= start:
        return timedelta(0)
    if calendar is None:
        return end - start
    return sum((until - since for since, until in intervals(calendar, start, end)), timedelta(0))


def after(calendar: Calendar | None, start: datetime, length: timedelta) -> datetime | None:
    """The instant at which so much business time has passed since `start`; None when there is never so much.

    A clock that starts outside hours starts at opening (`practice.md` 5.1); one that fits exactly ends at closing, and
    one with nothing left at once.
    """
    if calendar is None or length <= timedelta(0):
        return start + max(length, timedelta(0))
    left = length
    for since, until in intervals(calendar, start, start + LONGEST_SEARCH * DAY):
        if until - since >= left:
            return since + left
        left -= until - since
    return None


def intervals(calendar: Calendar, start: datetime, end: datetime) -> Iterator[Interval]:
    """Business hours within [start, end) as intervals in UTC, in order."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    day = start.astimezone(calendar.zone).date() - DAY
    last = end.astimezone(calendar.zone).date()
    while day <= last:
        if spans := calendar.spans(day):
            for since, until in _of_day(calendar.zone, day, spans):
                if until > start and since < end:
                    yield max(since, start), min(until, end)
        day += DAY


def _of_day(zone: ZoneInfo, day: date, spans: Sequence[Span]) -> list[Interval]:
    """A date's spans as instants: each stretch of equal offset for itself, so that skipped and repeated hours are right."""
    midnight = datetime.combine(day, time(), UTC)
    found = []
    for since, until, offset in _stretches(zone, day):
        for first, last in spans:
            opens = max(since, midnight + timedelta(minutes=first) - offset)
            closes = min(until, midnight + timedelta(minutes=last) - offset)
            if opens < closes:
                found.append((opens, closes))
    return sorted(found)


def _stretches(zone: ZoneInfo, day: date) -> list[tuple[datetime, datetime, timedelta]]:
    """The stretches of a date (UTC from, until, offset) between which the zone's clock is set."""
    # Wide enough for every offset; spans cut it to the date.
    since = datetime.combine(day, time(), UTC) - timedelta(hours=16)
    end = since + timedelta(hours=56)
    found = []
    while since < end:
        offset = _offset(zone, since)
        until = _change(zone, since, end)
        found.append((since, until, offset))
        since = until
    return found


def _change(zone: ZoneInfo, since: datetime, end: datetime) -> datetime:
    """The first instant after `since` at which the offset differs, at most `end`."""
    offset = _offset(zone, since)
    step = timedelta(hours=6)  # no zone sets its clock twice within six hours
    at = since
    while at < end and _offset(zone, min(at + step, end)) == offset:
        at = min(at + step, end)
    if at >= end:
        return end
    low, high = at, min(at + step, end)
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle <= low:
            break
        low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
    return high


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
