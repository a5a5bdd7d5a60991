"""Lists as files: what somebody may see, narrowed as on the page, at once when it is short, else made in the background.

What can be exported is registered: the floor's own lists here, others by the apps above. A file belongs to who asked, and
only while he still sees what he saw then (`ExportQuerySet`); after a week it goes.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from crm import events, rows
from crm.access import OWN, Permission, find, granted, may, require_somewhere, work_filter
from crm.bus import publish
from crm.choices import ExportFormat, ExportState
from crm.errors import DomainError, InvalidInput, NotFound
from crm.models import Activity, Company, Customer, Erasure, Export, Interaction, Ticket, User
from crm.services.narrowing import Words, narrowed
from crm.spreadsheets import MOST_ROWS, write_csv, write_xlsx

log = logging.getLogger(__name__)

AT_ONCE = 1_000  # rows; more are a file made in the background
CHUNK = 1_000  # rows read at once
KEPT_DAYS = 7
WITHDRAWN = "Somebody in it was erased since. Ask for the list again."
ORPHAN_HOURS = 24  # after which a file that no row knows goes
MIME = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
MIME |= {"jsonl": "application/x-ndjson", "zip": "application/zip"}

Column = tuple[str, Callable[[Any], Any]]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list that can leave: who sees which rows of it, what narrows it (a FilterSet), what stands in its columns.

    `within` is over which rows somebody may export who was given that right within a scope.
    """

    visible_to: Callable[[User], QuerySet]
    within: Callable[[User], Q]
    filters: Any
    columns: tuple[Column, ...]
    related: tuple[str, ...] = ()
    many: tuple[str, ...] = ()


Maker = Callable[[Export, Path], int]
_listed: dict[str, Listed] = {}
_makers: dict[str, Maker] = {}


def register(noun: str, listed: Listed) -> None:
    """Plug a list in under its noun."""
    _listed[noun] = listed


def register_maker(noun: str, maker: Maker) -> None:
    """Plug in what is written by its own hand: it writes to a path and says how many rows there are."""
    _makers[noun] = maker


def nouns() -> list[str]:
    """What can be exported."""
    return sorted(_listed)


# --- Asking


@dataclass(frozen=True, slots=True)
class Ready:
    """A short list, written at once."""

    name: str
    mime: str
    body: bytes


def ask(noun: str, form: str, words: Words, *, by: User, kept: bool = False) -> Export | Ready:
    """A list as a file: at once up to AT_ONCE rows, else, or when it is to be `kept`, a promise. InvalidInput: odd filters."""
    require_somewhere(by, Permission.EXPORT)
    if form not in ExportFormat.values:
        raise InvalidInput("In which form?", errors={"format": f"is one of {', '.join(ExportFormat.values)}"})
    words = {name: list(values) for name, values in sorted(words.items()) if any(values)}
    found = _rows_of(noun, words, by)
    count = found.order_by().values("pk")[: AT_ONCE + 1].count()
    with transaction.atomic():
        _record(by, noun, form, words, count if count <= AT_ONCE else None)
        if kept or count > AT_ONCE:
            promised = Export.objects.create(
                noun=noun, form=form, query=words, by=by, role=by.role, team_id=by.team_id, reach=by.reach
            )
            publish(events.ExportAsked(export_id=promised.pk))
            return promised
    with tempfile.TemporaryDirectory(prefix="earshot-export-") as folder:
        path = Path(folder) / "list"
        _write(path, form, _listed[noun], found)
        return Ready(_name(noun, form), MIME[form], path.read_bytes())


def _record(by: User, noun: str, form: str, words: Words, count: int | None) -> None:
    data = {"list": noun, "format": form, "filters": words, "rows": count}
    Activity.objects.create(actor=by, verb="list.exported", data=data)


