"""The routable side of users: skills, capacity, presence."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.models import User
from routing.choices import AWAY, AWAY_CHOICES, Doing, PresenceState, Scheduled, Until


class Skill(models.Model):
    """An ability that work may require. Interactions name it by its code."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class PresenceReason(models.Model):
    """A reason of our own to be away, under one of the states that figures know. Retired, never deleted."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=60)
    state = models.CharField(max_length=17, choices=AWAY_CHOICES, help_text="What it counts as.")
    limit_minutes = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Minutes after which the agent and the board are told; empty: never.",
    )
    retired = models.BooleanField(default=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=AWAY), name="presence_reason_away"),
            models.CheckConstraint(
                condition=~Q(slug__in=PresenceState.values),
                name="presence_reason_own",
                violation_error_message="is a state",
            ),
        ]

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
    max_family = models.JSONField(
        default=dict,
        blank=True,
        db_default={},
        help_text="Most items at once by channel family; nought: none of it. What is not named has no limit of its own.",
    )
    # A trainee's capacity grows by itself, evenly, from what it was when it began.
    growing_from = models.DateTimeField(null=True, blank=True)
    growing_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then the capacity grows to its goal."
    )
    growing_start = models.PositiveSmallIntegerField(default=0, db_default=0)
    growing_goal = models.PositiveSmallIntegerField(default=0, db_default=0)
    capacity_before = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="His capacity when he is not in training any more."
    )
    parked_limit = models.PositiveSmallIntegerField(
        default=20, db_default=20, help_text="Snoozed and pending items he may keep."
    )
    chosen = models.CharField(max_length=17, choices=PresenceState, default=PresenceState.OFFLINE)
    chosen_since = models.DateTimeField(db_default=Now())
    chosen_reason = models.CharField(max_length=100, blank=True)
    own_reason = models.ForeignKey(
        PresenceReason, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    chosen_until = models.DateTimeField(null=True, blank=True, help_text="When he should be back.")
    over_told = models.BooleanField(default=False, db_default=False, help_text="He was told that he is late.")
    # Chosen ahead: no new work comes, and the state begins when what is in hand is over.
    then_state = models.CharField(max_length=17, choices=PresenceState, blank=True, db_default="")
    then_after = models.CharField(max_length=4, choices=Until, blank=True, db_default="")
    then_holding = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Holds he had when he chose."
    )
    then_until = models.DateTimeField(null=True, blank=True)
    then_reason = models.ForeignKey(
        PresenceReason, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
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
            models.CheckConstraint(
                condition=Q(growing_until=None)
                | Q(growing_from__isnull=False, growing_until__gt=F("growing_from")),
                name="agent_growth_whole",
            ),
        ]

    def __str__(self) -> str:
        return str(self.user)


class ScheduledTime(models.Model):
    """A stretch of an agent's plan; a pause begins by itself when his work in hand lets it."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="scheduled")
    kind = models.CharField(max_length=8, choices=Scheduled)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    begun_at = models.DateTimeField(null=True, blank=True, help_text="When the pause was asked for.")

    class Meta:
        ordering = ["starts_at", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="scheduled_ends_after"),
            models.CheckConstraint(condition=Q(kind__in=Scheduled.values), name="scheduled_kind"),
        ]
        indexes = [
            models.Index("ends_at", name="scheduled_ends"),
            models.Index(
                "starts_at", name="scheduled_to_begin", condition=Q(begun_at=None) & ~Q(kind="shift")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.agent}"


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
