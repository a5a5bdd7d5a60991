"""How the OpenAPI document is made: every parameter, every refusal, the plain doors beside the views."""

from functools import cache
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

PROBLEM = {
    "type": "object",
    "description": "A refusal (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For people."},
        "code": {"type": "string", "description": "For programs; stable."},
        "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
    },
    "additionalProperties": True,
}
REFUSALS = {
    "400": "The request makes no sense; `errors` lists fields.",
    "401": "Nobody we know.",
    "403": "Not with this role or scope.",
    "404": "Absent, or not yours to see.",
    "429": "Too many requests; see `Retry-After`.",
    "503": "The database does not answer; see `Retry-After`.",
}
WRITE_REFUSALS = {
    "409": "The thing has moved on; `code` says how, `holder` names who has it.",
    "413": "The body is over 5 MB.",
    "415": "The body is not application/json.",
    "422": "The Idempotency-Key was used for another request.",
}
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Names this write: the same key and body again get the saved answer. At most 255 printable characters.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The `ETag` you read: 412 when it was changed since.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="An `ETag` you have: 304 when it is still the same.",
)


class Schema(AutoSchema):
    """drf-spectacular's, with the headers and refusals that all doors share."""

    def get_override_parameters(self) -> list:
        found = list(super().get_override_parameters())
        if self.method in ("POST", "PUT", "PATCH"):
            found.append(IDEMPOTENCY_KEY)
        if self.method == "PATCH":
            found.append(IF_MATCH)
        if self.method == "GET" and getattr(self.view, "action", "") == "retrieve":
            found.append(IF_NONE_MATCH)
        return found

    def get_tags(self) -> list[str]:
        return [getattr(self.view, "noun", "") or super().get_tags()[0]]

    def get_operation(self, *args: Any, **kwargs: Any) -> dict | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is None or not getattr(self.view, "noun", ""):
            return operation
        refusals = dict(REFUSALS)
        if self.method != "GET":
            refusals |= WRITE_REFUSALS
        if self.method == "PATCH":
            refusals["412"] = "It was changed since you read it."
        for status, words in refusals.items():
            operation["responses"].setdefault(status, _refusal(words))
        return operation


class TokenScheme(OpenApiAuthenticationExtension):
    """Bearer tokens."""

    target_class = "crm.api.base.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict:
        return {"type": "http", "scheme": "bearer", "description": "A token of `manage.py apitoken`."}


class SessionScheme(OpenApiAuthenticationExtension):
    """The page's session."""

    target_class = "crm.api.base.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "The page's session; writes also need the header X-CSRFToken.",
        }


def _refusal(words: str) -> dict:
    return {
        "description": words,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def add_plain_doors(result: dict, generator: Any, request: Any, public: bool) -> dict:
    """Post-processing: the document of what stands in front of Django (`crm.intake`), and the shared problem."""
    result["components"]["schemas"]["Problem"] = PROBLEM
    result["components"].setdefault("securitySchemes", {})["signature"] = {
        "type": "apiKey",
        "in": "header",
        "name": "X-Earshot-Signature",
        "description": '`t=<unix seconds>,v1=<hex HMAC-SHA256 of t + "." + body>` with the channel\'s secret.',
    }
    receipt = {
        "type": "object",
        "required": ["accepted", "duplicates", "rejected"],
        "properties": {
            "accepted": {"type": "integer"},
            "duplicates": {"type": "integer"},
            "rejected": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "index": {"type": "integer"},
                        "errors": {"type": "object", "additionalProperties": {"type": "string"}},
                        "delivery": {"type": "integer"},
                    },
                },
            },
        },
    }
    answer = {"content": {"application/json": {"schema": receipt}}}
    refusals = {
        name: _refusal(words) for name, words in (REFUSALS | WRITE_REFUSALS).items() if name in _OF_INTAKE
    }
    result["paths"]["/api/v1/deliveries/{slug}/"] = {
        "post": {
            "operationId": "deliveries_accept",
            "description": 'Deliver one item, or `{"items": [...]}` with at most 1,000; handled after the answer.',
            "parameters": [
                {
                    "name": "slug",
                    "in": "path",
                    "required": True,
                    "description": "The channel.",
                    "schema": {"type": "string", "pattern": "^[-a-zA-Z0-9_]*[a-zA-Z_-][-a-zA-Z0-9_]*$"},
                }
            ],
            "tags": ["deliveries"],
            "security": [{"token": []}, {"signature": []}],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "responses": {
                "202": {"description": "Kept.", **answer},
                "422": {"description": "The single item breaks the rules; kept in quarantine.", **answer},
                **refusals,
            },
        }
    }
    return result


_OF_INTAKE = {"400", "401", "404", "413", "503"}


@cache
def _document() -> dict:
    view = SchemaView()
    return view.generator_class(api_version="1").get_schema(request=None, public=True)


@extend_schema(exclude=True)
class SchemaView(SpectacularAPIView):
    """OpenAPI 3.1, made once a process."""

    authentication_classes: list = []
    permission_classes: list = []

    def _get_schema_response(self, request: Request) -> Response:
        name = f'inline; filename="{self._get_filename(request, "v1")}"'
        return Response(data=_document(), headers={"Content-Disposition": name})


class DocsView(SpectacularSwaggerSplitView):
    """The document for people, offline: its files are ours, its script is no part of the page."""

    authentication_classes: list = []
    permission_classes: list = []