def _rows_of(noun: str, words: Words, by: User) -> QuerySet:
    if noun not in _listed:
        raise InvalidInput("Which list?", errors={"noun": f"is one of {', '.join(nouns())}"})
    listed = _listed[noun]
    seen = listed.visible_to(by)
    if not may(by, Permission.EXPORT):
        seen = seen.filter(listed.within(by))
    return narrowed(seen, listed.filters, words, by).order_by("pk")


def _name(noun: str, form: str) -> str:
    return f"{noun}-{timezone.localdate():%Y-%m-%d}.{form}"


# --- Writing


def _write(path: Path, form: str, listed: Listed, found: QuerySet) -> int:
    """Write the rows to a file that only its owner can read; returns how many."""
    path.touch(mode=0o600)
    counted = _Counted(_cells(listed, found))
    headers = [name for name, _ in listed.columns]
    if form == ExportFormat.JSONL:
        with path.open("wb") as file:
            for row in counted:
                file.write(orjson.dumps(dict(zip(headers, row, strict=True)), default=str) + b"\n")
    else:
        {"csv": write_csv, "xlsx": write_xlsx}[form](path, headers, counted)
    return counted.count


class _Counted:
    """Passes rows on and counts them."""

    def __init__(self, passed: Iterator[list]):
        self._passed = passed
        self.count = 0

    def __iter__(self) -> Iterator[list]:
        for row in self._passed:
            self.count += 1
            yield row


def _cells(listed: Listed, found: QuerySet) -> Iterator[list]:
    """Rows in the order of their ids, a chunk at a time from the place of the last: nothing is held open meanwhile."""
    found = found.select_related(*listed.related).prefetch_related(*listed.many)
    after = 0
    while page := list(found.filter(pk__gt=after)[:CHUNK]):
        for one in page:
            yield [value(one) for _, value in listed.columns]
        after = page[-1].pk


# --- In the background


def due() -> list[int]:
    """Exports that wait to be written."""
    return list(Export.objects.filter(state=ExportState.WAITING).order_by("pk").values_list("pk", flat=True))


def work(export_id: int) -> None:
    """Write a file that was promised; killed, it is written anew. One worker at a time."""
    with _alone(export_id) as mine:
        kept = Export.objects.filter(pk=export_id, state=ExportState.WAITING).select_related("by").first()
        if kept is None or not mine:
            return
        started = timezone.now()
        try:
            kept.rows = _make(kept)
            kept.state = ExportState.DONE
        except (DomainError, ValueError) as error:
            kept.state, kept.error = ExportState.FAILED, (str(error) or "It cannot be made.")[:200]
        kept.done_at = timezone.now()
        # Whoever was erased meanwhile may stand in it: it is written anew by the next who looks.
        if Erasure.objects.filter(done_at__gte=started).exists():
            path_of(kept).unlink(missing_ok=True)
            return
        if not Export.objects.filter(pk=kept.pk).exists():
            path_of(kept).unlink(missing_ok=True)
            return
        kept.save(update_fields=["rows", "state", "error", "done_at"])


def _make(kept: Export) -> int:
    if not Export.objects.visible_to(kept.by).filter(pk=kept.pk).exists():
        raise NotFound("Your rights have changed since: ask again.")
    if kept.noun in _makers:
        return _put(kept, _makers[kept.noun])
    found = _rows_of(kept.noun, kept.query, kept.by)
    if kept.form == ExportFormat.XLSX and found.order_by().values("pk")[:MOST_ROWS].count() >= MOST_ROWS:
        raise ValueError(f"A spreadsheet has at most {MOST_ROWS:,} rows: choose CSV.")
    return _put(kept, lambda _, part: _write(part, kept.form, _listed[kept.noun], found))


