"""Search from anywhere: what is found, how, by whom, and in how many statements."""

import orjson
import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.choices import Role, TeamVisibility
from crm.models import Customer, Identity, Message, NameWord, Ticket
from crm.services import customers, deliveries, search, tokens
from tests import factories as make

pytestmark = pytest.mark.django_db


def known(name, **address):
    """A customer with one address, whose name is learnt as the conveyor learns it."""
    one = make.make_customer(name=name)
    Identity.objects.create(
        customer=one, **({"kind": "x", "value": f"v{one.pk}", "handle": "", "name": name} | address)
    )
    search.learn([name])
    return one


def found(words, by):
    return [(hit.title, hit.how) for hit in search.search(words, by=by).customers]


@pytest.fixture
def reader():
    return make.make_user(role=Role.AGENT)


def test_exact_goes_before_beginning_and_beginning_before_part(reader):
    known("Annabel Stone")
    known("Anna")
    known("Joanna Reed")
    assert found("anna", reader) == [
        ("Anna", "exact"),
        ("Annabel Stone", "begins"),
        ("Joanna Reed", "contains"),
    ]


@pytest.mark.parametrize(
    "typed",
    ["Katarzyna Bergtonn", "Katarzyma Bergton", "bergton katarzina", "Ktarzyna Bergton", "KATARZYNA BERGTEN"],
)
def test_a_mistyped_name_is_found_when_nothing_else_is(reader, typed):
    known("Katarzyna Bergton")
    known("Katarina Holt")
    assert ("Katarzyna Bergton", "typo") in found(typed, reader)


def test_an_accent_and_right_to_left_and_wild_cards_are_only_letters(reader):
    known("Zoë Łukasz")
    known("محمد علي")
    known("100%_sure")
    known("plain")
    assert found("zoë", reader)[0][0] == "Zoë Łukasz"
    assert found("محمد", reader)[0][0] == "محمد علي"
    assert [title for title, _ in found("%_", reader)] == []
    assert [title for title, _ in found("0%_s", reader)] == ["100%_sure"]


@pytest.mark.parametrize("typed", ["+447911123456", "07911 123456", "7911123456", "(0) 7911-123456"])
def test_a_number_is_found_however_it_is_written(reader, typed):
    known("Carol", kind="phone", value="+447911123456")
    known("Other", kind="phone", value="+447911999999")
    assert [title for title, _ in found(typed, reader)] == ["Carol"]


def test_handles_and_addresses_are_found(reader):
    known("Carol", handle="carol_in_paris")
    known("Dave", kind="email", value="dave.stone@example.test")
    assert found("@Carol_in_paris", reader) == [("Carol", "exact")]
    assert found("in_paris", reader) == [("Carol", "contains")]
    assert found("Dave.Stone@example.test", reader) == [("Dave", "exact")]
    assert found("stone@example", reader) == [("Dave", "contains")]
    assert found("carol_in_pariss", reader) == [("Carol", "typo")]


def test_a_corrected_name_is_learnt(reader):
    one = known("Xaver")
    customers.edit(one, {"name": "Thomasina Vale"}, by=reader)
    assert found("Tomasina", reader) == [("Thomasina Vale", "typo")]


def test_names_that_arrive_are_learnt_by_the_path_itself(reader):
    item = {
        "id": "1",
        "kind": "mention",
        "text": "@brand my router is down, please help",
        "created_at": "2026-01-01T10:00:00Z",
        "author": {"id": "a", "handle": "h", "name": "Bartholomew Quill"},
    }
    make.make_queue(is_fallback=True)
    deliveries.accept(make.make_channel(), [orjson.dumps(item)])
    while deliveries.process():
        pass
    assert NameWord.objects.filter(word="bartholomew").exists()
    assert found("Bartolomew", reader) == [("Bartholomew Quill", "typo")]


def test_tickets_and_words_are_found_within_rights(reader):
    closed = make.make_team(visibility=TeamVisibility.CLOSED)
    mine = make.make_interaction(ticket=make.make_ticket(subject="Router reboots nightly"))
    theirs = make.make_interaction(
        ticket=make.make_ticket(subject="Router of the board", team=closed), team=closed
    )
    make.make_message(mine, text="the router drops at night")
    make.make_message(theirs, text="the router of the board drops")
    seen = search.search("router", by=reader)
    assert [hit.matched for hit in seen.tickets] == ["Router reboots nightly"]
    assert [hit.matched for hit in seen.messages] == ["the router drops at night"]
    everything = search.search("router", by=make.make_user(role=Role.AUDITOR))
    assert len(everything.tickets) == 2 and len(everything.messages) == 2
    nothing = search.search("router", by=make.make_user(role=Role.AGENT, is_active=False))
    assert not nothing


