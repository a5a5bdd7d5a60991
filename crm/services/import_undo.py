"""The undo of an import: row by row from the last to the first, a chunk in a constant number of statements.

Exact means: what an import made goes, what it changed says again what it said before. What people or networks have used
or changed since stays as it is now, and the row says so.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

from crm import columns, rows
from crm.choices import RowOutcome, Trust
from crm.models import Company, Customer, Identity, ImportMade, Tag, Ticket
from crm.services import search
from crm.services.import_rows import LABELS, PLAIN, blank

ERASED = "erased since"  # what the undo says of such a row
SHOWN = 100  # names of what was kept

_WAITING = """
SELECT id, line, customer_id, did, report FROM crm_importrow WHERE of_id = %s AND waiting ORDER BY line DESC LIMIT %s
"""
_LOCK = """
SELECT id, name, company_id, language, value, vip, note, fields, public_figure, verified_before_disclosure, owner_id,
    preferred_identity_id, preferred_channel, merged_into_id
FROM crm_customer WHERE id = ANY(%s) ORDER BY id FOR UPDATE
"""
_OURS = (
    "SELECT customer_id FROM crm_importrow WHERE of_id = %s AND outcome = 'created' AND customer_id = ANY(%s)"
)
_ADDRESSES = """
SELECT id, customer_id, verified, trust, followers FROM crm_identity WHERE id = ANY(%s) OR customer_id = ANY(%s)
"""
_TAGS = "SELECT customer_id, tag_id FROM crm_customer_tags WHERE customer_id = ANY(%s)"
_PUT_BACK = """
UPDATE crm_customer c SET name = n.name, company_id = n.company_id, language = n.language, value = n.value, vip = n.vip,
    note = n.note, fields = n.fields
FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::numeric[], %s::boolean[], %s::text[], %s::jsonb[])
    AS n(id, name, company_id, language, value, vip, note, fields) WHERE c.id = n.id
"""
_UNTAG = """
DELETE FROM crm_customer_tags t USING unnest(%s::bigint[], %s::bigint[]) AS n(customer_id, tag_id)
WHERE t.customer_id = n.customer_id AND t.tag_id = n.tag_id
"""
_SETTLE = """
UPDATE crm_importrow r SET waiting = false, outcome = n.outcome, report = n.report
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS n(id, outcome, report) WHERE r.id = n.id
"""
_REST = (
    False,
    False,
    None,
    None,
    "",
    None,
)  # of a customer whom nobody has touched: public figure to merged into


@dataclass(slots=True)
class Held:
    """A customer as he is now."""

    values: dict[str, Any]
    own: dict[str, Any]
    touched: bool
    tags: set[int] = field(default_factory=set)
    addresses: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Now:
    """What a chunk's rows made and changed, as it is now."""

    customers: dict[int, Held]
    used: dict[int, str]
    addresses: dict[int, tuple]
    used_addresses: dict[int, str]
    companies: set[int]  # of those that customers would go back to, which still exist


@dataclass(slots=True)
class Work:
    """What a chunk's undoing writes."""

    gone: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    addresses: list[int] = field(default_factory=list)
    tags: list[tuple[int, int]] = field(default_factory=list)
    settled: list[tuple[int, str, str]] = field(default_factory=list)


def undo_rows(import_id: int, limit: int) -> Counter:
    """Undo the newest rows that wait; returns how many came to which outcome. Call inside a transaction."""
    waiting = rows.run(_WAITING, (import_id, limit))
    if not waiting:
        return Counter()
    found = [(one, customer, rows.from_json(did), report) for one, _, customer, did, report in waiting]
    # What was erased since says nothing any more of what it made.
    steps = [step for step in found if step[2]]
    now, work = _now(import_id, steps), Work()
    work.settled += [(one, RowOutcome.KEPT.value, ERASED) for one, _, did, _ in found if not did]
    for one, customer, did, report in steps:
        kept = _undo(customer, did, now, work)
        outcome = RowOutcome.KEPT if kept else RowOutcome.UNDONE
        said = f"{report}; kept: {', '.join(kept)}" if kept else report
        work.settled.append((one, outcome.value, said[:2000]))
    _write(now, work)
    return Counter(outcome for _, outcome, _ in work.settled)


