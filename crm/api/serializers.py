"""One read serializer a noun, one small input an act."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers

from crm.access import outside_closed
from crm.choices import (
    ANSWERED,
    ChannelKind,
    ClockKind,
    ClockState,
    ConsentPurpose,
    LinkKind,
    MailSecurity,
    Question,
    Role,
    TicketKind,
    TicketPriority,
    TicketStatus,
    Trust,
)
from crm.models import (
    Brand,
    Channel,
    ChecklistItem,
    Code,
    Company,
    Consent,
    Customer,
    Delivery,
    Identity,
    Interaction,
    Merge,
    Message,
    Order,
    PauseReason,
    Poll,
    StatusName,
    Survey,
    Tag,
    Team,
    Ticket,
    TicketLink,
    User,
)
from crm.services import masking, merges, surveys, timeline
from crm.services.customers import ADDRESS_KINDS
from crm.services.messages import LONGEST_TEXT

LONGEST_NOTE = 10_000
FIRST_NUMBER = 1000  # tickets are numbered from here


class ColleagueRef(serializers.PrimaryKeyRelatedField):
    """A person by id, of those whom the caller may know: who is in a closed team of others does not exist for him."""

    def __init__(self, *, team: str = "team", own: str = "pk", **options: Any) -> None:
        super().__init__(**options)
        self._team, self._own = team, own

    def get_queryset(self) -> QuerySet:
        request = self.context.get("request")  # none while the document of the API is made
        known = super().get_queryset()
        return outside_closed(known, request.user, self._team, own=self._own) if request else known.none()


class SlugRef(serializers.SlugRelatedField):
    """Another row by its slug; read only, loaded with `select_related`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="slug", read_only=True, **kwargs)


# --- Nouns


class TeamSerializer(serializers.ModelSerializer):
    class Meta:
        model = Team
        fields = ["id", "slug", "name", "visibility"]


class UserSerializer(serializers.ModelSerializer):
    """A colleague. The login is nobody else's business."""

    team = SlugRef()
    initials = serializers.CharField(read_only=True)

    class Meta:
        model = User
        fields = ["id", "name", "initials", "alias", "role", "team", "is_active"]


class IdentitySerializer(serializers.ModelSerializer):
    class Meta:
        model = Identity
        fields = [
            "id", "customer", "kind", "value", "handle", "name", "followers", "verified", "trust", "claims", "created_at",
        ]  # fmt: skip


class CustomerSerializer(serializers.ModelSerializer):
    identities = IdentitySerializer(many=True, read_only=True)
    tags = serializers.SlugRelatedField(slug_field="slug", many=True, read_only=True)

    class Meta:
        model = Customer
        fields = [
            "id", "name", "language", "value", "vip", "public_figure", "verified_before_disclosure", "note", "created_at",
            "identities", "merged_into", "company", "owner", "preferred_identity", "preferred_channel", "tags", "fields",
        ]  # fmt: skip


class EntrySerializer(serializers.Serializer):
    """One entry of a customer's timeline."""

    kind = serializers.ChoiceField(choices=timeline.KINDS)
    id = serializers.IntegerField(help_text="Of the message, ticket, order, answer or imported line.")
    at = serializers.DateTimeField()
    channel = serializers.CharField(help_text="Kind of channel; empty for tickets and orders.")
    direction = serializers.CharField()
    by = serializers.CharField()
    text = serializers.CharField(
        help_text="At most 500 characters; empty where words of another team are barred."
    )
    deleted = serializers.BooleanField()
    barred = serializers.BooleanField()
    interaction = serializers.IntegerField(allow_null=True)
    ticket = serializers.IntegerField(allow_null=True)
    state = serializers.CharField(help_text="Of a message, ticket or order; of an answer its question.")
    amount = serializers.DecimalField(
        max_digits=12, decimal_places=2, allow_null=True, help_text="Of an order; of an answer its score."
    )


class TimelineSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    results = EntrySerializer(many=True)


class ReasonSerializer(serializers.Serializer):
    """One field's part in a score: bits above zero speak for the same person."""

    field = serializers.CharField()
    says = serializers.CharField()
    bits = serializers.FloatField()


class SuggestionSerializer(serializers.Serializer):
    customer = serializers.IntegerField(source="customer.pk")
    name = serializers.CharField(source="customer.name")
    score = serializers.FloatField()
    reasons = ReasonSerializer(many=True)


