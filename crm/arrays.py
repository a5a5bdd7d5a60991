"""Lists as PostgreSQL's binary arrays, written in one go.

psycopg asks an adapter for each element of a list; for the columns of a batch, thousands of numbers and texts of one type,
that was a quarter of the conveyor's time. Format: PostgreSQL's `array_recv` (dimensions, whether there are NULLs, element
type, length, lower bound; then each element's length and bytes, -1 for NULL).
"""

import struct
from collections.abc import Callable, Iterable
from itertools import chain, repeat
from typing import Any

from psycopg import Connection, DataError
from psycopg.adapt import Buffer, Dumper, PyFormat
from psycopg.pq import Format

BIGINT, TEXT, BOOLEAN, DOUBLE = (20, 1016), (25, 1009), (16, 1000), (701, 1022)  # element, array
_NULL = struct.pack("!i", -1)
_length = struct.Struct("!i").pack


class Column(list):
    """A list whose elements are None or all of exactly one of int, str, bool and float."""


def column(values: list) -> list:
    """The list as a column, or as it came where psycopg knows better (times, decimals, nested or mixed lists)."""
    kinds = set(map(type, values)) - {type(None)}
    return Column(values) if len(kinds) == 1 and kinds <= _WRITERS.keys() else values


def _integers(values: list[int]) -> bytes:
    return struct.pack("!" + "iq" * len(values), *chain.from_iterable(zip(repeat(8), values, strict=False)))


def _doubles(values: list[float]) -> bytes:
    return struct.pack("!" + "id" * len(values), *chain.from_iterable(zip(repeat(8), values, strict=False)))


def _booleans(values: list[bool]) -> bytes:
    return struct.pack("!" + "i?" * len(values), *chain.from_iterable(zip(repeat(1), values, strict=False)))


def _texts(values: Iterable[str]) -> bytes:
    parts: list[bytes] = []
    for text in values:
        said = text.encode()
        parts.append(_length(len(said)))
        parts.append(said)
    return b"".join(parts)


_WRITERS: dict[type, tuple[tuple[int, int], Callable[[list], bytes]]] = {
    int: (BIGINT, _integers),
    str: (TEXT, _texts),
    bool: (BOOLEAN, _booleans),
    float: (DOUBLE, _doubles),
}


class _Written(Dumper):
    """Writes columns of one element type."""

    format = Format.BINARY

    def __init__(self, cls: type, context: Any = None, kind: type = str) -> None:
        super().__init__(cls, context)
        self._kind = kind
        (self._element, self.oid), self._write = _WRITERS[kind]

    def get_key(self, obj: Column, format: PyFormat) -> tuple:
        return self.cls, _kind_of(obj)

    def upgrade(self, obj: Column, format: PyFormat) -> "_Written":
        return type(self)(self.cls, None, _kind_of(obj))

    def dump(self, obj: Column) -> Buffer:
        head = struct.pack("!iiIii", 1, None in obj, self._element, len(obj), 1)
        try:
            if None not in obj:
                return head + self._write(obj)
            return head + b"".join(_NULL if value is None else self._write([value]) for value in obj)
        except struct.error as error:
            raise DataError(f"a number is out of range: {error}") from error


def _kind_of(values: Column) -> type:
    return next(type(value) for value in values if value is not None)


def teach(connection: Connection) -> None:
    """Let a connection write columns."""
    connection.adapters.register_dumper(Column, _Written)
