"""Conditions of lists as data: AND and OR nested in each other, read strictly, bounded, and made one WHERE.

A condition is `{"column": "status", "op": "any_of", "value": ["open"]}`; a group is `{"all": [...]}`, `{"any": [...]}` or
`{"none": [...]}` of conditions and groups. What a row does not have fits no condition; a negation (`is_not`, `lacks`,
`none_of`, `filled`) is true exactly where what it denies is not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from operator import attrgetter
from typing import Any

import orjson
from django.db.models import (
    BooleanField,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    JSONField,
    Model,
    OuterRef,
    Q,
    QuerySet,
    TextField,
    Value,
)
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Now
from django.db.models.lookups import Exact, IContains, IExact, IStartsWith

DEEPEST = 5  # groups in each other
MOST = 40  # conditions and groups of one list
MOST_VALUES = 100  # of one condition
LONGEST = 4_000  # characters of all of it as text
LONGEST_TEXT = 200
FARTHEST_DAYS = 36_500
DIGITS = 15  # of a number, before its point
BIGGEST_ID = 2**63 - 1
ME = "me"  # in place of an id: who looks, or his team
GROUPS = ("all", "any", "none")
_EARLIEST, _LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


class ConditionError(ValueError):
    """Conditions that make no sense; the message says where and why, for people."""


class Kind(StrEnum):
    """What a column holds, which decides what can be asked of it."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    INSTANT = "instant"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    REF = "ref"
    MANY = "many"


# By kind: what can be asked, and how people say it.
OPERATORS: dict[Kind, dict[str, str]] = {
    Kind.TEXT: {
        "contains": "contains", "lacks": "does not contain", "is": "is", "is_not": "is not", "begins": "begins with",
        "empty": "is empty", "filled": "is filled",
    },
    Kind.NUMBER: {
        "is": "is", "is_not": "is not", "above": "is more than", "below": "is less than", "at_least": "is at least",
        "at_most": "is at most", "empty": "is empty", "filled": "is filled",
    },
    Kind.DATE: {
        "is": "is on", "is_not": "is not on", "before": "is before", "after": "is after", "last_days": "is in the last days",
        "next_days": "is in the next days", "empty": "is empty", "filled": "is filled",
    },
    Kind.INSTANT: {
        "last_days": "is in the last days", "next_days": "is in the next days", "before": "is before", "after": "is after",
        "empty": "is empty", "filled": "is filled",
    },
    Kind.BOOLEAN: {"is": "is"},
    Kind.CHOICE: {"any_of": "is any of", "none_of": "is none of", "empty": "is empty", "filled": "is filled"},
    Kind.REF: {"any_of": "is any of", "none_of": "is none of", "empty": "is empty", "filled": "is filled"},
    Kind.MANY: {
        "any_of": "has any of", "all_of": "has all of", "none_of": "has none of", "empty": "is empty", "filled": "is filled",
    },
}  # fmt: skip
DENIALS = {"is_not": "is", "lacks": "contains", "none_of": "any_of", "filled": "empty"}
VALUELESS = ("empty", "filled")
LISTS = ("any_of", "none_of", "all_of")
DAYS = ("last_days", "next_days")


@dataclass(frozen=True, slots=True)
class Subject:
    """What conditions know of a column. Where it stands decides how it is asked:

    `path` of the ORM; `slug` of a field of our own in the JSON column `fields`; or rows of another table, `many` =
    (model, key to the row, name of the value); or the newest of such rows that the reader sees, `latest` alike.
    """

    name: str
    kind: Kind
    path: str = ""
    slug: str = ""
    many: tuple[type[Model], str, str] | None = None
    latest: tuple[type[Model], str, str] | None = None
    choices: tuple[str, ...] = ()  # of CHOICE, and of MANY when they are fixed
    own: str = ""  # REF: what ME stands for: "user" or "team"
    whole: bool = False  # NUMBER: without a fraction


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, read."""

    subject: Subject
    op: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Group:
    """Some of them together."""

    way: str
    parts: tuple["Condition | Group", ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks: what ME stands for, and which rows of a table he sees."""

    user: int
    team: int | None = None
    seen: Callable[[type[Model]], QuerySet] = attrgetter("_base_manager")


