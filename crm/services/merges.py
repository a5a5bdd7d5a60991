"""Two customers are one person: merged by a person, and parted again at any later time.

A merge moves rows, and remembers which. Nothing is folded: contacts keep their identity (`threads`), so each answer leaves
to whom it answers, and what came after a merge is told apart by its identity when the two are parted. The history of
who did what (`Activity`) is append-only and stays where it was written; it is found by ticket and contact.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.db import models, transaction

from crm import events, rows
from crm.bus import publish
from crm.choices import ErasureState
from crm.errors import Conflict, InvalidInput, NotFound
from crm.models import Activity, Customer, Erasure, Merge, MovedRow, Ticket, User
from crm.services import interactions, streams, tickets
from crm.services.retries import steadily

# What of two customers may differ, and whom a merge asks about.
FIELDS = (
    "name",
    "language",
    "company",
    "value",
    "vip",
    "public_figure",
    "owner",
    "preferred_channel",
    "note",
)
_FIRST = (
    "crm_identity",
    "crm_interaction",
    "crm_ticket",
)  # moved in this order, as others lock them; the rest by name

# The merged ticket of a standing merge by which a contact came onto another person's ticket, or to another person's contact
# that was there before it; the smallest merge first: of merges in a chain the one that brought it.
_CROSSING = """
SELECT s.merged_id FROM crm_interaction i JOIN crm_ticket t ON t.id = i.ticket_id
JOIN crm_ticketmerge s ON s.undone_at IS NULL AND s.interaction_ids @> to_jsonb(i.id)
WHERE i.customer_id = ANY(%s) AND (t.customer_id <> i.customer_id OR EXISTS (
    SELECT 1 FROM crm_interaction o WHERE o.ticket_id = t.id AND o.customer_id <> i.customer_id
        AND NOT s.interaction_ids @> to_jsonb(o.id)))
ORDER BY jsonb_array_length(s.interaction_ids), s.id DESC LIMIT 1
"""
# A ticket on which two persons' contacts remain becomes two: the copy continues it.
_COPIES = """
SELECT i.ticket_id, i.customer_id, bool_or(i.status = 'open' AND i.folded_into_id IS NULL), array_agg(i.id)
FROM crm_interaction i JOIN crm_ticket t ON t.id = i.ticket_id
WHERE i.customer_id = ANY(%s) AND t.customer_id <> i.customer_id GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Link:
    """A column that points to a customer, and the columns with which it must be unique."""

    table: str
    column: str
    key: str
    unique_with: tuple[tuple[str, ...], ...]


@cache
def _links() -> tuple[Link, ...]:
    """Every column of the floor that points to a customer, so that a noun added later moves too."""
    left_out = {Merge, MovedRow, Activity, Customer}
    fields = [
        relation.field
        for relation in Customer._meta.get_fields(include_hidden=True)
        if relation.auto_created and not relation.concrete and not relation.field.many_to_many
    ]
    links = [
        Link(
            field.model._meta.db_table,
            field.column,
            field.model._meta.pk.column,
            tuple(_uniqueness(field.model, field)),
        )
        for field in fields
        if field.model not in left_out and field.model._meta.app_label == "crm"
    ]
    return tuple(sorted(links, key=lambda link: (link.table not in _FIRST, link.table)))


def _uniqueness(model: type[models.Model], field: models.Field) -> Iterable[tuple[str, ...]]:
    unique = [
        one
        for one in model._meta.constraints
        if isinstance(one, models.UniqueConstraint) and one.condition is None
    ]
    named = [tuple(one.fields) for one in unique]
    for names in [*named, *model._meta.unique_together]:
        if field.name in names:
            yield tuple(model._meta.get_field(name).column for name in names if name != field.name)


# --- Looking


def preview(survivor: Customer, other: Customer) -> dict[str, Any]:
    """What a merge would do: fields that differ with the value that would be kept, and how many rows would move."""
    conflicts = []
    for name in FIELDS:
        mine, theirs = _value(survivor, name), _value(other, name)
        if mine != theirs and _says(theirs):
            kept = mine if _says(mine) else theirs
            conflicts.append({"field": name, "survivor": mine, "merged": theirs, "kept": kept})
    counts = {link.table.removeprefix("crm_"): _count(link, other.pk) for link in _links()}
    return {
        "survivor": survivor.pk,
        "merged": other.pk,
        "conflicts": conflicts,
        "moves": {name: count for name, count in counts.items() if count},
    }


