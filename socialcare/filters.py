"""What lists of social care can be narrowed by: the same for pages and REST."""

from django.db.models import Q, QuerySet
from django_filters import (
    CharFilter,
    ChoiceFilter,
    FilterSet,
    IsoDateTimeFilter,
    MultipleChoiceFilter,
    NumberFilter,
)

from crm.choices import ChannelKind, Verdict
from crm.filters import IdFilter, SearchFilter, SlugFilter, YesNoFilter
from socialcare.choices import MentionStatus
from socialcare.models import Mention, MentionSource


class MentionFilter(FilterSet):
    """Public posts by network, verdict, tone and time."""

    search = SearchFilter(method="find", label="Words of the post, or its author.")
    network = MultipleChoiceFilter(choices=ChannelKind.choices)
    channel = SlugFilter(method="by_channel", label="Came through this channel.")
    customer = IdFilter()
    identity = IdFilter()
    interaction = IdFilter(field_name="interaction_id")
    thread = IdFilter()
    verdict = MultipleChoiceFilter(choices=Verdict.choices)
    status = ChoiceFilter(choices=MentionStatus.choices)
    language = CharFilter(max_length=8)
    topic = CharFilter(max_length=30)
    actionable = YesNoFilter()
    deleted = YesNoFilter(field_name="deleted_at", lookup_expr="isnull", exclude=True)
    sentiment_below = NumberFilter(field_name="sentiment", lookup_expr="lt")
    sentiment_above = NumberFilter(field_name="sentiment", lookup_expr="gt")
    posted_after = IsoDateTimeFilter(field_name="posted_at", lookup_expr="gte")
    posted_before = IsoDateTimeFilter(field_name="posted_at", lookup_expr="lt")

    class Meta:
        model = Mention
        fields: list[str] = []

    def by_channel(self, queryset: QuerySet, name: str, slug: str) -> QuerySet:
        others = MentionSource.objects.filter(channel__slug=slug).values("mention_id")
        return queryset.filter(Q(channel__slug=slug) | Q(pk__in=others))

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        author = words.removeprefix("@")
        return queryset.filter(
            Q(text__icontains=words)
            | Q(identity__handle__icontains=author)
            | Q(identity__name__icontains=words)
        )
