"""The rows that stand in columns as values (people, teams, tags, brands and others): offered to choose from, and named."""

from collections.abc import Callable, Iterable

from django.db.models import QuerySet

from crm.access import for_workers, outside_closed
from crm.conditions import ME, VALUELESS, Condition, Group, Kind
from crm.lists import Column
from crm.models import Brand, Channel, Company, Tag, Team, User

MOST = 50  # choices offered at once
Offer = tuple[int | str, str]  # value, name

_ROWS: dict[str, Callable[[User], QuerySet]] = {
    "users": lambda user: outside_closed(User.objects.filter(is_active=True), user, "team", own="pk"),
    "teams": lambda user: outside_closed(Team.objects.all(), user, ""),
    "brands": lambda user: for_workers(Brand.objects.all(), user),
    "channels": lambda user: for_workers(Channel.objects.all(), user),
    "companies": Company.objects.visible_to,
    "tags": Tag.objects.visible_to,
}
_KEYS = {"tags": "slug"}


def offered(column: Column, user: User, search: str = "") -> list[Offer]:
    """What a column's values can be, narrowed by what a person types."""
    if not column.refers:
        return [
            (value, str(label)) for value, label in column.choices if search.lower() in str(label).lower()
        ]
    rows = _ROWS[column.refers](user)
    if search:
        rows = rows.filter(name__icontains=search)
    return _named(column, rows.order_by("name", "pk")[:MOST])


def names(column: Column, user: User, values: Iterable[int | str]) -> dict[int | str, str]:
    """How values of a column are called, as far as the user may know it."""
    values = list(values)
    if not column.refers:
        return {value: str(label) for value, label in column.choices if value in values}
    key = _KEYS.get(column.refers, "pk")
    rows = _ROWS[column.refers](user)
    return dict(_named(column, rows.filter(**{f"{key}__in": [one for one in values if one != ME]})))


def _named(column: Column, rows: QuerySet) -> list[Offer]:
    key = _KEYS.get(column.refers, "pk")
    return [(getattr(one, key), str(one)) for one in rows]


def labels(where: Group, columns: dict[str, Column], user: User) -> dict[str, dict[int | str, str]]:
    """The names of all values that conditions speak of, by column; a statement for each noun they refer to."""
    wanted: dict[str, set] = {}
    for one in _conditions(where):
        if one.subject.kind in (Kind.REF, Kind.MANY) and one.op not in VALUELESS:
            wanted.setdefault(one.subject.name, set()).update(one.value)
    return {name: names(columns[name], user, values) for name, values in wanted.items()}


def _conditions(node: Condition | Group) -> list[Condition]:
    if isinstance(node, Condition):
        return [node]
    return [one for part in node.parts for one in _conditions(part)]
