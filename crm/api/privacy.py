"""Privacy over REST: erasures with their preview and proof, legal holds."""

from django_filters import FilterSet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm.access import Permission, find, require
from crm.api.base import Door, ScopedViewSet
from crm.choices import ErasureWay, ErasureWhy
from crm.filters import IdFilter
from crm.models import Customer, Erasure, LegalHold
from crm.services import erasures, holds


class ErasureSerializer(serializers.ModelSerializer):
    """A promise, and then the proof: nothing of the person stands in it."""

    class Meta:
        model = Erasure
        fields = ["id", "customer", "way", "why", "state", "by", "at", "done_at", "counts", "problem"]


class ErasureInput(serializers.Serializer):
    """`confirmation` is the word that the preview gave to the same user at most 15 minutes ago."""

    way = serializers.ChoiceField(choices=ErasureWay)
    why = serializers.ChoiceField(choices=ErasureWhy)
    confirmation = serializers.CharField(max_length=5_000)


class HoldSerializer(serializers.ModelSerializer):
    class Meta:
        model = LegalHold
        fields = ["id", "customer", "reason", "by", "at", "until", "lifted_by", "lifted_at"]


class HoldInput(serializers.Serializer):
    reason = serializers.CharField(max_length=200)
    until = serializers.DateTimeField(required=False, allow_null=True, default=None)


class _OfCustomer(Door):
    noun = "customers"

    def customer(self, request: Request, pk: int) -> Customer:
        return find(Customer.objects.visible_to(request.user), pk=pk)


class CustomerErasure(_OfCustomer):
    """Looking at what would go, and having it go."""

    @extend_schema(operation_id="customers_erasure_preview", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: int) -> Response:
        """What would go, by noun and count, what stands in the way, and the word with which to confirm it."""
        require(request.user, Permission.ERASE)
        return Response(erasures.preview(self.customer(request, pk), by=request.user))

    @extend_schema(operation_id="customers_erasure", request=ErasureInput, responses={202: ErasureSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Erase a person or make the record anonymous; it cannot be undone. 409 `legal_hold`, `preview_first`."""
        require(request.user, Permission.ERASE)
        promised = erasures.ask(self.customer(request, pk), by=request.user, **self.read_body(ErasureInput))
        return Response(
            ErasureSerializer(promised).data,
            status=202,
            headers={"Location": f"/api/v1/erasures/{promised.pk}/"},
        )


class CustomerHolds(_OfCustomer):
    """Keeping a record."""

    @extend_schema(operation_id="customers_holds", request=HoldInput, responses={201: HoldSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Keep this record from being erased, until a day or until the hold is lifted."""
        require(request.user, Permission.HOLD)
        kept = holds.place(self.customer(request, pk), by=request.user, **self.read_body(HoldInput))
        return Response(
            HoldSerializer(kept).data, status=201, headers={"Location": f"/api/v1/holds/{kept.pk}/"}
        )


class ErasureFilter(FilterSet):
    customer = IdFilter()

    class Meta:
        model = Erasure
        fields = ["customer", "state", "way", "why"]


class ErasureViewSet(ScopedViewSet):
    """Erasures, promised and proven."""

    noun = "customers"
    queryset = Erasure.objects.all()
    serializer_class = ErasureSerializer
    filterset_class = ErasureFilter
    ordering_fields = ("id", "at")


class HoldFilter(FilterSet):
    customer = IdFilter()

    class Meta:
        model = LegalHold
        fields = ["customer"]


class HoldViewSet(ScopedViewSet):
    """Legal holds, those that are over too."""

    noun = "customers"
    queryset = LegalHold.objects.all()
    serializer_class = HoldSerializer
    filterset_class = HoldFilter
    ordering_fields = ("id", "at")

    @extend_schema(request=None, responses=HoldSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def lift(self, request: Request, pk: str) -> Response:
        """The hold is over; 409 `already_lifted`."""
        kept = self.find()
        require(request.user, Permission.HOLD)
        return self.shown(holds.lift(kept, by=request.user))
