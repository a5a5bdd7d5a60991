"""Set-based statements for the hot path: columns in, one statement for the whole list."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import orjson
import psycopg
from django.db import connection

LONG = 8


def run(sql: str, params: Sequence | dict = ()) -> list[tuple]:
    """Run one statement and return its rows (an empty list when it has none)."""
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


def _run_binary(sql: str, params: Sequence) -> list[tuple]:
    """The same with long arrays sent in binary: writing them as text costs a third of a batch's time."""
    with _bound_by_the_server(sql) as cursor:
        cursor.execute(sql.replace("%s", "%b"), params)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def _bound_by_the_server(sql: str) -> Iterator[psycopg.Cursor]:
    """A cursor beside Django's own, whose statement is still seen by what counts queries."""
    connection.ensure_connection()
    if connection.queries_logged:
        connection.queries_log.append({"sql": sql, "time": ""})
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
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


def prepared(sql: str, params: dict, decode: Sequence[str] = ()) -> list[dict]:
    """Like `dicts`, planned once a connection: for large statements whose planning costs more than their running."""
    with _bound_by_the_server(sql) as cursor:
        raw = cursor.connection
        # Django switches preparing off for the whole connection; this one statement is worth it.
        threshold, raw.prepare_threshold = raw.prepare_threshold, 0
        try:
            cursor.execute(sql, params, prepare=True)
        finally:
            raw.prepare_threshold = threshold
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in found:
        for name in decode:
            row[name] = from_json(row[name])
    return found


def draw(sequence: str, count: int) -> list[int]:
    """Draw `count` ids from a sequence, so that rows of several tables can be prepared before any is written."""
    if not count:
        return []
    return [
        row[0] for row in run("SELECT nextval(%s::regclass) FROM generate_series(1, %s)", (sequence, count))
    ]


def insert(table: str, columns: dict[str, tuple[str, list]], *, tail: str = "") -> list[tuple]:
    """INSERT many rows by arrays. `columns` maps name to (PostgreSQL type, values); `tail` is ON CONFLICT/RETURNING."""
    if not columns or not next(iter(columns.values()))[1]:
        return []
    names = ", ".join(f'"{name}"' for name in columns)
    arrays = ", ".join(f"%s::{kind}[]" for kind, _ in columns.values())
    sql = f'INSERT INTO "{table}" ({names}) SELECT * FROM unnest({arrays}) {tail}'
    return run(sql, [values for _, values in columns.values()])


@contextmanager
def serialised(name: str) -> Iterator[None]:
    """Hold a transaction-long advisory lock: one writer of this kind at a time. Call inside a transaction."""
    run("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))
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
