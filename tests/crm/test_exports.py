"""Lists that leave: with what the asker may see, narrowed as on the page, harmless to spreadsheets, and nobody else's."""

import asyncio
import csv
import io
import json
import os
import stat
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from openpyxl import load_workbook

from crm import asgi
from crm.choices import ExportState, Role, TeamVisibility
from crm.errors import InvalidInput, NotAllowed, NotFound
from crm.models import Activity, Company, Export, Tag, User
from crm.pages import LARGEST_BODY
from crm.services import exports, imports, rights
from crm.services.exports import Ready
from crm.spreadsheets import neutral
from tests import factories as make

pytestmark = pytest.mark.django_db

FORMULAS = ("=1+1", "+49", "-1", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("http://x","y")')


@pytest.fixture(autouse=True)
def by_hand(monkeypatch, settings, tmp_path):
    """No worker takes the work out of the tests' hands; files lie in a home of the test's own."""
    monkeypatch.setattr("crm.tasks.write_out.delay", lambda export_id: None)
    monkeypatch.setattr("crm.tasks.read_in.delay", lambda import_id: None)
    settings.HOME = tmp_path


@pytest.fixture
def boss():
    return make.make_user(Role.ADMINISTRATOR)


@pytest.fixture
def small(monkeypatch):
    """Everything is made in the background, two rows at a time."""
    monkeypatch.setattr(exports, "AT_ONCE", 0)
    monkeypatch.setattr(exports, "CHUNK", 2)


def rows_of(body, form):
    """Rows as dictionaries of texts."""
    if form == "jsonl":
        return [json.loads(line) for line in body.splitlines()]
    if form == "csv":
        return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    head, *rest = load_workbook(io.BytesIO(body)).active.iter_rows(values_only=True)
    return [dict(zip(head, row, strict=True)) for row in rest]


def export(noun, form="csv", by=None, **words):
    """What somebody gets who exports at once."""
    ready = exports.ask(noun, form, {name: [value] for name, value in words.items()}, by=by)
    assert isinstance(ready, Ready)
    return rows_of(ready.body, form)


def made(noun, form, by, **words):
    """The same by way of a file."""
    kept = exports.ask(noun, form, {name: [value] for name, value in words.items()}, by=by)
    assert isinstance(kept, Export) and exports.due() == [kept.pk]
    exports.work(kept.pk)
    kept.refresh_from_db()
    return kept


@pytest.mark.parametrize("form", ["csv", "xlsx", "jsonl"])
def test_a_customer_leaves_with_all_that_stands_in_the_list(boss, form):
    customer = make.make_customer(
        name="Anna Ott", vip=True, value="12.50", note="likes\ntea", fields={"size": 3}
    )
    customer.tags.add(Tag.objects.create(slug="loyal", name="Loyal"))
    make.make_identity(customer, kind="email", value="a@example.com", handle="")
    make.make_identity(customer, kind="x", value="1", handle="anna")
    (row,) = export("customers", form, boss)
    assert (row["name"], row["email"], row["handles"], row["tags"]) == (
        "Anna Ott",
        "a@example.com",
        "x: anna",
        "Loyal",
    )
    assert (str(row["vip"]).lower(), float(row["value"]), row["note"]) == ("true", 12.5, "likes\ntea")
    assert json.loads(row["fields"]) == {"size": 3}


@pytest.mark.parametrize("form", ["csv", "xlsx", "jsonl"])
@pytest.mark.parametrize("noun", ["tickets", "interactions", "mentions", "companies"])
def test_every_list_leaves_in_every_form(boss, noun, form):
    make.make_interaction(text="hello")
    make.make_mention()
    Company.objects.create(name="Acme")
    (row,) = export(noun, form, boss)
    assert len(row) == len(exports._listed[noun].columns)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_no_cell_is_taken_for_a_formula(boss, form):
    for words in FORMULAS:
        make.make_identity(make.make_customer(name=words, note=words), kind="x", handle=words)
    ready = exports.ask("customers", form, {}, by=boss)
    if form == "xlsx":
        cells = [cell for row in load_workbook(io.BytesIO(ready.body)).active.iter_rows() for cell in row]
        assert {cell.data_type for cell in cells} <= {"s", "inlineStr", "n", "b"}
    found = rows_of(ready.body, form)
    for row in found:
        assert not any(
            isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
            for value in row.values()
        )
    assert [row["name"].removeprefix("'").strip() for row in found] == [words.strip() for words in FORMULAS]


def test_what_left_comes_in_again_as_it_was(boss):
    customer = make.make_customer(name="=1+1", note="-x", language="en")
    make.make_identity(customer, kind="phone", value="+4930123456")
    ready = exports.ask("customers", "csv", {}, by=boss)
    kept = imports.upload(ready.body, "back.csv", by=boss)
    imports.start(kept, by=boss)
    assert imports.work(kept.pk)
    kept.refresh_from_db()
    assert kept.counts == {"unchanged": 1}, kept.rows.get().report


def test_json_lines_hold_words_as_they_are(boss):
    make.make_customer(name="=1+1")
    assert export("customers", "jsonl", boss)[0]["name"] == "=1+1"
    assert neutral(5) == 5 and neutral(None) is None and neutral("a=1") == "a=1"


def test_control_characters_do_not_break_a_spreadsheet(boss):
    make.make_customer(name="a\x01b\x1f\ufffe", note="x" * 40_000)
    (row,) = export("customers", "xlsx", boss)
    assert row["name"] == "ab" and len(row["note"]) == 32_767


def test_a_list_is_narrowed_as_on_the_page(boss):
    make.make_customer(name="Anna", vip=True), make.make_customer(name="Ben")
    make.make_ticket(status="new"), make.make_ticket(status="open")
    assert [row["name"] for row in export("customers", by=boss, vip="true")] == ["Anna"]
    assert [row["name"] for row in export("customers", by=boss, search="be")] == ["Ben"]
    ready = exports.ask("tickets", "csv", {"status": ["new", "waiting_on_us"]}, by=boss)
    assert [row["status"] for row in rows_of(ready.body, "csv")] == ["new"]


@pytest.mark.parametrize(
    ("noun", "form", "words"),
    [
        ("secrets", "csv", {}), ("customers", "exe", {}), ("customers", "", {}), ("customers", "csv", {"nonsense": ["1"]}),
        ("customers", "csv", {"vip": ["perhaps"]}), ("tickets", "csv", {"status": ["gone"]}),
        ("customers", "csv", {"search": ["x" * 5000]}), ("customers", "csv", {"search": ["a\x00b"]}),
        ("customers", "csv", {"company": ["9" * 400]}), ("mentions", "csv", {"posted_after": ["0000-00-00"]}),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(boss, noun, form, words):
    with pytest.raises(InvalidInput):
        exports.ask(noun, form, words, by=boss)
    assert not Activity.objects.exists()


@pytest.mark.parametrize("role", [Role.AGENT, Role.MARKETING, Role.API_CLIENT])
def test_who_may_not_export_does_not(role):
    with pytest.raises(NotAllowed):
        exports.ask("customers", "csv", {}, by=make.make_user(role))


def test_rows_of_other_closed_teams_stay(small):
    ours, theirs = (make.make_team(visibility=TeamVisibility.CLOSED) for _ in range(2))
    mine, other = make.make_interaction(team=ours), make.make_interaction(team=theirs)
    lead, auditor = make.make_user(Role.SUPERVISOR, ours), make.make_user(Role.AUDITOR)
    for noun, own, foreign in (
        ("interactions", mine.pk, other.pk), ("tickets", mine.ticket.number, other.ticket.number),
    ):  # fmt: skip
        name = "number" if noun == "tickets" else "id"
        seen = rows_of(exports.path_of(made(noun, "jsonl", lead)).read_bytes(), "jsonl")
        assert [row[name] for row in seen] == [own]
        seen = rows_of(exports.path_of(made(noun, "jsonl", auditor)).read_bytes(), "jsonl")
        assert [row[name] for row in seen] == [own, foreign]


def test_an_export_stands_in_the_history(boss):
    make.make_customer()
    export("customers", by=boss, search="cust")
    line = Activity.objects.get()
    assert (line.verb, line.actor, line.data["filters"], line.data["rows"]) == (
        "list.exported", boss, {"search": ["cust"]}, 1,
    )  # fmt: skip


# --- Files


@pytest.mark.parametrize("form", ["csv", "xlsx", "jsonl"])
def test_a_long_list_becomes_a_file_that_only_its_owner_reads(boss, small, form):
    for n in range(5):
        make.make_customer(name=f"Customer {n}")
    kept = made("customers", form, boss)
    path = exports.path_of(kept)
    assert (kept.state, kept.rows) == (ExportState.DONE, 5) and exports.due() == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [row["name"] for row in rows_of(path.read_bytes(), form)] == [f"Customer {n}" for n in range(5)]
    assert os.listdir(path.parent) == [path.name]
    assert exports.fetch(kept.pk, by=boss)[2] == path


def test_up_to_a_thousand_rows_come_at_once(boss, monkeypatch):
    monkeypatch.setattr(exports, "AT_ONCE", 3)
    for _ in range(3):
        make.make_customer()
    assert isinstance(exports.ask("customers", "csv", {}, by=boss), Ready)
    make.make_customer()
    assert isinstance(exports.ask("customers", "csv", {}, by=boss), Export)


class KilledError(BaseException):
    """The process is gone."""


def test_a_file_that_was_broken_off_is_written_anew(boss, small, monkeypatch):
    for _ in range(5):
        make.make_customer()
    kept = exports.ask("customers", "csv", {}, by=boss)
    real = exports._cells

    def fall(*args):
        yield from list(real(*args))[:3]
        raise KilledError

    monkeypatch.setattr(exports, "_cells", fall)
    with pytest.raises(KilledError):
        exports.work(kept.pk)
    assert exports.due() == [kept.pk]
    with pytest.raises(NotFound):
        exports.fetch(kept.pk, by=boss)
    monkeypatch.setattr(exports, "_cells", real)
    exports.work(kept.pk)
    exports.work(kept.pk)
    assert len(rows_of(exports.fetch(kept.pk, by=boss)[2].read_bytes(), "csv")) == 5
    assert len(os.listdir(exports.path_of(kept).parent)) == 1


def test_a_chunk_costs_the_same_statements_however_wide_it_is(boss, monkeypatch):
    def cost(count):
        for _ in range(count):
            make.make_identity(make.make_customer())
        with CaptureQueriesContext(connection) as seen:
            assert len(export("customers", by=boss)) >= count
        return len(seen)

    few, many = cost(3), cost(60)
    assert few == many <= 12


def test_nobody_else_fetches_a_file_and_not_its_asker_with_other_rights(boss, small):
    team = make.make_team()
    lead = make.make_user(Role.SUPERVISOR, team)
    make.make_customer()
    kept = made("customers", "csv", lead)
    assert exports.fetch(kept.pk, by=lead)
    for user in (boss, make.make_user(Role.SUPERVISOR, team)):
        with pytest.raises(NotFound):
            exports.fetch(kept.pk, by=user)
    for changes in (
        {"team": make.make_team()},
        {"role": Role.AGENT},
        {"role": Role.AUDITOR},
        {"is_active": False},
    ):
        for name, value in changes.items():
            setattr(lead, name, value)
        with pytest.raises(NotFound):
            exports.fetch(kept.pk, by=lead)
        lead.refresh_from_db()
    assert exports.fetch(kept.pk, by=lead)


def test_a_right_that_was_lost_before_the_file_was_made_makes_none(small):
    lead = make.make_user(Role.SUPERVISOR)
    make.make_customer()
    kept = exports.ask("customers", "csv", {}, by=lead)
    lead.role = Role.AGENT
    lead.save()
    exports.work(kept.pk)
    kept.refresh_from_db()
    assert kept.state == ExportState.FAILED and "rights" in kept.error and not exports.path_of(kept).exists()


def test_a_spreadsheet_with_too_many_rows_is_refused(boss, small, monkeypatch):
    monkeypatch.setattr(exports, "MOST_ROWS", 2)
    make.make_customer(), make.make_customer()
    assert "choose CSV" in made("customers", "xlsx", boss).error


def test_after_a_week_files_and_their_rows_go(boss, small):
    make.make_customer()
    old, new = made("customers", "csv", boss), made("customers", "csv", boss)
    Export.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=8))
    stray, fresh = exports.path_of(old).parent / "77777.part", exports.path_of(old).parent / "88888.part"
    stray.touch(), fresh.touch()
    os.utime(stray, (1, 1))
    exports.forget_old()
    assert {path.name for path in stray.parent.iterdir()} == {f"{new.pk}.csv", fresh.name}
    assert list(Export.objects.values_list("pk", flat=True)) == [new.pk]


# --- Pages


def test_the_page_gives_short_lists_at_once_and_files_to_their_asker(client, boss, small, monkeypatch):
    client.force_login(boss)
    make.make_customer(name="Anna")
    asked = {"noun": "customers", "format": "csv", "words": "?search=ann&vip="}
    assert client.post("/exports/", asked).status_code == 302
    assert b"being written" in client.get("/exports/").content
    kept = Export.objects.get()
    assert kept.query == {"search": ["ann"]}
    exports.work(kept.pk)
    assert f"/exports/{kept.pk}/file/".encode() in client.get("/exports/").content
    answer = client.get(f"/exports/{kept.pk}/file/")
    assert "attachment" in answer["Content-Disposition"] and answer["Cache-Control"] == "private, no-store"
    assert rows_of(b"".join(answer), "csv")[0]["name"] == "Anna"
    monkeypatch.setattr(exports, "AT_ONCE", 10)
    answer = client.post("/exports/", asked)
    assert answer.status_code == 200 and rows_of(answer.content, "csv")[0]["name"] == "Anna"
    client.force_login(make.make_user(Role.ADMINISTRATOR))
    assert client.get(f"/exports/{kept.pk}/file/").status_code == 404


def test_a_file_of_many_pieces_arrives_whole_at_a_browser_that_unpacks(client, boss, small, monkeypatch):
    monkeypatch.setattr("crm.downloads.PIECE", 100)
    client.force_login(boss)
    for _ in range(30):
        make.make_customer()
    kept = made("customers", "csv", boss)
    answer = client.get(f"/exports/{kept.pk}/file/", headers={"Accept-Encoding": "gzip"})
    body = b"".join(answer)
    assert answer["Content-Encoding"] == "identity" and int(answer["Content-Length"]) == len(body)
    assert body == exports.path_of(kept).read_bytes() and len(rows_of(body, "csv")) == 30


@pytest.mark.parametrize(
    "words", ["&".join(f"a{n}=1" for n in range(100)), "vip=perhaps", "%00=1", "nonsense=1", "search=%ff"]
)
def test_filters_that_make_no_sense_lead_back_with_a_word(client, boss, words):
    client.force_login(boss)
    answer = client.post("/exports/", {"noun": "customers", "format": "csv", "words": words}, follow=True)
    assert answer.status_code == 200


def test_the_import_page_walks_from_file_to_undo(client, boss):
    client.force_login(boss)
    file = io.BytesIO("Who;E-mail;Phone\nAnna;a@example.com;030 123456\nBen;nobody;\n".encode("utf-16"))
    file.name = "people.csv"
    page = client.post("/imports/", {"file": file})["Location"]
    assert b"people.csv" in client.get("/imports/").content
    shown = client.get(page).content.decode()
    assert 'value="email" selected' in shown and "a@example.com" in shown
    client.post(page, {"act": "check", "map": ["name", "email", "phone"], "region": "de"})
    assert 'hx-trigger="every 1s"' in client.get(page).content.decode()
    (kept,) = imports.due()
    imports.work(kept)
    shown = client.get(page, {"show": "failed"}).content.decode()
    assert "nobody" in shown and "Anna" not in shown.split('aria-label="Rows"')[1] and "every 1s" not in shown
    client.post(page, {"act": "start", "map": ["name", "email", "phone"], "region": "DE"})
    imports.work(kept)
    assert b"1 created" in client.get("/imports/").content and "undo" in client.get(page).content.decode()
    client.post(page, {"act": "undo"})
    imports.work(kept)
    assert "undone" in client.get(page).content.decode()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"file": "words"},
        {"act": "undo"},
        {"act": "start"},
        {"act": "nonsense"},
        {"map": ["name"] * 9},
        {"region": "\x00"},
    ],
)
def test_acts_that_make_no_sense_lead_back_with_a_word(client, boss, body):
    client.force_login(boss)
    kept = imports.upload(b"a,b\n1,2\n", "x.csv", by=boss)
    for address in ("/imports/", f"/imports/{kept.pk}/"):
        assert client.post(address, body).status_code == 302
    assert client.get(f"/imports/{kept.pk}/?show=%00&from=٣").status_code == 200
    assert client.get(f"/imports/{kept.pk}/?from={'9' * 400}").status_code == 200
    kept.refresh_from_db()
    assert kept.state == "open"


