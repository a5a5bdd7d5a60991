"""Macros over REST: offered by situation, previewed, used, and kept in versions."""

from typing import Any

from django.db.models import F, Q, QuerySet
from django_filters import ChoiceFilter, FilterSet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm import placeholders
from crm.access import Permission, find, require, require_somewhere
from crm.api.base import BIGGEST_ID, ScopedViewSet
from crm.api.serializers import Edit
from crm.choices import ANSWERED, ChannelKind, MacroReach
from crm.errors import NotFound
from crm.filters import IdFilter, SearchFilter, SlugFilter, YesNoFilter
from crm.models import Interaction, Macro, MacroUse, MacroVersion, Team, Ticket
from crm.services import macros
from crm.services.messages import LONGEST_TEXT


class MacroSerializer(serializers.ModelSerializer):
    """A macro with what its newest version says and does."""

    team = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    text = serializers.SerializerMethodField(help_text="For channels that have no text of their own.")
    texts = serializers.SerializerMethodField(help_text="By kind of channel.")
    actions = serializers.SerializerMethodField()

    class Meta:
        model = Macro
        fields = [
            "id", "slug", "name", "situation", "reach", "team", "owner", "version", "uses", "used_at", "retired", "text",
            "texts", "actions",
        ]  # fmt: skip

    def _newest(self, macro: Macro) -> MacroVersion:
        # `versions` is prefetched newest first.
        return macro.versions.all()[0]

    def get_text(self, macro: Macro) -> str:
        return self._newest(macro).text

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_texts(self, macro: Macro) -> dict:
        return self._newest(macro).texts

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_actions(self, macro: Macro) -> dict:
        return self._newest(macro).actions


class VersionSerializer(serializers.ModelSerializer):
    class Meta:
        model = MacroVersion
        fields = ["number", "text", "texts", "actions", "note", "by", "at"]


class SituationInput(serializers.Serializer):
    """Where a macro is offered; an empty list asks for nothing."""

    brands = serializers.ListField(child=serializers.CharField(max_length=50), required=False)
    channels = serializers.ListField(
        child=serializers.ChoiceField(choices=ChannelKind.choices), required=False
    )
    topics = serializers.ListField(child=serializers.CharField(max_length=30), required=False)
    languages = serializers.ListField(child=serializers.CharField(max_length=8), required=False)


class ActionsInput(serializers.Serializer):
    """What is done beside the answer, each at most once."""

    status = serializers.ChoiceField(choices=[one.value for one in macros.SETTABLE], required=False)
    priority = serializers.CharField(max_length=8, required=False)
    priority_reason = serializers.CharField(max_length=200, required=False, allow_blank=True)
    topic = serializers.CharField(max_length=30, required=False)
    team = serializers.CharField(max_length=50, required=False)
    owner = serializers.JSONField(required=False, help_text='"me" or the id of somebody.')
    tags = serializers.ListField(child=serializers.CharField(max_length=50), required=False)
    snooze_hours = serializers.IntegerField(min_value=1, max_value=macros.LONGEST_SNOOZE, required=False)
    checklist = serializers.ListField(child=serializers.CharField(max_length=200), required=False)
    note = serializers.CharField(max_length=LONGEST_TEXT, required=False)


class MacroEdit(Edit):
    """What may be changed; other words or acts become a new version, and `note` says why."""

    name = serializers.CharField(max_length=100)
    situation = SituationInput()
    reach = serializers.ChoiceField(choices=MacroReach.choices)
    team = serializers.SlugRelatedField(slug_field="slug", queryset=Team.objects.all(), allow_null=True)
    text = serializers.CharField(max_length=LONGEST_TEXT, allow_blank=True)
    texts = serializers.DictField(child=serializers.CharField(max_length=LONGEST_TEXT, allow_blank=True))
    actions = ActionsInput()
    note = serializers.CharField(max_length=200, allow_blank=True)
    retired = serializers.BooleanField()


