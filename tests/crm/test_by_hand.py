"""Customers, companies and addresses that people make by hand: read as a file is read, once each, and in the history."""

import pytest

from crm.choices import Role
from crm.models import Activity, Customer, Identity
from crm.services import audit, merges, search
from tests import factories as make

pytestmark = pytest.mark.django_db

JSON = "application/json"


@pytest.fixture
def agent(client):
    user = make.make_user(Role.AGENT)
    client.force_login(user)
    return user


def post(client, path, **body):
    return client.post(f"/api/v1/{path}", body, content_type=JSON)


def test_who_sent_a_letter_becomes_a_customer_who_is_found(client, agent):
    said = post(
        client, "customers/", name="Zoë Quistgaard", language="en",
        addresses=[{"kind": "email", "value": "Zoe@Example.com"}, {"kind": "phone", "value": "0044 20 7946 0123"}],
    )  # fmt: skip
    assert said.status_code == 201
    body = said.json()
    kept = {(one["kind"], one["value"], one["handle"]) for one in body["identities"]}
    assert kept == {("email", "zoe@example.com", ""), ("phone", "+442079460123", "0044 20 7946 0123")}
    assert search.words_of(["Zoë Quistgaard"]) and "quistgard" not in body["name"].lower()
    found = client.get("/api/v1/search/?q=quistgard").content.decode()
    assert "Zoë Quistgaard" in found, "also mistyped"
    verbs = list(Activity.objects.filter(customer=body["id"]).order_by("pk").values_list("verb", flat=True))
    assert verbs == ["customer.created", "customer.edited", "identity.added", "identity.added"]
    audit.seal_new()
    assert audit.verify()["broken"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": " "}, {"name": "A", "addresses": [{"kind": "email", "value": "nobody"}]}, {"language": "en"},
        {"name": "A", "addresses": [{"kind": "phone", "value": "12 34"}]},
        {"name": "A", "addresses": [{"kind": "fax", "value": "1"}]},
        {"name": "A", "addresses": [{"kind": "email", "value": "a@example.com b@example.com"}]},
        {"name": "A", "addresses": [{"kind": "x", "value": "two words"}]}, {"name": "A", "addresses": "x"},
        {"name": "A\x00"}, {"name": "A", "addresses": [{"kind": "email", "value": "-"}]},
    ],
)  # fmt: skip
def test_what_is_nobody_or_no_address_is_refused_and_leaves_nothing(client, agent, body):
    assert post(client, "customers/", **body).status_code == 400
    assert not Customer.objects.exists() and not Identity.objects.exists() and not Activity.objects.exists()


def test_an_address_is_one_persons_and_the_refusal_says_whose(client, agent):
    there = make.make_identity(kind="x", value="@anna", handle="anna")
    said = post(
        client, "customers/", name="Anna Ott", addresses=[{"kind": "x", "value": "https://x.com/Anna"}]
    )
    assert (said.status_code, said.json()["code"]) == (409, "address_taken")
    assert said.json()["customer"] == there.customer_id
    assert Customer.objects.count() == 1, "all or nothing"
    one = make.make_customer()
    said = post(client, f"customers/{one.pk}/identities/", kind="x", value="@ANNA")
    assert (said.status_code, said.json()["customer"]) == (409, there.customer_id)
    account = make.make_identity(kind="x", value="4711", handle="Ben_B")
    said = post(client, f"customers/{one.pk}/identities/", kind="x", value="@ben_b")
    assert (said.status_code, said.json()["customer"]) == (409, account.customer_id), (
        "the network's id counts"
    )


def test_another_address_is_added_with_how_sure_it_is(client, agent):
    one = make.make_customer()
    said = post(
        client, f"customers/{one.pk}/identities/", kind="email", value="B@example.com", trust="verified"
    )
    assert said.status_code == 201
    assert (said.json()["value"], said.json()["trust"], said.json()["customer"]) == (
        "b@example.com",
        "verified",
        one.pk,
    )
    assert "b@example.com" in client.get(f"/customers/{one.pk}/").content.decode()
    line = Activity.objects.get(verb="identity.added")
    assert line.customer == one and line.data == {"identity": said.json()["id"], "trust": "verified"}


def test_nobody_adds_to_a_record_that_was_merged_away(client, agent):
    one, other = make.make_customer(), make.make_customer()
    merges.merge(one, other, by=agent)
    said = post(client, f"customers/{other.pk}/identities/", kind="email", value="b@example.com")
    assert (said.status_code, said.json()["code"]) == (409, "merged")
    assert 'data-testid="add-address"' not in client.get(f"/customers/{other.pk}/").content.decode()
    assert 'data-testid="add-address"' in client.get(f"/customers/{one.pk}/").content.decode()


def test_lists_offer_what_their_reader_may_make(client, agent):
    for noun, says in (
        ("customers", "New customer"),
        ("companies", "New company"),
        ("tickets", ""),
        ("mentions", ""),
    ):
        page = client.get(f"/{noun}/")
        assert page.context["made_by_hand"] == says and ('data-act="new"' in page.content.decode()) == bool(
            says
        ), noun
    client.force_login(make.make_user(Role.AUDITOR))
    assert "New customer" not in client.get("/customers/").content.decode()
