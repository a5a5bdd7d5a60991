"""A person's record is erased or made anonymous: looked at first, asked for twice, done in the background, proven.

What there is to empty stands in one register (`crm/personal.py`). Rows stay, so that what is counted stays as it was; what
they said of a person goes from each of them, in one transaction a person, which can be run again. It cannot be undone.
"""

import logging
import re
from functools import cache
from typing import Any

import orjson
from django.apps import apps
from django.core import signing
from django.db import transaction

from crm import events, personal, rows
from crm.access import Permission, require
from crm.bus import publish
from crm.choices import ErasureState, ErasureWay, ErasureWhy, InteractionStatus, MessageState, TicketStatus
from crm.errors import Conflict, DomainError, InvalidInput
from crm.models import Activity, Customer, Erasure, Identity, Interaction, Message, Ticket, User
from crm.services import (
    audit,
    delivery_turns,
    erased,
    exports,
    holds,
    interactions,
    merges,
    search,
    streams,
    tickets,
    traces,
)
from crm.services.merges import family
from crm.services.traces import Loose, Params

log = logging.getLogger(__name__)

BATCH = 200  # people whose traces are looked for in one pass over what nothing links to them
CONFIRM_SECONDS = 15 * 60  # in which a preview can be confirmed
_SALT = "earshot.erasure"
_QUOTED = re.compile(rb'"[^"\\]{1,255}"')
_OVER = (TicketStatus.SOLVED, TicketStatus.CLOSED, TicketStatus.FOLDED)
_LEAVING = (MessageState.SENDING,)
_WAITING = (MessageState.QUEUED, MessageState.DRAFT, MessageState.AWAITING_APPROVAL, MessageState.SCHEDULED)
PREVIEWED = (
    "It cannot be undone: the words are gone from everywhere, and what is posted again from before stays out."
)


# --- Looking


def preview(customer: Customer, *, by: User) -> dict[str, Any]:
    """What would go, by noun and count; what stands in the way; and the word with which to confirm it."""
    require(by, Permission.ERASE)
    customer = merges.holder_of(customer)
    counts = counts_of(customer)
    hold = holds.standing(customer)
    contacts = Interaction.objects.filter(customer=customer, status=InteractionStatus.OPEN, folded_into=None)
    return {
        "customer": customer.pk,
        "counts": counts,
        "hold": {"reason": hold.reason, "by": str(hold.by), "until": hold.until} if hold else None,
        "open_contacts": contacts.count(),
        "erased_at": customer.erased_at,
        "warning": PREVIEWED,
        "confirmation": signing.dumps([customer.pk, by.pk, counts], salt=_SALT),
    }


def counts_of(customer: Customer) -> dict[str, int]:
    """What would go of a customer, by noun."""
    return _counts(traces.of_person(customer.pk))


def _counts(found: Params) -> dict[str, int]:
    counts = {}
    for label, kept in personal.register().items():
        sql = f'SELECT count(*) FROM "{_table(label)}" t WHERE {kept.of}'  # noqa: S608 - our own names
        if many := rows.run(sql, found)[0][0]:
            counts[kept.noun] = many
    return counts


@cache
def _table(label: str) -> str:
    return apps.get_model(label)._meta.db_table


# --- Asking


def ask(customer: Customer, *, way: str, why: str, confirmation: str, by: User) -> Erasure:
    """Promise an erasure that was looked at a moment ago. Raises Conflict while a hold stands or the preview is stale."""
    require(by, Permission.ERASE)
    errors = {}
    if way not in ErasureWay.values:
        errors["way"] = f"is one of {', '.join(ErasureWay.values)}"
    if why not in ErasureWhy.values:
        errors["why"] = f"is one of {', '.join(ErasureWhy.values)}"
    if errors:
        raise InvalidInput("How, and why?", errors=errors)
    customer = merges.holder_of(customer)
    with transaction.atomic():
        # Holds and merges take the same lock: none slips in between the look and the promise.
        customer = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
        holds.refuse(customer)
        _check(confirmation, customer, by)
        return promise([customer.pk], way=way, why=why, by=by)[0]


