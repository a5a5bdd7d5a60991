"""What agents choose and what they do: chosen ahead, own reasons, planned pauses, silence."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from crm.choices import ChannelKind, Role
from crm.models import Activity, Interaction
from routing.conveyor import Conveyor
from routing.models import Agent, Assignment, PresenceReason, ScheduledTime, WorkItem
from routing.services import assignments, dispatch, plans, presence, returns
from tests import factories as make

pytestmark = pytest.mark.django_db
JSON = "application/json"


def chooses(agent: Agent, state: str, **more) -> dict:
    client = Client()
    client.force_login(agent.user)
    return client.put("/api/v1/agents/me/presence/", {"state": state, **more}, content_type=JSON).json()


def now_of(agent: Agent) -> str:
    return Agent.objects.values_list("chosen", flat=True).get(pk=agent.pk)


def offered_to(agent: Agent) -> int:
    router = dispatch.Router()
    router.rebuild()
    router.round(1e10)
    return Assignment.objects.filter(agent=agent, status="offered").count()


def finish(held: Assignment) -> None:
    make.make_codes()
    assignments.complete(held.work_item_id, by=held.agent.user, reason="billing", outcome="solved")


def test_a_break_after_this_one_takes_no_new_work_and_begins_when_one_piece_is_over():
    agent = make.make_agent()
    first, second = make.make_assignment(agent), make.make_assignment(Agent.objects.get())
    said = chooses(agent, "break", after="this")
    assert (said["state"], said["doing"], said["then"]) == (
        "available",
        "in_work",
        {"state": "break", "after": "this"},
    )
    make.make_work_item()
    assert offered_to(agent) == 0
    assert (plans.keep(), now_of(agent)) == (0, "available")
    finish(first)
    assert (plans.keep(), now_of(agent)) == (1, "break")
    assert plans.keep() == 0
    spent = [(one.chosen, one.ended_at is None) for one in agent.intervals.order_by("pk")]
    assert spent == [("available", False), ("break", True)]
    assert Assignment.objects.get(pk=second.pk).status == "accepted"


def test_no_new_work_and_finish_mine_ends_the_day_with_the_last_piece():
    agent = make.make_agent()
    held = [make.make_assignment(Agent.objects.get()) for _ in range(2)]
    offer = make.make_offer(Agent.objects.get())
    assert chooses(agent, "offline", after="all")["then"]["state"] == "offline"
    assert Assignment.objects.get(pk=offer.pk).status == "withdrawn"
    finish(held[0])
    plans.keep()
    assert now_of(agent) == "available"
    finish(held[1])
    plans.keep()
    assert now_of(agent) == "offline"


def test_a_choice_ahead_is_taken_back_by_another_and_comes_true_at_once_with_empty_hands():
    agent = make.make_agent()
    held = make.make_assignment(agent)
    chooses(agent, "break", after="this")
    assert chooses(agent, "available")["then"] is None
    finish(held)
    assert (plans.keep(), now_of(agent)) == (0, "available")
    assert chooses(agent, "break", after="this")["state"] == "break"


def test_an_own_reason_counts_as_its_state_and_tells_who_stays_too_long():
    PresenceReason.objects.create(
        slug="blood-donation", name="Blood donation", state="meeting", limit_minutes=45
    )
    PresenceReason.objects.create(slug="old", name="Old", state="break", retired=True)
    agent = make.make_agent()
    said = chooses(agent, "blood-donation")
    assert (said["state"], said["reason"], now_of(agent)) == ("blood-donation", "Blood donation", "meeting")
    assert said["until"] > said["since"]
    assert "state" in chooses(agent, "old")["errors"]
    assert plans.keep() == 0
    Agent.objects.update(chosen_until=timezone.now() - timedelta(minutes=1))
    assert (plans.keep(), plans.keep()) == (1, 0)
    assert chooses(agent, "available")["until"] is None


def test_a_planned_pause_begins_when_the_work_in_hand_lets_it_and_for_who_is_away_not_at_all():
    now = timezone.now()
    busy, idle, away = make.make_agent(), make.make_agent(), make.make_agent(chosen="training")
    held = make.make_assignment(busy)
    for agent in (busy, idle, away):
        ScheduledTime.objects.create(
            agent=agent, kind="meal", starts_at=now, ends_at=now + timedelta(minutes=30)
        )
        ScheduledTime.objects.create(
            agent=agent, kind="shift", starts_at=now, ends_at=now + timedelta(hours=8)
        )
    assert plans.keep() == 2
    assert [now_of(agent) for agent in (busy, idle, away)] == ["available", "meal", "training"]
    assert Agent.objects.get(pk=idle.pk).chosen_until == now + timedelta(minutes=30)
    finish(held)
    assert plans.keep() == 1 and now_of(busy) == "meal"


def test_a_plan_is_made_for_ones_own_team_without_overlap(client):
    team = make.make_team()
    agent, other = make.make_agent(team=team), make.make_agent(team=make.make_team())
    client.force_login(make.make_user(Role.SUPERVISOR, team))

    def plan(who: Agent, **times):
        body = {"agent": who.pk, "kind": "meal", **times}
        return client.post("/api/v1/scheduled-times/", body, content_type=JSON)

    times = {"starts_at": "2099-01-01T12:00:00Z", "ends_at": "2099-01-01T12:30:00Z"}
    made = plan(agent, **times)
    assert made.status_code == 201
    assert set(plan(agent, **times).json()["errors"]) == {"starts_at"}
    assert set(plan(agent, **{**times, "ends_at": times["starts_at"]}).json()["errors"]) == {"ends_at"}
    assert plan(other, **times).status_code == 404
    assert client.post(f"/api/v1/scheduled-times/{made.json()['id']}/remove/").status_code == 204
    assert (
        Activity.objects.filter(verb="schedule.removed").count() == 1 and not ScheduledTime.objects.exists()
    )


def test_an_owner_silent_too_long_loses_what_he_owns_with_its_age():
    silent, present = make.make_agent(), make.make_agent()
    post = make.make_assignment(silent)
    chat = make.make_assignment(
        Agent.objects.get(pk=silent.pk),
        make.make_work_item(make.make_interaction(make.make_channel(ChannelKind.CHAT)), units=5),
    )
    kept = make.make_assignment(present)
    age = chat.work_item.queued_at

    def quiet_for(seconds: int) -> int:
        Agent.objects.filter(pk=silent.pk).update(
            silent=True, seen_at=timezone.now() - timedelta(seconds=seconds)
        )
        return returns.take_from_silent()

    assert quiet_for(60) == 0
    assert quiet_for(200) == 1
    item = WorkItem.objects.get(pk=chat.work_item_id)
    assert (item.status, item.queued_at, item.preferred_agent) == ("waiting", age, None)
    assert Interaction.objects.get(pk=item.interaction_id).assigned_to is None
    assert quiet_for(1000) == 1
    silent.refresh_from_db()
    assert silent.load == 0 and {one.status for one in Assignment.objects.filter(agent=silent)} == {
        "withdrawn"
    }
    assert Activity.objects.filter(verb="work_item.returned", data__reason="owner silent").count() == 2
    assert {Assignment.objects.get(pk=one.pk).status for one in (kept, post)} == {"accepted", "withdrawn"}


def test_who_was_silent_has_work_again_in_the_turn_in_which_he_is_heard(services):
    agent = make.make_agent(silent=True, seen_at=timezone.now() - timedelta(minutes=5))
    make.make_work_item(make.make_interaction(make.make_channel(ChannelKind.CHAT)), units=5)
    conveyor = Conveyor()
    conveyor.start()
    while conveyor.step():
        pass
    assert not Assignment.objects.exists()
    presence.beat([agent.user_id], socket=True)
    conveyor.step()
    assert Assignment.objects.get().agent == agent
