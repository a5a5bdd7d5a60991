"""Rights over REST: sets of the organisation's own, and who was given which within what scope."""

from django_filters import ChoiceFilter, FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm import accounts
from crm.access import Permission, require
from crm.api.base import ScopedViewSet
from crm.api.serializers import Edit
from crm.choices import Role, Scope
from crm.filters import IdFilter, YesNoFilter
from crm.models import Brand, Grant, RightSet, Team, User
from crm.services import rights

RIGHTS = [(one.value, one.value) for one in Permission]


class RightSetSerializer(serializers.ModelSerializer):
    class Meta:
        model = RightSet
        fields = ["id", "name", "note", "rights", "retired", "created_at"]


class RightSetEdit(Edit):
    """What may be changed of a set; whoever has it feels it within seconds."""

    name = serializers.CharField(max_length=60)
    note = serializers.CharField(max_length=200, allow_blank=True)
    rights = serializers.ListField(child=serializers.ChoiceField(choices=RIGHTS), max_length=len(RIGHTS))
    retired = serializers.BooleanField()


class RightSetInput(serializers.Serializer):
    """A new set: a name and at least one right."""

    name = serializers.CharField(max_length=60)
    note = serializers.CharField(max_length=200, allow_blank=True, default="")
    rights = serializers.ListField(child=serializers.ChoiceField(choices=RIGHTS), max_length=len(RIGHTS))


class GrantSerializer(serializers.ModelSerializer):
    """A set that somebody was given: one of the organisation's own (`right_set`), or a built-in one (`role`)."""

    class Meta:
        model = Grant
        fields = [
            "id",
            "user",
            "right_set",
            "role",
            "scope",
            "team",
            "brand",
            "by",
            "at",
            "ended_by",
            "ended_at",
        ]


class GrantInput(serializers.Serializer):
    """Which set, to whom, over what: `team` and `brand` go with the scope of that name."""

    user = serializers.PrimaryKeyRelatedField(queryset=User.objects.all())
    right_set = serializers.PrimaryKeyRelatedField(
        queryset=RightSet.objects.all(), required=False, default=None
    )
    role = serializers.ChoiceField(choices=Role.choices, required=False, default="")
    scope = serializers.ChoiceField(choices=Scope.choices)
    team = serializers.PrimaryKeyRelatedField(queryset=Team.objects.all(), required=False, default=None)
    brand = serializers.PrimaryKeyRelatedField(queryset=Brand.objects.all(), required=False, default=None)


class RightSetFilter(FilterSet):
    """Sets, with or without retired ones."""

    retired = YesNoFilter()

    class Meta:
        model = RightSet
        fields: list[str] = []


class GrantFilter(FilterSet):
    """What was given, by person, set and scope; `standing=false` shows what was taken away."""

    user = IdFilter()
    right_set = IdFilter()
    scope = ChoiceFilter(choices=Scope.choices)
    standing = YesNoFilter(field_name="ended_at", lookup_expr="isnull")

    class Meta:
        model = Grant
        fields: list[str] = []


class RightSetViewSet(ScopedViewSet):
    """Sets of rights of the organisation's own; the built-in ones are the roles."""

    noun = "rights"
    queryset = RightSet.objects.all()
    serializer_class = RightSetSerializer
    filterset_class = RightSetFilter
    ordering_fields = ("id", "name")
    ordering = "name"

    @extend_schema(request=RightSetInput, responses={201: RightSetSerializer})
    def create(self, request: Request) -> Response:
        """A new set; nobody puts into it what he has not himself. 403 `more_than_own`, `password_needed`, `not_by_token`."""
        require(request.user, Permission.CONFIGURE)
        accounts.require_fresh(request)
        return self.shown(rights.make_set(by=request.user, **self.read_body(RightSetInput)), status=201)

    @extend_schema(request=RightSetEdit, responses=RightSetSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a set, or retire it; 403 `more_than_own`, `password_needed`, `not_by_token`, 409 `last_administrator`."""
        self.find()
        accounts.require_fresh(request)
        with self.editing() as kept:
            return self.shown(rights.edit_set(kept, self.read_body(RightSetEdit), by=request.user))


class GrantViewSet(ScopedViewSet):
    """Who was given which set within what scope; everybody sees his own."""

    noun = "rights"
    queryset = Grant.objects.all()
    serializer_class = GrantSerializer
    filterset_class = GrantFilter
    ordering_fields = ("id", "at")

    @extend_schema(request=GrantInput, responses={201: GrantSerializer})
    def create(self, request: Request) -> Response:
        """Give a set within a scope; 403 `more_than_own`, `password_needed`, `not_by_token`, 409 `given_already`."""
        require(request.user, Permission.CONFIGURE)
        accounts.require_fresh(request)
        given = self.read_body(GrantInput)
        return self.shown(rights.give(given.pop("user"), by=request.user, **given), status=201)

    @extend_schema(request=None, responses=GrantSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def take(self, request: Request, pk: str) -> Response:
        """Take it away again; 403 `password_needed`, `not_by_token`, 409 `taken_already`, `last_administrator`."""
        grant = self.find()
        require(request.user, Permission.CONFIGURE)
        accounts.require_fresh(request)
        return self.shown(rights.take(grant, by=request.user))
