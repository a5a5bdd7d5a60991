"""Files of customers and of what is theirs: uploaded, mapped, tried dry, read in, watched, undone."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from crm.access import Permission, find
from crm.choices import ImportNoun, ImportState, RowOutcome
from crm.errors import DomainError, NotFound
from crm.models import Import, ImportRow
from crm.services import imports
from crm.views.base import BIGGEST_ID, Page, address, chosen, page_of, said

SAMPLES = 3
ROWS_SHOWN = 100
OPEN = (ImportState.OPEN, ImportState.CHECKED)


class ImportList(Page):
    """`/imports/`: what was uploaded, newest first, and the door for another file."""

    permission = Permission.IMPORT
    template = "crm/import_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        page = page_of(request, Import.objects.visible_to(request.user).select_related("by"))
        return {
            "imports": page.rows,
            "nouns": ImportNoun.choices,
            "largest": imports.LARGEST_FILE // 1024 // 1024,
            **page.addresses(),
        }

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        file = request.FILES.get("file")
        if file is None:
            messages.error(request, "Choose a file first.")
            return redirect("imports")
        try:
            # One byte too many is enough to be refused.
            raw = file.read(imports.LARGEST_FILE + 1)
            noun = request.POST.get("noun") or ImportNoun.CUSTOMERS
            kept = imports.upload(raw, file.name or "", by=request.user, noun=noun)
        except DomainError as error:
            messages.error(request, error.detail)
            return redirect("imports")
        return redirect("import", pk=kept.pk)


class ImportDetail(Page):
    """`/imports/<id>/`: what its columns are, what its rows would become or became; it asks again while work goes on."""

    permission = Permission.IMPORT
    template = "crm/import_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        kept = find(Import.objects.visible_to(request.user).select_related("by"), pk=kwargs["pk"])
        show = chosen(request, "show", RowOutcome.values)
        found = list(_rows(kept, show, said(request, "from"))[: ROWS_SHOWN + 1])
        return {
            "kept": kept,
            "in_hand": kept.state in imports.PROMISED,
            "can_change": kept.state in OPEN,
            "can_undo": kept.state in (ImportState.DONE, ImportState.RUNNING),
            "columns": _columns(kept) if kept.state in OPEN else [],
            "targets": imports.targets(kept.noun) if kept.state in OPEN else [],
            "views": _views(request, kept, show),
            "rows": [_led(kept.noun, row) for row in found[:ROWS_SHOWN]],
            "next_url": address(request, **{"from": str(found[ROWS_SHOWN - 1].line)})
            if len(found) > ROWS_SHOWN
            else "",
            "days": imports.KEPT_DAYS,
        }

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        kept = find(Import.objects.visible_to(request.user), pk=kwargs["pk"])
        try:
            _act(request, kept)
        except NotFound:
            raise
        except DomainError as error:
            messages.error(request, error.detail)
        return redirect("import", pk=kept.pk)


def _act(request: HttpRequest, kept: Import) -> None:
    act, mapping, region = (
        request.POST.get("act", ""),
        request.POST.getlist("map"),
        request.POST.get("region", ""),
    )
    if act == "undo":
        imports.undo(kept, by=request.user)
        return
    if mapping and (mapping, region.strip().upper()) != (kept.mapping, kept.region):
        kept = imports.remap(kept, mapping, region)
    if act == "check":
        imports.check(kept)
    elif act == "start":
        imports.start(kept, by=request.user)


def _led(noun: str, row: ImportRow) -> ImportRow:
    """A row with the address of what it became."""
    thing = row.did.get("thing")
    row.url = f"/customers/{row.customer_id}/" if row.customer_id else ""
    if noun == ImportNoun.TICKETS and thing and thing > 0:
        row.url = f"/tickets/{thing}/"
    return row


def _columns(kept: Import) -> list[dict[str, Any]]:
    """Each column with its target and what stands in its first cells."""
    first = list(kept.rows.order_by("line").values_list("cells", flat=True)[: SAMPLES * 5])
    found = []
    for place, (header, target) in enumerate(zip(kept.headers, kept.mapping, strict=True)):
        samples = [cells[place] for cells in first if cells[place].strip()][:SAMPLES]
        found.append({"place": place, "header": header, "target": target, "samples": samples})
    return found


def _views(request: HttpRequest, kept: Import, show: str) -> list[dict[str, Any]]:
    shown = [("", "All rows", kept.total)]
    shown += [
        (one.value, str(one.label), kept.counts.get(one.value, 0))
        for one in RowOutcome
        if kept.counts.get(one.value)
    ]
    return [
        {
            "url": address(request, show=value, **{"from": None}),
            "label": label,
            "count": count,
            "here": value == show,
        }
        for value, label, count in shown
    ]


def _rows(kept: Import, show: str, after: str) -> QuerySet[ImportRow]:
    found = kept.rows.filter(outcome=show) if show else kept.rows.all()
    if after.isascii() and after.isdecimal() and int(after) <= min(BIGGEST_ID, 2**31 - 1):
        found = found.filter(line__gt=int(after))
    return found.order_by("line").only(
        "line", "outcome", "report", "customer_id", "cells", "of_id", "waiting", "did"
    )