def _count(link: Link, customer_id: int) -> int:
    sql = f'SELECT count(*) FROM "{link.table}" WHERE "{link.column}" = %s'  # noqa: S608 - our own names
    return rows.run(sql, (customer_id,))[0][0]


def _value(customer: Customer, name: str) -> Any:
    """A field's value; of a person or company its id."""
    return getattr(customer, Customer._meta.get_field(name).attname)


def _says(value: object) -> bool:
    return value not in ("", None, False)


_FAMILY = """
WITH RECURSIVE merged(id) AS (
    SELECT %s::bigint UNION SELECT c.id FROM merged m JOIN crm_merge g ON g.survivor_id = m.id AND g.undone_at IS NULL
        JOIN crm_customer c ON c.id = g.merged_id AND c.merged_into_id = m.id
) SELECT id FROM merged ORDER BY id
"""


def family(customer_id: int) -> list[int]:
    """A customer and all who were merged into it, also through others."""
    return [row[0] for row in rows.run(_FAMILY, (customer_id,))]


def holder_of(customer: Customer) -> Customer:
    """Who answers for a customer now: itself, or the last one it was merged into."""
    while customer.merged_into_id is not None:
        customer = customer.merged_into
    return customer


# --- Merging


def merge(
    survivor: Customer,
    other: Customer,
    *,
    by: User | None,
    take: Iterable[str] = (),
    score: float | None = None,
) -> Merge:
    """Make two customers one. `take` names fields in which the merged one is right. Raises Conflict when either is part of
    another already."""
    if unknown := set(take) - set(FIELDS):
        raise InvalidInput("No such field.", errors={"take": f"holds {', '.join(sorted(unknown))}"})
    if survivor.pk == other.pk:
        raise Conflict("A customer cannot be merged into itself.", code="same_customer")
    return steadily(lambda: _merge(survivor.pk, other.pk, by, set(take), score))


def _merge(survivor_id: int, other_id: int, by: User | None, take: set[str], score: float | None) -> Merge:
    # Batches of arrivals and merges take turns: no item is placed by who its author was a moment ago.
    with transaction.atomic(), rows.serialised("earshot.ingest"):
        survivor, other = _both(survivor_id, other_id)
        for one in (survivor, other):
            if one.merged_into_id is not None:
                raise Conflict(
                    "It is part of another customer already.", code="already_merged", into=one.merged_into_id
                )
            _refuse_erased(one)
        step = Merge.objects.create(
            survivor=survivor, merged=other, fields=_take(survivor, other, take), score=score, by=by
        )
        for link in _links():
            _move(link, step)
        other.merged_into = survivor
        other.save(update_fields=["merged_into"])
        _clocks_again(survivor.pk)
        _record(step, by, "customer.merged", "customer.merged_into")
        _say(step, survivor.pk, "customer.merged")
    return step


def _refuse_erased(customer: Customer) -> None:
    """Whose record is gone, or about to go, is not made another one."""
    if customer.erased_at or Erasure.objects.filter(customer=customer, state=ErasureState.WAITING).exists():
        raise Conflict("This record is erased, or about to be.", code="erased")


def _both(*ids: int) -> list[Customer]:
    """Customers, locked in the order of their ids, given as asked."""
    locked = {
        one.pk: one
        for one in Customer.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    }
    if len(locked) < len(set(ids)):
        raise NotFound("There is no such customer.")
    return [locked[one] for one in ids]


def _take(survivor: Customer, other: Customer, take: set[str]) -> dict[str, list]:
    """Set the survivor's fields: gaps are filled, and what `take` names is the other's. Returns what changed."""
    changed: dict[str, list] = {}
    for name in FIELDS:
        mine, theirs = _value(survivor, name), _value(other, name)
        if mine != theirs and (name in take or (not _says(mine) and _says(theirs))):
            setattr(survivor, Customer._meta.get_field(name).attname, theirs)
            changed[name] = [_plain(mine), _plain(theirs)]
    if (both := {**other.fields, **survivor.fields}) != survivor.fields:
        changed["fields"] = [survivor.fields, both]
        survivor.fields = both
    if survivor.verified_before_disclosure and not other.verified_before_disclosure:
        # One of the two was never verified: neither is the whole.
        survivor.verified_before_disclosure = False
        changed["verified_before_disclosure"] = [True, False]
    if changed:
        survivor.save(update_fields=list(changed))
    return changed


