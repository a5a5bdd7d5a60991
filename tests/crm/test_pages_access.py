"""What pages hold back and where people land. Roles and hostile addresses: `tests/architecture`."""

import pytest
from django.urls import reverse

from crm.choices import Role
from crm.models import Company, Delivery, RightSet
from crm.services import bulks, imports
from reports.models import Board
from tests import factories as make
from tests.architecture import access_table

pytestmark = pytest.mark.django_db

PAGES = [door.path for door in access_table.PAGES if door.method == "GET"]


@pytest.fixture
def things():
    for slug in ("floor", "social"):
        Board.objects.get_or_create(slug=slug, defaults={"title": slug})
    interaction = make.make_interaction(text="Where is my <b>order</b>?")
    make.make_mention(text="“Hello” <script>alert(1)</script>", sentiment=-0.5, sentiment_words=[[1, 6, -1]])
    make.make_delivery(state="quarantined", error="no <author>", raw=b'{"id": "\x00\xff<i>"}')
    reason = {"priority": "high", "priority_reason": "<b>order"}
    changed = bulks.preview(
        "tickets", reason, by=make.make_user(Role.ADMINISTRATOR), ids=[interaction.ticket_id]
    )
    return {
        "bulk": changed.pk,
        "user": make.make_user(name="<b>order</b> <script>alert(1)</script>").pk,
        "right_set": RightSet.objects.create(name="<b>order</b>", rights=["reply"]).pk,
        "customer": interaction.customer_id,
        "ticket": interaction.ticket_id,
        "interaction": interaction.pk,
        "message": interaction.messages.get().pk,
        "board": "floor",
        "place": 0,
        "channel": make.make_channel(name="<b>order</b> <script>alert(1)</script>").pk,
        "double": make.make_customer(name="<b>order</b>").pk,
        "import": imports.upload(b"Name,<b>order\n<script>alert(1),<author>\n", "<b>order.csv", by=None).pk,
        "export": 1,
        "simulation": make.make_simulation(title="<b>order</b> <script>alert(1)</script>").pk,
        "agent": make.make_agent(make.make_user(name="<b>order</b> <script>alert(1)</script>")).pk,
        "queue": make.make_queue(name="<b>order</b> <script>alert(1)</script>").slug,
        "company": Company.objects.create(name="<b>order</b> <script>alert(1)</script>").pk,
        "macro": make.make_macro(
            name="<b>order</b>", text="<script>alert(1)</script><b>order", texts={"x": "<author>"}
        ).pk,
    }


def logged_in(client, role, **fields):
    user = make.make_user(role, **fields)
    if role in (Role.AGENT, Role.SUPERVISOR, Role.ADMINISTRATOR):
        make.make_agent(user)
    client.force_login(user)
    return user


def test_words_from_outside_are_escaped_everywhere(client, things):
    logged_in(client, Role.ADMINISTRATOR)
    for page in PAGES:
        answer = client.get(page.format(**things)).content.decode()
        assert "<script>alert" not in answer and "<b>order" not in answer and "<author>" not in answer, page


@pytest.mark.parametrize(
    ("role", "home"),
    [
        (Role.AGENT, "/desk/"),
        (Role.SUPERVISOR, "/boards/floor/"),
        (Role.ADMINISTRATOR, "/boards/floor/"),
        (Role.MARKETING, "/mentions/"),
        (Role.AUDITOR, "/tickets/"),
    ],
)
def test_the_front_door_leads_home(client, role, home):
    logged_in(client, role)
    assert client.get("/")["Location"] == home


def test_who_takes_no_work_has_no_desk(client):
    client.force_login(make.make_user(Role.SUPERVISOR))
    assert client.get("/desk/").status_code == 404


def test_a_message_is_shown_in_its_own_interaction_only(client, things):
    logged_in(client, Role.ADMINISTRATOR)
    other = make.make_interaction()
    assert client.get(f"/interactions/{other.pk}/messages/{things['message']}/").status_code == 404


def test_a_quarantined_delivery_is_replayed_once(client, things):
    logged_in(client, Role.SUPERVISOR)
    path = reverse("delivery-replay", args=[Delivery.objects.get().pk])
    assert client.get(path).status_code == 405
    assert client.post(path).status_code == 302
    assert Delivery.objects.get().state == "queued"
    assert client.post(path).status_code == 409


def test_only_who_may_replay_replays(client, things):
    logged_in(client, Role.AUDITOR)
    assert client.post(reverse("delivery-replay", args=[Delivery.objects.get().pk])).status_code == 403
    assert Delivery.objects.get().state == "quarantined"
    assert "Replay" not in client.get("/deliveries/").content.decode()
