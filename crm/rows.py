"""Set-based statements for the hot path: columns in, one statement for the whole list."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakSet

import orjson
import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from psycopg.pq import PipelineStatus
from psycopg.types.datetime import TimestamptzLoader

from crm import arrays

M = TypeVar("M", bound=models.Model)

LONG = 8
_generic: WeakSet[psycopg.Connection] = WeakSet()  # connections that were told how to plan
_taught: WeakSet[psycopg.Connection] = WeakSet()  # connections that can write columns


def run(sql: str, params: Sequence | dict = ()) -> list[tuple]:
    """Run one statement and return its rows (an empty list when it has none)."""
    if _is_pipelined():
        return _run_binary(sql, params)
    long = 0 if _prepares() else LONG
    if not isinstance(params, dict) and any(
        isinstance(value, list) and len(value) > long for value in params
    ):
        return _run_binary(sql, params)
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def _prepares() -> bool:
    """Whether this process's connection keeps the plans of statements that are bound by the server."""
    return connection.settings_dict["OPTIONS"].get("prepare_threshold") is not None


def forget_plans() -> None:
    """Have every kept plan made anew at its next use: one made for small tables is a bad one when they have grown."""
    if _prepares():
        run("DISCARD PLANS")


def _run_binary(sql: str, params: Sequence | dict) -> list[tuple]:
    """The same with long arrays sent in binary: writing them as text costs a third of a batch's time."""
    with _bound_by_the_server(sql) as cursor:
        _execute_binary(cursor, sql, params)
        return _fetched(cursor)


def _execute_binary(cursor: psycopg.Cursor, sql: str, params: Sequence | dict) -> None:
    if isinstance(params, dict):
        cursor.execute(sql, params)
        return
    raw = cursor.connection
    if raw not in _taught:
        arrays.teach(raw)
        _taught.add(raw)
    given = [arrays.column(value) if type(value) is list else value for value in params]
    cursor.execute(sql.replace("%s", "%b"), given)


def _fetched(cursor: psycopg.Cursor) -> list[tuple]:
    """All rows; in a pipeline this waits for the answer, and only then is known whether there are any."""
    if not _is_pipelined():
        return cursor.fetchall() if cursor.description else []
    try:
        return cursor.fetchall()
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:
            raise
        return []


def _is_pipelined() -> bool:
    raw = connections[DEFAULT_DB_ALIAS].connection
    return raw is not None and raw.pgconn.pipeline_status != PipelineStatus.OFF


@contextmanager
def pipelined() -> Iterator[None]:
    """Send statements by `write` without waiting for their answers, up to the next that gives rows, or the end.

    Server and client then work at the same time, and a batch waits for a third of its round trips. An error of a
    statement comes up at the next answer: use it where a list is written whole or not at all.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline() as pipeline:

        def answered(execute: Callable, sql: str, params: Any, many: bool, context: dict) -> Any:
            # Django looks at a statement's count of rows at once.
            result = execute(sql, params, many, context)
            pipeline.sync()
            return result

        with connection.execute_wrapper(answered):
            yield


def write(sql: str, params: Sequence = ()) -> None:
    """Run one statement whose rows nobody asks for."""
    if _is_pipelined():
        with _bound_by_the_server(sql) as cursor:
            _execute_binary(cursor, sql, params)
    elif any(isinstance(value, list) and len(value) > LONG for value in params):
        _run_binary(sql, params)
    else:
        kept(sql, params)


@contextmanager
def _bound_by_the_server(sql: str) -> Iterator[psycopg.Cursor]:
    """A cursor beside Django's own, whose statement is still seen by what counts queries."""
    link = connections[
        DEFAULT_DB_ALIAS
    ]  # once: each look through `connection` costs as much as a small statement's text
    if link.connection is None:
        link.ensure_connection()
    if link.queries_logged:
        link.queries_log.append({"sql": sql, "time": ""})
    with link.wrap_database_errors, psycopg.Cursor(link.connection) as cursor:
        # Django's own reads a time in Python, and a batch reads thousands; they are in UTC either way.
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        yield cursor


