"""What the distributor's nouns look like to API clients, and the small inputs of its acts."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.validators import UniqueValidator

from crm.api.serializers import ColleagueRef, Edit, SlugRef
from crm.models import Team, User
from routing.bias import EXEMPTIONS
from routing.choices import (
    GivesUp,
    HandReason,
    JoiningKind,
    PresenceState,
    QueueMode,
    QueueOrder,
    Scheduled,
    Until,
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
from routing.models.queues import LONGEST_OFFER, LONGEST_PENDING, LONGEST_WAIT, LONGEST_WRAP_UP
from routing.models.scoring import HEAVIEST, MOST_BANDS
from routing.services import queues, skills
from routing.services.scoring import LIGHTEST, LOCKABLE


class StepSerializer(serializers.Serializer):
    """One step of widening: after `seconds` more it gives up what its kind says."""

    seconds = serializers.IntegerField(min_value=0, max_value=LONGEST_WAIT)
    gives_up = serializers.ChoiceField(GivesUp.choices)
    skill = serializers.SlugField(
        max_length=40, required=False, allow_null=True, help_text="Of `level` and `prefer`; left out: all."
    )
    level = serializers.IntegerField(min_value=1, max_value=5, required=False, allow_null=True)
    target = serializers.SlugField(
        max_length=50, required=False, allow_null=True, help_text="The queue of an `overflow`."
    )
    skip_if_nobody = serializers.BooleanField(required=False, default=True)


class QueueSerializer(serializers.ModelSerializer):
    """A queue with its rules."""

    team = SlugRef()
    steps = serializers.SerializerMethodField()

    class Meta:
        model = Queue
        fields = [
            "id", "slug", "name", "team", "topics", "channels", "targets", "goal", "is_fallback", "mode", "ordering",
            "required_skills", "preferred_skills", "offer_seconds", "wrap_up_seconds", "codes_required", "pull_within",
            "escape_seconds", "exclusive", "interrupt_seconds", "pending_seconds", "longest_hold",
            "steps",
        ]  # fmt: skip

    @extend_schema_field(StepSerializer(many=True))
    def get_steps(self, queue: Queue) -> list[dict]:
        return [queues.told_step(step) for step in queue.steps.all()]


class QueueEdit(serializers.Serializer):
    """Rules of a queue; what is left out stays as it is, `steps` replaces all steps. Each change has its reason."""

    name = serializers.CharField(max_length=100, required=False)
    team = serializers.SlugRelatedField(slug_field="slug", queryset=Team.objects.all(), required=False)
    topics = serializers.ListField(child=serializers.CharField(max_length=50), required=False)
    channels = serializers.ListField(child=serializers.CharField(max_length=50), required=False)
    targets = serializers.DictField(child=serializers.IntegerField(), required=False)
    goal = serializers.FloatField(min_value=0.01, max_value=1, required=False)
    is_fallback = serializers.BooleanField(required=False)
    mode = serializers.ChoiceField(QueueMode.choices, required=False)
    ordering = serializers.ChoiceField(QueueOrder.choices, required=False)
    required_skills = serializers.DictField(child=serializers.IntegerField(), required=False)
    preferred_skills = serializers.DictField(child=serializers.IntegerField(), required=False)
    offer_seconds = serializers.DictField(child=serializers.IntegerField(), required=False)
    wrap_up_seconds = serializers.IntegerField(min_value=0, max_value=LONGEST_WRAP_UP, required=False)
    codes_required = serializers.BooleanField(required=False)
    pull_within = serializers.IntegerField(min_value=1, max_value=1000, required=False)
    escape_seconds = serializers.IntegerField(
        min_value=1, max_value=LONGEST_WAIT, required=False, allow_null=True
    )
    exclusive = serializers.ListField(child=serializers.CharField(max_length=8), required=False)
    interrupt_seconds = serializers.IntegerField(
        min_value=0, max_value=LONGEST_OFFER, required=False, allow_null=True
    )
    pending_seconds = serializers.IntegerField(
        min_value=10, max_value=LONGEST_PENDING, required=False, allow_null=True
    )
    longest_hold = serializers.IntegerField(
        min_value=0, max_value=LONGEST_WAIT, required=False, allow_null=True,
        help_text="Seconds for which deferred work may be held for calls; null: a quarter of its target.",
    )  # fmt: skip
    steps = StepSerializer(many=True, required=False)
    reason = serializers.CharField(max_length=200, help_text="Why: it stands in the history.")


class QueueInput(QueueEdit):
    """A new queue."""

    slug = serializers.SlugField(max_length=50)
    name = serializers.CharField(max_length=100)
    team = serializers.SlugRelatedField(slug_field="slug", queryset=Team.objects.all())


class QueuePreviewInput(QueueEdit):
    """Rules to try: no reason is asked for."""

    reason = serializers.CharField(max_length=200, required=False)


class StandingSerializer(serializers.Serializer):
    """Where an item stands under some rules."""

    place = serializers.IntegerField()
    step = serializers.CharField()
    step_words = serializers.CharField()
    able = serializers.IntegerField(help_text="Agents who are in and have what it asks for.")


class PreviewedItemSerializer(serializers.Serializer):
    """A waiting item before and after."""

    work_item = serializers.IntegerField()
    interaction = serializers.IntegerField(allow_null=True)
    subject = serializers.CharField()
    before = StandingSerializer()
    after = StandingSerializer()


class QueuePreviewSerializer(serializers.Serializer):
    """What waits, as it would stand under other rules."""

    waiting = serializers.IntegerField()
    moved = serializers.IntegerField()
    overflows = serializers.DictField(child=serializers.IntegerField())
    items = PreviewedItemSerializer(many=True)


class OrphansSerializer(serializers.Serializer):
    """Waiting work of one queue that nobody here could ever take."""

    queue = serializers.CharField()
    family = serializers.CharField()
    count = serializers.IntegerField()
    oldest_queued_at = serializers.DateTimeField()
    why = serializers.CharField()
    work_items = serializers.ListField(
        child=serializers.IntegerField(), help_text="Those the caller may see."
    )


def _weight(low: float = 0) -> serializers.FloatField:
    return serializers.FloatField(min_value=low, max_value=HEAVIEST, required=False)


class ScoringEdit(serializers.Serializer):
    """Weights of the score; what is left out stays as it is. Each change has its reason."""

    urgency = _weight()
    value = _weight()
    target = _weight()
    channel = _weight()
    age = _weight(LIGHTEST)
    sentiment = _weight()
    reach = _weight()
    bands = serializers.IntegerField(min_value=1, max_value=MOST_BANDS, required=False)
    band_width = _weight(LIGHTEST)
    channels = serializers.DictField(
        child=serializers.FloatField(), required=False, help_text="Worth of channel families."
    )
    locked = serializers.ListField(
        child=serializers.ChoiceField(LOCKABLE), required=False, help_text="Channels that overtake no other."
    )
    alarm_above = serializers.FloatField(
        min_value=0, max_value=100, required=False, help_text="Overtakings per 100 choices."
    )
    reason = serializers.CharField(max_length=200, help_text="Why: it stands in the history.")


class ScoringPreviewInput(ScoringEdit):
    """Weights to try: no reason is asked for."""

    reason = serializers.CharField(max_length=200, required=False)


class ScoringSerializer(serializers.Serializer):
    """What counts now."""

    urgency = serializers.FloatField()
    value = serializers.FloatField()
    target = serializers.FloatField()
    channel = serializers.FloatField()
    age = serializers.FloatField(help_text="For each promise that was waited.")
    sentiment = serializers.FloatField(help_text="Moves only inside a band.")
    reach = serializers.FloatField(help_text="Moves only inside a band.")
    bands = serializers.IntegerField()
    band_width = serializers.FloatField()
    channels = serializers.DictField(child=serializers.FloatField())
    locked = serializers.ListField(child=serializers.CharField())
    alarm_above = serializers.FloatField()


class ScoredSerializer(serializers.Serializer):
    """Where an item stands under some weights."""

    place = serializers.IntegerField()
    score = serializers.FloatField()


class ReorderedSerializer(serializers.Serializer):
    """A waiting item before and after."""

    work_item = serializers.IntegerField()
    interaction = serializers.IntegerField(allow_null=True)
    subject = serializers.CharField()
    queue = serializers.CharField()
    before = ScoredSerializer()
    after = ScoredSerializer()


class ScoringPreviewSerializer(serializers.Serializer):
    """What waits, as it would stand under other weights."""

    waiting = serializers.IntegerField()
    moved = serializers.IntegerField()
    items = ReorderedSerializer(many=True)


class PairSerializer(serializers.Serializer):
    """How often `first` overtook `second`, of all choices between the two, whichever got the agent."""

    first = serializers.CharField()
    second = serializers.CharField()
    choices = serializers.IntegerField()
    overtakings = serializers.IntegerField()
    per_100 = serializers.FloatField(allow_null=True, help_text="Null: too few, under 30 choices.")
    low = serializers.FloatField(allow_null=True, help_text="Of the 95 % interval (Wilson), per 100.")
    high = serializers.FloatField(allow_null=True)
    alarm = serializers.BooleanField(help_text="The lower end is above `alarm_above`.")


class ExemptSerializer(serializers.Serializer):
    """Decisions that may put one channel before another."""

    exemption = serializers.ChoiceField(EXEMPTIONS)
    channel = serializers.CharField()
    decisions = serializers.IntegerField()


class ChannelOfNeedSerializer(serializers.Serializer):
    """One channel's share in time within a need; null under 30."""

    channel = serializers.CharField()
    due = serializers.IntegerField()
    breaches = serializers.IntegerField()
    share = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class NeedSerializer(serializers.Serializer):
    """Work of one class of target, priority and value, channel by channel."""

    target = serializers.CharField()
    priority = serializers.CharField()
    value = serializers.CharField()
    channels = ChannelOfNeedSerializer(many=True)


