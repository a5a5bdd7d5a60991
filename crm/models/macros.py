"""Macros: a text with variables and the acts that go with it, in versions that are never changed, and each use of one."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from crm.choices import MacroReach
from crm.models.interactions import Interaction
from crm.models.messages import Message
from crm.models.tickets import Ticket
from crm.models.users import Team, User
from crm.querysets import MacroQuerySet, MacroUseQuerySet


def anywhere() -> dict[str, list[str]]:
    """A situation that asks for nothing."""
    return {"brands": [], "channels": [], "topics": [], "languages": []}


class Macro(models.Model):
    """A canned answer; what it says and does stands in its newest version. Retired, never deleted."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    situation = models.JSONField(
        default=anywhere,
        help_text="Where it is offered: lists of brands, channels, topics, languages; empty: any.",
    )
    reach = models.CharField(max_length=9, choices=MacroReach, default=MacroReach.EVERYBODY)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField(default=0, help_text="The number of the newest version.")
    uses = models.PositiveIntegerField(default=0)
    used_at = models.DateTimeField(null=True, blank=True)
    retired = models.BooleanField(default=False)

    objects = MacroQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(reach="everybody", team=None, owner=None)
                | Q(reach="team", team__isnull=False, owner=None)
                | Q(reach="own", team=None, owner__isnull=False),
                name="macro_reach",
            )
        ]

    def __str__(self) -> str:
        return self.name


class MacroVersion(models.Model):
    """What a macro said and did from a time on. The database refuses to change or delete it."""

    macro = models.ForeignKey(Macro, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    text = models.TextField(blank=True, help_text="For channels that have no text of their own.")
    texts = models.JSONField(default=dict, blank=True, help_text="By kind of channel.")
    actions = models.JSONField(default=dict, blank=True)
    note = models.CharField(max_length=200, blank=True, help_text="Why it was changed.")
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["macro", "number"], name="macro_version_once")]

    def __str__(self) -> str:
        return f"version {self.number}"


class MacroUse(models.Model):
    """Which version was used in which contact, by whom, with which answer."""

    version = models.ForeignKey(MacroVersion, on_delete=models.PROTECT, related_name="used")
    interaction = models.ForeignKey(Interaction, on_delete=models.CASCADE, related_name="macro_uses")
    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="+", db_index=False)
    message = models.OneToOneField(
        Message, null=True, blank=True, on_delete=models.SET_NULL, related_name="macro_use"
    )
    by = models.ForeignKey(User, on_delete=models.PROTECT)
    at = models.DateTimeField(db_default=Now())

    objects = MacroUseQuerySet.as_manager()

    class Meta:
        indexes = [models.Index("interaction", F("at").desc(), name="macro_use_of_interaction")]
