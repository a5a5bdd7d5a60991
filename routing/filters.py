"""What lists of the distributor can be narrowed by: the same for pages and REST."""

from django.db.models import Q, QuerySet
from django_filters import (
    CharFilter,
    ChoiceFilter,
    FilterSet,
    IsoDateTimeFilter,
    MultipleChoiceFilter,
)

from crm.choices import Family
from crm.filters import IdFilter, SearchFilter, SlugFilter, YesNoFilter
from routing.choices import (
    AssignmentStatus,
    HandReason,
    JoiningKind,
    PresenceState,
    Scheduled,
    SimulationState,
    WorkItemStatus,
    WorkKind,
)
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


class QueueFilter(FilterSet):
    """Queues by name and team."""

    search = SearchFilter(method="find", label="Slug or name.")
    team = SlugFilter(field_name="team__slug")
    is_fallback = YesNoFilter()

    class Meta:
        model = Queue
        fields: list[str] = []

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        return queryset.filter(Q(slug__icontains=words) | Q(name__icontains=words))


class PresenceReasonFilter(FilterSet):
    """Own reasons to be away."""

    search = SearchFilter(field_name="name", lookup_expr="icontains", label="Name.")
    retired = YesNoFilter()

    class Meta:
        model = PresenceReason
        fields: list[str] = []


class HandFilter(FilterSet):
    """Raised hands by agent, reason and whether they are up."""

    agent = IdFilter()
    reason = MultipleChoiceFilter(choices=HandReason.choices)
    is_up = YesNoFilter(field_name="ended_at", lookup_expr="isnull")

    class Meta:
        model = Hand
        fields: list[str] = []


class JoiningFilter(FilterSet):
    """Who is or was in whose thread, by person, kind, work and whether it goes on."""

    user = IdFilter()
    work_item = IdFilter(field_name="assignment__work_item")
    kind = MultipleChoiceFilter(choices=JoiningKind.choices)
    is_open = YesNoFilter(field_name="ended_at", lookup_expr="isnull")
    asked_after = IsoDateTimeFilter(field_name="asked_at", lookup_expr="gte")
    asked_before = IsoDateTimeFilter(field_name="asked_at", lookup_expr="lt")

    class Meta:
        model = Joining
        fields: list[str] = []


class ScheduledTimeFilter(FilterSet):
    """The plan by agent, kind and time."""

    agent = IdFilter()
    kind = MultipleChoiceFilter(choices=Scheduled.choices)
    since = IsoDateTimeFilter(field_name="ends_at", lookup_expr="gt", label="Ends after.")
    until = IsoDateTimeFilter(field_name="starts_at", lookup_expr="lt", label="Starts before.")

    class Meta:
        model = ScheduledTime
        fields: list[str] = []


class SkillFilter(FilterSet):
    """Skills by code and name."""

    search = SearchFilter(method="find", label="Code or name.")

    class Meta:
        model = Skill
        fields: list[str] = []

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        return queryset.filter(Q(code__icontains=words) | Q(name__icontains=words))


class AgentFilter(FilterSet):
    """Agents by what they chose, team and skill."""

    search = SearchFilter(field_name="user__name", lookup_expr="icontains", label="Name.")
    state = MultipleChoiceFilter(field_name="chosen", choices=PresenceState.choices)
    user = IdFilter()
    team = SlugFilter(field_name="user__team__slug")
    skill = CharFilter(method="by_skill", max_length=40, label="Has this skill.")
    language = CharFilter(method="by_language", max_length=8, label="Speaks this language.")

    class Meta:
        model = Agent
        fields: list[str] = []

    def by_skill(self, queryset: QuerySet, name: str, code: str) -> QuerySet:
        return queryset.filter(pk__in=Skill.objects.filter(code=code).values("agents"))

    def by_language(self, queryset: QuerySet, name: str, code: str) -> QuerySet:
        return queryset.filter(languages__contains=[code])


class WorkItemFilter(FilterSet):
    """Work by queue, state and age."""

    interaction = IdFilter()
    ticket = IdFilter()
    customer = IdFilter(field_name="customer_id")
    queue = SlugFilter(field_name="queue__slug")
    status = MultipleChoiceFilter(choices=WorkItemStatus.choices)
    family = MultipleChoiceFilter(choices=Family.choices)
    kind = MultipleChoiceFilter(choices=WorkKind.choices)
    language = CharFilter(max_length=8)
    overdue_at = IsoDateTimeFilter(field_name="deadline", lookup_expr="lt", label="Due before this time.")
    queued_after = IsoDateTimeFilter(field_name="queued_at", lookup_expr="gte")
    queued_before = IsoDateTimeFilter(field_name="queued_at", lookup_expr="lt")

    class Meta:
        model = WorkItem
        fields: list[str] = []


class AssignmentFilter(FilterSet):
    """Holds by agent, work item and state."""

    work_item = IdFilter()
    interaction = IdFilter(field_name="work_item__interaction")
    agent = IdFilter()
    user = IdFilter(field_name="agent__user")
    queue = SlugFilter(field_name="work_item__queue__slug")
    status = MultipleChoiceFilter(choices=AssignmentStatus.choices)
    offered_after = IsoDateTimeFilter(field_name="offered_at", lookup_expr="gte")
    offered_before = IsoDateTimeFilter(field_name="offered_at", lookup_expr="lt")

    class Meta:
        model = Assignment
        fields: list[str] = []


class OfferFilter(FilterSet):
    """Open offers."""

    queue = SlugFilter(field_name="work_item__queue__slug")
    family = ChoiceFilter(field_name="work_item__family", choices=Family.choices)
    agent = IdFilter()

    class Meta:
        model = Assignment
        fields: list[str] = []


class SimulationFilter(FilterSet):
    """Days that were played, by name and state."""

    search = SearchFilter(field_name="title", lookup_expr="icontains", label="Name.")
    state = ChoiceFilter(choices=SimulationState.choices)

    class Meta:
        model = Simulation
        fields: list[str] = []