class FairnessSerializer(serializers.Serializer):
    """What was counted of the choices between channels."""

    days = serializers.IntegerField()
    decisions = serializers.IntegerField()
    looked = serializers.IntegerField(help_text="Decisions that were looked at; in a flood not all are.")
    pairs = PairSerializer(many=True)
    exempt = ExemptSerializer(many=True)
    needs = NeedSerializer(many=True)
    locked = serializers.ListField(child=serializers.CharField())
    alarm_above = serializers.FloatField()


class KeptFromSerializer(serializers.Serializer):
    """One reason that keeps waiting work from an agent."""

    why = serializers.CharField()
    count = serializers.IntegerField()


class KeptItemSerializer(serializers.Serializer):
    """A waiting item and what keeps it from an agent."""

    work_item = serializers.IntegerField()
    interaction = serializers.IntegerField(allow_null=True)
    subject = serializers.CharField()
    why = serializers.CharField()


class CallsSerializer(serializers.Serializer):
    """Agents kept free for calls."""

    idle = serializers.IntegerField()
    kept = serializers.FloatField()


class IdlenessSerializer(serializers.Serializer):
    """Why an agent has nothing (more) to do."""

    agent = serializers.IntegerField()
    name = serializers.CharField()
    load = serializers.IntegerField()
    units = serializers.IntegerField()
    why = serializers.CharField(help_text="The answer in one sentence.")
    reasons = KeptFromSerializer(many=True)
    items = KeptItemSerializer(many=True)
    notes = serializers.ListField(child=serializers.CharField())
    calls = CallsSerializer()
    next_release_at = serializers.DateTimeField(allow_null=True, help_text="Held for calls no longer.")
    waiting = serializers.IntegerField()
    looked_at = serializers.IntegerField()
    told_at = serializers.DateTimeField(
        allow_null=True, help_text="When the router was heard last; null: it is not."
    )


