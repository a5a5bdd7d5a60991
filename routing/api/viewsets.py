"""The nouns of the distributor; acts are sub-resources."""

from collections import Counter
from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from crm.access import (
    Permission,
    for_workers,
    may,
    may_somewhere,
    outside_closed,
    require,
    require_lead,
    require_somewhere,
    work_filter,
)
from crm.api.base import Door, ScopedViewSet, number_in, shown_as
from crm.errors import NotFound
from crm.models import User
from routing import filters
from routing.api import serializers
from routing.choices import AssignmentStatus
from routing.models import (
    Agent,
    Assignment,
    Hand,
    Joining,
    PresenceReason,
    Queue,
    ScheduledTime,
    Simulation,
    Skill,
    WorkItem,
)
from routing.services import (
    assignments,
    calls,
    desk,
    explanations,
    fairness,
    hands,
    idleness,
    joinings,
    orphans,
    parking,
    places,
    plans,
    presence,
    previews,
    pulls,
    queues,
    scoring,
    shifts,
    simulations,
    skills,
    wrap_ups,
)


def accept(user: User, offer: int, _: Any) -> dict:
    """Take an offer."""
    require(user, Permission.WORK)
    return shown_as(serializers.AssignmentSerializer, assignments.accept(offer, by=user))


def complete(user: User, item: int, data: Any) -> dict:
    """Finish work with its two codes."""
    require(user, Permission.WORK)
    given = serializers.CompleteInput(data=data)
    given.is_valid(raise_exception=True)
    return shown_as(
        serializers.WorkItemSerializer, assignments.complete(item, by=user, **given.validated_data)
    )


class _Shared(ScopedViewSet):
    """What everybody who may read work may read."""

    def scoped(self) -> QuerySet:
        rows = self.queryset.all()
        return for_workers(rows, self.request.user)


