"""The routable side of users: skills, capacity, presence."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.models import User
from routing.choices import Doing, PresenceState


class Skill(models.Model):
    """An ability that work may require. Interactions name it by its code."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Agent(models.Model):
    """Who takes work: capacity in units, what he chose, and when we last heard of him."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="agent")
    skills = models.ManyToManyField(Skill, through="AgentSkill", related_name="agents")
    languages = models.JSONField(default=list, help_text="Language codes, for example en, de.")
    capacity = models.PositiveSmallIntegerField(
        default=15, help_text="Units: a call takes all, a chat 5, others 3."
    )
    load = models.PositiveSmallIntegerField(
        default=0, help_text="Units of live assignments, open offers included."
    )
    chosen = models.CharField(max_length=17, choices=PresenceState, default=PresenceState.OFFLINE)
    chosen_since = models.DateTimeField(db_default=Now())
    chosen_reason = models.CharField(max_length=100, blank=True)
    blocked_families = models.JSONField(default=list, blank=True, help_text="Families he did not respond to.")
    missed_in_row = models.PositiveSmallIntegerField(default=0)
    silent = models.BooleanField(default=False, help_text="No sign of life: not responding.")
    seen_at = models.DateTimeField(null=True, blank=True)
    seen_on_socket = models.BooleanField(default=False)
    idle_since = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            # One item above capacity is what "one customer, one hand" may take (`practice.md` 1.1).
            models.CheckConstraint(condition=Q(load__lte=F("capacity") * 2), name="agent_load_bounded"),
        ]

    def __str__(self) -> str:
        return str(self.user)


class AgentSkill(models.Model):
    """How well an agent has a skill, 1 to 5."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="agent_skills")
    skill = models.ForeignKey(Skill, on_delete=models.PROTECT)
    level = models.PositiveSmallIntegerField(
        default=3, validators=[MinValueValidator(1), MaxValueValidator(5)]
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="From then on it does not count.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent", "skill"], name="agent_skill_once"),
            models.CheckConstraint(condition=Q(level__gte=1, level__lte=5), name="agent_skill_level"),
        ]


class PresenceInterval(models.Model):
    """A stretch of one presence; exactly one per agent is current."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="intervals")
    chosen = models.CharField(max_length=17, choices=PresenceState)
    doing = models.CharField(max_length=14, choices=Doing, default=Doing.IDLE)
    reason = models.CharField(max_length=100, blank=True)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent"], condition=Q(ended_at=None), name="presence_one_current")
        ]