def promise(customers: list[int], *, way: str, why: str, by: User | None) -> list[Erasure]:
    """The rows that say that these will be erased; one a customer, however often it is said. In the caller's transaction."""
    known = {one.customer_id: one for one in Erasure.objects.filter(customer__in=customers, state="waiting")}
    fresh = [
        Erasure(customer_id=one, way=way, why=why, by=by)
        for one in sorted(set(customers))
        if one not in known
    ]
    made = Erasure.objects.bulk_create(fresh)
    Activity.objects.bulk_create(
        Activity(actor=by, verb="erasure.asked", customer_id=one.customer_id, data={"erasure": one.pk, "way": way, "why": why})
        for one in made
    )  # fmt: skip
    publish(*[events.ErasureAsked(erasure_id=one.pk) for one in made])
    return [*made, *known.values()]


def _check(confirmation: str, customer: Customer, by: User) -> None:
    """It is the one who looked, at this customer, and what he saw is still so."""
    try:
        seen = signing.loads(confirmation, salt=_SALT, max_age=CONFIRM_SECONDS)
    except signing.BadSignature:
        seen = None
    if seen != [customer.pk, by.pk, counts_of(customer)]:
        raise Conflict("Look at the preview again: it is another one now.", code="preview_first")


# --- Doing


def due() -> list[int]:
    """Erasures that wait."""
    return list(
        Erasure.objects.filter(state=ErasureState.WAITING).order_by("pk").values_list("pk", flat=True)
    )


def work(limit: int = BATCH) -> int:
    """Do what was promised, person by person; killed, it goes on where it was. Returns how many are done."""
    waiting = list(
        Erasure.objects.filter(state=ErasureState.WAITING)
        .select_related("customer", "by")
        .order_by("problem", "pk")[:limit]
    )
    if not waiting:
        return 0
    while audit.seal_new():
        pass
    ready = [one for one in waiting if _prepare(one)]
    loose = traces.loose_of({one.pk: one.customer_id for one in ready})
    return sum(_finish(one, loose.get(one.pk) or Loose()) for one in ready)


def _prepare(promised: Erasure) -> bool:
    """What is open is closed, and from now on nothing of the person comes in. False: it waits, and says why."""
    try:
        holds.refuse(promised.customer)
        _stop(promised)
    except DomainError as error:
        Erasure.objects.filter(pk=promised.pk).update(problem=error.detail[:200])
        return False
    with transaction.atomic(), rows.serialised("earshot.ingest"):
        found = traces.of_person(promised.customer_id)
        authors = Identity.objects.filter(pk__in=found["identities"]).values_list("kind", "value")
        pairs = zip(found["channels"], found["items"], strict=True)
        keys = [erased.author_key(*one) for one in authors if not traces.is_stand_in(one[1])]
        keys += [erased.item_key(*one) for one in pairs if not traces.is_stand_in(one[1])]
        erased.remember(promised.pk, keys)
    return True


def _stop(promised: Erasure) -> None:
    """Contacts and tickets end, replies that wait do not leave; one on its way is waited for."""
    customers = family(promised.customer_id)
    said = Message.objects.filter(interaction__customer__in=customers)
    if said.filter(state__in=_LEAVING).exists():
        raise Conflict("A reply is on its way: its end is waited for.")
    said.filter(state__in=_WAITING).update(state=MessageState.FAILED, due_at=None, error="Erased.")
    contacts = Interaction.objects.filter(customer__in=customers, status=InteractionStatus.OPEN)
    for contact in contacts.order_by("pk").values_list("pk", flat=True):
        interactions.close(contact, by=promised.by)
    for ticket in Ticket.objects.filter(customer__in=customers).exclude(status__in=_OVER).order_by("pk"):
        tickets.solve(ticket, by=promised.by)