def dicts(sql: str, params: Sequence | dict = (), decode: Sequence[str] = ()) -> list[dict]:
    """Run one statement and return its rows as dictionaries; `decode` names columns of JSON text."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        names = [column.name for column in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in found:
        for name in decode:
            row[name] = from_json(row[name])
    return found


def kept(sql: str, params: Sequence | dict = ()) -> list[tuple]:
    """Like `run`, planned once a connection: for the statements that are said all day, where planning is most of the cost.

    The server binds the parameters: give each one a type where the statement does not (`%s::bigint`).
    """
    with _kept(sql, params) as cursor:
        return _fetched(cursor)


def prepared(sql: str, params: Sequence | dict, decode: Sequence[str] = ()) -> list[dict]:
    """Like `dicts`, planned once a connection."""
    with _kept(sql, params) as cursor:
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in found:
        for name in decode:
            row[name] = from_json(row[name])
    return found


@contextmanager
def _kept(sql: str, params: Sequence | dict) -> Iterator[psycopg.Cursor]:
    with _bound_by_the_server(sql) as cursor:
        raw = cursor.connection
        if raw not in _generic:
            # Arrays look larger in a plan for any parameters than they are: left alone, PostgreSQL would go on planning
            # these statements at every call.
            raw.execute("SET plan_cache_mode = force_generic_plan")
            _generic.add(raw)
        # Django switches preparing off for the whole connection; these statements are worth it.
        threshold, raw.prepare_threshold = raw.prepare_threshold, 0
        try:
            cursor.execute(sql, params, prepare=True)
        finally:
            raw.prepare_threshold = threshold
        yield cursor


def with_columns(sql: str, **aliases: type[models.Model]) -> str:
    """A statement with `{alias}` written out as all columns of that alias's model, for `made`."""
    for alias, model in aliases.items():
        names = ", ".join(f'{alias}."{field.column}"' for field in model._meta.concrete_fields)
        sql = sql.replace(f"{{{alias}}}", names)
    return sql


def made(model: type[M], values: Sequence) -> M:
    """A model's instance from what `with_columns` read."""
    fields = model._meta.concrete_fields
    read = [
        field.from_db_value(value, None, connection) if hasattr(field, "from_db_value") else value
        for field, value in zip(fields, values, strict=True)
    ]
    return model.from_db(connection.alias, [field.attname for field in fields], read)


def draw(sequence: str, count: int) -> list[int]:
    """Draw `count` ids from a sequence, so that rows of several tables can be prepared before any is written."""
    if not count:
        return []
    return [
        row[0]
        for row in run("SELECT nextval(%s::text::regclass) FROM generate_series(1, %s)", (sequence, count))
    ]


def insert(table: str, columns: dict[str, tuple[str, list]], *, tail: str = "") -> list[tuple]:
    """INSERT many rows by arrays. `columns` maps name to (PostgreSQL type, values); `tail` is ON CONFLICT/RETURNING."""
    if not columns or not next(iter(columns.values()))[1]:
        return []
    names = ", ".join(f'"{name}"' for name in columns)
    arrays = ", ".join(f"%s::{kind}[]" for kind, _ in columns.values())
    sql = f'INSERT INTO "{table}" ({names}) SELECT * FROM unnest({arrays}) {tail}'
    values = [values for _, values in columns.values()]
    if "RETURNING" in tail:
        return run(sql, values)
    if _is_pipelined():
        write(sql, values)
    else:
        run(sql, values)
    return []


@contextmanager
def serialised(name: str) -> Iterator[None]:
    """Hold a transaction-long advisory lock: one writer of this kind at a time. Call inside a transaction."""
    write("SELECT pg_advisory_xact_lock(hashtextextended(%s::text, 0))", (name,))
    yield


def as_json(value: object) -> str:
    """JSON text for a jsonb column or array."""
    return orjson.dumps(value).decode()


def json_text(value: object) -> str:
    """A jsonb value as Django's cursor returns it (text), or anything else, as JSON text."""
    return value if isinstance(value, str) else as_json(value)


def from_json(value: object) -> object:
    """A jsonb value as Django's cursor returns it (text), decoded."""
    return orjson.loads(value) if isinstance(value, str | bytes) else value