def _plain(value: object) -> object:
    return value if isinstance(value, str | bool | dict | None) else str(value)


def _move(link: Link, step: Merge) -> None:
    """The merged one's rows become the survivor's and are remembered; what the survivor has already stays behind."""
    sql = f"""
        WITH moved AS (
            UPDATE "{link.table}" t SET "{link.column}" = %s
            WHERE t."{link.column}" = %s {_free(link)} RETURNING t."{link.key}" AS id
        )
        INSERT INTO crm_movedrow (merge_id, "table", row_id) SELECT %s, %s, id FROM moved
    """  # noqa: S608 - our own names
    free = [step.survivor_id] * len(link.unique_with)
    rows.run(sql, (step.survivor_id, step.merged_id, *free, step.pk, link.table))


def _free(link: Link) -> str:
    """Condition that the new owner has no such row yet; one parameter for each uniqueness."""
    parts = []
    for columns in link.unique_with:
        same = "".join(f' AND o."{column}" = t."{column}"' for column in columns)
        taken = f'SELECT 1 FROM "{link.table}" o WHERE o."{link.column}" = %s{same}'  # noqa: S608 - our own names
        parts.append(f"AND NOT EXISTS ({taken})")
    return " ".join(parts)


def _clocks_again(customer_id: int) -> None:
    """Promises may depend on whose ticket it is."""
    rows.run(
        "UPDATE crm_ticket SET clocked_at = NULL WHERE customer_id = %s AND status NOT IN ('solved', 'closed', 'folded')",
        (customer_id,),
    )


# --- Parting


def undo(step: Merge, *, by: User | None) -> Merge:
    """Part two customers again: what moved goes back, and what came since goes with its identity. Raises Conflict twice."""
    return steadily(lambda: _undo(step.pk, by))


def _undo(step_id: int, by: User | None) -> Merge:
    with transaction.atomic(), rows.serialised("earshot.ingest"):
        step = Merge.objects.select_for_update(of=("self",)).select_related("survivor").get(pk=step_id)
        if step.undone_at is not None:
            raise Conflict("It was undone already.", code="already_undone")
        # Later the survivor itself may have become part of another: the rows are there now.
        holder, survivor, other = _both(holder_of(step.survivor).pk, step.survivor_id, step.merged_id)
        _refuse_erased(holder)
        for link in _links():
            _move_back(link, step, holder.pk)
        _forget(step)
        _follow_identities(holder.pk, other.pk)
        _part_tickets(holder.pk, other.pk, by)
        _restore(survivor, step.fields)
        other.merged_into = None
        other.save(update_fields=["merged_into"])
        step.undone_by, step.undone_at = by, _now()
        step.save(update_fields=["undone_by", "undone_at"])
        _clocks_again(other.pk)
        _record(step, by, "customer.parted", "customer.parted_from")
        _say(step, other.pk, "customer.parted")
    return step


def _move_back(link: Link, step: Merge, holder_id: int) -> None:
    sql = f"""
        UPDATE "{link.table}" t SET "{link.column}" = %s FROM crm_movedrow m
        WHERE m.merge_id = %s AND m."table" = %s AND t."{link.key}" = m.row_id AND t."{link.column}" = %s {_free(link)}
    """  # noqa: S608 - our own names
    free = [step.merged_id] * len(link.unique_with)
    rows.run(sql, (step.merged_id, step.pk, link.table, holder_id, *free))


def _forget(step: Merge) -> None:
    """Merges of the survivor into others carried these rows along; they have nothing to give back of them any more."""
    rows.run(
        """
        WITH RECURSIVE above(id, survivor_id) AS (
            SELECT id, survivor_id FROM crm_merge WHERE merged_id = %s AND undone_at IS NULL
            UNION SELECT g.id, g.survivor_id FROM above a JOIN crm_merge g ON g.merged_id = a.survivor_id AND g.undone_at IS NULL
        )
        DELETE FROM crm_movedrow l USING above a, crm_movedrow m
        WHERE m.merge_id = %s AND l.merge_id = a.id AND l."table" = m."table" AND l.row_id = m.row_id
        """,
        (step.survivor_id, step.pk),
    )