def _finish(promised: Erasure, loose: Loose) -> bool:
    """Everything of one person, in one transaction: all is gone, or nothing yet."""
    with transaction.atomic(), rows.serialised("earshot.ingest"):
        still = Erasure.objects.select_for_update().filter(pk=promised.pk, state=ErasureState.WAITING).first()
        if still is None:
            return False
        Customer.objects.select_for_update(no_key=True).filter(pk__in=family(promised.customer_id)).count()
        if holds.standing(promised.customer):
            return False  # set since we looked; the next pass says so
        found = traces.of_person(promised.customer_id) | loose.params()
        found |= _answers(found, loose.names | loose.addresses)
        # Any list written before may hold the person: its file goes, and who asked for it is told to ask again.
        found["exports"] = exports.withdraw(loose.exports)
        _hold_deliveries(found)
        counts = _counts(found)
        for label, kept in personal.register().items():
            _empty(label, kept, found, still.way)
        _echo(found, loose)
        audit.erase(_lines(found))
        search.forget(found["words"])
        _forget_made_words(found["words"])
        _prove(still, counts)
    return True


def _hold_deliveries(found: Params) -> None:
    """All that came of the person, in the order in which the doors hold what comes again."""
    of = personal.register()["crm.Delivery"].of
    rows.run(f"SELECT 1 FROM crm_delivery t WHERE {of} ORDER BY {delivery_turns.ORDER} FOR UPDATE", found)  # noqa: S608 - our own names and words, no one else's


def _empty(label: str, kept: personal.Kept, found: Params, way: str) -> None:
    """One table: the person's rows go, or lose their words, and with `erase` their facts."""
    if kept.by:
        if kept.by == "tags" and way == ErasureWay.ERASE:
            rows.run(f'DELETE FROM "{_table(label)}" t WHERE {kept.of}', found)  # noqa: S608 - our own names
        return
    if kept.goes:
        rows.run(f'DELETE FROM "{_table(label)}" t WHERE {kept.of}', found)  # noqa: S608 - our own names
        return
    emptied = {**kept.words, **(kept.facts if way == ErasureWay.ERASE else {})}
    if not emptied:
        return
    changes = ", ".join(f'"{column}" = {value}' for column, value in emptied.items())
    rows.run(f'UPDATE "{_table(label)}" t SET {changes} WHERE {kept.of}', found)  # noqa: S608 - our own names


def _lines(found: Params) -> list[int]:
    of = personal.register()["crm.Activity"].of
    return [row[0] for row in rows.run(f"SELECT t.id FROM crm_activity t WHERE {of}", found)]  # noqa: S608 - our own names and words, no one else's


def _forget_made_words(words: list[str]) -> None:
    rows.run(
        "DELETE FROM crm_importmade m WHERE m.noun = 'word' AND m.name = ANY(%s) "
        "AND NOT EXISTS (SELECT 1 FROM crm_nameword w WHERE w.word = m.name)",
        (words,),
    )


def _prove(promised: Erasure, counts: dict[str, int]) -> None:
    now = rows.run("SELECT clock_timestamp()")[0][0]
    promised.state, promised.done_at, promised.counts, promised.problem = ErasureState.DONE, now, counts, ""
    promised.save(update_fields=["state", "done_at", "counts", "problem"])
    Activity.objects.create(
        actor=promised.by, verb=f"customer.{promised.way}d", customer_id=promised.customer_id,
        data={"erasure": promised.pk, "why": promised.why, "counts": counts},
    )  # fmt: skip
    data = {"customer": promised.customer_id, "erasure": promised.pk}
    interactions.tell([(streams.EVENTS, "customer.erased", data)])


