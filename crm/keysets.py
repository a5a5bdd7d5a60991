"""Pages of lists by the place of their neighbours and never by counting: however far in, a page costs the same."""

import base64
import binascii
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


def page_of(queryset: QuerySet, ordering: str, cursor: str | None, size: int) -> Page:
    """The page that a cursor names, sorted by `ordering` (a field, `-` before it descends) and then by id.

    Raises BadCursorError.
    """
    name, descending = ordering.lstrip("-"), ordering.startswith("-")
    back = False
    if cursor:
        back, value, pk = _read(cursor, queryset.model, ordering)
        queryset = queryset.filter(_beyond(queryset.model, name, value, pk, descending != back))
    wanted = list(_sorted(queryset, name, descending != back)[: size + 1])
    more, rows = len(wanted) > size, wanted[:size]
    if back:
        rows.reverse()
    page = Page(rows)
    if rows and (more or back):
        page.next = _cursor(rows[-1], ordering, False)
    if rows and (bool(cursor) if not back else more):
        page.previous = _cursor(rows[0], ordering, True)
    return page


def _cursor(row: Any, ordering: str, back: bool) -> str:
    name = ordering.lstrip("-")
    value = getattr(row, row._meta.get_field(name).attname) if name != "id" else row.pk
    said = value.isoformat() if isinstance(value, datetime) else value
    packed = orjson.dumps([ordering, back, said, row.pk], default=str)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read(cursor: str, model: type[models.Model], ordering: str) -> tuple[bool, Any, int]:
    try:
        if len(cursor) > LONGEST_CURSOR:
            raise ValueError(cursor[:20])
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        said, back, value, pk = orjson.loads(packed)
        if said != ordering or type(back) is not bool or type(pk) is not int or abs(pk) > BIGGEST_ID:
            raise ValueError(said)
        if isinstance(value, str) and "\x00" in value:
            raise ValueError(value)
        name = ordering.lstrip("-")
        return back, None if value is None else _field(model, name).to_python(value), pk
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
