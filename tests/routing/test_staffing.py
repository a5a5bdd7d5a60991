"""Staffing against published cases, a chain solved by brute force, and what must hold for any numbers."""

import csv
import heapq
import io
import json
import math
import random
import subprocess
import sys
from collections import deque
from dataclasses import replace
from itertools import accumulate, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing import erlang, staffing
from routing.management.commands.staffing import serve
from routing.staffing import Deferred, Demand, Goal, Live, Unstaffable, staff

ROOT = Path(__file__).resolve().parents[2]
REFERENCES = ROOT.parent / "shared" / "data" / "erlang_refs" / "cases.csv"
CASE_1 = Demand(arrivals=100, aht_s=180)
CALLS_OF_A_DAY = [12, 8, 6, 5, 5, 8, 20, 45, 70, 85, 90, 88, 80, 78, 82, 80, 70, 60, 48, 40, 32, 26, 20, 15]


# --- Published cases


def test_erlang_c_of_call_centre_helper_and_r_erlangc():
    found = staff(CASE_1, Goal(max_occupancy=0.85), shrinkage=0.3)
    assert (found.agents, found.positions) == (14, 20)
    assert found.figures.p_wait == pytest.approx(0.1741319335950498, rel=1e-12)
    assert found.figures.service_level == pytest.approx(0.8883500191794669, rel=1e-12)
    assert found.figures.asa_s == pytest.approx(7.83593701177724, rel=1e-12)
    assert found.figures.occupancy == pytest.approx(0.7142857142857143)


def test_erlang_c_with_a_lower_limit_of_occupancy():
    found = staff(CASE_1, Goal(max_occupancy=0.7), shrinkage=0.3)
    assert (found.agents, found.positions) == (15, 22)
    assert found.figures.service_level == pytest.approx(0.941, abs=0.0005)
    assert found.figures.p_wait == pytest.approx(0.102, abs=0.0005)
    assert found.figures.occupancy == pytest.approx(0.667, abs=0.0005)


@pytest.mark.parametrize(("load", "servers", "p_wait"), [(1, 2, 1 / 3), (2, 3, 4 / 9)])
def test_erlang_c_in_closed_form(load, servers, p_wait):
    assert erlang.erlang_c(load / 60, 60, servers, 0).p_wait == pytest.approx(p_wait, rel=1e-12)


def test_erlang_a_of_pyworkforces_guide():
    goal = Goal(max_occupancy=0.85, max_abandoned=0.05)
    found = staff(replace(CASE_1, patience_s=300), goal, shrinkage=0.3)
    assert (found.agents, found.positions) == (13, 19)
    assert found.figures.service_level == pytest.approx(0.858, abs=0.0005)
    assert found.figures.abandoned == pytest.approx(0.025, abs=0.0005)
    assert found.figures.p_wait == pytest.approx(0.226, abs=0.0005)
    assert found.figures.asa_s == pytest.approx(7.5, abs=0.05)
    assert found.figures.occupancy == pytest.approx(0.75, abs=0.0005)


@pytest.mark.parametrize(
    ("patience_s", "positions"),
    [
        (None, [5, 3, 3, 3, 3, 3, 5, 8, 12, 13, 13, 13, 12, 12, 12, 12, 12, 10, 9, 8, 6, 6, 5, 5]),
        (480, [3, 3, 3, 3, 3, 3, 5, 8, 10, 12, 13, 13, 12, 12, 12, 12, 10, 9, 8, 8, 6, 6, 5, 5]),
    ],
)
def test_a_whole_day_of_pyworkforces_tutorial(patience_s, positions):
    day = [Demand(calls, 240, 3600, patience_s) for calls in CALLS_OF_A_DAY]
    assert [staff(hour, Goal(max_occupancy=0.85), shrinkage=0.3).positions for hour in day] == positions


