"""Lists as files: asked for, watched, fetched."""

from typing import Any
from urllib.parse import parse_qs, urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from crm.access import Permission
from crm.choices import ExportFormat, ExportState
from crm.downloads import as_file, file_response
from crm.errors import DomainError, InvalidInput
from crm.models import Export
from crm.services import exports
from crm.services.exports import Ready
from crm.views.base import Page, chosen, page_of

LONGEST_WORDS = 12_000
_ASKING = {"noun", "format"}


class ExportList(Page):
    """`/exports/`: one's own files, and the door for another; `?noun=tickets&status=open` is filled in already."""

    permission = Permission.EXPORT
    template = "crm/export_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        page = page_of(request, Export.objects.visible_to(request.user))
        for kept in page.rows:
            kept.goes_at = exports.goes_at(kept)
            kept.words = urlencode(kept.query, doseq=True)
        narrowed = [
            (name, value) for name, values in request.GET.lists() for value in values if name not in _ASKING
        ]
        return {
            "exports": page.rows,
            "in_hand": any(kept.state == ExportState.WAITING for kept in page.rows),
            "nouns": exports.nouns(),
            "noun": chosen(request, "noun", exports.nouns(), "customers"),
            "formats": ExportFormat.choices,
            "words": urlencode([one for one in narrowed if one[0] not in ("before", "after")])[
                :LONGEST_WORDS
            ],
            "at_once": exports.AT_ONCE,
            "days": exports.KEPT_DAYS,
            **page.addresses(),
        }

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        noun, form = request.POST.get("noun", ""), request.POST.get("format", "")
        try:
            asked = exports.ask(noun, form, _words(request.POST.get("words", "")), by=request.user)
        except InvalidInput as error:
            said = "; ".join(f"{name}: {text}" for name, text in error.extra.get("errors", {}).items())
            messages.error(request, f"{error.detail} {said}"[:500])
            return redirect("exports")
        except DomainError as error:
            messages.error(request, error.detail)
            return redirect("exports")
        if isinstance(asked, Ready):
            return HttpResponse(asked.body, content_type=asked.mime, headers=as_file(asked.name))
        messages.success(request, f"The list of {noun} is being written; its file appears below.")
        return redirect("exports")


def _words(text: str) -> dict[str, list[str]]:
    """Filters as they stand in an address."""
    try:
        return parse_qs(text.strip().lstrip("?")[:LONGEST_WORDS], max_num_fields=50)
    except ValueError as error:
        raise InvalidInput("These are no filters.", errors={"words": "cannot be read"}) from error


class ExportFile(Page):
    """`/exports/<id>/file/`: for who asked for it, while he still sees what he saw then."""

    permission = Permission.EXPORT

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        name, mime, path = exports.fetch(kwargs["pk"], by=request.user)
        return file_response(path, name, mime)
