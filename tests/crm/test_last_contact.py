"""Customers in the order of their last contact: right after whatever happens, by place, and only of contacts one may see."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm import keysets
from crm.choices import Role, TeamVisibility
from crm.lists import CUSTOMERS
from crm.models import Customer, Interaction
from crm.services import deliveries, erasures, merges
from crm.services.views import create as keep_view
from tests import factories as make

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture
def boss(client):
    user = make.make_user(Role.ADMINISTRATOR)
    client.force_login(user)
    return user


def spoke(customer, minutes, **fields):
    """A contact whose last word came so many minutes ago."""
    return make.make_interaction(
        customer=customer, text="", last_message_at=NOW - timedelta(minutes=minutes), **fields
    )


def order(user, ordering="-last_contact", size=50) -> list[int]:
    """All customers, page by page, and back again the same way."""
    rows = CUSTOMERS.visible_to(user)
    walks = CUSTOMERS.walks(user)
    page, pages = keysets.page_of(rows, ordering, None, size, walks), []
    while True:
        pages.append([one.pk for one in page.rows])
        if page.next is None:
            break
        page = keysets.page_of(rows, ordering, page.next, size, walks)
    for expected in pages[-2::-1]:
        page = keysets.page_of(rows, ordering, page.previous, size, walks)
        assert [one.pk for one in page.rows] == expected
    assert page.previous is None
    return [pk for one in pages for pk in one]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_every_page_leads_on_and_back_also_where_nobody_has_spoken(boss, size):
    people = [make.make_customer() for _ in range(9)]
    for place, one in enumerate(people[:5]):
        spoke(one, 10 * (place // 2))  # pairs share an instant
        spoke(one, 500 + place)
    down = order(boss, "-last_contact", size)
    assert sorted(down) == [one.pk for one in people]
    assert set(down[:2]) == {people[0].pk, people[1].pk} and down[4] == people[4].pk
    assert down[5:] == [one.pk for one in people[:4:-1]], "who never spoke comes last"
    assert order(boss, "last_contact", size) == down[::-1]


def test_a_new_word_a_merge_its_undoing_and_an_erasure_are_seen_at_once(
    boss, settings, tmp_path, monkeypatch
):
    monkeypatch.setattr("crm.tasks.erase.delay", lambda *args: None)
    settings.HOME = tmp_path
    first, second, third = (make.make_customer(name=name) for name in ("Ada", "Ben", "Cem"))
    for minutes, one in ((10, first), (20, second), (30, third)):
        spoke(one, minutes)
    assert order(boss) == [first.pk, second.pk, third.pk]

    channel = make.make_channel("email", slug="post")
    identity = make.make_identity(third, kind="email", value="cem@example.com")
    raw = (
        b'{"id": "m1", "kind": "email", "text": "Where is it?", "created_at": "%s", "author": {"id": "cem@example.com"}}'
        % timezone.now().isoformat().encode()
    )
    deliveries.accept(channel, [raw])
    while deliveries.process():
        pass
    assert identity.interactions.exists() and order(boss) == [third.pk, first.pk, second.pk]

    step = merges.merge(second, third, by=boss)
    assert order(boss) == [second.pk, first.pk]
    merges.undo(step, by=boss)
    assert order(boss) == [third.pk, first.pk, second.pk]

    word = erasures.preview(third, by=boss)["confirmation"]
    erasures.ask(third, way="erase", why="request", confirmation=word, by=boss)
    assert erasures.work() == 1
    assert order(boss)[0] == third.pk, "figures stay: the record is nobody's, and its contacts stand"


def test_contacts_of_closed_teams_move_nobody_for_who_may_not_see_them(boss):
    closed = make.make_team(visibility=TeamVisibility.CLOSED)
    loud, quiet, silent = (make.make_customer() for _ in range(3))
    spoke(loud, 60), spoke(quiet, 30)
    spoke(loud, 1, team=closed), spoke(silent, 2, team=closed)
    agent = make.make_user(Role.AGENT, make.make_team())
    assert order(boss) == [loud.pk, silent.pk, quiet.pk]
    assert order(agent) == [quiet.pk, loud.pk, silent.pk]
    assert order(make.make_user(Role.AGENT, closed)) == [loud.pk, silent.pk, quiet.pk]


def test_what_is_asked_about_the_last_contact_knows_only_visible_ones(boss):
    closed = make.make_team(visibility=TeamVisibility.CLOSED)
    one, never = make.make_customer(), make.make_customer()
    spoke(one, 60 * 24 * 40), spoke(one, 1, team=closed)
    agent = make.make_user(Role.AGENT, make.make_team())

    def found(user, op, value=None):
        where = {"column": "last_contact", "op": op, **({"value": value} if value else {})}
        rows = CUSTOMERS.visible_to(user)
        return set(CUSTOMERS.narrowed(rows, CUSTOMERS.conditions(where), user))

    assert found(boss, "last_days", 7) == {one} and found(agent, "last_days", 7) == set()
    before = (NOW - timedelta(days=30)).isoformat()
    assert found(agent, "before", before) == {one} and found(boss, "before", before) == set()
    assert found(boss, "empty") == found(agent, "empty") == {never}
    assert found(agent, "filled") == {one}


def test_page_and_rest_show_one_order_with_the_time_in_its_column(client, boss):
    people = [make.make_customer(name=f"Person {number}") for number in range(60)]
    for number, one in enumerate(people[:55]):
        spoke(one, number)
    page = client.get("/customers/?ordering=-last_contact&columns=name,last_contact")
    shown = [one.pk for one in page.context["customers"]]
    assert shown == [one.pk for one in people[:50]]
    assert all(
        one.last_contact == NOW - timedelta(minutes=at) for at, one in enumerate(page.context["customers"])
    )
    head = next(one for one in page.context["heads"] if one["label"] == "Last contact")
    assert head["sorted"] == "descending" and "ordering=last_contact" in head["url"]
    rest = client.get(page.context["next_url"]).context["customers"]
    assert [one.pk for one in rest] == [one.pk for one in [*people[50:55], *people[:54:-1]]]
    body = client.get("/api/v1/customers/?ordering=-last_contact&page_size=50").json()
    assert [one["id"] for one in body["results"]] == shown
    assert [one["id"] for one in client.get(body["next"]).json()["results"]] == [one.pk for one in rest]
    kept = keep_view(by=boss, noun="customers", name="Latest", ordering="-last_contact")
    assert [one.pk for one in client.get(f"/customers/?view={kept.pk}").context["customers"]] == shown
    narrowed = client.get("/customers/?ordering=-last_contact&search=Person+1").context["customers"]
    assert [one.name for one in narrowed][:3] == ["Person 1", "Person 10", "Person 11"]


@pytest.mark.parametrize("cursor", ["x", "bnVsbA", "W10"])
def test_a_cursor_of_something_else_is_refused(client, boss, cursor):
    make.make_customer()
    assert client.get(f"/api/v1/customers/?ordering=-last_contact&cursor={cursor}").status_code == 400
    other = keysets._cursor(("never", 1), "-last_contact", False)
    assert client.get(f"/api/v1/customers/?ordering=-last_contact&cursor={other}").status_code == 400


def test_the_order_is_walked_along_its_index_and_costs_one_statement(boss):
    one = spoke(make.make_customer(), 0)
    people = Customer.objects.bulk_create(Customer(name=f"C{number}") for number in range(3_000))
    copied = {
        field.attname: getattr(one, field.attname)
        for field in Interaction._meta.concrete_fields
        if field.attname not in ("id", "customer_id", "thread", "last_message_at")
    }
    Interaction.objects.bulk_create(
        Interaction(
            **copied, customer_id=person.pk, thread=10_000_000 + 2 * at + nth,
            last_message_at=NOW - timedelta(minutes=at + nth * 5_000),
        )
        for at, person in enumerate(people)
        for nth in range(2)
    )  # fmt: skip
    rows, walks = CUSTOMERS.visible_to(boss), CUSTOMERS.walks(boss)
    with CaptureQueriesContext(connection) as asked:
        assert len(keysets.page_of(rows, "-last_contact", None, 50, walks).rows) == 50
    assert len(asked) == 1
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE crm_customer, crm_interaction")
        cursor.execute("EXPLAIN " + asked[0]["sql"])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "interaction_newest" in plan and "interaction_of_customer" in plan and "Sort" not in plan, plan
