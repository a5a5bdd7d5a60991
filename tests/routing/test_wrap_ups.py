"""Wrap-up: two coded lists, and live work that keeps its agent for them under a timer."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.choices import ChannelKind, Role
from crm.models import Activity, Code, Interaction, Ticket
from routing.conveyor import Conveyor
from routing.models import Agent, Assignment, Queue, WorkItem
from routing.services import presence, wrap_ups
from tests import factories as make

pytestmark = pytest.mark.django_db
JSON = "application/json"


def live(
    agent: Agent | None = None, queue: Queue | None = None, kind: str = ChannelKind.CHAT, **fields
) -> Assignment:
    contact = make.make_interaction(make.make_channel(kind), **fields)
    return make.make_assignment(agent, make.make_work_item(contact, queue or make.make_queue(), units=5))


def client_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def act(held: Assignment, name: str, **body):
    return client_of(held.agent.user).post(
        f"/api/v1/work-items/{held.work_item_id}/{name}/", body, content_type=JSON
    )


def doing(agent: Agent) -> str:
    return client_of(agent.user).get("/api/v1/desk/").json()["presence"]["doing"]


def test_live_work_keeps_its_agent_for_the_codes_and_is_extended_once():
    held = live(queue=make.make_queue(wrap_up_seconds=45))
    begun = act(held, "wrap-up")
    assert begun.status_code == 200 and doing(held.agent) == "wrap_up"
    assert act(held, "wrap-up").json() == begun.json()
    more = act(held, "wrap-up", extend=True).json()
    assert more["wrap_up_extended"] and more["wrap_up_until"] > begun.json()["wrap_up_until"]
    assert act(held, "wrap-up", extend=True).json()["code"] == "not_extended"
    assert Agent.objects.get().load == 5
    make.make_codes()
    assert act(held, "complete", reason="billing", outcome="solved").status_code == 200
    assert Agent.objects.get().load == 0 and doing(held.agent) == "idle"


def test_a_wrap_up_that_runs_out_is_saved_as_not_coded_and_frees_the_agent():
    agent = make.make_agent()
    ticket = make.make_ticket()
    over = [live(Agent.objects.get(), ticket=ticket, customer=ticket.customer) for _ in range(2)]
    running = live(Agent.objects.get())
    for one in (*over, running):
        act(one, "wrap-up")
    past = timezone.now() - timedelta(minutes=5)
    Assignment.objects.filter(pk__in=[one.pk for one in over]).update(wrap_up_until=past)
    assert (wrap_ups.end_due(), wrap_ups.end_due()) == (2, 0)
    agent.refresh_from_db()
    assert agent.load == 5
    for one in over:
        one.refresh_from_db()
        assert (one.status, one.reason) == ("completed", "not coded")
        assert WorkItem.objects.values_list("status", "reason", "outcome").get(pk=one.work_item_id) == (
            "done",
            "",
            "",
        )
    contacts = Interaction.objects.filter(ticket=ticket)
    assert {contact.status for contact in contacts} == {"closed"} and Ticket.objects.get(
        pk=ticket.pk
    ).status == "solved"
    assert Activity.objects.filter(verb="interaction.closed", ticket=ticket, actor=None).count() == 2
    assert WorkItem.objects.get(pk=running.work_item_id).status == "assigned"


def test_the_leader_frees_who_forgot_his_codes(services):
    held = live()
    act(held, "wrap-up")
    Assignment.objects.update(wrap_up_until=timezone.now() - timedelta(seconds=1))
    Conveyor().tick()
    assert Agent.objects.get().load == 0


def test_deferred_work_and_queues_without_such_time_have_no_wrap_up():
    for held in (make.make_assignment(), live(queue=make.make_queue(wrap_up_seconds=0))):
        assert act(held, "wrap-up").json()["code"] == "no_wrap_up"
        assert doing(held.agent) == "in_work"


def test_codes_are_asked_for_by_the_queue():
    make.make_codes()
    strict, easy = make.make_assignment(), make.make_assignment()
    Queue.objects.filter(pk=easy.work_item.queue_id).update(codes_required=False)
    refused = act(strict, "complete", reason="billing", outcome="")
    assert (refused.status_code, set(refused.json()["errors"])) == (400, {"outcome"})
    assert WorkItem.objects.get(pk=strict.work_item_id).status == "assigned"
    assert act(easy, "complete", reason="", outcome="").json()["status"] == "done"
    assert Agent.objects.get(pk=easy.agent_id).load == 0


def test_headings_retired_codes_and_those_of_other_brands_are_no_answer():
    make.make_codes()
    held = make.make_assignment()
    own = held.work_item.interaction.channel.brand
    heading = Code.objects.create(kind="reason", code="delivery", label="Delivery")
    Code.objects.create(kind="reason", code="delivery-late", label="Late", parent=heading, brand=own)
    Code.objects.create(kind="reason", code="old", label="Old", retired=True)
    Code.objects.create(kind="reason", code="theirs", label="Theirs", brand=make.make_brand())
    for code in ("delivery", "old", "theirs", "solved", "nothing"):
        refused = act(held, "complete", reason=code, outcome="solved")
        assert (refused.status_code, set(refused.json()["errors"])) == (400, {"reason"}), code
    assert act(held, "complete", reason="delivery-late", outcome="solved").status_code == 200


def test_the_subject_that_triage_found_leads_then_what_is_usual_five_at_most():
    _, solved = make.make_codes()
    for number in range(9):
        Code.objects.create(kind="reason", code=f"r{number}", label=f"Reason {number}")
    now = timezone.now()
    for number in (1, 1, 1, 2, 2, 3, 4, 5, 6, 7):
        contact = make.make_interaction(topic="parcels" if number == 7 else "")
        make.make_work_item(
            contact, status="done", accepted_at=now, done_at=now, reason=f"r{number}", outcome="solved"
        )
    held = make.make_assignment(work_item=make.make_work_item(make.make_interaction(topic="parcels")))
    Code.objects.create(kind="reason", code="parcels", label="Parcels")
    said = client_of(held.agent.user).get(f"/api/v1/work-items/{held.work_item_id}/codes/").json()
    likely = [one["code"] for one in said["reason"] if one["likely"]]
    assert likely[:4] == ["parcels", "r7", "r1", "r2"] and len(likely) == 5
    assert len(said["reason"]) == 11 and said["outcome"] == [
        {"code": "solved", "label": "Solved", "likely": True}
    ]
    assert (said["required"], said["live"]) == (True, False)


def test_a_code_is_shown_with_its_headings_and_the_tree_has_three_levels():
    admin = client_of(make.make_user(Role.ADMINISTRATOR))
    above = None
    for code in ("a", "b", "c"):
        made = admin.post(
            "/api/v1/codes/",
            {"kind": "reason", "code": code, "label": code.upper(), "parent": above},
            content_type=JSON,
        )
        assert made.status_code == 201, made.content
        above = made.json()["id"]
    deeper = {"kind": "reason", "code": "d", "label": "D", "parent": above}
    assert set(admin.post("/api/v1/codes/", deeper, content_type=JSON).json()["errors"]) == {"parent"}
    outcome = {"kind": "outcome", "code": "x", "label": "X", "parent": Code.objects.get(code="a").pk}
    assert set(admin.post("/api/v1/codes/", outcome, content_type=JSON).json()["errors"]) == {"parent"}
    again = {"kind": "reason", "code": "a", "label": "A"}
    assert admin.post("/api/v1/codes/", again, content_type=JSON).json()["code"] == "code_exists"
    held = make.make_assignment()
    path = f"/api/v1/work-items/{held.work_item_id}/codes/"
    shown = client_of(held.agent.user).get(path).json()["reason"]
    assert [(one["code"], one["label"]) for one in shown] == [("c", "A › B › C")]
    leaf = f"/api/v1/codes/{above}/"
    assert admin.patch(leaf, {"retired": True}, content_type=JSON).json()["retired"]
    assert admin.delete(leaf).status_code == 405
    # Its heading has nothing below it any more.
    assert [one["code"] for one in client_of(held.agent.user).get(path).json()["reason"]] == ["b"]
    assert Activity.objects.filter(verb="code.edited").count() == 1


@settings(max_examples=60, deadline=None)
@given(
    accepted=st.integers(0, 3), wrapping=st.integers(0, 3), offered=st.integers(0, 2), silent=st.booleans()
)
def test_who_only_codes_is_in_wrap_up_and_nobody_else(accepted, wrapping, offered, silent):
    wrapping = min(wrapping, accepted)
    said = presence.doing(Agent(silent=silent), offered, accepted, wrapping)
    assert (said == "wrap_up") == (not silent and not offered and accepted > 0 and wrapping == accepted)
