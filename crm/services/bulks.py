"""Edits of many rows of a list: chosen, previewed, made through the services of their noun, and undone as a whole.

The rows are fixed at the preview. Whoever is free takes the next thousand that wait in one transaction and a handful of
statements; each row is asked for anew, locked, with the rights that its editor has then. What a row was and became stands
beside it: the undo puts back what nobody has changed since, and says what it left.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from crm import events, rows, sources
from crm.access import find, may_somewhere, outside_closed, require_somewhere, sees_everything
from crm.bus import publish
from crm.choices import BulkOutcome, BulkState
from crm.errors import Conflict, DomainError, InvalidInput, NotFound
from crm.lists import LISTINGS, OWN, Column, Listing
from crm.models import Activity, Bulk, BulkRow, CustomField, Tag, Team, User
from crm.services import companies, customers, edits, fields, tickets
from crm.services.narrowing import Words, narrowed

AT_ONCE = 1_000  # rows; more are changed in the background
MOST = 10_000  # rows of one edit
CHUNK = 1_000
SHOWN = 8  # rows of a preview that are shown
KEPT_DAYS = 90  # then it cannot be undone any more
PROMISED = (BulkState.RUNNING, BulkState.UNDOING)
ADD, REMOVE = "add_tags", "remove_tags"

_KEEP = """
INSERT INTO crm_bulkrow (of_id, row_id, waiting, outcome, reason) SELECT %s, n.id, true, n.outcome, n.reason
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS n(id, outcome, reason)
"""
_SETTLE = """
UPDATE crm_bulkrow r SET waiting = false, outcome = n.outcome, reason = n.reason, before = n.before, after = n.after
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::jsonb[], %s::jsonb[]) AS n(id, outcome, reason, before, after)
WHERE r.id = n.id
"""


@dataclass(frozen=True, slots=True)
class Noun:
    """How rows of a noun are planned and written."""

    planned: Callable[..., dict]
    write: Callable[..., None]
    related: tuple[str, ...] = ()
    tagged: bool = True
    follows: Mapping[str, str] = field(
        default_factory=dict
    )  # column: of which; goes back with it, and never alone
    turn: Callable[[], AbstractContextManager] = nullcontext  # waited for before rows are locked


_NOUNS = {
    "customers": Noun(customers.planned, customers.write),
    "tickets": Noun(
        tickets.planned,
        tickets.write,
        ("status_name",),
        follows={"solved_at": "status", "priority_reason": "priority"},
    ),  # fmt: skip
    "companies": Noun(companies.planned, companies.write, tagged=False),
}
_filters: dict[str, Any] = {}


def register_filters(by_noun: dict[str, Any]) -> None:
    """Plug in what narrows each list."""
    _filters.update(by_noun)


def register(noun: str, how: Noun, filters: Any) -> None:
    """Plug in a noun of an app above, with what narrows its list."""
    _NOUNS[noun], _filters[noun] = how, filters


# --- What shall change


@dataclass(slots=True)
class Change:
    """A change of many rows, its words made rows: what each row is given."""

    values: dict[str, Any]
    add: list[Tag]
    remove: list[Tag]
    own: dict[str, Any]
    known: dict[str, CustomField]

    def of(self, row: Any) -> dict[str, Any]:
        """The changes of one row, as its service takes them."""
        given = dict(self.values)
        if self.own:
            given["fields"] = self.own
        if self.add or self.remove:
            gone = {tag.pk for tag in self.remove}
            held = [tag for tag in row.tags.all() if tag.pk not in gone]
            given["tags"] = [*held, *(tag for tag in self.add if tag not in held)]
        return given


def read(listing: Listing, said: Any, user: User) -> Change:
    """A change as programs say it; InvalidInput by name for what makes no sense."""
    if not isinstance(said, dict) or not said:
        raise InvalidInput("What shall change?", errors={"change": "names at least one column"})
    known = fields.of(listing.fields)
    columns = listing.columns()
    change, errors = Change({}, [], [], {}, known), {}
    for name, value in said.items():
        try:
            _take(change, name, value, columns, user, said)
        except ValueError as error:
            errors[f"change.{name}"[:80]] = str(error)
    if {tag.pk for tag in change.add} & {tag.pk for tag in change.remove}:
        errors[f"change.{ADD}"] = "a tag comes or goes, not both"
    if errors:
        raise InvalidInput("The rows cannot be changed so.", errors=errors)
    return change


def _take(change: Change, name: str, value: Any, columns: dict[str, Column], user: User, said: dict) -> None:
    column = columns.get("tags" if name in (ADD, REMOVE) else name)
    if name in (ADD, REMOVE) and column is not None:
        (change.add if name == ADD else change.remove).extend(_tags(value))
    elif name == "priority_reason" and "priority" in said:
        if not isinstance(value, str) or not 0 < len(value.strip()) <= 200 or "\x00" in value:
            raise ValueError("says why, in at most 200 characters")
        change.values[name] = value.strip()
    elif column is None or not column.edited or name == "tags":
        raise ValueError("cannot be changed in many rows")
    elif column.field:
        change.own[column.slug] = None if value is None else fields.fitted(change.known[column.slug], value)
    elif column.refers:
        change.values[name] = _referred(column, value, user)
    else:
        change.values[name] = _plain(column, value)


def _tags(value: Any) -> list[Tag]:
    if (
        not isinstance(value, list)
        or not 0 < len(value) <= 20
        or not all(isinstance(one, str) for one in value)
    ):
        raise ValueError("is a list of 1 to 20 tags, by slug")
    found = list(Tag.objects.filter(slug__in=[one for one in value if "\x00" not in one]))
    if missing := sorted({*value} - {tag.slug for tag in found}):
        raise ValueError(f"there is no tag {missing[0][:60]!r}")
    return found


def _referred(column: Column, value: Any, user: User) -> User | Team | None:
    if value is None:
        return None
    if type(value) is not int or not 0 < value < 2**63:
        raise ValueError("is an id, or null")
    wanted: QuerySet = (
        outside_closed(User.objects.filter(is_active=True), user, "team", own="pk")
        if column.refers == "users"
        else outside_closed(Team.objects.all(), user, "")
    )
    found = wanted.filter(pk=value).first()
    if found is None:
        raise ValueError("is nobody, or not yours to see")
    return found


def _plain(column: Column, value: Any) -> Any:
    if column.kind == "boolean":
        if not isinstance(value, bool):
            raise ValueError("is true or false")
        return value
    allowed = [one for one, _ in column.choices if one != "folded"]
    if value not in allowed:
        raise ValueError(f"is one of {', '.join(allowed)}")
    return value


# --- Choosing and trying


def preview(
    noun: str, change: Any, *, by: User, ids: list[int] | None = None, words: Words | None = None
) -> Bulk:
    """Choose rows, by hand or all that filters leave, and note for each what it would become. Changes nothing."""
    if noun not in LISTINGS:
        raise InvalidInput("Of which list?", errors={"noun": f"is one of {', '.join(LISTINGS)}"})
    if (ids is None) == (words is None):
        raise InvalidInput("Which rows?", errors={"ids": "give either ids or filters"})
    listing = LISTINGS[noun]
    require_somewhere(by, listing.edit)
    wanted = read(listing, change, by)
    visible = _workable(listing, by)
    chosen = (
        visible.filter(pk__in=ids) if ids is not None else narrowed(visible, _filters[noun], words or {}, by)
    )
    found = list(chosen.order_by("pk").values_list("pk", flat=True).distinct()[: MOST + 1])
    if len(found) > MOST:
        raise InvalidInput(
            f"At most {MOST:,} rows at once: narrow the list.", errors={"filters": "leave too many"}
        )
    if not found:
        raise InvalidInput("No row is chosen.", errors={"ids": "name no row that you may see"})
    asked = (
        {"rows": len(ids)}
        if ids is not None
        else {name: list(values) for name, values in (words or {}).items()}
    )
    with transaction.atomic():
        bulk = Bulk.objects.create(
            noun=noun, change=change, total=len(found), asked=asked, by=by, source=sources.current()
        )
        bulk.counts = dict(sum((_try(bulk, listing, wanted, ids) for ids in _chunks(found)), Counter()))
        bulk.save(update_fields=["counts"])
    return bulk


def _workable(listing: Listing, user: User) -> QuerySet:
    """The rows that a person may see and edit."""
    visible = listing.visible_to(user)
    held_by = getattr(
        visible, "held_by", None
    )  # rows that belong to nobody's team are edited by who may edit at all
    return held_by(user, listing.edit) if held_by and user.reach else visible


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


def _try(bulk: Bulk, listing: Listing, change: Change, ids: list[int]) -> Counter:
    plans = [_plan(bulk.noun, row, change) for row in _rows(listing, bulk.by, ids)]
    rows.run(
        _KEEP,
        (
            bulk.pk,
            [one.row.pk for one in plans],
            [one.outcome for one in plans],
            [one.reason for one in plans],
        ),
    )
    return Counter(one.outcome for one in plans)


def _rows(listing: Listing, user: User, ids: list[int], *, locked: bool = False) -> QuerySet:
    noun = _NOUNS[listing.noun]
    found = _workable(listing, user).filter(pk__in=ids).order_by("pk")
    if noun.related:
        found = found.select_related(*noun.related)
    if noun.tagged:
        found = found.prefetch_related("tags")
    return found.select_for_update(of=("self",)) if locked else found


@dataclass(slots=True)
class _Plan:
    """What becomes of a row."""

    row: Any
    outcome: str
    reason: str = ""
    changed: dict[str, Any] | None = None


def _plan(noun: str, row: Any, change: Change) -> _Plan:
    try:
        changed = _NOUNS[noun].planned(row, change.of(row), own=change.known)
    except DomainError as error:
        said = "; ".join(f"{name}: {text}" for name, text in error.extra.get("errors", {}).items())
        return _Plan(row, BulkOutcome.REFUSED.value, f"{error.detail} {said}".strip()[:300])
    if not changed:
        return _Plan(row, BulkOutcome.UNCHANGED.value)
    return _Plan(row, BulkOutcome.CHANGED.value, changed=changed)


def sample(bulk: Bulk) -> list[dict[str, Any]]:
    """Some rows that would change, each with what it has and what it would have: ids and slugs, not names."""
    listing = LISTINGS[bulk.noun]
    change = read(listing, bulk.change, bulk.by)
    wanted = (
        bulk.rows.filter(outcome=BulkOutcome.CHANGED)
        .order_by("row_id")
        .values_list("row_id", flat=True)[:SHOWN]
    )
    found = []
    for row in _rows(listing, bulk.by, list(wanted)):
        plan = _plan(bulk.noun, row, change)
        if plan.changed:
            before, after = _said(row, plan.changed)
            found.append({"id": row.pk, "row": str(row), "before": before, "after": after})
    return found


# --- Making and undoing


def start(bulk: Bulk, *, by: User) -> Bulk:
    """Make the edit: at once when it is short, else as a promise."""
    if by.pk != bulk.by_id:
        raise NotFound("Who previewed an edit makes it.")
    require_somewhere(by, LISTINGS[bulk.noun].edit)
    read(LISTINGS[bulk.noun], bulk.change, by)
    with transaction.atomic():
        held = _held(bulk, BulkState.OPEN)
        _move(held, BulkState.RUNNING)
    return _at_once(held)


def undo(bulk: Bulk, *, by: User) -> Bulk:
    """Put back what was changed and nobody has changed since; while it still runs, what it has done so far."""
    if by.pk != bulk.by_id and not sees_everything(by):
        raise NotFound("Who made an edit undoes it.")
    require_somewhere(by, LISTINGS[bulk.noun].edit)
    with transaction.atomic():
        held = _held(bulk, BulkState.DONE, BulkState.RUNNING)
        of_it = BulkRow.objects.filter(of=held)
        if not of_it.exists():
            raise Conflict(f"After {KEPT_DAYS} days an edit cannot be undone any more.", code="too_late")
        of_it.filter(waiting=True).update(waiting=False, outcome="")
        of_it.filter(outcome=BulkOutcome.CHANGED).update(waiting=True)
        held.undone_by = by
        held.save(update_fields=["undone_by"])
        _move(held, BulkState.UNDOING)
    return _at_once(held)


def _held(bulk: Bulk, *states: str) -> Bulk:
    held = Bulk.objects.select_for_update(of=("self",)).select_related("by", "undone_by").get(pk=bulk.pk)
    if held.state not in states:
        raise Conflict(
            f"The edit is {held.get_state_display().lower()}.", code="wrong_state", state=held.state
        )
    return held


def _move(held: Bulk, state: str) -> None:
    held.state, held.counts = state, {}
    held.save(update_fields=["state", "counts"])
    if held.total > AT_ONCE:
        publish(events.BulkPromised(bulk_id=held.pk))


def _at_once(held: Bulk) -> Bulk:
    if held.total <= AT_ONCE:
        work(held.pk)
        held.refresh_from_db()
    return held


def due() -> list[int]:
    """Edits with something promised."""
    return list(Bulk.objects.filter(state__in=PROMISED).order_by("pk").values_list("pk", flat=True))


def work(bulk_id: int, *, seconds: float | None = None) -> bool:
    """Go on with what was promised, chunk by chunk; False when something is left to do. One worker at a time."""
    until = None if seconds is None else time.monotonic() + seconds
    with _alone(bulk_id) as mine:
        while mine and _chunk(bulk_id):
            if until is not None and time.monotonic() > until:
                return False
    return True


@contextmanager
def _alone(bulk_id: int) -> Iterator[bool]:
    """Hold the connection's own lock; it goes with the connection."""
    name = f"earshot.bulk:{bulk_id}"
    mine = rows.run("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,))[0][0]
    try:
        yield mine
    finally:
        if mine:
            rows.run("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (name,))


def _chunk(bulk_id: int) -> int:
    """Deal with the next rows that wait, all or none; returns how many. None left: it is over."""
    with transaction.atomic():
        held = Bulk.objects.select_for_update(of=("self",)).select_related("by", "undone_by").get(pk=bulk_id)
        if held.state not in PROMISED:
            return 0
        waiting = list(held.rows.filter(waiting=True).order_by("row_id")[:CHUNK])
        undoing = held.state == BulkState.UNDOING
        if not waiting:
            _finish(held, undoing)
            return 0
        with sources.through(held.source), _NOUNS[held.noun].turn():
            settled = _put_back(held, waiting) if undoing else _make(held, waiting)
        _settle(waiting, settled)
        held.counts = dict(Counter(held.counts) + Counter(outcome for outcome, _ in settled.values()))
        held.save(update_fields=["counts"])
    return len(waiting)


Settled = dict[int, tuple[str, str]]  # by row: outcome, reason
GONE = (BulkOutcome.REFUSED.value, "It is not there any more, or not yours to see.")


def _make(held: Bulk, waiting: list[BulkRow]) -> Settled:
    listing, kept = LISTINGS[held.noun], {one.row_id: one for one in waiting}
    if not may_somewhere(held.by, listing.edit):
        return dict.fromkeys(kept, (BulkOutcome.REFUSED.value, "Your role does not include this any more."))
    try:
        change = read(listing, held.change, held.by)
    except InvalidInput as error:
        return dict.fromkeys(kept, (BulkOutcome.REFUSED.value, f"{error.detail} {error.extra}"[:300]))
    plans = [_plan(held.noun, row, change) for row in _rows(listing, held.by, list(kept), locked=True)]
    writing = [(one.row, one.changed) for one in plans if one.changed]
    for row, changed in writing:
        kept[row.pk].before, kept[row.pk].after = _said(row, changed)
    if writing:
        _NOUNS[held.noun].write(writing, by=held.by, bulk=held.pk)
    return dict.fromkeys(kept, GONE) | {one.row.pk: (one.outcome, one.reason) for one in plans}


def _settle(waiting: list[BulkRow], settled: Settled) -> None:
    rows.run(
        _SETTLE,
        (
            [one.pk for one in waiting], [settled[one.row_id][0] for one in waiting],
            [settled[one.row_id][1] for one in waiting], [rows.as_json(one.before) for one in waiting],
            [rows.as_json(one.after) for one in waiting],
        ),
    )  # fmt: skip


def _finish(held: Bulk, undoing: bool) -> None:
    if undoing:
        held.state, held.undone_at = BulkState.UNDONE, timezone.now()
    else:
        held.state, held.done_at = BulkState.DONE, timezone.now()
    held.save(update_fields=["state", "done_at", "undone_at"])
    data = {"bulk": held.pk, "list": held.noun, "rows": held.counts}
    verb = "bulk.undone" if undoing else "bulk.made"
    with sources.through(held.source):
        Activity.objects.create(
            actor=held.undone_by if undoing else held.by,
            verb=verb,
            data=data | {"columns": sorted(held.change)},
        )


def _said(row: Any, changed: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a row has and what it is given, by column: of fields each by itself, of tags which come and which go."""
    before, after = {}, {}
    for name, value in changed.items():
        if name == "fields":
            for slug in sorted({*row.fields, *value}):
                if row.fields.get(slug) != value.get(slug):
                    before[OWN + slug], after[OWN + slug] = row.fields.get(slug), value.get(slug)
        elif name == "tags":
            held, given = {*edits.held(row, "tags")}, {*edits.plain(value)}
            before["tags"], after["tags"] = sorted(held - given), sorted(given - held)
        else:
            before[name], after[name] = edits.kept(edits.held(row, name)), edits.kept(edits.plain(value))
    if "status" in changed and "solved_at" not in before and hasattr(row, "solved_at"):
        before["solved_at"], after["solved_at"] = edits.kept(row.solved_at), None
    return before, after


def _put_back(held: Bulk, waiting: list[BulkRow]) -> Settled:
    listing, by = LISTINGS[held.noun], held.undone_by or held.by
    kept = {one.row_id: one for one in waiting}
    if not may_somewhere(by, listing.edit):
        return dict.fromkeys(kept, (BulkOutcome.KEPT.value, "Your role does not include this any more."))
    settled: Settled = dict.fromkeys(kept, (BulkOutcome.KEPT.value, GONE[1]))
    writing = []
    for row in _rows(listing, by, list(kept), locked=True):
        back, left = _former(row, kept[row.pk], _NOUNS[held.noun].follows)
        if back:
            writing.append((row, back))
        said = f"Changed since, and left: {', '.join(sorted(left))}." if left else ""
        settled[row.pk] = (BulkOutcome.RESTORED.value if back else BulkOutcome.KEPT.value, said[:300])
    if writing:
        _NOUNS[held.noun].write(writing, by=by, bulk=held.pk, undo=True)
    return settled


def _former(row: Any, kept: BulkRow, follows: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """What of a row goes back to what it was, and the columns that somebody has changed since."""
    back: dict[str, Any] = {}
    left: list[str] = []
    own = dict(getattr(row, "fields", {}))
    for name, after in kept.after.items():
        before = kept.before.get(name)
        if name in follows:
            continue
        if name == "tags":
            tags = {*edits.held(row, "tags")}
            back["tags"] = sorted((tags - {*after}) | {*before})
        elif name.startswith(OWN):
            if own.get(slug := name.removeprefix(OWN)) != after:
                left.append(name)
            else:
                own = (
                    {**own, slug: before}
                    if before is not None
                    else {key: one for key, one in own.items() if key != slug}
                )
                back["fields"] = own
        elif edits.kept(edits.held(row, name)) != after:
            left.append(name)
        else:
            back[name] = before
    back |= {
        name: _read(name, kept.before[name])
        for name, of in follows.items()
        if name in kept.before and of in back
    }
    return {name: value for name, value in back.items() if edits.held(row, name) != edits.plain(value)}, left


def _read(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name == "solved_at" and value else value


def fetch(bulk_id: int, *, by: User) -> Bulk:
    """An edit of many rows, for who may see it."""
    return find(Bulk.objects.visible_to(by).select_related("by", "undone_by"), pk=bulk_id)


def forget_old() -> None:
    """Previews of yesterday go, and what was made long ago cannot be undone any more."""
    Bulk.objects.filter(state=BulkState.OPEN, at__lt=timezone.now() - timedelta(days=1)).delete()
    rows.run(
        "DELETE FROM crm_bulkrow r USING crm_bulk b WHERE r.of_id = b.id AND b.state = ANY(%s) "
        "AND coalesce(b.undone_at, b.done_at) < now() - make_interval(days => %s)",
        ([BulkState.DONE.value, BulkState.UNDONE.value], KEPT_DAYS),
    )
