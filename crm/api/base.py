"""What every REST door stands on: who asks, what may come in, how answers, refusals and pages look."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import orjson
import redis
from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, IntegrityError, OperationalError, transaction
from django.db.models import QuerySet
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import (
    authentication,
    exceptions,
    filters,
    negotiation,
    pagination,
    parsers,
    permissions,
    renderers,
    throttling,
)
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.utils.urls import remove_query_param, replace_query_param
from rest_framework.views import APIView, set_rollback
from rest_framework.viewsets import GenericViewSet

from crm import keysets, live
from crm.api.schema import Schema
from crm.errors import DomainError, NotAllowed, NotFound
from crm.models import ApiToken
from crm.services import idempotency, retries, tokens

log = logging.getLogger(__name__)

MAX_BODY = 5 * 1024 * 1024
MAX_DEPTH = 64
MAX_PAGE = 200
MAX_KEY = 255
BIGGEST_ID = 2**63 - 1
KEYED_METHODS = {"POST", "PUT", "PATCH"}
SAVED_HEADERS = ("ETag", "Location")


# --- Who asks


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer <token>`."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = tokens.recognise(token.strip())
        if found is None:
            raise exceptions.AuthenticationFailed("The token is unknown, over or revoked.")
        return found.user, found

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="earshot"'


class SessionAuthentication(authentication.SessionAuthentication):
    """The page's session; every write needs the CSRF token."""


class ScopeAllows(permissions.BasePermission):
    """A token with scopes does only what they name; a session and a token without scopes do all the user may."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not tokens.allows(request.auth, view.scopes()):
            raise NotAllowed(
                f"The token needs the scope {' or '.join(view.scopes())}.", code="insufficient_scope"
            )
        return True


class _Counted:
    """What this process has not yet added in Redis, by who asks, and when Redis may be tried again after it was away."""

    waiting: dict[tuple[str, int], int] = {}
    over: set[tuple[str, int]] = set()
    quiet_until = 0.0


def within_rate(who: str) -> bool:
    """Count a request of somebody; False when it is one too many in this minute.

    Added in Redis a thousandth of the limit at a time, so that counting costs nothing that is felt.
    """
    limit = getattr(settings, "API_REQUESTS_PER_MINUTE", 30_000)
    if not settings.REDIS_URL or time.monotonic() < _Counted.quiet_until:
        return True
    minute = int(time.time() // 60)
    key = (who, minute)
    many = _Counted.waiting.get(key, 0) + 1
    if many < max(1, limit // 1000):
        _Counted.waiting[key] = many
        return key not in _Counted.over
    _Counted.waiting[key] = 0
    return _added(key, many, limit)


def _added(key: tuple[str, int], many: int, limit: int) -> bool:
    name = f"earshot:rate:{key[0]}:{key[1]}"
    try:
        counted, _ = live.client().pipeline(transaction=False).incrby(name, many).expire(name, 120).execute()
    except (redis.RedisError, OSError) as error:
        _Counted.quiet_until = time.monotonic() + 5
        log.warning("requests not counted", extra={"error": str(error)})
        return True
    if len(_Counted.waiting) > 10_000:
        _Counted.waiting = {one: count for one, count in _Counted.waiting.items() if one[1] == key[1]}
        _Counted.over = {one for one in _Counted.over if one[1] == key[1]}
    if counted > limit:
        _Counted.over.add(key)
    return counted <= limit


class PerMinute(throttling.BaseThrottle):
    """A generous fixed window, counted in Redis for all processes together; without Redis nobody is held up."""

    def allow_request(self, request: Request, view: Any) -> bool:
        return within_rate(str(request.user.pk or self.get_ident(request)))

    def wait(self) -> float:
        return 60 - time.time() % 60


# --- What comes in and goes out


class OrjsonRenderer(renderers.BaseRenderer):
    """JSON by orjson."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: dict | None = None
    ) -> bytes:
        return b"" if data is None else as_bytes(data)