# --- Reading


def decoded(text: str) -> Any:
    """Conditions as they stand in an address."""
    if len(text) > LONGEST:
        raise ConditionError(f"The conditions are longer than {LONGEST} characters.")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConditionError("The conditions are not JSON.") from error


def read(data: Any, subjects: Mapping[str, Subject]) -> Group:
    """Conditions checked against what a list has. Raises ConditionError; nothing said is no condition."""
    if data in (None, {}, []):
        return Group("all", ())
    budget = [MOST]
    root = _node(data, subjects, 1, budget)
    if root is None:
        return Group("all", ())
    return root if isinstance(root, Group) else Group("all", (root,))


def _node(
    data: Any, subjects: Mapping[str, Subject], depth: int, budget: list[int]
) -> Condition | Group | None:
    budget[0] -= 1
    if budget[0] < 0:
        raise ConditionError(f"At most {MOST} conditions.")
    if depth > DEEPEST + 1:
        raise ConditionError(f"Groups stand at most {DEEPEST} deep in each other.")
    if not isinstance(data, dict):
        raise ConditionError("A condition is an object.")
    if len(data) == 1 and (way := next(iter(data))) in GROUPS:
        parts = data[way]
        if not isinstance(parts, list):
            raise ConditionError(f"“{way}” is a list of conditions.")
        kept = [_node(one, subjects, depth + 1, budget) for one in parts]
        # A group of nothing says nothing.
        return Group(way, tuple(one for one in kept if one is not None)) if any(kept) else None
    if not {"column", "op"} <= set(data) <= {"column", "op", "value"}:
        raise ConditionError("A condition has column, op and value; a group is all, any or none.")
    return _condition(data, subjects)


def _condition(data: dict, subjects: Mapping[str, Subject]) -> Condition:
    name, op = data["column"], data["op"]
    subject = subjects.get(name) if isinstance(name, str) else None
    if subject is None:
        raise ConditionError(f"There is no column {_shown(name)}.")
    if not isinstance(op, str) or op not in OPERATORS[subject.kind]:
        raise ConditionError(f"{name}: {_shown(op)} is none of {', '.join(OPERATORS[subject.kind])}.")
    if op in VALUELESS:
        return Condition(subject, op)
    try:
        return Condition(subject, op, _value(subject, op, data.get("value")))
    except ConditionError as error:
        raise ConditionError(f"{name}: {error}") from None


def _value(subject: Subject, op: str, value: Any) -> Any:
    if op in DAYS:
        return _days(value)
    if op in LISTS:
        if not isinstance(value, list) or not 0 < len(value) <= MOST_VALUES:
            raise ConditionError(f"a list of 1 to {MOST_VALUES} values is needed")
        return [_one(subject, each) for each in value]
    return _one(subject, value)


def _one(subject: Subject, value: Any) -> Any:
    match subject.kind:
        case Kind.NUMBER:
            return _whole(value) if subject.whole else _number(value)
        case Kind.DATE:
            return _date(value)
        case Kind.INSTANT:
            return _instant(value)
        case Kind.BOOLEAN:
            if not isinstance(value, bool):
                raise ConditionError("the value is true or false")
            return value
        case Kind.REF:
            return value if subject.own and value == ME else _id(value)
    text = _text(value)
    if subject.kind != Kind.TEXT and subject.choices and text not in subject.choices:
        raise ConditionError(f"{_shown(text)} is none of {', '.join(subject.choices)}"[:300])
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > LONGEST_TEXT or "\x00" in value:
        raise ConditionError(f"a text of 1 to {LONGEST_TEXT} characters is needed")
    return value


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConditionError("a number is needed")
    try:
        number = Decimal(str(value).strip()[:40])
    except InvalidOperation as error:
        raise ConditionError(f"{_shown(value)} is no number") from error
    if not number.is_finite() or (number and not -DIGITS <= number.adjusted() < DIGITS):
        raise ConditionError(f"{_shown(value)} is no number of at most 15 digits")
    return number


