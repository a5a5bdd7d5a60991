"""Customers as people correct them, what they bought, and what they agreed to."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from crm import rows
from crm.choices import ConsentPurpose, Trust
from crm.errors import InvalidInput, NotFound
from crm.models import Activity, Consent, Customer, CustomField, Identity, User
from crm.services import edits, fields, search

EDITABLE = frozenset(
    {
        "name", "language", "note", "vip", "verified_before_disclosure", "public_figure", "value", "company", "owner",
        "preferred_channel", "fields", "tags",
    }
)  # fmt: skip
YEAR = 365  # days whose orders make a customer's value

_ORDERS = """
INSERT INTO crm_order (customer_id, number, at, amount, currency, state)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::numeric[], %s::text[], %s::text[])
ON CONFLICT (number) DO UPDATE SET at = excluded.at, amount = excluded.amount, currency = excluded.currency,
    state = excluded.state, customer_id = excluded.customer_id
"""
_VALUE = """
UPDATE crm_customer c SET value = v.value FROM (
    SELECT customer_id, sum(amount) AS value FROM crm_order
    WHERE customer_id = ANY(%s) AND at > now() - make_interval(days => %s) AND state NOT IN ('cancelled', 'returned')
    GROUP BY 1
) v WHERE c.id = v.customer_id AND c.value IS DISTINCT FROM v.value
"""


def edit(customer: Customer, changes: dict, *, by: User) -> Customer:
    """Correct what a person may correct; what changed stands in the customer's timeline, without the words."""
    if changed := planned(customer, changes):
        write([(customer, changed)], by=by)
    return customer


def planned(customer: Customer, changes: dict, own: dict[str, CustomField] | None = None) -> dict:
    """What of the changes is new to the customer; refuses what cannot be. `own` are the fields of our own."""
    if unknown := set(changes) - EDITABLE:
        raise InvalidInput(
            "Nothing to change.", errors={name: "cannot be changed" for name in sorted(unknown)}
        )
    changes = dict(changes)
    if "fields" in changes:
        changes["fields"] = fields.merged("customer", customer.fields, changes["fields"], own)
    return edits.changed(customer, changes)


def write(planned: list[edits.Edit], *, by: User, **data: object) -> None:
    """Write edits of customers, each with its line of history; `data` stands in all lines."""
    with transaction.atomic():
        old = search.words_of([one.name for one, changed in planned if "name" in changed])
        edits.write(planned)
        search.learn([one.name for one, changed in planned if "name" in changed])
        search.forget(old)
        Activity.objects.bulk_create(
            Activity(actor=by, verb="customer.edited", customer=one, data={"fields": sorted(changed), **data})
            for one, changed in planned
        )


def prefer(identity: Identity, *, by: User) -> None:
    """Answers that start a contact go to this address first."""
    with transaction.atomic():
        Customer.objects.filter(pk=identity.customer_id).update(preferred_identity=identity)
        _record("identity.preferred", identity.customer, by, identity=identity.pk)


def trust(identity: Identity, word: str, *, by: User) -> None:
    """Say how sure it is that an address is this customer's: a person checked, the customer said so, or we guess."""
    if word not in Trust.values:
        raise InvalidInput("How sure?", errors={"trust": f"is one of {', '.join(Trust.values)}"})
    with transaction.atomic():
        Identity.objects.filter(pk=identity.pk).update(trust=word)
        _record("identity.trusted", identity.customer, by, identity=identity.pk, trust=word)


def consent(customer: Customer, *, purpose: str, given: bool, how: str, by: User) -> Consent:
    """Keep that a customer agreed to something, or took it back."""
    if purpose not in ConsentPurpose.values:
        raise InvalidInput("To what?", errors={"purpose": f"is one of {', '.join(ConsentPurpose.values)}"})
    with transaction.atomic():
        kept = Consent.objects.create(customer=customer, purpose=purpose, given=given, how=how[:200], by=by)
        _record("consent.given" if given else "consent.withdrawn", customer, by, purpose=purpose)
    return kept


def add_orders(orders: list[dict[str, Any]], *, by: User) -> int:
    """Take orders from the shop, known ones again as they are now; customers' value follows. Returns how many.

    Each: customer (id), number, at, amount, currency, state.
    """
    ids = sorted({one["customer"] for one in orders})
    newest = {one["number"]: one for one in orders}
    with transaction.atomic():
        held = rows.run(
            "SELECT id FROM crm_customer WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", (ids,)
        )
        if missing := {*ids} - {row[0] for row in held}:
            raise NotFound(f"There are no such customers: {sorted(missing)[:5]}")
        columns: list[list[Any]] = [[], [], [], [], [], []]
        for number in sorted(newest):
            for column, value in zip(columns, _order(newest[number]), strict=True):
                column.append(value)
        rows.run(_ORDERS, tuple(columns))
        rows.run(_VALUE, (ids, YEAR))
        rows.run(
            "INSERT INTO crm_activity (actor_id, verb, customer_id, data) "
            "SELECT %s, 'orders.taken', c, '{}' FROM unnest(%s::bigint[]) AS c",
            (by.pk, ids),
        )
    return len(newest)


def _order(one: dict[str, Any]) -> tuple[int, str, datetime, Decimal, str, str]:
    return (
        one["customer"], one["number"], one["at"], one["amount"], one.get("currency", "EUR"), one.get("state", ""),
    )  # fmt: skip


def _record(verb: str, customer: Customer, by: User, **data: object) -> None:
    Activity.objects.create(actor=by, verb=verb, customer=customer, data=data)
