"""What a person is told of, over REST: his own alone."""

from django_filters import FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.base import ScopedViewSet
from crm.filters import IdFilter, YesNoFilter
from crm.models import Notice
from crm.services import notices


class NoticeSerializer(serializers.ModelSerializer):
    """By whom, where and, when a whole team was called, which one."""

    by = serializers.CharField(source="by.name", default="", read_only=True)
    ticket = serializers.IntegerField(source="interaction.ticket_id", read_only=True)
    team = serializers.SlugRelatedField(slug_field="slug", read_only=True)

    class Meta:
        model = Notice
        fields = ["id", "kind", "interaction", "ticket", "message", "team", "by", "at", "read_at"]


class ReadSerializer(serializers.Serializer):
    read = serializers.IntegerField(help_text="How many were unread.")


class NoticeFilter(FilterSet):
    """Read or not, and where."""

    unread = YesNoFilter(field_name="read_at", lookup_expr="isnull", label="Only those that wait.")
    interaction = IdFilter()

    class Meta:
        model = Notice
        fields: list[str] = []


class NoticeViewSet(ScopedViewSet):
    """Where colleagues called one in a note."""

    noun = "notices"
    queryset = Notice.objects.select_related("by", "team", "interaction")
    serializer_class = NoticeSerializer
    filterset_class = NoticeFilter
    ordering_fields = ("id",)

    @extend_schema(request=None, responses=NoticeSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def read(self, request: Request, pk: str) -> Response:
        """It was seen."""
        notice = self.find()
        notices.read(request.user, [notice.pk])
        return self.shown(self.find())

    @extend_schema(operation_id="notices_read_all", request=None, responses=ReadSerializer)
    @action(
        detail=False,
        methods=["post"],
        url_path="read",
        url_name="read-all",
        pagination_class=None,
        filter_backends=[],
    )
    def read_all(self, request: Request) -> Response:
        """All of them were seen."""
        return Response({"read": notices.read(request.user)})
