"""Customers from files: guessed, tried dry, read in whatever happens meanwhile, and undone exactly."""

import io
import json
import zipfile
from collections import Counter
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import DataError, connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from crm import columns, rows
from crm.choices import ImportState, Role
from crm.columns import BadRowError, RowReader
from crm.errors import Conflict, InvalidInput
from crm.models import (
    Activity,
    Company,
    Customer,
    CustomField,
    Identity,
    Import,
    ImportRow,
    NameWord,
    Tag,
)
from crm.services import customers, import_rows, imports, merges
from crm.spreadsheets import spreadsheet_of
from crm.tables import UnreadableError
from tests import factories as make

pytestmark = pytest.mark.django_db

HEADER = "First name,Last name,E-mail,Phone,Twitter,Company,Language,Annual value,VIP,Notes,Tags,Size"
ANNA = 'Anna,Ott,Anna@Example.com,+49 30 123456,@anna,Acme,de,"1.234,50",yes,likes tea,"loyal; beta",12'


@pytest.fixture(autouse=True)
def by_hand(monkeypatch):
    """No worker takes the work out of the tests' hands."""
    monkeypatch.setattr("crm.tasks.read_in.delay", lambda import_id: None)


@pytest.fixture
def boss():
    return make.make_user(Role.SUPERVISOR)


@pytest.fixture
def size():
    return CustomField.objects.create(noun="customer", slug="size", label="Size", kind="number")


def csv_of(*lines, header=HEADER):
    return "\n".join([header, *lines]).encode()


def people(count, start=0):
    """`Name,E-mail` of as many people."""
    return [f"Person {n},person{n}@example.com" for n in range(start, start + count)]


def upload(*lines, header=HEADER, by=None, **changes):
    kept = imports.upload(csv_of(*lines, header=header), "people.csv", by=by)
    if changes:
        kept = imports.remap(kept, changes.get("mapping", kept.mapping), changes.get("region", kept.region))
    return kept


def read_in(kept, by=None):
    imports.start(kept, by=by)
    assert imports.work(kept.pk)
    kept.refresh_from_db()
    return kept


def take(*lines, header="Name,E-mail,Phone", **more):
    """Upload and read in."""
    return read_in(upload(*lines, header=header, **more))


def undo(kept, by=None):
    imports.undo(kept, by=by)
    assert imports.work(kept.pk)
    kept.refresh_from_db()
    return kept


def reports(kept):
    return dict(kept.rows.filter(outcome="failed").values_list("line", "report"))


def dump():
    """Every row of every table but those that remember imports and who did what."""
    left_out = {"crm_import", "crm_importrow", "crm_importmade", "crm_activity", "crm_audithead"}
    left_out |= {"crm_liveevent", "crm_stream", "django_migrations"}
    found = {}
    for table in sorted(set(connection.introspection.table_names()) - left_out):
        found[table] = Counter(row[0] for row in rows.run(f'SELECT t::text FROM "{table}" t'))
    return found


# --- What columns are


def test_columns_are_guessed_from_names_and_contents(size):
    kept = upload(ANNA)
    assert kept.mapping == [
        "given", "surname", "email", "phone", "handle:x", "company", "language", "value", "vip", "note", "tags", "field:size",
    ]  # fmt: skip
    assert kept.region == "DE"