class MergeSerializer(serializers.ModelSerializer):
    class Meta:
        model = Merge
        fields = ["id", "survivor", "merged", "fields", "score", "by", "at", "undone_by", "undone_at"]


class MergeInput(serializers.Serializer):
    """Into whom this customer goes, or who comes into it: one of the two."""

    into = serializers.IntegerField(required=False, min_value=1)
    other = serializers.IntegerField(required=False, min_value=1)
    take = serializers.ListField(
        child=serializers.ChoiceField(choices=merges.FIELDS),
        required=False,
        default=list,
        help_text="Fields in which the merged one is right.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("into" in attrs) == ("other" in attrs):
            raise serializers.ValidationError({"into": ["give either into or other"]})
        return attrs


class ApartInput(serializers.Serializer):
    """Another customer, and whether it is somebody else; false takes that back."""

    other = serializers.IntegerField(min_value=1)
    apart = serializers.BooleanField(default=True)


class InteractionSerializer(serializers.ModelSerializer):
    channel = SlugRef()
    kind = serializers.CharField(source="channel.kind", read_only=True)
    team = SlugRef()

    class Meta:
        model = Interaction
        fields = [
            "id", "channel", "kind", "customer", "identity", "ticket", "thread", "family", "audience", "status", "team",
            "assigned_to", "folded_into", "language", "topic", "required_skills", "priority_parts", "judgement", "sentiment",
            "reach", "opened_at", "received_at", "first_message_at", "last_message_at", "waiting_since",
            "first_response_at", "closed_at", "reason", "outcome",
        ]  # fmt: skip


class MessageSerializer(serializers.ModelSerializer):
    channel = SlugRef()

    class Meta:
        model = Message
        fields = [
            "id", "interaction", "channel", "external_id", "direction", "audience", "state", "author", "author_name",
            "identity", "title", "text", "media", "versions", "courtesy", "sentiment", "sentiment_words", "in_reply_to",
            "error", "at", "created_at", "sent_at", "edited_at", "deleted_at",
        ]  # fmt: skip


class TicketSerializer(serializers.ModelSerializer):
    number = serializers.IntegerField(read_only=True)
    brand = SlugRef()
    team = SlugRef()
    status_name = serializers.CharField(read_only=True, allow_null=True)
    tags = serializers.SlugRelatedField(slug_field="slug", many=True, read_only=True)

    class Meta:
        model = Ticket
        fields = [
            "id", "number", "customer", "brand", "subject", "status", "topic", "team", "owner", "continues", "folded_into",
            "promised_by", "promise", "opened_at", "updated_at", "due_at", "solved_at", "kind", "priority", "priority_reason",
            "status_name", "snoozed_until", "snoozed_for", "next_due_at", "tags", "fields",
        ]  # fmt: skip


class ChannelSerializer(serializers.ModelSerializer):
    """An endpoint of ours; its token and secrets never leave."""

    brand = SlugRef()
    family = serializers.CharField(read_only=True)

    class Meta:
        model = Channel
        fields = ["id", "slug", "name", "kind", "family", "brand", "connector", "is_active"]


class MailboxInput(serializers.Serializer):
    """A mailbox as it is set up; it is not fetched before its poll is switched on."""

    name = serializers.CharField(max_length=100)
    brand = serializers.CharField(max_length=50)
    address = serializers.CharField(max_length=320)
    password = serializers.CharField(max_length=500, write_only=True, trim_whitespace=False)
    user = serializers.CharField(max_length=200, required=False, allow_blank=True)
    imap_host = serializers.CharField(max_length=253)
    imap_port = serializers.IntegerField(min_value=1, max_value=65_535, required=False)
    imap_security = serializers.ChoiceField(MailSecurity.choices, required=False)
    smtp_host = serializers.CharField(max_length=253, required=False, allow_blank=True)
    smtp_port = serializers.IntegerField(min_value=1, max_value=65_535, required=False)
    smtp_security = serializers.ChoiceField(MailSecurity.choices, required=False)
    folder = serializers.CharField(max_length=200, required=False)
    since_days = serializers.IntegerField(min_value=0, max_value=30, required=False)


class PollSerializer(serializers.ModelSerializer):
    """How the fetching of a channel goes; where it is stays with us."""

    class Meta:
        model = Poll
        fields = [
            "is_on", "every", "due_at", "fetched_at", "last_in_at", "failing_since", "failures", "error", "expires_at",
        ]  # fmt: skip
        read_only_fields = fields


class PollInput(serializers.Serializer):
    is_on = serializers.BooleanField()
    every = serializers.IntegerField(min_value=5, max_value=86_400, required=False, help_text="Seconds.")


class HealthSerializer(serializers.Serializer):
    """What a look at a channel's network found; it changes nothing there."""

    good = serializers.BooleanField()
    findings = serializers.ListField(child=serializers.CharField())


class DeliverySerializer(serializers.ModelSerializer):
    channel = SlugRef()
    interaction = serializers.IntegerField(source="interaction_id", read_only=True, allow_null=True)

    class Meta:
        model = Delivery
        fields = [
            "id", "channel", "external_id", "event", "state", "outcome", "copies", "attempts", "error", "interaction",
            "received_at", "done_at",
        ]  # fmt: skip


class DeliveryDetailSerializer(DeliverySerializer):
    """With the item as it came, but masked; bytes that are no text are shown escaped."""

    raw = serializers.SerializerMethodField()

    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "raw"]

    def get_raw(self, delivery: Delivery) -> str:
        return masking.shown(delivery.raw)


