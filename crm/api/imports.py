"""Imports and exports over REST: a file comes in and is mapped, tried dry, read in, followed, undone; a list leaves as a file."""

from typing import Any

from django.http import StreamingHttpResponse
from django_filters import ChoiceFilter, FilterSet, MultipleChoiceFilter
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import parsers, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm.access import Permission, require, require_somewhere
from crm.api.base import BIGGEST_ID, ScopedViewSet, StrictJSONParser
from crm.api.serializers import Edit
from crm.choices import ExportFormat, ExportState, ImportNoun, ImportState, RowOutcome
from crm.downloads import file_response
from crm.errors import DomainError
from crm.filters import YesNoFilter
from crm.models import Export, Import, ImportRow
from crm.services import exports, imports

ROWS = 200  # of a report at once


class ImportSerializer(serializers.ModelSerializer):
    """Where an import is; while it is checked, run or undone, `counts` grows until it is done."""

    passed = serializers.IntegerField(read_only=True, help_text="Rows that the pass at hand has dealt with.")

    class Meta:
        model = Import
        fields = [
            "id", "name", "noun", "state", "headers", "mapping", "region", "total", "passed", "counts", "kept", "by", "at",
            "started_by", "done_at", "undone_by", "undone_at",
        ]  # fmt: skip


class ImportInput(serializers.Serializer):
    """A file as a form sends it."""

    file = serializers.FileField(allow_empty_file=True)
    noun = serializers.ChoiceField(choices=ImportNoun.choices, required=False)


class MappingInput(Edit):
    """What the columns are, in their order; an empty word leaves one out. `GET targets/` lists the words."""

    mapping = serializers.ListField(
        child=serializers.CharField(max_length=100, allow_blank=True), max_length=2_000
    )
    region = serializers.CharField(max_length=2, allow_blank=True)


class ImportRowSerializer(serializers.ModelSerializer):
    customer = serializers.IntegerField(source="customer_id", read_only=True)

    class Meta:
        model = ImportRow
        fields = ["line", "outcome", "report", "customer", "cells"]


class ReportSerializer(serializers.Serializer):
    """A piece of the report, in the order of the file."""

    results = ImportRowSerializer(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="The line after which to go on.")


class TargetSerializer(serializers.Serializer):
    target = serializers.CharField()
    label = serializers.CharField()


class ImportFilter(FilterSet):
    """Imports by what is in them and where they are."""

    noun = ChoiceFilter(choices=ImportNoun.choices)
    state = MultipleChoiceFilter(choices=ImportState.choices)
    waiting = YesNoFilter(field_name="done_at", lookup_expr="isnull", label="Not read in yet.")

    class Meta:
        model = Import
        fields: list[str] = []


