"""Conditions of lists: what the database answers is what a plain reading of them in Python says, and nonsense is refused."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm import conditions
from crm.choices import Role
from crm.conditions import ConditionError, Kind, Reader
from crm.lists import COMPANIES, CUSTOMERS, TICKETS
from crm.models import Company, Customer, CustomField, Identity, Tag, Team, Ticket
from tests import factories as make

pytestmark = pytest.mark.django_db

NOW = timezone.now()
WORDS = ["", "Ann", "ann", "Bo%b", "b_b", "Zoë", "zoe", "O'Hara \\ x"]
NUMBERS = [0, 1, 2.5, -3, 100]
DATES = ["2026-01-31", "2026-02-01", "1999-12-31"]
OWN = [
    ("word", "text"), ("size", "number"), ("since", "date"), ("sure", "boolean"), ("grade", "choice"),
    ("likes", "multi_choice"), ("site", "link"),
]  # fmt: skip
CHOICES = ["gold", "silver", "tin"]


class World:
    """Rows of all sorts, and what each of them has, by column."""

    def __init__(self) -> None:
        for noun in ("customer", "ticket", "company"):
            for slug, kind in OWN:
                CustomField.objects.create(
                    noun=noun, slug=slug, label=slug, kind=kind, choices=CHOICES if "choice" in kind else []
                )
        self.team = make.make_team()
        self.user = make.make_user(Role.ADMINISTRATOR, self.team)
        self.people = [self.user, make.make_user(), None]
        self.teams = [self.team, make.make_team(), None]
        self.tags = [Tag.objects.create(slug=slug, name=slug) for slug in ("one", "two", "three")]
        self.companies = [Company.objects.create(name="Acme"), None]
        self.customers = [self._customer(n) for n in range(24)]
        self.tickets = [self._ticket(n) for n in range(24)]
        self.firms = [self._firm(n) for n in range(24)]
        for n in range(24):
            self.customers[n]["last_contact"] = self._contacts(n)
        self.reader = Reader(self.user.pk, self.team.pk)

    def _fields(self, n: int) -> dict:
        found: dict = {}
        if n % 2:
            found |= {"word": WORDS[n % len(WORDS)], "size": NUMBERS[n % len(NUMBERS)]}
        if n % 3:
            found |= {"since": DATES[n % 3], "sure": n % 4 == 1, "grade": CHOICES[n % 3]}
        if n % 5:
            found |= {"likes": CHOICES[: n % 3], "site": f"https://example.com/{WORDS[n % 4]}"}
        if n % 11 == 10:  # what a field held before its kind was changed
            found |= {"size": "large", "since": 7, "grade": ["tin"]}
        return found

    def _customer(self, n: int) -> dict:
        fields = self._fields(n)
        one = make.make_customer(
            name=WORDS[n % len(WORDS)], language=["", "en", "de"][n % 3], vip=n % 2 == 0, fields=fields,
            value=None if n % 4 == 0 else Decimal(NUMBERS[n % 5]).quantize(Decimal("0.01")), owner=self.people[n % 3],
            company=self.companies[n % 2], preferred_channel=["", "email"][n % 2], note=WORDS[-n % len(WORDS)],
        )  # fmt: skip
        tags = self.tags[: n % 4]
        one.tags.set(tags)
        kinds = [["x", "x"], ["email"], []][n % 3]
        for kind in kinds:
            make.make_identity(one, kind=kind)
        return {
            "pk": one.pk, "name": one.name, "language": one.language, "vip": one.vip, "value": one.value,
            "owner": one.owner_id, "company": one.company_id, "preferred_channel": one.preferred_channel, "note": one.note,
            "tags": [tag.slug for tag in tags], "channel": kinds, "public_figure": False,
            "created_at": one.created_at, **{f"fields.{slug}": value for slug, value in fields.items()},
        }  # fmt: skip

    def _firm(self, n: int) -> dict:
        fields = self._fields(n + 2)
        one = Company.objects.create(
            name=WORDS[n % len(WORDS)] or "-", domain=["", "acme.example"][n % 2], parent=self.companies[n % 2],
            owner=self.people[n % 3], note=WORDS[-n % len(WORDS)], fields=fields,
        )  # fmt: skip
        return {
            "pk": one.pk, "name": one.name, "domain": one.domain, "parent": one.parent_id, "owner": one.owner_id,
            "note": one.note, **{f"fields.{slug}": value for slug, value in fields.items()},
        }  # fmt: skip

    def _contacts(self, n: int) -> datetime | None:
        """None, one or two contacts of a customer who has an address; says when the last word was."""
        identity = Identity.objects.filter(customer=self.customers[n]["pk"]).first()
        if identity is None or n % 8 == 1:
            return None
        at = NOW + timedelta(days=12 - n, hours=1)
        ticket = Ticket.objects.get(pk=self.tickets[n]["pk"])
        for since in [0, 3][: 1 + n % 2]:
            make.make_interaction(
                customer=identity.customer, identity=identity, ticket=ticket, text="",
                last_message_at=at - timedelta(days=since),
            )  # fmt: skip
        return at

    def _ticket(self, n: int) -> dict:
        customer = Customer.objects.get(pk=self.customers[n]["pk"])
        at = NOW + timedelta(days=n - 12, hours=1)
        fields = self._fields(n + 1)
        one = make.make_ticket(
            customer, subject=WORDS[n % len(WORDS)], topic=["", "price"][n % 2], team=self.teams[n % 3],
            owner=self.people[-n % 3], status=["new", "open"][n % 2], priority=["low", "urgent"][n % 2], kind=["", "task"][n % 2],
            due_at=None if n % 3 == 0 else at, fields=fields,
        )  # fmt: skip
        tags = self.tags[n % 3 :]
        one.tags.set(tags)
        return {
            "pk": one.pk, "subject": one.subject, "customer": customer.name, "topic": one.topic, "team": one.team_id,
            "owner": one.owner_id, "status": one.status, "priority": one.priority, "kind": one.kind, "due_at": one.due_at,
            "brand": one.brand_id, "tags": [tag.slug for tag in tags], "vip": customer.vip,
            **{f"fields.{slug}": value for slug, value in fields.items()},
        }  # fmt: skip


# --- The plain reading


def fits(node: dict, row: dict, kinds: dict[str, Kind], reader: Reader) -> bool:
    (first, parts) = next(iter(node.items()))
    if first in conditions.GROUPS:
        said = [fits(one, row, kinds, reader) for one in parts if not says_nothing(one)]
        if not said:
            return True
        return {"all": all(said), "any": any(said), "none": not any(said)}[first]
    op = node["op"]
    true = {"is_not": "is", "lacks": "contains", "none_of": "any_of", "filled": "empty"}
    found = asked(
        true.get(op, op),
        row.get(node["column"]),
        node.get("value"),
        kinds[node["column"]],
        reader,
        node["column"],
    )
    return not found if op in true else found


def says_nothing(node: dict) -> bool:
    (first, parts) = next(iter(node.items()))
    return first in conditions.GROUPS and all(says_nothing(one) for one in parts)


def asked(op: str, has, value, kind: Kind, reader: Reader, column: str) -> bool:  # noqa: C901 - one reading a kind
    if op == "empty":
        return has in (None, "", [])
    if kind == Kind.MANY:
        has = has if isinstance(has, list) else []
        return any(one in has for one in value) if op == "any_of" else all(one in has for one in value)
    if has is None:
        return False
    if kind == Kind.REF:
        return has in value or ("me" in value and has == (reader.team if column == "team" else reader.user))
    if kind == Kind.CHOICE:
        return has in value
    if kind == Kind.BOOLEAN:
        return has is value
    if kind == Kind.TEXT:
        if not isinstance(has, str):
            return False
        mine, theirs = has.upper(), value.upper()
        return {"is": mine == theirs, "contains": theirs in mine, "begins": mine.startswith(theirs)}[op]
    if kind == Kind.NUMBER:
        return isinstance(has, int | float | Decimal) and compared(op, Decimal(str(has)), Decimal(str(value)))
    if kind == Kind.DATE:
        return isinstance(has, str) and compared(op, has, value)
    if op in ("last_days", "next_days"):
        low, high = sorted((NOW, NOW + timedelta(days=value if op == "next_days" else -value)))
        return low <= has <= high
    return compared(op, has, datetime.fromisoformat(value))


def compared(op: str, has, value) -> bool:
    return {
        "is": has == value, "above": has > value, "below": has < value, "at_least": has >= value, "at_most": has <= value,
        "after": has > value, "before": has < value,
    }[op]  # fmt: skip


# --- All that can be said


def said_of(listing, columns, world: World) -> st.SearchStrategy:
    ids = {
        "owner": [world.user.pk, world.people[1].pk, "me"], "team": [world.team.pk, world.teams[1].pk, "me"],
        "company": [world.companies[0].pk], "brand": [1, 2**62], "parent": [world.companies[0].pk, 1],
    }  # fmt: skip
    found = []
    for column in columns.values():
        if not column.asked or column.name in ("created_at", "updated_at", "opened_at", "next_due_at", "promised_by",
                                               "snoozed_until", "solved_at"):  # fmt: skip
            continue
        one = {
            Kind.TEXT: st.sampled_from([word for word in WORDS if word] + ["%", "_", "n", "https"]),
            Kind.NUMBER: st.sampled_from([*NUMBERS, 2.4999, 10**14, -0.5]),
            Kind.DATE: st.sampled_from([*DATES, "2026-01-30"]),
            Kind.INSTANT: st.sampled_from([-3, 0, 5]).map(
                lambda days: (NOW + timedelta(days=days)).isoformat()
            ),
            Kind.BOOLEAN: st.booleans(),
            Kind.REF: st.sampled_from(ids.get(column.name, [1])),
            Kind.CHOICE: st.sampled_from([value for value, _ in column.choices] or [""]),
            Kind.MANY: st.sampled_from([value for value, _ in column.choices] or ["one", "two", "nobody"]),
        }[column.kind]
        for op in conditions.OPERATORS[column.kind]:
            if column.kind == Kind.DATE and op in conditions.DAYS:
                continue  # today moves
            value = st.integers(1, 20) if op in conditions.DAYS else one
            value = st.lists(one, min_size=1, max_size=3) if op in conditions.LISTS else value
            fixed = {"column": st.just(column.name), "op": st.just(op)}
            found.append(
                st.fixed_dictionaries(fixed if op in conditions.VALUELESS else {**fixed, "value": value})
            )
    leaf = st.one_of(found)
    return st.recursive(
        leaf,
        lambda inner: st.sampled_from(conditions.GROUPS).flatmap(
            lambda way: st.lists(inner, max_size=3).map(lambda parts: {way: parts})
        ),
        max_leaves=8,
    )


@pytest.mark.parametrize("listing", [CUSTOMERS, TICKETS, COMPANIES], ids=lambda one: one.noun)
def test_the_database_answers_as_a_plain_reading_does(listing):
    world = World()
    rows = {"customers": world.customers, "tickets": world.tickets, "companies": world.firms}[listing.noun]
    columns = listing.columns()
    kinds = {name: column.kind for name, column in columns.items()}
    tried = []

    @settings(
        max_examples=400, deadline=None, database=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )  # fmt: skip
    @given(said_of(listing, columns, world))
    def equal(data):
        try:
            where = listing.conditions(data, columns)
        except ConditionError as error:
            assert "deep" in str(error) or "At most" in str(error), error
            return
        tried.append(data)
        found = listing.narrowed(listing.visible_to(world.user), where, world.user)
        wanted = {row["pk"] for row in rows if fits(data, row, kinds, world.reader)}
        assert {*found.values_list("pk", flat=True)} & {row["pk"] for row in rows} == wanted

    equal()
    assert len(tried) > 300


def test_days_of_dates_of_our_own_are_counted_from_today():
    CustomField.objects.create(noun="customer", slug="ends", label="Ends", kind="date")
    today = datetime.now(UTC).date()
    soon, late = (make.make_customer(fields={"ends": str(today + timedelta(days=days))}) for days in (3, 30))
    user = make.make_user(Role.ADMINISTRATOR)
    where = CUSTOMERS.conditions({"column": "fields.ends", "op": "next_days", "value": 7})
    assert list(CUSTOMERS.narrowed(Customer.objects.all(), where, user)) == [soon]
    assert late.pk != soon.pk


def test_who_has_no_team_finds_nothing_by_his_own_team():
    make.make_ticket()
    where = TICKETS.conditions({"column": "team", "op": "any_of", "value": ["me"]})
    assert not TICKETS.narrowed(Ticket.objects.all(), where, make.make_user(Role.ADMINISTRATOR)).exists()
    assert Team.objects.count() == 0


DEEP = {"column": "vip", "op": "is", "value": True}
for _ in range(conditions.DEEPEST + 2):
    DEEP = {"all": [DEEP]}
NONSENSE = [
    "x", "[1]", "7", '"x"', "{", '{"all": 1}', '{"all": [1]}', '{"all": [], "any": []}', '{"column": "name"}',
    '{"column": "name", "op": "is", "value": "a", "more": 1}', '{"column": ["name"], "op": "is", "value": "a"}',
    '{"column": "password", "op": "is", "value": "a"}', '{"column": "owner__password", "op": "is", "value": "a"}',
    '{"column": "handles", "op": "is", "value": "a"}', '{"column": "name", "op": "regex", "value": "a"}',
    '{"column": "name", "op": {}, "value": "a"}', '{"column": "name", "op": "is", "value": ""}',
    '{"column": "name", "op": "is", "value": "a\\u0000"}', '{"column": "name", "op": "is", "value": ["a"]}',
    '{"column": "value", "op": "is", "value": "NaN"}', '{"column": "value", "op": "above", "value": 1e400}',
    '{"column": "value", "op": "above", "value": "1e999999999"}', '{"column": "value", "op": "above", "value": true}',
    '{"column": "created_at", "op": "after", "value": "9999-12-31T23:59:59-23:59"}',
    '{"column": "created_at", "op": "after", "value": 7}', '{"column": "created_at", "op": "last_days", "value": 0}',
    '{"column": "created_at", "op": "last_days", "value": 99999999999}', '{"column": "vip", "op": "is", "value": 1}',
    '{"column": "owner", "op": "any_of", "value": []}', '{"column": "owner", "op": "any_of", "value": [0]}',
    '{"column": "owner", "op": "any_of", "value": [9223372036854775808]}',
    '{"column": "owner", "op": "any_of", "value": ["you"]}',
    '{"column": "company", "op": "any_of", "value": ["me"]}', '{"column": "channel", "op": "any_of", "value": ["fidonet"]}',
    '{"column": "fields.nobody", "op": "empty"}', '{"all": [' + ",".join(['{"column":"vip","op":"is","value":true}'] * 41) + "]}",
    "[" * 900 + "]" * 900, "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize(
    "text", [*NONSENSE, conditions.orjson.dumps(DEEP).decode()], ids=lambda text: text[:60]
)
def test_nonsense_is_refused_with_a_reason(text, client):
    with pytest.raises(ConditionError) as refused:
        CUSTOMERS.conditions(text)
    assert str(refused.value)
    client.force_login(make.make_user(Role.ADMINISTRATOR))
    answer = client.get("/api/v1/customers/", {"where": text})
    assert answer.status_code == 400 and list(answer.json()["errors"]) == ["where"]


def test_nothing_said_is_no_condition_and_costs_no_statement(django_assert_num_queries):
    with django_assert_num_queries(0):
        for nothing in (None, "", {}, []):
            assert CUSTOMERS.conditions(nothing).parts == ()
    assert CUSTOMERS.conditions({"any": [{"all": []}]}).parts == ()


def test_rest_narrows_by_conditions_with_me_as_the_caller(client):
    user = make.make_user(Role.ADMINISTRATOR)
    mine, acme = make.make_ticket(owner=user), Company.objects.create(name="Acme", owner=user)
    make.make_ticket()
    Company.objects.create(name="Other")
    client.force_login(user)
    for noun, wanted in (("tickets", mine.pk), ("companies", acme.pk)):
        answer = client.get(
            f"/api/v1/{noun}/", {"where": '{"column": "owner", "op": "any_of", "value": ["me"]}'}
        )
        assert [one["id"] for one in answer.json()["results"]] == [wanted]
    assert COMPANIES.orderings == ("id", "name", "created_at")
