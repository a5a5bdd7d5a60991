"""Views of lists: what is kept, who sees it, and that it never shows more than its reader may see."""

import json
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from crm.choices import Role, TeamVisibility
from crm.errors import Conflict, InvalidInput, NotAllowed
from crm.lists import TICKETS
from crm.models import Activity, CustomField, SavedView, Tag, Ticket
from crm.services import views
from tests import factories as make

pytestmark = pytest.mark.django_db

URGENT = {"column": "priority", "op": "any_of", "value": ["urgent"]}


@pytest.fixture
def team():
    return make.make_team()


@pytest.fixture
def agent(team):
    return make.make_user(team=team)


def seen_by(user, client) -> set[str]:
    client.force_login(user)
    listed = {one["name"] for one in client.get("/api/v1/views/").json()["results"]}
    page = client.get("/tickets/")
    tabs = {one["label"] for one in page.context["views"]}
    assert tabs >= listed
    return listed


def test_a_view_is_seen_by_whom_it_is_shared_with(client, agent, team):
    supervisor = make.make_user(Role.SUPERVISOR)
    views.create(by=agent, noun="tickets", name="Mine alone")
    views.create(by=agent, noun="tickets", name="Our team's", sharing="team")
    views.create(by=supervisor, noun="tickets", name="Everybody's", sharing="everybody")
    colleague, stranger = make.make_user(team=team), make.make_user(team=make.make_team())
    assert seen_by(agent, client) == {"Mine alone", "Our team's", "Everybody's"}
    assert seen_by(colleague, client) == {"Our team's", "Everybody's"}
    assert seen_by(stranger, client) == {"Everybody's"}
    mine = SavedView.objects.get(name="Mine alone")
    assert client.get(f"/api/v1/views/{mine.pk}/").status_code == 404
    assert client.get(f"/tickets/?view={mine.pk}").status_code == 400


def test_a_shared_view_shows_no_more_than_its_reader_may_see(client, agent):
    closed = make.make_team(visibility=TeamVisibility.CLOSED)
    make.make_ticket(team=closed, priority="urgent")
    ours = make.make_ticket(priority="urgent")
    make.make_ticket()
    kept = views.create(
        by=make.make_user(Role.ADMINISTRATOR),
        noun="tickets",
        name="Urgent",
        sharing="everybody",
        where=URGENT,
    )
    client.force_login(agent)
    assert client.get(f"/tickets/?view={kept.pk}").context["rows"] == [ours]
    assert client.get("/api/v1/lists/tickets/counts/").json()["counts"][str(kept.pk)] == 1


def test_only_its_owner_changes_a_view_and_only_supervisors_share_it_with_everybody(agent, team):
    kept = views.create(by=agent, noun="tickets", name="Ours", sharing="team")
    with pytest.raises(NotAllowed):
        views.edit(kept, {"name": "Theirs"}, by=make.make_user(team=team))
    with pytest.raises(NotAllowed):
        views.delete(kept, by=make.make_user(Role.SUPERVISOR, team))
    with pytest.raises(NotAllowed):
        views.edit(kept, {"sharing": "everybody"}, by=agent)
    with pytest.raises(InvalidInput):
        views.create(by=make.make_user(), noun="tickets", name="Of no team", sharing="team")
    assert SavedView.objects.get().sharing == "team"
    views.edit(SavedView.objects.get(), {"sharing": "private"}, by=agent)
    assert SavedView.objects.get().team_id is None
    views.delete(SavedView.objects.get(), by=agent)
    verbs = Activity.objects.filter(actor=agent).order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["view.created", "view.edited", "view.deleted"]


