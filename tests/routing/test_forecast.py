"""Forecasts of series whose answer is known, of one real one, and what must hold for any series."""

import csv
import json
import math
import random
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing import forecast as forecasts
from routing.forecast import Days, Unforecastable, forecast
from routing.management.commands.forecast import BadRows, read_rows, words

ROOT = Path(__file__).resolve().parents[2]
CALLS = ROOT.parent / "shared" / "data" / "call_centre" / "calls_5min.csv"
BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 3, 2)
BY_WEEKDAY = [100, 80, 70, 70, 60, 0, 0]


def hours_of_weeks(weeks, of_hour, start=MONDAY, hours=range(8, 18), weekdays=range(5)):
    """Rows of an hourly centre, open hours only; `of_hour(at)` says the count."""
    ats = (start + timedelta(hours=hour) for hour in range(24 * 7 * weeks))
    return [(at, of_hour(at)) for at in ats if at.hour in hours and at.weekday() in weekdays]


def shaped(at):
    return BY_WEEKDAY[at.weekday()] * (1 + 0.1 * (at.hour - 12) * (at.hour < 14))


# --- Series whose answer is known


def test_a_week_that_repeats_is_forecast_to_the_call():
    found = forecast(hours_of_weeks(8, shaped), 24 * 7)
    assert len(found.intervals) == 168
    for one in found.intervals:
        right = shaped(one.at) if one.at.hour in range(8, 18) and one.at.weekday() < 5 else 0
        assert one.expected == pytest.approx(right, rel=0.02, abs=0.01), one.at
        assert one.low <= one.expected <= one.high


@pytest.mark.parametrize("filled", [False, True])
def test_closed_hours_and_closed_weekdays_are_learned_with_and_without_rows_of_zero(filled):
    if filled:
        rows = [
            (at := MONDAY + timedelta(hours=hour), shaped(at) if at.hour in range(8, 18) else 0)
            for hour in range(24 * 7 * 6)
        ]
    else:
        rows = hours_of_weeks(6, shaped)
    for one in forecast(rows, 24 * 7).intervals:
        is_open = one.at.hour in range(8, 18) and one.at.weekday() < 5
        assert (one.expected > 0) == is_open, one.at
        assert is_open or (one.low, one.high) == (0, 0)


def test_a_holiday_is_no_day_of_zero_calls():
    rows = hours_of_weeks(6, shaped)
    holiday = (MONDAY + timedelta(weeks=5)).date()
    without = [row for row in rows if row[0].date() != holiday]
    zeros = [(at, 0 if at.date() == holiday else count) for at, count in rows]
    for history in (without, zeros):
        next_monday = next(one for one in forecast(history, 24 * 7).intervals if one.expected > 0)
        assert next_monday.expected == pytest.approx(shaped(next_monday.at), rel=0.1)


def test_growth_is_followed():
    rows = hours_of_weeks(10, lambda at: 50 * 1.02 ** ((at - MONDAY).days))
    ahead = [one for one in forecast(rows, 24 * 4).intervals if one.expected > 0]
    truth = 50 * 1.02 ** (ahead[0].at - MONDAY).days
    four_weeks = np.mean([50 * 1.02 ** ((ahead[0].at - MONDAY).days - 7 * back) for back in (1, 2, 3, 4)])
    assert abs(ahead[0].expected - truth) < abs(four_weeks - truth) / 2


def test_one_storm_does_not_become_the_rule():
    rng = np.random.default_rng(5)
    rows = hours_of_weeks(8, lambda at: int(rng.poisson(shaped(at))))
    storm = (MONDAY + timedelta(weeks=7, days=3)).date()
    stormy = [(at, count * 8 if at.date() == storm else count) for at, count in rows]
    calm, after = (
        sum(one.expected for one in forecast(history, 24 * 7).intervals) for history in (rows, stormy)
    )
    assert after == pytest.approx(calm, rel=0.25)


@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_series_stays_constant(value):
    rows = [(MONDAY + timedelta(minutes=30 * step), value) for step in range(48 * 21)]
    found = forecast(rows, 48)
    assert [one.expected for one in found.intervals] == pytest.approx([value] * 48, rel=0.01)
    assert json.loads(json.dumps(words(found)))["method"] == found.method


@pytest.mark.parametrize("count", [2, 3, 10, 30, 200])
def test_a_short_series_gives_a_plain_answer(count):
    rows = [(MONDAY + timedelta(hours=step), 10) for step in range(count)]
    found = forecast(rows, 48)
    assert all(math.isfinite(one.expected) and one.low <= one.expected <= one.high for one in found.intervals)


