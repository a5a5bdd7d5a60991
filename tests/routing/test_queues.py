"""Queues as objects: their rules, and what they do to the work that waits in them."""

import time
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from crm.models import Activity, Interaction
from routing.models import Agent, AgentSkill, Assignment, Skill, WorkItem
from routing.services import dispatch, orphans, overflows, work_items
from tests import factories as make

pytestmark = pytest.mark.django_db


def router() -> dispatch.Router:
    """One who has just read everything."""
    made = dispatch.Router()
    made.rebuild()
    return made


def offered() -> int:
    """What such a router offers in one round."""
    return router().round(time.time())


def moved() -> int:
    """What overflows, as the leader asks once a second."""
    return overflows.move(router().pool.seats)


def test_an_offer_rings_as_long_as_its_queue_says_else_as_long_as_the_installation_does(settings):
    settings.OFFER_SECONDS_SOCIAL = 61
    own = make.make_work_item(queue=make.make_queue(offer_seconds={"social": 7}))
    usual = make.make_work_item(queue=make.make_queue(offer_seconds={"mail": 9}))
    make.make_agent()
    assert offered() == 2
    rung = {one.work_item_id: one.expires_at - one.offered_at for one in Assignment.objects.all()}
    assert rung == {own.pk: timedelta(seconds=7), usual.pk: timedelta(seconds=61)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "best"},
        {"ordering": "random"},
        {"wrap_up_seconds": 3601},
        {"pull_within": 0},
        {"escape_seconds": 0},
    ],
)
def test_the_database_refuses_rules_that_make_no_sense(wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        make.make_queue(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"gives_up": "hope"},
        {"gives_up": "level"},
        {"gives_up": "level", "level": 6},
        {"gives_up": "overflow"},
        {"gives_up": "anybody", "level": 2},
        {"gives_up": "language", "skill": "billing"},
    ],
)
def test_the_database_refuses_steps_that_make_no_sense(wrong):
    if "skill" in wrong:
        wrong = wrong | {"skill": make_skill(wrong["skill"])}
    queue = make.make_queue()
    with pytest.raises(IntegrityError), transaction.atomic():
        queue.steps.create(position=1, seconds=10, **wrong)
    with pytest.raises(IntegrityError), transaction.atomic():
        queue.steps.create(position=1, seconds=10, gives_up="overflow", target=queue)


def make_skill(code: str) -> Skill:
    return Skill.objects.get_or_create(code=code, defaults={"name": code.title()})[0]


def widening(queue, *steps: dict) -> None:
    for position, step in enumerate(steps):
        queue.steps.create(position=position, **step)


def waited(item, seconds: float) -> None:
    """As if it had come into its queue so long ago."""
    WorkItem.objects.filter(pk=item.pk).update(created_at=timezone.now() - timedelta(seconds=seconds))


def test_work_asks_less_of_agents_step_by_step_and_the_step_that_served_is_kept():
    queue = make.make_queue(required_skills={"french": 4, "billing": 1})
    french = make_skill("french")
    widening(
        queue,
        {"seconds": 60, "gives_up": "level", "skill": french, "level": 2},
        {"seconds": 60, "gives_up": "prefer", "skill": french},
        {"seconds": 60, "gives_up": "anybody"},
    )
    beginner = make.make_agent(skills={"french": 2, "billing": 3})
    make.make_agent(skills={"billing": 3})
    item = make.make_work_item(queue=queue)
    assert offered() == 0
    waited(item, 59)
    assert offered() == 0
    waited(item, 61)
    assert offered() == 1
    made = Assignment.objects.get()
    assert (made.agent, made.step, made.explanation["step"]) == (beginner, "level:2:french", "level:2:french")


def test_a_skill_that_became_preferred_still_chooses_among_those_who_are_free():
    queue = make.make_queue(required_skills={"french": 4})
    widening(queue, {"seconds": 60, "gives_up": "prefer"})
    make.make_agent(skills={"french": 3}, idle_since=timezone.now() - timedelta(hours=1))
    speaks = make.make_agent(skills={"french": 4, "billing": 5})
    item = make.make_work_item(queue=queue)
    waited(item, 61)
    assert offered() == 1
    made = Assignment.objects.get()
    assert (made.agent, made.step) == (speaks, "prefer")
    assert "French 4 preferred" in made.explanation["reason"]
    assert "could, lacks French, which is preferred" in [one["why"] for one in made.explanation["candidates"]]