def test_what_makes_no_sense_is_not_kept(agent):
    for wrong in (
        {"name": ""}, {"name": "x" * 61}, {"name": "a\x00b"}, {"columns": ["password"]}, {"columns": ["vip"]},
        {"where": {"column": "password", "op": "is", "value": "x"}}, {"ordering": "owner"}, {"sharing": "world"},
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            views.create(by=agent, **{"noun": "tickets", "name": "View", **wrong})
    with pytest.raises(InvalidInput):
        views.create(by=agent, noun="secrets", name="View")
    views.create(by=agent, noun="tickets", name="View")
    with pytest.raises(Conflict):
        views.create(by=agent, noun="tickets", name="View")
    assert SavedView.objects.count() == 1


def test_a_view_brings_its_columns_order_and_conditions(client, agent):
    CustomField.objects.create(noun="ticket", slug="size", label="Size <b>", kind="number")
    low, high = (make.make_ticket(fields={"size": size}, priority="urgent") for size in (3, 12_000))
    make.make_ticket(fields={"size": 5})
    loyal = Tag.objects.create(slug="loyal", name="Loyal")
    high.tags.add(loyal)
    kept = views.create(
        by=agent, noun="tickets", name="Sized", columns=["fields.size", "subject", "tags", "priority"], ordering="id",
        where={"all": [URGENT, {"column": "fields.size", "op": "above", "value": 2}]},
    )  # fmt: skip
    client.force_login(agent)
    page = client.get(f"/tickets/?view={kept.pk}")
    assert page.context["rows"] == [low, high]
    assert [head["label"] for head in page.context["heads"]] == ["Size <b>", "Subject", "Tags", "Priority"]
    body = page.content.decode()
    assert "Size &lt;b&gt;" in body and "<b>" not in re.sub(r"<script.*?</script>", "", body, flags=re.S)
    assert "12,000" in body and "Loyal" in body and "Size &lt;b&gt; is more than 2" in body
    # The address goes before the view, column by column.
    page = client.get(
        f"/tickets/?view={kept.pk}&ordering=-id&columns=subject,fields.size&where={json.dumps(URGENT)}"
    )
    assert page.context["rows"] == [high, low] and page.context["asked"].changed


def test_a_view_whose_field_was_retired_says_so_and_shows_nothing(client, agent):
    field = CustomField.objects.create(noun="ticket", slug="size", label="Size", kind="number")
    make.make_ticket()
    kept = views.create(
        by=agent, noun="tickets", name="Sized", where={"column": "fields.size", "op": "empty"}
    )
    field.retired = True
    field.save()
    client.force_login(agent)
    page = client.get(f"/tickets/?view={kept.pk}")
    assert page.status_code == 400 and page.context["rows"] == []
    assert "There is no column “fields.size”" in page.content.decode()
    assert client.get("/api/v1/lists/tickets/counts/").json()["counts"][str(kept.pk)] is None


def test_counts_end_at_their_limit(client, agent, monkeypatch):
    monkeypatch.setattr(views, "COUNTED", 3)
    for _ in range(5):
        make.make_ticket(owner=agent)
    make.make_ticket()
    client.force_login(agent)
    said = client.get("/api/v1/lists/tickets/counts/").json()
    assert said["limit"] == 3
    assert said["counts"] == {"open": 4, "mine": 4, "waiting": 4, "solved": 0, "all": 4}


def test_what_takes_too_long_is_not_counted_and_holds_nobody_up(client, agent, monkeypatch):
    client.force_login(agent)
    monkeypatch.setattr(views, "ALL_SECONDS", -1)
    assert {*client.get("/api/v1/lists/tickets/counts/").json()["counts"].values()} == {None}

    make.make_ticket()
    monkeypatch.setattr(views, "ALL_SECONDS", 60)
    monkeypatch.setattr(views, "COUNT_MS", 50)
    slow = replace(TICKETS, visible_to=lambda user: Ticket.objects.extra(where=["pg_sleep(5) IS NOT NULL"]))
    assert views.counts(slow, by=agent)["all"] is None
    assert Ticket.objects.count() == 1, "the transaction goes on"


def test_a_list_is_paged_by_any_of_its_orders_without_losing_or_repeating_a_row(client, agent):
    customers = [
        make.make_customer(name=f"N{n % 7}", value=None if n % 3 == 0 else n % 5) for n in range(120)
    ]
    client.force_login(agent)
    for ordering in ("name", "-name", "value", "-value", "created_at", "-created_at", "id", "-id"):
        seen, path = [], f"/customers/?ordering={ordering}"
        while path:
            page = client.get(path)
            seen += [one.pk for one in page.context["rows"]]
            path = page.context["next_url"]
        assert len(seen) == 120 and {*seen} == {one.pk for one in customers}, ordering
        back, path = [], page.context["previous_url"]
        while path:
            page = client.get(path)
            back = [one.pk for one in page.context["rows"]] + back
            path = page.context["previous_url"]
        assert back == seen[: len(back)] and len(back) == 100, ordering


def test_every_column_of_every_list_is_drawn_in_a_constant_number_of_statements(
    client, django_assert_max_num_queries
):
    admin = make.make_user(Role.ADMINISTRATOR, make.make_team())
    client.force_login(admin)
    for noun, kind in (
        ("customer", "link"),
        ("customer", "multi_choice"),
        ("ticket", "boolean"),
        ("ticket", "date"),
        ("company", "text"),
    ):
        CustomField.objects.create(
            noun=noun, slug=kind.replace("_", "-"), label=kind, kind=kind, choices=["a"]
        )
    item = make.make_interaction(
        customer=make.make_customer(
            owner=admin, vip=True, fields={"link": "https://example.com", "multi-choice": ["a"]}
        )
    )
    item.ticket.tags.add(Tag.objects.create(slug="t", name="T"))
    for noun, listing in (
        ("customers", views.LISTINGS["customers"]),
        ("tickets", views.LISTINGS["tickets"]),
        ("companies", views.LISTINGS["companies"]),
    ):
        names = [name for name, one in listing.columns().items() if one.shown]
        with django_assert_max_num_queries(11):
            page = client.get(f"/{noun}/", {"columns": names})
        assert page.status_code == 200
        assert [one.name for one in page.context["asked"].columns] == names[:20]


def test_what_is_exported_is_what_the_page_shows(client):
    admin = make.make_user(Role.ADMINISTRATOR)
    client.force_login(admin)
    make.make_ticket(subject="Mine", owner=admin, priority="urgent")
    make.make_ticket(subject="Not mine", priority="urgent")
    where = {"all": [URGENT, {"column": "owner", "op": "any_of", "value": ["me"]}]}
    link = client.get("/tickets/", {"where": json.dumps(where)}).context["export_words"]
    page = client.get(link)
    assert page.context["noun"] == "tickets"
    assert json.loads(parse_qs(page.context["words"])["where"][0]) == where
    file = client.post("/exports/", {"noun": "tickets", "format": "csv", "words": page.context["words"]})
    assert b"Mine" in file.content and b"Not mine" not in file.content
    assert urlsplit(link).path == "/exports/"


def test_nonsense_in_the_address_is_said_and_shows_no_row(client, agent):
    make.make_ticket()
    client.force_login(agent)
    for query in (
        "where=x",
        "status=purple",
        "owner=x",
        "view=77777",
        "view=nobody's",
        'where={"column":"owner"}',
    ):
        page = client.get(f"/tickets/?{query}")
        assert page.status_code == 400 and page.context["rows"] == [], query
        assert page.context["errors"], query
    for harmless in ("cursor=x", "cursor=W10", "columns=password", "ordering=owner", "colour=red"):
        assert len(client.get(f"/tickets/?{harmless}").context["rows"]) == 1, harmless
