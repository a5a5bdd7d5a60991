"""Customers and what stands around them: companies, tags, fields of our own, orders, consent."""

from decimal import Decimal

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from crm.api.base import as_bytes
from crm.choices import FieldKind
from crm.connectors import items
from crm.errors import Conflict, InvalidInput, NotFound
from crm.models import Activity, Company, Customer, CustomField, Identity, Order, Tag
from crm.services import companies, customers, fields
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent():
    return make.make_user()


def own(kind, slug="size", noun="customer", **more):
    return CustomField.objects.create(noun=noun, slug=slug, label=slug, kind=kind, **more)


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("text", " hello ", "hello"),
        ("number", "12.50", 12.5),
        ("number", 7, 7),
        ("date", "2026-02-28", "2026-02-28"),
        ("boolean", "yes", True),
        ("boolean", False, False),
        ("choice", "gold", "gold"),
        ("multi_choice", ["silver", "gold", "gold"], ["gold", "silver"]),
        ("multi_choice", "silver, gold", ["gold", "silver"]),
        ("link", "https://example.com/a?b=c", "https://example.com/a?b=c"),
    ],
)
def test_a_field_keeps_what_fits(agent, kind, given, kept):
    own(kind, choices=["gold", "silver"])
    customer = make.make_customer()
    customers.edit(customer, {"fields": {"size": given}}, by=agent)
    assert Customer.objects.get().fields == {"size": kept}
    customers.edit(customer, {"fields": {"size": None}}, by=agent)
    assert Customer.objects.get().fields == {}


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("text", "x" * 1001), ("text", 5), ("text", "a\x00b"), ("number", "many"), ("number", True), ("number", "nan"),
        ("number", 10**30), ("date", "2026-02-30"), ("date", []), ("boolean", "perhaps"), ("choice", "bronze"),
        ("choice", ["gold"]), ("multi_choice", ["bronze"]), ("multi_choice", {"gold": 1}), ("link", "javascript:alert(1)"),
        ("link", "http://["), ("link", 1),
    ],
)  # fmt: skip
def test_a_field_refuses_by_name_what_does_not_fit(agent, kind, given):
    own(kind, choices=["gold", "silver"])
    with pytest.raises(InvalidInput) as refused:
        customers.edit(make.make_customer(), {"fields": {"size": given}}, by=agent)
    assert list(refused.value.extra["errors"]) == ["fields.size"]


@given(
    st.sampled_from(FieldKind.values),
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists),
)
def test_whatever_is_given_is_kept_in_the_same_form_or_refused(kind, value):
    field = CustomField(kind=kind, choices=["gold", "silver"])
    try:
        kept = fields.fitted(field, value)
    except ValueError:
        return
    assert fields.fitted(field, kept) == kept


def test_an_unknown_or_retired_field_is_refused(agent):
    own("text", slug="old", retired=True)
    for slug in ("old", "nothing"):
        with pytest.raises(InvalidInput):
            customers.edit(make.make_customer(), {"fields": {slug: "x"}}, by=agent)


def test_tags_and_company_stand_in_the_history_once(agent):
    customer, tag = make.make_customer(), Tag.objects.create(slug="loyal", name="Loyal")
    company = companies.create(by=agent, name="Acme")
    customers.edit(customer, {"tags": [tag], "company": company}, by=agent)
    customers.edit(customer, {"tags": [tag], "company": company}, by=agent)
    assert [line.data["fields"] for line in Activity.objects.filter(verb="customer.edited")] == [
        ["company", "tags"]
    ]


def test_a_company_is_never_part_of_its_own_part(agent):
    top = companies.create(by=agent, name="Top")
    middle = companies.create(by=agent, name="Middle", parent=top)
    low = companies.create(by=agent, name="Low", parent=middle)
    for parent in (low, middle, top):
        with pytest.raises(Conflict):
            companies.edit(top, {"parent": parent}, by=agent)
        top.refresh_from_db()
    for number in range(12):
        try:
            low = companies.create(by=agent, name=f"deeper {number}", parent=low)
        except Conflict as error:
            assert error.code == "too_deep"
            break
    else:
        pytest.fail("a tree without end")
    assert Company.objects.filter(parent=None).get() == top