def _follow_identities(holder_id: int, other_id: int) -> None:
    """Contacts belong to whom their identity belongs, and tickets follow them."""
    rows.run(
        "UPDATE crm_interaction i SET customer_id = y.customer_id FROM crm_identity y "
        "WHERE y.id = i.identity_id AND y.customer_id = ANY(%s) AND i.customer_id <> y.customer_id",
        ([holder_id, other_id],),
    )
    rows.run(
        "UPDATE crm_customer c SET preferred_identity_id = NULL FROM crm_identity y "
        "WHERE c.id = ANY(%s) AND y.id = c.preferred_identity_id AND y.customer_id <> c.id",
        ([holder_id, other_id],),
    )
    _follow_contacts(holder_id, other_id)


def _follow_contacts(holder_id: int, other_id: int) -> None:
    """A ticket goes with its contacts when all of them go."""
    for mine, theirs in ((other_id, holder_id), (holder_id, other_id)):
        rows.run(
            """
            UPDATE crm_ticket t SET customer_id = %s
            WHERE t.customer_id = %s AND t.id IN (SELECT ticket_id FROM crm_interaction WHERE customer_id = %s)
                AND NOT EXISTS (SELECT 1 FROM crm_interaction o WHERE o.ticket_id = t.id AND o.customer_id <> %s)
            """,
            (mine, theirs, mine, mine),
        )


def _part_tickets(holder_id: int, other_id: int, by: User | None) -> None:
    """Tickets that were merged across the two are unmerged; what is still mixed gets a ticket of its own."""
    both = [holder_id, other_id]
    while crossing := rows.run(_CROSSING, (both,)):
        tickets.unmerge(Ticket(pk=crossing[0][0]), by=by)
        _follow_contacts(holder_id, other_id)
    for ticket_id, customer_id, is_open, contacts in rows.run(_COPIES, (both,)):
        _copy(ticket_id, customer_id, is_open, contacts)


def _copy(ticket_id: int, customer_id: int, is_open: bool, contacts: list[int]) -> None:
    ticket = Ticket.objects.get(pk=ticket_id)
    over = ticket.status in tickets.OVER and not is_open
    copy = Ticket.objects.create(
        customer_id=customer_id, brand_id=ticket.brand_id, subject=ticket.subject, topic=ticket.topic, team_id=ticket.team_id,
        owner_id=ticket.owner_id, priority=ticket.priority, continues_id=ticket.pk, opened_at=ticket.opened_at,
        status=ticket.status if over else "waiting_on_us" if is_open else "solved",
        solved_at=None if is_open else ticket.solved_at or _now(),
    )  # fmt: skip
    rows.run("UPDATE crm_interaction SET ticket_id = %s WHERE id = ANY(%s)", (copy.pk, contacts))


def _restore(survivor: Customer, fields: dict[str, list]) -> None:
    """Fields that still say what the merge made them say go back to what they said before."""
    changed = []
    for name, (before, after) in fields.items():
        if _plain(_value(survivor, name)) == after:
            field = Customer._meta.get_field(name)
            setattr(survivor, field.attname, field.to_python(before))
            changed.append(name)
    if changed:
        survivor.save(update_fields=changed)


# --- Saying


def _record(step: Merge, by: User | None, of_survivor: str, of_merged: str) -> None:
    Activity.objects.bulk_create([
        Activity(actor=by, verb=of_survivor, customer_id=step.survivor_id, data={"merge": step.pk, "other": step.merged_id}),
        Activity(actor=by, verb=of_merged, customer_id=step.merged_id, data={"merge": step.pk, "other": step.survivor_id}),
    ])  # fmt: skip


def _say(step: Merge, gained_by: int, kind: str) -> None:
    publish(events.IdentitiesMoved(customer_id=gained_by))
    data = {"merge": step.pk, "customer": step.survivor_id, "other": step.merged_id}
    contacts = rows.run(
        "SELECT id FROM crm_interaction WHERE customer_id = %s AND status = 'open' ORDER BY id LIMIT 100",
        (gained_by,),
    )
    told: list[streams.Telling] = [
        (f"interaction:{contact}", "interaction.updated", {"interaction": contact}) for (contact,) in contacts
    ]
    interactions.tell([*told, (streams.EVENTS, kind, data)])


def _now() -> datetime:
    return rows.run("SELECT now()")[0][0]
