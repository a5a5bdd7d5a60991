"""`/metrics`: what a Prometheus reads."""

import ipaddress

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views import View
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from crm import counters
from crm.access import Permission, may
from crm.services import tokens
from reports.services import vitals

SCOPES = ("events:read",)  # given only to who may see everything
FORWARDED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")


class Metrics(View):
    """For a scraper on this very machine, and for people and tokens that may see everything."""

    http_method_names = ["get"]

    def get(self, request: HttpRequest) -> HttpResponse:
        """The processes' counters and the rows' own figures, in the format that the scraper asks for."""
        try:
            allowed = from_here(request) or sees_all(request)
        except DatabaseError:
            return refused(503, "The database does not answer.")
        if not allowed:
            return refused(401, "Show a token that may read events.")
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Everything())
        return HttpResponse(
            encode(registry), content_type=content_type, headers={"Cache-Control": "no-store"}
        )


class _Everything:
    def collect(self):
        yield from counters.families()
        yield from vitals.families()


def from_here(request: HttpRequest) -> bool:
    """Whether the caller sits on this machine; what a proxy passed on came from elsewhere."""
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def sees_all(request: HttpRequest) -> bool:
    """Whether a token with the scope, or a session, stands for somebody who may see everything."""
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        token = tokens.recognise(shown.strip())
        return bool(token and may(token.user, Permission.READ_EVENTS) and tokens.allows(token, SCOPES))
    return may(request.user, Permission.READ_EVENTS)


def refused(status: int, text: str) -> HttpResponse:
    """A refusal in words; 401 says how to ask."""
    headers = {"WWW-Authenticate": 'Bearer realm="earshot"'} if status == 401 else {}
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8", headers=headers)
