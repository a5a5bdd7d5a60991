"""Companies, identities, tickets and history from files: bad rows beside good ones, nothing doubled, undone exactly."""

import io
from datetime import UTC, datetime

import pytest
from django.utils import timezone
from openpyxl import Workbook

from crm import columns
from crm.choices import Role
from crm.columns import BadRowError
from crm.connectors.base import Inbound
from crm.connectors.items import Item
from crm.errors import Conflict, InvalidInput
from crm.models import (
    Activity,
    Company,
    CustomField,
    Identity,
    Interaction,
    LiveEvent,
    Message,
    PastMessage,
    Ticket,
    TicketClock,
)
from crm.services import context, identities, imports, merges, slas, tickets
from reports.models import Board
from reports.services import boards
from tests import factories as make
from tests.crm.test_imports import by_hand, dump, read_in, reports, undo  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db

FORMULA = "=HYPERLINK(A1)"
COMPANIES = "Company,Website,Part of,Owner,Notes"
TICKETS = "Number,Customer e-mail,Subject,Status,Priority,Created,Closed,Team,Tags"
HISTORY = "Id,E-mail,Date,Channel,Direction,Body,Agent,Ticket"


@pytest.fixture
def anna():
    customer = make.make_customer(name="Anna Ott")
    make.make_identity(customer, kind="email", value="anna@example.com", handle="")
    return customer


@pytest.fixture
def brand():
    return make.make_brand()


def upload(noun, header, *lines, **changes):
    kept = imports.upload("\n".join([header, *lines]).encode(), f"{noun}.csv", by=None, noun=noun)
    return imports.remap(kept, changes["mapping"], "") if changes else kept


def take(noun, header, *lines, **changes):
    return read_in(upload(noun, header, *lines, **changes))


def checked(kept):
    imports.check(kept)
    assert imports.work(kept.pk)
    kept.refresh_from_db()
    return kept


def outcomes(kept):
    return list(kept.rows.order_by("line").values_list("outcome", flat=True))


# --- What columns are


@pytest.mark.parametrize(
    ("noun", "header", "mapping"),
    [
        ("companies", COMPANIES, "name domain parent owner note"),
        ("companies", "Firma;Webseite;Bemerkung", "name domain note"),
        ("identities", "Customer,E-mail,Twitter,Trust", "customer email handle:x trust"),
        ("tickets", TICKETS, "reference email subject status priority opened_at solved_at team tags"),
        ("tickets", "Ticket ID;Kunde;Betreff;Erstellt;Bearbeiter", "reference customer subject opened_at owner"),
        ("history", HISTORY, "reference email at channel direction text author ticket"),
        ("history", "Phone,Timestamp,Source,Message", "phone at channel text"),
    ],
)  # fmt: skip
def test_columns_of_other_nouns_are_guessed(noun, header, mapping):
    assert " ".join(upload(noun, header, *["x," * 3]).mapping) == mapping


@pytest.mark.parametrize(
    ("noun", "header", "words"),
    [("companies", "Website", "company's name"), ("identities", "E-mail", "whose"), ("tickets", "Number,Subject", "whose"),
     ("tickets", "E-mail,Subject", "known again"), ("history", "E-mail,Date,Channel", "text"),
     ("tickets", "E-mail,Number", "subject")],
)  # fmt: skip
def test_a_mapping_that_lacks_what_is_needed_is_refused(noun, header, words):
    with pytest.raises(InvalidInput) as refused:
        imports.start(upload(noun, header, "1,2,3"[: header.count(",") * 2 + 1]), by=None)
    assert words in refused.value.detail


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2024-01-31T14:05:00Z", "2024-01-31T14:05"), ("2024-01-31 14:05", "2024-01-31T14:05"),
        ("2024-01-31T14:05:00+02:00", "2024-01-31T12:05"), ("31.01.2024 14:05", "2024-01-31T14:05"),
        ("31/01/2024", "2024-01-31T00:00"), ("Jan 31, 2024 2:05 PM", "2024-01-31T14:05"), ("1706709900", "2024-01-31T14:05"),
        ("1706709900000", "2024-01-31T14:05"), ("20240131", "2024-01-31T00:00"), ("31 Jan 2024 14:05 -0500", "2024-01-31T19:05"),
    ],
)  # fmt: skip
def test_times_are_read_as_files_write_them(text, at):
    assert columns.instant(text) == datetime.fromisoformat(at).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "soon", "31.02.2024", "2024-13-01", "1850-01-01", "9999999999999", "2024-01-31 25:00", "٣١"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(BadRowError):
        columns.instant(text)