class SkillEdit(serializers.Serializer):
    """A skill's name."""

    name = serializers.CharField(max_length=100)


class SkillInput(SkillEdit):
    """A new skill; its code never changes."""

    code = serializers.SlugField(max_length=40)


class HeldSkill(serializers.Serializer):
    """A skill that an agent has, from 1 to 5, until it runs out."""

    skill = serializers.SlugField(max_length=40)
    level = serializers.IntegerField(min_value=1, max_value=5)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class HeldSkillsInput(serializers.Serializer):
    """All skills of an agent."""

    skills = HeldSkill(many=True)

    def validate_skills(self, value: list) -> list:
        if len(value) > skills.MOST:
            raise serializers.ValidationError(f"At most {skills.MOST} skills.")
        return value


class SkillSerializer(serializers.ModelSerializer):
    """A skill by its code."""

    class Meta:
        model = Skill
        fields = ["id", "code", "name"]


class AgentSerializer(serializers.ModelSerializer):
    """An agent with capacity, presence and skills."""

    name = serializers.CharField(source="user.__str__", read_only=True)
    skills = serializers.SerializerMethodField()
    coach = serializers.IntegerField(source="user.coach_id", read_only=True, allow_null=True)

    class Meta:
        model = Agent
        fields = [
            "id", "user", "name", "coach", "languages", "skills", "capacity", "load", "parked_limit", "max_family",
            "growing_until",
            "growing_goal", "chosen", "chosen_since",
            "chosen_reason", "blocked_families", "silent", "idle_since",
        ]  # fmt: skip

    def get_skills(self, agent: Agent) -> dict[str, int]:
        now = timezone.now()
        return {
            one.skill.code: one.level
            for one in agent.agent_skills.all()
            if one.expires_at is None or one.expires_at > now
        }


