"""What customers answered when they were asked, taken from the system that asked; sampling and asking stand elsewhere.

The scales are those of `practice.md` 5: satisfaction from 1 to 5, recommendation from 0 to 10 (after a contact, and of the
relation; never one figure), and whether the problem was solved.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from django.db import transaction
from django.utils import timezone

from crm import rows
from crm.access import Permission, find, require_somewhere
from crm.choices import SCALES, Question
from crm.errors import Conflict, InvalidInput
from crm.models import Activity, Customer, Interaction, Ticket, User
from crm.services import masking
from crm.services.merges import holder_of

LONGEST = 5_000  # characters of a comment

_TAKE = """
INSERT INTO crm_survey AS s (customer_id, ticket_id, interaction_id, question, score, comment, channel, at, reference, digest)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::int[], %s::text[], %s::text[],
    %s::timestamptz[], %s::text[], %s::text[])
ON CONFLICT (digest) DO UPDATE SET score = excluded.score, comment = excluded.comment, at = excluded.at
    WHERE s.customer_id = excluded.customer_id
RETURNING digest, id
"""


def take(customer: Customer, answers: Sequence[dict[str, Any]], *, by: User) -> list[int]:
    """Keep answers of a customer, known ones again as they are now; returns their ids in that order.

    Each: question, score, at, and where known comment, channel, reference, ticket, interaction (ids). InvalidInput: not on the
    scale, in the future. Conflict `other_customer`: a ticket, a contact or a reference of somebody else.
    """
    require_somewhere(by, Permission.NOTE)
    customer = holder_of(customer)
    if customer.erased_at is not None:
        raise Conflict("This record is erased.", code="erased")
    lines = {}
    for place, one in enumerate(answers):
        check(one, place)
        about = _about(customer, one, by)
        lines[digest_of(one, [str(customer.pk)])] = (one, about)
    columns = [
        (
            customer.pk, *about, one["question"], one["score"], masking.masked(one.get("comment", "")), one.get("channel", ""),
            one["at"], one.get("reference", ""), digest,
        )
        for digest, (one, about) in sorted(lines.items())
    ]  # fmt: skip
    with transaction.atomic():
        kept = dict(rows.run(_TAKE, tuple(map(list, zip(*columns, strict=True)))))
        if len(kept) < len(lines):
            raise Conflict("An answer of this reference is another customer's.", code="other_customer")
        ids = [kept[digest] for digest in lines]
        Activity.objects.create(actor=by, verb="surveys.taken", customer=customer, data={"surveys": ids})
    return ids


def check(one: dict[str, Any], place: int = 0) -> None:
    """Refuse an answer that is not on the scale of its question, or that nobody can have given yet."""
    if problem := problem_of(one["question"], one["score"], one["at"]):
        raise InvalidInput("This is no answer.", errors={f"surveys.{place}": problem})


def problem_of(question: str, score: int, at: datetime) -> str:
    """Why an answer cannot be one, or nothing."""
    least, most = SCALES[question]
    if not least <= score <= most:
        return f"score: {Question(question).label} goes from {least} to {most}"
    return "at: it lies in the future" if at > timezone.now() else ""


def _about(customer: Customer, one: dict[str, Any], by: User) -> tuple[int | None, int | None]:
    """The ticket and the contact that an answer is about; a contact says its ticket."""
    ticket, contact = one.get("ticket"), one.get("interaction")
    if contact is not None:
        found = find(Interaction.objects.visible_to(by), pk=contact)
        owner, ticket = found.customer_id, found.ticket_id
    elif ticket is not None:
        owner = find(Ticket.objects.visible_to(by), pk=ticket).customer_id
    else:
        return None, None
    if owner != customer.pk:
        raise Conflict("That is not this customer's.", code="other_customer")
    return ticket, contact


def digest_of(one: dict[str, Any], whose: list[str]) -> str:
    """By which an answer is known again: its id in the system that asked, else whose it is, to what and when."""
    words = (
        ["survey", one["reference"]]
        if one.get("reference")
        else [*whose, one["question"], one["at"].isoformat()]
    )
    return blake2b(rows.as_json(words).encode(), digest_size=16).hexdigest()