class ImportViewSet(ScopedViewSet):
    """Files of customers and of what is theirs. Nothing is changed before `start`, and all of it can be undone."""

    noun = "imports"
    queryset = Import.objects.all()
    serializer_class = ImportSerializer
    filterset_class = ImportFilter
    ordering_fields = ("id",)
    parser_classes = [StrictJSONParser, parsers.MultiPartParser]

    @extend_schema(request={"multipart/form-data": ImportInput}, responses={201: ImportSerializer})
    def create(self, request: Request) -> Response:
        """Keep a CSV or XLSX with a guess of its mapping; 400 says what of the file cannot be read, and where."""
        require(request.user, Permission.IMPORT)
        given = self.read_body(ImportInput)
        raw = given["file"].read(imports.LARGEST_FILE + 1)
        noun = given.get("noun", ImportNoun.CUSTOMERS)
        kept = imports.upload(raw, given["file"].name or "", by=request.user, noun=noun)
        return self.shown(self.after(kept), status=201)

    @extend_schema(request=MappingInput, responses=ImportSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Say what the columns are; 409 `wrong_state` once it runs."""
        with self.editing() as kept:
            given = self.read_body(MappingInput)
            imports.remap(kept, given.get("mapping", kept.mapping), given.get("region", kept.region))
        return self.shown(self.after(kept))

    @extend_schema(responses=TargetSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def targets(self, request: Request, pk: str) -> Response:
        """What a column of this import can be."""
        found = imports.targets(self.find().noun)
        return Response({"results": [{"target": target, "label": label} for target, label in found]})

    @extend_schema(request=None, responses={202: ImportSerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def check(self, request: Request, pk: str) -> Response:
        """Promise a dry run: what each row would become."""
        kept = self.find()
        imports.check(kept)
        return self.shown(self.after(kept), status=202)

    @extend_schema(request=None, responses={202: ImportSerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def start(self, request: Request, pk: str) -> Response:
        """Promise to read the rows in."""
        kept = self.find()
        imports.start(kept, by=request.user)
        return self.shown(self.after(kept), status=202)

    @extend_schema(request=None, responses={202: ImportSerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def undo(self, request: Request, pk: str) -> Response:
        """Promise to undo all that it did; while it runs, what it has done so far. 409 `too_late` when its rows are gone."""
        kept = self.find()
        imports.undo(kept, by=request.user)
        return self.shown(self.after(kept), status=202)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "outcome", OpenApiTypes.STR, enum=RowOutcome.values, description="Only such rows."
            ),
            OpenApiParameter("after", OpenApiTypes.INT, description="Rows after this line."),
        ],
        responses=ReportSerializer,
    )
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def rows(self, request: Request, pk: str) -> Response:
        """The report, row by row: what it would become, or became, and why."""
        found = self.find().rows.order_by("line")
        outcome, after = request.query_params.get("outcome", ""), request.query_params.get("after", "")
        if outcome and outcome not in RowOutcome.values:
            raise serializers.ValidationError({"outcome": [f"is one of {', '.join(RowOutcome.values)}"]})
        if after:
            if not (after.isascii() and after.isdecimal() and len(after) < 20 and int(after) <= BIGGEST_ID):
                raise serializers.ValidationError({"after": ["must be a whole number"]})
            found = found.filter(line__gt=min(int(after), 2**31 - 1))
        shown = list((found.filter(outcome=outcome) if outcome else found)[: ROWS + 1])
        follows = shown[ROWS - 1].line if len(shown) > ROWS else None
        return Response({"results": ImportRowSerializer(shown[:ROWS], many=True).data, "next": follows})


class ExportSerializer(serializers.ModelSerializer):
    format = serializers.CharField(source="form", read_only=True)
    goes_at = serializers.SerializerMethodField(help_text="When its file goes.")

    class Meta:
        model = Export
        fields = ["id", "noun", "format", "query", "state", "rows", "error", "at", "done_at", "goes_at"]

    @extend_schema_field(OpenApiTypes.DATETIME)
    def get_goes_at(self, kept: Export) -> Any:
        return exports.goes_at(kept)


class ExportInput(serializers.Serializer):
    """Which list in which form, narrowed by its filters: `{"status": ["open"]}`."""

    noun = serializers.CharField(max_length=20)
    format = serializers.ChoiceField(choices=ExportFormat.choices)
    query = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField(max_length=2_000, allow_blank=True)),
        required=False,
    )


class ExportFilter(FilterSet):
    """One's own files by state."""

    state = ChoiceFilter(choices=ExportState.choices)

    class Meta:
        model = Export
        fields: list[str] = []


FILE = OpenApiResponse(OpenApiTypes.BINARY, description="The file.")


class ExportViewSet(ScopedViewSet):
    """Lists as files, one's own alone."""

    noun = "exports"
    queryset = Export.objects.all()
    serializer_class = ExportSerializer
    filterset_class = ExportFilter
    ordering_fields = ("id",)

    @extend_schema(request=ExportInput, responses={201: ExportSerializer})
    def create(self, request: Request) -> Response:
        """Ask for a list as a file; its state says when it lies there."""
        require_somewhere(request.user, Permission.EXPORT)
        given = self.read_body(ExportInput)
        asked = exports.ask(
            given["noun"], given["format"], given.get("query", {}), by=request.user, kept=True
        )
        return self.shown(self.after(asked), status=201)

    @extend_schema(responses={(200, "application/octet-stream"): FILE})
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def file(self, request: Request, pk: str) -> StreamingHttpResponse:
        """The file; 409 `not_ready` while it is being made."""
        kept = self.find()
        if kept.state != ExportState.DONE:
            raise DomainError(
                "The file is not there yet, or could not be made.", code="not_ready", status=409
            )
        name, mime, path = exports.fetch(kept.pk, by=request.user)
        return file_response(path, name, mime)