@pytest.mark.parametrize(
    ("header", "row", "mapping"),
    [
        (
            "Vorname;Name;E-Mail;Telefon;Sprache",
            "Anna;Ott;a@example.com;030 1;de",
            "given surname email phone language",
        ),
        ("Nom,Prénom,Courriel", "Ott,Anna,a@example.com", "surname given email"),
        ("Customer,Contact", "Anna Ott,anna@example.com", "name email"),
        ("Name,Username,Network", "Anna,anna,X", "name handle network"),
        ("Name,Username", "Anna,anna", "name "),
        ("Name,Network", "Anna,X", "name "),
        ("id,Name,E-mail,E-mail 2,Passport", "1,Anna,a@example.com,b@example.com,X1", " name email email "),
        (
            "Full name,Instagram,Mastodon handle,Segment",
            "Anna,anna,@a,vip",
            "name handle:instagram handle:mastodon tags",
        ),
    ],
)
def test_guesses_in_other_peoples_words(header, row, mapping):
    assert upload(row, header=header).mapping == mapping.split(" ")


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        (["name"], "3 columns"), (["name", "email", "nonsense"], "no field"), (["name", "name", ""], "Two columns"),
        (["", "company", ""], "who it is"), (["name", "handle", ""], "network"), (["name", "network", ""], "network"),
        (["name", "field:none", ""], "no field"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_used_is_refused(mapping, why):
    kept = upload(*people(1), header="a,b", mapping=["name", "email"])
    kept.headers = ["a", "b", "c"]
    with pytest.raises(InvalidInput) as refused:
        imports.remap(kept, mapping)
    assert why in refused.value.detail


def test_a_file_whose_columns_say_nothing_waits_for_a_person():
    kept = upload("1,2", header="a,b")
    with pytest.raises(InvalidInput):
        imports.start(kept, by=None)
    with pytest.raises(InvalidInput):
        imports.remap(kept, ["name", ""], "Germany")
    assert read_in(imports.remap(kept, ["name", "note"])).counts == {"created": 1}


# --- What stands in cells


def read(mapping, *cells, region=""):
    mapping = mapping.split()
    return RowReader(mapping, mapping, region).read(cells)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Anna@Example.COM", ["anna@example.com"]), ("Anna <a@example.com>", ["a@example.com"]),
        ("a@example.com; b@example.com", ["a@example.com", "b@example.com"]), ("mailto:a@example.com", ["a@example.com"]),
        ("a@example.com a@example.com", ["a@example.com"]),
    ],
)  # fmt: skip
def test_addresses_are_read_as_people_write_them(text, kept):
    assert [one.value for one in read("email", text).addresses] == kept


@pytest.mark.parametrize(
    ("text", "region", "kept"),
    [
        ("030 / 123456", "DE", "+4930123456"), ("+49 (30) 123456", "", "+4930123456"), ("0049 30 123456", "", "+4930123456"),
        ("'+49 30 123456", "", "+4930123456"), ("(212) 555-0100", "US", "+12125550100"),
    ],
)  # fmt: skip
def test_numbers_become_international_beside_what_was_given(text, region, kept):
    (one,) = read("phone", text, region=region).addresses
    assert (one.value, one.given) == (kept, text.removeprefix("'"))


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1,234.50", "1234.50"), ("1.234,50 €", "1234.50"), ("1 234", "1234"), ("1.234", "1234"), ("12,5", "12.50"),
        ("0", "0"), ("1'000'000", "1000000"), ("1234.5", "1234.50"), ("$5", "5"),
    ],
)  # fmt: skip
def test_amounts_are_read_as_people_write_them(text, amount):
    assert read("name value", "Anna", text).value == Decimal(amount)


