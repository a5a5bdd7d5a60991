"""Agents who ask for help: one key, a reason, and how long they wait."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models import User
from routing.choices import HandReason
from routing.models.agents import Agent
from routing.models.work_items import WorkItem


class Hand(models.Model):
    """A raised hand, counted by topic as a need for training (`practice.md` 2.5). At most one of an agent is up."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="hands")
    work_item = models.ForeignKey(
        WorkItem, null=True, blank=True, on_delete=models.SET_NULL, related_name="hands"
    )
    reason = models.CharField(max_length=9, choices=HandReason)
    topic = models.CharField(max_length=30, blank=True)
    raised_at = models.DateTimeField(db_default=Now())
    taken_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    taken_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent"], condition=Q(ended_at=None), name="hand_one_up"),
        ]
        indexes = [models.Index("raised_at", name="hand_raised")]

    def __str__(self) -> str:
        return f"Hand of {self.agent}"
