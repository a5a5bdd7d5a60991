"""The distributor over REST: offers, claims, transfers, presence."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from django.test import Client

from crm.choices import Role
from crm.services import tokens
from routing.models import Agent, Assignment, WorkItem
from tests import factories as make

pytestmark = pytest.mark.django_db

JSON = "application/json"


def acting(agent: Agent):
    """Posts as this agent."""
    client = Client()
    client.force_login(agent.user)

    def post(path: str, **body):
        return client.post(f"/api/v1/{path}", body, content_type=JSON)

    return post


def test_an_offer_is_taken_once(client):
    offer = make.make_offer()
    post = acting(offer.agent)
    taken = post(f"offers/{offer.pk}/accept/")
    assert (taken.status_code, taken.json()["status"]) == (200, "accepted")
    again = post(f"offers/{offer.pk}/accept/")
    assert (again.status_code, again.json()["code"]) == (409, "already_yours")
    assert WorkItem.objects.get().status == "assigned"


def test_an_offer_that_is_over_names_who_has_it():
    offer = make.make_offer()
    assert acting(offer.agent)(f"offers/{offer.pk}/decline/", reason="busy").status_code == 204
    other = make.make_assignment(work_item=offer.work_item)
    late = acting(offer.agent)(f"offers/{offer.pk}/accept/")
    assert (late.status_code, late.json()["code"], late.json()["holder"]) == (
        409,
        "offer_gone",
        str(other.agent.user),
    )


def test_a_decline_needs_a_reason_and_frees_the_room():
    offer = make.make_offer()
    assert "reason" in acting(offer.agent)(f"offers/{offer.pk}/decline/").json()["errors"]
    assert acting(offer.agent)(f"offers/{offer.pk}/decline/", reason="busy").status_code == 204
    offer.agent.refresh_from_db()
    assert (offer.agent.load, WorkItem.objects.get().status) == (0, "waiting")


@pytest.mark.django_db(transaction=True)
def test_of_many_accepts_at_once_one_is_taken(services):
    offer = make.make_offer()
    headers = {"Authorization": f"Bearer {tokens.issue(offer.agent.user, scopes=['desk'])}"}

    def ask(_):
        try:
            return Client().post(f"/api/v1/offers/{offer.pk}/accept/", content_type=JSON, headers=headers)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(12)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 11]
    assert Assignment.objects.get().status == "accepted"


@pytest.mark.django_db(transaction=True)
def test_of_many_agents_who_claim_one_item_one_has_it(services):
    item = make.make_work_item()
    agents = [make.make_agent() for _ in range(8)]
    headers = [{"Authorization": f"Bearer {tokens.issue(agent.user)}"} for agent in agents]

    def ask(number):
        path = f"/api/v1/work-items/{item.pk}/claim/"
        try:
            return Client().post(path, content_type=JSON, headers=headers[number])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]
    holder = Assignment.objects.get().agent.user
    assert {answer.json()["holder"] for answer in answers if answer.status_code == 409} == {str(holder)}


def test_a_transfer_names_a_queue_or_an_agent_and_keeps_the_age():
    held = make.make_assignment()
    post, other = acting(held.agent), make.make_queue()
    path = f"work-items/{held.work_item_id}/transfer/"
    assert "queue" in post(path).json()["errors"]
    assert "queue" in post(path, queue="no-such-queue").json()["errors"]
    assert post(path, queue=other.slug, note="yours").status_code == 204
    item = WorkItem.objects.get()
    assert (item.status, item.queue, item.queued_at) == ("waiting", other, held.work_item.queued_at)
    late = post(path, queue=other.slug)
    assert (late.status_code, late.json()["code"]) == (409, "not_held")


def test_work_is_finished_with_two_known_codes():
    make.make_codes()
    held = make.make_assignment()
    post, path = acting(held.agent), f"work-items/{held.work_item_id}/complete/"
    assert set(post(path).json()["errors"]) == {"reason", "outcome"}
    assert "outcome" in post(path, reason="billing", outcome="magic").json()["errors"]
    done = post(path, reason="billing", outcome="solved")
    assert (done.status_code, done.json()["status"]) == (200, "done")
    assert held.work_item.interaction.__class__.objects.get().status == "closed"


def test_presence_is_chosen_and_answered_with_what_one_does(client):
    offer = make.make_offer()
    client.force_login(offer.agent.user)

    def choose(state: str, **more):
        return client.put("/api/v1/agents/me/presence/", {"state": state, **more}, content_type=JSON)

    assert choose("available").json()["doing"] == "offered"
    assert "state" in choose("asleep").json()["errors"]
    away = choose("break", reason="tea").json()
    assert (away["state"], away["doing"], away["reason"]) == ("break", "idle", "tea")
    assert Assignment.objects.get().status == "withdrawn"
    client.force_login(make.make_user(Role.SUPERVISOR))
    assert (
        client.put(
            f"/api/v1/agents/{offer.agent_id}/presence/", {"state": "available"}, content_type=JSON
        ).status_code
        == 200
    )


def test_the_desk_is_a_sign_of_life_and_shows_what_is_offered(client):
    offer = make.make_offer(make.make_agent(seen_at=None))
    client.force_login(offer.agent.user)
    desk = client.get("/api/v1/desk/").json()
    assert [one["offer"]["id"] for one in desk["offers"]] == [offer.pk]
    offer.agent.refresh_from_db()
    assert offer.agent.seen_at is not None


def test_an_explanation_tells_how_each_offer_came_about(client):
    offer = make.make_offer()
    client.force_login(make.make_user(Role.AUDITOR))
    told = client.get(f"/api/v1/work-items/{offer.work_item_id}/explanation/")
    assert told.status_code == 200 and "longest idle" in told.content.decode()