class CallableSerializer(serializers.Serializer):
    """Somebody whom a note may call."""

    kind = serializers.ChoiceField(choices=["user", "team"])
    id = serializers.IntegerField()
    name = serializers.CharField()
    hint = serializers.CharField(help_text="The team of a person.")
    insert = serializers.CharField(help_text="What to write in the note.")


class EventSerializer(serializers.Serializer):
    """One event of the feed."""

    seq = serializers.IntegerField()
    type = serializers.CharField()
    at = serializers.DateTimeField()
    data = serializers.DictField()


class FeedSerializer(serializers.Serializer):
    """A stretch of the feed; `seq` is its newest number: go on with `?after=` the last event's."""

    events = EventSerializer(many=True)
    seq = serializers.IntegerField()


# --- Acts


class Edit(serializers.Serializer):
    """Some fields of a thing; what is not named stays."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "partial": True})

    def validate(self, attrs: dict) -> dict:
        unknown = sorted(set(self.initial_data) - set(self.fields))
        if unknown or not attrs:
            raise serializers.ValidationError(
                {name: "cannot be changed" for name in unknown} or "Name at least one field to change."
            )
        return attrs


class PersonEdit(Edit):
    """What an administrator may change of a person: what he is here for, in which team, and whether he may log in at all."""

    role = serializers.ChoiceField(choices=Role.choices)
    team = serializers.SlugRelatedField(slug_field="slug", queryset=Team.objects.all(), allow_null=True)
    is_active = serializers.BooleanField()


class CustomerEdit(Edit):
    name = serializers.CharField(allow_blank=True, max_length=LONGEST_NOTE)
    language = serializers.RegexField(r"^([a-z]{2,3}(-[A-Za-z]{2,4})?)?$", allow_blank=True, max_length=8)
    note = serializers.CharField(allow_blank=True, max_length=LONGEST_NOTE)
    vip = serializers.BooleanField()
    verified_before_disclosure = serializers.BooleanField()
    public_figure = serializers.BooleanField()
    value = serializers.DecimalField(max_digits=12, decimal_places=2, allow_null=True)
    company = serializers.PrimaryKeyRelatedField(queryset=Company.objects.all(), allow_null=True)
    owner = ColleagueRef(queryset=User.objects.filter(is_active=True), allow_null=True)
    preferred_channel = serializers.ChoiceField(ChannelKind.choices, allow_blank=True)
    tags = serializers.SlugRelatedField(slug_field="slug", queryset=Tag.objects.all(), many=True)
    fields = serializers.DictField()


class AddressInput(serializers.Serializer):
    """An address as a person says it: a mail address, a number with its country, a handle."""

    kind = serializers.ChoiceField(ADDRESS_KINDS)
    value = serializers.CharField(max_length=255)


class IdentityInput(AddressInput):
    """One more address of a customer, and how sure it is his."""

    trust = serializers.ChoiceField(Trust.choices, default=Trust.CLAIMED.value)


class CustomerInput(CustomerEdit):
    """A new customer: a name, or at least one address."""

    addresses = AddressInput(many=True, max_length=20)


class IdentityEdit(Edit):
    """How sure it is that an address is this customer's; `preferred` makes it the one that answers go to first."""

    trust = serializers.ChoiceField(Trust.choices)
    preferred = serializers.ChoiceField([True])