def test_a_file_with_the_month_first_says_so_by_its_days(anna, brand):
    take("tickets", "E-mail,Subject,Opened", "anna@example.com,A,03/04/2020", "anna@example.com,B,03/25/2020")
    assert [one.opened_at.strftime("%m-%d") for one in Ticket.objects.order_by("subject")] == [
        "03-04",
        "03-25",
    ]


# --- Companies


def test_companies_come_with_their_tree_and_are_known_again_by_domain_or_name():
    make.make_user(email="boss@example.com")
    there = Company.objects.create(name="Acme", domain="acme.com")
    lines = (
        "Globex,https://www.globex.com/about,,Boss@example.com,big", "Globex Nord,,Globex,,", "ACME Corp,acme.com,Globex,,",
        "Initech,initech,,,", ",x.com,,,", "Umbrella,,Nobody,,", "Hooli,,,who@example.com,", f"{FORMULA},,,,",
        "globex,globex.com,,,",
    )  # fmt: skip
    kept = take("companies", COMPANIES, *lines)
    assert outcomes(kept) == [
        "created",
        "created",
        "updated",
        "failed",
        "failed",
        "failed",
        "failed",
        "created",
        "updated",
    ]
    globex = Company.objects.get(domain="globex.com")
    there.refresh_from_db()
    assert (there.name, there.parent) == ("ACME Corp", globex) and globex.owner.email == "boss@example.com"
    assert Company.objects.get(name="Globex Nord").parent == globex
    assert Company.objects.filter(name=FORMULA).exists()
    assert outcomes(take("companies", COMPANIES, lines[1], lines[2])) == ["unchanged", "unchanged"]


def test_two_companies_of_one_name_and_circles_are_bad_rows():
    Company.objects.create(name="Twin"), Company.objects.create(name="twin")
    kept = take("companies", "Company,Part of", "Twin,", "A,", "B,A", "C,B", "A,C", "B,B", "D,Twin")
    assert outcomes(kept) == ["failed", "created", "created", "created", "failed", "failed", "failed"]


def test_fields_of_companies_are_their_own():
    CustomField.objects.create(noun="company", slug="size", label="Size", kind="number")
    CustomField.objects.create(noun="customer", slug="shoe", label="Shoe", kind="number")
    kept = take("companies", "Company,Size,Shoe", "A,12,3", "B,many,3")
    assert kept.mapping == ["name", "field:size", ""] and outcomes(kept) == ["created", "failed"]
    assert Company.objects.get(name="A").fields == {"size": 12}


def test_the_undo_of_companies_is_exact_and_keeps_what_is_used():
    there = Company.objects.create(name="Acme", domain="acme.com", note="old")
    before = dump()
    kept = undo(
        take(
            "companies", COMPANIES, "Globex,,,,", "Nord,,Globex,,", "Ost,,Nord,,", "Acme,acme.com,Globex,,new"
        )
    )
    assert dump() == before and set(outcomes(kept)) == {"undone"}
    kept = take("companies", COMPANIES, "Globex,,,,", "Nord,,Globex,,", "Acme,acme.com,,,new")
    make.make_customer(company=Company.objects.get(name="Nord"))
    Company.objects.filter(pk=there.pk).update(note="by hand")
    kept = undo(kept)
    assert outcomes(kept) == ["kept", "kept", "kept"]
    there.refresh_from_db()
    assert there.note == "by hand" and Company.objects.filter(name__in=["Globex", "Nord"]).count() == 2


# --- Identities


