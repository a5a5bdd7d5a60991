"""What lists of the floor can be narrowed by: the same for pages and REST."""

from contextlib import suppress
from math import isfinite
from typing import Any

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Q, QuerySet
from django.db.models.functions import Left
from django.forms import CharField, IntegerField, NullBooleanField, TextInput
from django_filters import (
    BooleanFilter,
    CharFilter,
    ChoiceFilter,
    FilterSet,
    IsoDateTimeFilter,
    MultipleChoiceFilter,
    NumberFilter,
)

from crm.choices import (
    Audience,
    ChannelKind,
    DeliveryOutcome,
    DeliveryState,
    Direction,
    Event,
    Family,
    InteractionStatus,
    MessageState,
    Question,
    Role,
    TeamVisibility,
    TicketStatus,
)
from crm.conditions import ConditionError, Group
from crm.lists import LISTINGS
from crm.models import (
    Channel,
    Company,
    Customer,
    Delivery,
    Identity,
    Interaction,
    Merge,
    Message,
    PauseReason,
    Survey,
    Team,
    Ticket,
    User,
)

BIGGEST_ID = 2**63 - 1
LONGEST_SEARCH = 200
FIRST_TICKET = 1000


class IdFilter(NumberFilter):
    """The id of another row."""

    field_class = IntegerField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, validators=[MinValueValidator(1), MaxValueValidator(BIGGEST_ID)], **kwargs)

    def get_max_validator(self) -> None:
        return None


class YesNo(NullBooleanField):
    """True, false or nothing said; Django's own takes any other word for nothing said."""

    widget = TextInput
    words = {"true": True, "1": True, "false": False, "0": False}

    def to_python(self, value: Any) -> bool | None:
        said = str(value or "").strip().lower()
        if said and said not in self.words:
            raise ValidationError("must be true or false")
        return self.words.get(said)


class YesNoFilter(BooleanFilter):
    """What is so or is not."""

    field_class = YesNo


class SlugFilter(CharFilter):
    """The slug of another row."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, max_length=50, **kwargs)


class SearchFilter(CharFilter):
    """`?search=`: what a person types."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, max_length=LONGEST_SEARCH, **kwargs)