class OrderInput(serializers.Serializer):
    """What was bought, by its number in the shop."""

    number = serializers.CharField(max_length=60)
    at = serializers.DateTimeField()
    amount = serializers.DecimalField(max_digits=12, decimal_places=2)
    currency = serializers.RegexField(r"^[A-Z]{3}$", default="EUR")
    state = serializers.CharField(max_length=30, allow_blank=True, default="")


class OrdersInput(serializers.Serializer):
    orders = OrderInput(many=True, allow_empty=False, max_length=1000)


class MergingSerializer(serializers.Serializer):
    percent = serializers.IntegerField(min_value=0, max_value=100, help_text="0: never; else 50 to 100.")


class SurveyInput(serializers.Serializer):
    """An answer, about a ticket or a contact (ids) where that is known."""

    question = serializers.ChoiceField(Question.choices)
    score = serializers.IntegerField(
        min_value=0, max_value=10, help_text="Satisfaction 1-5, recommendation 0-10, solved 0 or 1."
    )
    at = serializers.DateTimeField()
    comment = serializers.CharField(max_length=surveys.LONGEST, allow_blank=True, default="")
    channel = serializers.ChoiceField(ChannelKind.choices, allow_blank=True, default="")
    reference = serializers.CharField(
        max_length=100, allow_blank=True, default="", help_text="Its id in the system that asked."
    )
    ticket = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False, allow_null=True)
    interaction = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False, allow_null=True)


class SurveysInput(serializers.Serializer):
    surveys = SurveyInput(many=True, allow_empty=False, max_length=1000)


class SurveySerializer(serializers.ModelSerializer):
    class Meta:
        model = Survey
        fields = [
            "id", "customer", "ticket", "interaction", "question", "score", "comment", "channel", "at", "reference", "created_at",
        ]  # fmt: skip


class ConsentInput(serializers.Serializer):
    purpose = serializers.ChoiceField(ConsentPurpose.choices)
    given = serializers.BooleanField()
    how = serializers.CharField(max_length=200, allow_blank=True, default="")


class OrderSerializer(serializers.ModelSerializer):
    class Meta:
        model = Order
        fields = ["id", "customer", "number", "at", "amount", "currency", "state"]


class ConsentSerializer(serializers.ModelSerializer):
    class Meta:
        model = Consent
        fields = ["id", "customer", "purpose", "given", "how", "by", "at"]


class TicketEdit(Edit):
    subject = serializers.CharField(max_length=200)
    status = serializers.ChoiceField(TicketStatus.choices)
    owner = ColleagueRef(queryset=User.objects.filter(is_active=True), allow_null=True)
    kind = serializers.ChoiceField(TicketKind.choices, allow_blank=True)
    topic = serializers.CharField(max_length=30, allow_blank=True)
    priority = serializers.ChoiceField(TicketPriority.choices)
    priority_reason = serializers.CharField(max_length=200, allow_blank=True)
    status_name = serializers.SlugRelatedField(
        slug_field="name", queryset=StatusName.objects.filter(retired=False), allow_null=True
    )
    promise = serializers.CharField(max_length=1000, allow_blank=True)
    promised_by = serializers.DateTimeField(allow_null=True)
    team = serializers.SlugRelatedField(slug_field="slug", queryset=Team.objects.all(), allow_null=True)
    tags = serializers.SlugRelatedField(slug_field="slug", queryset=Tag.objects.all(), many=True)
    fields = serializers.DictField()


class TicketInput(serializers.Serializer):
    """A ticket by hand."""

    customer = serializers.PrimaryKeyRelatedField(queryset=Customer.objects.all())
    brand = serializers.SlugRelatedField(slug_field="slug", queryset=Brand.objects.all())
    subject = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(TicketKind.choices, required=False)
    topic = serializers.CharField(max_length=30, required=False)
    promise = serializers.CharField(max_length=1000, required=False)
    promised_by = serializers.DateTimeField(required=False)