def test_further_addresses_go_to_customers_that_are_there_and_make_nobody(anna):
    other = make.make_identity(kind="email", value="taken@example.com", handle="")
    lines = (
        f"{anna.pk},second@example.com,,verified", "anna@example.com,,@anna_ott,", "#999999999,x@example.com,,",
        "anna@example.com,taken@example.com,,", "anna@example.com,,,", ",y@example.com,,",
        "x:anna_ott,third@example.com,,guessed",
        "anna@example.com,second@example.com,,",
    )  # fmt: skip
    before = dump()
    kept = take("identities", "Customer,E-mail,Twitter,Trust", *lines)
    assert outcomes(kept) == [
        "updated",
        "updated",
        "failed",
        "failed",
        "failed",
        "failed",
        "updated",
        "unchanged",
    ]
    assert "nobody is known" in reports(kept)[4] and f"customer {other.customer_id}" in reports(kept)[5]
    found = dict(anna.identities.values_list("value", "trust"))
    assert found == {
        "anna@example.com": "claimed", "second@example.com": "verified", "@anna_ott": "claimed", "third@example.com": "guessed",
    }  # fmt: skip
    undo(kept)
    assert dump() == before


# --- A person who was imported by his handle


@pytest.fixture
def channel():
    return make.make_channel("x")


def post(channel, *authors):
    now, batch = timezone.now(), []
    for n, (one, handle) in enumerate(authors):
        item = Item(id=f"{one}-{n}", kind="mention", text="hi", created_at=now, author_id=one, handle=handle)
        batch.append(Inbound(n, channel, item, now))
    identities.resolve(batch)
    return [one.customer_id for one in batch]


def by_handle(handle="@Anna"):
    take("customers", "Name,Twitter", f"Anna,{handle}")
    return Identity.objects.get(kind="x", value=handle.lower())


def test_the_first_account_that_posts_under_an_imported_handle_is_that_person(channel):
    imported = by_handle()
    assert post(channel, ("4711", "Anna")) == [imported.customer_id]
    imported.refresh_from_db()
    assert (imported.value, imported.handle, imported.trust) == ("4711", "Anna", "claimed")
    assert Identity.objects.filter(kind="x").count() == 1
    # From now on only the id counts: a new name keeps the person, and the old name leads to nobody.
    assert post(channel, ("4711", "anna_new")) == [imported.customer_id]
    assert post(channel, ("4712", "Anna")) != [imported.customer_id]


def test_a_handle_that_a_known_account_takes_or_bears_is_not_believed(channel):
    known = make.make_identity(kind="x", value="1", handle="old")
    imported = by_handle()
    assert post(channel, ("1", "anna")) == [known.customer_id]  # took the name; who it is is known
    stranger = post(channel, ("2", "Anna"))
    assert stranger not in ([imported.customer_id], [known.customer_id])
    imported.refresh_from_db()
    assert imported.value == "@anna"


def test_two_new_accounts_of_one_batch_with_one_handle_are_neither(channel):
    imported = by_handle()
    found = post(channel, ("7", "Anna"), ("8", "anna"))
    assert imported.customer_id not in found and len(set(found)) == 2


def test_the_same_handle_on_another_network_is_somebody_else():
    imported = by_handle()
    assert post(make.make_channel("instagram"), ("9", "anna")) != [imported.customer_id]


def test_a_person_who_posted_is_kept_by_the_undo_and_known_by_a_second_import(channel):
    kept = take("customers", "Name,Twitter", "Anna,@Anna")
    customer = post(channel, ("4711", "Anna"))[0]
    make.make_interaction(
        channel,
        identity=Identity.objects.get(value="4711"),
        customer=Identity.objects.get(value="4711").customer,
    )
    assert outcomes(take("customers", "Name,Twitter", "Anna,@anna")) == ["unchanged"]
    assert outcomes(undo(kept)) == ["kept"]
    assert Identity.objects.get(value="4711").customer_id == customer


# --- Tickets


