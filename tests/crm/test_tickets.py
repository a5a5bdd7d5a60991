"""Tickets as people move them: merged and parted, split, linked, snoozed, worked off; nothing lost, all in the history."""

from datetime import timedelta

import pytest
from django.utils import timezone

from crm.choices import TicketStatus
from crm.errors import Conflict, InvalidInput
from crm.models import Activity, Interaction, LiveEvent, PauseReason, StatusName, Ticket
from crm.services import interactions, slas, tickets
from reports.services import reconciliation
from routing.models import WorkItem
from socialcare.models import Mention
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent():
    make.make_queue(is_fallback=True)
    return make.make_user()


def verbs(ticket):
    return list(Activity.objects.filter(ticket=ticket).order_by("pk").values_list("verb", flat=True))


def two(customer=None, **fields):
    """Two tickets of one customer, each with its contact."""
    customer = customer or make.make_customer()
    first = make.make_interaction(customer=customer, **fields)
    second = make.make_interaction(
        customer=customer, identity=first.identity, channel=first.channel, **fields
    )
    return first, second


def test_a_merge_moves_the_contacts_and_can_be_undone_after_more_was_said(agent):
    first, second = two()
    tickets.merge(first.ticket, second.ticket, by=agent)
    second.refresh_from_db()
    merged = Ticket.objects.get(pk=Interaction.objects.get(pk=second.pk).ticket_id)
    assert merged == first.ticket
    gone = Ticket.objects.exclude(pk=first.ticket_id).get()
    assert gone.status == TicketStatus.FOLDED and gone.folded_into == first.ticket
    make.make_message(second, text="said after the merge")
    tickets.unmerge(gone, by=agent)
    second.refresh_from_db()
    gone.refresh_from_db()
    assert second.ticket == gone and gone.status == TicketStatus.NEW and gone.folded_into is None
    assert second.messages.filter(text="said after the merge").exists()
    assert Interaction.objects.get(pk=first.pk).ticket_id == first.ticket_id
    assert verbs(first.ticket) == ["ticket.merged", "ticket.unmerged"]
    with pytest.raises(Conflict) as twice:
        tickets.unmerge(gone, by=agent)
    assert twice.value.code == "not_merged"


def test_what_cannot_be_merged_says_why(agent):
    first, second = two()
    stranger = make.make_interaction()
    with pytest.raises(Conflict) as other:
        tickets.merge(first.ticket, stranger.ticket, by=agent)
    with pytest.raises(Conflict) as itself:
        tickets.merge(first.ticket, first.ticket, by=agent)
    tickets.merge(first.ticket, second.ticket, by=agent)
    second.ticket.refresh_from_db()
    with pytest.raises(Conflict) as again:
        tickets.merge(first.ticket, second.ticket, by=agent)
    assert [one.value.code for one in (other, itself, again)] == [
        "other_customer",
        "same_ticket",
        "already_merged",
    ]


def test_an_open_ticket_merged_into_a_solved_one_opens_it(agent):
    first, second = two()
    interactions.close(first.pk, by=agent)
    first.ticket.refresh_from_db()
    tickets.merge(first.ticket, second.ticket, by=agent)
    first.ticket.refresh_from_db()
    assert first.ticket.status == TicketStatus.WAITING_ON_US and first.ticket.solved_at is None
    closed = Ticket.objects.get(status=TicketStatus.FOLDED)
    interactions.close(second.pk, by=agent)
    tickets.unmerge(closed, by=agent)
    closed.refresh_from_db()
    assert closed.status == TicketStatus.NEW, "what it was when it was merged"


def test_a_split_makes_a_contact_of_its_own_that_is_queued(agent):
    one = make.make_interaction(text="first problem")
    make.make_work_item(one)
    answer = make.make_message(
        one, text="we look", direction="outbound", state="sent", author=agent, sent_at=timezone.now()
    )
    later = make.make_message(one, text="and my invoice is wrong")
    mention = make.make_mention(one.channel, interaction_id=one.pk, external_id=later.external_id)
    last = make.make_message(one, text="by ten euros")
    made = tickets.split(later, by=agent)
    new = Interaction.objects.get(ticket=made)
    assert [m.text for m in new.messages.order_by("pk")] == ["and my invoice is wrong", "by ten euros"]
    assert [m.text for m in one.messages.order_by("pk")] == ["first problem", "we look"]
    assert (
        made.subject == "and my invoice is wrong"
        and made.continues == one.ticket
        and made.customer == one.customer
    )
    assert new.waiting_since == later.at and new.last_message_at == last.at and new.identity == one.identity
    one.refresh_from_db()
    assert one.waiting_since is None and one.last_message_at == answer.at
    assert WorkItem.objects.get(interaction=new).status == "waiting"
    assert Mention.objects.get(pk=mention.pk).interaction_id == new.pk
    with pytest.raises(Conflict):
        tickets.split(new.messages.order_by("pk").first(), by=agent)
    with pytest.raises(Conflict):
        tickets.split(answer, by=agent)
    broken = {found["check"] for found in reconciliation.violations()}
    assert not broken & {
        "one open contact of a customer in a thread",
        "an open contact has exactly one open work item",
    }


