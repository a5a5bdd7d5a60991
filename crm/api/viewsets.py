"""The nouns of the floor; acts are sub-resources."""

from django.db.models import Q, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm import filters
from crm.access import Permission, may, require, sees_everything
from crm.api import serializers
from crm.api.base import BIGGEST_ID, Door, ScopedViewSet
from crm.choices import TeamVisibility
from crm.errors import DomainError, NotFound
from crm.models import (
    Channel,
    Customer,
    Delivery,
    Identity,
    Interaction,
    Macro,
    Message,
    Team,
    Ticket,
    User,
)
from crm.services import (
    context,
    customers,
    deliveries,
    interactions,
    messages,
    search,
    streams,
    tickets,
    tokens,
)

FEED_PAGE = 500


class CustomerViewSet(ScopedViewSet):
    """People and companies we serve."""

    noun = "customers"
    queryset = Customer.objects.prefetch_related("identities")
    serializer_class = serializers.CustomerSerializer
    filterset_class = filters.CustomerFilter
    ordering_fields = ("id", "created_at", "name")

    @extend_schema(request=serializers.CustomerEdit, responses=serializers.CustomerSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Correct name, language, note, VIP or the verified-before-disclosure flag."""
        with self.editing() as customer:
            require(request.user, Permission.NOTE)
            customers.edit(customer, self.read_body(serializers.CustomerEdit), by=request.user)
        return self.shown(customer)

    @extend_schema(responses=OpenApiTypes.OBJECT)
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def context(self, request: Request, pk: str) -> Response:
        """The screen-pop card: who this is, what was said and promised, what is open."""
        customer = self.find()
        return Response(context.card([customer.pk], request.user)[customer.pk])


class IdentityViewSet(ScopedViewSet):
    """Addresses by which we know customers."""

    noun = "identities"
    queryset = Identity.objects.all()
    serializer_class = serializers.IdentitySerializer
    filterset_class = filters.IdentityFilter
    ordering_fields = ("id", "created_at")


class InteractionViewSet(ScopedViewSet):
    """Contacts: one customer in one thread of one channel."""

    noun = "interactions"
    queryset = Interaction.objects.select_related("channel", "team")
    serializer_class = serializers.InteractionSerializer
    filterset_class = filters.InteractionFilter
    ordering_fields = ("id", "opened_at", "last_message_at", "waiting_since")
    ordering = "-last_message_at"

    @extend_schema(request=serializers.ReplyInput, responses={201: serializers.MessageSerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def replies(self, request: Request, pk: str) -> Response:
        """Answer the customer: the message and its delivery state."""
        interaction = self.find()
        require(request.user, Permission.REPLY)
        given = self.read_body(serializers.ReplyInput)
        message = messages.reply(
            interaction,
            by=request.user,
            text=given["text"],
            audience=given.get("audience"),
            idempotency_key=request.headers.get("Idempotency-Key"),
        )
        return _said(message)

    @extend_schema(request=serializers.NoteInput, responses={201: serializers.MessageSerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def notes(self, request: Request, pk: str) -> Response:
        """Leave a note that only colleagues read."""
        interaction = self.find()
        require(request.user, Permission.NOTE)
        given = self.read_body(serializers.NoteInput)
        return _said(messages.note(interaction, by=request.user, text=given["text"]))

    @extend_schema(request=serializers.CloseInput, responses=serializers.InteractionSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def close(self, request: Request, pk: str) -> Response:
        """End the contact; its ticket is solved when nothing else of it is open."""
        interaction = self.find()
        require(request.user, Permission.CLOSE)
        given = self.read_body(serializers.CloseInput)
        interactions.close(interaction.pk, by=request.user, reason=given["reason"], outcome=given["outcome"])
        return self.shown(self.after(interaction))

    @extend_schema(request=None, responses=serializers.InteractionSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def reopen(self, request: Request, pk: str) -> Response:
        """Open the contact again; its work goes back to the queue."""
        interaction = self.find()
        require(request.user, Permission.CLOSE)
        interactions.reopen(interaction.pk, by=request.user)
        return self.shown(self.after(interaction))


def _said(message: Message) -> Response:
    data = serializers.MessageSerializer(message).data
    return Response(data, status=201, headers={"Location": f"/api/v1/messages/{message.pk}/"})


class MessageViewSet(ScopedViewSet):
    """What was said: received, sent and notes."""

    noun = "messages"
    queryset = Message.objects.select_related("channel")
    serializer_class = serializers.MessageSerializer
    filterset_class = filters.MessageFilter
    ordering_fields = ("id", "at")
    ordering = "-id"


class TicketViewSet(ScopedViewSet):
    """Problems, across contacts."""

    noun = "tickets"
    queryset = Ticket.objects.select_related("brand", "team", "owner")
    serializer_class = serializers.TicketSerializer
    filterset_class = filters.TicketFilter
    ordering_fields = ("id", "opened_at", "updated_at", "due_at")
    ordering = "-opened_at"

    @extend_schema(request=serializers.TicketEdit, responses=serializers.TicketSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change subject, owner or status; a status only along the legal moves."""
        with self.editing() as ticket:
            require(request.user, Permission.CLOSE)
            tickets.edit(ticket, self.read_body(serializers.TicketEdit), by=request.user)
        return self.shown(ticket)


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


class DeliveryViewSet(ScopedViewSet):
    """What arrived, as it came."""

    noun = "deliveries"
    queryset = Delivery.objects.select_related("channel")
    filterset_class = filters.DeliveryFilter
    ordering_fields = ("id", "received_at")
    # New items come to POST /deliveries/<channel>/, in front of Django.
    lookup_value_regex = "[0-9]+"

    def get_queryset(self) -> QuerySet:
        found = super().get_queryset()
        return found.defer("raw") if self.action == "list" else found

    def get_serializer_class(self) -> type:
        return (
            serializers.DeliverySerializer if self.action == "list" else serializers.DeliveryDetailSerializer
        )

    @extend_schema(request=None, responses=serializers.DeliveryDetailSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def replay(self, request: Request, pk: str) -> Response:
        """Queue a quarantined delivery again; 409 `not_quarantined` for any other."""
        delivery = self.find()
        require(request.user, Permission.REPLAY_DELIVERIES)
        deliveries.replay(delivery.pk)
        return self.shown(self.after(delivery))


class MacroViewSet(ScopedViewSet):
    """Canned replies."""

    noun = "macros"
    queryset = Macro.objects.all()
    serializer_class = serializers.MacroSerializer
    filterset_class = filters.MacroFilter
    ordering_fields = ("id", "name")
    ordering = "name"
    slug_field = "slug"

    def scoped(self) -> QuerySet:
        return for_workers(self.queryset.all(), self.request.user)


class TeamViewSet(ScopedViewSet):
    """People who answer for the same work. Closed teams are known to their members only."""

    noun = "teams"
    queryset = Team.objects.all()
    serializer_class = serializers.TeamSerializer
    filterset_class = filters.TeamFilter
    ordering_fields = ("id", "name")
    ordering = "name"
    slug_field = "slug"

    def scoped(self) -> QuerySet:
        return outside_closed(self.queryset.all(), self.request.user, "")


class UserViewSet(ScopedViewSet):
    """Colleagues."""

    noun = "users"
    queryset = User.objects.select_related("team")
    serializer_class = serializers.UserSerializer
    filterset_class = filters.UserFilter
    ordering_fields = ("id", "name")
    ordering = "name"

    def scoped(self) -> QuerySet:
        return outside_closed(self.queryset.all(), self.request.user, "team", own="pk")


def for_workers(queryset: QuerySet, user: User) -> QuerySet:
    """What everybody who may read work needs to know."""
    return queryset if may(user, Permission.READ_WORK) else queryset.none()


def outside_closed(queryset: QuerySet, user: User, team: str, own: str = "") -> QuerySet:
    """Without what belongs to closed teams of others; `team` is the path to the team, `own` to the user himself."""
    if not may(user, Permission.READ_WORK):
        return queryset.none()
    if sees_everything(user):
        return queryset
    step = f"{team}__" if team else ""
    seen = ~Q(**{f"{step}visibility": TeamVisibility.CLOSED})
    if team:
        seen |= Q(**{team: None})
    if user.team_id:
        seen |= Q(**{f"{step}pk": user.team_id})
    if own:
        seen |= Q(**{own: user.pk})
    return queryset.filter(seen)


class EventFeed(Door):
    """Everything that happened, in commit order."""

    noun = "events"

    def scopes(self) -> tuple[str, ...]:
        return ("events:read",)

    @extend_schema(
        operation_id="events_list",
        parameters=[
            OpenApiParameter(
                "after",
                OpenApiTypes.INT64,
                description="The last number you have; left out: all that is kept.",
            ),
            OpenApiParameter("limit", OpenApiTypes.INT, description=f"How many events, at most {FEED_PAGE}."),
        ],
        responses=serializers.FeedSerializer,
    )
    def get(self, request: Request) -> Response:
        """Events after a number; 410 `too_old` when that is past retention, with the `oldest` number still kept."""
        if not may(request.user, Permission.READ_EVENTS):
            raise NotFound("There is no such address.")
        limit = min(_number(request, "limit", FEED_PAGE) or FEED_PAGE, FEED_PAGE)
        after = _number(request, "after", None)
        if after is None:
            after = streams.oldest(streams.EVENTS) - 1
        found = streams.page(streams.EVENTS, after, limit)
        if found is None:
            raise DomainError(
                "That number is past retention or has not come yet.",
                code="too_old",
                status=410,
                seq=streams.current(streams.EVENTS),
                oldest=streams.oldest(streams.EVENTS),
            )
        return Response({"events": found, "seq": streams.current(streams.EVENTS)})


class Search(Door):
    """Customers, tickets and messages by what a person types."""

    noun = "customers"

    def scopes(self) -> tuple[str, ...]:
        return tuple(f"{kind}:read" for kind in search.KINDS)

    @extend_schema(
        operation_id="search",
        parameters=[
            OpenApiParameter("q", OpenApiTypes.STR, description="Name, handle, address, number or words.")
        ],
        responses=serializers.FoundSerializer,
    )
    def get(self, request: Request) -> Response:
        """What may be seen of what the words name: exact, beginning, contained, and only then mistyped."""
        require(request.user, Permission.READ_CUSTOMERS)
        words = request.query_params.get("q", "")
        if len(words) > filters.LONGEST_SEARCH or not words.replace("\t", " ").isprintable():
            raise exceptions.ValidationError(
                {"q": [f"at most {filters.LONGEST_SEARCH} printable characters"]}
            )
        kinds = [kind for kind in search.KINDS if tokens.allows(request.auth, (f"{kind}:read",))]
        found = search.search(words, by=request.user, kinds=kinds)
        return Response(serializers.FoundSerializer(found).data)


def _number(request: Request, name: str, default: int | None) -> int | None:
    text = request.query_params.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= BIGGEST_ID):
        raise exceptions.ValidationError({name: ["must be a whole number, 0 or more"]})
    return int(text)