def test_the_reference_cases_of_the_shared_data():
    if not REFERENCES.exists():
        pytest.skip("../shared/data is absent")
    for case in csv.DictReader(REFERENCES.open()):
        demand = Demand(float(case["calls"]), float(case["aht_s"]), float(case["interval_s"]))
        found = staffing.figures(demand, int(case["agents"]), float(case["threshold_s"]))
        assert found.p_wait == pytest.approx(float(case["wait_probability"]), abs=5e-5)
        assert found.service_level == pytest.approx(float(case["service_level"]), abs=5e-5)
        assert found.asa_s == pytest.approx(float(case["asa_s"]), abs=0.005)
        assert found.occupancy == pytest.approx(float(case["occupancy"]), abs=5e-5)


# --- Against an independent solution


def chain(rate, aht, patience, servers, within, room=400):
    """The birth and death chain itself: stationary by its ratios; who is served within T by uniformising his way to the front."""
    served, leaves = servers / aht, 1 / patience
    heights = [0.0]
    for people in range(1, servers + room):
        pull = min(people, servers) / aht + max(0, people - servers) * leaves
        heights.append(heights[-1] + math.log(rate / pull))
    weights = [math.exp(height - max(heights)) for height in heights]
    shares = [weight / sum(weights) for weight in weights]
    waiting = shares[servers:]
    queue = sum(place * share for place, share in enumerate(waiting))
    # From place j the tagged customer moves up with rate served + j·leaves, leaves with his own rate, is served from place 0.
    beat = served + room * leaves + leaves
    state, in_time, chance = [0.0] * (room + 1), [0.0] * room, -beat * within
    for jump in range(int(beat * within + 12 * math.sqrt(beat * within) + 60)):
        in_time = [so_far + math.exp(chance) * now for so_far, now in zip(in_time, state, strict=False)]
        chance += math.log(beat * within / (jump + 1)) if within else -math.inf
        moved = [(served + (1 - (served + leaves) / beat) * beat * state[0]) / beat]
        for place in range(1, room):
            up = (served + place * leaves) / beat
            moved.append(up * state[place - 1] + (1 - up - leaves / beat) * state[place])
        state = moved
    abandoned = queue * leaves / rate
    return {
        "p_wait": sum(waiting),
        "service_level": sum(shares[:servers])
        + sum(s * done for s, done in zip(waiting, in_time, strict=False)),
        "asa_s": queue / rate,
        "occupancy": rate * aht * (1 - abandoned) / servers,
        "abandoned": abandoned,
    }


@pytest.mark.parametrize(
    ("load", "servers", "aht", "patience", "within"),
    [
        (10, 13, 180, 300, 20), (10, 8, 180, 300, 20), (10, 5, 180, 60, 30), (0.3, 1, 300, 600, 0), (0.3, 2, 300, 30, 60),
        (40, 38, 240, 240, 20), (40, 50, 240, 30, 10), (90, 95, 200, 900, 20), (3, 2, 600, 1200, 90), (25, 20, 60, 600, 45),
    ],
)  # fmt: skip
def test_erlang_a_equals_the_chain_solved_by_brute_force(load, servers, aht, patience, within):
    found = erlang.erlang_a(load / aht, aht, patience, servers, within)
    for name, value in chain(load / aht, aht, patience, servers, within).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-6, abs=1e-9), name


@given(
    load=st.floats(5, 2000),
    crowding=st.floats(0.7, 1.3),
    patience=st.floats(30, 3000),
    within=st.sampled_from([0.0, 20.0, 300.0]),
)
@settings(deadline=None, max_examples=60)
def test_the_series_and_the_integral_agree(load, crowding, patience, within):
    rate, drain = load / 300, max(1, round(load / crowding)) / 300
    if (rate - drain) * patience > 200:
        return
    series = erlang._waits_by_series(rate, drain, patience, within)
    integral = erlang._waits_by_integral(rate, drain, patience, within)
    assert series.whole == pytest.approx(integral.whole * math.exp(integral.peak), rel=1e-6)
    assert series.left == pytest.approx(integral.left, rel=1e-6, abs=1e-9)
    assert series.in_time == pytest.approx(integral.in_time, rel=1e-6, abs=1e-9)