def as_bytes(data: Any) -> bytes:
    """An answer as it leaves."""
    return orjson.dumps(data, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


class AlwaysJSON(negotiation.BaseContentNegotiation):
    """Whatever the caller would like, this is what there is."""

    def select_parser(self, request: Request, parsers: list) -> Any:
        return negotiation.DefaultContentNegotiation().select_parser(request, parsers)

    def select_renderer(self, request: Request, renderers: list, format_suffix: str | None = None) -> tuple:
        return renderers[0], renderers[0].media_type


class StrictJSONParser(parsers.BaseParser):
    """JSON that can be kept: valid UTF-8, finite numbers, no lone surrogate, no NUL, not deep, not large."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: dict | None = None) -> Any:
        body = stream.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise DomainError(f"At most {MAX_BODY} bytes.", code="too_large", status=413)
        try:
            data = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise DomainError(f"The body is not JSON: {error.msg}", code="not_json") from None
        refuse_hostile(data)
        return data


def refuse_hostile(data: Any) -> None:
    """Refuse what nests too deep and strings with NUL, wherever they stand; no recursion."""
    level, depth = [data], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise DomainError(f"JSON nests deeper than {MAX_DEPTH}.", code="too_deep")
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += one.keys()
                below += one.values()
            elif isinstance(one, list):
                below += one
            elif isinstance(one, str) and "\x00" in one:
                raise DomainError("The body holds a NUL character.", code="nul")
        level = below


# --- Refusals


def problem(error: Exception, context: dict) -> Response | None:
    """Any refusal as an RFC 9457 document; None for what is our own fault."""
    found = _describe(error)
    if found is None:
        return None
    set_rollback()
    status, code, detail, extra, headers = found
    # Every member a client may rely on is there; a refusal's own members come on top.
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": {},
        **extra,
    }
    body["errors"] = _by_field(body["errors"])
    return Response(body, status=status, headers=headers, content_type="application/problem+json")


_Description = tuple[int, str, str, dict, dict]

_PLAIN: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int, str, str], ...] = (
    (Http404, 404, "not_found", "There is no such thing, or it is not yours to see."),
    (DjangoPermissionDenied, 403, "not_allowed", "Your role does not include this."),
    (RequestDataTooBig, 413, "too_large", f"At most {MAX_BODY} bytes."),
    (
        (
            SuspiciousOperation,
            BadRequest,
            MultiPartParserError,
            UnreadablePostError,
            RawPostDataException,
            UnicodeError,
        ),
        400,
        "invalid",
        "The request cannot be read.",
    ),
    (DataError, 400, "invalid", "A value is out of range or cannot be kept."),
    (IntegrityError, 409, "conflict", "Somebody changed this meanwhile."),
)


def _describe(error: Exception) -> _Description | None:
    if isinstance(error, DomainError):
        return (
            error.status,
            error.code,
            error.detail,
            dict(error.extra),
            _retry(1 if error.code == "in_progress" else None),
        )
    if isinstance(error, exceptions.ValidationError):
        return 400, "invalid", "Some values do not make sense.", {"errors": error.detail}, {}
    if isinstance(error, DjangoValidationError):
        return (
            400,
            "invalid",
            "Some values do not make sense.",
            {"errors": {"non_field_errors": error.messages}},
            {},
        )
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    if isinstance(error, OperationalError):
        log.warning("database unavailable", extra={"error": str(error)})
        return 503, "unavailable", "The database does not answer; try again.", {}, _retry(2)
    for kinds, status, code, detail in _PLAIN:
        if isinstance(error, kinds):
            if status in (400, 409):
                log.info("refused", extra={"code": code, "error": repr(error)[:500]})
            return status, code, detail, {}, {}
    return None


def _of_framework(error: exceptions.APIException) -> _Description:
    headers = _retry(getattr(error, "wait", None))
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    code = str(getattr(error.detail, "code", None) or error.default_code)
    return error.status_code, code, str(error.detail), {}, headers


def _retry(seconds: float | None) -> dict[str, str]:
    return {"Retry-After": str(max(1, int(seconds + 0.999)))} if seconds else {}


def _by_field(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Nested errors as one flat object: dotted field to the list of what is wrong."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            found.update(_by_field(inner, f"{prefix}.{name}" if prefix else str(name)))
        return found
    if isinstance(detail, list | tuple):
        if any(isinstance(one, dict | list) for one in detail):
            return _by_field({str(place): one for place, one in enumerate(detail) if one}, prefix)
        return {prefix or "non_field_errors": [str(one) for one in detail]}
    return {prefix or "non_field_errors": [str(detail)]}


# --- Pages, order, filters


def orderings(view: Any) -> list[str]:
    """The values `?ordering=` may take."""
    return [sign + name for name in view.ordering_fields for sign in ("", "-")]


class Ordering(filters.BaseFilterBackend):
    """Documents `?ordering=` and refuses what is not in the view's list; the page itself sorts."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        chosen(request, view)
        return queryset

    def get_schema_operation_parameters(self, view: Any) -> list[dict]:
        return [
            {
                "name": "ordering",
                "in": "query",
                "required": False,
                "description": f"What to sort by; `-` is descending. Default: `{view.ordering}`.",
                "schema": {"type": "string", "enum": orderings(view)},
            }
        ]


def chosen(request: Request, view: Any) -> str:
    """The ordering that the caller asked for, or the view's own."""
    asked = request.query_params.get("ordering", "").strip()
    if not asked:
        return view.ordering
    if asked not in orderings(view):
        raise exceptions.ValidationError({"ordering": [f"is not one of {', '.join(orderings(view))}"]})
    return asked


class CursorPagination(pagination.BasePagination):
    """Keyset pages: a cursor names the row after which to go on, so that a page costs the same however far in it is."""

    def paginate_queryset(self, queryset: QuerySet, request: Request, view: Any = None) -> list:
        self.request = request
        cursor = request.query_params.get("cursor")
        try:
            self.page = keysets.page_of(
                queryset, chosen(request, view), cursor, page_size(request), getattr(view, "walks", dict)()
            )
        except keysets.BadCursorError as error:
            raise exceptions.ValidationError({"cursor": [str(error)]}) from None
        return self.page.rows

    def get_paginated_response(self, data: list) -> Response:
        return Response(
            {"next": self._link(self.page.next), "previous": self._link(self.page.previous), "results": data}
        )

    def _link(self, cursor: str | None) -> str | None:
        return with_cursor(self.request, cursor)

    def get_paginated_response_schema(self, schema: dict) -> dict:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict]:
        return [
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "description": "Where to go on: taken from `next` or `previous`.",
                "schema": {"type": "string"},
            },
            {
                "name": "page_size",
                "in": "query",
                "required": False,
                "description": f"Rows a page, at most {MAX_PAGE}.",
                "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 50},
            },
        ]