def test_a_skill_that_has_run_out_does_not_count():
    make.make_agent(skills={"french": 5})
    make.make_work_item(queue=make.make_queue(required_skills={"french": 1}))
    AgentSkill.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert offered() == 0
    AgentSkill.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    assert offered() == 1


def test_preferred_skills_of_a_queue_choose_who_is_asked_and_keep_nobody_out():
    queue = make.make_queue(preferred_skills={"billing": 3})
    make.make_agent(idle_since=timezone.now() - timedelta(hours=1), capacity=3)
    knows = make.make_agent(skills={"billing": 3}, capacity=3)
    first, second = make.make_work_item(queue=queue), make.make_work_item(queue=queue)
    assert offered() == 2
    assert Assignment.objects.get(work_item=first).agent == knows
    assert Assignment.objects.get(work_item=second).agent != knows


@pytest.mark.parametrize(
    ("ordering", "first"),
    [
        ("score", "loud"),
        ("due", "soon"),
        ("oldest", "old"),
    ],
)
def test_a_queue_has_its_own_order(ordering, first):
    queue, now = make.make_queue(ordering=ordering), timezone.now()
    items = {
        "old": make.make_work_item(
            queue=queue, queued_at=now - timedelta(minutes=50), deadline=now + timedelta(minutes=40)
        ),
        "soon": make.make_work_item(
            queue=queue, queued_at=now - timedelta(minutes=40), deadline=now + timedelta(minutes=1)
        ),
        "loud": make.make_work_item(
            queue=queue, queued_at=now - timedelta(minutes=30), deadline=now + timedelta(minutes=2),
            priority_parts={"urgency": 0.8, "value": 1.0},
        ),
    }  # fmt: skip
    make.make_agent(capacity=3)
    assert offered() == 1
    assert Assignment.objects.get().work_item == items[first]


def test_work_of_a_queue_that_does_not_ask_is_in_hand_at_once():
    given = make.make_work_item(queue=make.make_queue(mode="auto"))
    asked = make.make_work_item(queue=make.make_queue())
    agent = make.make_agent()
    assert offered() == 2
    given.refresh_from_db()
    asked.refresh_from_db()
    assert (given.status, asked.status) == ("assigned", "offered")
    held = given.assignments.get()
    assert held.status == "accepted" and held.accepted_at >= held.offered_at
    assert Interaction.objects.get(pk=given.interaction_id).assigned_to == agent.user
    agent.refresh_from_db()
    assert agent.load == 6


@pytest.mark.parametrize("mode", ["next", "free"])
def test_work_that_is_pulled_is_never_pushed(mode):
    make.make_work_item(queue=make.make_queue(mode=mode))
    make.make_agent()
    assert offered() == 0


# --- Overflow


def test_work_moves_on_when_its_time_has_come_with_its_age_and_a_line_in_the_history():
    own, other = make.make_queue(), make.make_queue()
    widening(own, {"seconds": 30, "gives_up": "overflow", "target": other, "skip_if_nobody": False})
    item = make.make_work_item(queue=own, queued_at=timezone.now() - timedelta(hours=2))
    assert moved() == 0
    waited(item, 31)
    assert moved() == 1
    assert moved() == 0
    before = item.queued_at
    item.refresh_from_db()
    assert (item.queue, item.queued_at, item.been_in) == (other, before, [own.pk])
    assert item.entered_at > timezone.now() - timedelta(seconds=30)
    interaction = Interaction.objects.get(pk=item.interaction_id)
    assert (interaction.team, interaction.ticket.team) == (other.team, other.team)
    line = Activity.objects.get(verb="work_item.overflowed")
    assert (line.ticket, line.data["from"], line.data["to"]) == (interaction.ticket, own.slug, other.slug)


def test_a_target_where_nobody_is_in_who_could_take_it_is_passed_over():
    own, near, far = make.make_queue(), make.make_queue(required_skills={"french": 4}), make.make_queue()
    widening(
        own,
        {"seconds": 10, "gives_up": "overflow", "target": near},
        {"seconds": 10, "gives_up": "overflow", "target": far},
    )
    make.make_agent(skills={"french": 5}, chosen="break")
    make.make_agent(skills={"french": 3})
    item = make.make_work_item(queue=own)
    waited(item, 11)
    assert moved() == 0, "nobody with French 4 is in, and the second target's time has not come"
    waited(item, 21)
    assert moved() == 1
    item.refresh_from_db()
    assert item.queue == far
    Agent.objects.update(chosen="available")
    again = make.make_work_item(queue=own)
    waited(again, 21)
    assert moved() == 1
    again.refresh_from_db()
    assert again.queue == near, "the first target in order, when somebody is in"