def _whole(value: Any) -> Decimal:
    number = _number(value)
    if number != number.to_integral_value():
        raise ConditionError("a whole number is needed")
    return number


def _date(value: Any) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError) as error:
        raise ConditionError("a date such as 2026-01-31 is needed") from error


def _instant(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConditionError("a date or time such as 2026-01-31T09:00:00Z is needed") from error
    if not _EARLIEST.replace(tzinfo=None) <= at.replace(tzinfo=None) <= _LATEST.replace(tzinfo=None):
        raise ConditionError("that time is out of range")
    return at.astimezone(UTC)


def _days(value: Any) -> int:
    if type(value) is not int or not 0 < value <= FARTHEST_DAYS:
        raise ConditionError(f"a whole number of days, 1 to {FARTHEST_DAYS}, is needed")
    return value


def _id(value: Any) -> int:
    if type(value) is not int or not 0 < value <= BIGGEST_ID:
        raise ConditionError("an id is needed")
    return value


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)[:40]
    return f"“{text[:40]}”"


# --- Asking

NOBODY = Q(Exact(Value(0), Value(1)))


def as_q(node: Condition | Group, reader: Reader) -> Q:
    """One WHERE of conditions that were read."""
    if isinstance(node, Group):
        parts = [as_q(one, reader) for one in node.parts]
        if node.way == "all":
            return Q(*parts)
        some = Q(*parts, _connector=Q.OR)
        return some if node.way == "any" else _denied(some)
    op = DENIALS.get(node.op, node.op)
    found = _asked(node.subject, op, node.value, reader)
    return _denied(found) if node.op in DENIALS else found


def _denied(found: Q) -> Q:
    """True exactly where `found` is not: what is unknown is not so."""
    surely = Coalesce(ExpressionWrapper(found, output_field=BooleanField()), Value(False))
    return Q(Exact(surely, Value(False)))


def _asked(subject: Subject, op: str, value: Any, reader: Reader) -> Q:
    if subject.latest is not None:
        return _of_latest(subject.latest, op, value, reader)
    if subject.many is not None:
        return _of_many(*subject.many, op, value)
    if subject.slug:
        return _of_our_own(subject, op, value)
    if subject.kind == Kind.REF and op == "any_of":
        ids = {_who(one, subject, reader) for one in value} - {None}
        return Q(**{f"{subject.path}__in": sorted(ids)}) if ids else NOBODY
    return _PLAIN[op](subject, value)


def _who(value: Any, subject: Subject, reader: Reader) -> int | None:
    if value != ME:
        return value
    return reader.user if subject.own == "user" else reader.team


def _empty(subject: Subject, value: None) -> Q:
    nothing = Q(**{f"{subject.path}__isnull": True})
    worded = subject.kind in (Kind.TEXT, Kind.CHOICE)
    return nothing | Q(**{subject.path: ""}) if worded else nothing


def _is(subject: Subject, value: Any) -> Q:
    return Q(**{f"{subject.path}__iexact" if subject.kind == Kind.TEXT else subject.path: value})


def _lookup(name: str) -> Callable[[Subject, Any], Q]:
    return lambda subject, value: Q(**{f"{subject.path}__{name}": value})


def _within(subject: Subject, days: int, sign: int) -> Q:
    there = Now() + timedelta(days=days * sign)
    low, high = (there, Now()) if sign < 0 else (Now(), there)
    return Q(**{f"{subject.path}__gte": low, f"{subject.path}__lte": high})


