"""Verified before disclosure: who made sure, how and for how long that this is the person; and what is shown only then.

Values of restricted fields lie apart from all others and encrypted, so that no list, search, file or card can hold them;
they are read and written here alone.
"""

from datetime import timedelta
from typing import Any

import orjson
from django.db import transaction
from django.utils import timezone

from crm import rows
from crm.access import Permission, require
from crm.choices import FieldNoun, VerifiedHow
from crm.errors import Conflict, InvalidInput
from crm.models import Activity, Company, Customer, CustomField, RestrictedValue, Ticket, User, Verification
from crm.services import fields

LONGEST_MINUTES = 24 * 60

Holder = Customer | Ticket | Company
_NOUNS: dict[type, str] = {
    Customer: FieldNoun.CUSTOMER.value,
    Ticket: FieldNoun.TICKET.value,
    Company: FieldNoun.COMPANY.value,
}


def verify(customer: Customer, *, how: str, minutes: int = 30, by: User) -> Verification:
    """Say that this is the person, how that was made sure, and for how many minutes it counts."""
    require(by, Permission.NOTE)
    if how not in VerifiedHow.values:
        raise InvalidInput("How?", errors={"how": f"is one of {', '.join(VerifiedHow.values)}"})
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise InvalidInput("For how long?", errors={"minutes": f"is 1 to {LONGEST_MINUTES}"})
    with transaction.atomic():
        now = timezone.now()
        made = Verification.objects.create(
            customer=customer, how=how, by=by, at=now, until=now + timedelta(minutes=minutes)
        )
        Customer.objects.filter(pk=customer.pk).update(verified_before_disclosure=True)
        _record("customer.verified", customer, by, how=how, minutes=minutes)
    return made


def standing(customer: Customer) -> Verification | None:
    """The verification that counts now."""
    return Verification.objects.filter(customer=customer, until__gt=timezone.now()).order_by("-until").first()


def expire() -> None:
    """Flags whose time is over go."""
    rows.run(
        """
        UPDATE crm_customer c SET verified_before_disclosure = false FROM crm_verification v
        WHERE v.customer_id = c.id AND v.until BETWEEN now() - interval '2 days' AND now() AND c.verified_before_disclosure
        AND NOT EXISTS (SELECT 1 FROM crm_verification o WHERE o.customer_id = c.id AND o.until > now())
        """
    )


def restricted(holder: Holder) -> list[CustomField]:
    """The restricted fields that a noun has."""
    return list(CustomField.objects.filter(noun=_NOUNS[type(holder)], retired=False, restricted=True))


def read(holder: Holder, *, by: User) -> dict[str, Any]:
    """Restricted fields by slug; that somebody looked stands in the history.

    NotAllowed without the right; of customers and tickets Conflict `verify_first` while the person is not verified.
    """
    _ask(holder, by)
    values = RestrictedValue.objects.filter(**_of(holder), field__retired=False).select_related("field")
    found = {one.field.slug: orjson.loads(one.value) for one in values}
    _record("restricted.read", holder, by, fields=sorted(found))
    return found


def write(holder: Holder, given: dict[str, Any], *, by: User) -> dict[str, Any]:
    """Set restricted fields by slug, null takes one away."""
    _ask(holder, by)
    known = {one.slug: one for one in restricted(holder)}
    errors, fitting = {}, {}
    for slug, value in given.items():
        if slug not in known:
            errors[f"fields.{slug}"[:80]] = "is not one of the restricted fields"
            continue
        try:
            fitting[slug] = None if value is None else fields.fitted(known[slug], value)
        except ValueError as error:
            errors[f"fields.{slug}"] = str(error)
    if errors:
        raise InvalidInput("The fields cannot be used.", errors=errors)
    with transaction.atomic():
        for slug, value in sorted(fitting.items()):
            if value is None:
                RestrictedValue.objects.filter(**_of(holder), field=known[slug]).delete()
            else:
                RestrictedValue.objects.update_or_create(
                    **_of(holder), field=known[slug], defaults={"value": orjson.dumps(value).decode()}
                )
        _record("restricted.written", holder, by, fields=sorted(fitting))
    return read(holder, by=by)


def person_of(holder: Holder) -> Customer | None:
    """Who must be verified before anything is shown; a company is no person."""
    if isinstance(holder, Ticket):
        return holder.customer
    return holder if isinstance(holder, Customer) else None


def _of(holder: Holder) -> dict[str, Any]:
    return {_NOUNS[type(holder)]: holder}


def _ask(holder: Holder, by: User) -> None:
    require(by, Permission.SEE_RESTRICTED)
    person = person_of(holder)
    if person is not None and standing(person) is None:
        raise Conflict("Make sure first that this is the person.", code="verify_first")


def _record(verb: str, holder: Holder, by: User, **data: Any) -> None:
    if isinstance(holder, Company):
        data["company"] = holder.pk
    ticket = holder if isinstance(holder, Ticket) else None
    Activity.objects.create(actor=by, verb=verb, customer=person_of(holder), ticket=ticket, data=data)
