"""The end of a shift, handing on, and how much an agent may have at once."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from crm.choices import ChannelKind, Role
from crm.models import LiveEvent, MacroVersion, Message, Ticket
from crm.services import tickets
from routing.models import Agent, Assignment, Queue, ScheduledTime, Skill, WorkItem
from routing.services import assignments, dispatch, plans
from tests import factories as make

pytestmark = pytest.mark.django_db
JSON = "application/json"


def acting(user):
    client = Client()
    client.force_login(user)

    def ask(method: str, path: str, **body):
        return getattr(client, method)(f"/api/v1/{path}", body or None, content_type=JSON)

    return ask


def shift(agent: Agent, starts: int, ends: int) -> ScheduledTime:
    """A shift from and to so many minutes from now."""
    now = timezone.now()
    times = {"starts_at": now + timedelta(minutes=starts), "ends_at": now + timedelta(minutes=ends)}
    return ScheduledTime.objects.create(agent=agent, kind="shift", **times)


def waiting(kind: str, **fields) -> WorkItem:
    contact = make.make_interaction(make.make_channel(kind))
    return make.make_work_item(contact, fields.pop("queue", None) or make.make_queue(), **fields)


def offered(*items: WorkItem) -> list[int]:
    router = dispatch.Router()
    router.rebuild()
    router.round(1e10)
    made = Assignment.objects.filter(status="offered", work_item__in=items)
    return sorted(made.values_list("work_item", flat=True))


def test_ten_minutes_before_the_end_of_a_shift_nothing_live_is_offered_but_other_work_is():
    agent = make.make_agent()
    shift(agent, -200, 8)
    chat, post = waiting(ChannelKind.CHAT, units=5), waiting(ChannelKind.X)
    assert offered(chat, post) == [post.pk]
    shift(agent, 8, 240)
    assert offered(chat, post) == [chat.pk, post.pk], "the next shift follows at once"
    desk = acting(agent.user)("get", "desk/").json()
    assert desk["shift"]["ending"] is False


def test_who_works_on_past_his_shift_gets_nothing_live_and_is_told_to_hand_over():
    agent = make.make_agent()
    shift(agent, -480, -3)
    chat = waiting(ChannelKind.CHAT, units=5)
    assert offered(chat) == []
    assert acting(agent.user)("get", "desk/").json()["shift"]["ending"] is True
    assert acting(make.make_agent().user)("get", "desk/").json()["shift"] is None


def test_the_handover_names_what_is_promised_broken_left_and_new_of_what_one_may_see():
    team, closed = make.make_team(), make.make_team(visibility="closed")
    agent = make.make_agent(team=team)
    away = make.make_agent(team=team, chosen="offline")
    hidden = make.make_agent(team=closed, chosen="offline")
    for owner, whose in ((away, team), (hidden, closed)):
        make.make_assignment(
            owner, make.make_work_item(make.make_interaction(team=whose), make.make_queue(whose))
        )
    at = timezone.now() + timedelta(hours=3)
    for whose in (team, closed):
        make.make_ticket(team=whose, promise="We call by noon", promised_by=at)
        make.make_ticket(team=whose, kind="incident")
    done = make.make_ticket(team=team, promise="Done", promised_by=at, status="solved", solved_at=at)
    incident = Ticket.objects.get(team=team, kind="incident")
    tickets.link(make.make_ticket(team=team), incident, kind="incident", by=agent.user)
    macro = make.make_macro()
    old = make.make_macro()
    shift(agent, -60, 60)
    mine = make.make_assignment(agent)
    said = acting(agent.user)("get", "handover/").json()
    assert [one["work_item"] for one in said["mine"]] == [mine.work_item_id]
    assert [one["promise"] for one in said["promises"]] == ["We call by noon"]
    assert done.pk not in {one["ticket"] for one in said["promises"]}
    assert [(one["ticket"], one["caused"]) for one in said["incidents"]] == [(incident.pk, 1)]
    assert [(one["agent"], one["held"]) for one in said["absent"]] == [(away.pk, 1)]
    assert {one["macro"] for one in said["texts"]} == {macro.pk, old.pk}
    assert MacroVersion.objects.count() == 2
    page = Client()
    page.force_login(agent.user)
    shown = page.get("/handover/").content.decode()
    assert "We call by noon" in shown and str(away) in shown and str(hidden) not in shown


def test_the_list_at_the_end_keeps_with_a_next_action_hands_on_and_returns_with_a_note():
    agent, colleague = make.make_agent(capacity=30), make.make_agent()
    held = [make.make_assignment(Agent.objects.get(pk=agent.pk)) for _ in range(3)]
    ask = acting(agent.user)
    tomorrow = (timezone.now() + timedelta(days=1)).isoformat()
    keep, hand, back = (f"work-items/{one.work_item_id}/" for one in held)
    assert ask("post", keep + "park/", until=tomorrow, note="Ring the depot").status_code == 200
    assert ask("post", hand + "transfer/", agent=colleague.pk, note="Waits for a refund").status_code == 204
    queue = held[2].work_item.queue.slug
    assert ask("post", back + "transfer/", queue=queue, note="Nothing done yet").status_code == 204
    notes = Message.objects.filter(direction="note").order_by("pk").values_list("interaction", "text")
    assert list(notes) == [
        (one.work_item.interaction_id, text)
        for one, text in zip(held, ("Ring the depot", "Waits for a refund", "Nothing done yet"), strict=True)
    ]
    agent.refresh_from_db()
    assert agent.load == 0
    assert WorkItem.objects.get(pk=held[1].work_item_id).preferred_agent == colleague


def test_who_hands_on_hears_of_a_refusal_and_the_second_time_it_shows():
    first, second = make.make_agent(), make.make_agent()
    held = make.make_assignment(first)
    ask = acting(first.user)
    assert ask("post", f"work-items/{held.work_item_id}/transfer/", agent=second.pk).status_code == 204
    for refuse in (
        lambda offer: assignments.decline(offer.pk, by=second.user, reason="busy"),
        lambda offer: (
            Assignment.objects.filter(pk=offer.pk).update(expires_at=timezone.now() - timedelta(seconds=1)),
            assignments.expire(),
        ),
    ):
        refuse(make.make_offer(Agent.objects.get(pk=second.pk), WorkItem.objects.get()))
    said = LiveEvent.objects.filter(stream=f"desk:{first.user_id}", type="alert").order_by("pk")
    number = 1000 + held.work_item.interaction.ticket_id
    assert [one["text"] for one in said.values_list("data", flat=True)] == [
        f"{second.user} declined #{number}.", f"{second.user} did not answer to #{number}.",
    ]  # fmt: skip
    third = make.make_offer(make.make_agent(), WorkItem.objects.get())
    assignments.decline(third.pk, by=third.agent.user, reason="busy")
    assert said.count() == 2, "only whom he chose"
    taken = make.make_offer(make.make_agent(), WorkItem.objects.get())
    assignments.accept(taken.pk, by=taken.agent.user)
    assert WorkItem.objects.get().sent_by is None
    acting(taken.agent.user)(
        "post", f"work-items/{held.work_item_id}/transfer/", queue=held.work_item.queue.slug
    )
    shown = acting(make.make_user(Role.SUPERVISOR))("get", f"work-items/{held.work_item_id}/").json()
    assert shown["transfers"] == 2
    lead = Client()
    lead.force_login(make.make_user(Role.SUPERVISOR))
    page = lead.get(f"/interactions/{held.work_item.interaction_id}/").content.decode()
    assert "handed on 2 times" in page


def test_work_is_handed_to_whoever_has_a_skill():
    knows, other = make.make_agent(skills={"billing": 3}), make.make_agent()
    held = make.make_assignment(other)
    ask = acting(other.user)
    path = f"work-items/{held.work_item_id}/transfer/"
    assert "queue" in ask("post", path, skill="billing", agent=knows.pk).json()["errors"]
    assert "skill" in ask("post", path, skill="juggling").json()["errors"]
    assert Skill.objects.count() == 1
    assert ask("post", path, skill="billing").status_code == 204
    assert WorkItem.objects.get().required_skills == {"billing": 1}
    offered(WorkItem.objects.get())
    assert Assignment.objects.get(status="offered").agent == knows


def test_an_agent_has_no_more_of_a_family_at_once_than_his_limit_and_parked_work_does_not_count():
    team = make.make_team()
    agent = make.make_agent(team=team)
    ask = acting(make.make_user(Role.SUPERVISOR, team))
    assert ask("put", f"agents/{agent.pk}/limits/", chat=1, mail=0).json()["max_family"] == {
        "chat": 1,
        "mail": 0,
    }
    assert "chat" in ask("put", f"agents/{agent.pk}/limits/", chat=-1).json()["errors"]
    chats = [waiting(ChannelKind.CHAT, units=5) for _ in range(2)]
    mail = waiting(ChannelKind.EMAIL)
    assert len(offered(*chats, mail)) == 1
    taken = Assignment.objects.get()
    assignments.accept(taken.pk, by=agent.user)
    rest = next(one for one in chats if one.pk != taken.work_item_id)
    for item in (rest, mail):
        refused = acting(agent.user)("post", f"work-items/{item.pk}/claim/")
        assert refused.json()["code"] == "no_capacity"
    other = make.make_agent(team=make.make_team())
    assert ask("put", f"agents/{other.pk}/limits/", chat=1).status_code == 404


def test_a_trainees_capacity_grows_evenly_and_stays_at_its_goal():
    team = make.make_team()
    agent = make.make_agent(team=team, capacity=5)
    ask = acting(make.make_user(Role.SUPERVISOR, team))
    assert "goal" in ask("post", f"agents/{agent.pk}/train/", goal=5, days=10).json()["errors"]
    assert ask("post", f"agents/{agent.pk}/train/", goal=15, days=10).json()["capacity"] == 5

    def after(days: float) -> int:
        now = timezone.now()
        start = now - timedelta(days=days)
        Agent.objects.update(growing_from=start, growing_until=start + timedelta(days=10))
        plans.keep()
        return Agent.objects.get(pk=agent.pk).capacity

    assert [after(days) for days in (0, 1.5, 5.1, 4, 9.9)] == [5, 6, 10, 10, 14]
    assert after(11) == 15
    agent.refresh_from_db()
    assert (agent.growing_until, plans.keep()) == (None, 0)
    assert Queue.objects.count() == 0