# --- Looking


def _now(import_id: int, steps: list[tuple]) -> Now:
    ids = sorted({customer for _, customer, _, _ in steps})
    made = sorted({one for _, _, did, _ in steps for one in did["identities"]})
    ours = [row[0] for row in rows.run(_OURS, (import_id, ids))]
    customers = {
        row[0]: Held(dict(zip(PLAIN, row[1:7], strict=True)), rows.from_json(row[7]), row[8:] != _REST)
        for row in rows.run(_LOCK, (ids,))
    }
    for customer, tag in rows.run(_TAGS, (ids,)):
        customers[customer].tags.add(tag)
    addresses = {row[0]: row[1:] for row in rows.run(_ADDRESSES, (made, ours))}
    for one, (customer, *_) in addresses.items():
        if customer in customers:
            customers[customer].addresses.add(one)
    return Now(customers, uses(Customer, ours), addresses, uses(Identity, made), _companies(steps))


def _companies(steps: list[tuple]) -> set[int]:
    before = {did["changes"]["company"][0] for _, _, did, _ in steps if "company" in did["changes"]} - {None}
    if not before:
        return set()
    return {
        row[0]
        for row in rows.run("SELECT id FROM crm_company WHERE id = ANY(%s) FOR KEY SHARE", (sorted(before),))
    }


@cache
def _links(model: Any) -> tuple[tuple[str, str, str], ...]:
    """Every column of the house that points to a customer (an identity, …), by table, with the noun that people know."""
    own = {
        Customer: {"crm_identity", "crm_customer_tags"},
        Ticket: {"crm_ticket_tags", "crm_ticketclock"},
    }.get(model, set())
    links = []
    for relation in model._meta.get_fields(include_hidden=True):
        if relation.auto_created and not relation.concrete and not relation.field.many_to_many:
            other = relation.field.model._meta
            if other.db_table not in own:
                links.append((other.db_table, relation.field.column, str(other.verbose_name)))
    return tuple(sorted(links))


def uses(model: Any, ids: list[int], without: tuple[str, ...] = ()) -> dict[int, str]:
    """By what each of the rows is used; those that nothing points to are left out. One statement."""
    links = [link for link in _links(model) if link[0] not in without]
    if not ids or not links:
        return {}
    parts = [
        f'SELECT "{column}", %s FROM "{table}" WHERE "{column}" = ANY(%s)'  # noqa: S608 - our own names
        for table, column, _ in links
    ]
    params = [value for _, _, noun in links for value in (noun, ids)]
    with_nouns: dict[int, set[str]] = {}
    for one, noun in rows.run(" UNION ".join(parts), params):
        with_nouns.setdefault(one, set()).add(noun)
    return {one: f"has {' and '.join(sorted(nouns))}" for one, nouns in with_nouns.items()}


# --- Deciding


def _undo(customer: int, did: dict, now: Now, work: Work) -> list[str]:
    """Undo one row; returns why what of it stays."""
    held = now.customers.get(customer)
    if held is None:
        return ["the customer is gone"]
    if customer in now.used:
        return [now.used[customer]]
    if did["made"]:
        return _unmake(customer, did, held, now, work)
    kept = _put_back(did["changes"], held, now)
    if len(kept) < len(did["changes"]):
        work.changed.add(customer)
    for one in did["identities"]:
        if reason := _in_use(one, customer, now, did):
            kept.append(reason)
        else:
            _drop(one, held, now, work)
    for tag in did["tags"]:
        held.tags.discard(tag)
        work.tags.append((customer, tag))
    return kept


def _unmake(customer: int, did: dict, held: Held, now: Now, work: Work) -> list[str]:
    """Delete a customer that is exactly what the import made of him."""
    reasons = [reason for one in did["identities"] if (reason := _in_use(one, customer, now, did))]
    expected = blank() | {name: after for name, (_, after) in did["changes"].items()}
    if held.touched or any(_current(held, name) != after for name, after in expected.items()):
        reasons.append("the customer was changed since")
    elif held.tags - set(did["tags"]):
        reasons.append("the customer got tags since")
    elif held.addresses - set(did["identities"]):
        reasons.append("the customer got addresses since")
    elif len(held.own) > sum(name.startswith(columns.OWN) for name in did["changes"]):
        reasons.append("the customer got fields since")
    if reasons:
        return reasons
    for one in did["identities"]:
        _drop(one, held, now, work)
    work.tags += [(customer, tag) for tag in did["tags"]]
    work.gone.add(customer)
    del now.customers[customer]
    return []


