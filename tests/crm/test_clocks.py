"""The clocks of a ticket: worked cases, and 10,000 cases (in the drill) against a model that counts minute by minute."""

import os
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from crm.calendars import Calendar
from crm.clocks import Act, Event, Happened, Kind, State, Targets, next_due, replay

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Calendar(BERLIN, {day: ((9 * 60, 17 * 60),) for day in range(5)})
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
PROMISES = Targets(first_response=HOUR, next_response=2 * HOUR, resolution=8 * HOUR, calendar=OFFICE)
CASES = int(os.environ.get("SLA_CASES", "200"))


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def told(clock):
    return [(line.act, line.cause) for line in clock.lines]


def test_each_promise_has_its_own_clock_and_each_line_its_cause():
    clocks = replay(
        [
            Event(at("2026-11-25T10:00"), Happened.CUSTOMER_WROTE, "wrote on X"),
            Event(at("2026-11-25T10:30"), Happened.ANSWERED, "Kim answered"),
            Event(at("2026-11-25T16:00"), Happened.CUSTOMER_WROTE, "wrote again"),
            Event(at("2026-11-26T09:30"), Happened.ANSWERED, "Kim answered"),
            Event(at("2026-11-26T09:45"), Happened.SOLVED, "closed as solved"),
        ],
        PROMISES,
    )
    first, resolution, following = clocks
    assert (first.kind, told(first)) == (
        Kind.FIRST_RESPONSE,
        [(Act.START, "wrote on X"), (Act.STOP, "Kim answered")],
    )
    assert first.state(at("2026-11-27T10:00")) == State.MET and first.used == timedelta(minutes=30)
    assert following.kind == Kind.NEXT_RESPONSE and following.used == timedelta(hours=1.5)
    assert [line.act for line in resolution.lines] == [
        Act.START, Act.PAUSE, Act.RESUME, Act.PAUSE, Act.STOP,
    ]  # fmt: skip
    # 30 minutes until the answer, then an hour and a half while we had the word.
    assert resolution.used == timedelta(hours=2)


def test_a_deadline_follows_the_pauses():
    events = [
        Event(at("2026-11-25T09:00"), Happened.CUSTOMER_WROTE),
        Event(at("2026-11-25T10:00"), Happened.WAITING, "waiting for a spare part"),
    ]
    resolution = replay(events, PROMISES)[1]
    assert resolution.due_at is None and resolution.state(at("2026-12-24T09:00")) == State.PAUSED
    resolution = replay([*events, Event(at("2026-11-25T16:00"), Happened.WORKING)], PROMISES)[1]
    # One hour used, seven left: one today, six tomorrow.
    assert resolution.due_at == at("2026-11-26T15:00")
    assert resolution.left(at("2026-11-25T16:30")) == timedelta(hours=6.5)


def test_late_is_late_for_ever_and_says_when_the_time_was_used_up():
    events = [
        Event(at("2026-11-25T16:30"), Happened.CUSTOMER_WROTE),
        Event(at("2026-11-26T09:31"), Happened.ANSWERED),
    ]
    first = replay(events, PROMISES)[0]
    assert first.state(at("2026-11-26T09:31")) == State.BREACHED and first.due_at == at("2026-11-26T09:30")
    assert [(line.act, line.at) for line in first.lines][1] == (Act.BREACH, at("2026-11-26T09:30"))
    just = replay([events[0], Event(at("2026-11-26T09:30"), Happened.ANSWERED)], PROMISES)[0]
    assert just.state(at("2026-11-26T09:31")) == State.MET


def test_a_reopened_ticket_goes_on_with_what_was_left():
    resolution = replay(
        [
            Event(at("2026-11-25T09:00"), Happened.CUSTOMER_WROTE),
            Event(at("2026-11-25T12:00"), Happened.SOLVED),
            Event(at("2026-11-27T09:00"), Happened.CUSTOMER_WROTE, "not solved"),
        ],
        PROMISES,
    )[1]
    assert resolution.state(at("2026-11-27T09:00")) == State.RUNNING and resolution.due_at == at(
        "2026-11-27T14:00"
    )


