"""Customers as people correct them."""

from django.db import transaction

from crm.errors import InvalidInput
from crm.models import Activity, Customer, User
from crm.services import search

EDITABLE = frozenset({"name", "language", "note", "vip", "verified_before_disclosure"})


def edit(customer: Customer, changes: dict, *, by: User) -> Customer:
    """Correct what a person may correct; what changed stands in the customer's timeline, without the words."""
    if unknown := set(changes) - EDITABLE:
        raise InvalidInput(
            "Nothing to change.", errors={name: "cannot be changed" for name in sorted(unknown)}
        )
    changed = sorted(name for name, value in changes.items() if getattr(customer, name) != value)
    if not changed:
        return customer
    with transaction.atomic():
        for name in changed:
            setattr(customer, name, changes[name])
        customer.save(update_fields=changed)
        if "name" in changed:
            search.learn([customer.name])
        Activity.objects.create(actor=by, verb="customer.edited", customer=customer, data={"fields": changed})
    return customer