def test_tickets_come_with_their_state_and_without_a_clock(anna, brand):
    team = make.make_team(slug="billing", name="Billing")
    lines = (
        "T-1,anna@example.com,Charged twice,Resolved,P1,2020-01-01 10:00,2020-01-02,billing,refund; old",
        "T-2,anna@example.com,Still open,pending,,2020-02-01,,Billing,", "T-3,nobody@example.com,X,open,,2020-01-01,,,",
        "T-4,anna@example.com,,open,,2020-01-01,,,", "T-5,anna@example.com,X,lost,,2020-01-01,,,",
        "T-6,anna@example.com,X,open,,2020-01-01,2020-01-02,,", "T-7,anna@example.com,X,closed,,2020-01-02,2020-01-01,,",
        "T-8,anna@example.com,X,open,,2099-01-01,,,", "T-9,anna@example.com,X,open,,2020-01-01,,nowhere,",
        f"T-10,anna@example.com,{FORMULA},open,,2020-01-01,,,", "t-1,anna@example.com,Charged twice!,open,,,,,",
    )  # fmt: skip
    kept = take("tickets", TICKETS, *lines)
    assert outcomes(kept) == ["created", "created", *["failed"] * 7, "created", "updated"]
    one, two = Ticket.objects.get(reference="T-1"), Ticket.objects.get(reference="T-2")
    assert (one.status, one.priority, one.subject, one.team, one.brand) == (
        "solved",
        "urgent",
        "Charged twice!",
        team,
        brand,
    )
    assert one.solved_at == datetime(2020, 1, 2, tzinfo=UTC) and {tag.name for tag in one.tags.all()} == {
        "refund",
        "old",
    }
    assert (two.status, two.team) == ("waiting_on_customer", team)
    slas.refresh()
    assert not TicketClock.objects.filter(ticket=two).exists()
    again = take("tickets", TICKETS, *lines[:2])
    assert outcomes(again) == ["updated", "unchanged"]


def test_a_ticket_without_a_number_is_known_by_customer_subject_and_time(anna, brand):
    header, line = "E-mail,Subject,Opened", "anna@example.com,Where is it,2020-01-01"
    assert outcomes(take("tickets", header, line, line)) == ["created", "unchanged"]
    assert outcomes(take("tickets", header, line, "anna@example.com,Where is it,2020-01-02")) == [
        "unchanged",
        "created",
    ]
    new = "anna@example.com,New,2020-01-02"
    assert outcomes(checked(upload("tickets", header, line, new, new))) == [
        "unchanged",
        "created",
        "unchanged",
    ]


def test_a_number_of_another_customers_ticket_is_a_bad_row(anna, brand):
    other = make.make_identity(kind="email", value="bert@example.com", handle="")
    kept = take("tickets", "Number,E-mail,Subject", "T-1,anna@example.com,A", "T-1,bert@example.com,A")
    assert outcomes(kept) == ["created", "failed"] and other.customer.tickets.count() == 0


def test_the_undo_of_tickets_is_exact_and_keeps_what_was_worked_on(anna, brand):
    there = make.make_ticket(anna, brand=brand, reference="T-0", subject="Old words")
    before = dump()
    lines = (
        "T-1,anna@example.com,A,open,,2020-01-01,,,new-tag",
        "T-0,anna@example.com,New words,,,,,,new-tag",
    )
    kept = undo(take("tickets", TICKETS, *lines))
    after = dump()
    before.pop("crm_ticket"), after.pop("crm_ticket")
    there.refresh_from_db()
    assert after == before and set(outcomes(kept)) == {"undone"} and there.subject == "Old words"
    kept = take("tickets", TICKETS, *lines, "T-2,anna@example.com,B,open,,2020-01-01,,,")
    tickets.edit(
        Ticket.objects.get(reference="T-1"), {"subject": "by hand"}, by=make.make_user(Role.SUPERVISOR)
    )
    make.make_interaction(customer=anna, ticket=Ticket.objects.get(reference="T-2"))
    assert outcomes(undo(kept)) == ["kept", "undone", "kept"]


# --- History


