"""Edits of many rows over REST: previewed, made, undone."""

from django.db.models import QuerySet
from django_filters import ChoiceFilter, FilterSet, MultipleChoiceFilter
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.base import ScopedViewSet
from crm.api.lists import NOUNS
from crm.choices import BulkOutcome, BulkState
from crm.models import Bulk, BulkRow
from crm.services import bulks

ROWS_SHOWN = 200


class BulkSerializer(serializers.ModelSerializer):
    """`counts` by outcome are of the last pass: of the preview what would become of the rows."""

    class Meta:
        model = Bulk
        fields = [
            "id",
            "noun",
            "change",
            "state",
            "total",
            "counts",
            "asked",
            "by",
            "at",
            "done_at",
            "undone_by",
            "undone_at",
        ]


class BulkRowSerializer(serializers.ModelSerializer):
    """One row: what became of it and why, and what it was and became by column."""

    class Meta:
        model = BulkRow
        fields = ["row_id", "outcome", "reason", "before", "after"]


class BulkInput(serializers.Serializer):
    """Which rows (`ids`, or `filters` as in the address of the list) and what they shall have.

    `change` by column: `owner` and `team` by id, `add_tags` and `remove_tags` by slug, `fields.<slug>`; another `priority`
    needs its `priority_reason`.
    """

    noun = serializers.ChoiceField(NOUNS)
    change = serializers.DictField()
    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        required=False,
        max_length=bulks.MOST,
        allow_empty=False,
    )
    filters = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField(max_length=4000), max_length=100),
        required=False,
    )


class BulkFilter(FilterSet):
    """Edits by list and state."""

    noun = ChoiceFilter(choices=NOUNS)
    state = MultipleChoiceFilter(choices=BulkState.choices)

    class Meta:
        model = Bulk
        fields: list[str] = []


class BulkViewSet(ScopedViewSet):
    """Edits of many rows of a list: one's own; who sees everything sees all."""

    noun = "bulks"
    queryset = Bulk.objects.all()
    serializer_class = BulkSerializer
    filterset_class = BulkFilter
    ordering_fields = ("id",)

    @extend_schema(request=BulkInput, responses={201: BulkSerializer})
    def create(self, request: Request) -> Response:
        """A preview: the rows are fixed, each is asked what it would become, and nothing is changed."""
        given = self.read_body(BulkInput)
        made = bulks.preview(
            given["noun"], given["change"], by=request.user, ids=given.get("ids"), words=given.get("filters")
        )
        return self.shown(made, status=201)

    @extend_schema(
        parameters=[
            OpenApiParameter("outcome", OpenApiTypes.STR, enum=BulkOutcome.values, description="Only these."),
            OpenApiParameter("after", OpenApiTypes.INT64, description="Rows with a higher id."),
        ],
        responses=BulkRowSerializer(many=True),
    )
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def rows(self, request: Request, pk: str) -> Response:
        """What became of the rows, 200 at a time."""
        found: QuerySet = self.find().rows.order_by("row_id")
        if outcome := request.query_params.get("outcome", ""):
            if outcome not in BulkOutcome.values:
                raise exceptions.ValidationError({"outcome": [f"is one of {', '.join(BulkOutcome.values)}"]})
            found = found.filter(outcome=outcome)
        if after := request.query_params.get("after", ""):
            if not (after.isascii() and after.isdecimal() and len(after) < 19):
                raise exceptions.ValidationError({"after": ["must be a whole number"]})
            found = found.filter(row_id__gt=int(after))
        return Response({"results": BulkRowSerializer(found[:ROWS_SHOWN], many=True).data})

    @extend_schema(request=None, responses=BulkSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def start(self, request: Request, pk: str) -> Response:
        """Make the edit: up to 1,000 rows at once, more in the background; 409 `wrong_state` when it was made."""
        return self.shown(bulks.start(self.find(), by=request.user))

    @extend_schema(request=None, responses=BulkSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def undo(self, request: Request, pk: str) -> Response:
        """Put back what nobody has changed since; 409 `wrong_state`, `too_late`."""
        return self.shown(bulks.undo(self.find(), by=request.user))