def test_thousands_of_agents_are_no_trouble():
    found = staff(Demand(30_000, 300, 1800), Goal())
    assert 5000 < found.agents < 5030
    assert (
        found.figures.service_level
        >= 0.8
        > staffing.figures(Demand(30_000, 300, 1800), found.agents - 1, 20).service_level
    )
    # Far too few: everybody waits, and what is more than the agents do goes away.
    crowd = staffing.figures(Demand(30_000, 300, 1800, patience_s=600), 4000, 20)
    assert crowd.p_wait == pytest.approx(1.0)
    assert crowd.abandoned == pytest.approx(0.2, rel=1e-6)


# --- Through a day


@pytest.mark.parametrize(("patience", "servers"), [(240, 38), (240, 46), (None, 46)])
def test_a_day_that_stays_the_same_settles_where_the_formulas_say(patience, servers):
    day = erlang.through_the_day([erlang.Stretch(1800, 40 / 240, 240, patience, servers)] * 5)
    steady = (
        erlang.erlang_c(40 / 240, 240, servers, 20)
        if patience is None
        else erlang.erlang_a(40 / 240, 240, patience, servers, 20)
    )
    for name in ("p_wait", "service_level", "asa_s", "occupancy", "abandoned"):
        assert getattr(day[-1], name) == pytest.approx(getattr(steady, name), rel=1e-3), name
    assert day[0].service_level > day[-1].service_level  # it began empty


def test_without_servers_and_patience_the_queue_is_what_came():
    first, second = erlang.through_the_day([erlang.Stretch(1800, 0.05, 300, None, 0)] * 2)
    # 90 come in each half-hour: 45 wait on average in the first, 135 in the second.
    assert first.asa_s * 0.05 == pytest.approx(45, rel=0.01)
    assert second.asa_s * 0.05 == pytest.approx(135, rel=0.01)
    assert second.service_level == pytest.approx(0, abs=1e-9)


