"""What every page stands on: who may open it, how refusals look, what of an address is believed, and keyset pages."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.views import redirect_to_login
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.gzip import gzip_page

from crm.access import Permission, require_somewhere
from crm.errors import DomainError, NotAllowed
from crm.models import User

log = logging.getLogger(__name__)

PAGE = 50
BIGGEST_ID = 2**63 - 1
LONGEST_WORDS = 200
PAGES_OF_REFUSALS = {400, 403, 404, 409}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]+")
_PLACE = re.compile(r"([0-9]{1,17})\.([0-9]{1,19})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What apps above add to the pages of interactions: (interaction ids, reader) -> context by interaction id.
Panel = Callable[[list[int], User], dict[int, dict]]
_panels: list[Panel] = []


def register_panel(panel: Panel) -> None:
    """Plug in what an app above shows beside an interaction."""
    _panels.append(panel)


def panels_of(interaction_ids: list[int], user: User) -> dict[int, dict[str, Any]]:
    """All that apps above show beside these interactions, each asked once for the whole list."""
    merged: dict[int, dict[str, Any]] = {one: {} for one in interaction_ids}
    for panel in _panels:
        for one, shown in panel(interaction_ids, user).items():
            merged[one].update(shown)
    return merged


@method_decorator(gzip_page, name="dispatch")
class Page(View):
    """A page for people: asks access, calls its `context`, renders. Refusals become pages of their own."""

    permission: Permission | None = None
    template = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Who are you, may you, and then the page; a fragment is told 401 where a page goes to the login."""
        if not request.user.is_authenticated:
            if "X-Fragment" in request.headers:
                return HttpResponse("Log in again.", status=401, content_type="text/plain")
            return redirect_to_login(request.get_full_path())
        try:
            if any(isinstance(value, int) and value > BIGGEST_ID for value in kwargs.values()):
                return refused(request, 404)
            if self.permission is not None:
                require_somewhere(request.user, self.permission)
            return super().dispatch(request, *args, **kwargs)
        except DomainError as error:
            return refused(request, error.status, error.detail)

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Render the page."""
        return render(request, self.template, self.context(request, **kwargs))

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        """What the template needs."""
        return {}


def form_again(
    request: HttpRequest, template: str, context: dict, given: dict, error: DomainError
) -> HttpResponse:
    """The form as it was sent, with what is wrong: nothing typed is lost, but a password never comes back."""
    errors = error.extra.get("errors") or {"": error.detail}
    kept = {name: value for name, value in given.items() if name != "password"}
    return render(
        request, template, context | {"form": context["form"] | kept, "errors": errors}, status=error.status
    )


class Act(Page):
    """A page that only acts: POST, then back to where it was."""

    http_method_names = ["post"]


def refused(request: HttpRequest, status: int, detail: str = "") -> HttpResponse:
    """The page of a refusal; what has none of its own looks like a conflict."""
    shown = status if status in PAGES_OF_REFUSALS else 409
    return render(request, f"errors/{shown}.html", {"detail": detail}, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler400: what came is not a request that we understand."""
    return refused(request, 400)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler403."""
    return refused(request, NotAllowed.status)


def absent(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler404."""
    return refused(request, 404)


def broken(request: HttpRequest) -> HttpResponse:
    """handler500: asks nothing of the database, which may be what broke."""
    return render(request, "errors/500.html", status=500)


def said(request: HttpRequest, name: str) -> str:
    """A word of the address as people may have typed it: without control characters, not too long."""
    return _UNPRINTABLE.sub(" ", request.GET.get(name, "")).strip()[:LONGEST_WORDS]


def chosen(request: HttpRequest, name: str, allowed: Any, default: str = "") -> str:
    """A word of the address if it is one of the allowed ones."""
    word = request.GET.get(name, "")
    return word if word in allowed else default


def address(request: HttpRequest, **changes: str | None) -> str:
    """This page's address with some words changed; places in lists are left behind."""
    kept = {name: said(request, name) for name in request.GET if name not in ("before", "after")}
    kept.update(changes)
    words = {name: value for name, value in kept.items() if value}
    return f"{request.path}?{urlencode(words)}" if words else request.path


@dataclass(slots=True)
class Keyset:
    """One page of a list, newest first, found by the place of its neighbours and never by counting."""

    rows: list
    previous_url: str | None = None
    next_url: str | None = None

    def addresses(self) -> dict[str, str | None]:
        """For `components/_pages.html`."""
        return {"previous_url": self.previous_url, "next_url": self.next_url}


def page_of(request: HttpRequest, queryset: QuerySet, at: str = "", size: int = PAGE) -> Keyset:
    """The page before or after a place (`?before=`, `?after=`: microseconds and id), newest first by `at`, then by id.

    Without `at` the id alone is the order.
    """
    before, after = _place(request, "before"), _place(request, "after")
    order = [at, "pk"] if at else ["pk"]
    if after is not None:
        rows = list(queryset.filter(_beyond(at, "gt", after)).order_by(*order)[: size + 1])
        more, rows = len(rows) > size, rows[:size][::-1]
        return _addressed(request, rows, at, newer=more, older=True)
    if before is not None:
        queryset = queryset.filter(_beyond(at, "lt", before))
    rows = list(queryset.order_by(*[f"-{name}" for name in order])[: size + 1])
    return _addressed(request, rows[:size], at, newer=before is not None, older=len(rows) > size)


def _beyond(at: str, way: str, place: tuple[datetime, int]) -> Q:
    instant, pk = place
    if not at:
        return Q(**{f"pk__{way}": pk})
    # The outer condition is what the index can use.
    return Q(**{f"{at}__{way}e": instant}) & (Q(**{f"{at}__{way}": instant}) | Q(**{f"pk__{way}": pk}))


def _place(request: HttpRequest, name: str) -> tuple[datetime, int] | None:
    found = _PLACE.fullmatch(request.GET.get(name, ""))
    if found is None or int(found[2]) > BIGGEST_ID:
        return None
    return _EPOCH + timedelta(microseconds=int(found[1])), int(found[2])


def _addressed(request: HttpRequest, rows: list, at: str, *, newer: bool, older: bool) -> Keyset:
    def place(row: Any) -> str:
        since = getattr(row, at) - _EPOCH if at else timedelta(0)
        return f"{since // timedelta(microseconds=1)}.{row.pk}"

    page = Keyset(rows)
    if rows and newer:
        page.previous_url = address(request, after=place(rows[0]))
    if rows and older:
        page.next_url = address(request, before=place(rows[-1]))
    return page