def with_cursor(request: Request, cursor: str | None) -> str | None:
    """This address with another cursor; None when there is nothing there."""
    if cursor is None:
        return None
    return replace_query_param(remove_query_param(request.build_absolute_uri(), "cursor"), "cursor", cursor)


def page_size(request: Request) -> int:
    """How many rows a page the caller wants: 50 unless said, at most MAX_PAGE."""
    asked = request.query_params.get("page_size", "").strip()
    if not asked:
        return 50
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 10 and int(asked) > 0):
        raise exceptions.ValidationError({"page_size": [f"must be a whole number from 1 to {MAX_PAGE}"]})
    return min(int(asked), MAX_PAGE)


class Filters(DjangoFilterBackend):
    """django-filter, with a 400 for every value that makes no sense."""

    raise_exception = True


# --- Versions of a thing


def etag(data: Any) -> str:
    """The version of a representation."""
    return f'"{sha256(orjson.dumps(data, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)).hexdigest()[:32]}"'


def fits(header: str, tag: str) -> bool:
    """Whether an If-Match or If-None-Match names this version."""
    return header.strip() == "*" or tag in [one.strip() for one in header.split(",")]


# --- Doors


class Door(APIView):
    """A REST door: token or session, scopes, one answer per Idempotency-Key."""

    authentication_classes = [TokenAuthentication, SessionAuthentication]
    permission_classes = [permissions.IsAuthenticated, ScopeAllows]
    throttle_classes = [PerMinute]
    renderer_classes = [OrjsonRenderer]
    parser_classes = [StrictJSONParser]
    content_negotiation_class = AlwaysJSON
    schema = Schema()
    noun = ""

    def scopes(self) -> tuple[str, ...]:
        """The scopes of which a token needs one."""
        act = "read" if self.request.method in permissions.SAFE_METHODS else "write"
        return (f"{self.noun}:{act}",)

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        if "Idempotency-Key" in request.headers:
            # Read before the form fields that the CSRF check asks for are: afterwards the bytes are gone.
            with suppress(RequestDataTooBig, UnreadablePostError):
                _ = request.body
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        key = request.headers.get("Idempotency-Key")
        method = request.method.lower()
        if key is not None and request.method in KEYED_METHODS and hasattr(self, method):
            setattr(self, method, partial(self._once, getattr(self, method), key))

    def _once(self, handler: Callable, key: str, request: Request, *args: Any, **kwargs: Any) -> Response:
        if not key.isprintable() or not key.isascii() or not 0 < len(key) <= MAX_KEY:
            raise DomainError(
                f"An Idempotency-Key has 1 to {MAX_KEY} printable characters.", code="bad_idempotency_key"
            )
        user = request.user
        digest = sha256(f"{request.method} {request.get_full_path()}\n".encode() + request.body).hexdigest()
        if saved := idempotency.claim(user, key, digest):
            headers = {**saved.headers, "Idempotent-Replayed": "true"}
            kind = "application/problem+json" if saved.status >= 400 else None
            return Response(saved.data, status=saved.status, headers=headers, content_type=kind)

        def act() -> Response:
            # The write and its answer exist together or not at all.
            with transaction.atomic():
                response = handler(request, *args, **kwargs)
                idempotency.save(user, key, _answer(response))
            return response

        try:
            return retries.steadily(
                act
            )  # what the services do again by themselves they cannot within our transaction
        except Exception as error:
            return self._refused(error, user, key)

    def _refused(self, error: Exception, user: Any, key: str) -> Response:
        try:
            response = self.handle_exception(error)
        except Exception:
            idempotency.release(user, key)
            raise
        if response.status_code < 500:
            idempotency.save(user, key, _answer(response))
        else:
            idempotency.release(user, key)
        return response

    def handle_exception(self, exc: Exception) -> Response:
        """DRF's, but the problem document is for every refusal, and our own fault is raised."""
        if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
            exc.auth_header = self.get_authenticate_header(self.request)
        response = problem(exc, self.get_exception_handler_context())
        if response is None:
            self.raise_uncaught_exception(exc)
        response.exception = True
        return response

    def read_body(self, kind: type) -> dict:
        """The body by one small input serializer."""
        given = kind(data=self.request.data, context={"request": self.request})
        given.is_valid(raise_exception=True)
        return given.validated_data


