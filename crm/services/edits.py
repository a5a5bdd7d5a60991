"""How edits of customers, companies and tickets are compared and written: one row or a thousand, in the same few statements."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Model

BATCH = 500
Edit = tuple[
    Any, dict[str, Any]
]  # a row, and the new values of what changes; `tags` are all that it has from now on


def changed(row: Model, changes: dict[str, Any]) -> dict[str, Any]:
    """What of the changes is new to the row."""
    return {name: value for name, value in changes.items() if held(row, name) != plain(value)}


def held(row: Model, name: str) -> Any:
    """What a row has, other rows by their ids."""
    if name == "tags":
        return sorted(tag.pk for tag in row.tags.all())
    return getattr(row, row._meta.get_field(name).attname)


def plain(value: Any) -> Any:
    """A new value in the form in which `held` has it."""
    if isinstance(value, Model):
        return value.pk
    if isinstance(value, list):
        return sorted(one.pk if isinstance(one, Model) else one for one in value)
    return value


def kept(value: Any) -> Any:
    """A value as JSON keeps it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def write(edits: list[Edit], *also: str) -> None:
    """Write edits of rows of one model, and besides them the fields `also`. Call it with the rows locked."""
    names: set[str] = set()
    tags = [(row, plain(changes["tags"])) for row, changes in edits if "tags" in changes]
    _write_tags(tags)
    for row, changes in edits:
        for name in changes.keys() - {"tags"}:
            names.add(name)
            value = changes[name]
            setattr(row, name if isinstance(value, Model) else row._meta.get_field(name).attname, value)
    fields = sorted(names | {*also})
    if not fields:
        return
    if len(edits) == 1:
        edits[0][0].save(update_fields=fields)
    else:
        edits[0][0]._meta.base_manager.bulk_update([row for row, _ in edits], fields, batch_size=BATCH)


def _write_tags(wanted: Iterable[tuple[Any, list[int]]]) -> None:
    """A statement for all tags that come, and one for each tag that goes."""
    come: list[tuple[int, int]] = []
    go: dict[int, list[int]] = {}
    rows = [row for row, _ in wanted]
    for row, tags in wanted:
        before = {*held(row, "tags")}
        come += [(row.pk, tag) for tag in tags if tag not in before]
        for tag in before - {*tags}:
            go.setdefault(tag, []).append(row.pk)
    if not rows:
        return
    through, key = type(rows[0]).tags.through, f"{rows[0]._meta.model_name}_id"
    through.objects.bulk_create(
        [through(**{key: row, "tag_id": tag}) for row, tag in come], ignore_conflicts=True
    )
    for tag, ids in go.items():
        through.objects.filter(**{"tag_id": tag, f"{key}__in": ids}).delete()
    for row in rows:
        getattr(row, "_prefetched_objects_cache", {}).pop("tags", None)
