"""Customers and what belongs to them from files: kept at the upload, mapped, tried dry, read in, and undone as a whole.

The file's rows are kept first, each with a flag that says that it waits; whoever is free takes the next chunk of them in
one transaction, so a kill loses nothing and doubles nothing. The history of who did what holds one line for an import
and one for its undoing: lines that cannot be deleted would forbid to undo.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from django.db import DataError, IntegrityError, OperationalError, transaction
from django.utils import timezone

from crm import columns, events, rows
from crm.bus import publish
from crm.choices import ImportNoun, ImportState, RowOutcome
from crm.columns import RowReader
from crm.errors import Conflict, InvalidInput
from crm.models import Activity, CustomField, Import, ImportRow, User
from crm.services import import_records, import_rows, import_undo, interactions, streams
from crm.services.import_rows import MovedError
from crm.spreadsheets import is_spreadsheet, spreadsheet_of
from crm.tables import Table, UnreadableError, decoded, table_of

LARGEST_FILE = 50 * 1024 * 1024  # bytes
MOST_ROWS = 500_000
CHUNK = 1_000  # rows of one transaction
SAMPLE = 500  # rows that a mapping is guessed from
TRIES = 5  # of a chunk when others write the same customers
KEPT_DAYS = 90  # then the rows of a finished import go, and it cannot be undone any more
_STEP = 5_000  # rows written at once at the upload
_RETRIED = {"40P01", "40001"}
PROMISED = (ImportState.CHECKING, ImportState.RUNNING, ImportState.UNDOING)

_WAITING = (
    "SELECT id, line, cells, problem FROM crm_importrow WHERE of_id = %s AND waiting ORDER BY line LIMIT %s"
)
_AFTER = (
    "SELECT id, line, cells, problem FROM crm_importrow WHERE of_id = %s AND line > %s ORDER BY line LIMIT %s"
)
_NOTE = """
UPDATE crm_importrow r SET outcome = n.outcome, report = n.report
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS n(id, outcome, report) WHERE r.id = n.id
"""
_SETTLE = """
UPDATE crm_importrow r SET waiting = false, outcome = n.outcome, report = n.report, customer_id = n.customer_id,
    did = n.did, digest = n.digest
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::jsonb[], %s::text[])
    AS n(id, outcome, report, customer_id, did, digest) WHERE r.id = n.id
