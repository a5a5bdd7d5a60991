"""Asking for help: the hand on the board, the nearest lead, whispering, taking over."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from crm.choices import Role
from crm.models import Activity, Interaction, LiveEvent, Message
from reports.models import Board
from reports.services import reconciliation
from routing.models import Agent, Assignment, Hand, WorkItem
from tests import factories as make

pytestmark = pytest.mark.django_db
JSON = "application/json"


def acting(user):
    client = Client()
    client.force_login(user)

    def ask(method: str, path: str, **body):
        return getattr(client, method)(f"/api/v1/{path}", body or None, content_type=JSON)

    return ask


def told(user, kind: str) -> list[dict]:
    return list(LiveEvent.objects.filter(stream=f"desk:{user.pk}", type=kind).values_list("data", flat=True))


def test_a_raised_hand_is_told_to_the_nearest_leads_and_stands_on_their_board_until_it_is_lowered():
    team = make.make_team()
    agent = make.make_agent(team=team)
    near, far = make.make_user(Role.SUPERVISOR, team), make.make_user(Role.SUPERVISOR, make.make_team())
    everywhere = make.make_user(Role.SUPERVISOR)
    contact = make.make_interaction(topic="refund", team=team)
    held = make.make_assignment(agent, make.make_work_item(contact, make.make_queue(team)))
    made = acting(agent.user)("post", "hands/", reason="how_to", work_item=held.work_item_id)
    assert (made.status_code, made.json()["topic"], made.json()["interaction"]) == (201, "refund", contact.pk)
    assert acting(agent.user)("post", "hands/", reason="other").json()["code"] == "hand_up"
    assert [len(told(one, "alert")) for one in (near, far, everywhere)] == [1, 0, 0]

    Board.objects.get_or_create(slug="floor", defaults={"title": "Floor"})
    board = acting(near)("get", "boards/floor/").json()
    alert = next(one for one in board["alerts"] if "raised a hand" in one["text"])
    assert alert["href"] == f"/interactions/{contact.pk}/"
    assert acting(agent.user)("get", "desk/").json()["hand"]["reason"] == "how_to"

    path = f"hands/{made.json()['id']}/"
    assert acting(agent.user)("post", path + "take/").status_code == 403
    assert acting(near)("post", path + "take/").json()["taken_by"] == near.pk
    assert acting(everywhere)("post", path + "take/").json()["code"] == "hand_taken"
    assert "comes to help" in told(agent.user, "alert")[0]["text"]
    assert acting(agent.user)("post", path + "lower/").status_code == 200
    assert acting(near)("post", path + "lower/").json()["code"] == "hand_down"
    assert acting(agent.user)("get", "desk/").json()["hand"] is None
    assert acting(near)("get", "hands/?is_up=true").json()["results"] == []


def test_where_a_team_has_no_lead_those_of_all_teams_hear_of_it():
    agent = make.make_agent(team=make.make_team())
    everywhere = make.make_user(Role.SUPERVISOR)
    acting(agent.user)("post", "hands/", reason="upset")
    assert len(told(everywhere, "alert")) == 1


def test_hands_are_about_own_work_and_counted_by_topic():
    agent, other = make.make_agent(), make.make_assignment()
    ask = acting(agent.user)
    assert ask("post", "hands/", reason="how_to", work_item=other.work_item_id).json()["code"] == "not_held"
    assert set(ask("post", "hands/", reason="boredom").json()["errors"]) == {"reason"}
    ago = timezone.now() - timedelta(days=40)
    for reason, topic, ended in (("how_to", "refund", timezone.now()), ("how_to", "refund", None)):
        Hand.objects.create(agent=agent, reason=reason, topic=topic, ended_at=ended)
    Hand.objects.create(agent=other.agent, reason="upset", topic="price", raised_at=ago, ended_at=ago)
    counted = acting(make.make_user(Role.SUPERVISOR))("get", "hands/topics/").json()["results"]
    assert counted == [{"topic": "refund", "reason": "how_to", "hands": 2}]


def test_a_whisper_is_on_the_agents_desk_at_once_and_a_note_in_the_thread():
    held = make.make_assignment()
    lead = make.make_user(Role.SUPERVISOR)
    path = f"work-items/{held.work_item_id}/whisper/"
    assert acting(lead)("post", path, text="Offer a refund.").status_code == 204
    note = Message.objects.get(direction="note")
    assert (note.text, note.author, note.audience) == ("Offer a refund.", lead, "internal")
    assert told(held.agent.user, "whisper")[0]["text"].endswith("Offer a refund.")
    assert acting(held.agent.user)("post", path, text="To myself").status_code == 403
    assert set(acting(lead)("post", path, text="").json()["errors"]) == {"text"}


def test_a_lead_who_takes_over_holds_it_alone_and_the_age_stays():
    held = make.make_assignment()
    lead = make.make_agent(make.make_user(Role.SUPERVISOR))
    age = held.work_item.queued_at
    path = f"work-items/{held.work_item_id}/take-over/"
    assert acting(make.make_user(Role.SUPERVISOR))("post", path).json()["code"] == "no_agent"
    made = acting(lead.user)("post", path).json()
    assert (made["agent"], made["status"]) == (lead.pk, "accepted")
    held.refresh_from_db()
    assert (held.status, held.reason) == ("transferred", "taken over")
    loads = {one.pk: one.load for one in Agent.objects.all()}
    assert loads == {held.agent_id: 0, lead.pk: 3}
    item = WorkItem.objects.get()
    assert (item.status, item.queued_at) == ("assigned", age)
    assert Interaction.objects.get().assigned_to == lead.user
    assert told(held.agent.user, "assignment.ended") and told(lead.user, "assignment.started")
    assert Activity.objects.filter(verb="work_item.taken_over").count() == 1
    assert acting(lead.user)("post", path).json()["code"] == "already_yours"
    broken = {one["check"] for one in reconciliation.violations()}
    assert not broken & {"an agent's load is what he holds", "a work item's state fits its live assignment"}


def test_a_lead_without_room_for_one_item_more_takes_nothing_over():
    held = make.make_assignment()
    lead = make.make_agent(make.make_user(Role.SUPERVISOR), capacity=3)
    for _ in range(2):
        make.make_assignment(Agent.objects.get(pk=lead.pk))
    refused = acting(lead.user)("post", f"work-items/{held.work_item_id}/take-over/")
    assert refused.json()["code"] == "no_capacity"
    assert Assignment.objects.get(pk=held.pk).status == "accepted"