def test_past_messages_stand_on_the_timeline_open_nothing_and_count_nowhere(anna):
    reader = make.make_user(Role.SUPERVISOR)
    old = make.make_ticket(anna, reference="T-1")
    Board.objects.get_or_create(slug="floor", defaults={"title": "Floor"})
    figures = boards.snapshot("floor", reader)
    lines = (
        'm1,anna@example.com,2019-05-01 09:00,E-mail,in,"My router is down,\nhelp",,T-1',
        "m2,anna@example.com,2019-05-01 10:00,mail,out,We are on it.,Berta,", "m3,anna@example.com,2099-01-01,mail,in,Later,,",
        "m4,nobody@example.com,2019-05-01,mail,in,Who?,,", "m5,anna@example.com,soon,mail,in,x,,",
        "m6,anna@example.com,2019-05-01,pigeon,in,x,,", "m7,anna@example.com,2019-05-01,mail,in,,,",
        "m8,anna@example.com,2019-05-01,mail,in,x,,T-99", f"m9,anna@example.com,2019-05-02,Twitter,in,{FORMULA},,",
        "m1,anna@example.com,2019-05-01 09:00,E-mail,in,again,,",
    )  # fmt: skip
    kept = take("history", HISTORY, *lines)
    assert outcomes(kept) == ["created", "created", *["failed"] * 6, "created", "unchanged"]
    assert PastMessage.objects.get(reference="m1").ticket == old
    assert Ticket.objects.count() == 1 and not Interaction.objects.exists() and not Message.objects.exists()
    assert not LiveEvent.objects.filter(type__regex="^(interaction|ticket|message|notice)").exists()
    assert {**boards.snapshot("floor", reader), "as_of": None} == {**figures, "as_of": None}
    shown = context.card([anna.pk], reader)[anna.pk]
    assert [line["text"] for line in shown["history"]] == [
        FORMULA,
        "We are on it.",
        "My router is down,\nhelp",
    ]
    assert shown["answers"]["already_talked_to"]["by"] == "Berta"
    assert "No contact in the last 30 days." in shown["summary"]
    assert outcomes(take("history", HISTORY, *lines[:2])) == ["unchanged", "unchanged"]


def test_marketing_reads_what_was_public_and_nobody_without_the_right(anna):
    take(
        "history",
        HISTORY,
        "m1,anna@example.com,2019-05-01,mail,in,secret,,",
        "m2,anna@example.com,2019-05-01,x,in,loud,,",
    )
    marketing = make.make_user(Role.MARKETING)
    assert [line["text"] for line in context.card([anna.pk], marketing)[anna.pk]["history"]] == ["loud"]
    assert list(PastMessage.objects.visible_to(marketing).values_list("text", flat=True)) == ["loud"]


def test_the_past_moves_with_a_merge_and_back(anna):
    take("history", HISTORY, "m1,anna@example.com,2019-05-01,mail,in,old words,,")
    survivor = make.make_customer()
    step = merges.merge(survivor, anna, by=None)
    assert [
        line["text"]
        for line in context.card([survivor.pk], make.make_user(Role.SUPERVISOR))[survivor.pk]["history"]
    ] == ["old words"]
    merges.undo(step, by=make.make_user(Role.SUPERVISOR))
    assert PastMessage.objects.get().customer == anna


def test_card_numbers_of_the_past_are_masked_too(anna):
    line = "m1,anna@example.com,2019-05-01,mail,in,my card 4111 1111 1111 1111 was charged,,"
    assert outcomes(take("history", HISTORY, line)) == ["created"]
    text = PastMessage.objects.get().text
    assert "4111 1111 1111" not in text and text.startswith("my card")
    assert outcomes(take("history", HISTORY, line)) == ["unchanged"]


def test_the_undo_of_history_is_exact(anna):
    before = dump()
    kept = undo(
        take(
            "history",
            HISTORY,
            "m1,anna@example.com,2019-05-01,mail,in,a,,",
            ",anna@example.com,2019-05-02,chat,note,b,,",
        )
    )
    assert dump() == before and outcomes(kept) == ["undone", "undone"]


@pytest.mark.parametrize("noun", ["tickets", "history", "customers"])
def test_what_was_erased_since_is_left_by_the_undo_and_stops_it_not(anna, brand, noun):
    header, line, _ = {**GOOD, "customers": ("Name,E-mail", "{word},new{n}@example.com", None)}[noun]
    kept = take(noun, header, *[line.format(n=n, word=f"w{n}") for n in range(3)])
    kept.rows.filter(line=3).update(did={}, cells=[], report="")
    assert outcomes(undo(kept)) == ["undone", "kept", "undone"] and kept.state == "undone"


# --- Of all of them

GOOD = {
    "companies": ("Company,Notes", "Good {n},{word}", Company),
    "tickets": ("Number,E-mail,Subject", "G-{n},anna@example.com,{word}", Ticket),
    "history": ("Id,E-mail,Date,Channel,Text", "g{n},anna@example.com,2020-01-01,mail,{word}", PastMessage),
    "identities": ("Customer,E-mail", "anna@example.com,good{n}@example.com", Identity),
}