def test_orders_are_taken_once_and_make_the_value(agent):
    customer = make.make_customer()
    order = {
        "customer": customer.pk,
        "number": "A-1",
        "at": timezone.now(),
        "amount": Decimal("20.50"),
        "currency": "EUR",
        "state": "",
    }
    assert customers.add_orders([order, order | {"number": "A-2"}], by=agent) == 2
    customers.add_orders(
        [order | {"amount": Decimal("10.00")}, order | {"number": "A-3", "state": "cancelled"}], by=agent
    )
    customer.refresh_from_db()
    assert Order.objects.count() == 3 and customer.value == Decimal("30.50")
    with pytest.raises(NotFound):
        customers.add_orders([order | {"customer": 10**12}], by=agent)


def test_one_address_is_preferred_and_trust_is_said(agent):
    customer = make.make_customer()
    first, second = make.make_identity(customer), make.make_identity(customer)
    customers.prefer(first, by=agent)
    customers.prefer(second, by=agent)
    customers.trust(second, "verified", by=agent)
    customer.refresh_from_db()
    assert customer.preferred_identity == second and Identity.objects.get(pk=second.pk).trust == "verified"
    with pytest.raises(InvalidInput):
        customers.trust(second, "surely", by=agent)


def test_consent_is_kept_line_by_line(agent):
    customer = make.make_customer()
    customers.consent(customer, purpose="marketing", given=True, how="by phone", by=agent)
    customers.consent(customer, purpose="marketing", given=False, how="by mail", by=agent)
    assert list(customer.consents.order_by("pk").values_list("given", "how")) == [
        (True, "by phone"),
        (False, "by mail"),
    ]
    with pytest.raises(InvalidInput):
        customers.consent(customer, purpose="everything", given=True, how="", by=agent)


def test_lists_are_narrowed_by_tag_company_and_own_field(client, agent):
    own("number")
    own("multi_choice", slug="colours", choices=["red", "blue"])
    tag, company = Tag.objects.create(slug="loyal", name="Loyal"), companies.create(by=agent, name="Acme")
    one, other = make.make_customer(name="one"), make.make_customer(name="other")
    customers.edit(
        one, {"tags": [tag], "company": company, "fields": {"size": 7, "colours": ["red"]}}, by=agent
    )
    customers.edit(other, {"fields": {"size": 8}}, by=agent)
    client.force_login(agent)
    for query in (f"company={company.pk}", "tag=loyal", "field=size:7", "field=colours:red"):
        found = client.get(f"/api/v1/customers/?{query}").json()["results"]
        assert [row["name"] for row in found] == ["one"], query
    assert client.get("/api/v1/customers/?field=size:x").json()["results"] == []


def test_a_number_is_kept_in_one_form_beside_how_it_was_given():
    said = {"id": "1", "kind": "call", "text": "", "created_at": "2026-01-05T10:00:00Z"}
    one = items.parse(as_bytes(said | {"author": {"id": "a", "phone": "0044 (20) 7946-0018"}}))
    assert (one.phone, one.handle) == ("+442079460018", "0044 (20) 7946-0018")
    short = items.parse(as_bytes(said | {"author": {"id": "a", "phone": "+000 12"}}))
    assert (short.phone, short.handle) == ("+000 12", "")
    local = items.parse(as_bytes(said | {"author": {"id": "a", "phone": "020 7946 0018"}}))
    assert (local.phone, local.handle) == ("020 7946 0018", "")
    post = items.parse(
        as_bytes(said | {"kind": "mention", "author": {"id": "a", "phone": "+44 20 7946 0018"}})
    )
    assert (post.phone, post.handle) == ("+442079460018", "")


def test_the_page_shows_addresses_facts_and_agreements_and_opens_a_ticket_by_hand(client):
    agent = make.make_user()
    customer = make.make_customer(public_figure=True)
    phone = make.make_identity(customer, kind="phone", value="+442079460018", handle="020 7946 0018")
    customers.prefer(phone, by=agent)
    customers.consent(customer, purpose="survey", given=False, how="by phone", by=agent)
    client.force_login(agent)
    page = client.get(f"/customers/{customer.pk}/").content.decode()
    for words in ("given as", "first choice", "not agreed", "Public figure", 'data-testid="new-ticket"'):
        assert words in page
    client.force_login(make.make_user("auditor"))
    page = client.get(f"/customers/{customer.pk}/").content.decode()
    assert "data-api" not in page
