"""What the distributor's nouns look like to API clients, and the small inputs of its acts."""

from rest_framework import serializers

from crm.api.serializers import ColleagueRef, SlugRef
from routing.choices import PresenceState
from routing.models import Agent, Assignment, Queue, Skill, WorkItem


class QueueSerializer(serializers.ModelSerializer):
    """A queue with its rules."""

    team = SlugRef()

    class Meta:
        model = Queue
        fields = [
            "id", "slug", "name", "team", "topics", "channels", "targets", "goal", "is_fallback", "mode", "ordering",
            "required_skills", "preferred_skills", "offer_seconds", "wrap_up_seconds", "codes_required", "pull_within",
            "escape_seconds",
        ]  # fmt: skip


class SkillSerializer(serializers.ModelSerializer):
    """A skill by its code."""

    class Meta:
        model = Skill
        fields = ["id", "code", "name"]


class AgentSerializer(serializers.ModelSerializer):
    """An agent with capacity, presence and skills."""

    name = serializers.CharField(source="user.__str__", read_only=True)
    skills = serializers.SerializerMethodField()

    class Meta:
        model = Agent
        fields = [
            "id", "user", "name", "languages", "skills", "capacity", "load", "chosen", "chosen_since", "chosen_reason",
            "blocked_families", "silent", "idle_since",
        ]  # fmt: skip

    def get_skills(self, agent: Agent) -> dict[str, int]:
        return {one.skill.code: one.level for one in agent.agent_skills.all()}


class WorkItemSerializer(serializers.ModelSerializer):
    """One thing waiting for or handled by an agent."""

    queue = SlugRef()
    customer = serializers.IntegerField(source="customer_id", read_only=True, allow_null=True)

    class Meta:
        model = WorkItem
        fields = [
            "id", "interaction", "ticket", "customer", "queue", "status", "family", "units", "required_skills", "language",
            "priority_parts", "queued_at", "deadline", "accepted_at", "done_at", "reason", "outcome",
        ]  # fmt: skip


class AssignmentSerializer(serializers.ModelSerializer):
    """One agent's hold, offer to end."""

    class Meta:
        model = Assignment
        fields = [
            "id", "work_item", "agent", "status", "units", "score", "offered_at", "expires_at", "accepted_at", "wrap_up_at",
            "wrap_up_until", "wrap_up_extended", "ended_at", "reason",
        ]  # fmt: skip


class PresenceInput(serializers.Serializer):
    """What the agent chose."""

    state = serializers.ChoiceField(PresenceState.choices)
    reason = serializers.CharField(max_length=100, required=False, allow_blank=True, default="")


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


class TransferInput(serializers.Serializer):
    """To a queue or to a colleague."""

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
    note = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")
