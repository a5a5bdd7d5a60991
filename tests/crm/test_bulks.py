"""Edits of many rows: what is previewed is what happens, nobody edits what he may not, and the undo spares later work."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm import events
from crm.choices import Role, TeamVisibility
from crm.errors import Conflict, InvalidInput, NotAllowed, NotFound
from crm.models import Activity, Bulk, BulkRow, Company, Customer, CustomField, Tag, Ticket
from crm.services import audit, bulks, customers, tickets
from tests import factories as make

pytestmark = pytest.mark.django_db

URGENT = {"priority": "urgent", "priority_reason": "storm"}


@pytest.fixture
def agent():
    return make.make_user(team=make.make_team())


@pytest.fixture
def tags():
    return [Tag.objects.create(slug=slug, name=slug.title()) for slug in ("old", "new")]


def made(noun, change, rows, by) -> Bulk:
    return bulks.start(bulks.preview(noun, change, by=by, ids=[one.pk for one in rows]), by=by)


def test_a_preview_says_what_would_happen_and_changes_nothing(agent):
    closed = make.make_ticket(status="closed", solved_at=timezone.now())
    some = [make.make_ticket() for _ in range(3)]
    solved = make.make_ticket(status="solved", solved_at=timezone.now())
    bulk = bulks.preview(
        "tickets", {"status": "solved"}, by=agent, ids=[one.pk for one in (*some, closed, solved)]
    )
    assert bulk.counts == {"changed": 3, "refused": 1, "unchanged": 1} and bulk.state == "open"
    refused = bulk.rows.get(outcome="refused")
    assert refused.row_id == closed.pk and refused.reason == "A ticket that is closed cannot become solved."
    assert [one["after"] | one["before"] for one in bulks.sample(bulk)] == [
        {"status": "new", "solved_at": None}
    ] * 3
    assert Ticket.objects.filter(status="solved").count() == 1 and not Activity.objects.exists()


def test_an_edit_goes_through_the_service_of_its_noun_and_stands_in_the_history(agent, client):
    some = [make.make_ticket() for _ in range(4)]
    client.force_login(agent)
    answer = client.post(
        "/api/v1/bulks/", {"noun": "tickets", "change": {"status": "solved", "owner": agent.pk}, "ids": [one.pk for one in some]},
        content_type="application/json",
    )  # fmt: skip
    assert answer.status_code == 201 and answer.json()["counts"] == {"changed": 4}
    done = client.post(f"/api/v1/bulks/{answer.json()['id']}/start/").json()
    assert (done["state"], done["counts"]) == ("done", {"changed": 4})
    for one in Ticket.objects.all():
        assert (one.status, one.owner) == ("solved", agent) and one.solved_at is not None
        line = Activity.objects.get(ticket=one)
        assert (line.verb, line.actor, line.source, line.customer_id) == (
            "ticket.edited",
            agent,
            "api",
            one.customer_id,
        )
        assert line.data == {"fields": ["owner", "status"], "status": "solved", "bulk": done["id"]}
    whole = Activity.objects.get(verb="bulk.made")
    assert whole.data["rows"] == {"changed": 4} and whole.source == "api"
    audit.seal_new()
    assert audit.verify()["broken"] == 0


def test_what_was_is_restored_with_all_that_followed_from_the_edit(agent, tags):
    CustomField.objects.create(noun="ticket", slug="size", label="Size", kind="number")
    at = timezone.now()
    before = []
    for number in range(6):
        one = make.make_ticket(
            status=["new", "open", "solved"][number % 3], solved_at=at if number % 3 == 2 else None,
            priority=["low", "high"][number % 2], priority_reason="as agreed", owner=agent if number % 2 else None,
            fields={"size": number} if number % 2 else {"gone": "x"},
        )  # fmt: skip
        one.tags.set(tags[:1] if number % 2 else [])
        before.append(_state(one))
    change = {
        "status": "waiting_on_us", "owner": make.make_user().pk, **URGENT, "fields.size": 7,
        "add_tags": ["new"], "remove_tags": ["old"],
    }  # fmt: skip
    bulk = made("tickets", change, Ticket.objects.all(), agent)
    assert bulk.counts == {"changed": 6}
    for one in Ticket.objects.all():
        assert (one.status, one.priority, one.priority_reason, one.fields["size"]) == (
            "waiting_on_us",
            "urgent",
            "storm",
            7,
        )
        assert [tag.slug for tag in one.tags.all()] == ["new"] and one.solved_at is None
    undone = bulks.undo(bulk, by=agent)
    assert (undone.state, undone.counts, undone.undone_by) == ("undone", {"restored": 6}, agent)
    assert [_state(one) for one in Ticket.objects.order_by("pk")] == before
    assert Activity.objects.filter(verb="ticket.edited", data__undo=True).count() == 6


def _state(ticket):
    return (
        ticket.pk, ticket.status, ticket.solved_at, ticket.priority, ticket.priority_reason, ticket.owner_id, ticket.fields,
        sorted(tag.slug for tag in ticket.tags.all()),
    )  # fmt: skip


def test_the_undo_spares_what_somebody_has_changed_since_and_says_so(agent, tags):
    other = make.make_user()
    some = [make.make_customer() for _ in range(3)]
    bulk = made("customers", {"owner": other.pk, "vip": True, "add_tags": ["new"]}, some, agent)
    customers.edit(Customer.objects.get(pk=some[0].pk), {"owner": agent}, by=agent)
    customers.edit(
        Customer.objects.get(pk=some[1].pk), {"owner": None, "vip": False, "tags": [tags[0]]}, by=agent
    )
    undone = bulks.undo(bulk, by=agent)
    assert undone.counts == {"restored": 2, "kept": 1}
    left = [Customer.objects.get(pk=one.pk) for one in some]
    assert [(one.owner, one.vip) for one in left] == [(agent, False), (None, False), (None, False)]
    assert [[tag.slug for tag in one.tags.all()] for one in left] == [[], ["old"], []]
    reasons = dict(undone.rows.values_list("row_id", "reason"))
    assert reasons == {
        some[0].pk: "Changed since, and left: owner.", some[1].pk: "Changed since, and left: owner, vip.", some[2].pk: "",
    }  # fmt: skip
    with pytest.raises(Conflict):
        bulks.undo(undone, by=agent)


def test_nobody_edits_what_he_may_not(agent):
    closed = make.make_team(visibility=TeamVisibility.CLOSED)
    secret, ours = make.make_ticket(team=closed), make.make_ticket()
    bulk = bulks.preview("tickets", {"kind": "task"}, by=agent, ids=[secret.pk, ours.pk])
    assert (bulk.total, bulk.counts) == (1, {"changed": 1})
    with pytest.raises(InvalidInput):
        bulks.preview("tickets", {"kind": "task"}, by=agent, ids=[secret.pk])
    for role in (Role.AUDITOR, Role.MARKETING):
        with pytest.raises(NotAllowed):
            bulks.preview("tickets", {"kind": "task"}, by=make.make_user(role), ids=[ours.pk])
    with pytest.raises(InvalidInput):
        bulks.preview("tickets", {"team": closed.pk}, by=agent, ids=[ours.pk])
    with pytest.raises(NotFound):
        bulks.start(bulk, by=make.make_user(Role.ADMINISTRATOR))
    with pytest.raises(NotFound):
        bulks.fetch(bulk.pk, by=make.make_user())
    Ticket.objects.filter(pk=ours.pk).update(team=closed)  # out of his sight between preview and act
    done = bulks.start(bulk, by=agent)
    assert done.counts == {"refused": 1} and Ticket.objects.get(pk=ours.pk).kind == ""
    assert done.rows.get().reason == "It is not there any more, or not yours to see."


def test_a_right_that_was_taken_away_ends_an_edit_that_waits(agent, monkeypatch):
    monkeypatch.setattr(bulks, "AT_ONCE", 1)
    monkeypatch.setattr(bulks, "publish", lambda fact: None)
    some = [make.make_ticket() for _ in range(3)]
    bulk = made("tickets", {"kind": "task"}, some, agent)
    assert bulk.state == "running"
    agent.role = Role.AUDITOR
    agent.save()
    assert bulks.work(bulk.pk)
    bulk.refresh_from_db()
    assert (bulk.state, bulk.counts) == ("done", {"refused": 3}) and not Ticket.objects.filter(
        kind="task"
    ).exists()


def test_many_rows_go_in_the_background_chunk_by_chunk_and_can_be_stopped(agent, monkeypatch):
    promised = []
    monkeypatch.setattr(bulks, "AT_ONCE", 5)
    monkeypatch.setattr(bulks, "CHUNK", 4)
    monkeypatch.setattr(bulks, "publish", promised.append)
    for _ in range(10):
        make.make_ticket()
    bulk = bulks.start(
        bulks.preview("tickets", {"kind": "task"}, by=agent, words={"status": ["new"]}), by=agent
    )
    assert promised == [events.BulkPromised(bulk_id=bulk.pk)] and bulks.due() == [bulk.pk]
    assert bulks.work(bulk.pk, seconds=0) is False
    assert Ticket.objects.filter(kind="task").count() == 4
    bulk = bulks.undo(Bulk.objects.get(pk=bulk.pk), by=agent)
    assert bulks.work(bulk.pk) is True
    bulk.refresh_from_db()
    assert (bulk.state, bulk.counts) == ("undone", {"restored": 4}) and not Ticket.objects.filter(
        kind="task"
    ).exists()
    lines = Activity.objects.filter(verb="ticket.edited")
    assert lines.count() == 8 and {*lines.values_list("source", flat=True)} == {bulk.source}
    assert bulks.due() == []


def test_more_rows_cost_no_more_statements(agent, tags):
    def cost(count: int) -> int:
        bulk = bulks.preview(
            "tickets", {"status": "solved", "add_tags": ["new"], **URGENT}, by=agent,
            ids=[make.make_ticket().pk for _ in range(count)]
        )  # fmt: skip
        with CaptureQueriesContext(connection) as asked:
            bulks.start(bulk, by=agent)
        return len(asked)

    assert cost(40) == cost(3)


def test_all_that_a_list_shows_is_chosen_by_its_own_words(agent, client):
    mine = [make.make_ticket(owner=agent) for _ in range(2)]
    make.make_ticket()
    words = {"where": ['{"column": "owner", "op": "any_of", "value": ["me"]}'], "is_open": ["true"]}
    bulk = bulks.preview("tickets", {"kind": "task"}, by=agent, words=words)
    assert {*bulk.rows.values_list("row_id", flat=True)} == {one.pk for one in mine} and bulk.asked == words
    with pytest.raises(InvalidInput):
        bulks.preview("tickets", {"kind": "task"}, by=agent, words={"colour": ["red"]})


def test_too_many_rows_are_refused_before_anything_is_kept(agent, monkeypatch):
    monkeypatch.setattr(bulks, "MOST", 2)
    for _ in range(3):
        make.make_ticket()
    with pytest.raises(InvalidInput):
        bulks.preview("tickets", {"kind": "task"}, by=agent, words={})
    assert not Bulk.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {}, [], {"subject": "x"}, {"password": "x"}, {"tags": ["new"]}, {"status": "folded"}, {"status": ["open"]},
        {"priority": None},
        {"owner": "me"}, {"owner": 0}, {"owner": 2**70}, {"owner": True}, {"team": 99}, {"add_tags": []},
        {"add_tags": ["nobody"]},
        {"add_tags": ["a\x00"]}, {"add_tags": ["new"], "remove_tags": ["new"]}, {"add_tags": "new"}, {"fields.none": 1},
        {"fields.size": "large"}, {"priority_reason": "alone"}, {"priority": "low", "priority_reason": ""}, {"merged_into": 1},
    ],
    ids=str,
)  # fmt: skip
def test_nonsense_is_refused_by_name(change, agent, tags, client):
    CustomField.objects.create(noun="ticket", slug="size", label="Size", kind="number")
    one = make.make_ticket()
    with pytest.raises(InvalidInput) as refused:
        bulks.preview("tickets", change, by=agent, ids=[one.pk])
    assert refused.value.extra["errors"]
    client.force_login(agent)
    body = {"noun": "tickets", "change": change, "ids": [one.pk]}
    assert client.post("/api/v1/bulks/", body, content_type="application/json").status_code == 400
    assert not Bulk.objects.exists()


def test_a_priority_without_a_reason_is_refused_row_by_row(agent):
    same, other = make.make_ticket(priority="high"), make.make_ticket()
    bulk = bulks.preview("tickets", {"priority": "high"}, by=agent, ids=[same.pk, other.pk])
    assert bulk.counts == {"unchanged": 1, "refused": 1}
    assert "needs a reason" in bulk.rows.get(row_id=other.pk).reason


def test_companies_are_edited_too(agent):
    CustomField.objects.create(noun="company", slug="tier", label="Tier", kind="choice", choices=["gold"])
    some = [Company.objects.create(name=f"C{n}", fields={"kept": 1}) for n in range(2)]
    bulk = made("companies", {"owner": agent.pk, "fields.tier": "gold"}, some, agent)
    assert [(one.owner, one.fields) for one in Company.objects.all()] == [
        (agent, {"kept": 1, "tier": "gold"})
    ] * 2
    bulks.undo(bulk, by=agent)
    assert [(one.owner, one.fields) for one in Company.objects.all()] == [(None, {"kept": 1})] * 2


def test_the_pages_preview_make_and_undo(agent, client, tags):
    some = [make.make_ticket(subject=f"Subject <i>{n}") for n in range(3)]
    bulk = bulks.preview(
        "tickets", {"owner": agent.pk, "add_tags": ["new"], **URGENT}, by=agent, ids=[one.pk for one in some]
    )
    client.force_login(agent)
    body = client.get(f"/bulks/{bulk.pk}/").content.decode()
    assert (
        "Change 3 tickets" in body
        and "Subject &lt;i&gt;0" in body
        and agent.name in body
        and "Undo" not in body
    )
    client.post(f"/bulks/{bulk.pk}/", {"act": "start"})
    body = client.get(f"/bulks/{bulk.pk}/").content.decode()
    assert "3 of 3 were changed" in body and "New" in body and 'data-testid="undo"' in body
    assert client.post(f"/bulks/{bulk.pk}/", {"act": "start"}, follow=True).status_code == 200
    client.post(f"/bulks/{bulk.pk}/", {"act": "undo"})
    assert "3 have again what they had" in client.get(f"/bulks/{bulk.pk}/").content.decode()
    assert client.get("/bulks/").context["bulks"][0].pk == bulk.pk
    client.force_login(make.make_user())
    assert (
        client.get(f"/bulks/{bulk.pk}/").status_code == 404 and client.get("/bulks/").context["bulks"] == []
    )


def test_old_previews_and_rows_go(agent):
    open_one = bulks.preview("tickets", {"kind": "task"}, by=agent, ids=[make.make_ticket().pk])
    done = made("tickets", {"kind": "task"}, [make.make_ticket()], agent)
    long_ago = timezone.now() - timezone.timedelta(days=100)
    Bulk.objects.filter(pk=open_one.pk).update(at=long_ago)
    Bulk.objects.filter(pk=done.pk).update(done_at=long_ago)
    bulks.forget_old()
    assert list(Bulk.objects.all()) == [done] and not BulkRow.objects.exists()
    with pytest.raises(Conflict):
        bulks.undo(done, by=agent)


def test_a_cell_is_edited_with_the_version_that_was_read(agent, client, tags):
    team = make.make_team(visibility=TeamVisibility.CLOSED)
    one = make.make_ticket()
    client.force_login(agent)
    path = f"/api/v1/tickets/{one.pk}/"
    read = client.get(path)["ETag"]

    def patch(change, tag):
        return client.patch(
            path, change, content_type="application/json", headers={"If-Match": tag}
        ).status_code

    assert patch({"tags": ["new"], "team": agent.team.slug}, read) == 200
    assert patch({"tags": ["old"]}, read) == 412
    assert client.get(path).json()["tags"] == ["new"]
    assert patch({"team": team.slug}, client.get(path)["ETag"]) == 404
    tickets.edit(Ticket.objects.get(), {"tags": []}, by=agent)
    assert client.get(path).json()["tags"] == []