_PLAIN: dict[str, Callable[[Subject, Any], Q]] = {
    "empty": _empty,
    "is": _is,
    "contains": _lookup("icontains"),
    "begins": _lookup("istartswith"),
    "above": _lookup("gt"),
    "below": _lookup("lt"),
    "at_least": _lookup("gte"),
    "at_most": _lookup("lte"),
    "before": _lookup("lt"),
    "after": _lookup("gt"),
    "any_of": _lookup("in"),
    "last_days": lambda subject, days: _within(subject, days, -1),
    "next_days": lambda subject, days: _within(subject, days, 1),
}


def _of_many(model: type[Model], key: str, name: str, op: str, value: Any) -> Q:
    rows: QuerySet = model._base_manager.filter(**{key: OuterRef("pk")})
    if op == "empty":
        return Q(~Exists(rows))
    if op == "all_of":
        return Q(*(Q(Exists(rows.filter(**{name: one}))) for one in dict.fromkeys(value)))
    return Q(Exists(rows.filter(**{f"{name}__in": value})))


def _of_latest(latest: tuple[type[Model], str, str], op: str, value: Any, reader: Reader) -> Q:
    """The newest of the rows that the reader sees: one is there from a time on, and none after another."""
    model, key, name = latest
    rows = reader.seen(model).filter(**{key: OuterRef("pk")})
    if op == "empty":
        return Q(~Exists(rows))
    if op == "after":
        return Q(Exists(rows.filter(**{f"{name}__gt": value})))
    if op == "before":
        return Q(Exists(rows)) & Q(~Exists(rows.filter(**{f"{name}__gte": value})))
    there = Now() + timedelta(days=value if op == "next_days" else -value)
    low, high = (Now(), there) if op == "next_days" else (there, Now())
    return Q(Exists(rows.filter(**{f"{name}__gte": low}))) & Q(~Exists(rows.filter(**{f"{name}__gt": high})))


def _of_our_own(subject: Subject, op: str, value: Any) -> Q:
    """Fields of our own: equality by containment, which has an index; order by a path that never compares unlike kinds."""
    slug = subject.slug
    if op == "empty":
        return ~_path(slug, '[*] ? (@.type() != "string" || @ != "")')
    if op in ("any_of", "all_of"):
        wanted: Sequence[Any] = [[one] for one in value] if subject.kind == Kind.MANY else value
        found = [Q(fields__contains={slug: one}) for one in wanted]
        return Q(*found, _connector=Q.OR if op == "any_of" else Q.AND)
    if subject.kind == Kind.TEXT:
        said = Coalesce(KeyTextTransform(slug, "fields"), Value(""), output_field=TextField())
        lookup = {"is": IExact, "contains": IContains, "begins": IStartsWith}[op]
        return Q(lookup(said, value))
    if op == "is":
        return Q(fields__contains={slug: _number_of(value) if isinstance(value, Decimal) else value})
    if op in DAYS:
        today = datetime.now(UTC).date()
        there = today + timedelta(days=value if op == "next_days" else -value)
        low, high = sorted((today.isoformat(), there.isoformat()))
        return _path(slug, '? (@.type() == "string" && @ >= $low && @ <= $high)', low=low, high=high)
    sign = {"above": ">", "below": "<", "at_least": ">=", "at_most": "<=", "before": "<", "after": ">"}[op]
    kind = "number" if subject.kind == Kind.NUMBER else "string"
    given = _number_of(value) if isinstance(value, Decimal) else value
    return _path(slug, f'? (@.type() == "{kind}" && @ {sign} $v)', v=given)


def _number_of(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


class _PathExists(Func):
    """Whether a JSON path finds something in a document."""

    function = "jsonb_path_exists"
    output_field = BooleanField()


def _path(slug: str, rest: str, **given: Any) -> Q:
    path = Func(Value(f'$."{slug}"{rest}'), template="(%(expressions)s)::jsonpath", output_field=TextField())
    return Q(_PathExists(F("fields"), path, Value(given, JSONField())))