def test_a_token_finds_only_what_its_scopes_name(client, reader):
    one = known("Ada Stone")
    make.make_ticket(customer=one, subject="Stone in the parcel")
    token = tokens.issue(reader, scopes=["tickets:read"])
    answer = client.get("/api/v1/search/?q=stone", headers={"Authorization": f"Bearer {token}"}).json()
    assert answer["customers"] == [] and len(answer["tickets"]) == 1


def test_a_common_word_is_found_from_the_newest_message_on(reader, monkeypatch):
    monkeypatch.setattr(search, "COMMON", 3)
    one = make.make_interaction()
    for number in range(6):
        make.make_message(one, text=f"please {number}")
    assert [hit.matched for hit in search.search("please", by=reader).messages][:2] == [
        "please 5",
        "please 4",
    ]


def test_more_rows_cost_no_more_statements(reader):
    def statements():
        with CaptureQueriesContext(connection) as asked:
            search.search("stone", by=reader)
        return len(asked)

    known("Ada Stone")
    few = statements()
    for number in range(15):
        known(f"Bob{number} Stone")
    assert statements() <= few <= 7


def test_marks_are_set_around_the_words_and_nowhere_else():
    assert search.marked("The Router drops", "router DROPS") == [
        ("The ", False), ("Router", True), (" ", False), ("drops", True),
    ]  # fmt: skip
    long = "x" * 500 + " needle " + "y" * 500
    pieces = search.marked(long, "needle")
    assert ("needle", True) in pieces and len("".join(text for text, _ in pieces)) < 130
    assert search.marked("a(b", "(") == [("a", False), ("(", True), ("b", False)]


def test_the_page_shows_groups_and_the_api_the_same(client, reader):
    one = known("Ada Stone")
    ticket = make.make_ticket(customer=one, subject="Stone in the parcel")
    client.force_login(reader)
    page = client.get("/search/?q=stone").content.decode()
    assert (
        f"/customers/{one.pk}/" in page and f"/tickets/{ticket.pk}/" in page and "<mark>Stone</mark>" in page
    )
    answer = client.get("/api/v1/search/?q=stone").json()
    assert [hit["id"] for hit in answer["customers"]] == [one.pk]
    assert [hit["id"] for hit in answer["tickets"]] == [ticket.pk]
    assert "Nothing found" in client.get("/search/?q=zzzzqqq").content.decode()
    assert client.get("/api/v1/search/?q=" + "x" * 201).status_code == 400
    assert client.get("/search/?q=%00%01").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_seeded_history_hangs_together_and_can_be_searched(reader):
    call_command("seed_scale", customers=300, seed=3, json=True)
    assert Customer.objects.count() == 300 and Ticket.objects.count() == 300
    assert Identity.objects.count() == 480 and Message.objects.count() == 1_500
    assert not Message.objects.filter(direction="inbound", identity=None).exists()
    someone = Customer.objects.order_by("pk")[42]
    first, last = someone.name.split()
    assert someone.name in [title for title, _ in found(f"{first} {last[:-1]}x{last[-1]}", reader)]


def test_the_last_digits_of_a_number_find_its_owner_without_a_look_at_names(reader):
    known("Carol", kind="phone", value="+447911123456")
    known("Other", kind="phone", value="+441234567001")
    with CaptureQueriesContext(connection) as asked:
        assert [hit.title for hit in search.search("1123456", by=reader, kinds=["customers"]).customers] == [
            "Carol"
        ]
    assert len([one for one in asked if "crm_identity" in one["sql"]]) == 2  # close, and ends
    assert found("911123", reader) == [("Carol", "contains")]  # digits from its midst


def test_a_whole_handle_asks_for_nothing_more(reader):
    known("Carol", handle="carol_in_paris")
    known("Dave", handle="xcarol_in_paris")
    known("Erin", handle="carol_in_paris_2")
    with CaptureQueriesContext(connection) as asked:
        hits = search.search("carol_in_paris", by=reader, kinds=["customers"]).customers
    assert [(hit.title, hit.how) for hit in hits] == [("Carol", "exact"), ("Erin", "begins")]
    assert len([one for one in asked if "crm_identity" in one["sql"]]) == 1
    assert ("Dave", "contains") in found("carol_in_pari", reader)
