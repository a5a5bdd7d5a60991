"""Lists: found by what people type, paged by place, and as dear with many rows as with few."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.choices import Audience, Role, TicketStatus
from crm.models import Company, Customer, Delivery, Ticket
from crm.services import rights
from reports.models import Board
from reports.services import boards
from socialcare.models import Mention
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    user = make.make_user(Role.ADMINISTRATOR)
    make.make_agent(user)
    client.force_login(user)
    return user


def statements(client, path):
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200
    return len(asked)


def grow(queue):
    """One more of everything that a list shows."""
    item = make.make_work_item(queue=queue)
    make.make_message(item.interaction, text="again")
    make.make_mention()
    make.make_delivery(state="quarantined")
    make.make_interaction(customer=item.interaction.customer)
    return item


# Session and user are two of each.
PINNED = {
    "/customers/": 9,  # fields of our own, views, rows, and a statement for each column that is collected elsewhere
    "/tickets/": 5,
    "/companies/": 5,
    "/mentions/": 4,
    "/deliveries/": 6,
    "/queues/": 16,  # six of them ask what nobody could take, and why; one for calls and chats, one for what is held
    "/boards/floor/": 8,
    "/desk/": 12,
}


def test_more_rows_cost_no_more_statements(client, admin):
    boards.forget_closed_hours()
    Board.objects.get_or_create(slug="floor", defaults={"title": "Floor"})
    queue = make.make_queue()
    grow(queue)
    few = {path: statements(client, path) for path in PINNED}
    few = {path: statements(client, path) for path in PINNED}
    for _ in range(12):
        grow(queue)
    assert {path: statements(client, path) for path in PINNED} == few
    assert few == PINNED


def test_one_thing_with_much_of_it_costs_as_much_as_with_little(client, admin):
    item = make.make_assignment(work_item=make.make_work_item()).work_item
    one = item.interaction
    paths = [
        f"/interactions/{one.pk}/", f"/interactions/{one.pk}/thread/", f"/tickets/{one.ticket_id}/",
        f"/customers/{one.customer_id}/", f"/customers/{one.customer_id}/card/",
    ]  # fmt: skip
    few = [statements(client, path) for path in paths]
    for number in range(12):
        make.make_message(one, text=f"line {number}", author=admin, direction="outbound", state="sent")
        make.make_interaction(customer=one.customer, ticket=one.ticket)
    assert [statements(client, path) for path in paths] == few
    assert few[-1] == 3, "the screen-pop card is one statement beside session and user"


def shown(client, path, name):
    return list(client.get(path).context[name])


def test_customers_are_found_by_name_handle_address_and_ticket(client, admin):
    customer = make.make_customer(name="Zoë Quistgaard")
    identity = make.make_identity(customer, handle="zoe_q", value="4711")
    mail = make.make_identity(customer, kind="email", value="zoe@example.com", handle="")
    ticket = make.make_ticket(customer)
    make.make_identity(handle="somebody")
    for words in (
        "quistg",
        "ZOË",
        "@zoe_q",
        "zoe_",
        identity.value,
        mail.value,
        f"%23{ticket.number}",
        str(ticket.number),
    ):
        assert shown(client, f"/customers/?search={words}", "customers") == [customer], words
    assert shown(client, "/customers/?search=nobody-like-this", "customers") == []
    # What a LIKE would take for a joker is a plain sign.
    assert shown(client, "/customers/?search=%25%25", "customers") == []


def test_a_number_leads_to_its_ticket_and_words_to_customers(client, admin):
    ticket = make.make_ticket()
    assert client.get(f"/search/?q={ticket.number}")["Location"] == f"/tickets/{ticket.pk}/"
    assert client.get(f"/search/?q=%23{ticket.number}")["Location"] == f"/tickets/{ticket.pk}/"
    carol = make.make_customer(name="Carol Smith")
    assert f"/customers/{carol.pk}/" in client.get("/search/?q=carol+smith").content.decode()
    assert "Nothing found" in client.get("/search/?q=99999999").content.decode()


def test_pages_lead_on_and_back_without_losing_or_repeating_a_row(client, admin):
    now = timezone.now()
    tickets = [make.make_ticket(make.make_customer()) for _ in range(120)]
    for number, ticket in enumerate(tickets):
        # Pairs share an instant: the id decides between them.
        Ticket.objects.filter(pk=ticket.pk).update(opened_at=now - timedelta(minutes=number // 2))
    seen, path, urls = [], "/tickets/", []
    while path:
        answer = client.get(path).context
        seen.append([ticket.pk for ticket in answer["tickets"]])
        urls.append(answer["previous_url"])
        path = answer["next_url"]
    assert [len(page) for page in seen] == [50, 50, 20]
    flat = [pk for page in seen for pk in page]
    assert len(set(flat)) == 120 and set(flat) == {ticket.pk for ticket in tickets}
    assert urls[0] is None
    assert [ticket.pk for ticket in client.get(urls[2]).context["tickets"]] == seen[1]
    assert [ticket.pk for ticket in client.get(urls[1]).context["tickets"]] == seen[0]


def test_filters_are_kept_from_page_to_page(client, admin):
    for _ in range(60):
        make.make_ticket(subject="Refund please")
    make.make_ticket(subject="Router")
    first = client.get("/tickets/?search=refund&view=all").context
    assert "search=refund" in first["next_url"] and "view=all" in first["next_url"]
    assert len(client.get(first["next_url"]).context["tickets"]) == 10


def test_views_of_tickets_show_what_their_name_says(client, admin):
    mine = make.make_ticket(owner=admin, status=TicketStatus.OPEN)
    solved = make.make_ticket(status=TicketStatus.SOLVED, solved_at=timezone.now())
    theirs = make.make_ticket(status=TicketStatus.WAITING_ON_CUSTOMER)
    found = {
        name: set(shown(client, f"/tickets/?view={name}", "tickets"))
        for name in ("open", "mine", "waiting", "solved", "all")
    }
    assert found == {
        "open": {mine, theirs}, "mine": {mine}, "waiting": {mine}, "solved": {solved}, "all": {mine, solved, theirs},
    }  # fmt: skip


def test_mentions_are_narrowed_by_verdict_tone_network_and_words(client, admin):
    angry = make.make_mention(sentiment=-0.8, text="Charged twice!")
    make.make_mention(sentiment=0.8, verdict="follow", text="Lovely sofa", actionable=False)
    toot = make.make_mention(make.make_channel("mastodon"), sentiment=0.0, verdict="spam")
    for query, wanted in (
        ("tone=negative", [angry]),
        ("network=mastodon", [toot]),
        ("verdict=spam", [toot]),
        ("search=charged", [angry]),
        (f"search=@{angry.identity.handle}&tone=negative", [angry]),
        ("actionable=false&tone=negative", []),
    ):
        assert shown(client, f"/mentions/?{query}", "mentions") == wanted, query
    refused = client.get("/mentions/?tone=purple&network=fidonet")
    assert refused.status_code == 400 and refused.context["mentions"] == []
    assert "tone: " in refused.content.decode() and Mention.objects.count() == 3


def test_marketing_is_not_shown_tickets_of_private_contacts(client):
    private = make.make_interaction(make.make_channel("email"), text="canary")
    public = make.make_interaction(audience=Audience.PUBLIC)
    client.force_login(make.make_user(Role.MARKETING))
    assert shown(client, "/tickets/", "tickets") == [public.ticket]
    assert client.get(f"/tickets/{private.ticket_id}/").status_code == 404


def test_what_waits_stands_in_the_order_of_the_engine(client, admin):
    queue = make.make_queue()
    now = timezone.now()
    calm = {"urgency": 0.0, "value": 0.0}
    late = make.make_work_item(queue=queue, deadline=now + timedelta(hours=3), priority_parts=calm)
    soon = make.make_work_item(queue=queue, deadline=now + timedelta(minutes=5), priority_parts=calm)
    urgent = make.make_work_item(
        queue=queue, deadline=now + timedelta(hours=2), priority_parts={"urgency": 1.0, "value": 1.0}
    )
    found = next(one for one in shown(client, "/queues/", "queues") if one["slug"] == queue.slug)
    assert [item["id"] for item in found["items"]] == [urgent.pk, soon.pk, late.pk]
    assert (found["waiting"], found["in_work"]) == (3, 0)
    assert found["items"][0]["score"] > found["items"][1]["score"]


def test_raw_bytes_are_shown_as_text_whatever_they_are(client, admin):
    Delivery.objects.all().delete()
    make.make_delivery(state="quarantined", raw=b"\xff\xfe\x00<b>")
    assert "␀&lt;b&gt;" in client.get("/deliveries/").content.decode()


def test_a_card_number_in_the_quarantine_is_read_by_nobody(client, admin):
    number = "4111 1111 1111 1111"
    Delivery.objects.all().delete()
    raw = b'{"text": "' + b"x" * 560 + b' booked from 4111 1111 1111 1111, and 4\\u003111111111111111"'
    waiting = make.make_delivery(state="quarantined", raw=raw)
    page = client.get("/deliveries/").content.decode()
    assert number[:12] not in page and "•••• •••• ••" in page
    said = client.get(f"/api/v1/deliveries/{waiting.pk}/").json()["raw"]
    assert number not in said and "4111111111111111" not in said and said.count("1111") == 2
    waiting.refresh_from_db()
    assert bytes(waiting.raw) == raw  # what is replayed is what came


def test_who_is_erased_is_a_number_in_every_list_and_on_his_page(client, admin):
    gone = Customer.objects.create(name="", erased_at=timezone.now())
    for path in ("/customers/", f"/customers/{gone.pk}/", f"/customers/{gone.pk}/card/"):
        assert f"Customer {gone.pk}" in client.get(path).content.decode(), path
    assert client.get("/customers/").content.decode().count("erased</span>") == 1


def test_places_and_buttons_follow_what_was_given_not_only_the_role(client, admin):
    agent = make.make_user(Role.AGENT)
    client.force_login(agent)
    page = client.get("/customers/").content.decode()
    assert 'data-part="export"' not in page and 'href="/privacy/"' not in page
    given = rights.make_set(name="Keepers", rights=["export", "see_privacy", "read_customers"], by=admin)
    rights.give(agent, right_set=given, scope="everywhere", by=admin)
    page = client.get("/customers/").content.decode()
    assert 'data-part="export"' in page and 'href="/privacy/"' in page
    assert client.get("/privacy/").status_code == 200


def test_a_company_shows_its_tree_and_the_tickets_that_its_reader_may_see(
    client, admin, django_assert_max_num_queries
):
    group = Company.objects.create(name="Holding")
    acme = Company.objects.create(name="Acme", parent=group)
    works = Company.objects.create(name="Acme Works", parent=acme)
    anna, hidden = (
        make.make_customer(name="Anna", company=works),
        make.make_customer(name="Gone", company=acme),
    )
    hidden.merged_into = anna
    hidden.save()
    make.make_ticket(anna, subject="Bolts are missing")
    make.make_ticket(anna, subject="Behind doors", team=make.make_team(visibility="closed"))
    make.make_ticket(anna, subject="Long done", status="solved", solved_at=timezone.now())
    page = client.get(f"/companies/{acme.pk}/").content.decode()
    for word in ("Holding", "Acme Works", "Anna", "Bolts are missing", "Behind doors"):
        assert word in page, word
    assert "Long done" not in page and ">Gone<" not in page
    client.force_login(make.make_user(Role.AGENT))
    assert "Behind doors" not in client.get(f"/companies/{acme.pk}/").content.decode()
    client.force_login(admin)
    for number in range(20):
        one = make.make_customer(name=f"Person {number}", company=acme)
        make.make_ticket(one, subject=f"Ticket {number}")
    with django_assert_max_num_queries(16):
        assert "Ticket 19" in client.get(f"/companies/{acme.pk}/").content.decode()


def test_the_thread_says_who_may_finish_it(client, admin):
    held = make.make_assignment(work_item=make.make_work_item())
    path = f"/interactions/{held.work_item.interaction_id}/thread/"
    assert client.get(path).context["can_act"] is True
    client.force_login(held.agent.user)
    assert client.get(path).context["can_act"] is True
    client.force_login(make.make_agent().user)
    assert client.get(path).context["can_act"] is False
    assert client.get(path).context["explanation"]["candidates"][0]["agent"] == str(held.agent)


def test_a_customer_who_is_nobody_yet_has_a_page(client, admin):
    nobody = Customer.objects.create()
    assert "First contact" in client.get(f"/customers/{nobody.pk}/").content.decode()
