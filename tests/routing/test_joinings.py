"""A second person in a thread: consult, conference, warm transfer and hand-back, with their races and ends."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from crm.choices import ChannelKind, Role, TeamVisibility
from crm.errors import Conflict
from crm.models import Activity, Interaction, LiveEvent, Message
from crm.services import messages
from reports.services import reconciliation
from routing.models import Agent, Assignment, Joining, WorkItem
from routing.services import assignments, dispatch, joinings, presence, returns
from tests import factories as make
from tests.routing.test_races import at_once

pytestmark = pytest.mark.django_db
JSON = "application/json"
LOADS = (
    "a work item's state fits its live assignment", "an agent's load is what he holds",
    "nobody is over capacity by more than two items",
)  # fmt: skip


def acting(user):
    client = Client()
    client.force_login(user)

    def ask(method: str, path: str, **body):
        return getattr(client, method)(f"/api/v1/{path}", body or None, content_type=JSON)

    return ask


def told(user, kind: str) -> list[dict]:
    return list(LiveEvent.objects.filter(stream=f"desk:{user.pk}", type=kind).values_list("data", flat=True))


def history(item: int) -> list[str]:
    contact = WorkItem.objects.get(pk=item).interaction_id
    return list(Activity.objects.filter(interaction_id=contact).order_by("pk").values_list("verb", flat=True))


def sums_hold() -> None:
    for name in LOADS:
        assert not (broken := reconciliation.find(name)), (name, broken)
    for agent in Agent.objects.all():
        assert 0 <= agent.load <= agent.capacity


def holding(kind: str = ChannelKind.X, units: int = 3, **agent) -> Assignment:
    contact = make.make_interaction(make.make_channel(kind))
    owner = make.make_agent(capacity=15, **agent)
    return make.make_assignment(owner, make.make_work_item(contact, units=units))


def asked(held: Assignment, second: Agent, kind: str = "warm") -> Joining:
    return joinings.ask_in(held.work_item_id, by=held.agent.user, agent=second, kind=kind)


def joined(held: Assignment, second: Agent, kind: str = "warm") -> Joining:
    return joinings.accept(asked(held, second, kind), by=second.user)


# --- Warm transfer


def test_in_a_warm_transfer_the_sender_stays_until_the_receiver_takes_over():
    held, second = holding(), make.make_agent(capacity=15)
    sender, receiver = acting(held.agent.user), acting(second.user)
    body = {"agent": second.pk, "kind": "warm", "note": "She wants the old tariff back."}
    made = sender("post", f"work-items/{held.work_item_id}/ask-in/", **body)
    assert (made.status_code, made.json()["state"]) == (201, "asked")
    assert Message.objects.filter(
        interaction=held.work_item.interaction, direction="note", text=body["note"]
    ).exists()
    shown = receiver("get", "desk/").json()["joinings"]
    assert [(one["kind"], one["joined"], one["owner"]) for one in shown] == [
        ("warm", False, str(held.agent.user))
    ]
    assert "wants to hand you" in told(second.user, "alert")[0]["text"]
    path = f"joinings/{made.json()['id']}/"
    assert receiver("post", path + "take-over/").json()["code"] == "not_joined"
    assert receiver("post", path + "accept/").json()["state"] == "joined"
    held.refresh_from_db()
    assert held.status == "accepted" and Agent.objects.get(pk=second.pk).load == 0
    sums_hold()
    taken = receiver("post", path + "take-over/")
    assert (taken.status_code, taken.json()["agent"]) == (200, second.pk)
    assert Interaction.objects.get(pk=held.work_item.interaction_id).assigned_to == second.user
    assert [Agent.objects.get(pk=one).load for one in (held.agent_id, second.pk)] == [0, 3]
    assert WorkItem.objects.get(pk=held.work_item_id).transfers == 1
    one = receiver("get", path).json()
    assert (one["state"], one["ended_why"]) == ("ended", "taken over") and one["seconds"] is not None
    verbs = ["joining.asked", "note.written", "joining.joined", "work_item.taken_over", "joining.ended"]
    assert history(held.work_item_id) == verbs
    sums_hold()


def test_a_receiver_who_hands_back_or_has_no_room_leaves_the_work_with_its_sender():
    held, full = holding(), make.make_agent(capacity=4)
    make.make_assignment(full, make.make_work_item(units=3))
    one = joined(held, full)
    with pytest.raises(Conflict) as refusal:
        joinings.take_over(one, by=full.user)
    assert refusal.value.code == "no_capacity"
    assert acting(full.user)("post", f"joinings/{one.pk}/end/").json()["ended_why"] == "handed back"
    assert "handed back" in told(held.agent.user, "alert")[-1]["text"]
    held.refresh_from_db()
    assert held.status == "accepted"
    sums_hold()


def test_one_receiver_at_a_time_and_only_of_ones_own_work_and_somebody_who_is_there():
    held, second, third = holding(), make.make_agent(), make.make_agent()
    away, silent = make.make_agent(chosen="break"), make.make_agent(silent=True)
    closed = make.make_team(visibility=TeamVisibility.CLOSED)
    Interaction.objects.filter(pk=held.work_item.interaction_id).update(team=closed)
    codes = []
    for agent in (second, away, silent, held.agent):
        with pytest.raises(Conflict) as refusal:
            asked(held, agent)
        codes.append(refusal.value.code)
    assert codes == ["may_not_see", "not_available", "not_available", "own_work"]
    Interaction.objects.filter(pk=held.work_item.interaction_id).update(team=make.make_team())
    asked(held, second)
    for agent in (second, third):
        with pytest.raises(Conflict) as refusal:
            asked(held, agent)
        assert refusal.value.code == "already_asked"
    with pytest.raises(Conflict) as refusal:
        joinings.ask_in(held.work_item_id, by=third.user, agent=second, kind="consult")
    assert refusal.value.code == "not_held"


def test_who_does_not_answer_in_the_channels_time_is_not_waited_for_and_the_sender_hears_it():
    held, second = holding(ChannelKind.PHONE, units=15), make.make_agent()
    one = asked(held, second)
    assert (one.expires_at - one.asked_at).total_seconds() == 15
    assert joinings.keep() == 0
    Joining.objects.update(expires_at=timezone.now() - timedelta(minutes=5))
    with pytest.raises(Conflict) as refusal:
        joinings.accept(one, by=second.user)
    assert refusal.value.code == "request_over"
    assert joinings.keep() == 1
    assert "no answer" in told(held.agent.user, "alert")[-1]["text"]
    assert acting(second.user)("get", "desk/").json()["joinings"] == []
    sums_hold()


def test_a_receiver_who_is_in_keeps_the_work_of_a_sender_who_fell_silent():
    held, second = holding(ChannelKind.PHONE, units=15), make.make_agent(capacity=15)
    one = joined(held, second)
    ago = timezone.now() - timedelta(minutes=5)
    Agent.objects.filter(pk=held.agent_id).update(silent=True, seen_at=ago)
    assert returns.take_from_silent() == 1
    joinings.keep()
    live = Assignment.objects.get(work_item=held.work_item_id, status="accepted")
    assert live.agent == second and Agent.objects.get(pk=second.pk).load == 15
    one.refresh_from_db()
    assert one.ended_why == "the work moved on"
    sums_hold()


def test_a_receiver_without_room_lets_the_work_of_a_lost_sender_go_back_to_its_queue():
    held, second = holding(), make.make_agent(capacity=4)
    joined(held, second)
    make.make_assignment(second, make.make_work_item(units=3))
    Agent.objects.filter(pk=held.agent_id).update(silent=True, seen_at=timezone.now() - timedelta(hours=1))
    returns.take_from_silent()
    joinings.keep()
    assert WorkItem.objects.get(pk=held.work_item_id).status == "waiting"
    assert not Joining.objects.filter(ended_at=None).exists()
    sums_hold()


def test_a_receiver_who_leaves_is_no_receiver_any_more():
    held, second = holding(), make.make_agent()
    joined(held, second)
    presence.choose(second, "offline", by=second.user)
    assert joinings.keep() == 1
    assert Joining.objects.get().ended_why == "away"
    held.refresh_from_db()
    assert held.status == "accepted"


@pytest.mark.parametrize("end", ["complete", "transfer"])
def test_work_that_ends_or_goes_elsewhere_ends_what_was_asked(end):
    make.make_codes()
    held, second, third = holding(), make.make_agent(), make.make_agent()
    one = joined(held, second)
    if end == "complete":
        assignments.complete(held.work_item_id, by=held.agent.user, reason="billing", outcome="solved")
    else:
        assignments.transfer(held.work_item_id, by=held.agent.user, agent=third)
    with pytest.raises(Conflict):
        joinings.take_over(one, by=second.user)
    assert joinings.keep() == 1
    assert Joining.objects.get().ended_why == "the work moved on"
    assert history(held.work_item_id)[-1] == "joining.ended"
    sums_hold()


@pytest.fixture
def _shared(transactional_db):
    yield
    connections.close_all()


@pytest.mark.usefixtures("_shared")
def test_of_two_transfers_at_once_one_has_an_effect_and_loads_stay_the_sum_of_holds():
    make.make_codes()
    for _ in range(5):
        held, second, third = holding(), make.make_agent(capacity=15), make.make_agent(capacity=15)
        one, owner = joined(held, second), held.agent.user
        works = [
            partial(joinings.take_over, one, by=second.user),
            partial(assignments.transfer, held.work_item_id, by=owner, agent=third),
            partial(joinings.end, one, by=owner),
            joinings.keep,
        ]
        answers = at_once(works)
        assert sum(isinstance(each, Conflict) for each in answers[:2]) >= 1
        joinings.keep()
        assert Assignment.objects.filter(work_item=held.work_item_id, status="transferred").count() == 1
        assert not Joining.objects.filter(pk=one.pk, ended_at=None).exists()
        sums_hold()


@pytest.mark.usefixtures("_shared")
def test_of_two_colleagues_asked_at_once_one_is_the_receiver():
    held, others = holding(), [make.make_agent() for _ in range(4)]
    answers = at_once([partial(asked, held, agent) for agent in others])
    assert sum(isinstance(one, Joining) for one in answers) == 1
    assert {one.code for one in answers if isinstance(one, Conflict)} == {"already_asked"}


# --- Consult, conference, hand-back


def test_a_consulted_colleague_sees_the_thread_the_customer_notices_nothing_and_both_times_are_counted():
    held, second = holding(), make.make_agent(capacity=15)
    one = joined(held, second, "consult")
    outside = Message.objects.filter(direction="outbound").count()
    assert acting(second.user)("get", f"interactions/{held.work_item.interaction_id}/").status_code == 200
    messages.note(held.work_item.interaction, by=second.user, text="Clause 4 covers it.")
    Joining.objects.filter(pk=one.pk).update(
        asked_at=timezone.now() - timedelta(seconds=100), joined_at=timezone.now() - timedelta(seconds=90)
    )
    one.refresh_from_db()
    joinings.end(one, by=second.user)
    assert Message.objects.filter(direction="outbound").count() == outside
    shown = acting(held.agent.user)("get", f"joinings/?work_item={held.work_item_id}").json()["results"]
    assert [(each["ended_why"], 85 <= each["seconds"] < 120) for each in shown] == [("left", True)]
    held.refresh_from_db()
    assert held.status == "accepted" and held.units == 3
    assert Agent.objects.get(pk=second.pk).load == 0  # a word costs no units
    sums_hold()


def test_who_is_in_a_call_with_a_colleague_gets_nothing_until_he_leaves():
    held, second = holding(ChannelKind.PHONE, units=15), make.make_agent(capacity=15)
    one = joined(held, second, "consult")
    assert dispatch.seat_of(second.user_id).in_call
    joinings.end(one, by=held.agent.user)
    assert not dispatch.seat_of(second.user_id).in_call


def test_a_lead_joins_both_answer_and_the_owner_stays_the_owner():
    team = make.make_team()
    lead = make.make_user(Role.SUPERVISOR, team)
    held = holding(user=make.make_user(team=team))
    Interaction.objects.filter(pk=held.work_item.interaction_id).update(team=team)
    made = acting(lead)("post", f"work-items/{held.work_item_id}/join/")
    assert (made.status_code, made.json()["kind"], made.json()["state"]) == (201, "conference", "joined")
    assert acting(lead)("post", f"work-items/{held.work_item_id}/join/").json()["code"] == "already_joined"
    contact = held.work_item.interaction_id
    for user, text in ((lead, "I am her lead."), (held.agent.user, "We settle it now.")):
        assert acting(user)("post", f"interactions/{contact}/replies/", text=text).status_code == 201
    assert Interaction.objects.get(pk=contact).assigned_to == held.agent.user
    page = Client()
    page.force_login(lead)
    assert "Leave" in page.get(f"/interactions/{contact}/").content.decode()
    page.force_login(held.agent.user)
    assert str(lead) in page.get(f"/interactions/{contact}/").content.decode()
    assert acting(lead)("post", f"joinings/{made.json()['id']}/end/").json()["ended_why"] == "left"
    assert acting(make.make_user())("post", f"work-items/{held.work_item_id}/join/").status_code == 403
    sums_hold()


def test_what_was_handed_on_can_be_handed_back_and_is_offered_to_who_had_it():
    held, second = holding(), make.make_agent(capacity=15)
    queue = held.work_item.queue
    assignments.transfer(held.work_item_id, by=held.agent.user, agent=second, note="yours")
    taken = assignments.claim(held.work_item_id, by=second.user)
    assert (
        acting(second.user)(
            "post", f"work-items/{held.work_item_id}/hand-back/", note="No, yours"
        ).status_code
        == 204
    )
    item = WorkItem.objects.get(pk=held.work_item_id)
    assert (item.preferred_agent_id, item.transfers, item.queue_id) == (held.agent_id, 2, queue.pk)
    assert held.agent_id not in item.refused_by and taken.agent_id in item.refused_by
    router = dispatch.Router()
    router.rebuild()
    assert router.round(timezone.now().timestamp()) == 1
    assert Assignment.objects.get(status="offered").agent_id == held.agent_id
    fresh = holding()
    again = acting(fresh.agent.user)("post", f"work-items/{fresh.work_item_id}/hand-back/")
    assert again.json()["code"] == "nobody_before"
    sums_hold()


def test_a_request_is_declined_with_a_reason_by_who_was_asked_and_nobody_else():
    held, second = holding(), make.make_agent()
    one = asked(held, second, "conference")
    assert acting(make.make_agent().user)("post", f"joinings/{one.pk}/accept/").status_code == 404
    said = acting(second.user)("post", f"joinings/{one.pk}/decline/", reason="in a meeting")
    assert said.json()["ended_why"] == "declined: in a meeting"
    assert "in a meeting" in told(held.agent.user, "alert")[-1]["text"]
    assert acting(second.user)("post", f"joinings/{one.pk}/accept/").json()["code"] == "request_over"
    asked(held, second, "consult")  # again is another request


def test_work_that_is_given_without_asking_stands_in_the_history():
    queue = make.make_queue(mode="auto")
    item = make.make_work_item(queue=queue)
    agent = make.make_agent(capacity=15)
    router = dispatch.Router()
    router.rebuild()
    assert router.round(timezone.now().timestamp()) == 1
    assert Assignment.objects.get(work_item=item).status == "accepted"
    line = Activity.objects.get(interaction_id=item.interaction_id, verb="work_item.given")
    assert line.data["agent"] == agent.pk