def test_what_is_due_next_is_the_earliest_open_deadline():
    clocks = replay([Event(at("2026-11-25T09:00"), Happened.CUSTOMER_WROTE)], PROMISES)
    assert next_due(clocks, at("2026-11-25T09:00")).kind == Kind.FIRST_RESPONSE
    clocks = replay(
        [
            Event(at("2026-11-25T09:00"), Happened.CUSTOMER_WROTE),
            Event(at("2026-11-25T09:10"), Happened.ANSWERED),
        ],
        Targets(first_response=HOUR, resolution=8 * HOUR, pauses_for_customer=False),
    )
    assert next_due(clocks, at("2026-11-25T09:10")).kind == Kind.RESOLUTION
    assert next_due([], at("2026-11-25T09:10")) is None


def test_no_promise_no_clock():
    assert replay([Event(at("2026-11-25T09:00"), Happened.CUSTOMER_WROTE)], Targets()) == []
    assert replay([Event(at("2026-11-25T09:00"), Happened.ANSWERED)], PROMISES) == []


# --- Against the model: a resolution clock with pauses, in calendars with holidays, zones and clock changes


@st.composite
def some_case(draw):
    zone = ZoneInfo(
        draw(
            st.sampled_from(
                ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
            )
        )
    )
    opens = st.tuples(st.integers(0, 40), st.integers(1, 30)).map(
        lambda one: (one[0] * 30 // 2, one[0] * 30 // 2 + one[1] * 15)
    )
    week = {
        day: tuple(draw(st.lists(opens, max_size=1))) + tuple(draw(st.sampled_from([(), ((1200, 1440),)])))
        for day in range(7)
    }
    base = draw(
        st.sampled_from(
            [
                date(2026, 3, 7),
                date(2026, 3, 28),
                date(2026, 4, 4),
                date(2026, 10, 3),
                date(2026, 10, 24),
                date(2026, 11, 1),
            ]
        )
    )
    off = {
        base + timedelta(days=draw(st.integers(0, 3))): draw(st.sampled_from([(), ((600, 660),)]))
        for _ in range(draw(st.integers(0, 2)))
    }
    start = datetime(
        base.year, base.month, base.day, draw(st.integers(0, 23)), draw(st.integers(0, 59)), tzinfo=UTC
    )
    moves = sorted(draw(st.lists(st.integers(1, 4 * 1440), max_size=6, unique=True)))
    calendar = draw(st.sampled_from([Calendar(zone, week, off), None]))
    return calendar, start, moves, draw(st.integers(1, 1200))


def minute_model(calendar, start, moves, target):
    """(minutes used at the end, minute of the breach or None): every minute is asked for itself.

    Late is who still runs when the time is used up, be it after closing.
    """
    used, breach, running = 0, None, True
    used_up_at = None
    for minute in range(moves[-1] if moves else 4 * 1440):
        if minute in moves:
            running = not running
            used_up_at = minute if running and used >= target else used_up_at if running else None
        if running and used >= target and breach is None:
            breach = used_up_at
        if running and counts(calendar, start + minute * MINUTE):
            used += 1
            if used == target:
                used_up_at = minute + 1
    return used, breach


def counts(calendar, instant):
    if calendar is None:
        return True
    wall = instant.astimezone(calendar.zone)
    place = wall.hour * 60 + wall.minute
    spans = calendar.exceptions.get(wall.date(), calendar.week.get(wall.weekday(), ()))
    return any(first <= place < last for first, last in spans)


@settings(max_examples=CASES, deadline=None)
@given(some_case())
def test_a_clock_with_pauses_equals_the_minutes_counted_one_by_one(case):
    calendar, start, moves, target = case
    events = [Event(start, Happened.CUSTOMER_WROTE)]
    for place, minute in enumerate(moves):
        events.append(Event(start + minute * MINUTE, Happened.WORKING if place % 2 else Happened.WAITING))
    end = start + (moves[-1] if moves else 4 * 1440) * MINUTE
    events.append(Event(end, Happened.SOLVED))
    clock = replay(events, Targets(resolution=target * MINUTE, calendar=calendar))[0]
    used, breach = minute_model(calendar, start, moves, target)
    assert clock.used == used * MINUTE
    assert (clock.state(end) == State.BREACHED) == (breach is not None)
    if breach is not None:
        assert clock.due_at == start + breach * MINUTE