class WorkItemSerializer(serializers.ModelSerializer):
    """One thing waiting for or handled by an agent."""

    queue = SlugRef()
    customer = serializers.IntegerField(source="customer_id", read_only=True, allow_null=True)

    class Meta:
        model = WorkItem
        fields = [
            "id", "interaction", "ticket", "customer", "queue", "status", "family", "units", "required_skills", "language",
            "priority_parts", "kind", "not_before", "attempts", "transfers", "queued_at", "entered_at", "deadline", "accepted_at",
            "done_at", "reason", "outcome",
        ]  # fmt: skip


class AssignmentSerializer(serializers.ModelSerializer):
    """One agent's hold, offer to end."""

    class Meta:
        model = Assignment
        fields = [
            "id", "work_item", "agent", "status", "units", "score", "offered_at", "expires_at", "accepted_at", "wrap_up_at",
            "wrap_up_until", "wrap_up_extended", "parked_at", "parked_until", "ended_at", "reason", "step", "passed_over",
        ]  # fmt: skip


class PresenceInput(serializers.Serializer):
    """What the agent chose: a state or the slug of an own reason; `after`: not before this, or all he has, is over."""

    state = serializers.CharField(max_length=40)
    reason = serializers.CharField(max_length=100, required=False, allow_blank=True, default="")
    after = serializers.ChoiceField(Until.choices, required=False, allow_blank=True, default="")


class PresenceReasonSerializer(serializers.ModelSerializer):
    """An own reason to be away."""

    class Meta:
        model = PresenceReason
        fields = ["id", "slug", "name", "state", "limit_minutes", "retired"]


class PresenceReasonEdit(Edit):
    """What may be changed of an own reason; what it counts as stays."""

    name = serializers.CharField(max_length=60)
    limit_minutes = serializers.IntegerField(min_value=1, max_value=1440, allow_null=True)
    retired = serializers.BooleanField()


