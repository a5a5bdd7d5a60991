"""Endpoints of ours over REST: what they are, a new mailbox, how fetching goes, and a look that changes nothing."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm import filters
from crm.access import Permission, for_workers, require
from crm.api import serializers
from crm.api.base import ScopedViewSet
from crm.errors import NotFound
from crm.models import Channel, Poll
from crm.services import mailboxes, polls


class ChannelViewSet(ScopedViewSet):
    """Endpoints of ours."""

    noun = "channels"
    queryset = Channel.objects.select_related("brand")
    serializer_class = serializers.ChannelSerializer
    filterset_class = filters.ChannelFilter
    ordering_fields = ("id", "slug")
    ordering = "slug"
    slug_field = "slug"

    def scoped(self) -> QuerySet:
        return for_workers(self.queryset.all(), self.request.user)

    @extend_schema(request=serializers.MailboxInput, responses={201: serializers.ChannelSerializer})
    def create(self, request: Request) -> Response:
        """Set up a mailbox. Probe it, then switch its poll on."""
        require(request.user, Permission.CONFIGURE)
        made = mailboxes.open_box(self.read_body(serializers.MailboxInput), by=request.user)
        return self.shown(made, status=201)

    @extend_schema(responses=serializers.PollSerializer)
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def poll(self, request: Request, pk: str) -> Response:
        """How fetching this channel goes; 404 where its network tells us."""
        require(request.user, Permission.READ_DELIVERIES)
        found = Poll.objects.filter(channel=self.find()).first()
        if found is None:
            raise NotFound("This channel is not fetched: its network tells us.")
        return Response(serializers.PollSerializer(found).data)

    @extend_schema(request=serializers.PollInput, responses=serializers.PollSerializer)
    @poll.mapping.put
    def switch(self, request: Request, pk: str) -> Response:
        """Fetch it from now on, or no more. What is switched on again goes on where it stood."""
        require(request.user, Permission.CONFIGURE)
        given = self.read_body(serializers.PollInput)
        poll = polls.switch(self.find(), on=given["is_on"], every=given.get("every"), by=request.user)
        poll.refresh_from_db()
        return Response(serializers.PollSerializer(poll).data)

    @extend_schema(request=None, responses=serializers.HealthSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def probe(self, request: Request, pk: str) -> Response:
        """Whether its network answers and takes our key, and what waits there; nothing is taken or changed."""
        require(request.user, Permission.CONFIGURE)
        return Response(serializers.HealthSerializer(polls.probe(self.find())).data)
