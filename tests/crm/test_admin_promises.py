"""Calendars and policies in the admin: what cannot be reckoned with is refused, what would move is shown first."""

from datetime import timedelta

import pytest
from django.utils import timezone

from crm.choices import Role
from crm.models import Activity, BusinessCalendar, Holiday, SlaPolicy, Ticket
from crm.services import slas
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    user = make.make_user(Role.ADMINISTRATOR, is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


def calendar_form(**fields):
    holidays = {"holidays-TOTAL_FORMS": "0", "holidays-INITIAL_FORMS": "0"}
    return (
        {
            "name": "Office",
            "slug": "office",
            "zone": "UTC",
            "week": '{"0": [["09:00", "17:00"]]}',
            "reason": "we moved",
        }
        | holidays
        | fields
    )


def test_a_calendar_is_made_with_its_holidays(client, admin):
    holiday = {
        "holidays-TOTAL_FORMS": "1", "holidays-INITIAL_FORMS": "0", "holidays-0-day": "2026-12-25",
        "holidays-0-name": "Christmas", "holidays-0-spans": "[]",
    }  # fmt: skip
    assert client.post("/admin/crm/businesscalendar/add/", calendar_form(**holiday)).status_code == 302
    assert (
        BusinessCalendar.objects.get().week == {"0": [["09:00", "17:00"]]}
        and Holiday.objects.get().spans == []
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"zone": "Mars"},
        {"week": '{"0": [["17:00", "09:00"]]}'},
        {"week": '{"9": []}'},
        {"week": "[]"},
        {"week": "{"},
        {"reason": ""},
        {"reason": "x" * 201},
        {"reason": "a\x00b"},
    ],
)
def test_a_calendar_that_cannot_be_reckoned_with_is_refused(client, admin, wrong):
    page = client.post("/admin/crm/businesscalendar/add/", calendar_form(**wrong))
    assert page.status_code == 200 and "errorlist" in page.content.decode()
    assert not BusinessCalendar.objects.exists()


def test_a_changed_policy_shows_what_would_move_and_saves_nothing_until_told(client, admin):
    policy = SlaPolicy.objects.create(slug="all", name="All", first_response=60)
    one = make.make_interaction(text="")
    make.make_message(one, at=timezone.now() - timedelta(minutes=5))
    slas.refresh()
    before = Ticket.objects.get().next_due_at
    form = {
        "name": "All",
        "slug": "all",
        "place": "100",
        "is_active": "on",
        "first_response": "30",
        "warn_percent": "80",
        "pauses_for_customer": "on",
    }
    address = f"/admin/crm/slapolicy/{policy.pk}/change/"
    page = client.post(address, form | {"_preview": "Show"}).content.decode()
    assert "would move: 1" in page and f"#{one.ticket.number} first response" in page
    policy.refresh_from_db()
    assert policy.first_response == 60
    refused = client.post(address, form)
    assert refused.status_code == 200 and "Why? It stands in the history." in refused.content.decode()
    policy.refresh_from_db()
    assert policy.first_response == 60
    assert client.post(address, form | {"reason": "The contract of May"}).status_code == 302
    line = Activity.objects.get(verb="config.changed")
    assert line.data["reason"] == "The contract of May" and line.data["fields"] == {
        "first_response": [60, 30]
    }
    assert client.post(f"/admin/crm/slapolicy/{policy.pk}/delete/", {"post": "yes"}).status_code == 403
    slas.refresh()
    assert before - Ticket.objects.get().next_due_at == timedelta(minutes=30)