def _answer(response: Response) -> idempotency.Answer:
    headers = {name: response.headers[name] for name in SAVED_HEADERS if name in response.headers}
    return idempotency.Answer(response.status_code, orjson.loads(as_bytes(response.data)), headers)


class _Thread(threading.local):
    def __init__(self) -> None:
        self.serializers: dict[type[BaseSerializer], BaseSerializer] = {}


_thread = _Thread()


class ScopedViewSet(Door, GenericViewSet):
    """A noun: lists and shows what the caller may see. Missing and forbidden are both 404."""

    filter_backends = [Filters, Ordering]
    pagination_class = CursorPagination
    ordering_fields: tuple[str, ...] = ("id",)
    ordering = "-id"
    slug_field = ""  # such nouns are also found by their slug, which holds a letter

    def scoped(self) -> QuerySet:
        """The rows the caller may see."""
        return self.queryset.all().visible_to(self.request.user)

    def get_queryset(self) -> QuerySet:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        return self.scoped()

    def find(self, *, locked: bool = False) -> Any:
        """The row the address names."""
        return find_by(self.get_queryset(), self.kwargs["pk"], self.slug_field, locked=locked)

    def after(self, thing: Any) -> Any:
        """The row as an act left it, also when the act took it out of the caller's sight."""
        return self.queryset.all().get(pk=thing.pk)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.shown(self.find())

    def represent(self, thing: Any) -> Any:
        """A row as `retrieve` shows it."""
        serializer = _shown_by(self.get_serializer_class())
        serializer._context = self.get_serializer_context()
        return serializer.to_representation(thing)

    def shown(self, thing: Any, status: int = 200) -> Response:
        """A row with its version; 304 when the caller has it."""
        data = self.represent(thing)
        tag = etag(data)
        known = self.request.headers.get("If-None-Match")
        if known and self.request.method == "GET" and fits(known, tag):
            return Response(status=304, headers={"ETag": tag})
        return Response(data, status=status, headers={"ETag": tag})

    @contextmanager
    def editing(self) -> Iterator[Any]:
        """The row, locked, once the caller's If-Match fits what it is now."""
        with transaction.atomic():
            thing = self.find(locked=True)
            wanted = self.request.headers.get("If-Match")
            if wanted is not None and not fits(wanted, etag(self.represent(thing))):
                raise DomainError("It was changed since you read it.", code="stale", status=412)
            yield thing


def _shown_by(kind: type[BaseSerializer]) -> BaseSerializer:
    """This thread's serializer of a kind: to make one, DRF copies every field, which takes longer than to show a row."""
    if kind not in _thread.serializers:
        _thread.serializers[kind] = kind()
    return _thread.serializers[kind]


def number_in(key: str) -> int:
    """The id in an address; an odd one is simply not there."""
    if key.isascii() and key.isdecimal() and len(key) < 20 and int(key) <= BIGGEST_ID:
        return int(key)
    raise NotFound("There is no such thing, or it is not yours to see.")


def shown_as(kind: type[BaseSerializer], thing: Any) -> Any:
    """A row as a serializer that needs no request shows it."""
    return _shown_by(kind).to_representation(thing)


def find_by(queryset: QuerySet, key: str, slug_field: str = "", *, locked: bool = False) -> Any:
    """A row of a scoped queryset by id or slug; an odd key is simply not there."""
    if key.isascii() and key.isdecimal() and len(key) < 20 and int(key) <= BIGGEST_ID:
        wanted: dict[str, Any] = {"pk": int(key)}
    elif slug_field and key.isascii() and key.replace("-", "").replace("_", "").isalnum():
        wanted = {slug_field: key}
    else:
        raise NotFound("There is no such thing, or it is not yours to see.")
    # Looked up by key alone first: a filter over joins may name a row twice, and FOR UPDATE takes no DISTINCT.
    found = queryset.filter(**wanted)
    if locked:
        found = found.select_for_update(of=("self",))
    row = found.first()
    if row is None:
        raise NotFound("There is no such thing, or it is not yours to see.")
    return row


class NotHere(Door):
    """Any other address under the API: a problem document, not a page."""

    permission_classes = []
    throttle_classes = []
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("There is no such address.")
