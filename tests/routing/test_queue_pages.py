"""The pages of queues: the list with what nobody could take, rules in a form, tried before they are kept."""

from datetime import timedelta

import pytest
from django.utils import timezone

from crm.choices import Role
from routing.models import Queue, RuleChange, Skill, WorkItem
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    user = make.make_user(Role.ADMINISTRATOR)
    client.force_login(user)
    return user


@pytest.fixture
def french() -> Skill:
    return Skill.objects.create(code="french", name="French")


def whole_form(queue: Queue, **changes) -> dict:
    """What the browser sends of an unchanged form, with some fields otherwise."""
    sent = {
        "name": queue.name, "team": queue.team.slug, "mode": queue.mode, "ordering": queue.ordering, "goal": "90",
        "topics": "", "channels": "", "required_skills": "", "preferred_skills": "", "pull_within": "10",
        "wrap_up_seconds": "60", "escape_seconds": "", "codes_required": ["", "1"], "is_fallback": "", "steps": "1",
        "reason": "a try", "act": "keep",
    }  # fmt: skip
    sent |= {f"targets-{family}": str(seconds) for family, seconds in queue.targets.items()}
    sent |= {f"offer_seconds-{family}": "" for family in queue.targets}
    return sent | changes


def test_the_form_keeps_what_it_says_and_an_unchanged_one_changes_nothing(client, admin, french):
    queue, other = make.make_queue(), make.make_queue()
    path = f"/queues/{queue.slug}/"
    assert client.post(path, whole_form(queue)).status_code == 302
    assert RuleChange.objects.get().changes == {}
    sent = whole_form(
        queue, required_skills="french 4", mode="free", goal="75", **{"offer_seconds-chat": "9"},
        **{"step-0-gives_up": "overflow", "step-0-seconds": "60", "step-0-target": other.slug, "step-0-place": "2"},
        **{"step-1-gives_up": "level", "step-1-seconds": "30", "step-1-level": "2", "step-1-place": "1"},
    )  # fmt: skip
    assert client.post(path, sent).status_code == 302
    queue.refresh_from_db()
    assert (queue.required_skills, queue.mode, queue.goal, queue.offer_seconds) == (
        {"french": 4},
        "free",
        0.75,
        {"chat": 9},
    )
    kept = [(step.gives_up, step.seconds, step.skip_if_nobody) for step in queue.steps.order_by("position")]
    assert kept == [("level", 30, True), ("overflow", 60, False)]
    page = client.get(path)
    assert page.context["form"]["required_skills"] == "french 4"
    assert [change.reason for change in page.context["changes"]] == ["a try", "a try"]


def test_rules_are_tried_on_what_waits_and_nothing_typed_is_lost(client, admin, french):
    queue = make.make_queue()
    make.make_agent(skills={"french": 2})
    item = make.make_work_item(queue=queue)
    WorkItem.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    tried = client.post(
        f"/queues/{queue.slug}/",
        whole_form(
            queue, act="try", required_skills="french 5", reason="",
            **{"step-0-gives_up": "level", "step-0-seconds": "60", "step-0-level": "2"},
        ),
    )  # fmt: skip
    assert tried.status_code == 200
    assert tried.context["form"]["required_skills"] == "french 5"
    shown = tried.context["preview"]["items"][0]
    assert (shown["work_item"], shown["after"]["step_words"]) == (item.pk, "any skill from level 2")
    assert "What would have happened" in tried.content.decode()
    queue.refresh_from_db()
    assert queue.required_skills == {} and not queue.steps.exists()


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("reason", "", "reason"),
        ("goal", "many", "goal"),
        ("required_skills", "klingon 3", "required skills"),
        ("required_skills", "french nine", "required skills.french"),
        ("targets-chat", "", "targets"),
        ("wrap_up_seconds", "", "wrap up seconds"),
        ("step-0-gives_up", "level", "steps.0.seconds"),
    ],
)
def test_what_makes_no_sense_is_named_beside_the_form_as_it_was_typed(
    client, admin, french, field, value, named
):
    queue = make.make_queue()
    refused = client.post(f"/queues/{queue.slug}/", whole_form(queue, name="Typed", **{field: value}))
    assert refused.status_code == 400
    assert refused.context["form"]["name"] == "Typed"
    assert f"<b>{named}</b>".lower() in refused.content.decode().lower()


def test_a_queue_is_made_in_a_form(client, admin):
    team = make.make_team()
    assert client.get("/queues/new/").status_code == 200
    made = client.post("/queues/new/", whole_form(make.make_queue(team), name="Night", slug="night"))
    assert (made.status_code, made["Location"]) == (302, "/queues/night/")
    refused = client.post("/queues/new/", whole_form(Queue.objects.first(), name="New", slug="new"))
    assert refused.status_code == 400


def test_an_agent_takes_the_next_one_or_his_choice_from_the_list(client):
    team = make.make_team()
    ordered, chosen = make.make_queue(team, mode="next"), make.make_queue(team, mode="free")
    first, second = make.make_work_item(queue=ordered), make.make_work_item(queue=chosen)
    client.force_login(make.make_agent(make.make_user(team=team)).user)
    page = client.get("/queues/").content.decode()
    assert page.count('data-testid="take-next"') == 1 and page.count('data-testid="take"') == 1
    taken = client.post(f"/queues/{ordered.slug}/take/")
    assert (taken.status_code, taken["Location"]) == (302, f"/interactions/{first.interaction_id}/")
    taken = client.post(f"/queues/{chosen.slug}/take/", {"item": second.pk})
    assert (taken.status_code, taken["Location"]) == (302, f"/interactions/{second.interaction_id}/")
    assert client.post(f"/queues/{chosen.slug}/take/", {"item": second.pk}).status_code == 409
    assert client.post(f"/queues/{chosen.slug}/take/", {"item": "x\x00"}).status_code == 404
    assert client.post(f"/queues/{ordered.slug}/take/").status_code == 409


def test_what_nobody_could_take_stands_in_red_above_the_queues(client, admin, french):
    queue = make.make_queue(required_skills={"french": 5})
    assert 'data-testid="orphans"' not in client.get("/queues/").content.decode()
    make.make_work_item(queue=queue)
    page = client.get("/queues/").content.decode()
    assert 'data-testid="orphans"' in page and "nobody has french 5" in page


def test_a_ticket_says_why_its_work_waits_and_what_is_given_up_when(client, admin, french):
    queue, other = make.make_queue(required_skills={"french": 5}), make.make_queue(name="Everybody")
    queue.steps.create(position=1, seconds=60, gives_up="level", level=2)
    queue.steps.create(position=2, seconds=60, gives_up="overflow", target=other)
    make.make_agent(skills={"french": 1})
    item = make.make_work_item(queue=queue)
    WorkItem.objects.update(created_at=timezone.now() - timedelta(seconds=90))
    waits = client.get(f"/tickets/{item.interaction.ticket_id}/").context["waits"]
    assert waits["why"] == "nobody has the skills and the language for it"
    assert [(step["words"], step["passed"]) for step in waits["steps"]] == [
        ("any skill from level 2", True),
        ("to Everybody", False),
    ]