class PresenceReasonInput(serializers.ModelSerializer):
    """A new own reason; its slug is none of the states' names."""

    slug = serializers.SlugField(max_length=40, validators=[UniqueValidator(PresenceReason.objects.all())])
    limit_minutes = serializers.IntegerField(min_value=1, max_value=1440, allow_null=True, required=False)

    class Meta:
        model = PresenceReason
        fields = ["slug", "name", "state", "limit_minutes"]

    def validate_slug(self, slug: str) -> str:
        if slug in PresenceState.values:
            raise serializers.ValidationError("is the name of a state")
        return slug


class ScheduledTimeSerializer(serializers.ModelSerializer):
    """A stretch of an agent's plan."""

    class Meta:
        model = ScheduledTime
        fields = ["id", "agent", "kind", "starts_at", "ends_at", "begun_at"]


class ScheduledTimeInput(serializers.Serializer):
    """A new stretch."""

    agent = ColleagueRef(queryset=Agent.objects.select_related("user"), team="user__team", own="user")
    kind = serializers.ChoiceField(Scheduled.choices)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()


class DeclineInput(serializers.Serializer):
    """A decline is counted with its reason."""

    reason = serializers.CharField(max_length=100)


class CompleteInput(serializers.Serializer):
    """The two codes of wrap-up; empty where the queue asks for none."""

    reason = serializers.CharField(max_length=40, allow_blank=True)
    outcome = serializers.CharField(max_length=40, allow_blank=True)


class WrapUpInput(serializers.Serializer):
    """Live work is over and its codes are due; `extend` asks for the same time again, once."""

    extend = serializers.BooleanField(default=False)


class HandSerializer(serializers.ModelSerializer):
    """A raised hand: who, why, about what, since when, and who comes."""

    name = serializers.CharField(source="agent.user.__str__", read_only=True)
    interaction = serializers.IntegerField(
        source="work_item.interaction_id", read_only=True, allow_null=True, default=None
    )

    class Meta:
        model = Hand
        fields = [
            "id", "agent", "name", "work_item", "interaction", "reason", "topic", "raised_at", "taken_by", "taken_at", "ended_at",
        ]  # fmt: skip


class HandInput(serializers.Serializer):
    """Why, and about which work of one's own."""

    reason = serializers.ChoiceField(HandReason.choices)
    work_item = serializers.IntegerField(
        min_value=1, max_value=2**63 - 1, required=False, allow_null=True, default=None
    )


class JoiningSerializer(serializers.ModelSerializer):
    """A second person in a thread: asked, in, or over. `seconds` is how long he was in."""

    name = serializers.CharField(source="user.__str__", read_only=True)
    state = serializers.CharField(read_only=True)
    seconds = serializers.FloatField(read_only=True, allow_null=True)
    work_item = serializers.IntegerField(source="assignment.work_item_id", read_only=True)
    interaction = serializers.IntegerField(
        source="assignment.work_item.interaction_id", read_only=True, allow_null=True
    )

    class Meta:
        model = Joining
        fields = [
            "id", "assignment", "work_item", "interaction", "user", "name", "by", "kind", "state", "asked_at", "expires_at",
            "joined_at", "ended_at", "ended_why", "seconds",
        ]  # fmt: skip


class AskInInput(serializers.Serializer):
    """Whom, and for what: a word in private, to answer too, or to take it on."""

    agent = ColleagueRef(queryset=Agent.objects.select_related("user__team"), team="user__team", own="user")
    kind = serializers.ChoiceField(JoiningKind.choices)
    note = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class CallbackInput(serializers.Serializer):
    """When; left out: as soon as it is his turn."""

    at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class NotReachedInput(serializers.Serializer):
    """What is sent to him after the second attempt; asked for only then."""

    message = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")