"""


# --- Before anything is written


def upload(raw: bytes, name: str, *, by: User | None, noun: str = ImportNoun.CUSTOMERS) -> Import:
    """Keep a file with a guess of what its columns are. What cannot be read raises InvalidInput."""
    name = " ".join(name.replace("\\", "/").rpartition("/")[2].split()).replace("\x00", "")[:200] or "file"
    if noun not in ImportNoun.values:
        raise InvalidInput("What is in it?", errors={"noun": f"is one of {', '.join(ImportNoun.values)}"})
    table = _read(raw, name)
    own = _own_fields(noun)
    mapping = columns.guess_mapping(table.headers, table.rows[:SAMPLE], own, noun)
    with transaction.atomic():
        kept = Import.objects.create(
            name=name, noun=noun, headers=table.headers, mapping=mapping, total=len(table.rows), by=by,
            region=columns.guess_region(table.rows[:SAMPLE], mapping),
        )  # fmt: skip
        for batch in _batches(zip(table.lines, table.rows, strict=True), _STEP):
            _keep(kept, batch, table.problems)
    return kept


def _read(raw: bytes, name: str) -> Table:
    if len(raw) > LARGEST_FILE:
        raise InvalidInput(f"{name}: is larger than {LARGEST_FILE // 1024 // 1024} MB.", status=413)
    try:
        table = spreadsheet_of(raw, name) if is_spreadsheet(raw) else _csv(raw, name)
    except UnreadableError as error:
        raise InvalidInput(str(error)[:500]) from None
    if len(table.rows) > MOST_ROWS:
        raise InvalidInput(
            f"{name}: has {len(table.rows):,} rows; at most {MOST_ROWS:,} are read at once.", status=413
        )
    return table


def _csv(raw: bytes, name: str) -> Table:
    return table_of(decoded(raw, name), name, keep_broken=True)


def _batches(items: Iterator[tuple[int, list[str]]], size: int) -> Iterator[list[tuple[int, list[str]]]]:
    while batch := list(islice(items, size)):
        yield batch


def _keep(kept: Import, batch: list[tuple[int, list[str]]], problems: dict[int, str]) -> None:
    rows.insert(
        "crm_importrow",
        {
            "of_id": ("bigint", [kept.pk] * len(batch)),
            "line": ("int", [line for line, _ in batch]),
            "cells": ("jsonb", [rows.as_json(cells) for _, cells in batch]),
            "waiting": ("boolean", [True] * len(batch)),
            "problem": ("text", [problems.get(line, "")[:500] for line, _ in batch]),
        },
    )


def _own_fields(noun: str) -> list[tuple[str, str]]:
    found = CustomField.objects.filter(noun=columns.OWN_OF.get(noun, "-"), retired=False, restricted=False)
    return list(found.values_list("slug", "label"))


def targets(noun: str) -> list[tuple[str, str]]:
    """What a column can be: (name, label), fields of our own last."""
    own = [(f"{columns.OWN}{slug}", label) for slug, label in _own_fields(noun)]
    return [*columns.TARGETS_OF[noun].items(), *own]


def _problem_of(kept: Import, mapping: Sequence[str]) -> str:
    return columns.problem_of(mapping, kept.headers, [slug for slug, _ in _own_fields(kept.noun)], kept.noun)


def remap(kept: Import, mapping: Sequence[str], region: str = "") -> Import:
    """Say what the columns are, and of which country numbers are that name none."""
    region = region.strip().upper()
    if problem := _problem_of(kept, mapping):
        raise InvalidInput(problem, errors={"mapping": problem})
    if region and region not in columns.regions():
        raise InvalidInput("A country has two letters, such as DE.", errors={"region": "is no country"})
    with transaction.atomic():
        held = _held(kept, ImportState.OPEN, ImportState.CHECKED)
        held.mapping, held.region, held.state, held.counts = list(mapping), region, ImportState.OPEN, {}
        held.save(update_fields=["mapping", "region", "state", "counts"])
    return held


def check(kept: Import) -> Import:
    """Promise a dry run: what each row would become."""
    return _promise(kept, ImportState.CHECKING)


def start(kept: Import, *, by: User | None) -> Import:
    """Promise to read the rows in."""
    return _promise(kept, ImportState.RUNNING, started_by=by)


def _promise(kept: Import, state: str, **more: Any) -> Import:
    if problem := _problem_of(kept, kept.mapping):
        raise InvalidInput(problem, errors={"mapping": problem})
    with transaction.atomic():
        held = _held(kept, ImportState.OPEN, ImportState.CHECKED)
        _move(held, state, **more)
    return held


def undo(kept: Import, *, by: User | None) -> Import:
    """Promise to undo all that an import did; while it still runs, what it has done so far."""
    with transaction.atomic():
        held = _held(kept, ImportState.DONE, ImportState.RUNNING)
        of_it = ImportRow.objects.filter(of=held)
        if not of_it.exists():
            raise Conflict(f"After {KEPT_DAYS} days an import cannot be undone any more.", code="too_late")
        of_it.filter(waiting=True).update(waiting=False, outcome="")
        of_it.filter(outcome__in=(RowOutcome.CREATED, RowOutcome.UPDATED)).update(waiting=True)
        _move(held, ImportState.UNDOING, undone_by=by)
    return held


def _move(held: Import, state: str, **more: Any) -> None:
    for name, value in {"state": state, "counts": {}, **more}.items():
        setattr(held, name, value)
    held.save(update_fields=["state", "counts", *more])
    publish(events.ImportPromised(import_id=held.pk))


def _held(kept: Import, *states: str) -> Import:
    held = Import.objects.select_for_update().get(pk=kept.pk)
    if held.state not in states:
        raise Conflict(
            f"The import is {held.get_state_display().lower()}.", code="wrong_state", state=held.state
        )
    return held


# --- The work


def due() -> list[int]:
    """Imports with something promised."""
    return list(Import.objects.filter(state__in=PROMISED).order_by("pk").values_list("pk", flat=True))


def work(
    import_id: int, *, seconds: float | None = None, told: Callable[[int], bool] = lambda rows: False
) -> bool:
    """Go on with what was promised, chunk by chunk; False when something is left to do.

    After so many seconds others have their turn; a dry run goes to its end, for what it knows stands in its memory. `told`
    hears how many rows each chunk had, and ends the work by answering True. One worker at a time: a second one leaves at
    once, and what a killed one had in hand waits again.
    """
    with _alone(import_id) as mine:
        if not mine:
            return True
        kept = Import.objects.filter(pk=import_id).first()
        until = (
            None
            if seconds is None or kept is None or kept.state == ImportState.CHECKING
            else time.monotonic() + seconds
        )
        for dealt_with in _pass_of(kept):
            if told(dealt_with) or (until is not None and time.monotonic() > until):
                return False
    return True


def _pass_of(kept: Import | None) -> Iterator[int]:
    if kept is None:
        return iter(())
    passes = {ImportState.CHECKING: _check, ImportState.RUNNING: _run, ImportState.UNDOING: _undo}
    return passes[kept.state](kept) if kept.state in passes else iter(())


@contextmanager
def _alone(import_id: int) -> Iterator[bool]:
    """Hold the connection's own lock on an import; it goes with the connection, however that ends."""
    name = f"earshot.import:{import_id}"
    mine = rows.run("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,))[0][0]
    try:
        yield mine
    finally:
        if mine:
            rows.run("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (name,))


@dataclass(frozen=True, slots=True)
class Way:
    """How rows of a noun are dealt with; customers and their addresses one way, what belongs to them another."""

    step: Any
    known: Callable[[], Any]
    understand: Callable[[list, RowReader], None]
    look_up: Callable[..., None]
    decide: Callable[..., None]
    write: Callable[[list, Any], tuple[list[str], dict[str, dict[int, str]]]]
    undo: Callable[[int, int], Counter]


def _way(noun: str) -> Way:
    if noun in (ImportNoun.CUSTOMERS, ImportNoun.IDENTITIES):
        one = import_rows
        known = partial(one.Known, only_known=noun == ImportNoun.IDENTITIES)
        return Way(one.Step, known, one.understand, one.look_up, one.decide, one.write, import_undo.undo_rows)
    other = import_records
    known, understand = partial(other.Known, noun), partial(other.understand, noun)
    return Way(
        other.Step,
        known,
        understand,
        other.look_up,
        other.decide,
        other.write,
        partial(other.undo_rows, noun),
    )


def _reader(kept: Import) -> RowReader:
    first = list(kept.rows.order_by("line").values_list("cells", flat=True)[:SAMPLE])
    month_first = columns.month_first(first, kept.mapping)
    return RowReader(kept.headers, kept.mapping, kept.region, kept.noun, month_first)


def _steps(kind: Any, found: list[tuple]) -> list:
    return [
        kind(id=one, line=line, cells=rows.from_json(cells), problem=problem)
        for one, line, cells, problem in found
    ]


def _check(kept: Import) -> Iterator[int]:
    """The dry run; killed, it begins anew, for all that it knows stands in its memory."""
    way = _way(kept.noun)
    known, reader, counts, line = way.known(), _reader(kept), Counter(), 0
    while True:
        with transaction.atomic():
            steps = _steps(way.step, rows.run(_AFTER, (kept.pk, line, CHUNK)))
            if not steps:
                break
            way.understand(steps, reader)
            way.look_up(steps, known, lock=False)
            way.decide(steps, known, dry=True)
            rows.run(_NOTE, ([s.id for s in steps], [s.outcome for s in steps], [s.report for s in steps]))
            counts.update(step.outcome for step in steps)
            line = steps[-1].line
            if not Import.objects.filter(pk=kept.pk, state=ImportState.CHECKING).update(counts=dict(counts)):
                return
        yield len(steps)
    Import.objects.filter(pk=kept.pk, state=ImportState.CHECKING).update(state=ImportState.CHECKED)


def _run(kept: Import) -> Iterator[int]:
    """Chunk by chunk; the rows of a chunk that the database refuses are taken one by one, so that only the bad one fails."""
    reader, alone = _reader(kept), 0
    while True:
        try:
            done = _steadily(partial(_chunk, kept.pk, reader, 1 if alone else CHUNK))
        except (DataError, IntegrityError, MovedError) as error:
            if not alone:
                alone = CHUNK
                continue
            done = _give_up(kept.pk, error)
        if not done:
            return
        alone = max(0, alone - done)
        yield done


def _steadily(act: Callable[[], int]) -> int:
    """Do it, again when somebody else wrote the same customers or when it was a deadlock's victim."""
    for tried in range(1, TRIES + 1):
        try:
            return act()
        except MovedError:
            if tried == TRIES:
                raise
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") not in _RETRIED or tried == TRIES:
                raise
    raise AssertionError("unreachable")


def _chunk(import_id: int, reader: RowReader, size: int) -> int:
    """Read in the next rows, all or none; returns how many. None left: the import is done."""
    with transaction.atomic():
        held = Import.objects.select_for_update().get(pk=import_id)
        if held.state != ImportState.RUNNING:
            return 0
        way = _way(held.noun)
        steps = _steps(way.step, rows.run(_WAITING, (held.pk, size)))
        if not steps:
            _finish(held)
            return 0
        known = way.known()
        way.understand(steps, reader)
        way.look_up(steps, known, lock=True)
        way.decide(steps, known, dry=False)
        _remember(held, *way.write(steps, known))
        _settle(steps)
        _count(held, steps)
    return len(steps)


def _remember(held: Import, words: list[str], made: dict[str, dict[int, str]]) -> None:
    """What was made beside customers, for the undo."""
    things = [("word", None, word) for word in words]
    things += [(noun, one, name) for noun, named in made.items() for one, name in named.items()]
    rows.insert(
        "crm_importmade",
        {
            "of_id": ("bigint", [held.pk] * len(things)),
            "noun": ("text", [noun for noun, _, _ in things]),
            "row_id": ("bigint", [one for _, one, _ in things]),
            "name": ("text", [name for _, _, name in things]),
        },
    )


def _settle(steps: list) -> None:
    rows.run(
        _SETTLE,
        (
            [step.id for step in steps], [step.outcome for step in steps], [step.report for step in steps],
            [step.customer for step in steps], [rows.as_json(step.did()) for step in steps], [step.digest for step in steps],
        ),
    )  # fmt: skip


def _count(held: Import, steps: list) -> None:
    held.counts = dict(Counter(held.counts) + Counter(step.outcome for step in steps))
    held.save(update_fields=["counts"])


def _give_up(import_id: int, error: Exception) -> int:
    """The next row alone cannot be written either: it is a bad one."""
    with transaction.atomic():
        held = Import.objects.select_for_update().get(pk=import_id)
        steps = _steps(_way(held.noun).step, rows.run(_WAITING, (held.pk, 1)))
        for step in steps:
            step.outcome = RowOutcome.FAILED.value
            step.report = f"could not be written: {str(error).splitlines()[0] if str(error) else 'it moved'}"[
                :500
            ]
        _settle(steps)
        _count(held, steps)
    return len(steps)


def _finish(held: Import) -> None:
    held.state, held.done_at = ImportState.DONE, timezone.now()
    held.save(update_fields=["state", "done_at"])
    _record(held, f"{held.noun}.imported", held.started_by)


def _record(held: Import, verb: str, by: User | None) -> None:
    Activity.objects.create(
        actor=by, verb=verb, data={"import": held.pk, "file": held.name, "rows": held.counts}
    )
    interactions.tell([(streams.EVENTS, verb, {"import": held.pk, "rows": held.counts})])


def _undo(kept: Import) -> Iterator[int]:
    while done := _steadily(partial(_undo_chunk, kept.pk)):
        yield done


def _undo_chunk(import_id: int) -> int:
    """Undo the last rows that wait, newest first; none left: what was made beside customers goes too."""
    # As merges do: no item is placed by a customer who is about to go.
    with transaction.atomic(), rows.serialised("earshot.ingest"):
        held = Import.objects.select_for_update().get(pk=import_id)
        if held.state != ImportState.UNDOING:
            return 0
        outcomes = _way(held.noun).undo(held.pk, CHUNK)
        if outcomes:
            held.counts = dict(Counter(held.counts) + outcomes)
            held.save(update_fields=["counts"])
            return outcomes.total()
        held.kept = import_undo.undo_made(held.pk)
        held.state, held.undone_at = ImportState.UNDONE, timezone.now()
        held.save(update_fields=["kept", "state", "undone_at"])
        _record(held, f"{held.noun}.import_undone", held.undone_by)
    return 0


def forget_old() -> None:
    """What was imported long ago cannot be undone any more: the file's words go, what became of it is counted."""
    rows.run(
        "DELETE FROM crm_importrow r USING crm_import i WHERE r.of_id = i.id AND i.state = ANY(%s) "
        "AND coalesce(i.undone_at, i.done_at, i.at) < now() - make_interval(days => %s)",
        ([state.value for state in ImportState if state not in PROMISED], KEPT_DAYS),
    )