def _put(kept: Export, make: Maker) -> int:
    """Write beside, then put in place: a file is whole or not there."""
    path = path_of(kept)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    count = make(kept, part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    return count


@contextmanager
def _alone(export_id: int) -> Iterator[bool]:
    """Hold the connection's own lock; it goes with the connection."""
    name = f"earshot.export:{export_id}"
    mine = rows.run("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,))[0][0]
    try:
        yield mine
    finally:
        if mine:
            rows.run("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (name,))


# --- Fetching


def path_of(kept: Export) -> Path:
    """Where an export's file lies."""
    return Path(settings.HOME) / "exports" / f"{kept.pk}.{kept.form}"


def fetch(export_id: int, *, by: User) -> tuple[str, str, Path]:
    """An export's file for who asked for it: name, kind, path. To everybody else there is none."""
    kept = find(Export.objects.visible_to(by), pk=export_id, state=ExportState.DONE)
    path = path_of(kept)
    if not path.is_file():
        raise NotFound("The file is gone.")
    return f"{kept.noun}-{kept.done_at:%Y-%m-%d}.{kept.form}", MIME[kept.form], path


def withdraw(named: Sequence[int] = ()) -> list[int]:
    """Every file written until now goes, as somebody in it was erased; lists that were narrowed to him (`named`) go whole.

    In the eraser's transaction. Returns which. A file that is being written at this moment is written anew (`work`).
    """
    written = Export.objects.filter(state=ExportState.DONE).exclude(pk__in=named)
    gone = list(Export.objects.filter(pk__in=named)) + list(written)
    for kept in gone:
        path_of(kept).unlink(missing_ok=True)
        path_of(kept).with_suffix(".part").unlink(missing_ok=True)
    Export.objects.filter(pk__in=named).delete()
    written.update(state=ExportState.FAILED, error=WITHDRAWN)
    return [kept.pk for kept in gone]


def goes_at(kept: Export) -> Any:
    """When an export's file goes."""
    return kept.at + timedelta(days=KEPT_DAYS)


def forget_old() -> None:
    """Files of a week ago go with their rows, and files that no row knows."""
    for kept in Export.objects.filter(at__lt=timezone.now() - timedelta(days=KEPT_DAYS)):
        path_of(kept).unlink(missing_ok=True)
        kept.delete()
    folder = Path(settings.HOME) / "exports"
    known = {path_of(kept).stem for kept in Export.objects.only("pk", "form")}
    oldest = timezone.now().timestamp() - ORPHAN_HOURS * 3600
    for path in folder.glob("*"):
        if path.stem not in known and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)


# --- The floor's own lists


def _addresses(kind: str) -> Callable[[Customer], str]:
    return lambda customer: "; ".join(one.value for one in customer.identities.all() if one.kind == kind)


def _handles(customer: Customer) -> str:
    found = [one for one in customer.identities.all() if one.kind not in ("email", "phone")]
    return "; ".join(f"{one.kind}: {one.handle or one.value}" for one in found)


def _own(customer: Any) -> str:
    return orjson.dumps(customer.fields, option=orjson.OPT_SORT_KEYS).decode() if customer.fields else ""


CUSTOMERS: tuple[Column, ...] = (
    ("id", lambda one: one.pk), ("name", lambda one: one.name), ("email", _addresses("email")), ("phone", _addresses("phone")),
    ("handles", _handles), ("company", lambda one: one.company.name if one.company else ""),
    ("language", lambda one: one.language), ("value", lambda one: one.value), ("vip", lambda one: one.vip),
    ("public_figure", lambda one: one.public_figure), ("owner", lambda one: str(one.owner or "")),
    ("tags", lambda one: "; ".join(tag.name for tag in one.tags.all())), ("note", lambda one: one.note), ("fields", _own),
    ("created_at", lambda one: one.created_at),
)  # fmt: skip
TICKETS: tuple[Column, ...] = (
    ("number", lambda one: one.number), ("subject", lambda one: one.subject), ("customer_id", lambda one: one.customer_id),
    ("customer", lambda one: one.customer.name), ("brand", lambda one: one.brand.name), ("status", lambda one: one.status),
    ("kind", lambda one: one.kind), ("topic", lambda one: one.topic), ("priority", lambda one: one.priority),
    ("team", lambda one: one.team.name if one.team else ""), ("owner", lambda one: str(one.owner or "")),
    ("tags", lambda one: "; ".join(tag.name for tag in one.tags.all())), ("fields", _own),
    ("opened_at", lambda one: one.opened_at), ("updated_at", lambda one: one.updated_at), ("due_at", lambda one: one.due_at),
    ("solved_at", lambda one: one.solved_at),
)  # fmt: skip
INTERACTIONS: tuple[Column, ...] = (
    ("id", lambda one: one.pk), ("ticket", lambda one: one.ticket.number), ("customer_id", lambda one: one.customer_id),
    ("customer", lambda one: one.customer.name), ("channel", lambda one: one.channel.slug),
    ("kind", lambda one: one.channel.kind), ("family", lambda one: one.family), ("audience", lambda one: one.audience),
    ("status", lambda one: one.status), ("team", lambda one: one.team.name if one.team else ""),
    ("assigned_to", lambda one: str(one.assigned_to or "")), ("language", lambda one: one.language),
    ("topic", lambda one: one.topic), ("sentiment", lambda one: one.sentiment), ("reach", lambda one: one.reach),
    ("opened_at", lambda one: one.opened_at), ("received_at", lambda one: one.received_at),
    ("first_response_at", lambda one: one.first_response_at), ("last_message_at", lambda one: one.last_message_at),
    ("closed_at", lambda one: one.closed_at), ("reason", lambda one: one.reason), ("outcome", lambda one: one.outcome),
)  # fmt: skip


COMPANIES: tuple[Column, ...] = (
    ("id", lambda one: one.pk), ("name", lambda one: one.name), ("domain", lambda one: one.domain),
    ("parent", lambda one: one.parent.name if one.parent else ""), ("owner", lambda one: one.owner.email if one.owner else ""),
    ("note", lambda one: one.note), ("fields", _own), ("created_at", lambda one: one.created_at),
)  # fmt: skip


# A scope spans contacts and tickets; who has one in it, and whose company he is of, belongs to it.


def _tickets_within(user: User) -> Q:
    return Q(pk__in=Ticket.objects.held_by(user, Permission.EXPORT).values("pk"))


def _contacts_within(user: User) -> Q:
    return work_filter(user, permission=Permission.EXPORT)


def _customers_within(user: User) -> Q:
    contacts = Interaction.objects.filter(_contacts_within(user), customer=OuterRef("pk"))
    tickets = Ticket.objects.held_by(user, Permission.EXPORT).filter(customer=OuterRef("pk"))
    return Exists(contacts) | Exists(tickets) | _owned(user)


def _companies_within(user: User) -> Q:
    return Exists(Customer.objects.filter(_customers_within(user), company=OuterRef("pk"))) | _owned(user)


def _owned(user: User) -> Q:
    return Q(owner=user.pk) if OWN in granted(user, Permission.EXPORT) else Q(pk__in=[])


def register_own(customers: Any, tickets: Any, interactions: Any, companies: Any) -> None:
    """Plug the floor's lists in, each with what narrows it."""
    people = Customer.objects
    register(
        "customers",
        Listed(
            lambda user: people.visible_to(user).filter(merged_into=None), _customers_within,
            customers, CUSTOMERS, ("company", "owner"), ("identities", "tags"),
        ),
    )  # fmt: skip
    register(
        "tickets",
        Listed(
            Ticket.objects.visible_to, _tickets_within,
            tickets, TICKETS, ("customer", "brand", "team", "owner"), ("tags",),
        ),
    )  # fmt: skip
    register(
        "companies",
        Listed(Company.objects.visible_to, _companies_within, companies, COMPANIES, ("parent", "owner")),
    )
    register(
        "interactions",
        Listed(
            Interaction.objects.visible_to, _contacts_within, interactions, INTERACTIONS,
            ("customer", "ticket", "channel", "team", "assigned_to"),
        ),
    )  # fmt: skip
