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
from crm.api.serializers import Edit
from crm.choices import ErasureWay, ErasureWhy, RetentionKind, VerifiedHow
from crm.filters import IdFilter
from crm.models import (
    Brand,
    Company,
    Customer,
    Erasure,
    Export,
    LegalHold,
    Message,
    RetentionPolicy,
    Ticket,
    Verification,
)
from crm.services import disclosure, erasures, holds, masking, person_export, retention


class ErasureSerializer(serializers.ModelSerializer):
    """A promise, and then the proof: nothing of the person stands in it."""

    class Meta:
        model = Erasure
        fields = ["id", "customer", "way", "why", "state", "by", "at", "done_at", "counts", "problem"]


class ErasureInput(serializers.Serializer):
    """`confirmation` is the word that the preview gave to the same user at most 15 minutes ago."""

    way = serializers.ChoiceField(choices=ErasureWay.choices)
    why = serializers.ChoiceField(choices=ErasureWhy.choices)
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


class PersonExportSerializer(serializers.ModelSerializer):
    """A file that is being made: fetched on the page of exports by who asked."""

    class Meta:
        model = Export
        fields = ["id", "state", "at"]


class PersonalData(_OfCustomer):
    """All that is held on one person."""

    @extend_schema(operation_id="customers_personal_data", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: int) -> Response:
        """Every row about the person, by noun; each reading stands in the history. 409 `erased`."""
        require(request.user, Permission.EXPORT_PERSON)
        return Response(person_export.read(self.customer(request, pk), by=request.user))

    @extend_schema(
        operation_id="customers_personal_data_file", request=None, responses={202: PersonExportSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        """The same as a file to hand over: JSON and HTML in a zip, made in the background. 409 `erased`."""
        require(request.user, Permission.EXPORT_PERSON)
        kept = person_export.ask(self.customer(request, pk), by=request.user)
        return Response(PersonExportSerializer(kept).data, status=202)


class RetentionPolicySerializer(serializers.ModelSerializer):
    brand = serializers.SlugRelatedField(slug_field="slug", read_only=True)

    class Meta:
        model = RetentionPolicy
        fields = ["id", "kind", "brand", "days", "way", "is_active", "ran_at", "went"]


class RetentionEdit(Edit):
    days = serializers.IntegerField(min_value=1, max_value=36_500)
    way = serializers.ChoiceField(choices=ErasureWay.choices)
    is_active = serializers.BooleanField()


class RetentionInput(serializers.Serializer):
    kind = serializers.ChoiceField(choices=RetentionKind.choices)
    brand = serializers.SlugRelatedField(
        slug_field="slug", queryset=Brand.objects.all(), required=False, allow_null=True, default=None
    )
    days = serializers.IntegerField(min_value=1, max_value=36_500)
    way = serializers.ChoiceField(choices=ErasureWay.choices, default=ErasureWay.ERASE)
    is_active = serializers.BooleanField(default=False)


class DryRunSerializer(serializers.Serializer):
    rows = serializers.IntegerField(help_text="That would go now.")
    before = serializers.DateTimeField(help_text="What is older.")


class RetentionFilter(FilterSet):
    class Meta:
        model = RetentionPolicy
        fields = ["kind", "is_active"]


class RetentionViewSet(ScopedViewSet):
    """What is kept for a time only."""

    noun = "customers"
    queryset = RetentionPolicy.objects.select_related("brand")
    serializer_class = RetentionPolicySerializer
    filterset_class = RetentionFilter
    ordering_fields = ("id",)

    @extend_schema(request=RetentionInput, responses={201: RetentionPolicySerializer})
    def create(self, request: Request) -> Response:
        """Say how long a kind of data is kept; 409 when that is said already."""
        require(request.user, Permission.ERASE)
        made = retention.keep(RetentionPolicy(), self.read_body(RetentionInput), by=request.user)
        return self.shown(made, status=201)

    @extend_schema(request=RetentionEdit, responses=RetentionPolicySerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change how long, how, and whether it runs."""
        with self.editing() as policy:
            require(request.user, Permission.ERASE)
            retention.keep(policy, self.read_body(RetentionEdit), by=request.user)
        return self.shown(policy)

    @extend_schema(responses=DryRunSerializer)
    @action(detail=True, methods=["get"], url_path="dry-run", pagination_class=None, filter_backends=[])
    def dry_run(self, request: Request, pk: str) -> Response:
        """How much would go now; nothing is changed."""
        return Response(DryRunSerializer(retention.dry_run(self.find())).data)


class VerificationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Verification
        fields = ["id", "customer", "how", "by", "at", "until"]


class VerificationInput(serializers.Serializer):
    how = serializers.ChoiceField(choices=VerifiedHow.choices)
    minutes = serializers.IntegerField(min_value=1, max_value=disclosure.LONGEST_MINUTES, default=30)


class CustomerVerifications(_OfCustomer):
    """Making sure that this is the person."""

    @extend_schema(
        operation_id="customers_verifications",
        request=VerificationInput,
        responses={201: VerificationSerializer},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Say how it was made sure that this is the person, and for how many minutes that counts."""
        require(request.user, Permission.NOTE)
        made = disclosure.verify(
            self.customer(request, pk), by=request.user, **self.read_body(VerificationInput)
        )
        return Response(VerificationSerializer(made).data, status=201)


class RestrictedInput(serializers.Serializer):
    fields = serializers.DictField(help_text="By slug; null takes one away.")


class CustomerRestricted(_OfCustomer):
    """Restricted fields: apart from all others."""

    @extend_schema(operation_id="customers_restricted", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: int) -> Response:
        """Restricted fields by slug, once the person is verified; each reading stands in the history. 409 `verify_first`."""
        require(request.user, Permission.SEE_RESTRICTED)
        return Response({"fields": disclosure.read(self.customer(request, pk), by=request.user)})

    @extend_schema(
        operation_id="customers_restricted_write", request=RestrictedInput, responses=OpenApiTypes.OBJECT
    )
    def put(self, request: Request, pk: int) -> Response:
        """Set restricted fields by slug; what is not named stays. 409 `verify_first`."""
        require(request.user, Permission.SEE_RESTRICTED)
        given = self.read_body(RestrictedInput)["fields"]
        return Response({"fields": disclosure.write(self.customer(request, pk), given, by=request.user)})


class TicketRestricted(Door):
    """Restricted fields of a ticket."""

    noun = "tickets"

    @extend_schema(operation_id="tickets_restricted", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: int) -> Response:
        """Restricted fields by slug, once the customer is verified; each reading stands in the history. 409 `verify_first`."""
        ticket = self._ticket(request, pk)
        return Response({"fields": disclosure.read(ticket, by=request.user)})

    @extend_schema(
        operation_id="tickets_restricted_write", request=RestrictedInput, responses=OpenApiTypes.OBJECT
    )
    def put(self, request: Request, pk: int) -> Response:
        """Set restricted fields by slug; what is not named stays. 409 `verify_first`."""
        ticket = self._ticket(request, pk)
        require(request.user, Permission.CLOSE, ticket)
        given = self.read_body(RestrictedInput)["fields"]
        return Response({"fields": disclosure.write(ticket, given, by=request.user)})

    def _ticket(self, request: Request, pk: int) -> Ticket:
        ticket = find(Ticket.objects.visible_to(request.user).select_related("customer"), pk=pk)
        require(request.user, Permission.SEE_RESTRICTED)
        return ticket


class CompanyRestricted(Door):
    """Restricted fields of a company."""

    noun = "companies"

    @extend_schema(operation_id="companies_restricted", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: int) -> Response:
        """Restricted fields by slug; each reading stands in the history."""
        require(request.user, Permission.SEE_RESTRICTED)
        return Response({"fields": disclosure.read(self._company(request, pk), by=request.user)})

    @extend_schema(
        operation_id="companies_restricted_write", request=RestrictedInput, responses=OpenApiTypes.OBJECT
    )
    def put(self, request: Request, pk: int) -> Response:
        """Set restricted fields by slug; what is not named stays."""
        require(request.user, Permission.SEE_RESTRICTED)
        given = self.read_body(RestrictedInput)["fields"]
        return Response({"fields": disclosure.write(self._company(request, pk), given, by=request.user)})

    def _company(self, request: Request, pk: int) -> Company:
        return find(Company.objects.visible_to(request.user), pk=pk)


class RevealInput(serializers.Serializer):
    reason = serializers.CharField(min_length=masking.SHORTEST_REASON, max_length=200)


class RevealSerializer(serializers.Serializer):
    title = serializers.CharField()
    text = serializers.CharField()


class MessageReveal(Door):
    """Words as they came."""

    noun = "messages"

    @extend_schema(operation_id="messages_reveal", request=RevealInput, responses=RevealSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Read what was masked, with a reason; that you did stands in the history. 404 when nothing is masked."""
        message = find(Message.objects.visible_to(request.user), pk=pk)
        require(request.user, Permission.UNMASK)
        return Response(masking.reveal(message, by=request.user, **self.read_body(RevealInput)))


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
