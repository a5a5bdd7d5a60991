"""Work items waiting under one set of rules."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.choices import Family
from crm.models import Team, User
from routing.choices import GivesUp, QueueMode, QueueOrder
from routing.models.agents import Skill

LONGEST_OFFER = 3600  # s
LONGEST_WRAP_UP = 3600  # s
LONGEST_PENDING = 32_000  # s
LONGEST_WAIT = 30 * 24 * 3600  # s, of a step or until the fallback


def default_targets() -> dict:
    """Seconds to the first answer by channel family."""
    return {
        Family.VOICE.value: 20,
        Family.CHAT.value: 30,
        Family.MESSAGE.value: 900,
        Family.SOCIAL.value: 3600,
        Family.MAIL.value: 14400,
    }


class Queue(models.Model):
    """One line of the universal queue, with its owner and its service target."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="queues", help_text="Who answers for it."
    )
    topics = models.JSONField(default=list, blank=True, help_text="Topic codes that lead here.")
    channels = models.JSONField(
        default=list,
        blank=True,
        help_text="Slugs of channels that lead here; with topics too, both must fit.",
    )
    targets = models.JSONField(
        default=default_targets, help_text="Seconds to the first answer, by channel family."
    )
    goal = models.FloatField(default=0.9, help_text="Share to be answered within the target.")
    is_fallback = models.BooleanField(default=False, help_text="Takes what no other queue claims.")
    mode = models.CharField(max_length=4, choices=QueueMode, default=QueueMode.PUSH)
    ordering = models.CharField(max_length=6, choices=QueueOrder, default=QueueOrder.SCORE)
    required_skills = models.JSONField(
        default=dict,
        blank=True,
        help_text="Skill code to lowest level, asked beside what the work itself needs.",
    )
    preferred_skills = models.JSONField(
        default=dict,
        blank=True,
        help_text="Skill code to lowest level: of those who could, who has them goes first.",
    )
    offer_seconds = models.JSONField(
        default=dict,
        blank=True,
        help_text="How long an offer rings, by channel family; what is not named here is the installation's.",
    )
    wrap_up_seconds = models.PositiveSmallIntegerField(
        default=60,
        validators=[MaxValueValidator(LONGEST_WRAP_UP)],
        help_text="Time for reason and outcome after live work; nought: none.",
    )
    codes_required = models.BooleanField(default=True, help_text="Work ends only with reason and outcome.")
    pull_within = models.PositiveSmallIntegerField(
        default=10,
        validators=[MinValueValidator(1)],
        help_text="Where agents choose: among how many of the first that they could take.",
    )
    exclusive = models.JSONField(
        default=list,
        blank=True,
        db_default=[],
        help_text="Channel families of which one piece takes an agent whole, as a call does.",
    )
    interrupt_seconds = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        default=10,
        db_default=10,
        validators=[MaxValueValidator(LONGEST_OFFER)],
        help_text="A call that waited so long sets somebody's deferred work aside; empty: never.",
    )
    pending_seconds = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        default=300,
        db_default=300,
        validators=[MinValueValidator(10), MaxValueValidator(LONGEST_PENDING)],
        help_text="Answered work waits aside for its customer after so long; empty: it stays in hand.",
    )
    longest_hold = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(LONGEST_WAIT)],
        help_text="Seconds for which deferred work may be held for calls; empty: a quarter of its target, nought: never.",
    )
    escape_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_WAIT)],
        help_text="Wait here after which work goes to the fallback queue; empty: never.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_fallback"], condition=models.Q(is_fallback=True), name="queue_one_fallback"
            ),
            models.CheckConstraint(condition=Q(mode__in=QueueMode.values), name="queue_mode"),
            models.CheckConstraint(condition=Q(ordering__in=QueueOrder.values), name="queue_ordering"),
            models.CheckConstraint(
                condition=Q(wrap_up_seconds__lte=LONGEST_WRAP_UP), name="queue_wrap_up_bounded"
            ),
            models.CheckConstraint(condition=Q(pull_within__gte=1), name="queue_pull_within"),
            models.CheckConstraint(
                condition=Q(pending_seconds=None) | Q(pending_seconds__gte=10), name="queue_pending_bounded"
            ),
            models.CheckConstraint(
                condition=Q(escape_seconds__gte=1, escape_seconds__lte=LONGEST_WAIT), name="queue_escape"
            ),
            models.CheckConstraint(condition=Q(longest_hold__lte=LONGEST_WAIT), name="queue_longest_hold"),
        ]

    def __str__(self) -> str:
        return self.name


class QueueStep(models.Model):
    """What is given up when work has waited in a queue for so long; steps are taken in order, each after its own wait."""

    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    seconds = models.PositiveIntegerField(
        validators=[MaxValueValidator(LONGEST_WAIT)], help_text="Wait after the step before it."
    )
    gives_up = models.CharField(max_length=8, choices=GivesUp)
    skill = models.ForeignKey(
        Skill,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Empty: all of them.",
    )
    level = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="1 to 5, where a level is lowered."
    )
    target = models.ForeignKey(
        Queue,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="fed_by",
        help_text="Of an overflow.",
    )
    skip_if_nobody = models.BooleanField(
        default=True, help_text="Pass an overflow over while nobody is in who could take the work there."
    )

    class Meta:
        ordering = ("queue", "position")
        constraints = [
            models.UniqueConstraint(fields=["queue", "position"], name="queue_step_place"),
            models.CheckConstraint(condition=Q(gives_up__in=GivesUp.values), name="queue_step_gives_up"),
            models.CheckConstraint(condition=Q(seconds__lte=LONGEST_WAIT), name="queue_step_seconds"),
            models.CheckConstraint(
                condition=Q(gives_up=GivesUp.OVERFLOW, target__isnull=False)
                | (~Q(gives_up=GivesUp.OVERFLOW) & Q(target=None)),
                name="queue_step_target",
            ),
            models.CheckConstraint(
                condition=Q(gives_up=GivesUp.LEVEL, level__isnull=False, level__gte=1, level__lte=5)
                | (~Q(gives_up=GivesUp.LEVEL) & Q(level=None)),
                name="queue_step_level",
            ),
            models.CheckConstraint(
                condition=Q(skill=None) | Q(gives_up__in=[GivesUp.LEVEL, GivesUp.PREFER]),
                name="queue_step_skill",
            ),
            models.CheckConstraint(
                condition=Q(target=None) | ~Q(target=F("queue")), name="queue_step_elsewhere"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.queue}, step {self.position}"


class RuleChange(models.Model):
    """Who changed the rules of a queue (or those of all, without a queue), when, why, and from what to what."""

    queue = models.ForeignKey(Queue, null=True, on_delete=models.CASCADE, related_name="changes")
    at = models.DateTimeField(db_default=Now())
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=200)
    changes = models.JSONField(default=dict)

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(reason=""), name="rule_change_reason")]
        indexes = [models.Index(F("queue"), F("at").desc(), name="rule_change_of_queue")]
