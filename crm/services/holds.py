"""Legal holds: a record is kept from being erased, for a reason, until a day or until the hold is lifted."""

from datetime import datetime

from django.db import transaction

from crm import rows
from crm.access import Permission, require
from crm.errors import Conflict, InvalidInput
from crm.models import Activity, Customer, LegalHold, User
from crm.services.merges import family


def standing(customer: Customer) -> LegalHold | None:
    """What keeps this record from being erased now, of all customers that were merged into it too."""
    return LegalHold.objects.standing().filter(customer__in=family(customer.pk)).order_by("-pk").first()


def refuse(customer: Customer) -> None:
    """Conflict while one stands."""
    if held := standing(customer):
        until = f" until {held.until:%d %b %Y}" if held.until else ""
        raise Conflict(
            f"A legal hold by {held.by} stands{until}: {held.reason}", code="legal_hold", hold=held.pk
        )


def place(customer: Customer, *, reason: str, until: datetime | None, by: User) -> LegalHold:
    """Keep a record from being erased, for a reason, until a day or until it is lifted."""
    require(by, Permission.HOLD)
    if not reason.strip() or len(reason) > 200:
        raise InvalidInput("Why?", errors={"reason": "is a text of at most 200 characters"})
    with transaction.atomic():
        customer = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
        if customer.erased_at is not None:
            raise Conflict("There is nothing left to keep.", code="erased")
        kept = LegalHold.objects.create(customer=customer, reason=reason.strip(), until=until, by=by)
        Activity.objects.create(actor=by, verb="hold.set", customer=customer, data={"hold": kept.pk})
    return kept


def lift(kept: LegalHold, *, by: User) -> LegalHold:
    """A hold is over. Raises Conflict when it was lifted already."""
    require(by, Permission.HOLD)
    with transaction.atomic():
        now = rows.run("SELECT now()")[0][0]
        if not LegalHold.objects.filter(pk=kept.pk, lifted_at=None).update(lifted_by=by, lifted_at=now):
            raise Conflict("It was lifted already.", code="already_lifted")
        Activity.objects.create(
            actor=by, verb="hold.lifted", customer_id=kept.customer_id, data={"hold": kept.pk}
        )
        kept.refresh_from_db()
    return kept