class ConditionsField(CharField):
    """Conditions as JSON text, read against the columns of a list."""

    def __init__(self, *args: Any, noun: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.listing = LISTINGS[noun]

    def clean(self, value: Any) -> Group | None:
        """What was read; nothing said is no condition."""
        text = super().clean(value)
        try:
            found = self.listing.conditions(text)
        except ConditionError as error:
            raise ValidationError(str(error)) from None
        return found if found.parts else None


class ConditionsFilter(CharFilter):
    """`?where=`: conditions, AND and OR nested in each other (`crm/conditions.py`)."""

    field_class = ConditionsField

    def __init__(self, noun: str, **kwargs: Any) -> None:
        label = "Conditions as JSON: see docs/lists.md."
        super().__init__(noun=noun, label=label, strip=False, **kwargs)

    def filter(self, queryset: QuerySet, value: Group | None) -> QuerySet:
        """The rows that fit; `me` is who asks."""
        if value is None:
            return queryset
        return LISTINGS[self.extra["noun"]].narrowed(queryset, value, self.parent.request.user)


class CustomerFilter(FilterSet):
    """Customers by what is known of them."""

    search = SearchFilter(
        method="find", label="Name, handle, e-mail address or number, or a ticket's number."
    )
    language = CharFilter(max_length=8)
    vip = YesNoFilter()
    kind = ChoiceFilter(method="by_kind", choices=ChannelKind.choices, label="Has an address of this kind.")
    company = IdFilter()
    owner = IdFilter()
    tag = SlugFilter(method="by_tag", label="Has this tag.")
    field = CharFilter(method="by_field", max_length=200, label="One of our own fields is so: `slug:value`.")
    created_after = IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")
    where = ConditionsFilter("customers")

    class Meta:
        model = Customer
        fields: list[str] = []

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        return queryset.filter(pk__in=customers_like(words))

    def by_tag(self, queryset: QuerySet, name: str, slug: str) -> QuerySet:
        return queryset.filter(
            pk__in=Customer.tags.through.objects.filter(tag__slug=slug).values("customer_id")
        )

    def by_field(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        """The value as it is kept: a number and a truth value are not their text, and of several choices one is enough."""
        slug, _, value = words.partition(":")
        forms: list[object] = [value, [value]]
        if value in ("true", "false"):
            forms.append(value == "true")
        with suppress(ValueError):
            number = float(value)
            forms += [number] if isfinite(number) else []
        wanted = Q()
        for form in forms:
            wanted |= Q(fields__contains={slug: form})
        return queryset.filter(wanted)

    def by_kind(self, queryset: QuerySet, name: str, kind: str) -> QuerySet:
        return queryset.filter(pk__in=Identity.objects.filter(kind=kind).values("customer_id"))


def ticket_of(words: str) -> int | None:
    """The id of the ticket whose number is said: `4711`, `#4711`."""
    number = words.strip().removeprefix("#")
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        return None
    return pk if (pk := int(number) - FIRST_TICKET) > 0 else None


def customers_like(words: str) -> QuerySet:
    """Ids of customers by name or address; one or two letters are a beginning, more may stand anywhere."""
    how = "istartswith" if len(words) < 3 else "icontains"
    handle = words.removeprefix("@")
    named = Customer.objects.filter(**{f"name__{how}": words}).values("pk")
    handled = Identity.objects.filter(**{f"handle__{how}": handle})
    addressed = Identity.objects.filter(kind__in=("email", "phone"), **{f"value__{how}": words})
    known = Identity.objects.filter(kind__in=ChannelKind.values, value__in={words, words.lower()})
    # A union, not an OR over a join: each side can use its own index.
    ways = [found.values("customer_id") for found in (handled, addressed, known)]
    if ticket := ticket_of(words):
        ways.append(Ticket.objects.filter(pk=ticket).values("customer_id"))
    return named.union(*ways)


class CompanyFilter(FilterSet):
    """Companies by name and place in the tree."""

    search = SearchFilter(field_name="name", lookup_expr="icontains", label="Name.")
    parent = IdFilter()
    owner = IdFilter()
    where = ConditionsFilter("companies")

    class Meta:
        model = Company
        fields: list[str] = []


class IdentityFilter(FilterSet):
    """Addresses of customers."""

    search = SearchFilter(method="find", label="Handle, name or value.")
    customer = IdFilter()
    kind = ChoiceFilter(choices=ChannelKind.choices)
    value = CharFilter(max_length=255)
    handle = CharFilter(lookup_expr="iexact", max_length=255)
    verified = YesNoFilter()

    class Meta:
        model = Identity
        fields: list[str] = []

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        handle = words.removeprefix("@")
        return queryset.filter(
            Q(handle__icontains=handle) | Q(name__icontains=words) | Q(value__icontains=words)
        )


class MergeFilter(FilterSet):
    """Merges of customers."""

    survivor = IdFilter()
    merged = IdFilter()
    undone = YesNoFilter(method="over", label="Whether it was undone.")

    class Meta:
        model = Merge
        fields: list[str] = []

    def over(self, queryset: QuerySet, name: str, yes: bool) -> QuerySet:
        return queryset.exclude(undone_at=None) if yes else queryset.filter(undone_at=None)


class InteractionFilter(FilterSet):
    """Contacts by customer, channel, state and holder."""

    search = SearchFilter(method="find", label="Customer's name, or the subject of the ticket.")
    customer = IdFilter()
    ticket = IdFilter()
    thread = IdFilter()
    channel = SlugFilter(field_name="channel__slug")
    kind = ChoiceFilter(field_name="channel__kind", choices=ChannelKind.choices)
    family = MultipleChoiceFilter(choices=Family.choices)
    audience = ChoiceFilter(choices=Audience.choices)
    status = ChoiceFilter(choices=InteractionStatus.choices)
    team = SlugFilter(field_name="team__slug")
    assigned_to = IdFilter()
    unassigned = YesNoFilter(field_name="assigned_to", lookup_expr="isnull")
    waiting = YesNoFilter(field_name="waiting_since", lookup_expr="isnull", exclude=True)
    topic = CharFilter(max_length=30)
    language = CharFilter(max_length=8)
    opened_after = IsoDateTimeFilter(field_name="opened_at", lookup_expr="gte")
    opened_before = IsoDateTimeFilter(field_name="opened_at", lookup_expr="lt")

    class Meta:
        model = Interaction
        fields: list[str] = []

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        return queryset.filter(Q(customer__name__icontains=words) | Q(ticket__subject__icontains=words))


class MessageFilter(FilterSet):
    """Words by interaction, direction and state."""

    search = SearchFilter(method="find", label="Words of the message.")
    interaction = IdFilter()
    customer = IdFilter(field_name="interaction__customer")
    channel = SlugFilter(field_name="channel__slug")
    external_id = CharFilter(max_length=255)
    direction = ChoiceFilter(choices=Direction.choices)
    audience = ChoiceFilter(choices=Audience.choices)
    state = MultipleChoiceFilter(choices=MessageState.choices)
    courtesy = YesNoFilter()
    after = IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    before = IsoDateTimeFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = Message
        fields: list[str] = []

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        vector = SearchVector(Left("text", 50_000), config="simple")
        query = SearchQuery(words, config="simple", search_type="websearch")
        return queryset.annotate(words=vector).filter(words=query)


class TicketFilter(FilterSet):
    """Problems by number, customer, state and owner."""

    search = SearchFilter(method="find", label="Number, subject or customer's name.")
    number = IdFilter(method="by_number", label="The number on the screen.")
    customer = IdFilter()
    brand = SlugFilter(field_name="brand__slug")
    status = MultipleChoiceFilter(choices=TicketStatus.choices)
    topic = CharFilter(max_length=30)
    team = SlugFilter(field_name="team__slug")
    owner = IdFilter()
    unowned = YesNoFilter(field_name="owner", lookup_expr="isnull")
    is_open = YesNoFilter(method="by_open", label="Neither solved nor closed nor folded.")
    due_before = IsoDateTimeFilter(field_name="due_at", lookup_expr="lt")
    opened_after = IsoDateTimeFilter(field_name="opened_at", lookup_expr="gte")
    opened_before = IsoDateTimeFilter(field_name="opened_at", lookup_expr="lt")
    where = ConditionsFilter("tickets")

    class Meta:
        model = Ticket
        fields: list[str] = []

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        found = Q(subject__icontains=words) | Q(customer__name__icontains=words)
        if ticket := ticket_of(words):
            found |= Q(pk=ticket)
        return queryset.filter(found)

    def by_number(self, queryset: QuerySet, name: str, number: Any) -> QuerySet:
        return queryset.filter(pk=int(number) - FIRST_TICKET)

    def by_open(self, queryset: QuerySet, name: str, wanted: bool) -> QuerySet:
        over = [TicketStatus.SOLVED, TicketStatus.CLOSED, TicketStatus.FOLDED]
        return queryset.exclude(status__in=over) if wanted else queryset.filter(status__in=over)


class PauseReasonFilter(FilterSet):
    """Causes of pauses."""

    retired = YesNoFilter()

    class Meta:
        model = PauseReason
        fields: list[str] = []


class SurveyFilter(FilterSet):
    """Answers to surveys by whom, about what, to which question, and when."""

    customer = IdFilter()
    ticket = IdFilter()
    interaction = IdFilter()
    question = MultipleChoiceFilter(choices=Question.choices)
    channel = ChoiceFilter(choices=ChannelKind.choices)
    reference = CharFilter(max_length=100)
    after = IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    before = IsoDateTimeFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = Survey
        fields: list[str] = []


class ChannelFilter(FilterSet):
    """Endpoints of ours."""

    search = SearchFilter(method="find", label="Slug or name.")
    kind = ChoiceFilter(choices=ChannelKind.choices)
    brand = SlugFilter(field_name="brand__slug")
    is_active = YesNoFilter()

    class Meta:
        model = Channel
        fields: list[str] = []

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        return queryset.filter(Q(slug__icontains=words) | Q(name__icontains=words))


class DeliveryFilter(FilterSet):
    """What arrived, by channel and state."""

    search = SearchFilter(method="find", label="The item's id, or words of the error.")
    channel = SlugFilter(field_name="channel__slug")
    state = MultipleChoiceFilter(choices=DeliveryState.choices)
    outcome = MultipleChoiceFilter(choices=DeliveryOutcome.choices)
    event = ChoiceFilter(choices=Event.choices)
    external_id = CharFilter(max_length=255)
    interaction = IdFilter(field_name="interaction_id")
    received_after = IsoDateTimeFilter(field_name="received_at", lookup_expr="gte")
    received_before = IsoDateTimeFilter(field_name="received_at", lookup_expr="lt")

    class Meta:
        model = Delivery
        fields: list[str] = []

    def find(self, queryset: QuerySet, name: str, words: str) -> QuerySet:
        return queryset.filter(Q(external_id=words) | Q(error__icontains=words))


class TeamFilter(FilterSet):
    """Teams by name."""

    search = SearchFilter(field_name="name", lookup_expr="icontains", label="Name.")
    visibility = ChoiceFilter(choices=TeamVisibility.choices)

    class Meta:
        model = Team
        fields: list[str] = []


class UserFilter(FilterSet):
    """People by name, role and team."""

    search = SearchFilter(field_name="name", lookup_expr="icontains", label="Name.")
    role = MultipleChoiceFilter(choices=Role.choices)
    team = SlugFilter(field_name="team__slug")
    is_active = YesNoFilter()

    class Meta:
        model = User
        fields: list[str] = []