@pytest.mark.parametrize("noun", GOOD)
def test_hostile_cells_are_words_or_bad_rows_and_never_stop_the_others(noun, anna, brand):
    header, line, model = GOOD[noun]
    words = [
        FORMULA,
        "'+49",
        "+1",
        "@SUM(1)",
        "<script>",
        "\u202egnp",
        "{{ticket.number}}",
        "a\tb",
        "x" * 60_000,
    ]
    lines = [line.format(n=n, word=word.replace(",", "")) for n, word in enumerate(words)]
    there = model.objects.count()
    kept = take(noun, header, *lines, "too,many,cells,in,this,row,by,far", '"open')
    count = 9 if noun in ("identities",) else 8
    assert kept.state == "done" and model.objects.count() - there == count
    assert sum(one == "failed" for one in outcomes(kept)) == len(words) + 2 - count


@pytest.mark.parametrize("noun", GOOD)
@pytest.mark.parametrize(
    ("raw", "words"),
    [(b"a\x00b,c\n1,2", "NUL"), (b"\xff\xfea,\xd8", "not valid"), (b"E-mail,e-mail\n1,2", "stands there twice"),
     (b"", "is empty"), (b"%PDF-1.4", "a PDF"), (b"a,b\n", "no rows")],
)  # fmt: skip
def test_files_that_are_no_tables_are_refused_with_the_reason(noun, raw, words):
    with pytest.raises(InvalidInput) as refused:
        imports.upload(raw, "x.csv", by=None, noun=noun)
    assert words in refused.value.detail


@pytest.mark.parametrize("noun", GOOD)
def test_a_dry_run_says_what_will_happen_and_changes_nothing(noun, anna, brand):
    header, line, _ = GOOD[noun]
    lines = [line.format(n=n, word=f"word {n}") for n in (1, 2, 1)] + ["x"]
    kept = upload(noun, header, *lines)
    before = dump()
    foreseen = outcomes(checked(kept))
    assert dump() == before
    assert outcomes(read_in(kept)) == foreseen


def test_western_encodings_and_spreadsheets_are_read(anna, brand):
    kept = imports.upload(
        "Firma;Notiz\nMüller & Söhne;größer".encode("cp1252"), "x.csv", by=None, noun="companies"
    )
    read_in(kept)
    assert Company.objects.get().note == "größer"
    book, file = Workbook(), io.BytesIO()
    book.active.append(["Number", "E-mail", "Subject", "Opened"])
    book.active.append(["T-1", "anna@example.com", "From a sheet", datetime(2020, 1, 1, 10)])
    book.save(file)
    assert outcomes(read_in(imports.upload(file.getvalue(), "x.xlsx", by=None, noun="tickets"))) == [
        "created"
    ]


def test_a_chunk_costs_the_same_statements_however_many_rows_it_has(
    anna, brand, django_assert_max_num_queries
):
    for noun in ("companies", "tickets", "history"):
        header, line, model = GOOD[noun]
        kept = upload(noun, header, *[line.format(n=n, word=f"w{n}") for n in range(300)])
        imports.start(kept, by=None)
        with django_assert_max_num_queries(45):
            imports.work(kept.pk)
        assert model.objects.count() >= 300


def test_two_rows_at_a_time_come_to_the_same_as_all_at_once(anna, brand, monkeypatch):
    lines = ["A,", "B,A", "C,B", "a,", "B,C"]
    whole = outcomes(take("companies", "Company,Part of", *lines))
    undo(imports.Import.objects.get())
    monkeypatch.setattr(imports, "CHUNK", 2)
    kept = upload("companies", "Company,Part of", *lines)
    assert outcomes(checked(kept)) == whole == outcomes(read_in(kept))


def test_who_imported_what_stands_in_the_history(anna, brand):
    boss = make.make_user(Role.SUPERVISOR)
    kept = upload("tickets", "Number,E-mail,Subject", "1,anna@example.com,A")
    imports.start(kept, by=boss)
    imports.work(kept.pk)
    imports.undo(kept, by=boss)
    imports.work(kept.pk)
    assert list(Activity.objects.values_list("verb", flat=True)) == [
        "tickets.imported",
        "tickets.import_undone",
    ]
    with pytest.raises(Conflict):
        imports.start(kept, by=boss)
    assert not Ticket.objects.exists()
