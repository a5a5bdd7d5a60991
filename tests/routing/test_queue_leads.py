"""A team's lead keeps the rules of his team's queues, and only what concerns his team (`practice.md` 2.8)."""

import pytest
from django.test import Client

from crm.access import Permission, leads
from crm.choices import Role
from crm.models import Activity, Grant
from routing.models import RuleChange
from tests import factories as make

pytestmark = pytest.mark.django_db
JSON = "application/json"


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def queue():
    return make.make_queue(team=make.make_team())


@pytest.fixture
def lead(queue):
    return signed_in(make.make_user(Role.SUPERVISOR, team=queue.team))


def change(client, queue, **given):
    return client.patch(
        f"/api/v1/queues/{queue.slug}/", given | {"reason": "fewer people"}, content_type=JSON
    )


def test_the_lead_changes_the_rules_of_his_teams_queue_with_a_reason_in_the_history(lead, queue):
    assert change(lead, queue, goal=0.8, longest_hold=60).status_code == 200
    queue.refresh_from_db()
    assert (queue.goal, queue.longest_hold) == (0.8, 60)
    kept = RuleChange.objects.get(queue=queue)
    assert kept.reason == "fewer people" and kept.by.role == Role.SUPERVISOR
    assert Activity.objects.filter(verb="queue.configured").exists()
    assert lead.patch(f"/api/v1/queues/{queue.slug}/", {"goal": 0.7}, content_type=JSON).status_code == 400


def test_he_tries_them_first(lead, queue):
    make.make_work_item(queue=queue)
    tried = lead.post(f"/api/v1/queues/{queue.slug}/preview/", {"ordering": "oldest"}, content_type=JSON)
    assert (tried.status_code, tried.json()["waiting"]) == (200, 1)
    page = lead.post(f"/queues/{queue.slug}/", {"ordering": "oldest", "act": "try"})
    assert page.status_code == 200 and page.context["tried"]


@pytest.mark.parametrize("role", [Role.AGENT, Role.MARKETING, Role.AUDITOR])
def test_nobody_else_of_the_team_does(queue, role):
    client = signed_in(make.make_user(role, team=queue.team))
    assert change(client, queue, goal=0.8).status_code == 403
    assert (
        client.post(f"/queues/{queue.slug}/", {"goal": "80", "reason": "x", "act": "keep"}).status_code == 403
    )
    assert client.post(f"/queues/{queue.slug}/", {"act": "try"}).status_code == 403


def test_a_lead_of_another_team_and_a_supervisor_of_none_do_not(queue):
    for team in (make.make_team(), None):
        assert (
            change(signed_in(make.make_user(Role.SUPERVISOR, team=team)), queue, goal=0.8).status_code == 403
        )
    queue.refresh_from_db()
    assert queue.goal == 0.9


def test_what_decides_beyond_his_team_is_not_his(lead, queue):
    other = make.make_queue()
    channel = make.make_channel()
    for given in (
        {"team": other.team.slug}, {"topics": ["price"]}, {"channels": [channel.slug]}, {"is_fallback": True},
        {"steps": [{"seconds": 60, "gives_up": "overflow", "target": other.slug}]},
    ):  # fmt: skip
        assert change(lead, queue, **given).status_code == 403, given
    assert not RuleChange.objects.exists()


def test_he_may_name_what_stays_as_it_is_and_send_work_on_inside_his_team(lead, queue):
    own, foreign = make.make_queue(team=queue.team), make.make_queue()
    queue.steps.create(position=1, seconds=60, gives_up="overflow", target=foreign)
    steps = [
        {"seconds": 30, "gives_up": "overflow", "target": own.slug},
        {"seconds": 60, "gives_up": "overflow", "target": foreign.slug},
    ]
    assert change(lead, queue, team=queue.team.slug, topics=[], steps=steps).status_code == 200
    assert list(queue.steps.values_list("target_id", flat=True)) == [own.pk, foreign.pk]


def test_who_was_given_to_supervise_the_team_leads_it(queue):
    user = make.make_user(Role.AGENT)
    assert not leads(user, queue.team_id)
    user.reach = {Permission.SUPERVISE: {"teams": [queue.team_id], "brands": [], "own": False}}
    assert leads(user, queue.team_id) and not leads(user, queue.team_id + 1)
    user.reach = {Permission.SUPERVISE: {"all": True}}
    assert not leads(user, queue.team_id)
    user.is_active = False
    assert not leads(user, queue.team_id)
    assert not Grant.objects.exists()


def test_the_page_shows_him_what_is_his(lead, queue):
    page = lead.get(f"/queues/{queue.slug}/").content.decode()
    assert "You lead this team" in page and 'data-testid="keep"' in page
    assert (
        lead.post(f"/queues/{queue.slug}/", {"goal": "80", "reason": "fewer", "act": "keep"}).status_code
        == 302
    )
    agent = signed_in(make.make_user(Role.AGENT, team=queue.team))
    assert 'data-testid="keep"' not in agent.get(f"/queues/{queue.slug}/").content.decode()