class WaitSerializer(serializers.Serializer):
    """Place in the queue and expected wait in seconds; without numbers `words` says why. All empty where nobody waits live."""

    place = serializers.IntegerField(allow_null=True)
    waiting = serializers.IntegerField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    words = serializers.CharField()


class HandBackInput(serializers.Serializer):
    """What who had it before should know."""

    note = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class WhisperInput(serializers.Serializer):
    """A word to the agent."""

    text = serializers.CharField(max_length=2000)


class TrainInput(serializers.Serializer):
    """To how many units his capacity grows, in how many days."""

    goal = serializers.IntegerField(min_value=1, max_value=1000)
    days = serializers.IntegerField(min_value=1, max_value=365)


class TrainingInput(serializers.Serializer):
    """Who releases his answers; nobody: the training is over. `capacity`: units at once meanwhile."""

    coach = ColleagueRef(queryset=User.objects.all(), allow_null=True)
    capacity = serializers.IntegerField(
        min_value=1, max_value=1000, required=False, allow_null=True, default=None
    )


class LimitsInput(serializers.Serializer):
    """Most items at once by channel family; nought: none. A family that is not named has no limit of its own."""

    voice = serializers.IntegerField(min_value=0, max_value=100, required=False)
    chat = serializers.IntegerField(min_value=0, max_value=100, required=False)
    message = serializers.IntegerField(min_value=0, max_value=100, required=False)
    social = serializers.IntegerField(min_value=0, max_value=100, required=False)
    mail = serializers.IntegerField(min_value=0, max_value=100, required=False)


class ParkInput(serializers.Serializer):
    """Until when; left out: until the customer writes. `note` is the next action."""

    until = serializers.DateTimeField(required=False, allow_null=True, default=None)
    note = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class TransferInput(serializers.Serializer):
    """To a queue, to a colleague, or to whoever has a skill."""

    queue = serializers.SlugRelatedField(
        slug_field="slug", queryset=Queue.objects.all(), required=False, allow_null=True, default=None
    )
    agent = ColleagueRef(
        queryset=Agent.objects.all(),
        team="user__team",
        own="user",
        required=False,
        allow_null=True,
        default=None,
    )
    skill = serializers.SlugRelatedField(
        slug_field="code", queryset=Skill.objects.all(), required=False, allow_null=True, default=None
    )
    note = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class SimulationSerializer(serializers.ModelSerializer):
    """A day played as it was and otherwise; `result` is there when it is done (only where one is shown alone)."""

    asked = serializers.DictField(read_only=True, help_text="The day and what was changed.")
    result = serializers.SerializerMethodField(
        help_text="`before`, `after`, and `really` (of a recorded day): levels, languages, median_wait, p90_wait (seconds), "
        "abandoned, social_bias, occupancy, idle_beside_work (agent minutes), carried, `counts` (false: the median first answer "
        "of social is above half its target), `profile` (by half-hour: items, share in time, mean wait). Null in lists.",
    )

    class Meta:
        model = Simulation
        fields = ["id", "title", "asked", "state", "progress", "error", "result", "by", "at", "done_at"]

    @extend_schema_field(serializers.DictField(allow_null=True))
    def get_result(self, simulation: Simulation) -> dict | None:
        return None if "result" in simulation.get_deferred_fields() else simulation.result


class SimulationInput(serializers.Serializer):
    """What shall be played: `day` `{"kind": "recorded", "days": 7}` or `{"kind": "synthetic", "scenario", "centre", "seed"}`;
    `change`: `agents` (more or fewer), `out` (ids), `shift` and `shifts` by agent (minutes later), `volume` and `targets` by
    channel, `pacing`, `weights`, `queue` `{"slug", "rules"}`."""

    title = serializers.CharField(max_length=120, required=False, allow_blank=True)
    day = serializers.DictField(required=False)
    change = serializers.DictField(required=False)