def test_another_priority_needs_a_reason_and_a_promise_needs_words(agent):
    ticket = make.make_ticket()
    with pytest.raises(InvalidInput):
        tickets.edit(ticket, {"priority": "urgent"}, by=agent)
    tickets.edit(ticket, {"priority": "urgent", "priority_reason": "press"}, by=agent)
    with pytest.raises(InvalidInput):
        tickets.edit(ticket, {"promised_by": timezone.now()}, by=agent)
    tickets.edit(ticket, {"promised_by": timezone.now(), "promise": "we ring back"}, by=agent)
    ticket.refresh_from_db()
    assert (ticket.priority, ticket.priority_reason, ticket.promise) == ("urgent", "press", "we ring back")
    lines = Activity.objects.filter(ticket=ticket, verb="ticket.edited").order_by("pk")
    assert [line.data["fields"] for line in lines] == [
        ["priority", "priority_reason"],
        ["promise", "promised_by"],
    ]


def test_a_name_of_our_own_brings_its_status_and_leaves_with_it(agent):
    ticket = make.make_ticket(status="open")
    name = StatusName.objects.create(status="waiting_on_us", name="With the lab")
    tickets.edit(ticket, {"status_name": name}, by=agent)
    ticket.refresh_from_db()
    assert (ticket.status, str(ticket.status_name)) == ("waiting_on_us", "With the lab")
    tickets.edit(ticket, {"status": "open"}, by=agent)
    ticket.refresh_from_db()
    assert ticket.status_name is None


def test_what_sleeps_wakes_by_time_or_by_the_customer(agent):
    ticket = make.make_ticket(status="open", owner=agent)
    with pytest.raises(InvalidInput):
        tickets.snooze(ticket, until=timezone.now() - timedelta(seconds=1), by=agent)
    tickets.snooze(ticket, until=timezone.now() + timedelta(hours=1), by=agent)
    assert tickets.wake_due() == 0
    Ticket.objects.update(snoozed_until=timezone.now() - timedelta(seconds=1))
    assert tickets.wake_due() == 1 and tickets.wake_due() == 0
    assert Ticket.objects.get().snoozed_until is None
    assert LiveEvent.objects.filter(stream=f"desk:{agent.pk}", type="alert").count() == 1
    assert verbs(ticket) == ["ticket.snoozed", "ticket.woke"]


def test_links_are_told_once_and_a_ticket_has_one_parent(agent):
    first, second, third = make.make_ticket(), make.make_ticket(), make.make_ticket()
    tickets.link(first, second, kind="child", by=agent)
    for kind, other in (("child", second), ("child", third)):
        with pytest.raises(Conflict):
            tickets.link(first, other, kind=kind, by=agent)
    tickets.link(first, third, kind="incident", by=agent)
    tickets.unlink(first, third.pk, by=agent)
    assert list(first.links.values_list("other", "kind")) == [(second.pk, "child")]
    with pytest.raises(InvalidInput):
        tickets.link(first, first, kind="related", by=agent)


def test_a_checklist_is_worked_off_and_every_tick_is_in_the_history(agent):
    ticket = make.make_ticket()
    item = tickets.add_to_checklist(ticket, text=" Ring the lab ", by=agent)
    tickets.check(item, by=agent)
    assert ticket.checklist.get().done_by == agent
    tickets.check(item, by=agent, done=False)
    assert ticket.checklist.get().done_at is None
    assert verbs(ticket) == ["checklist.added", "checklist.done", "checklist.undone"]
    for _ in range(49):
        tickets.add_to_checklist(ticket, text="more", by=agent)
    with pytest.raises(Conflict):
        tickets.add_to_checklist(ticket, text="too much", by=agent)


def test_a_ticket_by_hand_is_its_writers(agent):
    customer = make.make_customer()
    ticket = tickets.open_by_hand(
        customer, brand=make.make_brand(), subject=" A letter ", by=agent, topic="billing"
    )
    assert (ticket.owner, ticket.subject, ticket.status, ticket.topic) == (
        agent,
        "A letter",
        "open",
        "billing",
    )
    assert verbs(ticket) == ["ticket.opened_by_hand"]


def test_a_ticket_comes_out_again_when_what_it_was_merged_into_was_merged_on(agent):
    first, second = two()
    third = make.make_interaction(customer=first.customer, identity=first.identity, channel=first.channel)
    tickets.merge(first.ticket, second.ticket, by=agent)
    tickets.merge(third.ticket, first.ticket, by=agent)
    second.refresh_from_db()
    assert second.ticket == third.ticket
    gone = Ticket.objects.get(subject=Ticket.objects.get(merged_in__survivor=first.ticket).subject)
    tickets.unmerge(gone, by=agent)
    second.refresh_from_db()
    assert second.ticket == gone
    # What went home does not go along when the middle one is parted too.
    tickets.merge(third.ticket, Ticket.objects.get(pk=gone.pk), by=agent)
    tickets.unmerge(Ticket.objects.get(pk=first.ticket_id), by=agent)
    held = dict(Interaction.objects.values_list("pk", "ticket"))
    assert held == {first.pk: first.ticket_id, second.pk: third.ticket_id, third.pk: third.ticket_id}


