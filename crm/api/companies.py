"""What stands around customers, over REST: companies, tags, fields of our own."""

from django_filters import CharFilter, ChoiceFilter, FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm.access import Permission, require
from crm.api.base import ScopedViewSet
from crm.api.serializers import LONGEST_NOTE, ColleagueRef, Edit
from crm.choices import FieldNoun
from crm.filters import CompanyFilter, SearchFilter, YesNoFilter
from crm.lists import COMPANIES
from crm.models import Company, CustomField, Tag, User
from crm.services import companies


class CompanySerializer(serializers.ModelSerializer):
    class Meta:
        model = Company
        fields = ["id", "name", "domain", "parent", "owner", "note", "fields", "created_at"]


class CompanyEdit(Edit):
    """What may be changed of a company; `fields` by slug, null takes one away."""

    name = serializers.CharField(max_length=200)
    domain = serializers.CharField(max_length=253, allow_blank=True)
    parent = serializers.PrimaryKeyRelatedField(queryset=Company.objects.all(), allow_null=True)
    owner = ColleagueRef(queryset=User.objects.filter(is_active=True), allow_null=True)
    note = serializers.CharField(max_length=LONGEST_NOTE, allow_blank=True)
    fields = serializers.DictField()


class CompanyInput(CompanyEdit):
    """A new company: at least a name."""

    def validate(self, attrs: dict) -> dict:
        if not attrs.get("name"):
            raise serializers.ValidationError({"name": "is needed"})
        return super().validate(attrs)


class CompanyViewSet(ScopedViewSet):
    """Organisations that customers belong to."""

    noun = "companies"
    queryset = Company.objects.all()
    serializer_class = CompanySerializer
    filterset_class = CompanyFilter
    ordering_fields = COMPANIES.orderings

    @extend_schema(request=CompanyInput, responses={201: CompanySerializer})
    def create(self, request: Request) -> Response:
        """A new company."""
        require(request.user, Permission.NOTE)
        made = companies.create(by=request.user, **self.read_body(CompanyInput))
        return self.shown(made, status=201)

    @extend_schema(request=CompanyEdit, responses=CompanySerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Correct a company; 409 `circle` when it would be part of its own part."""
        with self.editing() as company:
            require(request.user, Permission.NOTE)
            companies.edit(company, self.read_body(CompanyEdit), by=request.user)
        return self.shown(company)


class TagSerializer(serializers.ModelSerializer):
    class Meta:
        model = Tag
        fields = ["id", "slug", "name"]


class TagFilter(FilterSet):
    """Tags by name."""

    search = SearchFilter(field_name="name", lookup_expr="icontains", label="Name.")

    class Meta:
        model = Tag
        fields: list[str] = []


class TagInput(serializers.Serializer):
    """A new tag."""

    slug = serializers.SlugField(max_length=50)
    name = serializers.CharField(max_length=40)


class TagViewSet(ScopedViewSet):
    """Words that people put on customers and tickets."""

    noun = "tags"
    queryset = Tag.objects.all()
    serializer_class = TagSerializer
    filterset_class = TagFilter
    ordering_fields = ("id", "name")
    ordering = "name"
    slug_field = "slug"

    @extend_schema(request=TagInput, responses={201: TagSerializer})
    def create(self, request: Request) -> Response:
        """A new tag, or the one that is there by this slug."""
        require(request.user, Permission.NOTE)
        given = self.read_body(TagInput)
        tag, _ = Tag.objects.get_or_create(slug=given["slug"], defaults={"name": given["name"]})
        return self.shown(tag, status=201)


class CustomFieldSerializer(serializers.ModelSerializer):
    class Meta:
        model = CustomField
        fields = ["id", "noun", "slug", "label", "kind", "choices", "place", "retired"]


class CustomFieldFilter(FilterSet):
    """Fields of our own by what they stand on."""

    search = CharFilter(field_name="label", lookup_expr="icontains", max_length=200, label="Label.")
    noun = ChoiceFilter(choices=FieldNoun.choices)
    retired = YesNoFilter()

    class Meta:
        model = CustomField
        fields: list[str] = []


class CustomFieldViewSet(ScopedViewSet):
    """What may stand in `fields` of customers, companies and tickets; set up in the administration."""

    noun = "custom-fields"
    queryset = CustomField.objects.all()
    serializer_class = CustomFieldSerializer
    filterset_class = CustomFieldFilter
    ordering_fields = ("id", "place")
    ordering = "place"