class QueueViewSet(_Shared):
    """Lines of the universal queue."""

    noun = "queues"
    queryset = Queue.objects.select_related("team").prefetch_related("steps__skill", "steps__target")
    serializer_class = serializers.QueueSerializer
    filterset_class = filters.QueueFilter
    ordering_fields = ("id", "slug")
    ordering = "slug"
    slug_field = "slug"

    def scopes(self) -> tuple[str, ...]:
        """Asking for the next one belongs to the desk."""
        return (*super().scopes(), "desk") if self.action == "next" else super().scopes()

    @extend_schema(request=serializers.QueueInput, responses={201: serializers.QueueSerializer})
    def create(self, request: Request) -> Response:
        """A new queue."""
        require(request.user, Permission.CONFIGURE)
        made = queues.create(self.read_body(serializers.QueueInput), by=request.user)
        return self.shown(self.after(made), status=201)

    @extend_schema(request=serializers.QueueEdit, responses=serializers.QueueSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change its rules, with a reason; what waits follows them within a second. Administrators, and its team's lead."""
        with self.editing() as queue:
            queues.configure(queue, self.read_body(serializers.QueueEdit), by=request.user)
        return self.shown(self.after(queue))

    @extend_schema(request=serializers.QueuePreviewInput, responses=serializers.QueuePreviewSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def preview(self, request: Request, pk: str) -> Response:
        """What waits now, re-ordered and re-stepped under these rules; nothing is changed."""
        queue = self.find()
        require_lead(request.user, queue.team_id)
        given = self.read_body(serializers.QueuePreviewInput)
        return Response(previews.of_queue(queue, given, by=request.user))

    @extend_schema(request=None, responses={201: serializers.AssignmentSerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def next(self, request: Request, pk: str) -> Response:
        """Take the best one of a queue that is pulled: 409 `nothing_there`, `not_available`."""
        require(request.user, Permission.WORK)
        made = pulls.next_for(request.user, self.find())
        return Response(serializers.AssignmentSerializer(made).data, status=201)

    @extend_schema(
        parameters=[OpenApiParameter("family", str, required=True, enum=["voice", "chat"])],
        responses=serializers.WaitSerializer,
    )
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def wait(self, request: Request, pk: str) -> Response:
        """What to tell who would come into it now by telephone (`family=voice`) or chat."""
        return Response(places.of_newcomer(self.find(), request.query_params.get("family", "")))


class ScoringView(Door):
    """`/scoring/`: what each part of the score is worth."""

    noun = "queues"

    @extend_schema(responses=serializers.ScoringSerializer)
    def get(self, request: Request) -> Response:
        """What counts now."""
        require_somewhere(request.user, Permission.READ_WORK)
        return Response(scoring.told(scoring.scale()))

    @extend_schema(request=serializers.ScoringEdit, responses=serializers.ScoringSerializer)
    def patch(self, request: Request) -> Response:
        """Weigh otherwise, for a reason; what waits is scored again within a second."""
        require(request.user, Permission.CONFIGURE)
        return Response(
            scoring.told(scoring.change(self.read_body(serializers.ScoringEdit), by=request.user))
        )


class ScoringPreviewView(Door):
    """`/scoring/preview/`."""

    noun = "queues"

    @extend_schema(request=serializers.ScoringPreviewInput, responses=serializers.ScoringPreviewSerializer)
    def post(self, request: Request) -> Response:
        """What waits now, re-ordered under these weights; nothing is changed."""
        require(request.user, Permission.CONFIGURE)
        return Response(previews.of_scoring(self.read_body(serializers.ScoringPreviewInput), by=request.user))


class FairnessView(Door):
    """`/fairness/`: whether one channel is served before others that have the better claim."""

    noun = "queues"

    @extend_schema(
        parameters=[
            OpenApiParameter("days", OpenApiTypes.INT, description="How far back, 1 to 90; 7 without.")
        ],
        responses=serializers.FairnessSerializer,
    )
    def get(self, request: Request) -> Response:
        """Overtakings per 100 choices for each ordered pair of channels, and the same need channel by channel."""
        require_somewhere(request.user, Permission.WATCH_BOARDS)
        days = fairness.days_in(request.query_params.get("days", ""))
        return Response(fairness.report(request.user, days))


class SkillViewSet(_Shared):
    """Abilities that work may require."""

    noun = "skills"
    queryset = Skill.objects.all()
    serializer_class = serializers.SkillSerializer
    filterset_class = filters.SkillFilter
    ordering_fields = ("id", "code")
    ordering = "code"

    @extend_schema(request=serializers.SkillInput, responses={201: serializers.SkillSerializer})
    def create(self, request: Request) -> Response:
        """A new skill."""
        require(request.user, Permission.CONFIGURE)
        made = skills.create(**self.read_body(serializers.SkillInput), by=request.user)
        return self.shown(self.after(made), status=201)

    @extend_schema(request=serializers.SkillEdit, responses=serializers.SkillSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Call it otherwise."""
        require(request.user, Permission.CONFIGURE)
        with self.editing() as skill:
            skills.rename(skill, self.read_body(serializers.SkillEdit)["name"], by=request.user)
        return self.shown(self.after(skill))


class AgentViewSet(ScopedViewSet):
    """Who takes work; those of closed teams are known to their members only. `/agents/me/presence/` is one's own."""

    noun = "agents"
    queryset = Agent.objects.select_related("user").prefetch_related("agent_skills__skill")
    serializer_class = serializers.AgentSerializer
    filterset_class = filters.AgentFilter
    ordering_fields = ("id",)

    def scoped(self) -> QuerySet:
        return outside_closed(self.queryset.all(), self.request.user, "user__team", own="user")

    def scopes(self) -> tuple[str, ...]:
        """Own presence belongs to the desk."""
        return (*super().scopes(), "desk") if self.kwargs.get("pk") == "me" else super().scopes()

    @extend_schema(request=serializers.HeldSkillsInput, responses=serializers.AgentSerializer)
    @action(detail=True, methods=["put"], pagination_class=None, filter_backends=[])
    def skills(self, request: Request, pk: str) -> Response:
        """What the agent can from now on, instead of what he could before; what has run out does not count."""
        require(request.user, Permission.CONFIGURE)
        agent = skills.set_of(
            self.find(), self.read_body(serializers.HeldSkillsInput)["skills"], by=request.user
        )
        return self.shown(self.after(agent))

    @extend_schema(request=serializers.PresenceInput, responses=OpenApiTypes.OBJECT)
    @action(detail=True, methods=["put"], pagination_class=None, filter_backends=[])
    def presence(self, request: Request, pk: str) -> Response:
        """Say what the agent chose; answered with what he is doing."""
        if pk == "me":
            require(request.user, Permission.WORK)
            agent = presence.agent_of(request.user)
        else:
            require_somewhere(request.user, Permission.SUPERVISE)
            agent = self.find()
            if not presence.may_set(request.user, agent):
                raise NotFound("There is no such agent in your team.")
        given = self.read_body(serializers.PresenceInput)
        agent = presence.choose(agent, by=request.user, **given)
        held = list(
            agent.assignments.filter(status__in=["offered", "accepted"], parked_at=None).values_list(
                "status", "wrap_up_at"
            )
        )
        counts = Counter(status for status, _ in held)
        wrapping = sum(at is not None for _, at in held)
        doing = presence.doing(agent, counts["offered"], counts["accepted"], wrapping)
        return Response(presence.shown(agent, doing))

    @extend_schema(responses=serializers.IdlenessSerializer)
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def idle(self, request: Request, pk: str) -> Response:
        """Why he has nothing (more) to do: what keeps each waiting item from him, by the router's own rules and numbers."""
        agent = presence.agent_of(request.user) if pk == "me" else self.find()
        return Response(idleness.of(agent, request.user))

    def _led(self, request: Request) -> Agent:
        require_somewhere(request.user, Permission.SUPERVISE)
        agent = self.find()
        if agent.user_id == request.user.pk or not presence.may_set(request.user, agent):
            raise NotFound("There is no such agent in your team.")
        return agent

    @extend_schema(request=serializers.TrainInput, responses=serializers.AgentSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def train(self, request: Request, pk: str) -> Response:
        """Let a trainee's capacity grow evenly to its goal."""
        agent = plans.train(self._led(request), by=request.user, **self.read_body(serializers.TrainInput))
        return self.shown(self.after(agent))

    @extend_schema(request=serializers.TrainingInput, responses=serializers.AgentSerializer)
    @action(detail=True, methods=["put"], pagination_class=None, filter_backends=[])
    def training(self, request: Request, pk: str) -> Response:
        """Put him in training on live work, each answer released by a coach; without a coach it is over."""
        agent = self._led(request)
        given = self.read_body(serializers.TrainingInput)
        if coach := given["coach"]:
            agent = plans.begin_training(agent, coach, by=request.user, capacity=given["capacity"])
        else:
            agent = plans.end_training(agent, by=request.user)
        return self.shown(self.after(agent))

    @extend_schema(request=serializers.LimitsInput, responses=serializers.AgentSerializer)
    @action(detail=True, methods=["put"], pagination_class=None, filter_backends=[])
    def limits(self, request: Request, pk: str) -> Response:
        """Say how many items of each channel family he may have at once."""
        agent = plans.limit(self._led(request), self.read_body(serializers.LimitsInput), by=request.user)
        return self.shown(self.after(agent))


class _OnDesk(Door):
    """What belongs to the agent's desk: one scope, reading and acting."""

    noun = "desk"

    def scopes(self) -> tuple[str, ...]:
        """The desk's."""
        return ("desk",)


class DeskView(_OnDesk):
    """`GET /desk/`: the agent's desk."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Presence, capacity, offers, assignments, counts and the stream's number; a sign of life."""
        require(request.user, Permission.WORK)
        presence.agent_of(request.user)
        presence.beat([request.user.pk], socket=False)
        return Response(desk.snapshot(request.user))


class HandoverView(_OnDesk):
    """`GET /handover/`: the end of one shift and the beginning of the next."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Own shift and work in hand; open promises, incidents, absent owners and new texts of what one may see."""
        require(request.user, Permission.WORK)
        agent = presence.agent_of(request.user)
        mine = {"shift": shifts.shift_of(agent.pk), "mine": desk.holds(agent.pk)}
        return Response(mine | shifts.handover(request.user))


class PresenceReasonViewSet(_Shared):
    """Own reasons to be away, each with its limit: retired, never deleted."""

    noun = "agents"
    queryset = PresenceReason.objects.all()
    serializer_class = serializers.PresenceReasonSerializer
    filterset_class = filters.PresenceReasonFilter
    ordering_fields = ("id", "name")
    ordering = "name"
    slug_field = "slug"

    @extend_schema(
        request=serializers.PresenceReasonInput, responses={201: serializers.PresenceReasonSerializer}
    )
    def create(self, request: Request) -> Response:
        """A new reason."""
        require(request.user, Permission.CONFIGURE)
        made = plans.add_reason(by=request.user, **self.read_body(serializers.PresenceReasonInput))
        return self.shown(made, status=201)

    @extend_schema(request=serializers.PresenceReasonEdit, responses=serializers.PresenceReasonSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Rename it, move its limit, retire it."""
        with self.editing() as reason:
            require(request.user, Permission.CONFIGURE)
            plans.edit_reason(reason, self.read_body(serializers.PresenceReasonEdit), by=request.user)
        return self.shown(reason)


class ScheduledTimeViewSet(ScopedViewSet):
    """The plan of agents' days: shifts, and pauses that begin by themselves when the work in hand lets them."""

    noun = "agents"
    queryset = ScheduledTime.objects.all()
    serializer_class = serializers.ScheduledTimeSerializer
    filterset_class = filters.ScheduledTimeFilter
    ordering_fields = ("id", "starts_at")
    ordering = "starts_at"

    def scoped(self) -> QuerySet:
        return outside_closed(self.queryset.all(), self.request.user, "agent__user__team", own="agent__user")

    @extend_schema(
        request=serializers.ScheduledTimeInput, responses={201: serializers.ScheduledTimeSerializer}
    )
    def create(self, request: Request) -> Response:
        """Plan a stretch for somebody in the team one leads."""
        require_somewhere(request.user, Permission.SUPERVISE)
        given = self.read_body(serializers.ScheduledTimeInput)
        if not presence.may_set(request.user, given["agent"]):
            raise NotFound("There is no such agent in your team.")
        return self.shown(plans.schedule(by=request.user, **given), status=201)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def remove(self, request: Request, pk: str) -> Response:
        """Take it out of the plan."""
        planned = self.find()
        require_somewhere(request.user, Permission.SUPERVISE)
        if not presence.may_set(request.user, planned.agent):
            raise NotFound("There is no such agent in your team.")
        plans.cancel(planned, by=request.user)
        return Response(status=204)


class HandViewSet(ScopedViewSet):
    """Raised hands: one's own, and those of the agents one leads."""

    noun = "agents"
    queryset = Hand.objects.select_related("agent__user", "work_item")
    serializer_class = serializers.HandSerializer
    filterset_class = filters.HandFilter
    ordering_fields = ("id", "raised_at")
    ordering = "raised_at"

    def scopes(self) -> tuple[str, ...]:
        """Asking for help belongs to the desk."""
        return (*super().scopes(), "desk")

    def scoped(self) -> QuerySet:
        return hands.visible_to(self.request.user, self.queryset.all())

    @extend_schema(request=serializers.HandInput, responses={201: serializers.HandSerializer})
    def create(self, request: Request) -> Response:
        """Raise one's hand; 409 `hand_up` when it is."""
        require(request.user, Permission.WORK)
        given = self.read_body(serializers.HandInput)
        made = hands.raise_hand(request.user, reason=given["reason"], work_item_id=given["work_item"])
        return self.shown(self.after(made), status=201)

    @extend_schema(request=None, responses=serializers.HandSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def take(self, request: Request, pk: str) -> Response:
        """Come to help; 409 `hand_taken`."""
        hand = self.find()
        require_somewhere(request.user, Permission.SUPERVISE)
        return self.shown(self.after(hands.take(hand, by=request.user)))

    @extend_schema(request=None, responses=serializers.HandSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def lower(self, request: Request, pk: str) -> Response:
        """It is answered; 409 `hand_down`."""
        hand = self.find()
        require(request.user, Permission.WORK)
        return self.shown(self.after(hands.lower(hand, by=request.user)))

    @extend_schema(responses=OpenApiTypes.OBJECT)
    @action(detail=False, methods=["get"], pagination_class=None, filter_backends=[])
    def topics(self, request: Request) -> Response:
        """How often help was asked for in the last 30 days, by topic and reason."""
        return Response({"results": hands.topics(request.user)})


class JoiningViewSet(ScopedViewSet):
    """Second people in threads, past ones included: asked for a word, to answer too, or to take the work on."""

    noun = "work-items"
    queryset = Joining.objects.select_related(
        "user", "assignment__agent", "assignment__work_item__interaction__ticket",
        "assignment__work_item__interaction__team", "assignment__work_item__interaction__channel",
    )  # fmt: skip
    serializer_class = serializers.JoiningSerializer
    filterset_class = filters.JoiningFilter
    ordering_fields = ("id", "asked_at")

    def scopes(self) -> tuple[str, ...]:
        """Being asked belongs to the desk too."""
        return (*super().scopes(), "desk")

    def scoped(self) -> QuerySet:
        return joinings.visible_to(self.request.user, self.queryset.all())

    @extend_schema(request=None, responses=serializers.JoiningSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def accept(self, request: Request, pk: str) -> Response:
        """Come in; 409 `request_over`."""
        joining = self.find()
        require(request.user, Permission.WORK)
        return self.shown(joinings.accept(joining, by=request.user))

    @extend_schema(request=serializers.DeclineInput, responses=serializers.JoiningSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def decline(self, request: Request, pk: str) -> Response:
        """Not now, and why; 409 `request_over`."""
        joining = self.find()
        require(request.user, Permission.WORK)
        reason = self.read_body(serializers.DeclineInput)["reason"]
        return self.shown(joinings.decline(joining, by=request.user, reason=reason))

    @extend_schema(request=None, responses=serializers.JoiningSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def end(self, request: Request, pk: str) -> Response:
        """Leave, hand back, or go on alone; 409 `request_over`."""
        joining = self.find()
        require(request.user, Permission.WORK)
        return self.shown(joinings.end(joining, by=request.user))

    @extend_schema(request=None, responses=serializers.AssignmentSerializer)
    @action(detail=True, methods=["post"], url_path="take-over", pagination_class=None, filter_backends=[])
    def take_over(self, request: Request, pk: str) -> Response:
        """The receiver of a warm transfer has it from now on; 409 `not_joined`, `no_capacity`."""
        joining = self.find()
        require(request.user, Permission.WORK)
        made = joinings.take_over(joining, by=request.user)
        return Response(serializers.AssignmentSerializer(made).data)


class OfferViewSet(ScopedViewSet):
    """Open offers: one's own, or all of the agents one supervises."""

    noun = "offers"
    queryset = Assignment.objects.filter(status=AssignmentStatus.OFFERED)
    serializer_class = serializers.AssignmentSerializer
    filterset_class = filters.OfferFilter
    ordering_fields = ("id",)

    def scopes(self) -> tuple[str, ...]:
        """Offers belong to the desk too."""
        return (*super().scopes(), "desk")

    def scoped(self) -> QuerySet:
        return _assignments(self.queryset.all(), self.request.user)

    @extend_schema(request=None, responses=serializers.AssignmentSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def accept(self, request: Request, pk: str) -> Response:
        """Take it: 200 once; 409 `already_yours` or `offer_gone` with `holder`."""
        return Response(accept(request.user, number_in(pk), {}))

    @extend_schema(request=serializers.DeclineInput, responses={204: None})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def decline(self, request: Request, pk: str) -> Response:
        """Give it back with a reason."""
        require(request.user, Permission.WORK)
        given = self.read_body(serializers.DeclineInput)
        assignments.decline(number_in(pk), by=request.user, reason=given["reason"])
        return Response(status=204)


def _assignments(rows: QuerySet, user) -> QuerySet:
    seen = WorkItem.objects.visible_to(user)
    if may(user, Permission.SUPERVISE) or may(user, Permission.READ_DELIVERIES):
        return rows.filter(work_item__in=seen)
    if not may_somewhere(user, Permission.SUPERVISE):
        return rows.filter(agent__user=user)
    over = seen.filter(work_filter(user, "interaction__", Permission.SUPERVISE))
    return rows.filter(Q(agent__user=user) | Q(work_item__in=over))


class AssignmentViewSet(ScopedViewSet):
    """Holds of work items, past ones included."""

    noun = "assignments"
    queryset = Assignment.objects.all()
    serializer_class = serializers.AssignmentSerializer
    filterset_class = filters.AssignmentFilter
    ordering_fields = ("id", "offered_at")

    def scoped(self) -> QuerySet:
        return _assignments(self.queryset.all(), self.request.user)


class WorkItemViewSet(ScopedViewSet):
    """Work that waits or is handled."""

    noun = "work-items"
    queryset = WorkItem.objects.select_related("queue")
    serializer_class = serializers.WorkItemSerializer
    filterset_class = filters.WorkItemFilter
    ordering_fields = ("id", "deadline", "queued_at")

    def scopes(self) -> tuple[str, ...]:
        """Handling work belongs to the desk too."""
        return (*super().scopes(), "desk")

    @extend_schema(responses=serializers.OrphansSerializer(many=True))
    @action(detail=False, methods=["get"], pagination_class=None, filter_backends=[])
    def orphans(self, request: Request) -> Response:
        """Waiting work that nobody here could ever take, whatever its queues give up and wherever it goes."""
        require_somewhere(request.user, Permission.READ_WORK)
        return Response({"results": orphans.shown_to(request.user)})

    @extend_schema(request=None, responses=serializers.AssignmentSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def claim(self, request: Request, pk: str) -> Response:
        """Pull it: 409 `taken` with `holder` when somebody has it; `next_only` and `too_far_down` as its queue says."""
        item = self.find()
        require(request.user, Permission.WORK)
        require(request.user, Permission.REPLY, item)  # who may only read there takes nothing from there
        made = pulls.claim(item.pk, by=request.user)
        return Response(serializers.AssignmentSerializer(made).data, status=201)

    @extend_schema(request=serializers.TransferInput, responses={204: None})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def transfer(self, request: Request, pk: str) -> Response:
        """Hand it to a queue or a colleague; its age is kept."""
        item = self.find()
        require(request.user, Permission.WORK)
        assignments.transfer(item.pk, by=request.user, **self.read_body(serializers.TransferInput))
        return Response(status=204)

    @extend_schema(request=serializers.CompleteInput, responses=serializers.WorkItemSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def complete(self, request: Request, pk: str) -> Response:
        """Finish it with reason and outcome; the contact is closed."""
        if not may(request.user, Permission.WORK):
            self.find()  # what may not be seen is not there, before it is forbidden
        return Response(complete(request.user, number_in(pk), request.data))

    @extend_schema(request=serializers.WrapUpInput, responses=serializers.AssignmentSerializer)
    @action(detail=True, methods=["post"], url_path="wrap-up", pagination_class=None, filter_backends=[])
    def wrap_up(self, request: Request, pk: str) -> Response:
        """The live contact is over: the time for its codes runs, then it is saved without. `extend`: once more."""
        item = self.find()
        require(request.user, Permission.WORK)
        act = wrap_ups.extend if self.read_body(serializers.WrapUpInput)["extend"] else wrap_ups.begin
        return Response(serializers.AssignmentSerializer(act(item.pk, by=request.user)).data)

    @extend_schema(request=serializers.WhisperInput, responses={204: None})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def whisper(self, request: Request, pk: str) -> Response:
        """A word to the agent who holds it: a note in the thread, and on his desk at once."""
        item = self.find()
        require_somewhere(request.user, Permission.SUPERVISE)
        hands.whisper(item, by=request.user, text=self.read_body(serializers.WhisperInput)["text"])
        return Response(status=204)

    @extend_schema(request=None, responses=serializers.AssignmentSerializer)
    @action(detail=True, methods=["post"], url_path="take-over", pagination_class=None, filter_backends=[])
    def take_over(self, request: Request, pk: str) -> Response:
        """Go on with an agent's work oneself; 409 `no_capacity`, `not_held`."""
        item = self.find()
        require_somewhere(request.user, Permission.SUPERVISE)
        made = hands.take_over(item, by=request.user)
        return Response(serializers.AssignmentSerializer(made).data)

    @extend_schema(request=serializers.AskInInput, responses={201: serializers.JoiningSerializer})
    @action(detail=True, methods=["post"], url_path="ask-in", pagination_class=None, filter_backends=[])
    def ask_in(self, request: Request, pk: str) -> Response:
        """Ask a colleague into the thread; 409 `not_held`, `not_available`, `may_not_see`, `already_asked`."""
        item = self.find()
        require(request.user, Permission.WORK)
        made = joinings.ask_in(item.pk, by=request.user, **self.read_body(serializers.AskInInput))
        return Response(serializers.JoiningSerializer(made).data, status=201)

    @extend_schema(request=None, responses={201: serializers.JoiningSerializer})
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def join(self, request: Request, pk: str) -> Response:
        """Come in beside the agent whom one leads: both may answer; 409 `already_joined`, `not_held`."""
        item = self.find()
        require_somewhere(request.user, Permission.SUPERVISE)
        made = joinings.join(item, by=request.user)
        return Response(serializers.JoiningSerializer(made).data, status=201)

    @extend_schema(request=serializers.HandBackInput, responses={204: None})
    @action(detail=True, methods=["post"], url_path="hand-back", pagination_class=None, filter_backends=[])
    def hand_back(self, request: Request, pk: str) -> Response:
        """Give it back to who had it before; 409 `nobody_before`."""
        item = self.find()
        require(request.user, Permission.WORK)
        assignments.hand_back(item.pk, by=request.user, **self.read_body(serializers.HandBackInput))
        return Response(status=204)

    @extend_schema(request=serializers.CallbackInput, responses=serializers.WorkItemSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def callback(self, request: Request, pk: str) -> Response:
        """Call back instead of letting wait on the line: in its place, or at a booked time; 409 `not_waiting`."""
        item = self.find()
        require(request.user, Permission.REPLY, item)
        made = calls.promise(item, by=request.user, **self.read_body(serializers.CallbackInput))
        return self.shown(self.after(made))

    @extend_schema(request=serializers.NotReachedInput, responses=serializers.WorkItemSerializer)
    @action(detail=True, methods=["post"], url_path="not-reached", pagination_class=None, filter_backends=[])
    def not_reached(self, request: Request, pk: str) -> Response:
        """The caller did not answer: once more later, then a message; 409 `not_held`, `no_callback`, `attempts_over`."""
        item = self.find()
        require(request.user, Permission.WORK)
        given = self.read_body(serializers.NotReachedInput)
        return self.shown(self.after(calls.not_reached(item.pk, by=request.user, message=given["message"])))

    @extend_schema(responses=serializers.WaitSerializer)
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def wait(self, request: Request, pk: str) -> Response:
        """Its place in the live order and how long its customer will wait, on live channels, while it waits."""
        item = self.find()
        nothing = {"place": None, "waiting": None, "low": None, "high": None, "words": ""}
        return Response(places.of_items([item]).get(item.pk, nothing))

    @extend_schema(request=serializers.ParkInput, responses=serializers.AssignmentSerializer)
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def park(self, request: Request, pk: str) -> Response:
        """Put it aside until a time, or until the customer writes: it costs nothing; 409 `too_many_parked`, `is_live`."""
        item = self.find()
        require(request.user, Permission.WORK)
        held = parking.park(item.pk, by=request.user, **self.read_body(serializers.ParkInput))
        return Response(serializers.AssignmentSerializer(held).data)

    @extend_schema(request=None, responses=serializers.AssignmentSerializer)
    @action(detail=True, methods=["post"], url_path="take-up", pagination_class=None, filter_backends=[])
    def take_up(self, request: Request, pk: str) -> Response:
        """Go on with parked work; 409 `no_capacity` when that were more than two items too many."""
        item = self.find()
        require(request.user, Permission.WORK)
        return Response(serializers.AssignmentSerializer(parking.take_up(item.pk, by=request.user)).data)

    @extend_schema(responses=OpenApiTypes.OBJECT)
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def codes(self, request: Request, pk: str) -> Response:
        """The reasons and outcomes it may be given, the most likely first, and whether they are asked for."""
        return Response(wrap_ups.choices(self.find()))

    @extend_schema(responses=OpenApiTypes.OBJECT)
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def explanation(self, request: Request, pk: str) -> Response:
        """Each offer made of it: candidates, scores by named part, step, why not the others."""
        return Response(explanations.of(self.find().pk))


class SimulationViewSet(ScopedViewSet):
    """Days through the live engine, as they were and otherwise."""

    noun = "simulations"
    queryset = Simulation.objects.all()
    serializer_class = serializers.SimulationSerializer
    filterset_class = filters.SimulationFilter
    ordering_fields = ("id",)

    def scoped(self) -> QuerySet:
        """Lists leave the figures out: they are long."""
        seen = super().scoped()
        return seen.defer("result") if self.action == "list" else seen

    @extend_schema(request=serializers.SimulationInput, responses={201: serializers.SimulationSerializer})
    def create(self, request: Request) -> Response:
        """Ask for a comparison; `state` and `progress` say how far it is."""
        require(request.user, Permission.SIMULATE)
        made = simulations.ask(self.read_body(serializers.SimulationInput), by=request.user)
        return self.shown(self.after(made), status=201)
