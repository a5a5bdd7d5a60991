"""The context card: facts in words, rights of teams, and a price that does not grow with the history."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm import cards, rows
from crm.choices import Role, TeamVisibility
from crm.models import Brand, Channel, Code, Customer, Identity, Interaction, Message, Team, Ticket, User
from crm.services import context

pytestmark = pytest.mark.django_db


def channel(kind="x", slug="x-brand"):
    brand, _ = Brand.objects.get_or_create(slug="brand", defaults={"name": "Brand"})
    return Channel.objects.get_or_create(slug=slug, defaults={"name": slug, "kind": kind, "brand": brand})[0]


def reader(name="Alice", role=Role.AGENT, team=None):
    return User.objects.create_user(f"{name.lower()}@example.com", name=name, role=role, team=team)


def known(name="Carol"):
    customer = Customer.objects.create(name=name, value=4200, vip=True)
    Identity.objects.create(customer=customer, kind="x", value=f"id-{customer.pk}", handle="carol")
    return customer


def contact(
    customer, *, kind="x", days=1, text="It was charged twice", answer="", by=None, team=None, **fields
):
    at = timezone.now() - timedelta(days=days)
    where = channel(kind, f"{kind}-brand")
    ticket_fields = fields.pop("ticket", {})
    ticket = Ticket.objects.create(
        customer=customer, brand=where.brand, subject=text[:100], team=team, **ticket_fields
    )
    Ticket.objects.filter(pk=ticket.pk).update(opened_at=at)
    one = Interaction.objects.create(
        channel=where, customer=customer, identity=customer.identities.first(), ticket=ticket, thread=ticket.pk,
        family="social", team=team, received_at=at, first_message_at=at, last_message_at=at, **fields,
    )  # fmt: skip
    said = {"channel": where, "interaction": one, "audience": "public"}
    Message.objects.create(
        **said, direction="inbound", author_name="@carol", text=text, at=at, sentiment=-0.6
    )
    if answer:
        Message.objects.create(
            **said, direction="outbound", state="sent", author=by, text=answer, at=at + timedelta(minutes=5)
        )
    return one


def closed(**fields):
    at = timezone.now() - timedelta(days=2, minutes=1)
    return {"status": "closed", "closed_at": at, "ticket": {"status": "solved", "solved_at": at}, **fields}


def card(customer, user):
    return context.card([customer.pk], user)[customer.pk]


def test_a_customer_who_was_never_here_is_a_first_contact():
    shown = card(Customer.objects.create(name="New"), reader())
    assert shown["summary"] == [
        "First contact: nothing was said before.",
        "Nothing was promised and nothing is open.",
        "No contact in the last 30 days.",
    ]
    assert shown["answers"]["already_talked_to"]["yes"] is False
    assert shown["answers"]["got_what_was_needed"] == {
        "answer": "unknown", "yes": None, "text": "Nothing has ended yet.", "ticket": None,
    }  # fmt: skip
    assert shown["ticket"] is None and shown["history"] == [] and shown["playbook"] is None


def test_the_card_says_who_answered_where_and_what_is_open():
    alice, carol = reader(), known()
    one = contact(carol, answer="We look into it", by=alice)
    shown = card(carol, alice)
    talked = shown["answers"]["already_talked_to"]
    assert (talked["yes"], talked["by"], talked["channel"], talked["interaction"]) == (
        True,
        "Alice",
        "x",
        one.pk,
    )
    assert talked["text"].startswith("Yes, Alice, on X, 23 hours ago")
    assert shown["answers"]["still_open"] == [
        {
            "id": one.ticket_id,
            "ticket": one.ticket_id,
            "number": one.ticket.number,
            "subject": "It was charged twice",
            "status": "new",
        }  # fmt: skip
    ]
    assert shown["ticket"]["number"] == one.ticket.number
    assert [line["text"] for line in shown["history"]] == ["We look into it", "It was charged twice"]
    assert shown["value"] == {"per_year": 4200.0, "amount": 4200.0, "currency": "€", "vip": True}
    assert shown["sentiment"] == {"now": -0.6, "trend": [-0.6]}


def test_a_call_that_ended_counts_as_having_talked():
    bob, carol = reader("Bob"), known()
    contact(carol, kind="phone", **closed(assigned_to=bob))
    talked = card(carol, bob)["answers"]["already_talked_to"]
    assert (talked["yes"], talked["by"], talked["channel"]) == (True, "Bob", "phone")
    assert talked["text"].startswith("Yes, Bob, by phone")


def test_a_draft_or_a_failed_reply_is_no_answer():
    alice, carol = reader(), known()
    one = contact(carol)
    for state in ("draft", "awaiting_approval", "failed"):
        Message.objects.create(
            channel=one.channel, interaction=one, audience="public", direction="outbound", state=state, author=alice,
            text="not said", at=timezone.now(),
        )  # fmt: skip
    shown = card(carol, alice)
    assert shown["answers"]["already_talked_to"]["yes"] is False
    assert [line["text"] for line in shown["history"]] == ["It was charged twice"]


def test_the_outcome_says_whether_the_customer_got_what_was_needed():
    Code.objects.create(kind="outcome", code="solved", label="Refund booked")
    alice, carol = reader(), known()
    contact(carol, **closed(outcome="solved"))
    got = card(carol, alice)["answers"]["got_what_was_needed"]
    assert (got["answer"], got["text"]) == (
        "yes",
        "Yes: the last contact ended as “Refund booked”, 2 days ago.",
    )
    Interaction.objects.update(outcome="unsolved")
    assert card(carol, alice)["answers"]["got_what_was_needed"]["yes"] is False


def test_a_promise_that_is_past_says_so():
    alice, carol = reader(), known()
    contact(carol, ticket={"promise": "We call back", "promised_by": timezone.now() - timedelta(hours=2)})
    shown = card(carol, alice)
    assert shown["summary"][1].startswith("“We call back” was promised for")
    assert shown["summary"][1].endswith("and that is past.")
    assert shown["answers"]["got_what_was_needed"]["yes"] is False


def test_words_of_a_restricted_team_are_left_out_but_that_there_was_contact_is_not():
    legal = Team.objects.create(slug="legal", name="Legal", visibility=TeamVisibility.RESTRICTED)
    carol = known()
    contact(carol, text="my secret", team=legal, answer="our secret", by=reader("Lea", team=legal))
    outside = card(carol, reader())
    assert "secret" not in str(outside)
    assert [(line["text"], line["barred"]) for line in outside["history"]] == [("", True), ("", True)]
    assert outside["answers"]["already_talked_to"]["by"] == "Lea"
    assert outside["ticket"]["subject"] == "" and outside["sentiment"]["now"] is None
    for may_read in (
        reader("Leo", team=legal),
        reader("Ada", role=Role.ADMINISTRATOR),
        reader("Sven", role=Role.SUPERVISOR),
    ):
        assert "our secret" in str(card(carol, may_read))


def test_a_closed_team_shows_nothing_at_all_not_even_a_count():
    staff = Team.objects.create(slug="staff", name="Staff", visibility=TeamVisibility.CLOSED)
    carol = known()
    contact(carol, text="my secret", team=staff)
    outside = card(carol, reader())
    assert "secret" not in str(outside) and "Staff" not in str(outside)
    assert outside["summary"][0] == "First contact: nothing was said before."
    assert outside["summary"][2] == "No contact in the last 30 days."
    assert outside["open_tickets"] == [] and outside["history"] == []
    assert context.card([carol.pk], None)[carol.pk]["history"] == []
    assert "my secret" in str(card(carol, reader("Sia", team=staff)))


def test_who_holds_work_of_a_closed_team_reads_it():
    staff = Team.objects.create(slug="staff", name="Staff", visibility=TeamVisibility.CLOSED)
    alice, carol = reader(), known()
    contact(carol, text="handed over", team=staff, assigned_to=alice)
    assert [line["text"] for line in card(carol, alice)["history"]] == ["handed over"]


def test_marketing_reads_what_is_public_only():
    carol = known()
    contact(carol, text="in private", audience="private", days=2)
    contact(carol, text="in public")
    shown = card(carol, reader("Mia", role=Role.MARKETING))
    assert [line["text"] for line in shown["history"]] == ["in public", ""]
    assert "in private" not in str(shown)


def test_many_readers_of_many_customers_are_one_statement():
    alice, bob = reader(), reader("Bob")
    people = [known(f"Customer {number}") for number in range(5)]
    for one in people:
        contact(one, text=f"Question of {one.name}")
    with CaptureQueriesContext(connection) as asked:
        found = context.cards([(one.pk, user) for one in people for user in (alice, bob)])
    assert len(asked) == 1
    assert len(found) == 10
    assert found[people[3].pk, bob.pk]["history"][0]["text"] == "Question of Customer 3"
    assert context.card([], alice) == {} and context.card([10**12], alice) == {}


def test_three_thousand_contacts_cost_as_many_statements_as_three():
    alice, few, many = reader(), known("Few"), known("Many")
    for number in range(3):
        contact(few, text=f"contact {number}", days=number)
    grow(contact(many, text="contact 0"), 3_000)
    counts = []
    for one in (few, many):
        with CaptureQueriesContext(connection) as asked:
            shown = card(one, alice)
        counts.append(len(asked))
        assert len(shown["history"]) == min(10, 3 if one is few else 10)
    assert counts == [1, 1]
    assert shown["summary"][2] == "At least 100 contacts in the last 30 days."


def grow(one, count):
    """Copy a contact many times over, a minute apart."""
    rows.run(
        """
        WITH copies AS (
            INSERT INTO crm_interaction (channel_id, customer_id, identity_id, ticket_id, thread, loose, family, audience,
                status, language, topic, queue_hint, required_skills, priority_parts, judgement, received_at,
                first_message_at, last_message_at, reason, outcome)
            SELECT channel_id, customer_id, identity_id, ticket_id, 100000 + n, loose, family, audience, status, language,
                topic, queue_hint, required_skills, priority_parts, judgement, at, at, at, '', ''
            FROM crm_interaction, generate_series(1, %s) n, LATERAL (SELECT received_at - n * interval '1 minute' AS at) t
            WHERE id = %s RETURNING id, channel_id, received_at
        )
        INSERT INTO crm_message (channel_id, interaction_id, direction, audience, state, author_name, title, text, media,
            versions, courtesy, sentiment_words, in_reply_to, attempts, error, at)
        SELECT channel_id, id, 'inbound', 'public', 'received', '', '', 'again', '[]', '[]', false, '[]', '', 0, '', received_at
        FROM copies
        """,
        (count, one.pk),
    )
    rows.run("ANALYZE crm_interaction, crm_message")


def test_an_app_above_plugs_its_part_into_the_card(monkeypatch):
    monkeypatch.setattr(cards, "_parts", {})
    cards.register("playbook", lambda ids: {one: {"step": 2} for one in ids})
    carol = known()
    assert card(carol, reader())["playbook"] == {"step": 2}


def test_a_contact_that_was_only_passed_on_is_not_said_to_have_helped():
    alice, carol = reader(), known()
    contact(carol, **closed(outcome="passed-on"))
    assert card(carol, alice)["answers"]["got_what_was_needed"]["answer"] == "unknown"