class MacroInput(MacroEdit):
    """A new macro; without `slug` one is made of the name."""

    slug = serializers.CharField(max_length=50)


class ContactInput(serializers.Serializer):
    """Where: a contact, or a ticket's newest one."""

    interaction = serializers.IntegerField(min_value=1, max_value=BIGGEST_ID, required=False)
    ticket = serializers.IntegerField(min_value=1, max_value=BIGGEST_ID, required=False)

    def validate(self, attrs: dict) -> dict:
        if ("interaction" in attrs) == ("ticket" in attrs):
            raise serializers.ValidationError("Name an interaction or a ticket.")
        return attrs


class UseInput(ContactInput):
    """`version` is the one that was previewed; `text` is the answer as it shall leave, left out: only the acts."""

    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    text = serializers.CharField(max_length=LONGEST_TEXT, required=False)
    audience = serializers.ChoiceField(ANSWERED, required=False, allow_null=True)
    without = serializers.ListField(
        child=serializers.ChoiceField(choices=list(macros.ACTS)),
        required=False,
        help_text="Acts that are left out.",
    )


class BackInput(serializers.Serializer):
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class ActSerializer(serializers.Serializer):
    """One act, foreseen."""

    do = serializers.CharField()
    says = serializers.CharField()
    problem = serializers.CharField(help_text="Why it cannot be done; empty when it can.")


class PreviewSerializer(serializers.Serializer):
    """What would be said and done."""

    macro = serializers.IntegerField(source="macro.pk")
    name = serializers.CharField(source="macro.name")
    version = serializers.IntegerField(source="version.number")
    text = serializers.CharField(
        source="filled.text", help_text="What is missing stands there as its variable."
    )
    missing = serializers.ListField(child=serializers.CharField(), source="filled.missing")
    length = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True)
    fits = serializers.BooleanField()
    acts = ActSerializer(many=True)


class UseSerializer(serializers.ModelSerializer):
    macro = serializers.IntegerField(source="version.macro_id", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)

    class Meta:
        model = MacroUse
        fields = ["id", "macro", "version", "interaction", "ticket", "message", "by", "at"]


class AttemptInput(serializers.Serializer):
    """Texts that are being written."""

    text = serializers.CharField(max_length=LONGEST_TEXT, allow_blank=True)
    texts = serializers.DictField(
        child=serializers.CharField(max_length=LONGEST_TEXT, allow_blank=True), required=False
    )


class AttemptSerializer(serializers.Serializer):
    channel = serializers.CharField(help_text="Empty: all that have no text of their own.")
    text = serializers.CharField()
    problem = serializers.CharField()
    length = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True)
    fits = serializers.BooleanField()


class MacroFilter(FilterSet):
    """Macros by words and by the situation they are for."""

    search = SearchFilter(method="find", label="Name, key or words.")
    interaction = IdFilter(method="in_contact", label="Those that fit this contact.")
    ticket = IdFilter(method="on_ticket", label="Those that fit this ticket's newest contact.")
    reach = ChoiceFilter(choices=MacroReach.choices)
    team = SlugFilter(field_name="team__slug")
    retired = YesNoFilter()

    class Meta:
        model = Macro
        fields: list[str] = []

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        said = MacroVersion.objects.filter(number=F("macro__version"), text__icontains=words)
        return queryset.filter(
            Q(name__icontains=words) | Q(slug__icontains=words) | Q(pk__in=said.values("macro"))
        )

    def in_contact(self, queryset: QuerySet, name: str, pk: int) -> QuerySet:
        found = _contacts(self.request).filter(pk=pk).first()
        return queryset.fitting(macros.situation_of(found)) if found else queryset.none()

    def on_ticket(self, queryset: QuerySet, name: str, pk: int) -> QuerySet:
        ticket = Ticket.objects.visible_to(self.request.user).filter(pk=pk).first()
        found = macros.latest_contact(ticket, self.request.user) if ticket else None
        return queryset.fitting(macros.situation_of(found)) if found else queryset.none()


