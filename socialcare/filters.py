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
from crm.filters import ConditionsFilter, IdFilter, SearchFilter, SlugFilter, YesNoFilter
from socialcare.choices import MentionStatus
from socialcare.models import Mention, MentionSource

TONES = {"negative": (None, -0.35), "neutral": (-0.35, 0.35), "positive": (0.35, None)}  # from, below


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
    tone = ChoiceFilter(method="by_tone", choices=[(one, one) for one in TONES], label="How it sounds.")
    posted_after = IsoDateTimeFilter(field_name="posted_at", lookup_expr="gte")
    posted_before = IsoDateTimeFilter(field_name="posted_at", lookup_expr="lt")

    where = ConditionsFilter("mentions")

    class Meta:
        model = Mention
        fields: list[str] = []

    def by_channel(self, queryset: QuerySet, name: str, slug: str) -> QuerySet:
        others = MentionSource.objects.filter(channel__slug=slug).values("mention_id")
        return queryset.filter(Q(channel__slug=slug) | Q(pk__in=others))

    def by_tone(self, queryset: QuerySet, name: str, tone: str) -> QuerySet:
        low, high = TONES[tone]
        if low is not None:
            queryset = queryset.filter(sentiment__gte=low)
        return queryset if high is None else queryset.filter(sentiment__lt=high)

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        author = words.removeprefix("@") or words
        return queryset.filter(
            Q(text__icontains=words)
            | Q(identity__handle__icontains=author)
            | Q(identity__name__icontains=words)
        )