@pytest.mark.parametrize(
    ("mapping", "cells", "reason"),
    [
        ("email", ["nobody"], "no e-mail address"), ("email", ["a@b"], "no e-mail address"), ("email", ["@"], "no e-mail"),
        ("email", ["a" * 300 + "@example.com"], "no e-mail"), ("phone", ["030 123"], "names no country"),
        ("phone", ["+49 1"], "no telephone number"), ("phone", ["call me"], "names no country"),
        ("phone", ["+" + "9" * 30], "no telephone number"), ("handle:x", ["two words"], "no handle"),
        ("name value", ["Anna", "much"], "no amount"), ("name value", ["Anna", "-5"], "no amount"),
        ("name value", ["Anna", "1e400"], "no amount"), ("name value", ["Anna", "nan5"], "no amount"),
        ("name value", ["Anna", "99999999999"], "no amount"), ("name vip", ["Anna", "perhaps"], "neither yes nor no"),
        ("name language", ["Anna", "Klingonese"], "no language"), ("name note", ["Anna", "x" * 10_001], "longer"),
        ("name tags", ["Anna", "x" * 41], "longer"), ("name", ["x" * 201], "longer"),
        ("name company", ["A", "x" * 201], "longer"),
        ("name email", ["", ""], "nothing says who"), ("handle network name", ["anna", "", "Anna"], "no network"),
        ("handle network", ["anna", "usenet"], "none of"), ("email", ["; ".join(f"a{n}@example.com" for n in range(11))], "more"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_reason(mapping, cells, reason):
    with pytest.raises(BadRowError, match=reason):
        read(mapping, *cells)


@given(st.lists(st.text(max_size=60), min_size=13, max_size=13), st.sampled_from(["", "DE", "US"]))
def test_any_cells_are_read_or_refused_and_nothing_else(cells, region):
    mapping = [
        "name", "given", "surname", "email", "phone", "company", "language", "value", "vip", "note", "tags", "handle", "network",
    ]  # fmt: skip
    try:
        said = RowReader(mapping, mapping, region).read(cells)
    except BadRowError as error:
        assert str(error)
        return
    assert said.name or said.addresses
    assert all(one.kind and 0 < len(one.value) <= 255 for one in said.addresses)


# --- Reading in


def test_a_row_becomes_a_customer_with_all_that_it_says(size, boss):
    kept = take(ANNA, header=HEADER, by=boss)
    customer = Customer.objects.get()
    assert (customer.name, customer.language, customer.value, customer.vip) == (
        "Anna Ott",
        "de",
        Decimal("1234.50"),
        True,
    )
    assert (customer.company.name, customer.note, customer.fields) == ("Acme", "likes tea", {"size": 12})
    assert set(customer.tags.values_list("slug", flat=True)) == {"loyal", "beta"}
    assert set(customer.identities.values_list("kind", "value", "handle", "trust")) == {
        ("email", "anna@example.com", "", "claimed"),
        ("phone", "+4930123456", "+49 30 123456", "claimed"),
        ("x", "@anna", "anna", "claimed"),
    }
    assert set(NameWord.objects.values_list("word", flat=True)) == {"anna", "ott"}
    assert (kept.state, kept.counts, kept.by) == (ImportState.DONE, {"created": 1}, boss)


def test_bad_rows_are_named_with_line_and_reason_and_stop_nobody(size):
    kept = take(
        "Anna,a@example.com,+49 30 123456",
        "Ben,nobody,",
        '"Cleo\nwith a line",c@example.com,+49 30 654321',
        "Dora,d@example.com,12,one,cell,more",
        ",,",
        '"Eve"x,e@example.com,',
        "-,n/a,",
        "Finn,f@example.com,",
    )
    assert kept.counts == {"created": 3, "failed": 4}
    assert set(Customer.objects.values_list("name", flat=True)) == {"Anna", "Cleo with a line", "Finn"}
    found = reports(kept)
    assert (
        "nobody" in found[3]
        and "has 6 cells" in found[6]
        and "expected" in found[8]
        and "nothing says" in found[9]
    )


def test_a_quote_that_never_closes_is_one_bad_row(size):
    kept = take("Anna,a@example.com,", '"Ben,b@example.com,', "Cleo,c@example.com,")
    assert kept.counts == {"created": 1, "failed": 1} and "unexpected end" in reports(kept)[3]


def test_a_known_address_updates_its_customer_and_blank_cells_change_nothing():
    customer = make.make_customer(name="A. Ott", note="keep me", value=5)
    make.make_identity(customer, kind="email", value="a@example.com")
    kept = take("Anna Ott,A@example.com,+49 30 123456", ",a@example.com,")
    customer.refresh_from_db()
    assert (customer.name, customer.note, customer.value) == ("Anna Ott", "keep me", 5)
    assert customer.identities.filter(kind="phone").get().value == "+4930123456"
    assert kept.counts == {"updated": 1, "unchanged": 1} and Customer.objects.count() == 1


def test_a_handle_is_known_without_regard_to_case():
    customer = make.make_customer()
    make.make_identity(customer, kind="x", value="4711", handle="AnnaOtt")
    kept = take("@annaott,Anna", header="Twitter,Name")
    customer.refresh_from_db()
    assert (customer.name, kept.counts, Identity.objects.count()) == ("Anna", {"updated": 1}, 1)


def test_two_customers_in_one_row_are_that_rows_error():
    one = make.make_identity(kind="email", value="a@example.com")
    other = make.make_identity(kind="phone", value="+4930123456")
    kept = take("Anna,a@example.com,+49 30 123456", "Ben,b@example.com,")
    assert kept.counts == {"failed": 1, "created": 1}
    assert (
        f"customer {one.customer_id}" in reports(kept)[2]
        and f"customer {other.customer_id}" in reports(kept)[2]
    )
    assert not Customer.objects.filter(name="Anna").exists()


def test_two_rows_that_a_third_would_tie_are_its_error():
    kept = take("Anna,a@example.com,", "Ben,,+49 30 123456", "Both,a@example.com,+49 30 123456")
    assert kept.counts == {"created": 2, "failed": 1} and "line 2" in reports(kept)[4]


@pytest.mark.parametrize("chunk", [1, 2, 1000])
def test_doubles_within_a_file_are_one_customer_wherever_chunks_end(monkeypatch, chunk):
    monkeypatch.setattr(imports, "CHUNK", chunk)
    kept = take(
        "Anna,a@example.com,",
        "Anna Ott,a@example.com,+49 30 123456",
        "Anna,,+49 30 123456",
        "Only Name,,",
        "Only Name,,",
    )
    assert kept.counts == {"created": 2, "updated": 2, "unchanged": 1}
    assert set(Customer.objects.values_list("name", flat=True)) == {"Anna", "Only Name"}
    assert Identity.objects.count() == 2


def test_companies_and_tags_are_found_by_name_and_made_once():
    acme, loyal = Company.objects.create(name="ACME"), Tag.objects.create(slug="loyal", name="Loyal")
    take(
        "Anna,a@example.com,acme,LOYAL; 常連", "Ben,b@example.com,Other,Loyal, 常連", "Cleo,c@example.com,other,常連",
        header="Name,E-mail,Company,Tags",
    )  # fmt: skip
    assert Customer.objects.get(name="Anna").company == acme and Company.objects.count() == 2
    assert set(Customer.objects.get(name="Anna").tags.all()) >= {loyal} and Tag.objects.count() == 2


def test_the_same_file_twice_changes_nothing(size):
    lines = [ANNA, *(f"Name {n},,,,,,,,,,," for n in range(3))]
    take(*lines, header=HEADER)
    before = dump()
    assert take(*lines, header=HEADER).counts == {"unchanged": 4}
    assert dump() == before


def test_a_promise_is_kept_once():
    kept = take(*people(3), header="Name,E-mail")
    assert imports.work(kept.pk) and Customer.objects.count() == 3 and not imports.due()
    with pytest.raises(Conflict):
        imports.start(kept, by=None)
    with pytest.raises(Conflict):
        imports.remap(kept, kept.mapping)


class KilledError(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("at", ["write", "understand"])
def test_a_kill_between_and_within_chunks_loses_and_doubles_nothing(monkeypatch, at):
    monkeypatch.setattr(imports, "CHUNK", 10)
    kept = upload(*people(35), header="Name,E-mail")
    imports.start(kept, by=None)
    real, calls = getattr(import_rows, at), []

    def fall(*args):
        calls.append(1)
        if len(calls) % 3 == 0:
            raise KilledError
        return real(*args)

    monkeypatch.setattr(import_rows, at, fall)
    kills = 0
    while kept.state != ImportState.DONE:
        assert imports.due() == [kept.pk]
        try:
            imports.work(kept.pk)
        except KilledError:
            kills += 1
            assert Customer.objects.count() % 10 == 0
        kept.refresh_from_db()
    assert kills >= 1 and kept.counts == {"created": 35} and Customer.objects.count() == 35
    assert Activity.objects.filter(verb="customers.imported").count() == 1


def test_work_stops_when_its_time_is_over_and_goes_on(monkeypatch):
    monkeypatch.setattr(imports, "CHUNK", 10)
    kept = upload(*people(25), header="Name,E-mail")
    imports.start(kept, by=None)
    assert imports.work(kept.pk, seconds=0) is False and Customer.objects.count() == 10
    assert imports.work(kept.pk) is True and Customer.objects.count() == 25


def test_a_row_that_the_database_refuses_fails_alone(monkeypatch):
    monkeypatch.setattr(imports, "CHUNK", 5)
    real = import_rows.write

    def refuse(steps, known):
        if any(step.said.name == "Person 3" for step in steps):
            raise DataError("no such thing\nDETAIL: more")
        return real(steps, known)

    monkeypatch.setattr(import_rows, "write", refuse)
    kept = take(*people(12), header="Name,E-mail")
    assert kept.counts == {"created": 11, "failed": 1} and reports(kept) == {
        5: "could not be written: no such thing"
    }


def test_an_address_that_moves_meanwhile_is_looked_up_again(monkeypatch):
    identity = make.make_identity(kind="email", value="a@example.com")
    real, asked = import_rows.find, []

    def meanwhile(keys):
        found = real(keys)
        asked.append(found)
        if len(asked) == 1:
            # Seen by the second look of this try; it goes with the try, and the next one finds all as it is.
            Identity.objects.filter(pk=identity.pk).update(customer=make.make_customer())
        return found

    monkeypatch.setattr(import_rows, "find", meanwhile)
    kept = take("Anna,a@example.com,")
    assert len(asked) == 4 and asked[0] != asked[1] and kept.counts == {"updated": 1}
    assert Customer.objects.get(pk=identity.customer_id).name == "Anna"


def test_a_chunk_costs_the_same_statements_however_many_rows_it_has(size):
    take(ANNA, header=HEADER)  # warm, and half of the rows below are known then

    def cost(count):
        lines = []
        for n in range(count):
            mail, company, tag = (
                f"p{n % (count // 2)}-{count}@example.com",
                f"C{n % 7}-{count}",
                f"t{n % 5}-{count}",
            )
            lines.append(f"P{n},Q{count},{mail},,@p{n}-{count},{company},de,5,no,hi,{tag},{n}")
        kept = upload(*lines, header=HEADER)
        imports.start(kept, by=None)
        reader = imports._reader(kept)
        with CaptureQueriesContext(connection) as seen:
            assert imports._chunk(kept.pk, reader, 1000) == count
        return len([one for one in seen if not one["sql"].startswith(("SAVEPOINT", "RELEASE"))])

    few, many = cost(20), cost(900)
    assert few == many <= 28


# --- Trying dry


@pytest.mark.parametrize("chunk", [2, 1000])
def test_a_dry_run_says_what_happens_and_changes_nothing(size, monkeypatch, chunk):
    monkeypatch.setattr(imports, "CHUNK", chunk)
    identity = make.make_identity(kind="email", value="b@example.com")
    lines = [
        ANNA, "Ben,,b@example.com,,,,,,,,,", "Bad,,nobody,,,,,,,,,", "Anna,Ott,,+49 30 123456,,,,,,,loyal,12",
        f"Same,,b@example.com,{'+49 30 123456'},,,,,,,,", "Only,,,,,,,,,,,", "Only,,,,,,,,,,,",
    ]  # fmt: skip
    kept, before = upload(*lines), dump()
    imports.check(kept)
    assert imports.due() == [kept.pk] and imports.work(kept.pk)
    kept.refresh_from_db()
    assert kept.state == ImportState.CHECKED and dump() == before
    said = list(kept.rows.order_by("line").values_list("line", "outcome"))
    assert [outcome for _, outcome in said] == [
        "created", "updated", "failed", "unchanged", "failed", "created", "unchanged",
    ]  # fmt: skip
    assert kept.rows.get(line=3).report == f"customer {identity.customer_id}: name"
    assert kept.rows.get(line=5).report == "the customer of line 2: nothing new"
    counts = kept.counts
    assert read_in(kept).counts == counts
    assert list(kept.rows.order_by("line").values_list("line", "outcome")) == said


def test_a_dry_run_that_was_killed_begins_anew_and_is_never_cut_short(monkeypatch):
    monkeypatch.setattr(imports, "CHUNK", 10)
    kept = upload(*people(25), header="Name,E-mail")
    imports.check(kept)
    assert imports.work(kept.pk, told=lambda rows: True) is False
    kept.refresh_from_db()
    assert kept.counts == {"created": 10} and imports.due() == [kept.pk]
    assert imports.work(kept.pk, seconds=0) is True
    kept.refresh_from_db()
    assert kept.counts == {"created": 25} and kept.state == ImportState.CHECKED


# --- Undoing


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_an_undo_restores_the_former_state_exactly(size, boss, monkeypatch, chunk):
    monkeypatch.setattr(imports, "CHUNK", chunk)
    old = make.make_customer(name="Ben Old", note="was", value=None, fields={"size": 3, "other": "x"})
    old.tags.add(Tag.objects.create(slug="loyal", name="Loyal"))
    make.make_identity(old, kind="email", value="b@example.com")
    NameWord.objects.bulk_create(NameWord(word=word) for word in ("ben", "old", "ott"))
    before = dump()
    lines = [
        ANNA,
        "Ben,New,b@example.com,+49 30 654321,@ben,Acme,en,7,yes,is,loyal; fresh,4",
        "Ben,Newer,,+49 30 654321,,Other,,8,no,,,5",
        "Annabel,Ott,anna@example.com,,,Third,fr,9,,,more,13",
        "Only,Name,,,,,,,,,,",
        "Bad,,nobody,,,,,,,,,",
    ]
    kept = take(*lines, header=HEADER)
    assert dump() != before and Company.objects.count() == 3
    undone = undo(kept, by=boss)
    assert dump() == before
    assert undone.state == ImportState.UNDONE and undone.counts == {"undone": 5} and undone.kept == {}
    assert list(Activity.objects.order_by("pk").values_list("verb", "actor", "customer")) == [
        ("customers.imported", None, None), ("customers.import_undone", boss.pk, None),
    ]  # fmt: skip
    with pytest.raises(Conflict):
        imports.undo(kept, by=boss)


def test_an_undo_survives_kills(monkeypatch):
    monkeypatch.setattr(imports, "CHUNK", 10)
    before, kept = dump(), take(*people(35), header="Name,E-mail")
    imports.undo(kept, by=None)
    assert imports.work(kept.pk, seconds=0) is False and Customer.objects.count() == 25
    real = imports.import_undo._write
    monkeypatch.setattr(
        imports.import_undo, "_write", lambda *args: (real(*args), (_ for _ in ()).throw(KilledError))[0]
    )
    with pytest.raises(KilledError):
        imports.work(kept.pk)
    assert Customer.objects.count() == 25 and imports.due() == [kept.pk]
    monkeypatch.setattr(imports.import_undo, "_write", real)
    assert imports.work(kept.pk) and dump() == before


def test_what_was_half_read_in_can_be_undone(monkeypatch):
    monkeypatch.setattr(imports, "CHUNK", 10)
    before, kept = dump(), upload(*people(35), header="Name,E-mail")
    imports.start(kept, by=None)
    imports.work(kept.pk, seconds=0)
    assert undo(kept).counts == {"undone": 10} and dump() == before


def test_what_was_used_since_stays_and_is_said(boss):
    kept = take(*people(6), header="Name,E-mail")
    with_ticket, edited, merged, tagged, elsewhere, plain = Customer.objects.order_by("pk")
    make.make_ticket(with_ticket)
    customers.edit(edited, {"note": "by hand"}, by=boss)
    merges.merge(make.make_customer(), merged, by=boss)
    tagged.tags.add(Tag.objects.create(slug="hand", name="Hand"))
    Customer.objects.filter(pk=elsewhere.pk).update(name="Renamed in the admin")
    done = undo(kept)
    assert done.counts == {"kept": 5, "undone": 1}
    assert not Customer.objects.filter(pk=plain.pk).exists()
    said = dict(kept.rows.values_list("customer_id", "report"))
    assert (
        "has ticket" in said[with_ticket.pk]
        and "has activity" in said[edited.pk]
        and "merge" in said[merged.pk]
    )
    assert "tags since" in said[tagged.pk] and "changed since" in said[elsewhere.pk]
    assert Identity.objects.filter(customer=with_ticket).count() == 1


def test_later_edits_of_changed_values_stay_and_the_others_go_back(boss):
    customer = make.make_customer(name="Old", note="old", language="en")
    make.make_identity(customer, kind="email", value="a@example.com")
    kept = take("New,a@example.com,new,de,+49 30 123456", header="Name,E-mail,Note,Language,Phone")
    customers.edit(Customer.objects.get(), {"note": "by hand"}, by=boss)
    phone = Identity.objects.get(kind="phone")
    interaction = make.make_interaction(make.make_channel("phone"), customer, identity=phone)
    assert undo(kept).counts == {"kept": 1}
    customer.refresh_from_db()
    assert (customer.name, customer.note, customer.language) == ("Old", "by hand", "en")
    assert Identity.objects.filter(pk=phone.pk).exists() and interaction.identity_id == phone.pk
    assert "note was changed since" in kept.rows.get().report and "has" in kept.rows.get().report


def test_companies_and_tags_that_others_use_now_stay():
    kept = take(
        "Anna,a@example.com,Acme,loyal", "Ben,b@example.com,Solo,lone", header="Name,E-mail,Company,Tags"
    )
    other = make.make_customer(company=Company.objects.get(name="Acme"))
    other.tags.add(Tag.objects.get(slug="loyal"))
    assert undo(kept).kept == {"company": ["Acme"], "tag": ["loyal"]}
    assert Company.objects.get().name == "Acme" and Tag.objects.get().slug == "loyal"


def test_a_word_that_stands_in_another_name_stays():
    kept = take("Anna Unheard,a@example.com,")
    make.make_customer(name="Mister Unheard")
    undo(kept)
    assert set(NameWord.objects.values_list("word", flat=True)) == {"unheard"}


def test_after_the_time_the_rows_go_and_an_undo_is_refused():
    kept = take(*people(2), header="Name,E-mail")
    imports.forget_old()
    assert kept.rows.count() == 2
    rows.run("UPDATE crm_import SET done_at = now() - interval '91 days'")
    imports.forget_old()
    assert kept.rows.count() == 0
    with pytest.raises(Conflict):
        imports.undo(kept, by=None)


# --- Hostile files


def book(*lines, sheet="Sheet"):
    made, out = Workbook(), io.BytesIO()
    made.active.title = sheet
    for line in lines:
        made.active.append(line)
    made.save(out)
    return out.getvalue()


def test_a_spreadsheet_is_read_like_a_csv():
    raw = book(
        ["Name", "E-mail", "Annual value", "VIP"],
        ["Anna", "a@example.com", 12.5, True],
        [None],
        ["Ben", "x", 1, False],
    )
    kept = read_in(imports.upload(raw, "C:\\files\\people.xlsx", by=None))
    assert (kept.name, kept.counts, reports(kept).keys()) == ("people.xlsx", {"created": 1, "failed": 1}, {4})
    assert (Customer.objects.get().value, Customer.objects.get().vip) == (Decimal("12.50"), True)


def zipped(**parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name.replace("__", "/") + ".xml", text)
    return out.getvalue()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" \n ", b"Name", b"Name\n", b"\x00" * 100, b"%PDF-1.4", b"\x1f\x8b" + b"0" * 50, b"PK\x03\x04" + b"0" * 500,
        b"Name,Name\na,b\n", b"a\x00b,c\n1,2", zipped(a="<a/>"), zipped(**{"[Content_Types]": "<a/>"}),
        b"\xff\xfe\x00", ",".join(f"c{n}" for n in range(3000)).encode() + b"\n1", b'"Name\nAnna,1',
        zipped(**{
            "[Content_Types]": '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;">]><Types>&y;</Types>',
            "xl__workbook": "<workbook/>",
        }),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused_and_nothing_is_kept(raw):
    with pytest.raises(InvalidInput) as refused:
        imports.upload(raw, "people.csv", by=None)
    assert refused.value.detail.startswith("people.csv") and not Import.objects.exists()


def test_a_spreadsheet_that_would_unpack_to_too_much_is_refused(monkeypatch):
    monkeypatch.setattr("crm.spreadsheets.LARGEST_CONTENT", 1_000_000)
    with pytest.raises(UnreadableError, match="larger than"):
        spreadsheet_of(zipped(**{"[Content_Types]": " " * 2_000_000}), "bomb.xlsx")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_table_or_refused(raw):
    try:
        table = imports._read(raw, "x")
    except InvalidInput:
        return
    assert table.rows and all(len(row) == len(table.headers) for row in table.rows)


def test_too_large_and_too_long_files_are_refused(monkeypatch):
    monkeypatch.setattr(imports, "LARGEST_FILE", 100)
    with pytest.raises(InvalidInput) as refused:
        upload(*people(20), header="Name,E-mail")
    assert refused.value.status == 413
    monkeypatch.setattr(imports, "LARGEST_FILE", 10**6)
    monkeypatch.setattr(imports, "MOST_ROWS", 10)
    with pytest.raises(InvalidInput):
        upload(*people(20), header="Name,E-mail")


@pytest.mark.parametrize(
    "words",
    [
        "'; DROP TABLE crm_customer; --", "{{ settings.SECRET_KEY }}", "<script>alert(1)</script>", "\u202egnp.exe", "%s %b",
        "\\", "ÿ\u200b", "=1+1", "'", "👩‍👩‍👧‍👦", "İstanbul", "ẞ",
    ],
)  # fmt: skip
def test_hostile_words_come_in_as_they_are_and_go_again(words):
    before = dump()
    quoted = '"' + words + '"'
    kept = take(f"{quoted},a@example.com,{quoted},{quoted},{quoted}", header="Name,E-mail,Company,Note,Tags")
    assert kept.counts == {"created": 1}, reports(kept)
    assert Customer.objects.get().name == words and Company.objects.get().name == words
    assert take(
        f"{quoted},a@example.com,{quoted},{quoted},{quoted}", header="Name,E-mail,Company,Note,Tags"
    ).counts == {"unchanged": 1}
    undo(kept)
    assert dump() == before


def test_the_apostrophe_of_an_export_is_taken_off():
    assert [columns.plain(cell) for cell in ("'=1+1", "'+49", "'@a", "'quoted", "=1")] == [
        "=1+1",
        "+49",
        "@a",
        "'quoted",
        "=1",
    ]


# --- The command


def run_command(*args):
    out = io.StringIO()
    call_command("import_customers", *args, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_tries_reads_in_and_undoes(tmp_path):
    file = tmp_path / "people.csv"
    file.write_bytes(
        csv_of("Anna;A@example.com;030 123456;x", "Ben;nobody;;y", header="Who;E-mail;Phone;Colour")
    )
    before = dump()
    dry = run_command(str(file), "--dry-run", "--region", "de", "--map", "Who=name", "--map", "colour=note")
    assert dry["counts"] == {"created": 1, "failed": 1} and dump() == before and dry["state"] == "checked"
    assert dry["mapping"] == {"Who": "name", "E-mail": "email", "Phone": "phone", "Colour": "note"}
    done = run_command(str(file), "--region", "DE")
    assert done["problems"] == [
        {"line": 3, "outcome": "failed", "reason": "E-mail: “nobody” is no e-mail address"}
    ]
    assert Identity.objects.get(kind="phone").value == "+4930123456"
    assert run_command("--undo", str(done["import"]))["counts"] == {"undone": 1} and dump() == before


@pytest.mark.parametrize(
    "args",
    [
        [], ["FILE", "--undo", "1"], ["--undo", "999999"], ["FILE", "--map", "x"], ["FILE", "--map", "Nope=name"],
        ["FILE", "--map", "Name=nonsense"], ["FILE", "--region", "Germany"], ["nowhere.csv"],
    ],
)  # fmt: skip
def test_the_command_says_what_it_cannot_use(tmp_path, args):
    file = tmp_path / "people.csv"
    file.write_bytes(csv_of(*people(1), header="Name,E-mail"))
    with pytest.raises(CommandError):
        call_command(
            "import_customers", *[str(file) if one == "FILE" else one for one in args], stdout=io.StringIO()
        )
    assert not ImportRow.objects.exists() and not Customer.objects.exists()
