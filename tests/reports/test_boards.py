"""The board: counts that a recount agrees with, scoped by team, in a fixed number of statements."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.choices import Role, TeamVisibility
from crm.errors import NotAllowed, NotFound
from crm.models import Interaction
from reports.models import Board
from reports.services import boards
from routing.models import WorkItem
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def floor():
    boards.forget_closed_hours()
    Board.objects.get_or_create(slug="floor", defaults={"title": "Floor"})
    Board.objects.get_or_create(
        slug="social", defaults={"title": "Social", "families": ["social", "message"]}
    )


def tile(snapshot, queue):
    return next(one for one in snapshot["queues"] if one["slug"] == queue.slug)


def waiting(queue, *, minutes=5, due_in=55, kind="x", **fields):
    now = timezone.now()
    channel = make.make_channel(kind)
    times = {"queued_at": now - timedelta(minutes=minutes), "deadline": now + timedelta(minutes=due_in)}
    return make.make_work_item(make.make_interaction(channel), queue, **times, **fields)


def answered(queue, *, in_time=True, **fields):
    """Deferred work that fell due ten minutes ago."""
    item = waiting(queue, minutes=70, due_in=-10, status="assigned", **fields)
    at = item.deadline + timedelta(minutes=-5 if in_time else 5)
    WorkItem.objects.filter(pk=item.pk).update(accepted_at=at)
    Interaction.objects.filter(pk=item.interaction_id).update(first_response_at=at)


def test_an_empty_centre_has_a_board_too():
    shown = boards.snapshot_for("floor", None)
    assert (shown["slug"], shown["title"], shown["queues"], shown["agents"], shown["alerts"]) == (
        "floor",
        "Floor",
        [],
        [],
        [],
    )
    assert shown["totals"]["service_level"] is None


def test_a_board_that_is_not_there_is_not_found():
    with pytest.raises(NotFound):
        boards.snapshot_for("nowhere", None)


def test_the_tile_says_what_waits_since_when_and_what_is_due_next():
    queue = make.make_queue()
    oldest = waiting(queue, minutes=20, due_in=30)
    next_due = waiting(queue, minutes=5, due_in=10)
    shown = tile(boards.snapshot_for("floor", None), queue)
    assert (shown["waiting"], shown["overdue"], shown["next_breach_at"]) == (2, 0, next_due.deadline)
    breached = waiting(queue, minutes=90, due_in=-30)
    shown = tile(boards.snapshot_for("floor", None), queue)
    assert (shown["waiting"], shown["overdue"], shown["received"], shown["answered"]) == (3, 1, 3, 0)
    assert shown["next_breach_at"] == shown["overdue_since"] == breached.deadline
    assert shown["oldest_queued_at"] < oldest.queued_at


def test_the_level_counts_unanswered_ones_that_fell_due():
    queue = make.make_queue()
    answered(queue), answered(queue), answered(queue, in_time=False)
    waiting(queue, minutes=70, due_in=-10)
    waiting(queue)  # not due yet: says nothing
    shown = boards.snapshot_for("floor", None)
    assert tile(shown, queue)["service_level"] == 0.5
    assert tile(shown, queue)["spark"][-1] == 0.5
    assert shown["totals"]["service_level"] == 0.5


def test_work_closed_without_an_answer_is_outside_the_level():
    queue = make.make_queue()
    answered(queue)
    WorkItem.objects.filter(pk=waiting(queue, minutes=70, due_in=-10).pk).update(
        status="done", accepted_at=timezone.now()
    )
    assert tile(boards.snapshot_for("floor", None), queue)["service_level"] == 1.0


def test_calls_are_judged_by_their_wait_and_short_abandons_are_left_out():
    queue = make.make_queue()
    now = timezone.now()
    for wait, fields in (
        (10, {"status": "assigned", "accepted_at": now}),
        (40, {"status": "assigned", "accepted_at": now}),
        (30, {"status": "withdrawn", "done_at": now}),
        (3, {"status": "withdrawn", "done_at": now}),
    ):
        item = waiting(queue, kind="phone", **fields)
        queued = now - timedelta(seconds=wait)
        WorkItem.objects.filter(pk=item.pk).update(queued_at=queued, deadline=queued + timedelta(seconds=20))
    assert tile(boards.snapshot_for("floor", None), queue)["service_level"] == pytest.approx(
        1 / 3, abs=0.0001
    )


def test_a_board_of_families_counts_only_those():
    queue = make.make_queue()
    waiting(queue), waiting(queue, kind="phone")
    assert tile(boards.snapshot_for("floor", None), queue)["waiting"] == 2
    assert tile(boards.snapshot_for("social", None), queue)["waiting"] == 1


def test_agents_show_what_they_chose_what_they_do_and_why():
    team = make.make_team()
    queue = make.make_queue(team)
    idle = make.make_agent(team=team)
    working = make.make_assignment(make.make_agent(team=team), waiting(queue)).agent
    away = make.make_agent(team=team, chosen="break", chosen_reason="tea")
    silent = make.make_agent(team=team, silent=True)
    missed = make.make_agent(team=team, blocked_families=["social"])
    make.make_agent(team=team, chosen="offline")
    shown = boards.snapshot_for("floor", None)
    seen = {one["id"]: one for one in shown["agents"]}
    assert set(seen) == {idle.pk, working.pk, away.pk, silent.pk, missed.pk}
    assert (seen[idle.pk]["state"], seen[idle.pk]["doing"]) == ("available", "idle")
    number = WorkItem.objects.get().interaction.ticket.number
    assert seen[working.pk]["doing"] == "in_work" and seen[working.pk]["items"] == [f"#{number} {queue.name}"]
    assert (seen[working.pk]["load"], seen[working.pk]["units"]) == (3, 15)
    assert (seen[away.pk]["state"], seen[away.pk]["reason"]) == ("break", "tea")
    assert (seen[silent.pk]["doing"], seen[silent.pk]["reason"]) == ("not_responding", "silent")
    assert (seen[missed.pk]["doing"], seen[missed.pk]["reason"]) == ("not_responding", "missed social")
    assert tile(shown, queue)["staffed"] == {
        "idle": 1,
        "in_work": 1,
        "wrap_up": 0,
        "break": 1,
        "not_responding": 2,
    }
    assert sum("not responding" in one["text"] for one in shown["alerts"]) == 2
    assert not any(name.startswith("_") for one in shown["agents"] for name in one)


def test_who_has_the_skill_is_staff_of_the_queue_too():
    queue = make.make_queue(topics=["refund"])
    make.make_agent(team=make.make_team(), skills={"refund": 4})
    make.make_agent(team=make.make_team(), skills={"router": 4})
    assert tile(boards.snapshot_for("floor", None), queue)["staffed"]["idle"] == 1


def test_a_team_supervisor_sees_his_team_and_marketing_no_closed_team():
    ours, staff = make.make_team(), make.make_team(visibility=TeamVisibility.CLOSED)
    our_queue, staff_queue = make.make_queue(ours), make.make_queue(staff)
    make.make_agent(team=ours), make.make_agent(team=staff)
    who = {
        "team": make.make_user(Role.SUPERVISOR, ours),
        "all": make.make_user(Role.SUPERVISOR),
        "marketing": make.make_user(Role.MARKETING, ours),
        "auditor": make.make_user(Role.AUDITOR),
    }
    seen = {name: boards.snapshot("floor", user) for name, user in who.items()}
    queues = {name: {one["slug"] for one in shown["queues"]} for name, shown in seen.items()}
    assert queues["team"] == {our_queue.slug} and len(seen["team"]["agents"]) == 1
    assert queues["all"] == queues["auditor"] == {our_queue.slug, staff_queue.slug}
    assert queues["marketing"] == {our_queue.slug} and len(seen["marketing"]["agents"]) == 1
    assert boards.scope_key(who["team"]) == (ours.pk,) and boards.scope_key(who["all"]) is None
    with pytest.raises(NotAllowed):
        boards.snapshot("floor", make.make_user())


def test_what_is_in_quarantine_is_an_alert_for_who_may_replay():
    make.make_delivery(state="quarantined", error="no author")
    assert [one["text"] for one in boards.snapshot_for("floor", None)["alerts"]] == [
        "1 delivery in quarantine"
    ]
    assert boards.snapshot_for("floor", (boards.OPEN_TEAMS,))["alerts"] == []


def test_more_work_and_more_agents_cost_no_more_statements():
    def statements():
        with CaptureQueriesContext(connection) as asked:
            boards.snapshot_for("floor", None)
        return len(asked)

    queue = make.make_queue()
    waiting(queue)
    statements()  # the closed half-hours are read once
    few = statements()
    for _ in range(20):
        make.make_assignment(work_item=waiting(queue))
        waiting(make.make_queue())
    assert statements() == few == 5
