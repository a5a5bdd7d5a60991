"""Promises of tickets: which policy, which clocks, what is told, and what a change would move."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm import rows
from crm.choices import ChannelKind, TicketPriority
from crm.errors import InvalidInput, NotAllowed
from crm.models import Activity, BusinessCalendar, LiveEvent, SlaPolicy, Ticket, TicketClock
from crm.services import interactions, slas, tickets
from tests import factories as make

pytestmark = pytest.mark.django_db
DAYTIME = {str(day): [["09:00", "17:00"]] for day in range(7)}


def promise(**fields):
    slug = f"p{SlaPolicy.objects.count()}"
    return SlaPolicy.objects.create(
        slug=slug, name=slug, **({"first_response": 60, "resolution": 480} | fields)
    )


def asked(minutes=10, **fields):
    """A ticket with one message, so many minutes ago."""
    at = timezone.now() - timedelta(minutes=minutes)
    one = make.make_interaction(text="", **fields)
    make.make_message(one, text="please help", at=at)
    return one


def answer(one, by, minutes=1):
    at = timezone.now() - timedelta(minutes=minutes)
    make.make_message(one, text="we look", direction="outbound", state="sent", author=by, at=at, sent_at=at)
    Ticket.objects.filter(pk=one.ticket_id).update(updated_at=timezone.now())


def kinds(ticket_id):
    return {row.kind: row.state for row in TicketClock.objects.filter(ticket=ticket_id)}


def test_clocks_follow_what_happened_and_are_the_same_run_twice():
    promise()
    one, agent = asked(), make.make_user()
    assert slas.refresh() == 1 and slas.refresh() == 0
    assert kinds(one.ticket_id) == {"first_response": "running", "resolution": "running"}
    due = Ticket.objects.get(pk=one.ticket_id).next_due_at
    assert timedelta(minutes=49) < due - timezone.now() < timedelta(minutes=51)
    answer(one, agent)
    assert slas.refresh() == 1
    assert kinds(one.ticket_id) == {"first_response": "met", "resolution": "paused"}
    interactions.close(one.pk, by=agent)
    assert slas.refresh() == 1
    assert kinds(one.ticket_id) == {"first_response": "met", "resolution": "met"}
    assert Ticket.objects.get(pk=one.ticket_id).next_due_at is None
    lines = slas.shown(one.ticket)[-1]["lines"]
    assert [line["act"] for line in lines] == ["start", "pause", "stop"]
    rows.run("UPDATE crm_ticket SET clocked_at = NULL")
    before = list(TicketClock.objects.order_by("pk").values())
    assert slas.refresh() == 1 and list(TicketClock.objects.order_by("pk").values()) == before


def test_the_first_policy_that_fits_is_the_tickets_own():
    brand, mail = make.make_brand(), make.make_channel(ChannelKind.EMAIL)
    promise(place=90, first_response=240)
    promise(place=10, first_response=10, vip_only=True)
    promise(place=20, first_response=20, channel_kind=ChannelKind.EMAIL)
    promise(place=30, first_response=30, priority=TicketPriority.URGENT)
    promise(place=5, first_response=1, brand=brand)
    promise(place=1, first_response=1, is_active=False)
    plain, urgent = asked(), asked()
    vip = asked(customer=make.make_customer(vip=True))
    mailed = asked(channel=mail)
    tickets.edit(
        urgent.ticket, {"priority": TicketPriority.URGENT, "priority_reason": "press"}, by=make.make_user()
    )
    slas.refresh()
    found = dict(
        TicketClock.objects.filter(kind="first_response").values_list("ticket", "policy__first_response")
    )
    wanted = {plain.ticket_id: 240, vip.ticket_id: 10, mailed.ticket_id: 20, urgent.ticket_id: 30}
    assert found == wanted


def test_many_tickets_cost_as_many_statements_as_one():
    promise()

    def statements():
        with CaptureQueriesContext(connection) as seen:
            slas.refresh()
        return len(seen)

    asked()
    few = statements()
    for _ in range(30):
        asked()
    assert statements() == few


def test_owners_are_warned_before_and_told_after_each_once():
    promise(first_response=60, resolution=None)
    agent = make.make_user()
    soon, late = asked(55), asked(65)
    Ticket.objects.update(owner=agent)
    slas.refresh()
    assert slas.watch() == 2 and slas.watch() == 0
    assert Activity.objects.get(verb="sla.warning").ticket_id == soon.ticket_id
    assert Activity.objects.get(verb="sla.breached").ticket_id == late.ticket_id
    told = [row.data["text"] for row in LiveEvent.objects.filter(stream=f"desk:{agent.pk}", type="alert")]
    assert sorted(text.split(": ")[1] for text in told) == [
        "the first reply is due soon.",
        "the first reply is overdue.",
    ]
    rows.run("UPDATE crm_ticket SET clocked_at = NULL")
    slas.refresh()
    assert slas.watch() == 0, "a replay tells nothing again"
    assert kinds(late.ticket_id) == {"first_response": "breached"}


def test_a_changed_calendar_is_shown_as_a_difference_before_it_counts():
    calendar = BusinessCalendar.objects.create(
        slug="c", name="C", zone="UTC", week={str(d): [["00:00", "24:00"]] for d in range(7)}
    )
    promise(calendar=calendar)
    one = asked()
    slas.refresh()
    assert slas.preview(calendar) == []
    calendar.week = {}
    moved = slas.preview(calendar)
    assert {(row["ticket"], row["kind"]) for row in moved} == {
        (one.ticket_id, "first_response"), (one.ticket_id, "resolution"),
    }  # fmt: skip
    assert all(row["would_be"] is None and row["due_at"] for row in moved)
    assert BusinessCalendar.objects.get().week != {}, "looking changes nothing"
    with pytest.raises(NotAllowed):
        slas.recompute(by=make.make_user())
    calendar.save()
    assert slas.recompute(by=make.make_user(role="administrator")) == 1
    slas.refresh()
    assert Ticket.objects.get(pk=one.ticket_id).next_due_at is None


def test_a_changed_policy_is_previewed_too():
    policy = promise(resolution=None)
    one = asked()
    slas.refresh()
    policy.first_response = 30
    moved = slas.preview(policy)
    assert [row["ticket"] for row in moved] == [one.ticket_id]
    assert moved[0]["due_at"] - moved[0]["would_be"] == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("zone", "week", "field"),
    [
        ("Mars/Olympus", DAYTIME, "zone"),
        ("../../etc/passwd", DAYTIME, "zone"),
        ("UTC", {"7": [["09:00", "17:00"]]}, "week"),
        ("UTC", {"0": [["09:00", "17:00"], ["16:00", "18:00"]]}, "week"),
        ("UTC", {"0": [["9", "17"]]}, "week"),
        ("UTC", {"0": "x"}, "week"),
        ("UTC", {"0": [[9, 17]]}, "week"),
        ("UTC", [], "week"),
    ],
)
def test_a_calendar_that_cannot_be_reckoned_with_is_refused(zone, week, field):
    with pytest.raises(InvalidInput) as refused:
        slas.check_calendar(zone, week)
    assert field in refused.value.extra["errors"]
    slas.check_calendar("Europe/Berlin", DAYTIME)


def test_what_came_here_solved_owes_nothing_and_nobody_is_warned_of_it():
    promise(first_response=60)
    one = asked(65)
    at = timezone.now() - timedelta(minutes=30)
    Ticket.objects.filter(pk=one.ticket_id).update(status="solved", solved_at=at, owner=make.make_user())
    slas.refresh()
    assert kinds(one.ticket_id) == {"first_response": "met", "resolution": "met"}
    assert Ticket.objects.get(pk=one.ticket_id).next_due_at is None and slas.watch() == 0


def test_who_holds_the_contact_and_who_follows_the_ticket_hear_of_it_too():
    promise(first_response=60, resolution=None)
    holder, follower, stranger = make.make_user(), make.make_user("supervisor"), make.make_user()
    one = asked(55, assigned_to=holder)
    Ticket.objects.filter(pk=one.ticket_id).update(owner=None)
    tickets.follow(one.ticket, by=follower)
    slas.refresh()
    assert slas.watch() == 1
    told = set(LiveEvent.objects.filter(type="alert").values_list("stream", flat=True))
    assert told == {f"desk:{holder.pk}", f"desk:{follower.pk}"} and stranger.pk