def test_a_file_that_is_too_large_is_refused_by_the_page(client, boss, monkeypatch):
    monkeypatch.setattr(imports, "LARGEST_FILE", 1024 * 1024)
    client.force_login(boss)
    file = io.BytesIO(b"Name\n" + b"Anna\n" * 300_000)
    file.name = "people.csv"
    assert "larger than 1 MB" in client.post("/imports/", {"file": file}, follow=True).content.decode()


def test_a_body_without_end_is_kept_nowhere_and_told_why():
    sent, piece = [], b"x" * (4 * 1024 * 1024)
    left = iter([True] * (LARGEST_BODY // len(piece) + 5) + [False])

    async def receive():
        return {"type": "http.request", "body": piece, "more_body": next(left)}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/imports/",
        "headers": [],
        "query_string": b"",
        "http_version": "1.1",
    }
    asyncio.run(asgi.pages(scope, receive, send))
    assert sent[0]["status"] == 413 and b"50 MB" in sent[1]["body"] and not any(left)


# --- Companies


@pytest.mark.parametrize("form", ["csv", "xlsx", "jsonl"])
def test_companies_leave_with_their_tree_narrowed_as_on_the_page(boss, form):
    group = Company.objects.create(name="=Holding()", domain="holding.example", owner=boss, note="since 1999")
    Company.objects.create(name="Works", parent=group, fields={"size": 7})
    Company.objects.create(name="Elsewhere")
    first, second, _ = export("companies", form, boss)
    assert str(first["name"]).removeprefix("'") == "=Holding()" and first["domain"] == "holding.example"
    assert (first["owner"], first["note"]) == (boss.email, "since 1999")
    assert str(second["parent"]).removeprefix("'") == "=Holding()" and json.loads(second["fields"]) == {
        "size": 7
    }
    where = json.dumps({"column": "parent", "op": "any_of", "value": [group.pk]})
    assert [one["name"] for one in export("companies", form, boss, where=where)] == ["Works"]
    assert [one["name"] for one in export("companies", form, boss, search="else")] == ["Elsewhere"]


def test_companies_leave_from_their_page_and_over_rest(client, boss):
    Company.objects.create(name="Acme")
    client.force_login(boss)
    page = client.get("/companies/")
    assert "noun=companies" in page.context["export_words"] and 'data-part="export"' in page.content.decode()
    assert client.get(page.context["export_words"]).context["noun"] == "companies"
    sent = client.post("/exports/", {"noun": "companies", "format": "csv", "words": "search=acm"})
    assert [row["name"] for row in rows_of(sent.content, "csv")] == ["Acme"]
    made = client.post(
        "/api/v1/exports/", {"noun": "companies", "format": "csv"}, content_type="application/json"
    ).json()
    exports.work(made["id"])
    body = b"".join(client.get(f"/api/v1/exports/{made['id']}/file/"))
    assert [row["name"] for row in rows_of(body, "csv")] == ["Acme"]


def test_companies_that_left_come_in_again_as_they_were(boss):
    group = Company.objects.create(name="Group", domain="group.example", owner=boss)
    Company.objects.create(name="Works", parent=group, note="- since 1999")
    ready = exports.ask("companies", "csv", {}, by=boss)
    kept = imports.upload(ready.body, "back.csv", by=boss, noun="companies")
    imports.start(kept, by=boss)
    assert imports.work(kept.pk)
    kept.refresh_from_db()
    assert kept.counts == {"unchanged": 2}, [one.report for one in kept.rows.all()]


# --- Within a scope

LISTS = ("tickets", "interactions", "mentions", "customers", "companies")


class Floor:
    """Three contacts: of a team, of a brand, held by a person; each with ticket, post, customer and company."""

    def __init__(self, agent):
        self.team = make.make_team()
        self.brand = make.make_brand()
        self.rows = {
            "team": self._rows("team", team=self.team),
            "brand": self._rows("brand", channel=make.make_channel("x", brand=self.brand)),
            "own": self._rows("own", assigned_to=agent),
            "none": self._rows("none"),
        }

    def _rows(self, name, channel=None, **held):
        company = Company.objects.create(name=name)
        customer = make.make_customer(name=name, company=company)
        contact = make.make_interaction(channel or make.make_channel("x"), customer, text="", **held)
        mention = make.make_mention(
            contact.channel, identity=contact.identity, interaction_id=contact.pk, text=name
        )
        found = {
            "tickets": contact.ticket, "interactions": contact, "mentions": mention, "customers": customer,
            "companies": company,
        }  # fmt: skip
        return {noun: one.pk for noun, one in found.items()}

    def ids(self, noun, *names):
        return {self.rows[name][noun] for name in names}


def left(noun, by):
    """Ids of the rows that somebody's file holds."""
    key = {"tickets": "number"}.get(noun, "id")
    found = {row[key] for row in export(noun, "jsonl", by)}
    return {one - 1000 for one in found} if noun == "tickets" else found


def allowed(agent, boss, scope, **where):
    right_set = rights.make_set(name=f"Exports {make.number()}", rights=["export"], by=boss)
    rights.give(agent, right_set=right_set, scope=scope, by=boss, **where)
    return User.objects.get(pk=agent.pk)


@pytest.mark.parametrize("noun", LISTS)
@pytest.mark.parametrize("scope", ["own", "team", "brand", "everywhere"])
def test_who_may_export_within_a_scope_exports_what_lies_in_it(boss, noun, scope):
    agent = make.make_user(Role.AGENT)
    floor = Floor(agent)
    with pytest.raises(NotAllowed):
        exports.ask(noun, "csv", {}, by=agent)
    where = {"team": {"team": floor.team}, "brand": {"brand": floor.brand}}.get(scope, {})
    agent = allowed(agent, boss, scope, **where)
    wanted = floor.ids(noun, *floor.rows) if scope == "everywhere" else floor.ids(noun, scope)
    assert left(noun, agent) == wanted
    assert left(noun, boss) == floor.ids(noun, *floor.rows)


@pytest.mark.parametrize("noun", LISTS)
def test_scopes_add_up_and_a_file_made_in_the_background_holds_the_same(boss, noun, small):
    agent = make.make_user(Role.AGENT)
    floor = Floor(agent)
    agent = allowed(allowed(agent, boss, "own"), boss, "brand", brand=floor.brand)
    kept = made(noun, "csv", agent)
    assert (kept.state, kept.rows) == (ExportState.DONE, 2)
    lines = rows_of(exports.fetch(kept.pk, by=agent)[2].read_bytes(), "csv")
    wanted = floor.ids(noun, "own", "brand")
    ids = {int(row["number"]) - 1000 if noun == "tickets" else int(row["id"]) for row in lines}
    assert ids == wanted


def test_a_scope_opens_nothing_that_its_holder_may_not_read(boss):
    closed = make.make_team(visibility=TeamVisibility.CLOSED)
    agent = make.make_user(Role.AGENT, make.make_team())
    make.make_interaction(team=closed)
    agent = allowed(agent, boss, "team", team=closed)
    assert left("tickets", agent) == left("interactions", agent) == set()


def test_owned_customers_and_companies_are_within_own(boss):
    agent = make.make_user(Role.AGENT)
    company = Company.objects.create(name="Mine", owner=agent)
    customer = make.make_customer(owner=agent)
    Company.objects.create(name="Other"), make.make_customer()
    agent = allowed(agent, boss, "own")
    assert left("companies", agent) == {company.pk} and left("customers", agent) == {customer.pk}
    team = allowed(make.make_user(Role.AGENT), boss, "team", team=make.make_team())
    assert left("companies", team) == left("customers", team) == set()


def test_the_page_of_exports_opens_for_a_scope_and_its_file_goes_with_the_right(client, boss, small):
    agent = make.make_user(Role.AGENT)
    Floor(agent)
    client.force_login(agent)
    assert client.get("/exports/").status_code == 403
    agent = allowed(agent, boss, "own")
    assert client.get("/exports/").status_code == 200
    kept = made("tickets", "csv", agent)
    assert client.get(f"/exports/{kept.pk}/file/").status_code == 200
    assert client.get(f"/api/v1/exports/{kept.pk}/file/").status_code == 200
    rights.take(agent.grants.get(), by=boss)
    assert client.get(f"/exports/{kept.pk}/file/").status_code == 403
    assert client.get(f"/api/v1/exports/{kept.pk}/file/").status_code in (403, 404)
