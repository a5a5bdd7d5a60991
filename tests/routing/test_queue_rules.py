"""Rules of queues kept over REST, tried before they are kept, and work that agents fetch themselves."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from crm.choices import Role
from crm.models import Activity
from routing.models import Agent, Assignment, Change, Queue, RuleChange, Skill, WorkItem
from routing.services import orphans
from tests import factories as make

pytestmark = pytest.mark.django_db

JSON = "application/json"


class Caller:
    """Asks the REST doors as somebody."""

    def __init__(self, user) -> None:
        self.client = Client()
        self.client.force_login(user)

    def __call__(self, method: str, path: str, **body):
        ask = getattr(self.client, method)
        return ask(f"/api/v1/{path}") if method == "get" else ask(f"/api/v1/{path}", body, content_type=JSON)


@pytest.fixture
def owner() -> Caller:
    return Caller(make.make_user(Role.ADMINISTRATOR))


@pytest.fixture
def french() -> Skill:
    return Skill.objects.create(code="french", name="French")


def by_age(queue: Queue, count: int = 3, **fields) -> list[WorkItem]:
    """Waiting items of a queue, oldest first."""
    now = timezone.now()
    return [
        make.make_work_item(
            queue=queue,
            queued_at=now - timedelta(minutes=60 - number),
            deadline=now + timedelta(minutes=number),
            **fields,
        )
        for number in range(count)
    ]


# --- Keeping


def test_an_owner_makes_and_changes_a_queue_with_a_reason_that_stands_in_the_history(owner, french):
    team, other = make.make_team(), make.make_queue()
    steps = [
        {"seconds": 60, "gives_up": "level", "skill": "french", "level": 2},
        {"seconds": 60, "gives_up": "overflow", "target": other.slug, "skip_if_nobody": False},
    ]
    made = owner(
        "post", "queues/", slug="night", name="Night", team=team.slug, steps=steps, mode="free",
        required_skills={"french": 4}, offer_seconds={"chat": 9}, reason="we work at night",
    )  # fmt: skip
    assert made.status_code == 201, made.json()
    told = made.json()
    assert (told["mode"], told["required_skills"], told["offer_seconds"]) == (
        "free",
        {"french": 4},
        {"chat": 9},
    )
    assert told["steps"] == steps
    queue = Queue.objects.get(slug="night")
    waiting = make.make_work_item(queue=queue)
    changed = owner("patch", "queues/night/", steps=steps[:1], goal=0.5, reason="fewer people")
    assert (changed.status_code, changed.json()["steps"], changed.json()["goal"]) == (200, steps[:1], 0.5)
    assert Change.objects.get().work_item_id == waiting.pk, "the leader reads again what waits"
    last = RuleChange.objects.order_by("-pk").first()
    assert (last.reason, last.changes["goal"], sorted(last.changes)) == (
        "fewer people",
        [0.9, 0.5],
        ["goal", "steps"],
    )
    line = Activity.objects.get(verb="queue.configured")
    assert (line.data["queue"], line.data["reason"]) == ("night", "fewer people")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"reason": "  "}, "reason"),
        ({"required_skills": {"french": 6}}, "required_skills.french"),
        ({"required_skills": {"klingon": 1}}, "required_skills"),
        ({"offer_seconds": {"pigeon": 3}}, "offer_seconds"),
        ({"offer_seconds": {"chat": 0}}, "offer_seconds.chat"),
        ({"targets": {"chat": 30}}, "targets"),
        ({"channels": ["nowhere"]}, "channels"),
        ({"is_fallback": False}, "is_fallback"),
        ({"steps": [{"seconds": 5, "gives_up": "level", "skill": "french"}]}, "steps.0.level"),
        ({"steps": [{"seconds": 5, "gives_up": "overflow", "target": "nowhere"}]}, "steps.0.target"),
        ({"steps": [{"seconds": 5, "gives_up": "overflow", "target": "own"}]}, "steps"),
        ({"steps": [{"seconds": 5, "gives_up": "anybody"}] * 13}, "steps"),
    ],
)
def test_rules_that_make_no_sense_are_refused_by_name_and_nothing_is_written(owner, french, wrong, field):
    make.make_queue(slug="own", is_fallback=True)
    refused = owner("patch", "queues/own/", **{"reason": "a try", **wrong})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, [field])
    assert not RuleChange.objects.exists()


def test_there_is_always_one_fallback(owner):
    old, new = make.make_queue(is_fallback=True), make.make_queue()
    assert owner("patch", f"queues/{new.slug}/", is_fallback=True, reason="moved house").status_code == 200
    old.refresh_from_db()
    assert not old.is_fallback and Queue.objects.get(is_fallback=True) == new


def test_a_key_is_taken_once(owner):
    queue = make.make_queue()
    again = owner("post", "queues/", slug=queue.slug, name="Again", team=queue.team.slug, reason="a second")
    assert (again.status_code, again.json()["code"]) == (409, "slug_taken")


def test_skills_are_made_renamed_and_given_until_a_day(owner):
    assert owner("post", "skills/", code="danish", name="Dansk").status_code == 201
    assert owner("post", "skills/", code="danish", name="Again").json()["code"] == "code_taken"
    skill = Skill.objects.get()
    assert owner("patch", f"skills/{skill.pk}/", name="Danish").json()["name"] == "Danish"
    agent = make.make_agent(skills={"billing": 3})
    past, later = timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=1)
    given = [{"skill": "danish", "level": 4, "expires_at": later.isoformat()}]
    assert owner("put", f"agents/{agent.pk}/skills/", skills=given).json()["skills"] == {"danish": 4}
    given[0]["expires_at"] = past.isoformat()
    assert owner("put", f"agents/{agent.pk}/skills/", skills=given).json()["skills"] == {}
    assert Change.objects.filter(agent_id=agent.pk).exists()
    for wrong in ([{"skill": "klingon", "level": 1}], [{"skill": "danish", "level": 1}] * 2):
        assert owner("put", f"agents/{agent.pk}/skills/", skills=wrong).status_code == 400


# --- Trying


def test_a_preview_says_who_would_go_first_on_which_step_and_what_would_leave_and_writes_nothing(
    owner, french
):
    queue, other = make.make_queue(), make.make_queue()
    make.make_agent(skills={"french": 2})
    old, _, young = by_age(queue)
    WorkItem.objects.filter(pk=young.pk).update(deadline=timezone.now() - timedelta(minutes=1))
    WorkItem.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(minutes=10))
    found = owner(
        "post", f"queues/{queue.slug}/preview/", ordering="oldest", required_skills={"french": 4},
        steps=[
            {"seconds": 60, "gives_up": "level", "level": 2},
            {"seconds": 60, "gives_up": "overflow", "target": other.slug},
        ],
    ).json()  # fmt: skip
    assert (found["waiting"], found["overflows"]) == (3, {other.slug: 1})
    first, last = found["items"][0], found["items"][-1]
    assert (first["work_item"], first["before"]["place"], first["after"]["place"]) == (old.pk, 2, 1)
    assert (first["before"]["able"], first["before"]["step"]) == (1, "exact")
    assert (first["after"]["able"], first["after"]["step_words"]) == (1, "any skill from level 2")
    assert (last["work_item"], last["before"]["place"], last["after"]["place"]) == (young.pk, 1, 3)
    assert (last["before"]["able"], last["after"]["able"]) == (1, 0)
    queue.refresh_from_db()
    assert queue.ordering == "score" and not queue.steps.exists() and not RuleChange.objects.exists()


def test_a_preview_of_what_is_there_moves_nothing(owner):
    queue = make.make_queue()
    by_age(queue)
    found = owner("post", f"queues/{queue.slug}/preview/").json()
    assert (found["waiting"], found["moved"], found["overflows"]) == (3, 0, {})


# --- Fetching


def test_who_asks_for_the_next_one_gets_the_first_that_he_can_take(french):
    queue = make.make_queue(mode="next")
    items = by_age(queue, 3)
    WorkItem.objects.filter(pk=items[0].pk).update(required_skills={"french": 3})
    agent = make.make_agent()
    answer = Caller(agent.user)("post", f"queues/{queue.slug}/next/")
    assert (answer.status_code, answer.json()["work_item"]) == (201, items[1].pk)
    agent.refresh_from_db()
    assert agent.load == 3 and WorkItem.objects.get(pk=items[1].pk).status == "assigned"


def test_nobody_fetches_while_away_or_from_an_empty_queue():
    queue = make.make_queue(mode="next")
    agent = make.make_agent()
    ask = Caller(agent.user)
    assert ask("post", f"queues/{queue.slug}/next/").json()["code"] == "nothing_there"
    by_age(queue, 1)
    Agent.objects.update(chosen="break")
    assert ask("post", f"queues/{queue.slug}/next/").json()["code"] == "not_available"


def test_where_the_next_one_is_asked_for_nobody_chooses():
    queue = make.make_queue(mode="next")
    item = by_age(queue, 1)[0]
    agent = make.make_agent(make.make_user(team=queue.team))
    refused = Caller(agent.user)("post", f"work-items/{item.pk}/claim/")
    assert (refused.status_code, refused.json()["code"]) == (409, "next_only")


def test_who_chooses_does_so_among_the_first_and_what_he_passed_over_is_kept():
    queue = make.make_queue(mode="free", pull_within=3)
    items = by_age(queue, 5)
    agent = make.make_agent(make.make_user(team=queue.team))
    ask = Caller(agent.user)
    refused = ask("post", f"work-items/{items[3].pk}/claim/")
    assert (refused.status_code, refused.json()["code"]) == (409, "too_far_down")
    assert refused.json()["first"] == [item.pk for item in items[:3]]
    taken = ask("post", f"work-items/{items[2].pk}/claim/")
    assert (taken.status_code, taken.json()["passed_over"]) == (201, 2)
    made = Assignment.objects.get()
    assert made.explanation["passed_over"] == [items[0].pk, items[1].pk]
    assert ask("post", f"work-items/{items[0].pk}/claim/").json()["passed_over"] == 0


def test_what_somebody_could_not_take_is_not_passed_over(french):
    queue = make.make_queue(mode="free", pull_within=1)
    items = by_age(queue, 2)
    WorkItem.objects.filter(pk=items[0].pk).update(required_skills={"french": 3})
    agent = make.make_agent(make.make_user(team=queue.team))
    assert Caller(agent.user)("post", f"work-items/{items[1].pk}/claim/").json()["passed_over"] == 0


# --- Nothing is left without an owner


def test_the_list_of_what_nobody_could_take_names_only_what_the_reader_may_see(owner, french):
    closed = make.make_queue(make.make_team(visibility="closed"), required_skills={"french": 5})
    item = make.make_work_item(queue=closed)
    assert [one["work_items"] for one in orphans.shown_to(make.make_user())] == []
    found = owner("get", "work-items/orphans/").json()["results"]
    assert [(one["queue"], one["why"], one["work_items"]) for one in found] == [
        (closed.slug, "nobody has french 5", [item.pk])
    ]