def _contacts(request: Request) -> QuerySet:
    seen = Interaction.objects.visible_to(request.user)
    return seen.select_related("channel__brand", "customer", "identity", "ticket")


class MacroViewSet(ScopedViewSet):
    """Canned answers: text with variables, and what is done with it."""

    noun = "macros"
    queryset = Macro.objects.select_related("team").prefetch_related("versions")
    serializer_class = MacroSerializer
    filterset_class = MacroFilter
    ordering_fields = ("id", "name", "uses")
    ordering = "name"
    slug_field = "slug"

    @extend_schema(request=MacroInput, responses={201: MacroSerializer})
    def create(self, request: Request) -> Response:
        """A new macro; a variable that there is not is refused with its name."""
        made = macros.create(self.read_body(MacroInput), by=request.user)
        return self.shown(self.after(made), status=201)

    @extend_schema(request=MacroEdit, responses=MacroSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a macro; other words or acts become a new version."""
        with self.editing() as macro:
            macros.edit(macro, self.read_body(MacroEdit), by=request.user)
        return self.shown(self.after(macro))

    @extend_schema(responses=VersionSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def versions(self, request: Request, pk: str) -> Response:
        """What it said and did from when to when, newest first."""
        return Response({"results": VersionSerializer(self.find().versions.all()[:200], many=True).data})

    @extend_schema(request=BackInput, responses=MacroSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def back(self, request: Request, pk: str) -> Response:
        """Say and do again what a former version did, as a new version."""
        macro = self.find()
        macros.go_back(macro, self.read_body(BackInput)["version"], by=request.user)
        return self.shown(self.after(macro))

    @extend_schema(request=ContactInput, responses=PreviewSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def preview(self, request: Request, pk: str) -> Response:
        """What it would say and do in a contact; nothing is changed."""
        macro = self.find()
        contact = self._contact(self.read_body(ContactInput))
        return Response(PreviewSerializer(macros.preview(macro, contact, by=request.user)).data)

    @extend_schema(request=UseInput, responses={201: UseSerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def use(self, request: Request, pk: str) -> Response:
        """Answer and act in one step, all or nothing; 409 `version_moved` when it was changed since the preview."""
        macro = self.find()
        given = self.read_body(UseInput)
        contact = self._contact(given)
        used = macros.use(
            macro, contact, by=request.user, version=given["version"], text=given.get("text"),
            audience=given.get("audience"), without=tuple(given.get("without", ())),
            idempotency_key=request.headers.get("Idempotency-Key"),
        )  # fmt: skip
        return Response(UseSerializer(used).data, status=201)

    @extend_schema(request=AttemptInput, responses=AttemptSerializer(many=True))
    @action(detail=False, methods=["post"], url_path="try", pagination_class=None, filter_backends=[])
    def attempt(self, request: Request) -> Response:
        """How texts that are being written look on each channel, with an invented customer; nothing is kept."""
        require(request.user, Permission.REPLY)
        given = self.read_body(AttemptInput)
        return Response({"results": macros.attempt(given["text"], given.get("texts", {}))})

    @extend_schema(responses=OpenApiTypes.OBJECT)
    @action(detail=False, methods=["get"], pagination_class=None, filter_backends=[])
    def variables(self, request: Request) -> Response:
        """The variables that there are, with what they stand for."""
        require_somewhere(request.user, Permission.READ_WORK)
        return Response(placeholders.VARIABLES)

    def _contact(self, given: dict[str, Any]) -> Interaction:
        if "interaction" in given:
            return find(_contacts(self.request), pk=given["interaction"])
        ticket = find(Ticket.objects.visible_to(self.request.user), pk=given["ticket"])
        found = macros.latest_contact(ticket, self.request.user)
        if found is None:
            raise NotFound("This ticket has no contact that could be answered.")
        return found