def test_queues_that_overflow_into_each_other_hand_work_round_once():
    one, two = make.make_queue(), make.make_queue()
    widening(one, {"seconds": 0, "gives_up": "overflow", "target": two, "skip_if_nobody": False})
    widening(two, {"seconds": 0, "gives_up": "overflow", "target": one, "skip_if_nobody": False})
    item = make.make_work_item(queue=one)
    waited(item, 1)
    assert [moved(), moved(), moved()] == [1, 0, 0]
    item.refresh_from_db()
    assert item.queue == two


def test_work_escapes_to_the_fallback():
    fallback, own = make.make_queue(is_fallback=True), make.make_queue(escape_seconds=60)
    item = make.make_work_item(queue=own)
    waited(item, 59)
    assert moved() == 0
    waited(item, 61)
    assert moved() == 1
    item.refresh_from_db()
    assert item.queue == fallback


def test_a_step_counts_from_when_work_came_into_its_queue():
    own, other = make.make_queue(), make.make_queue(required_skills={"french": 5})
    widening(own, {"seconds": 5, "gives_up": "overflow", "target": other, "skip_if_nobody": False})
    widening(other, {"seconds": 60, "gives_up": "anybody"})
    make.make_agent()
    item = make.make_work_item(queue=own)
    WorkItem.objects.update(required_skills={"french": 5})
    waited(item, 600)
    assert (moved(), offered()) == (1, 0)
    WorkItem.objects.update(entered_at=timezone.now() - timedelta(seconds=61))
    assert offered() == 1
    assert Assignment.objects.get().step == "anybody"


# --- Nothing is left without an owner


def test_work_that_nobody_could_ever_take_is_listed_with_what_is_missing():
    closed = make.make_queue(required_skills={"french": 4})
    make.make_agent(skills={"french": 3}, chosen="offline")
    item = make.make_work_item(queue=closed)
    make.make_work_item(queue=make.make_queue())
    found = orphans.orphans()
    assert [(one["queue"], one["count"], one["work_items"], one["why"]) for one in found] == [
        (closed.pk, 1, [item.pk], "nobody has french 4")
    ]


def test_a_step_or_an_overflow_that_reaches_somebody_leaves_nothing_without_an_owner():
    wide, chained = (make.make_queue(required_skills={"french": 4}) for _ in range(2))
    other = make.make_queue()
    widening(wide, {"seconds": 3600, "gives_up": "anybody"})
    widening(chained, {"seconds": 3600, "gives_up": "overflow", "target": other})
    make.make_work_item(queue=wide)
    make.make_work_item(queue=chained)
    assert {one["why"] for one in orphans.orphans()} == {
        "nobody has all that it asks for together",
        "nobody has french 4",
    }
    agent = make.make_agent(chosen="offline")
    assert orphans.orphans() == []
    WorkItem.objects.update(refused_by=[agent.pk])
    assert {one["why"] for one in orphans.orphans()} == {
        "everybody who could take it has declined or missed it"
    }


# --- Where work goes


@pytest.mark.parametrize(
    ("hint", "topic", "channel", "expected"),
    [
        ("", "", "shop", "shop"),
        ("billing", "billing", "shop", "shop-billing"),
        ("billing", "other", "mail", "billing"),
        ("", "billing", "mail", "billing"),
        ("shop", "", "mail", "general"),
        ("", "", "", "general"),
    ],
)
def test_a_channel_leads_to_its_queue_before_hint_and_topic_do(hint, topic, channel, expected):
    team = make.make_team()
    for slug, fields in {
        "general": {"is_fallback": True},
        "billing": {"topics": ["billing"]},
        "shop": {"channels": ["shop"]},
        "shop-billing": {"channels": ["shop"], "topics": ["billing"]},
    }.items():
        make.make_queue(team, slug=slug, **fields)
    work_items.remember_queues(0)
    assert work_items._desk().queue_for(hint, topic, channel).slug == expected


def test_what_opens_on_a_channel_waits_in_the_queue_of_the_channel():
    make.make_queue(is_fallback=True)
    interaction = make.make_interaction()
    queue = make.make_queue(channels=[interaction.channel.slug])
    work_items.enqueue([interaction.pk])
    assert WorkItem.objects.get().queue == queue
