"""Pages of lists by the place of their neighbours and never by counting: however far in, a page costs the same."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q, QuerySet

BIGGEST_ID = 2**63 - 1
LONGEST_CURSOR = 2000


class BadCursorError(ValueError):
    """The cursor is none of this list and ordering."""


@dataclass(slots=True)
class Page:
    """Some rows of a list, and the cursors of what comes after and before them."""

    rows: list
    next: str | None = None
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """An order by the newest of the rows that point here: sorted by their index, with nothing written at the sorted row.

    `having` leaves rows that have such, annotated with its time `at` and its id `place`; `without` those that have none.
    """

    having: Callable[[QuerySet], QuerySet]
    without: Callable[[QuerySet], QuerySet]
    at: str
    place: str


def page_of(
    queryset: QuerySet, ordering: str, cursor: str | None, size: int, walks: Mapping[str, Walk] | None = None
) -> Page:
    """The page that a cursor names, sorted by `ordering` (a field or a walk, `-` before it descends) and then by id.

    Raises BadCursorError.
    """
    name, descending = ordering.lstrip("-"), ordering.startswith("-")
    walk = (walks or {}).get(name)
    field = models.DateTimeField() if walk else _field(queryset.model, name)
    place = _read(cursor, field, ordering) if cursor else None
    back = place is not None and place[0]
    if walk:
        wanted = _walked(queryset, walk, place, descending != back, size)
    else:
        if place is not None:
            queryset = queryset.filter(_beyond(queryset.model, name, *place[1:], descending != back))
        wanted = list(_sorted(queryset, name, descending != back)[: size + 1])
    more, rows = len(wanted) > size, wanted[:size]
    if back:
        rows.reverse()
    page = Page(rows)
    if rows and (more or back):
        page.next = _cursor(_place(rows[-1], name, walk), ordering, False)
    if rows and (bool(cursor) if not back else more):
        page.previous = _cursor(_place(rows[0], name, walk), ordering, True)
    return page


def _walked(
    queryset: QuerySet, walk: Walk, place: tuple[bool, Any, int] | None, descending: bool, size: int
) -> list:
    """Rows from a place on; what has no value comes last when descending and first when ascending."""
    step, sign = ("lt", "-") if descending else ("gt", "")
    wanted: list = []
    begun = place is None
    for has_value in (True, False) if descending else (False, True):
        here = not begun and (place[1] is not None) == has_value
        if not begun and not here:
            continue
        begun = True
        if has_value:
            found = walk.having(queryset).order_by(sign + walk.at, sign + walk.place)
            beyond = _after(walk.at, walk.place, step, *place[1:]) if here else Q()
        else:
            found = walk.without(queryset).order_by(f"{sign}pk")
            beyond = Q(**{f"pk__{step}": place[2]}) if here else Q()
        wanted += found.filter(beyond)[: size + 1 - len(wanted)]
        if len(wanted) > size:
            break
    return wanted


def _after(name: str, place: str, step: str, value: Any, pk: int) -> Q:
    # The redundant bound lets the index find the place.
    beyond = Q(**{f"{name}__{step}": value}) | Q(**{f"{place}__{step}": pk})
    return Q(**{f"{name}__{step}e": value}) & beyond


def _place(row: Any, name: str, walk: Walk | None) -> tuple[Any, int]:
    """Where a row stands: its value and its id."""
    if walk:
        at = getattr(row, walk.at, None)
        return at, row.pk if at is None else getattr(row, walk.place)
    return row.pk if name == "id" else getattr(row, row._meta.get_field(name).attname), row.pk


def _cursor(place: tuple[Any, int], ordering: str, back: bool) -> str:
    value, pk = place
    said = value.isoformat() if isinstance(value, datetime) else value
    packed = orjson.dumps([ordering, back, said, pk], default=str)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read(cursor: str, field: models.Field, ordering: str) -> tuple[bool, Any, int]:
    try:
        if len(cursor) > LONGEST_CURSOR:
            raise ValueError(cursor[:20])
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        said, back, value, pk = orjson.loads(packed)
        if said != ordering or type(back) is not bool or type(pk) is not int or abs(pk) > BIGGEST_ID:
            raise ValueError(said)
        if isinstance(value, str) and "\x00" in value:
            raise ValueError(value)
        return back, None if value is None else field.to_python(value), pk
    except (ValueError, TypeError, binascii.Error, orjson.JSONDecodeError, ValidationError) as error:
        raise BadCursorError("is not a cursor of this list and ordering") from error


def _field(model: type[models.Model], name: str) -> models.Field:
    return model._meta.pk if name == "id" else model._meta.get_field(name)


def _sorted(queryset: QuerySet, name: str, descending: bool) -> QuerySet:
    if name == "id":
        return queryset.order_by("-pk" if descending else "pk")
    if not _field(queryset.model, name).null:
        return queryset.order_by(*(("-" + name, "-pk") if descending else (name, "pk")))
    # What has no value comes last when descending and first when ascending, so that one is the other reversed.
    order = models.F(name).desc(nulls_last=True) if descending else models.F(name).asc(nulls_first=True)
    return queryset.order_by(order, "-pk" if descending else "pk")


def _beyond(model: type[models.Model], name: str, value: Any, pk: int, descending: bool) -> Q:
    """The rows after this one in the order."""
    step = "lt" if descending else "gt"
    if name == "id":
        return Q(**{f"pk__{step}": pk})
    same = Q(**{name: value}) if value is not None else Q(**{f"{name}__isnull": True})
    tie = same & Q(**{f"pk__{step}": pk})
    if value is None:
        return tie if descending else tie | Q(**{f"{name}__isnull": False})
    beyond = Q(**{f"{name}__{step}": value}) | tie
    if _field(model, name).null:
        return beyond | Q(**{f"{name}__isnull": True}) if descending else beyond
    # The redundant bound lets the index find the place.
    return Q(**{f"{name}__{step}e": value}) & beyond