def _put_back(changes: dict[str, list], held: Held, now: Now) -> list[str]:
    kept = []
    for name, (before, after) in changes.items():
        if _current(held, name) != after:
            kept.append(f"{LABELS.get(name, name.removeprefix(columns.OWN))} was changed since")
        elif name == "company" and before is not None and before not in now.companies:
            kept.append("the former company is gone")
        elif not name.startswith(columns.OWN):
            held.values[name] = Decimal(before) if name == "value" and before is not None else before
        elif before is None:
            held.own.pop(name.removeprefix(columns.OWN), None)
        else:
            held.own[name.removeprefix(columns.OWN)] = before
    return kept


def _current(held: Held, name: str) -> Any:
    if name.startswith(columns.OWN):
        return held.own.get(name.removeprefix(columns.OWN))
    value = held.values[name]
    return str(value) if isinstance(value, Decimal) else value


def _in_use(identity: int, customer: int, now: Now, did: dict) -> str:
    """Why an address stays, or nothing; one that is gone already does not."""
    found = now.addresses.get(identity)
    if found is None:
        return ""
    if identity in now.used_addresses:
        return f"an address {now.used_addresses[identity]}"
    holder, verified, trust, followers = found
    if holder != customer:
        return "an address moved to another customer"
    as_made = (False, did.get("trust", Trust.CLAIMED.value), None)
    return "" if (verified, trust, followers) == as_made else "an address was changed since"


def _drop(identity: int, held: Held, now: Now, work: Work) -> None:
    held.addresses.discard(identity)
    now.addresses.pop(identity, None)
    work.addresses.append(identity)


# --- Writing


def _write(now: Now, work: Work) -> None:
    if work.tags:
        rows.run(_UNTAG, ([one for one, _ in work.tags], [tag for _, tag in work.tags]))
    rows.run("DELETE FROM crm_identity WHERE id = ANY(%s)", (sorted(work.addresses),))
    rows.run("DELETE FROM crm_customer WHERE id = ANY(%s)", (sorted(work.gone),))
    if changed := sorted(work.changed - work.gone):
        held = [now.customers[one] for one in changed]
        plain = [[one.values[name] for one in held] for name in PLAIN]
        rows.run(_PUT_BACK, (changed, *plain, [rows.as_json(one.own) for one in held]))
    rows.run(_SETTLE, tuple(map(list, zip(*work.settled, strict=True))))


def undo_made(import_id: int) -> dict[str, list[str]]:
    """Companies, tags and words of names that the import made and nothing uses; returns the names of those that stay."""
    made = ImportMade.objects.filter(of=import_id)
    search.forget(list(made.filter(noun="word").values_list("name", flat=True)))
    kept = {}
    for noun, model in (("company", Company), ("tag", Tag)):
        named = dict(made.filter(noun=noun).values_list("row_id", "name"))
        used = uses(model, sorted(named))
        free = [
            one
            for one in model.objects.filter(pk__in=set(named) - set(used))
            if _untouched(one, named[one.pk])
        ]
        rows.run(f'DELETE FROM "{model._meta.db_table}" WHERE id = ANY(%s)', ([one.pk for one in free],))  # noqa: S608 - our own names and words, no one else's
        if stay := set(model.objects.filter(pk__in=named).values_list("name", flat=True)):
            kept[noun] = sorted(stay)[:SHOWN]
    made.delete()
    return kept


def _untouched(thing: Company | Tag, name: str) -> bool:
    if isinstance(thing, Tag):
        return thing.name == name
    said: Iterable[object] = (thing.domain, thing.parent_id, thing.owner_id, thing.note, thing.fields)
    return thing.name == name and not any(said)
