"""Edits of many rows: what would change, what was changed and why not, and the way back."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from crm.access import may
from crm.choices import BulkOutcome, BulkState
from crm.errors import DomainError, NotFound
from crm.lists import LISTINGS, OWN, Column
from crm.models import Bulk, BulkRow, Tag, User
from crm.services import bulks, references
from crm.views.base import BIGGEST_ID, Page, address, chosen, page_of, said

ROWS_SHOWN = 50
HIDDEN = ("solved_at",)
_LABELS = {
    bulks.ADD: "Tags that come",
    bulks.REMOVE: "Tags that go",
    "priority_reason": "Because",
    "status_name": "Status name",
}
_OUTCOMES = {
    BulkState.OPEN: {"changed": "Would change", "unchanged": "Are so already", "refused": "Would be refused"},
    BulkState.UNDONE: {"restored": "Restored", "kept": "Left as they are"},
    BulkState.UNDOING: {"restored": "Restored", "kept": "Left as they are"},
}
_DONE = {"changed": "Changed", "unchanged": "Were so already", "refused": "Refused"}


class BulkList(Page):
    """`/bulks/`: edits of many rows, newest first."""

    template = "crm/bulk_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        made = Bulk.objects.visible_to(request.user).exclude(state=BulkState.OPEN).select_related("by")
        page = page_of(request, made)
        return {"bulks": page.rows, **page.addresses()}


class BulkDetail(Page):
    """`/bulks/<id>/`: the preview with the door to make it, then what became of the rows with the door to undo it."""

    template = "crm/bulk_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        bulk = bulks.fetch(kwargs["pk"], by=request.user)
        listing = LISTINGS[bulk.noun]
        columns = listing.columns()
        outcomes = _OUTCOMES.get(BulkState(bulk.state), _DONE)
        show = chosen(
            request,
            "show",
            outcomes,
            next((one for one in outcomes if bulk.counts.get(one)), next(iter(outcomes))),
        )
        lines, after = _lines(bulk, show, said(request, "from"), columns, request.user)
        return {
            "bulk": bulk,
            "listing": listing,
            "in_hand": bulk.state in bulks.PROMISED,
            "can_start": bulk.state == BulkState.OPEN and bulk.by_id == request.user.pk and may(request.user, listing.edit),
            "can_undo": bulk.state in (BulkState.DONE, BulkState.RUNNING) and may(request.user, listing.edit),
            "changes": [(_label(name, columns), "", text) for name, text in _asked(bulk, columns, request.user)],
            "views": [
                {
                    "url": address(request, show=one, **{"from": None}), "label": label, "count": bulk.counts.get(one, 0),
                    "here": one == show,
                }
                for one, label in outcomes.items()
            ],
            "show": show,
            "lines": lines,
            "next_url": after and address(request, **{"from": after}),
            "days": bulks.KEPT_DAYS,
        }  # fmt: skip

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        bulk = bulks.fetch(kwargs["pk"], by=request.user)
        act = {"start": bulks.start, "undo": bulks.undo}.get(request.POST.get("act", ""))
        try:
            if act is not None:
                act(bulk, by=request.user)
        except NotFound:
            raise
        except DomainError as error:
            messages.error(request, error.detail)
        return redirect("bulk", pk=bulk.pk)


def _lines(
    bulk: Bulk, show: str, after: str, columns: dict[str, Column], user: User
) -> tuple[list[dict[str, Any]], str]:
    """Rows of one outcome, each with its name and what changes in words; and the place where the next begin."""
    if bulk.state == BulkState.OPEN and show == BulkOutcome.CHANGED:
        found = bulks.sample(bulk)
        named = _names([(one["before"], one["after"]) for one in found], columns, user)
        return [one | {"changes": _changes(one["before"], one["after"], columns, named)} for one in found], ""
    kept = bulk.rows.filter(outcome=show).order_by("row_id")
    if after.isascii() and after.isdecimal() and int(after) <= BIGGEST_ID:
        kept = kept.filter(row_id__gt=int(after))
    rows: list[BulkRow] = list(kept[: ROWS_SHOWN + 1])
    seen = {
        one.pk: str(one)
        for one in LISTINGS[bulk.noun].visible_to(user).filter(pk__in=[row.row_id for row in rows])
    }
    named = _names([(row.before, row.after) for row in rows], columns, user)
    lines = [
        {
            "id": row.row_id, "row": seen.get(row.row_id, ""), "reason": row.reason,
            "changes": _changes(*_way(row, show), columns, named) if row.row_id in seen else [],
        }
        for row in rows[:ROWS_SHOWN]
    ]  # fmt: skip
    return lines, str(rows[ROWS_SHOWN - 1].row_id) if len(rows) > ROWS_SHOWN else ""


def _way(row: BulkRow, show: str) -> tuple[dict, dict]:
    """From what to what: an undo went the other way."""
    return (row.after, row.before) if show == BulkOutcome.RESTORED else (row.before, row.after)


def _label(name: str, columns: dict[str, Column]) -> str:
    known = {
        bulks.ADD: "Tags that come",
        bulks.REMOVE: "Tags that go",
        "priority_reason": "Because",
        "status_name": "Status name",
    }
    return known.get(name) or (columns[name].label if name in columns else name.removeprefix(OWN))


def _asked(bulk: Bulk, columns: dict[str, Column], user: User) -> list[tuple[str, str]]:
    """What shall change, in words."""
    named = _names([(bulk.change, {})], columns, user)
    return [(name, _text(name, value, columns, named)) for name, value in bulk.change.items()]


def _names(pairs: list[tuple[dict, dict]], columns: dict[str, Column], user: User) -> dict[str, dict]:
    """The names of all rows that values point to, a statement for each column that does."""
    wanted: dict[str, set] = {}
    for values in (one for pair in pairs for one in pair):
        for name, value in values.items():
            if name == "tags":
                wanted.setdefault(name, set()).update(value)
            elif name in columns and columns[name].refers and value is not None:
                wanted.setdefault(name, set()).add(value)
    tags = wanted.pop("tags", None)
    named = {name: references.names(columns[name], user, values) for name, values in wanted.items()}
    return (
        named | {"tags": dict(Tag.objects.filter(pk__in=tags or ()).values_list("pk", "name"))}
        if tags
        else named
    )


def _changes(
    before: dict, after: dict, columns: dict[str, Column], named: dict
) -> list[tuple[str, str, str]]:
    """(column, what it was, what it is) in words; of tags those that go and come."""
    return [
        (
            _label(name, columns),
            _text(name, before.get(name), columns, named),
            _text(name, after.get(name), columns, named),
        )
        for name in sorted({*before, *after} - {*HIDDEN})
        if before.get(name) != after.get(name)
    ]


def _text(name: str, value: Any, columns: dict[str, Column], named: dict) -> str:
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(named.get(name, {}).get(one, one)) for one in value)
    labels = dict(columns[name].choices) if name in columns else {}
    return str(named.get(name, {}).get(value) or labels.get(value) or value)
