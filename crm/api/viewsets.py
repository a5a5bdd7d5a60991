"""The nouns of the floor; acts are sub-resources."""

from collections.abc import Mapping

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm import filters
from crm.access import Permission, find, for_workers, may, outside_closed, require, require_somewhere
from crm.api import serializers
from crm.api.base import BIGGEST_ID, Door, ScopedViewSet, find_by, number_in, page_size, shown_as, with_cursor
from crm.choices import ChannelKind
from crm.errors import DomainError, NotFound
from crm.lists import CUSTOMERS, TICKETS
from crm.models import (
    ApiToken,
    ChecklistItem,
    Customer,
    Delivery,
    Identity,
    Interaction,
    Merge,
    Message,
    Order,
    PauseReason,
    Survey,
    Team,
    Ticket,
    User,
)
from crm.services import (
    context,
    customers,
    deliveries,
    interactions,
    matches,
    merges,
    messages,
    notices,
    rights,
    search,
    slas,
    streams,
    surveys,
    tickets,
    timeline,
    tokens,
)

FEED_PAGE = 500


class CustomerViewSet(ScopedViewSet):
    """People and companies we serve."""

    noun = "customers"
    queryset = Customer.objects.prefetch_related("identities", "tags")
    serializer_class = serializers.CustomerSerializer
    filterset_class = filters.CustomerFilter
    ordering_fields = CUSTOMERS.orderings

    def walks(self) -> dict:
        """Orders by rows of other tables."""
        return CUSTOMERS.walks(self.request.user)

    @extend_schema(request=serializers.CustomerInput, responses={201: serializers.CustomerSerializer})
    def create(self, request: Request) -> Response:
        """A customer by hand: a name or an address. 409 `address_taken` with the `customer` whose it is."""
        require_somewhere(request.user, Permission.NOTE)
        made = customers.create(by=request.user, **self.read_body(serializers.CustomerInput))
        return self.shown(self.after(made), status=201)

    @extend_schema(request=serializers.IdentityInput, responses={201: serializers.IdentitySerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def identities(self, request: Request, pk: str) -> Response:
        """One more address. 409 `address_taken` with the `customer` whose it is."""
        customer = self.find()
        require_somewhere(request.user, Permission.NOTE)
        made = customers.add_address(customer, by=request.user, **self.read_body(serializers.IdentityInput))
        return Response(serializers.IdentitySerializer(made).data, status=201)

    @extend_schema(request=serializers.CustomerEdit, responses=serializers.CustomerSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Correct what a person may correct; `fields` by slug, null takes one away; `tags` are all it has from now on."""
        with self.editing() as customer:
            require_somewhere(request.user, Permission.NOTE)
            customers.edit(customer, self.read_body(serializers.CustomerEdit), by=request.user)
        return self.shown(customer)

    @extend_schema(request=serializers.OrdersInput, responses={201: serializers.OrderSerializer(many=True)})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def orders(self, request: Request, pk: str) -> Response:
        """Take orders from the shop, known numbers again as they are now; the customer's value follows."""
        customer = self.find()
        require_somewhere(request.user, Permission.NOTE)
        given = self.read_body(serializers.OrdersInput)["orders"]
        customers.add_orders([{**one, "customer": customer.pk} for one in given], by=request.user)
        kept = Order.objects.filter(number__in=[one["number"] for one in given]).order_by("at", "pk")
        return Response(serializers.OrderSerializer(kept, many=True).data, status=201)

    @extend_schema(request=serializers.SurveysInput, responses={201: serializers.SurveySerializer(many=True)})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def surveys(self, request: Request, pk: str) -> Response:
        """Take answers to surveys, known references again as they are now. 409 `other_customer`: not this customer's."""
        customer = self.find()
        require_somewhere(request.user, Permission.NOTE)
        given = self.read_body(serializers.SurveysInput)["surveys"]
        ids = surveys.take(customer, given, by=request.user)
        found = Survey.objects.in_bulk(ids)
        kept = [found[one] for one in ids]
        return Response(serializers.SurveySerializer(kept, many=True).data, status=201)

    @extend_schema(request=serializers.ConsentInput, responses={201: serializers.ConsentSerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def consents(self, request: Request, pk: str) -> Response:
        """Keep that the customer agreed to something, or took it back."""
        customer = self.find()
        require_somewhere(request.user, Permission.NOTE)
        kept = customers.consent(customer, by=request.user, **self.read_body(serializers.ConsentInput))
        return Response(serializers.ConsentSerializer(kept).data, status=201)

    @extend_schema(responses=OpenApiTypes.OBJECT)
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def context(self, request: Request, pk: str) -> Response:
        """The screen-pop card: who this is, what was said and promised, what is open."""
        return Response(context.of_one(number_in(pk), request.user))

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "kind", OpenApiTypes.STR, many=True, enum=timeline.KINDS, description="Only these."
            ),
            OpenApiParameter(
                "channel", OpenApiTypes.STR, many=True, enum=ChannelKind.values, description="Only on these."
            ),
            OpenApiParameter("cursor", OpenApiTypes.STR, description="Where to go on: taken from `next`."),
            OpenApiParameter(
                "page_size", OpenApiTypes.INT, description=f"Entries a page, at most {timeline.MOST}."
            ),
        ],
        responses=serializers.TimelineSerializer,
    )
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def timeline(self, request: Request, pk: str) -> Response:
        """All that was said, noted, bought and opened, on all channels, newest first."""
        asked = request.query_params
        page = timeline.of(
            self.find().pk,
            request.user,
            kinds=asked.getlist("kind"),
            channels=asked.getlist("channel"),
            cursor=asked.get("cursor", ""),
            size=page_size(request),
        )
        return Response(
            {
                "next": with_cursor(request, page.next),
                "results": serializers.EntrySerializer(page.entries, many=True).data,
            }
        )

    @extend_schema(responses=serializers.SuggestionSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def suggestions(self, request: Request, pk: str) -> Response:
        """Who else may be this person, likeliest first, with score and reasons; never acted on by itself."""
        found = matches.suggestions(self.find())
        return Response({"results": serializers.SuggestionSerializer(found, many=True).data})

    @extend_schema(
        methods=["get"],
        parameters=[
            OpenApiParameter(
                "other", OpenApiTypes.INT64, required=True, description="Who would come into this customer."
            )
        ],
        responses=OpenApiTypes.OBJECT,
    )
    @extend_schema(
        methods=["post"], request=serializers.MergeInput, responses={201: serializers.MergeSerializer}
    )
    @action(detail=True, methods=["get", "post"], pagination_class=None, filter_backends=[])
    def merge(self, request: Request, pk: str) -> Response:
        """GET: what a merge with `other` would do. POST: make two customers one, to be undone at any later time."""
        customer = self.find()
        if request.method == "GET":
            return Response(
                merges.preview(customer, find_by(self.get_queryset(), request.query_params.get("other", "")))
            )
        require(request.user, Permission.MERGE)
        given = self.read_body(serializers.MergeInput)
        second = find_by(self.get_queryset(), str(given.get("into", given.get("other"))))
        survivor, other = (second, customer) if "into" in given else (customer, second)
        step = merges.merge(survivor, other, by=request.user, take=given["take"])
        data = serializers.MergeSerializer(step).data
        return Response(data, status=201, headers={"Location": f"/api/v1/merges/{step.pk}/"})

    @extend_schema(request=serializers.ApartInput, responses={204: None})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def apart(self, request: Request, pk: str) -> Response:
        """Say that another customer is not this person, so that nobody is asked again; `apart` false takes it back."""
        customer = self.find()
        require(request.user, Permission.MERGE)
        given = self.read_body(serializers.ApartInput)
        other = find_by(self.get_queryset(), str(given["other"]))
        (matches.tell_apart if given["apart"] else matches.ask_again)(customer, other, by=request.user)
        return Response(status=204)


class SurveyViewSet(ScopedViewSet):
    """What customers answered when they were asked."""

    noun = "customers"
    queryset = Survey.objects.all()
    serializer_class = serializers.SurveySerializer
    filterset_class = filters.SurveyFilter
    ordering_fields = ("id", "at")
    ordering = "-id"


class MergeViewSet(ScopedViewSet):
    """Customers that were found to be one person."""

    noun = "customers"
    queryset = Merge.objects.all()
    serializer_class = serializers.MergeSerializer
    filterset_class = filters.MergeFilter
    ordering_fields = ("id", "at")

    @extend_schema(request=None, responses=serializers.MergeSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def undo(self, request: Request, pk: str) -> Response:
        """Part the two again: what moved goes back, and what came since goes with its identity."""
        step = self.find()
        require(request.user, Permission.MERGE)
        merges.undo(step, by=request.user)
        return self.shown(self.find())


class Merging(Door):
    """From which certainty on new customers are merged by themselves."""

    noun = "customers"

    @extend_schema(operation_id="merging", responses=serializers.MergingSerializer)
    def get(self, request: Request) -> Response:
        """As it is: percent, 0 for never."""
        require(request.user, Permission.READ_CUSTOMERS)
        return Response({"percent": matches.threshold()})

    @extend_schema(
        operation_id="merging_set",
        request=serializers.MergingSerializer,
        responses=serializers.MergingSerializer,
    )
    def put(self, request: Request) -> Response:
        """Say from which certainty on; it counts for who comes from now on."""
        require(request.user, Permission.CONFIGURE)
        percent = self.read_body(serializers.MergingSerializer)["percent"]
        return Response({"percent": matches.set_threshold(percent, by=request.user)})


class IdentityViewSet(ScopedViewSet):
    """Addresses by which we know customers."""

    noun = "identities"
    queryset = Identity.objects.select_related("customer")
    serializer_class = serializers.IdentitySerializer
    filterset_class = filters.IdentityFilter
    ordering_fields = ("id", "created_at")

    @extend_schema(request=serializers.IdentityEdit, responses=serializers.IdentitySerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Say how sure an address is, and that answers go there first."""
        with self.editing() as identity:
            require_somewhere(request.user, Permission.NOTE)
            given = self.read_body(serializers.IdentityEdit)
            if "trust" in given:
                customers.trust(identity, given["trust"], by=request.user)
            if "preferred" in given:
                customers.prefer(identity, by=request.user)
        return self.shown(self.find())


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
        require(request.user, Permission.REPLY, interaction)
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
        require(request.user, Permission.NOTE, interaction)
        given = self.read_body(serializers.NoteInput)
        return _said(messages.note(interaction, by=request.user, text=given["text"]))

    @extend_schema(
        parameters=[
            OpenApiParameter("q", OpenApiTypes.STR, description="How a name begins; empty: the first ones.")
        ],
        responses=serializers.CallableSerializer(many=True),
    )
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def callable(self, request: Request, pk: str) -> Response:
        """Whom a note may call here: colleagues and teams who may see this contact, with the words that call them."""
        words = request.query_params.get("q", "")
        if len(words) > filters.LONGEST_SEARCH or not words.isprintable():
            raise exceptions.ValidationError(
                {"q": [f"at most {filters.LONGEST_SEARCH} printable characters"]}
            )
        return Response({"results": notices.suggested(words, self.find(), by=request.user)})

    @extend_schema(request=serializers.CloseInput, responses=serializers.InteractionSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def close(self, request: Request, pk: str) -> Response:
        """End the contact; its ticket is solved when nothing else of it is open."""
        interaction = self.find()
        require(request.user, Permission.CLOSE, interaction)
        given = self.read_body(serializers.CloseInput)
        interactions.close(interaction.pk, by=request.user, reason=given["reason"], outcome=given["outcome"])
        return self.shown(self.after(interaction))

    @extend_schema(request=None, responses=serializers.InteractionSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def reopen(self, request: Request, pk: str) -> Response:
        """Open the contact again; its work goes back to the queue."""
        interaction = self.find()
        require(request.user, Permission.CLOSE, interaction)
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

    def _waiting(self, pk: str) -> Message:
        seen = self.find()
        require_somewhere(self.request.user, Permission.REPLY)
        return Message.objects.select_related("author", "interaction__team", "interaction__channel").get(
            pk=seen.pk
        )

    @extend_schema(request=None, responses=serializers.MessageSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def release(self, request: Request, pk: str) -> Response:
        """Let an answer of somebody in training leave; 409 `not_waiting`."""
        return self.shown(self.after(messages.release(self._waiting(pk), by=request.user)))

    @extend_schema(request=serializers.GiveBackInput, responses=serializers.MessageSerializer)
    @action(detail=True, methods=["post"], url_path="give-back", pagination_class=None, filter_backends=[])
    def give_back(self, request: Request, pk: str) -> Response:
        """Do not let it leave, and say why; 409 `not_waiting`."""
        message = self._waiting(pk)
        reason = self.read_body(serializers.GiveBackInput)["reason"]
        return self.shown(self.after(messages.give_back(message, by=request.user, reason=reason)))


class TicketViewSet(ScopedViewSet):
    """Problems, across contacts."""

    noun = "tickets"
    queryset = Ticket.objects.select_related("brand", "team", "owner", "status_name").prefetch_related("tags")
    serializer_class = serializers.TicketSerializer
    filterset_class = filters.TicketFilter
    ordering_fields = TICKETS.orderings
    ordering = "-opened_at"

    @extend_schema(request=serializers.TicketInput, responses={201: serializers.TicketSerializer})
    def create(self, request: Request) -> Response:
        """Open a ticket by hand: a visit, a letter, a promise."""
        require(request.user, Permission.CLOSE)
        ticket = tickets.open_by_hand(by=request.user, **self.read_body(serializers.TicketInput))
        return self.shown(ticket, status=201)

    @extend_schema(request=serializers.TicketEdit, responses=serializers.TicketSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change subject, owner, team, tags or status; a status only along the legal moves, `fields` by slug."""
        with self.editing() as ticket:
            require(request.user, Permission.CLOSE, ticket)
            given = self.read_body(serializers.TicketEdit)
            if team := given.get("team"):
                find(outside_closed(Team.objects.all(), request.user, ""), pk=team.pk)
            tickets.edit(ticket, given, by=request.user)
        return self.shown(self.after(ticket))

    @extend_schema(responses=serializers.ClockSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def clocks(self, request: Request, pk: str) -> Response:
        """What is promised, and line by line how its deadline came about."""
        return Response(serializers.ClockSerializer(slas.shown(self.find()), many=True).data)

    @extend_schema(request=serializers.OtherTicketInput, responses=serializers.TicketSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def merge(self, request: Request, pk: str) -> Response:
        """Make another ticket of the same customer part of this one; 409 `other_customer`, `already_merged`."""
        ticket = self._workable()
        tickets.merge(ticket, self._other(serializers.OtherTicketInput), by=request.user)
        return self.shown(self.find())

    @extend_schema(request=None, responses=serializers.TicketSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def unmerge(self, request: Request, pk: str) -> Response:
        """Take this ticket out of the one it was merged into, with all that came by its contacts; 409 `not_merged`."""
        tickets.unmerge(self._workable(), by=request.user)
        return self.shown(self.find())

    @extend_schema(request=serializers.SplitInput, responses={201: serializers.TicketSerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def split(self, request: Request, pk: str) -> Response:
        """From a message on it is another problem: the new ticket; 409 `nothing_before`."""
        ticket = self._workable()
        given = self.read_body(serializers.SplitInput)
        words = Message.objects.visible_to(request.user).filter(interaction__ticket=ticket)
        made = tickets.split(find(words, pk=given["message"]), by=request.user, subject=given["subject"])
        return self.shown(made, status=201)

    @extend_schema(request=serializers.LinkInput, responses={201: serializers.LinkSerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def links(self, request: Request, pk: str) -> Response:
        """Say how this ticket belongs to another: related, child of it, or caused by that incident."""
        ticket = self._workable()
        made = tickets.link(
            ticket, self._other(serializers.LinkInput), kind=request.data["kind"], by=request.user
        )
        return Response(serializers.LinkSerializer(made).data, status=201)

    @extend_schema(request=serializers.OtherTicketInput, responses={204: None})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def unlink(self, request: Request, pk: str) -> Response:
        """Take the links to another ticket away."""
        ticket = self._workable()
        tickets.unlink(ticket, self.read_body(serializers.OtherTicketInput)["other"], by=request.user)
        return Response(status=204)

    @extend_schema(request=serializers.SnoozeInput, responses=serializers.TicketSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def snooze(self, request: Request, pk: str) -> Response:
        """Out of the way until a time, until another ticket is over, or until the customer writes."""
        ticket = self._workable()
        given = self.read_body(serializers.SnoozeInput)
        number = given.get("after")
        after = (
            find(Ticket.objects.visible_to(request.user), pk=number - serializers.FIRST_NUMBER)
            if number
            else None
        )
        tickets.snooze(ticket, until=given.get("until"), after=after, by=request.user)
        return self.shown(self.find())

    @extend_schema(request=None, responses=serializers.SolvedSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[], url_path="solve-caused")
    def solve_caused(self, request: Request, pk: str) -> Response:
        """Solve this incident and every ticket that it caused and that is not over."""
        return Response({"solved": tickets.solve_caused(self._workable(), by=request.user)})

    @extend_schema(request=None, responses=serializers.TicketSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def wake(self, request: Request, pk: str) -> Response:
        """Back among the open ones at once."""
        tickets.wake(self._workable(), by=request.user)
        return self.shown(self.find())

    @extend_schema(request=serializers.PauseInput, responses={204: None})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def pause(self, request: Request, pk: str) -> Response:
        """Stop the clock of the solution for a stated cause."""
        ticket = self._workable()
        tickets.pause(ticket, by=request.user, **self.read_body(serializers.PauseInput))
        return Response(status=204)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def resume(self, request: Request, pk: str) -> Response:
        """Let the clock of the solution run on."""
        tickets.resume(self._workable(), by=request.user)
        return Response(status=204)

    @extend_schema(request=serializers.FollowInput, responses={204: None})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def follow(self, request: Request, pk: str) -> Response:
        """Follow the ticket, or no longer."""
        tickets.follow(self.find(), by=request.user, on=self.read_body(serializers.FollowInput)["on"])
        return Response(status=204)

    @extend_schema(request=serializers.ChecklistInput, responses={201: serializers.ChecklistSerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def checklist(self, request: Request, pk: str) -> Response:
        """One more thing to do."""
        ticket = self._workable()
        made = tickets.add_to_checklist(
            ticket, text=self.read_body(serializers.ChecklistInput)["text"], by=request.user
        )
        return Response(serializers.ChecklistSerializer(made).data, status=201)

    @extend_schema(request=serializers.CheckInput, responses=serializers.ChecklistSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def check(self, request: Request, pk: str) -> Response:
        """Tick a line of the checklist, or take the tick back."""
        ticket = self._workable()
        given = self.read_body(serializers.CheckInput)
        item = find(ChecklistItem.objects.filter(ticket=ticket), pk=given["item"])
        done = tickets.check(item, by=request.user, done=given["done"])
        return Response(serializers.ChecklistSerializer(done).data)

    def _workable(self) -> Ticket:
        """The ticket, for who may change tickets."""
        ticket = self.find()
        require(self.request.user, Permission.CLOSE, ticket)
        return ticket

    def _other(self, body: type) -> Ticket:
        """The other ticket that the body names, if the caller may see and change it."""
        other = find(Ticket.objects.visible_to(self.request.user), pk=self.read_body(body)["other"])
        require(self.request.user, Permission.CLOSE, other)
        return other


class PauseReasonViewSet(ScopedViewSet):
    """For what the clock of a solution may stand still; kept in the administration."""

    noun = "tickets"
    queryset = PauseReason.objects.all()
    serializer_class = serializers.PauseReasonSerializer
    filterset_class = filters.PauseReasonFilter
    ordering_fields = ("id", "place")
    ordering = "place"

    def scoped(self) -> QuerySet:
        return for_workers(self.queryset, self.request.user)


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

    @extend_schema(request=serializers.PersonEdit, responses=serializers.UserSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change role, team or `is_active`, felt within seconds; 403 `more_than_own`, 409 `last_administrator`."""
        person = self.find()
        require(request.user, Permission.CONFIGURE)
        rights.change_person(person, self.read_body(serializers.PersonEdit), by=request.user)
        return self.shown(self.after(person))


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
            OpenApiParameter("q", OpenApiTypes.STR, description="Name, handle, address, number or words."),
            OpenApiParameter(
                "kinds", OpenApiTypes.STR, description="Of customers, tickets, messages; all without."
            ),
        ],
        responses=serializers.FoundSerializer,
    )
    def get(self, request: Request) -> Response:
        """What may be seen of what the words name: exact, beginning, contained, and only then mistyped."""
        return Response(found(request.user, request.auth, request.query_params))


def found(user: User, token: ApiToken | None, asked: Mapping[str, str]) -> dict:
    """What the words name, of the kinds that were asked for and that the token reaches."""
    require(user, Permission.READ_CUSTOMERS)
    words = asked.get("q", "")
    if len(words) > filters.LONGEST_SEARCH or not words.replace("\t", " ").isprintable():
        raise exceptions.ValidationError({"q": [f"at most {filters.LONGEST_SEARCH} printable characters"]})
    wanted = asked.get("kinds", "").split(",") if asked.get("kinds") else search.KINDS
    if unknown := [kind for kind in wanted if kind not in search.KINDS]:
        raise exceptions.ValidationError(
            {"kinds": [f"{unknown[0][:40]!r} is none of {', '.join(search.KINDS)}"]}
        )
    kinds = [kind for kind in search.KINDS if kind in wanted and tokens.allows(token, (f"{kind}:read",))]
    return shown_as(serializers.FoundSerializer, search.search(words, by=user, kinds=kinds))


def _number(request: Request, name: str, default: int | None) -> int | None:
    text = request.query_params.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= BIGGEST_ID):
        raise exceptions.ValidationError({name: ["must be a whole number, 0 or more"]})
    return int(text)
