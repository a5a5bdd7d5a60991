"""Who else may be this customer: found by indexes, scored by `crm.matching`, only ever suggested.

Candidates are looked for in a bounded number of rows, whatever the number of customers: by the same mail address,
telephone number or handle, known or claimed, and by names of the same or nearly the same words.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from crm import rows
from crm.access import Permission, require
from crm.choices import ChannelKind
from crm.errors import Conflict, InvalidInput
from crm.matching import Person, Population, Reason, Role, people
from crm.matching.nicknames import also_called
from crm.models import Activity, Apart, Customer, Identity, Merge, MergeRule, User
from crm.services import activities, merges

LEAST = 50  # percent: no coin is tossed about people
LIKELY = 0.2  # chance from which on a person is asked
MOST = 8  # suggestions shown
_EACH = 50  # candidates that each way may bring
_PHONES = (ChannelKind.PHONE, ChannelKind.SMS)
_LONGEST = 6  # words of a name that are looked for
_WORD = re.compile(r"[^\W_]+")
_NEW = timedelta(hours=1)

_ADDRESSES = """
(SELECT customer_id FROM crm_identity WHERE kind = 'email' AND value = ANY(%(mails)s) LIMIT %(each)s)
UNION (SELECT customer_id FROM crm_identity WHERE claims ? 'email' AND lower(claims->>'email') = ANY(%(mails)s) LIMIT %(each)s)
UNION (SELECT customer_id FROM crm_identity WHERE kind IN ('phone', 'sms')
    AND right(regexp_replace(value, '\\D', '', 'g'), 8) = ANY(%(ends)s) LIMIT %(each)s)
UNION (SELECT customer_id FROM crm_identity WHERE claims ? 'phone'
    AND right(regexp_replace(claims->>'phone', '\\D', '', 'g'), 8) = ANY(%(ends)s) LIMIT %(each)s)
UNION (SELECT customer_id FROM crm_identity WHERE left(upper(handle), 200) = ANY(%(handles)s) AND handle <> '' LIMIT %(each)s)
UNION (SELECT id FROM crm_customer WHERE left(upper(name), 200) = %(name)s AND name <> '' LIMIT %(each)s)
"""
# As in `search`: mistyped words are compared with the words that stand in names, a few thousand, never with the names.
_SPELT = """
SELECT q.place, w.word FROM unnest(%s::text[]) WITH ORDINALITY AS q(word, place) CROSS JOIN LATERAL (
    SELECT word FROM crm_nameword WHERE word %% q.word AND levenshtein_less_equal(word, q.word, 2) <= 1 + length(q.word) / 8
    ORDER BY word LIMIT 8
) w
"""
_NAMED = """
SELECT id FROM crm_customer WHERE to_tsvector('simple'::regconfig, coalesce(left(name, 200), '')) @@ %s::tsquery LIMIT %s
"""
_SIZE = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'crm_customer'::regclass"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Another customer who may be the same person, with the chance (0 to 1) and each field's part."""

    customer: Customer
    score: float
    reasons: tuple[Reason, ...]


def suggestions(customer: Customer) -> list[Suggestion]:
    """The likeliest others, best first, in a constant number of statements. A merged customer has none."""
    if customer.merged_into_id is not None:
        return []
    known = list(customer.identities.order_by("pk")[:_EACH])
    ids = (_by_address(customer, known) | _by_name(customer.name)) - {customer.pk}
    others = list(Customer.objects.filter(pk__in=sorted(ids), merged_into=None).order_by("pk"))
    if not others:
        return []
    identities: dict[int, list[Identity]] = {}
    for identity in Identity.objects.filter(customer__in=others).order_by("pk")[: len(others) * 10]:
        identities.setdefault(identity.customer_id, []).append(identity)
    population = Population(size=rows.run(_SIZE)[0][0])
    parted = _parted(customer)
    me = person(customer, known)
    found = []
    for other in others:
        weighed = population.weigh(me, person(other, identities.get(other.pk, [])))
        if weighed.score >= LIKELY and other.pk not in parted:
            found.append(Suggestion(other, weighed.score, weighed.reasons))
    return sorted(found, key=lambda one: (-one.score, one.customer.pk))[:MOST]


def tell_apart(customer: Customer, other: Customer, *, by: User) -> None:
    """Keep that these two are not one person: neither is suggested to the other, nor merged by itself, until taken back."""
    if customer.pk == other.pk:
        raise Conflict("That is the same customer.", code="same_customer")
    with transaction.atomic():
        made = 0
        for one, second in ((customer, other), (other, customer)):
            made += Apart.objects.get_or_create(one=one, other=second, defaults={"by": by})[1]
        if made:
            _record("customer.told_apart", customer, other, by)


def ask_again(customer: Customer, other: Customer, *, by: User) -> None:
    """Take back that these two are not one person."""
    with transaction.atomic():
        said = Apart.objects.filter(one__in=(customer, other), other__in=(customer, other))
        if said.delete()[0]:
            _record("customer.asked_again", customer, other, by)


def told_apart(customer: Customer) -> list[Customer]:
    """Of whom somebody said that they are not this person, newest first."""
    said = Apart.objects.filter(one=customer).exclude(other=customer).select_related("other").order_by("-pk")
    return [one.other for one in said[:_EACH]]


