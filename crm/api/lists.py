"""Lists over REST: what they consist of, what their columns can hold, and the views that people keep of them."""

from django_filters import ChoiceFilter, FilterSet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm.access import require_somewhere
from crm.api.base import Door, ScopedViewSet
from crm.api.serializers import Edit
from crm.choices import Sharing
from crm.errors import NotFound
from crm.filters import LONGEST_SEARCH, IdFilter
from crm.lists import LISTINGS, MOST_COLUMNS, Listing, described
from crm.models import SavedView
from crm.services import references, views

NOUNS = [(noun, listing.label) for noun, listing in LISTINGS.items()]


class OfferSerializer(serializers.Serializer):
    """A value that a column may hold: an id, a slug or a word, and how it is called."""

    value = serializers.JSONField()
    label = serializers.CharField()


class _ListDoor(Door):
    """A door of one list."""

    noun = "lists"

    def scopes(self) -> tuple[str, ...]:
        return (f"{self.kwargs['noun']}:read",)

    def listing(self, noun: str) -> Listing:
        if noun not in LISTINGS:
            raise NotFound("There is no such list.")
        require_somewhere(self.request.user, LISTINGS[noun].read)
        return LISTINGS[noun]


class ListDescription(_ListDoor):
    """What a list consists of."""

    @extend_schema(operation_id="lists_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, noun: str) -> Response:
        """Columns with what can be asked, sorted and edited; fields of our own among them."""
        listing = self.listing(noun)
        return Response(described(listing, listing.columns().values()))


class ListChoices(_ListDoor):
    """What a column can hold."""

    @extend_schema(
        operation_id="lists_choices",
        parameters=[
            OpenApiParameter("column", OpenApiTypes.STR, required=True, description="Of the list."),
            OpenApiParameter("search", OpenApiTypes.STR, description="Letters of the name."),
        ],
        responses=OfferSerializer(many=True),
    )
    def get(self, request: Request, noun: str) -> Response:
        """At most fifty values by name."""
        column = self.listing(noun).columns().get(request.query_params.get("column", ""))
        search = request.query_params.get("search", "")
        if column is None:
            raise exceptions.ValidationError({"column": ["is not one of this list"]})
        if len(search) > LONGEST_SEARCH or "\x00" in search:
            raise exceptions.ValidationError({"search": [f"at most {LONGEST_SEARCH} characters"]})
        found = [
            {"value": value, "label": label}
            for value, label in references.offered(column, request.user, search)
        ]
        return Response({"results": OfferSerializer(found, many=True).data})


class ListCounts(_ListDoor):
    """How many rows each view shows."""

    @extend_schema(operation_id="lists_counts", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, noun: str) -> Response:
        """By view: presets by name, kept ones by id; `limit` + 1 is more than that, null is not known in time."""
        found = views.counts(self.listing(noun), by=request.user)
        return Response({"limit": views.COUNTED, "counts": found})


class SavedViewSerializer(serializers.ModelSerializer):
    class Meta:
        model = SavedView
        fields = [
            "id",
            "noun",
            "name",
            "owner",
            "sharing",
            "team",
            "columns",
            "where",
            "ordering",
            "place",
            "created_at",
        ]


class SavedViewEdit(Edit):
    """What may be changed of a view."""

    name = serializers.CharField(max_length=views.LONGEST_NAME)
    sharing = serializers.ChoiceField(Sharing.choices)
    columns = serializers.ListField(child=serializers.CharField(max_length=60), max_length=MOST_COLUMNS)
    where = serializers.JSONField(help_text="Conditions: docs/lists.md.")
    ordering = serializers.CharField(max_length=40, allow_blank=True)
    place = serializers.IntegerField(min_value=0, max_value=32767)


class SavedViewInput(SavedViewEdit):
    """A new view: at least its list and its name."""

    noun = serializers.ChoiceField(NOUNS)

    def validate(self, attrs: dict) -> dict:
        if missing := {"noun", "name"} - set(attrs):
            raise serializers.ValidationError({name: "is needed" for name in sorted(missing)})
        return super().validate(attrs)


class SavedViewFilter(FilterSet):
    """Views by their list and owner."""

    noun = ChoiceFilter(choices=NOUNS)
    owner = IdFilter()
    sharing = ChoiceFilter(choices=Sharing.choices)

    class Meta:
        model = SavedView
        fields: list[str] = []


class SavedViewViewSet(ScopedViewSet):
    """Views of lists: one's own, those of one's team, everybody's."""

    noun = "views"
    queryset = SavedView.objects.all()
    serializer_class = SavedViewSerializer
    filterset_class = SavedViewFilter
    ordering_fields = ("id", "name", "place")
    ordering = "place"

    @extend_schema(request=SavedViewInput, responses={201: SavedViewSerializer})
    def create(self, request: Request) -> Response:
        """Keep a view of a list; sharing it with everybody is for supervisors."""
        made = views.create(by=request.user, **self.read_body(SavedViewInput))
        return self.shown(made, status=201)

    @extend_schema(request=SavedViewEdit, responses=SavedViewSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Rename, share or re-arrange a view of one's own."""
        with self.editing() as view:
            views.edit(view, self.read_body(SavedViewEdit), by=request.user)
        return self.shown(view)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def remove(self, request: Request, pk: str) -> Response:
        """Take a view away."""
        views.delete(self.find(), by=request.user)
        return Response(status=204)