def simulated(arrivals, agents, aht, patience, within, rng):
    """Calls one by one, exponential throughout: who is answered in time, and how many came."""
    moments, now = [], 0.0
    while (now := now + rng.expovariate(max(arrivals) / 1800)) < 1800 * len(arrivals):
        if rng.random() < arrivals[int(now // 1800)] / max(arrivals):
            moments.append((now, now + rng.expovariate(1 / patience)))
    events = [(at, 0, number) for number, (at, _) in enumerate(moments)] + [
        (k * 1800.0, 1, -1) for k in range(len(arrivals))
    ]
    heapq.heapify(events)
    queue: deque[int] = deque()
    busy = in_time = 0
    while events:
        now, kind, number = heapq.heappop(events)
        busy -= kind == 2
        if kind == 0:
            queue.append(number)
        while queue and busy < agents[min(int(now // 1800), len(agents) - 1)]:
            came, gives_up = moments[queue.popleft()]
            if gives_up >= now:
                in_time += now - came <= within
                busy += 1
                heapq.heappush(events, (now + rng.expovariate(1 / aht), 2, -1))
    return in_time, len(moments)


def test_a_simulated_day_is_foretold_within_one_and_a_half_points():
    arrivals = [40, 80, 130, 160, 130, 100, 90, 110, 130, 100, 60, 40]
    demands = [Demand(calls, 360, 1800, 240) for calls in arrivals]
    agents = [max(1, staff(demand, Goal()).agents - 2) for demand in demands]
    asked = [(demand, Goal(), 0.0, count) for demand, count in zip(demands, agents, strict=True)]
    foretold = sum(
        c * f.figures.service_level for c, f in zip(arrivals, staffing.staff_day(asked), strict=True)
    ) / sum(arrivals)
    rng = random.Random(11)
    days = [simulated(arrivals, agents, 360, 240, 20, rng) for _ in range(60)]
    level = sum(in_time for in_time, _ in days) / sum(came for _, came in days)
    assert foretold == pytest.approx(level, abs=0.015)


# --- What must hold for any numbers

DEMANDS = st.builds(
    Demand,
    arrivals=st.floats(0.5, 2000),
    aht_s=st.floats(20, 900),
    interval_s=st.sampled_from([900.0, 1800.0, 3600.0]),
    patience_s=st.one_of(st.none(), st.floats(5, 3000)),
)


@given(DEMANDS, st.integers(1, 300), st.sampled_from([0.0, 20.0, 120.0]))
@settings(deadline=None)
def test_one_agent_more_is_never_worse(demand, agents, within):
    few, more = (staffing.figures(demand, count, within) for count in (agents, agents + 1))
    assert more.p_wait <= few.p_wait + 1e-9
    assert more.service_level >= few.service_level - 1e-9
    assert more.abandoned <= few.abandoned + 1e-9
    assert more.occupancy <= few.occupancy + 1e-9
    assert few.asa_s is None or more.asa_s <= few.asa_s + 1e-6


@given(DEMANDS, st.integers(1, 300))
@settings(deadline=None)
def test_all_figures_are_shares_and_add_up(demand, agents):
    found = staffing.figures(demand, agents, 20)
    for share in (found.p_wait, found.service_level, found.occupancy, found.abandoned):
        assert -1e-12 <= share <= 1 + 1e-9
    assert found.service_level <= 1 - found.abandoned + 1e-9
    if found.stable:
        assert found.occupancy * agents == pytest.approx(demand.load * (1 - found.abandoned), rel=1e-6)


@given(DEMANDS, st.integers(1, 300), st.floats(5, 3000))
@settings(deadline=None)
def test_who_waits_for_ever_waits_longer_than_who_leaves(demand, agents, patience):
    endless = staffing.figures(replace(demand, patience_s=None), agents, 20)
    leaving = staffing.figures(replace(demand, patience_s=patience), agents, 20)
    assert leaving.p_wait <= endless.p_wait + 1e-9
    assert endless.asa_s is None or leaving.asa_s <= endless.asa_s + 1e-6


@given(DEMANDS, st.floats(0.5, 0.95))
@settings(deadline=None)
def test_it_is_the_fewest_who_keep_the_goal(demand, target):
    goal = Goal(target=target, within_s=20, max_occupancy=0.9, max_abandoned=0.1)
    found = staff(demand, goal)
    assert goal.met_by(found.figures)
    one_less = staffing.figures(demand, found.agents - 1, 20)
    assert not (one_less.stable and goal.met_by(one_less))


def test_endless_patience_is_erlang_c():
    patient, endless = (staffing.figures(replace(CASE_1, patience_s=p), 14, 20) for p in (1e8, None))
    assert patient.service_level == pytest.approx(endless.service_level, rel=1e-5)
    assert patient.asa_s == pytest.approx(endless.asa_s, rel=1e-4)


def test_too_few_for_erlang_c_is_said_and_never_a_negative_wait():
    found = staffing.figures(CASE_1, 10, 20)
    assert (found.stable, found.asa_s, found.service_level) == (False, None, 0.0)


def test_without_calls_nobody_is_needed():
    assert staff(Demand(0, 180), Goal()).positions == 0


def test_what_nobody_can_promise_is_refused():
    for goal in (Goal(target=1.0), Goal(max_occupancy=0.0)):
        with pytest.raises(Unstaffable):
            staff(CASE_1, goal)


def test_chats_at_once_need_fewer_people_than_calls_but_more_than_the_number_at_once_says():
    calls = staff(Demand(60, 600), Goal()).agents
    chats = staff(Demand(60, 600, at_once=3), Goal()).agents
    assert calls / 3 < chats < calls
    assert staffing.figures(Demand(60, 600, at_once=3), chats, 20).occupancy <= 1


# --- Deferred work


def test_level_work_needs_just_its_load():
    # 60 mails an hour of 300 s are 5 people, whenever they fall due.
    work = Deferred([60] * 8, 300, 2 * 3600)
    assert staffing.agents_for_deferred([work], 3600) == pytest.approx([5] * 8)


def test_a_morning_wave_is_spread_over_its_target():
    # 120 mails come at once, 4 hours to answer them: 30 an hour, 2.5 people, not 10.
    work = Deferred([120, 0, 0, 0, 0], 300, 4 * 3600)
    assert staffing.agents_for_deferred([work], 3600) == pytest.approx([2.5, 2.5, 2.5, 2.5, 0])


def test_deferred_work_goes_into_the_valleys_of_the_calls():
    work = Deferred([120, 0, 0, 0], 300, 4 * 3600)
    assert staffing.agents_for_deferred([work], 3600, beside=[8, 2, 8, 2]) == pytest.approx([0, 5, 0, 5])


def test_what_comes_at_night_starts_at_opening():
    work = Deferred([24, 24, 0, 0], 300, 2 * 3600, is_open=[False, False, True, True])
    assert staffing.agents_for_deferred([work], 3600) == pytest.approx([0, 0, 2, 2])
    states = staffing.burn_down(work, [9, 9, 2, 2], 3600)
    assert [state.waiting for state in states] == pytest.approx([0, 0, 24, 0])


@given(
    st.lists(st.integers(0, 40), min_size=3, max_size=12),
    st.integers(1, 5),
    st.lists(st.integers(0, 9), min_size=12, max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
@settings(deadline=None)
def test_deferred_work_is_done_in_time_and_never_before_it_came(arrivals, steps, calls, hours):
    work = Deferred(arrivals, 600, steps * 3600, is_open=hours[: len(arrivals)])
    come, due = staffing.come_and_due(work, 3600)
    wanted = staffing.agents_for_deferred([work], 3600, calls[: len(arrivals)])
    for done, here, must in zip(accumulate(wanted), come, due, strict=True):
        assert must - 1e-6 <= done <= here + 1e-6
    whole = staffing.whole_agents(wanted, come, [0.0] * len(arrivals))
    assert all(state.overdue <= 1e-6 for state in staffing.burn_down(work, whole, 3600))


@given(
    st.lists(st.integers(0, 4), min_size=4, max_size=4),
    st.integers(1, 3),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
@settings(deadline=None, max_examples=50)
def test_no_other_plan_has_a_lower_peak(arrivals, steps, calls):
    """Against all plans in whole people."""
    work = Deferred(arrivals, 3600, steps * 3600)
    come, due = staffing.come_and_due(work, 3600)
    wanted = staffing.agents_for_deferred([work], 3600, calls)
    if not any(wanted):
        return
    peak = max(call + more for call, more in zip(calls, wanted, strict=True) if more > 1e-9)
    others = [
        max((call + more for call, more in zip(calls, plan, strict=True) if more), default=0)
        for plan in product(range(5), repeat=4)
        if all(m <= d <= h for d, h, m in zip(accumulate(plan), come, due, strict=True))
    ]
    assert peak <= min(others, default=math.inf) + 1e-9


def test_one_plan_holds_live_and_deferred_work():
    calls = Live(
        [Demand(100, 180), Demand(40, 180), Demand(100, 180), Demand(40, 180)], Goal(max_occupancy=0.85)
    )
    mail = Deferred([60, 0, 0, 0], 300, 4 * 1800)
    found = staffing.plan([calls], [mail], interval_s=1800, shrinkage=0.3)
    assert [one.live[0].agents for one in found] == [14, 7, 14, 7]
    assert [one.deferred for one in found] == [0, 5, 0, 5]
    assert [one.positions for one in found] == [20, 18, 20, 18]


def test_idle_time_of_live_agents_saves_people():
    calls = Live([Demand(100, 180)] * 4)
    mail = Deferred([60, 60, 60, 60], 120, 4 * 1800)
    apart, shared = (
        sum(one.agents for one in staffing.plan([calls], [mail], interval_s=1800, idle_used=used))
        for used in (0.0, 0.5)
    )
    assert shared < apart


# --- The command


def talk(*messages, day=False):
    out = io.StringIO()
    refused = serve([m if isinstance(m, str) else json.dumps(m) for m in messages], out, day=day)
    return [json.loads(line) for line in out.getvalue().splitlines()], refused


def test_the_command_answers_each_line_in_its_words():
    answers, refused = talk({"model": "C", "arrivals": 100, "aht_s": 180, "agents": 14, "shrinkage": 0.3})
    assert refused == 0
    assert set(answers[0]) == {
        "agents",
        "positions",
        "p_wait",
        "service_level",
        "asa_s",
        "occupancy",
        "abandoned",
    }
    assert (answers[0]["agents"], answers[0]["positions"]) == (14, 20)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1", "not JSON"), ("[" * 100_000, "not JSON"), ("7", "object"), ('{"aht_s": 3}', "arrivals is missing"),
        ('{"arrivals": NaN, "aht_s": 3}', "arrivals"), ('{"arrivals": 1e999, "aht_s": 3}', "arrivals"),
        ('{"arrivals": true, "aht_s": 3}', "arrivals"), ('{"arrivals": 5, "aht_s": 0}', "aht_s"),
        ('{"arrivals": 5, "aht_s": -3}', "aht_s"), ('{"arrivals": 5, "aht_s": "9"}', "aht_s"),
        ('{"arrivals": 5, "aht_s": 3, "interval_s": 0}', "interval_s"), ('{"arrivals": 5, "aht_s": 3, "model": "B"}', "model"),
        ('{"arrivals": 5, "aht_s": 3, "model": "A"}', "patience_s"), ('{"arrivals": 5, "aht_s": 3, "agents": 1.5}', "agents"),
        ('{"arrivals": 5, "aht_s": 3, "agents": -1}', "agents"), ('{"arrivals": 5, "aht_s": 3, "target": 80}', "target"),
        ('{"arrivals": 5, "aht_s": 3, "target": 1}', "no number of agents"),
        ('{"arrivals": 5, "aht_s": 3, "shrinkage": 1}', "shrinkage"), ('{"arrivals": 1e9, "aht_s": 1e9}', "Erlangs"),
        ('{"arrivals": ' + "9" * 5000 + ', "aht_s": 3}', ""), ('{"arrivals": 5, "aht_s": 3, "model": ["A"]}', "model"),
    ],
)  # fmt: skip
def test_a_bad_line_is_answered_with_its_reason_and_the_next_one_counts(line, reason):
    answers, refused = talk(line, {"arrivals": 100, "aht_s": 180})
    assert refused == 1
    assert answers[0]["line"] == 1
    assert reason in answers[0]["error"]
    assert answers[1]["agents"] == 14


@given(
    st.dictionaries(
        st.sampled_from(["model", "interval_s", "arrivals", "aht_s", "patience_s", "target", "within_s", "max_occupancy",
                         "max_abandoned", "shrinkage", "agents"]),
        st.one_of(st.none(), st.booleans(), st.floats(), st.integers(-5, 10**30), st.text(max_size=3), st.just("A"),
                  st.floats(0, 1), st.floats(1e-300, 1e-3), st.lists(st.integers(), max_size=1)),
    )
)  # fmt: skip
@settings(deadline=None, max_examples=300)
def test_no_line_brings_it_down(message):
    answers, refused = talk(message)
    assert len(answers) == 1
    assert ("error" in answers[0]) == bool(refused)


def test_as_a_day_each_line_begins_with_the_queue_that_the_one_before_left():
    busy, calm = {"arrivals": 200, "aht_s": 180, "agents": 10}, {"arrivals": 50, "aht_s": 180, "agents": 10}
    apart, _ = talk(busy, calm)
    as_day, _ = talk(busy, calm, day=True)
    assert apart[0]["asa_s"] is None
    assert as_day[0]["asa_s"] > 60
    assert as_day[1]["service_level"] < apart[1]["service_level"]
    assert talk("nonsense", busy, day=True)[0][0]["line"] == 1
    assert "not carried" in talk({"arrivals": 1e8, "aht_s": 1, "agents": 1}, day=True)[0][0]["error"]
    assert talk(day=True) == ([], 0)


def test_the_command_runs_without_services_and_says_by_its_exit_code_that_a_line_was_bad():
    def run(text):
        return subprocess.run(
            [sys.executable, "manage.py", "staffing"], input=text, cwd=ROOT, capture_output=True, text=True
        )

    good = run('{"model": "C", "arrivals": 100, "aht_s": 180}\n')
    assert (good.returncode, json.loads(good.stdout)["agents"], good.stderr) == (0, 14, "")
    bad = run("nonsense\n")
    assert bad.returncode == 1
    assert "Traceback" not in bad.stderr