def test_it_sleeps_until_another_ticket_is_over(agent):
    first, second = two()
    waiting, cause = first.ticket, second.ticket
    tickets.snooze(waiting, after=cause, by=agent)
    assert tickets.wake_due() == 0
    tickets.solve(cause, by=agent)
    assert tickets.wake_due() == 1
    waiting.refresh_from_db()
    assert waiting.snoozed_until is None and waiting.snoozed_for is None
    with pytest.raises(Conflict):
        tickets.snooze(waiting, after=cause, by=agent)
    with pytest.raises(InvalidInput):
        tickets.snooze(waiting, by=agent)


def test_an_incident_is_solved_with_all_that_it_caused_and_each_says_so(agent):
    incident = make.make_ticket(kind="incident")
    caused = [make.make_ticket() for _ in range(3)]
    for one in caused:
        tickets.link(one, incident, kind="incident", by=agent)
    tickets.solve(caused[0], by=agent)
    foreign = make.make_ticket(team=make.make_team(visibility="closed"))
    tickets.link(foreign, incident, kind="incident", by=agent)
    assert tickets.solve_caused(incident, by=agent) == 3
    assert {one.status for one in Ticket.objects.exclude(pk=foreign.pk)} == {TicketStatus.SOLVED}
    assert Ticket.objects.get(pk=foreign.pk).status == TicketStatus.NEW
    assert Activity.objects.get(ticket=caused[1], verb="ticket.edited").data["incident"] == incident.pk
    assert tickets.solve_caused(incident, by=agent) == 0


def test_a_ticket_is_linked_and_waited_for_by_the_number_that_people_say(agent, client):
    first, second = two()
    client.force_login(agent)
    address = f"/api/v1/tickets/{first.ticket_id}"
    said = {"kind": "related", "number": second.ticket.number}
    assert client.post(f"{address}/links/", said, "application/json").json()["other"] == second.ticket_id
    both = {"kind": "related", "number": 1001, "other": 1}
    assert client.post(f"{address}/links/", both, "application/json").status_code == 400
    slept = client.post(f"{address}/snooze/", {"after": second.ticket.number}, "application/json").json()
    assert slept["snoozed_for"] == second.ticket_id
    page = client.get(f"/tickets/{first.ticket_id}/").content.decode()
    assert f"#{second.ticket.number}</a> is over" in page


def test_a_name_of_our_own_is_given_and_taken_away_again(agent, client):
    first, _ = two()
    StatusName.objects.create(name="With the workshop", status=TicketStatus.WAITING_ON_US)
    client.force_login(agent)
    address = f"/api/v1/tickets/{first.ticket_id}/"
    named = client.patch(address, {"status_name": "With the workshop"}, "application/json").json()
    assert (named["status"], named["status_name"]) == ("waiting_on_us", "With the workshop")
    plain = client.patch(address, {"status_name": ""}, "application/json").json()
    assert (plain["status"], plain["status_name"]) == ("waiting_on_us", None)


def test_once_the_house_keeps_a_list_of_causes_only_these_pause_a_clock(agent, client):
    one = make.make_interaction()
    client.force_login(agent)
    path = f"/api/v1/tickets/{one.ticket_id}/pause/"
    PauseReason.objects.create(name="A spare part", place=2)
    PauseReason.objects.create(name="A supplier", place=1)
    PauseReason.objects.create(name="Of former days", retired=True)
    listed = client.get("/api/v1/pause-reasons/?retired=false").json()["results"]
    assert [one["name"] for one in listed] == ["A supplier", "A spare part"]
    for refused in ("tired", "Of former days", "", " "):
        said = client.post(path, {"reason": refused}, content_type="application/json")
        assert said.status_code == 400 and "reason" in said.json()["errors"]
    body = {"reason": "A supplier", "note": "until they ring back"}
    assert client.post(path, body, content_type="application/json").status_code == 204
    page = client.get(f"/tickets/{one.ticket_id}/").content.decode()
    assert "A supplier" in page and "until they ring back" in page
    slas.refresh()
    assert Activity.objects.get(verb="ticket.paused").data == body


def test_the_page_says_that_it_is_paused_and_why_and_what_changed(agent, client):
    first, _ = two()
    StatusName.objects.create(name="With the workshop", status=TicketStatus.OPEN)
    tickets.pause(first.ticket, reason="parts are ordered", by=agent)
    tickets.edit(first.ticket, {"topic": "repair"}, by=agent)
    client.force_login(agent)
    page = client.get(f"/tickets/{first.ticket_id}/").content.decode()
    assert "parts are ordered" in page and "With the workshop" in page and "Let it run on" in page
    tickets.resume(first.ticket, by=agent)
    page = client.get(f"/tickets/{first.ticket_id}/").content.decode()
    assert "Let it run on" not in page and 'placeholder="Pause for…"' in page
