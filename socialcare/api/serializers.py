"""What mentions look like to API clients, and the small inputs of their acts."""

from rest_framework import serializers

from crm.api.serializers import Edit, SlugRef
from crm.choices import Verdict
from socialcare.models import Mention


class MentionSerializer(serializers.ModelSerializer):
    """A public post with what triage and people said of it."""

    channel = SlugRef()
    interaction = serializers.IntegerField(source="interaction_id", read_only=True, allow_null=True)
    handle = serializers.CharField(source="identity.handle", read_only=True)

    class Meta:
        model = Mention
        fields = [
            "id", "network", "external_id", "channel", "identity", "handle", "customer", "interaction", "thread", "text",
            "permalink", "language", "sentiment", "sentiment_words", "topic", "actionable", "verdict", "status", "judgement",
            "corrections", "decided_by", "decided_at", "likes", "reposts", "followers", "posted_at", "received_at",
            "edited_at", "deleted_at",
        ]  # fmt: skip


class VerdictInput(serializers.Serializer):
    """One of the five verdicts."""

    verdict = serializers.ChoiceField(Verdict.choices)


class TriageEdit(Edit):
    """Corrections of what triage said."""

    language = serializers.RegexField(r"^[a-z]{2,3}$", max_length=8)
    sentiment = serializers.FloatField(min_value=-1, max_value=1, allow_null=True)
    topic = serializers.CharField(max_length=30)
    actionable = serializers.BooleanField()