@pytest.mark.parametrize("minutes", [1, 7, 15, 30, 45, 60, 240, 1440, 7 * 1440])
def test_any_width_of_interval_works(minutes):
    step = timedelta(minutes=minutes)
    rows = [(MONDAY + step * index, 6) for index in range(max(40, min(4000, 20 * 1440 // minutes)))]
    found = forecast(rows, 30)
    assert found.intervals[0].at == rows[-1][0] + step
    assert sum(one.expected for one in found.intervals) == pytest.approx(180, rel=0.05)


def test_a_gap_within_a_day_is_not_taken_for_calm():
    rows = [
        row
        for row in hours_of_weeks(8, shaped)
        if row[0].date() != datetime(2026, 4, 23).date() or row[0].hour < 12
    ]
    whole, gap = (
        sum(one.expected for one in forecast(history, 24 * 7).intervals)
        for history in (hours_of_weeks(8, shaped), rows)
    )
    assert gap == pytest.approx(whole, rel=0.03)


def test_the_rest_of_today_heeds_what_came_this_morning():
    rng = random.Random(7)
    levels = {}
    noisy = [
        (at, round(shaped(at) * levels.setdefault(at.date(), rng.uniform(0.7, 1.3))))
        for at, _ in hours_of_weeks(8, shaped)
    ]
    today = datetime(2026, 4, 27)
    morning = [
        (today + timedelta(hours=hour), 2.0 * shaped(today + timedelta(hours=hour))) for hour in range(8, 13)
    ]
    calm = [(at, count / 2) for at, count in morning]
    busy, usual = (
        sum(one.expected for one in forecast(noisy + start, 5).intervals) for start in (morning, calm)
    )
    assert busy > 1.5 * usual


# --- Days of 23 and 25 hours


@pytest.mark.parametrize(("first", "length"), [(datetime(2026, 3, 29), 23), (datetime(2026, 10, 25), 25)])
def test_a_day_on_which_the_clock_changes_has_23_or_25_hours(first, length):
    start = (first - timedelta(weeks=4)).replace(tzinfo=BERLIN)
    hours = int((first.replace(tzinfo=BERLIN) - start).total_seconds() // 3600)
    rows = [((start.astimezone(UTC) + timedelta(hours=step)).astimezone(BERLIN), 10) for step in range(hours)]
    found = forecast(rows, 48, zone=BERLIN)
    of_the_day = [one for one in found.intervals if one.at.date() == first.date()]
    assert len(of_the_day) == length
    assert len({one.at.astimezone(UTC) for one in found.intervals}) == 48


def test_the_hour_that_comes_twice_is_learned_as_one_hour_not_as_a_double_one():
    start = datetime(2026, 9, 28, tzinfo=BERLIN)
    rows = [
        ((start.astimezone(UTC) + timedelta(hours=step)).astimezone(BERLIN), 10)
        for step in range(24 * 28 + 1)
    ]
    assert rows[-1][0].date() == datetime(2026, 10, 25).date()
    found = forecast(rows, 48, zone=BERLIN)
    assert [one.expected for one in found.intervals] == pytest.approx([10] * 48, rel=0.02)
    # The same times as a file without offsets has them.
    naive = [(at.replace(tzinfo=None), count) for at, count in rows]
    assert [one.expected for one in forecast(naive, 48).intervals] == pytest.approx([10] * 48, rel=0.02)


# --- Bands


def test_the_band_holds_four_of_five():
    rng = np.random.default_rng(3)
    rows = hours_of_weeks(14, lambda at: int(rng.poisson(shaped(at))))
    known, held = rows[:-200], rows[-200:]
    found = {one.at: one for one in forecast(known, 24 * 7 * 5).intervals}
    inside = [found[at].low <= count <= found[at].high for at, count in held]
    assert 0.7 <= np.mean(inside) <= 0.9


# --- A bank's calls (Weinberg, Brown and Stroud 2007)


@pytest.fixture(scope="module")
def bank() -> Days:
    if not CALLS.exists():
        pytest.skip("../shared/data is absent")
    by_day: dict = {}
    for row in csv.DictReader(CALLS.open()):
        at = datetime.fromisoformat(row["date_time"])
        by_day.setdefault(at.toordinal(), []).append(float(row["calls"]))
    return Days(np.array(list(by_day)), np.array(list(by_day.values())), 300)


def errors(actual, expected):
    return np.abs(actual - expected).sum() / actual.sum(), np.abs(
        (actual - expected).sum(axis=1)
    ).sum() / actual.sum()


def test_the_last_forty_days_of_a_bank_are_forecast_better_than_by_the_mean_of_four_weeks(bank):
    """Each day from the days before it: per five minutes and per day, the goal 8 % and 4 %."""
    last = range(len(bank) - 40, len(bank))
    ours, plain = [], []
    for index in last:
        history, wanted = bank.before(index), bank.ordinals[index : index + 1]
        hours = forecasts.hours_of(history)
        _, trials = forecasts.try_methods(history, 1)
        best = forecasts.best_of({name: trial.score() for name, trial in trials.items()})
        ours.append(forecasts.METHODS[best](history, hours, wanted)[0])
        plain.append(forecasts.mean_of_weekdays(history, hours, wanted)[0])
    actual = bank.counts[last.start :]
    per_interval, per_day = errors(actual, np.array(ours))
    plain_per_interval, plain_per_day = errors(actual, np.array(plain))
    assert per_interval < min(0.08, 0.9 * plain_per_interval)
    assert per_day < min(0.04, 0.75 * plain_per_day)


# --- Any series

COUNTS = st.lists(st.one_of(st.integers(0, 500), st.just(0), st.none()), min_size=2, max_size=400)


@given(COUNTS, st.sampled_from([900, 3600, 7200, 86400]), st.integers(1, 60))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_series_the_answer_is_ordered_finite_and_as_long_as_asked(counts, width, horizon):
    rows = [
        (MONDAY + timedelta(seconds=width * step), count)
        for step, count in enumerate(counts)
        if count is not None
    ]
    if len(rows) < 2:
        return
    try:
        found = forecast(rows, horizon)
    except Unforecastable:
        return  # what is left after the gaps is not of equal intervals
    assert len(found.intervals) == horizon
    for one in found.intervals:
        assert 0 <= one.low <= one.expected <= one.high < math.inf


def test_steps_that_are_not_equal_are_refused():
    months = [(datetime(2026, month, 1), 10) for month in range(1, 13)]
    with pytest.raises(Unforecastable, match="not equal"):
        forecast(months, 3)


# --- The command


def run(*words_, stdin=None):
    return subprocess.run(
        [sys.executable, "manage.py", "forecast", *map(str, words_)],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
    )


def test_the_command_reads_a_csv_and_prints_the_intervals_that_follow(tmp_path):
    path = tmp_path / "calls.csv"
    lines = [f"{at.isoformat()},{count:.0f},x" for at, count in hours_of_weeks(4, shaped)]
    path.write_text("\ufeffat,count,other\n" + "\n".join(lines) + "\n")
    done = run(path, "--horizon", 72, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert set(answer) == {"intervals", "method", "backtest"}
    assert set(answer["intervals"][0]) == {"at", "expected", "low", "high"}
    assert answer["intervals"][0]["at"] == "2026-03-27T18:00:00"
    assert len(answer["intervals"]) == 72


def test_bad_input_is_said_line_by_line_and_ends_with_an_error(tmp_path):
    done = run(
        "-", "--horizon", 3, stdin="at,count\nyesterday,4\n2026-03-02T08:00,many\n2026-03-02T09:00,-1\n"
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.findall(r"line (\d+):", done.stderr) == ["2", "3", "4"]
    assert "Traceback" not in done.stderr
    assert run(tmp_path / "absent.csv", "--horizon", 3).returncode == 1


@pytest.mark.parametrize(
    "text",
    [
        "", "at\n", "count,when\n1,2\n", "at,count\n2026-01-01T00:00,nan\n", "at,count\n2026-01-01T00:00,1e999\n",
        'at,count\n"2026', "at,count\n2026-01-01T00:00\n", "at,count\n2026-01-01T00:00Z,1\n2026-01-01T01:00,1\n",
        "at,count\n" + "9" * 20_000 + ",1\n", "at,count\n\x00,1\n",
    ],
)  # fmt: skip
def test_rows_that_cannot_be_read_are_refused_with_a_line(text):
    with pytest.raises(BadRows, match="line|offset"):
        read_rows(text.splitlines(keepends=True))


@pytest.mark.parametrize("horizon", [0, -1, 10**9])
def test_a_senseless_horizon_is_refused(horizon):
    with pytest.raises(Unforecastable, match="horizon"):
        forecast([(MONDAY, 1), (MONDAY + timedelta(hours=1), 1)], horizon)


def test_the_end_of_the_calendar_is_said():
    late = datetime(9999, 12, 30)
    with pytest.raises(Unforecastable, match="calendar"):
        forecast([(late, 1), (late + timedelta(hours=12), 1)], 50)