def _record(verb: str, customer: Customer, other: Customer, by: User) -> None:
    Activity.objects.bulk_create(
        Activity(actor=by, verb=verb, customer=one, data={"other": second.pk})
        for one, second in ((customer, other), (other, customer))
    )


def threshold() -> int:
    """From which certainty (percent) on new customers are merged by themselves; 0: never, as long as nobody said otherwise.

    What was said here goes before AUTO_MERGE_PERCENT, the beginning of a new house.
    """
    said = MergeRule.objects.values_list("percent", flat=True).first()
    return settings.AUTO_MERGE_PERCENT if said is None else said


def set_threshold(percent: int, *, by: User) -> int:
    """Say from which certainty on; 0 for never, else LEAST to 100. Who did, and what it was, stands in the history."""
    require(by, Permission.CONFIGURE)
    if percent != 0 and not LEAST <= percent <= 100:
        raise InvalidInput("From which certainty on?", errors={"percent": f"is 0 (never), or {LEAST} to 100"})
    with transaction.atomic(), rows.serialised("earshot.merge_rule"):
        before = threshold()
        if percent != before:
            MergeRule.objects.update_or_create(
                defaults={"percent": percent, "by": by, "at": timezone.now()}, pk=1
            )
            activities.record("merging.changed", by=by, percent=[before, percent])
    return percent


def settle(customer: Customer) -> Merge | None:
    """Merge a customer with the one suggestion that is as sure as the owner wants it (`threshold`)."""
    return _settle(customer, threshold())


def _settle(customer: Customer, percent: int) -> Merge | None:
    if not percent:
        return None
    sure = [one for one in suggestions(customer) if one.score * 100 >= percent]
    if len(sure) != 1:
        return None  # of two candidates at most one is right: a person decides
    older, younger = sorted((customer, sure[0].customer), key=lambda one: one.pk)
    return merges.merge(older, younger, by=None, score=sure[0].score)


def settle_new(limit: int = 200) -> int:
    """Settle those who came in the last hour, newest first; returns how many were merged. Can be run twice."""
    percent = threshold()
    if not percent:
        return 0
    new = Customer.objects.filter(created_at__gt=timezone.now() - _NEW, merged_into=None).order_by(
        "-created_at", "-pk"
    )
    merged = 0
    for customer in new[:limit]:
        try:
            merged += _settle(customer, percent) is not None
        except Conflict:
            continue  # somebody was faster
    return merged


def person(customer: Customer, identities: Iterable[Identity]) -> Person:
    """A customer made comparable: his name, and the addresses that are his or that his accounts claim."""
    said: dict[Role, Any] = {Role.NAME: customer.name, Role.EMAIL: [], Role.PHONE: [], Role.HANDLE: []}
    for identity in identities:
        if identity.kind == ChannelKind.EMAIL:
            said[Role.EMAIL].append(identity.value)
        elif identity.kind in _PHONES:
            said[Role.PHONE].append(identity.value)
        elif identity.handle:
            said[Role.HANDLE].append(identity.handle)
        said[Role.EMAIL].append(_claimed(identity, "email"))
        said[Role.PHONE].append(_claimed(identity, "phone"))
    return people.person(str(customer.pk), said)


def _claimed(identity: Identity, name: str) -> str:
    value = (identity.claims or {}).get(name, "")
    return value if isinstance(value, str) else ""


def _by_address(customer: Customer, known: list[Identity]) -> set[int]:
    me = person(customer, known)
    raw = [identity.value.lower() for identity in known if identity.kind == ChannelKind.EMAIL]
    claimed = [_claimed(identity, "email").lower() for identity in known]
    wanted = {
        "mails": sorted({*me.emails, *raw, *claimed} - {""}),
        "ends": sorted({phone.lstrip("+")[-8:] for phone in me.phones}),
        "handles": sorted({identity.handle.upper()[:200] for identity in known} - {""}),
        "name": customer.name.upper()[:200],
        "each": _EACH,
    }
    return {row[0] for row in rows.run(_ADDRESSES, wanted)}


def _by_name(name: str) -> set[int]:
    """Customers whose names hold these words, each perhaps misspelt, or a nickname of it; a lone word says too little."""
    words = [word for word in _WORD.findall(name[:200].lower()) if len(word) >= 3][:_LONGEST]
    if len(words) < 2:
        return set()
    spelt = {
        place: {word, people.fold(word), *also_called(people.fold(word))} - {""}
        for place, word in enumerate(words, 1)
    }
    for place, word in rows.run(_SPELT, (words,)):
        spelt[place].add(word)
    query = " & ".join(
        f"({' | '.join(sorted(variants))})" for variants in spelt.values()
    )  # words only: letters, digits
    return {row[0] for row in rows.run(_NAMED, (query, _EACH * 2))}


def _parted(customer: Customer) -> set[int]:
    """Whom people have said to be somebody else, in so many words or by undoing a merge."""
    undone = Merge.objects.exclude(undone_at=None)
    return {
        *undone.filter(survivor=customer).values_list("merged", flat=True),
        *undone.filter(merged=customer).values_list("survivor", flat=True),
        *Apart.objects.filter(one=customer).values_list("other", flat=True),
    }
