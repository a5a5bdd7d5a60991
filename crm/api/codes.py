"""The two lists of wrap-up over REST."""

from django.db.models import Q, QuerySet
from django_filters import ChoiceFilter, FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm.access import Permission, for_workers, require
from crm.api.base import ScopedViewSet
from crm.api.serializers import Edit, SlugRef
from crm.choices import CodeKind
from crm.filters import SearchFilter, SlugFilter, YesNoFilter
from crm.models import Brand, Code
from crm.services import codes


class CodeSerializer(serializers.ModelSerializer):
    brand = SlugRef()
    parent = serializers.SlugRelatedField(slug_field="code", read_only=True)

    class Meta:
        model = Code
        fields = ["id", "kind", "code", "label", "brand", "parent", "level", "retired"]


class CodeFilter(FilterSet):
    """Codes by list, brand and words."""

    search = SearchFilter(method="find", label="Code or label.")
    kind = ChoiceFilter(choices=CodeKind.choices)
    brand = SlugFilter(field_name="brand__slug")
    retired = YesNoFilter()

    class Meta:
        model = Code
        fields: list[str] = []

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        return queryset.filter(Q(code__icontains=words) | Q(label__icontains=words))


class CodeEdit(Edit):
    """A code keeps its list, place and code; its words may change, and it may be retired."""

    label = serializers.CharField(max_length=100)
    retired = serializers.BooleanField()


class CodeInput(serializers.Serializer):
    """A new code."""

    kind = serializers.ChoiceField(choices=CodeKind.choices)
    code = serializers.SlugField(max_length=40)
    label = serializers.CharField(max_length=100)
    brand = serializers.SlugRelatedField(
        slug_field="slug", queryset=Brand.objects.all(), required=False, allow_null=True
    )
    parent = serializers.PrimaryKeyRelatedField(queryset=Code.objects.all(), required=False, allow_null=True)


class CodeViewSet(ScopedViewSet):
    """Reasons and outcomes: retired, never deleted."""

    noun = "codes"
    queryset = Code.objects.select_related("brand", "parent")
    serializer_class = CodeSerializer
    filterset_class = CodeFilter
    ordering_fields = ("id", "label")
    ordering = "label"

    def scoped(self) -> QuerySet:
        return for_workers(self.queryset.all(), self.request.user)

    @extend_schema(request=CodeInput, responses={201: CodeSerializer})
    def create(self, request: Request) -> Response:
        """A new code, or 409 `code_exists`."""
        require(request.user, Permission.CONFIGURE)
        made = codes.create(by=request.user, **self.read_body(CodeInput))
        return self.shown(self.after(made), status=201)

    @extend_schema(request=CodeEdit, responses=CodeSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Rename or retire it."""
        with self.editing() as code:
            require(request.user, Permission.CONFIGURE)
            codes.edit(code, self.read_body(CodeEdit), by=request.user)
        return self.shown(self.after(code))
