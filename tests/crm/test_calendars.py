"""Business hours against a model that counts minute by minute, and worked days around clock changes."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm import calendars
from crm.calendars import Calendar

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Calendar(BERLIN, {day: ((9 * 60, 12 * 60), (13 * 60, 17 * 60)) for day in range(5)})
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Africa/Casablanca",
]
MINUTE = timedelta(minutes=1)


def at(text, zone=BERLIN):
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def test_a_ticket_of_friday_evening_is_due_on_monday():
    due = calendars.after(OFFICE, at("2026-11-27T16:30"), timedelta(hours=2))
    assert due == at("2026-11-30T10:30")


def test_lunch_does_not_count_and_a_clock_outside_hours_starts_at_opening():
    assert calendars.after(OFFICE, at("2026-11-25T11:30"), timedelta(hours=1)) == at("2026-11-25T13:30")
    assert calendars.after(OFFICE, at("2026-11-25T06:00"), timedelta(hours=1)) == at("2026-11-25T10:00")
    assert calendars.after(OFFICE, at("2026-11-25T09:00"), timedelta(hours=3)) == at("2026-11-25T12:00")


def test_a_holiday_is_skipped_and_a_half_day_counts_half():
    free = Calendar(BERLIN, OFFICE.week, {date(2026, 12, 24): ((540, 720),), date(2026, 12, 25): ()})
    assert calendars.after(free, at("2026-12-24T11:00"), timedelta(hours=2)) == at("2026-12-28T10:00")


def test_the_spring_night_is_an_hour_shorter_and_the_autumn_night_an_hour_longer():
    always = Calendar(BERLIN, {day: ((0, 1440),) for day in range(7)})
    assert calendars.between(always, at("2026-03-29T00:00"), at("2026-03-30T00:00")) == timedelta(hours=23)
    assert calendars.between(always, at("2026-10-25T00:00"), at("2026-10-26T00:00")) == timedelta(hours=25)
    night = Calendar(BERLIN, {6: ((60, 210),)})  # 01:00 to 03:30 on Sundays
    assert calendars.between(night, at("2026-03-29T00:00"), at("2026-03-30T00:00")) == timedelta(hours=1.5)
    assert calendars.between(night, at("2026-10-25T00:00"), at("2026-10-26T00:00")) == timedelta(hours=3.5)


def test_a_calendar_that_never_opens_never_ends_a_clock():
    assert calendars.after(Calendar(BERLIN, {}), at("2026-11-25T09:00"), MINUTE) is None
    assert calendars.between(
        Calendar(BERLIN, {}), at("2026-11-25T09:00"), at("2027-11-25T09:00")
    ) == timedelta(0)


def test_without_a_calendar_all_time_counts():
    start = at("2026-11-27T16:30")
    assert calendars.after(None, start, timedelta(hours=50)) == start + timedelta(hours=50)
    assert calendars.between(None, start, start - MINUTE) == timedelta(0)


@pytest.mark.parametrize(
    ("spans", "wrong"),
    [
        ([(540, 720)], ""),
        ([(540, 720), (700, 800)], "overlaps"),
        ([(0, 1441)], "not a span"),
        ([(5, 5)], "not a span"),
    ],
)
def test_impossible_spans_are_named(spans, wrong):
    assert wrong in calendars.problems(spans) and bool(wrong) == bool(calendars.problems(spans))


# --- Against the model


@st.composite
def spans_of_a_day(draw):
    cuts = sorted(draw(st.sets(st.integers(0, 96), min_size=0, max_size=6)))
    cuts = cuts[: len(cuts) // 2 * 2]
    return tuple((cuts[n] * 15, cuts[n + 1] * 15) for n in range(0, len(cuts), 2))


@st.composite
def some_calendar(draw):
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    week = {day: draw(spans_of_a_day()) for day in range(7)}
    base = date(2026, draw(st.sampled_from([3, 4, 10, 11, 12])), draw(st.integers(1, 28)))
    off = {
        base + timedelta(days=draw(st.integers(0, 6))): draw(spans_of_a_day())
        for _ in range(draw(st.integers(0, 3)))
    }
    start = datetime(
        base.year, base.month, base.day, draw(st.integers(0, 23)), draw(st.integers(0, 59)), tzinfo=UTC
    )
    return Calendar(zone, week, off), start


def counts(calendar, minute):
    """Whether the model counts the minute that begins here: only the wall clock is asked."""
    wall = minute.astimezone(calendar.zone)
    place = wall.hour * 60 + wall.minute
    spans = calendar.exceptions.get(wall.date(), calendar.week.get(wall.weekday(), ()))
    return any(first <= place < last for first, last in spans)


@settings(max_examples=150, deadline=None)
@given(some_calendar(), st.integers(0, 4 * 1440))
def test_business_time_equals_the_minutes_counted_one_by_one(case, minutes):
    calendar, start = case
    model = sum(counts(calendar, start + n * MINUTE) for n in range(minutes))
    assert calendars.between(calendar, start, start + minutes * MINUTE) == model * MINUTE


@settings(max_examples=150, deadline=None)
@given(some_calendar(), st.integers(1, 900))
def test_a_deadline_is_the_end_of_the_last_minute_counted(case, minutes):
    calendar, start = case
    due, left = start, minutes
    while left and due < start + timedelta(days=6):
        left -= counts(calendar, due)
        due += MINUTE
    if not left:
        assert calendars.after(calendar, start, minutes * MINUTE) == due
