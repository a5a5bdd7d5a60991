"""Mentions over REST; verdicts and corrections are acts."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm.access import Permission, require
from crm.api.base import ScopedViewSet
from socialcare import filters
from socialcare.api import serializers
from socialcare.models import Mention
from socialcare.services import mentions


class MentionViewSet(ScopedViewSet):
    """Public posts about us."""

    noun = "mentions"
    queryset = Mention.objects.select_related("channel", "identity")
    serializer_class = serializers.MentionSerializer
    filterset_class = filters.MentionFilter
    ordering_fields = ("id", "received_at", "posted_at")
    ordering = "-received_at"

    @extend_schema(request=serializers.VerdictInput, responses=serializers.MentionSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def verdict(self, request: Request, pk: str) -> Response:
        """Decide; respond and escalate open an interaction."""
        mention = self.find()
        require(request.user, Permission.TRIAGE)
        given = self.read_body(serializers.VerdictInput)
        mentions.decide(mention.pk, given["verdict"], by=request.user)
        return self.shown(self.after(mention))

    @extend_schema(request=serializers.TriageEdit, responses=serializers.MentionSerializer)
    @action(detail=True, methods=["patch"], pagination_class=None, filter_backends=[])
    def triage(self, request: Request, pk: str) -> Response:
        """Correct language, sentiment, topic or actionability."""
        mention = self.find()
        require(request.user, Permission.TRIAGE)
        mentions.correct(mention.pk, self.read_body(serializers.TriageEdit), by=request.user)
        return self.shown(self.after(mention))