def _answers(found: Params, named: set[str]) -> Params:
    """Saved answers of REST writes and lines of the admin: few and short-lived, read whole."""
    answers = rows.run(
        """
        SELECT k.id FROM crm_idempotencykey k WHERE k.body IS NOT NULL AND (
            k.body->>'customer' = ANY(%(c)s) OR k.body->>'interaction' = ANY(%(i)s) OR k.body->>'ticket' = ANY(%(t)s)
            OR EXISTS (SELECT 1 FROM unnest(%(names)s::text[]) n WHERE position(n in lower(k.body::text)) > 0))
        """,
        {
            "c": [str(one) for one in found["customers"]],
            "i": [str(one) for one in found["interactions"]],
            "t": [str(one) for one in found["tickets"]],
            "names": sorted(named),
        },
    )
    lines = rows.run(
        """
        SELECT l.id FROM django_admin_log l JOIN django_content_type y ON y.id = l.content_type_id
        WHERE y.model = 'customer' AND l.object_id = ANY(%(c)s) OR y.model = 'identity' AND l.object_id = ANY(%(y)s)
           OR y.model = 'ticket' AND l.object_id = ANY(%(t)s)
        """,
        {
            "c": [str(one) for one in found["customers"]],
            "y": [str(one) for one in found["identities"]],
            "t": [str(one) for one in found["tickets"]],
        },
    )
    return {"answers": [row[0] for row in answers], "admin_lines": [row[0] for row in lines]}


# --- What others say to a person


def _echo(found: Params, loose: Loose) -> None:
    """In other people's words in the same threads, and in what was delivered of them, handle and ids are no more."""
    rows.run(
        f"UPDATE crm_message t SET in_reply_to = '' WHERE (t.channel_id, t.in_reply_to) IN "  # noqa: S608 - our own names
        f"(SELECT * FROM unnest(%(channels)s::bigint[], %(items)s::text[])) AND t.interaction_id IN ({personal.BESIDE})",
        found,
    )
    handles = sorted(one for one in loose.handles if len(one) >= traces.SHORTEST)
    for handle in handles:
        pattern = (
            "@"
            + "".join(sign if sign.isalnum() or sign == "_" else f"\\{sign}" for sign in handle)
            + r"(?!\w)"
        )
        for table, column, of in personal.all_echoes():
            rows.run(
                f'UPDATE "{table}" t SET "{column}" = regexp_replace(t."{column}", %(pattern)s, \'@erased\', \'gi\') '  # noqa: S608 - our own names and words, no one else's
                f'WHERE {of} AND t."{column}" ~* %(pattern)s',
                {**found, "pattern": pattern},
            )
    _echo_raw(found, loose, handles)


def _echo_raw(found: Params, loose: Loose, handles: list[str]) -> None:
    """The same in the bytes that came; in bytes, as they may be no text."""
    others: set[tuple[int, str]] = set()
    for statement in personal.beside_statements():
        others |= set(rows.run(statement, found))
    ordered = sorted(others - set(zip(found["channels"], found["items"], strict=True)))
    raws = rows.run(
        f"""
        SELECT d.id, d.raw FROM crm_delivery d WHERE d.raw <> '' AND (d.id = ANY(%s) OR (d.channel_id, d.external_id) IN
            (SELECT * FROM unnest(%s::bigint[], %s::text[]))) ORDER BY {delivery_turns.ORDER} FOR UPDATE
        """,  # noqa: S608 - our own words
        (loose.answering, [one[0] for one in ordered], [one[1] for one in ordered]),
    )
    named = [re.compile(rb"@" + re.escape(one.encode()) + rb"(?!\w)", re.IGNORECASE) for one in handles]
    quoted = {orjson.dumps(one) for one in found["items"]}
    for delivery_id, raw in raws:
        said = bytes(raw)
        for pattern in named:
            said = pattern.sub(b"@erased", said)
        said = _QUOTED.sub(lambda one: b'"erased"' if one[0] in quoted else one[0], said)
        if said != bytes(raw):
            rows.run("UPDATE crm_delivery SET raw = %s WHERE id = %s", (said, delivery_id))
