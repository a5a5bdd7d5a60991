"""The view as others see it: how it begins and ends, and the gate that lets nothing be changed meanwhile."""

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.db import InternalError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect

from crm.access import Permission, find
from crm.errors import InvalidInput
from crm.models import RightSet, Team, User
from crm.services import viewing
from crm.views.base import BIGGEST_ID, Act, refused

SAFE = {"GET", "HEAD", "OPTIONS"}
WAYS_OUT = {"/viewing/end/", "/accounts/logout/", "/admin/logout/"}
READ_ONLY = "25006"  # PostgreSQL: cannot write in a read-only transaction


class ViewingMiddleware:
    """Gives the page whom an administrator looks as, in a transaction that can only read. Sessions without a view pass."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or _by_token(request):
            return self.get_response(request)
        marker = request.session.get(viewing.KEY)
        if marker is None or not request.user.is_authenticated:
            return self.get_response(request)
        looking = viewing.standing(marker, request.session.session_key or "", request.user.pk)
        if looking is None:
            del request.session[viewing.KEY]
            return self.get_response(request)
        if request.path in WAYS_OUT:
            return self.get_response(request)
        request.viewing = looking
        request.user = viewing.stand_in(looking)
        if request.method not in SAFE:
            return _refused(request)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION READ ONLY")
            response = self.get_response(request)
            transaction.set_rollback(True)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A page that would have written all the same."""
        wrote = (
            isinstance(exception, InternalError) and getattr(exception.__cause__, "sqlstate", "") == READ_ONLY
        )
        return _refused(request) if wrote and hasattr(request, "viewing") else None


def _by_token(request: HttpRequest) -> bool:
    """Whether a token decides who asks, as it does in REST alone, and not the session."""
    kind = request.headers.get("Authorization", "").partition(" ")[0]
    return kind.lower() == "bearer" and request.path.startswith("/api/")


def _refused(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        body = {
            "type": "about:blank", "title": "Forbidden", "status": 403, "detail": viewing.REFUSAL, "code": "viewing",
            "errors": {},
        }  # fmt: skip
        return JsonResponse(body, status=403, content_type="application/problem+json")
    return refused(request, 403, viewing.REFUSAL)


class Start(Act):
    """`POST /viewing/`: `person`, `role` or `set`, and a `team` for the latter two."""

    permission = Permission.CONFIGURE

    def post(self, request: HttpRequest) -> HttpResponse:
        person, right_set, team = (_number(request, name) for name in ("person", "set", "team"))
        try:
            begun = viewing.start(
                request.session.session_key or "",
                by=request.user,
                person=find(User.objects.all(), pk=person) if person else None,
                role=request.POST.get("role", ""),
                right_set=find(RightSet.objects.all(), pk=right_set) if right_set else None,
                team=find(Team.objects.all(), pk=team) if team else None,
            )
        except InvalidInput as error:
            messages.error(request, error.detail)
            return redirect("people")
        request.session[viewing.KEY] = begun.pk
        return redirect("home")


class End(Act):
    """`POST /viewing/end/`: back to oneself."""

    def post(self, request: HttpRequest) -> HttpResponse:
        marker = request.session.pop(viewing.KEY, None)
        looking = viewing.standing(marker, request.session.session_key or "", request.user.pk)
        if looking is not None:
            viewing.end(looking, by=request.user)
            return redirect("person", pk=looking.person_id) if looking.person_id else redirect("rights")
        return redirect("home")


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
    return number if number <= BIGGEST_ID else 0
