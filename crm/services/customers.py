"""Customers as people correct them, what they bought, and what they agreed to."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q

from crm import columns, rows
from crm.choices import ChannelKind, ConsentPurpose, Trust
from crm.errors import Conflict, InvalidInput, NotFound
from crm.models import Activity, Consent, Customer, CustomField, Identity, User
from crm.services import edits, fields, search

EDITABLE = frozenset(
    {
        "name", "language", "note", "vip", "verified_before_disclosure", "public_figure", "value", "company", "owner",
        "preferred_channel", "fields", "tags",
    }
)  # fmt: skip
YEAR = 365  # days whose orders make a customer's value
# Addresses that a person can say, and what a file calls a column of such.
ADDRESSES: dict[str, str] = {
    "email": "email", "phone": "phone", **{str(kind.value): f"{columns.HANDLE}{kind.value}" for kind in columns.NETWORKS},
}  # fmt: skip
ADDRESS_KINDS = [(kind, ChannelKind(kind).label) for kind in ADDRESSES]

_ADD = """
INSERT INTO crm_identity (customer_id, kind, value, handle, name, verified, trust, claims, created_at)
VALUES (%s, %s, %s, %s, '', false, %s, '{}', now()) ON CONFLICT (kind, value) DO NOTHING RETURNING id
"""

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


def create(*, by: User, addresses: Sequence[dict[str, str]] = (), **given: Any) -> Customer:
    """A customer by hand, who visited or sent a letter: a name or an address, each `{kind, value}`. 409 `address_taken`."""
    if not given.get("name", "").strip() and not addresses:
        raise InvalidInput("Nothing says who it is.", errors={"name": "a name or an address is needed"})
    with transaction.atomic():
        customer = Customer.objects.create()
        _record("customer.created", customer, by)
        edit(customer, given, by=by)
        for one in addresses:
            add_address(customer, by=by, **one)
    return customer


def add_address(
    customer: Customer, *, kind: str, value: str, by: User, trust: str = Trust.CLAIMED.value
) -> Identity:
    """One more address of a customer, as a person says it. 409 `address_taken` with whose it is; `merged`; `erased`."""
    address = _read_address(kind, value)
    with transaction.atomic():
        kept = Customer.objects.select_for_update(of=("self",)).get(pk=customer.pk)
        if kept.merged_into_id or kept.erased_at:
            code = "merged" if kept.merged_into_id else "erased"
            raise Conflict("Nobody stands behind this record any more.", code=code)
        whose = _known(address)
        row = (kept.pk, address.kind, address.value, address.beside, trust)
        added = rows.run(_ADD, row) if whose is None else []
        if not added:
            whose = whose or _known(address)  # whoever wrote from it at this very moment was first
            raise Conflict("We know this address already.", code="address_taken", customer=whose.customer_id)
        _record("identity.added", kept, by, identity=added[0][0], trust=trust)
    return Identity.objects.get(pk=added[0][0])


def _known(address: columns.Address) -> Identity | None:
    """The address, also where an account bears the handle that the network knows by an id of its own."""
    same = Q(value=address.value)
    if address.kind in columns.NETWORKS:
        same |= Q(handle__iexact=address.value.removeprefix("@"))
    return Identity.objects.filter(same, kind=address.kind).first()


def _read_address(kind: str, value: str) -> columns.Address:
    """As a file's cell is read."""
    if kind not in ADDRESSES:
        raise InvalidInput("What kind of address?", errors={"kind": f"is one of {', '.join(ADDRESSES)}"})
    try:
        found = columns.RowReader(["address"], [ADDRESSES[kind]]).read([value]).addresses
    except columns.BadRowError as error:
        said = str(error).removeprefix("address: ")
        raise InvalidInput("This is no such address.", errors={"value": said}) from None
    if len(found) != 1:
        raise InvalidInput("One address at a time.", errors={"value": "is more than one address"})
    return found[0]


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
