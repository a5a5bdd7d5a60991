"""What if: the house's own past and made-up days through the live engine, changed, side by side, in the background."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.choices import Role
from crm.errors import InvalidInput
from crm.models import Activity
from routing import engine, tasks
from routing.models import PresenceInterval, QueueStep, Simulation, Skill
from routing.pipe import RouterPipe
from routing.rules import Rules, Step
from routing.services import recorded, simulations
from routing.simulation import Agent, Arrival, Channel, Day, figures, play, synthetic_day
from routing.whatif import Change, House, LiveEngine, Recorded, Worker, changed, ruled
from tests import factories as make

JSON = "application/json"
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
SMALL = {"kind": "synthetic", "size": 0.1}


def week(until: datetime = NOON + timedelta(hours=8)) -> dict:
    return {"kind": "recorded", "days": 1, "until": until.isoformat()}


def a_past(agents: int = 2, items: int = 24, every: int = 10, noon: datetime = NOON, **fields) -> list:
    """Agents who were there from ten to eight, and mail from noon on, every so many minutes, each in hand for eight."""
    queue = fields.pop("queue", None) or make.make_queue()
    people = [make.make_agent(capacity=3) for _ in range(agents)]
    for agent in people:
        PresenceInterval.objects.filter(agent=agent).delete()
        PresenceInterval.objects.create(
            agent=agent,
            chosen="available",
            started_at=noon - timedelta(hours=2),
            ended_at=noon + timedelta(hours=8),
        )
    for number in range(items):
        came = noon + timedelta(minutes=every * number)
        begun = came + timedelta(minutes=1)
        item = make.make_work_item(
            queue=queue, family="mail", units=3, status="done", queued_at=came, deadline=came + timedelta(minutes=30),
            accepted_at=begun, done_at=begun + timedelta(minutes=8), **fields,
        )  # fmt: skip
        item.assignments.create(
            agent=people[number % agents], status="completed", units=3, offered_at=begun, accepted_at=begun,
            ended_at=begun + timedelta(minutes=8),
        )  # fmt: skip
    return people


# --- Changing a day


def test_nothing_changed_is_the_same_day():
    day = synthetic_day(size=0.1)
    assert changed(day, Change()) == day


@given(st.integers(-4, 4), st.floats(-3600, 3600), st.floats(0, 3))
@settings(max_examples=25, deadline=None)
def test_a_changed_day_has_so_many_agents_shifts_and_arrivals(agents: int, shift: float, times: float):
    day = synthetic_day(size=0.1)
    found = changed(day, Change(agents=agents, shift=shift, volume={"voice": times}))
    assert len(found.agents) == max(0, len(day.agents) + agents)
    assert len({one.id for one in found.agents}) == len(found.agents)
    assert all(0 <= start <= end <= day.closes for one in found.agents for start, end in one.stretches)
    calls = [sum(one.channel == "voice" for one in some.arrivals) for some in (day, found)]
    assert int(times) * calls[0] <= calls[1] <= (int(times) + 1) * calls[0]
    others = [[one for one in some.arrivals if one.channel != "voice"] for some in (day, found)]
    assert sorted(others[0], key=lambda one: one.id) == sorted(others[1], key=lambda one: one.id)
    assert len({one.id for one in found.arrivals}) == len(found.arrivals)


def test_who_is_out_is_gone_and_a_vip_keeps_his_share_of_the_promise():
    day = synthetic_day(size=0.1)
    found = changed(day, Change(out=frozenset({0}), targets={"voice": 40.0}))
    assert [one.id for one in found.agents] == [one.id for one in day.agents if one.id != 0]
    assert {(one.vip, one.target) for one in found.arrivals if one.channel == "voice"} == {
        (False, 40.0),
        (True, 20.0),
    }
    assert found.channels["voice"].target == 40.0


def test_a_setting_that_lets_social_wait_half_its_target_does_not_count():
    social = Channel(target=100.0, goal=0.9, units=3, patience=None, aht=10.0)
    late = Day(
        [Arrival(1, "social", 0.0, 5.0, target=100.0)],
        [Agent(1, ("social",), start=60.0)],
        {"social": social},
    )
    soon = Day(late.arrivals, [Agent(1, ("social",), start=40.0)], late.channels)
    assert [figures(day, play(day, RouterPipe())).counts for day in (late, soon)] == [False, True]


# --- Queues' rules in a played day


def recorded_mail(number: int, at: float, queue: int, **asks) -> Recorded:
    item = engine.Item(id=number, queue="", family="mail", units=3, **asks)
    return Recorded(number, "mail", at, 60.0, item=item, queue=queue, units=3)


def worker(number: int, **seat) -> Worker:
    return Worker(
        number, ("mail",), capacity=15, seat=engine.Seat(id=number, capacity=15, **seat), end=7200.0
    )


def a_day(house: House, arrivals: list[Recorded], *workers: Worker) -> Day:
    mail = {"mail": Channel(3600.0, 0.9, 3, None, 60.0)}
    return Day(ruled(arrivals, house), list(workers), mail, closes=7200.0)


def test_work_is_widened_by_its_queues_steps_when_their_time_comes():
    rules = Rules("french", required={"french": 4}, steps=(Step(600, "level", "french", 2),))
    house = House({1: rules})
    mails = [recorded_mail(1, 0.0, 1), recorded_mail(2, 900.0, 1), recorded_mail(3, 1600.0, 1)]
    day = a_day(house, mails, worker(1, skills={"french": 2}))
    # Time passes with what happens: at 900 the first has waited long enough, at 1600 the second.
    assert play(day, LiveEngine(day, house)).answered == {1: (900.0, 1), 2: (1600.0, 1)}


def test_work_overflows_and_passes_a_queue_in_which_nobody_is():
    rules = {
        1: Rules("french", required={"french": 4}, steps=(Step(600, "overflow", target=2),)),
        2: Rules("general", required={"billing": 1}),
    }
    house = House(rules)
    billing = worker(1, skills={"billing": 3})
    late = Worker(
        2,
        ("mail",),
        capacity=15,
        seat=engine.Seat(id=2, capacity=15, skills={"billing": 3}),
        start=3000.0,
        end=7200.0,
    )
    other = [
        recorded_mail(2, 601.0, 2),
        recorded_mail(3, 3001.0, 2),
    ]  # something must happen for time to pass
    day = a_day(house, [recorded_mail(1, 0.0, 1), *other], billing)
    assert play(day, LiveEngine(day, house)).answered[1][0] == 601.0
    day = a_day(house, [recorded_mail(1, 0.0, 1), *other], late)
    assert play(day, LiveEngine(day, house)).answered[1][0] >= 3000.0


def test_work_that_waited_too_long_goes_to_the_fallback():
    house = House({1: Rules("french", required={"french": 4}), 2: Rules("general")}, escapes={1: (2, 300.0)})
    day = a_day(house, [recorded_mail(1, 0.0, 1), recorded_mail(2, 400.0, 2)], worker(1))
    played = play(day, LiveEngine(day, house))
    assert (played.answered[1][0], played.refused) == (400.0, [])


# --- The house's own past

pytestmark = pytest.mark.django_db


def test_the_past_is_read_with_what_came_who_was_there_and_how_long_it_took():
    people = a_past(items=6)
    past = recorded.read(NOON - timedelta(hours=4), NOON + timedelta(hours=8), None)
    assert [one.at for one in past.day.arrivals] == [4 * 3600 + 600 * number for number in range(6)]
    assert {one.work for one in past.day.arrivals} == {480.0}
    assert {one.target for one in past.day.arrivals} == {1800.0}
    assert {one.id: one.stretches for one in past.day.agents} == {
        agent.pk: ((2 * 3600.0, 12 * 3600.0),) for agent in people
    }
    assert figures(past.day, past.really).levels["mail"] == 1.0


def test_what_an_agent_had_in_hand_at_once_shares_his_time():
    # Ten minutes alone, then ten together: each gets of the second half what the simulator would give him.
    found = recorded._alone([(1, 7, 0.0, 1200.0), (2, 7, 600.0, 1200.0)])
    assert found[1] == pytest.approx(600 + 600 / 1.15)
    assert found[2] == pytest.approx(600 / 1.15)


def test_calls_that_were_lost_give_up_again_and_withdrawn_mail_asks_for_nothing():
    a_past(items=3)
    queue = make.make_queue()
    lost = {"queue": queue, "status": "withdrawn", "queued_at": NOON, "done_at": NOON + timedelta(seconds=90)}
    call = make.make_work_item(family="voice", units=15, **lost)
    make.make_work_item(family="mail", units=3, **lost)
    past = recorded.read(NOON - timedelta(hours=4), NOON + timedelta(hours=8), None)
    live = [one for one in past.day.arrivals if one.channel == "voice"]
    assert [(one.id, one.patience) for one in live] == [(call.pk, 90.0)]
    assert sum(one.channel == "mail" for one in past.day.arrivals) == 3


def test_a_closed_teams_work_is_in_the_figures_of_who_may_see_it_and_nobody_elses():
    closed = make.make_team(visibility="closed")
    a_past(items=3, queue=make.make_queue(closed))
    supervisor, admin = make.make_user(Role.SUPERVISOR, make.make_team()), make.make_user(Role.ADMINISTRATOR)
    since, until = NOON - timedelta(hours=4), NOON + timedelta(hours=8)
    with pytest.raises(InvalidInput):
        recorded.read(since, until, supervisor)
    assert recorded.read(since, until, admin).closed
    kept = make.make_simulation(by=admin, closed=True)
    assert list(Simulation.objects.visible_to(supervisor)) == []
    assert list(Simulation.objects.visible_to(admin)) == [kept]


def test_one_agent_fewer_makes_the_others_busier_and_the_same_question_has_the_same_answer():
    a_past(agents=3, items=40)
    asked = simulations.checked({"day": week(), "change": {"agents": -1}}, None)
    found = simulations.compare(asked)
    assert found.agents == (3, 2)
    assert found.after.occupancy > found.before.occupancy > 0
    assert found.really.levels == {"mail": 1.0}
    assert found.told() == simulations.compare(asked).told()
    assert found.before.refused == found.after.refused == 0


@pytest.mark.parametrize("change", [{"shift": 180}, {"volume": {"mail": 3}}, {"targets": {"mail": 60}}])
def test_each_change_is_played(change):
    a_past(agents=1, items=20, every=7)
    asked = simulations.checked({"day": week(), "change": change}, None)
    found = simulations.compare(asked)
    assert asked["change"] == change
    assert found.after.score < found.before.score


def test_other_weights_and_another_pace_are_the_engines():
    a_past(items=3)
    change = {"weights": {"urgency": 3.0}, "pacing": {"calls": 9, "longest": {"mail": 0.1}}}
    asked = simulations.checked({"day": week(), "change": change}, None)
    house, _ = simulations._house(recorded.house(), asked["change"])
    assert (house.weights.urgency, house.pacing.calls) == (3.0, 9)
    assert house.pacing.longest == {**recorded.house().pacing.longest, "mail": 0.1}
    day = {
        "day": SMALL | {"size": 0.4},
        "change": {"pacing": {"longest": {"social": 0, "message": 0, "mail": 0}}},
    }
    found = simulations.compare(simulations.checked(day, None))
    assert found.after.p90_wait["email"] != found.before.p90_wait["email"]


def test_named_agents_are_out_and_come_at_another_time():
    people = a_past(agents=2, items=12)
    out = simulations.compare(simulations.checked({"day": week(), "change": {"out": [people[0].pk]}}, None))
    assert out.agents == (2, 1)
    moved = {"shifts": {str(people[0].pk): 240, str(people[1].pk): 240}}
    late = simulations.compare(simulations.checked({"day": week(), "change": moved}, None))
    assert late.after.levels["mail"] < late.before.levels["mail"]


def test_a_queues_changed_rules_are_tried_on_its_past():
    Skill.objects.create(code="rare", name="Rare")
    queue, other = make.make_queue(), make.make_queue()
    a_past(agents=2, items=12, queue=queue)
    rules = {"required_skills": {"rare": 5}}
    asked = {"day": week(), "change": {"queue": {"slug": queue.slug, "rules": rules}}}
    found = simulations.compare(simulations.checked(asked, None))
    assert found.after.levels["mail"] == 0.0 < found.before.levels["mail"]
    rules["steps"] = [{"seconds": 60, "gives_up": "overflow", "target": other.slug}]
    widened = simulations.compare(simulations.checked(asked, None))
    assert widened.after.levels["mail"] > 0.5
    assert not QueueStep.objects.filter(queue=queue).exists()


@pytest.mark.parametrize(
    ("given_", "field"),
    [
        ({"day": {"kind": "dream"}}, "day.kind"),
        ({"day": {"days": 99}}, "day.days"),
        ({"day": {"days": True}}, "day.days"),
        ({"day": {"until": "yesterday"}}, "day.until"),
        ({"day": {"kind": "synthetic", "size": 50}}, "day.size"),
        ({"change": {"agents": 1.5}}, "change.agents"),
        ({"change": {"out": [9_999_999]}}, "change.out"),
        ({"change": {"out": "all"}}, "change.out"),
        ({"change": {"shifts": {"x": 3}}}, "change.out"),
        ({"change": {"volume": {"fax": 2}}}, "change.volume"),
        ({"change": {"volume": {"mail": float("nan")}}}, "change.volume.mail"),
        ({"change": {"pacing": {"magic": 1}}}, "change.pacing"),
        ({"change": {"weights": {"age": 0}}}, "age"),
        ({"change": {"queue": {"slug": "nowhere"}}}, "change.queue.slug"),
        ({"change": {"everything": 1}}, "change"),
        ({"day": SMALL, "change": {"weights": {"age": 1}}}, "change"),
        ({"day": []}, "day"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(given_, field):
    with pytest.raises(InvalidInput) as refused:
        simulations.checked(given_, None)
    assert list(refused.value.extra["errors"]) == [field]


# --- In the background


def test_a_waiting_row_is_played_once_and_a_second_task_changes_nothing(django_capture_on_commit_callbacks):
    supervisor = make.make_user(Role.SUPERVISOR)
    made = simulations.ask({"day": SMALL, "change": {"agents": -1}}, by=supervisor)
    assert (made.state, made.title) == ("waiting", "A normal day: 1 agent fewer")
    assert simulations.due() == [made.pk]
    assert Activity.objects.get(verb="simulation.asked").actor == supervisor
    tasks.simulate(made.pk)
    made.refresh_from_db()
    assert (made.state, made.progress, made.tries, simulations.due()) == ("done", 100, 1, [])
    assert made.result["agents"][1] == made.result["agents"][0] - 1
    done_at = made.done_at
    tasks.simulate(made.pk)
    made.refresh_from_db()
    assert (made.done_at, made.tries) == (done_at, 1)


def test_what_ends_in_the_middle_again_and_again_is_given_up():
    made = make.make_simulation(state="waiting", tries=simulations.MOST_TRIES)
    simulations.work(made.pk)
    made.refresh_from_db()
    assert (made.state, made.error) == ("failed", "It ended in the middle several times.")


def test_an_empty_past_fails_in_words():
    made = simulations.ask({"day": week()}, by=make.make_user(Role.SUPERVISOR))
    simulations.work(made.pk)
    made.refresh_from_db()
    assert (made.state, "hold no work" in made.error) == ("failed", True)


def test_an_agent_may_not_and_a_planner_by_a_set_may(client: Client):
    client.force_login(make.make_user(Role.AGENT))
    assert client.get("/simulator/").status_code == 403
    assert client.post("/api/v1/simulations/", {"day": SMALL}, content_type=JSON).status_code == 403
    planner = make.make_user(
        Role.AGENT, reach={"simulate": {"all": True, "own": False, "teams": [], "brands": []}}
    )
    client.force_login(planner)
    assert client.get("/simulator/").status_code == 200
    assert client.post("/api/v1/simulations/", {"day": SMALL}, content_type=JSON).status_code == 201


def test_page_and_rest_ask_for_the_same_and_show_it(client: Client):
    client.force_login(make.make_user(Role.SUPERVISOR))
    sent = {"kind": "synthetic", "scenario": "thin", "centre": "chained", "seed": "3", "agents": "-1", "volume-mail": "1.5",
            "targets-message": "600", "calls": "3", "longest-mail": "0.5"}  # fmt: skip
    answer = client.post("/simulator/", sent)
    kept = Simulation.objects.get()
    assert answer["Location"] == f"/simulator/{kept.pk}/"
    change = {
        "agents": -1, "volume": {"email": 1.5}, "targets": {"dm": 600}, "pacing": {"calls": 3, "longest": {"mail": 0.5}},
    }  # fmt: skip
    assert kept.asked == {
        "day": {"kind": "synthetic", "scenario": "thin", "centre": "chained", "seed": 3, "size": 1.0}, "change": change,
    }  # fmt: skip
    again = client.post(
        "/api/v1/simulations/", {"day": kept.asked["day"], "change": change}, content_type=JSON
    ).json()
    assert (again["asked"], again["state"], again["result"]) == (kept.asked, "waiting", None)
    assert "0 %" in client.get(f"/simulator/{kept.pk}/").content.decode()
    refilled = client.get(f"/simulator/?from={kept.pk}").context
    assert refilled["change"] == change
    assert {one["value"]: one["volume"] for one in refilled["families"]}["mail"] == 1.5
    refused = client.post("/simulator/", sent | {"agents": "many"})
    assert (refused.status_code, list(refused.context["errors"])) == (400, ["change.agents"])
    assert refused.context["change"]["agents"] == "many"


def test_a_finished_comparison_is_shown_with_its_figures(client: Client):
    client.force_login(make.make_user(Role.SUPERVISOR))
    kept = make.make_simulation()
    page = client.get(f"/simulator/{kept.pk}/")
    names = [one["name"] for one in page.context["channels"]]
    assert names == ["Calls", "Chat", "Private messages", "Social", "Mail", "VIP customers"]
    assert page.context["totals"][0]["before"] - page.context["totals"][0]["after"] == 1
    assert len(page.context["charts"][0]["lines"]) == 2
    body = client.get(f"/api/v1/simulations/{kept.pk}/").json()
    assert set(body["result"]["after"]) >= {
        "levels", "median_wait", "p90_wait", "abandoned", "social_bias", "occupancy", "idle_beside_work", "counts",
    }  # fmt: skip
    listed = client.get("/api/v1/simulations/").json()["results"]
    assert [one["result"] for one in listed] == [None]
    kept.result["after"]["counts"] = False
    kept.save()
    assert 'data-testid="does-not-count"' in client.get(f"/simulator/{kept.pk}/").content.decode()


def test_a_queues_page_plays_last_week_with_the_rules_in_the_form(client: Client):
    client.force_login(make.make_user(Role.ADMINISTRATOR))
    queue = make.make_queue()
    answer = client.post(f"/queues/{queue.slug}/", {"act": "replay", "ordering": "oldest", "goal": "80"})
    kept = Simulation.objects.get()
    assert answer["Location"] == f"/simulator/{kept.pk}/"
    assert kept.asked["change"] == {"queue": {"slug": queue.slug, "rules": {"ordering": "oldest"}}}
    assert kept.title.endswith(f"other rules in {queue.slug}")
    queue.refresh_from_db()
    assert queue.ordering == "score"


# --- The command


def test_the_command_compares_as_the_page_does():
    a_past(items=6, noon=datetime.now(UTC) - timedelta(hours=9))
    out = StringIO()
    call_command("simulate", own=1, change='{"agents": -1}', json=True, stdout=out)
    assert json.loads(out.getvalue())["agents"] == [2, 1]
    out = StringIO()
    call_command("simulate", scenario=["thin"], size=0.1, change='{"agents": -1}', stdout=out)
    assert "A thin day: 1 agent fewer" in out.getvalue()
    with pytest.raises(CommandError, match="no JSON"):
        call_command("simulate", change="{", stdout=out)
    with pytest.raises(CommandError, match=r"change\.agents"):
        call_command("simulate", change='{"agents": "x"}', stdout=out)


def test_the_commands_table_names_waits_idle_minutes_and_what_does_not_count():
    out = StringIO()
    call_command("simulate", scenario=["normal"], policy=["late", "engine"], size=0.2, json=True, stdout=out)
    found = json.loads(out.getvalue())["scenarios"]["normal"]
    for policy in ("late", "engine"):
        assert found[policy]["mean"].keys() >= {
            "levels", "median_wait", "p90_wait", "occupancy", "social_bias", "idle_beside_work", "counts",
        }  # fmt: skip
        assert found[policy]["mean"]["median_wait"].keys() >= {"voice", "chat", "dm", "social", "email"}