class OtherTicketInput(serializers.Serializer):
    """Another ticket, by id or by the number that people say."""

    other = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    number = serializers.IntegerField(min_value=FIRST_NUMBER + 1, max_value=2**63 - 1, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("other" in attrs) == ("number" in attrs):
            raise serializers.ValidationError({"other": ["give either other or number"]})
        return attrs if "other" in attrs else {**attrs, "other": attrs["number"] - FIRST_NUMBER}


class LinkInput(OtherTicketInput):
    kind = serializers.ChoiceField(LinkKind.choices)


class SplitInput(serializers.Serializer):
    """The first message that is another problem, and what that one is called."""

    message = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    subject = serializers.CharField(max_length=160, required=False, default="")


class SnoozeInput(serializers.Serializer):
    """Until a time, until another ticket (by its number) is over, or both: whichever comes first."""

    until = serializers.DateTimeField(required=False, allow_null=True)
    after = serializers.IntegerField(
        min_value=FIRST_NUMBER + 1,
        max_value=2**63 - 1,
        required=False,
        allow_null=True,
        help_text="A ticket's number.",
    )


class SolvedSerializer(serializers.Serializer):
    solved = serializers.IntegerField(help_text="How many were not over yet.")


class PauseInput(serializers.Serializer):
    reason = serializers.CharField(
        max_length=200, help_text="One of `pause-reasons`, if the house keeps such a list."
    )
    note = serializers.CharField(max_length=200, allow_blank=True, default="")


class PauseReasonSerializer(serializers.ModelSerializer):
    class Meta:
        model = PauseReason
        fields = ["id", "name", "place", "retired"]


class FollowInput(serializers.Serializer):
    on = serializers.BooleanField(default=True)


class ChecklistInput(serializers.Serializer):
    text = serializers.CharField(max_length=200)


class CheckInput(serializers.Serializer):
    item = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    done = serializers.BooleanField(default=True)


class ChecklistSerializer(serializers.ModelSerializer):
    class Meta:
        model = ChecklistItem
        fields = ["id", "ticket", "text", "done_at", "done_by"]


class LinkSerializer(serializers.ModelSerializer):
    class Meta:
        model = TicketLink
        fields = ["id", "ticket", "other", "kind", "by", "at"]


class ClockLineSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    act = serializers.ChoiceField(["start", "pause", "resume", "stop", "breach"])
    cause = serializers.CharField()


class ClockSerializer(serializers.Serializer):
    """One promise: the lines that led to its deadline."""

    kind = serializers.ChoiceField(ClockKind.choices)
    state = serializers.ChoiceField(ClockState.choices)
    policy = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)
    stopped_at = serializers.DateTimeField(allow_null=True)
    lines = ClockLineSerializer(many=True)


class ReplyInput(serializers.Serializer):
    """`audience` left out: the one the customer wrote in."""

    text = serializers.CharField(max_length=LONGEST_TEXT)
    audience = serializers.ChoiceField(ANSWERED, required=False, allow_null=True)


class GiveBackInput(serializers.Serializer):
    """What the writer should do otherwise; it stands in the thread as a note."""

    reason = serializers.CharField(max_length=1000)


class NoteInput(serializers.Serializer):
    text = serializers.CharField(max_length=LONGEST_TEXT)


class CloseInput(serializers.Serializer):
    """Codes of the two wrap-up lists, or none."""

    reason = serializers.CharField(max_length=40, allow_blank=True, default="")
    outcome = serializers.CharField(max_length=40, allow_blank=True, default="")

    def validate(self, attrs: dict) -> dict:
        known = set(Code.objects.filter(retired=False).values_list("kind", "code"))
        if unknown := [name for name, code in attrs.items() if code and (name, code) not in known]:
            raise serializers.ValidationError({name: "is not a known code" for name in unknown})
        return attrs


# --- What was looked for


class HitSerializer(serializers.Serializer):
    """One thing found; `how`: exact, begins, contains or typo."""

    id = serializers.IntegerField()
    title = serializers.CharField()
    matched = serializers.CharField()
    how = serializers.CharField()
    detail = serializers.CharField()


class FoundSerializer(serializers.Serializer):
    """What was found, by kind; a message's id is that of its interaction."""

    customers = HitSerializer(many=True)
    tickets = HitSerializer(many=True)
    messages = HitSerializer(many=True)
