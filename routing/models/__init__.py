"""The nouns of the distributor."""

from routing.models.agents import Agent, AgentSkill, PresenceInterval, PresenceReason, ScheduledTime, Skill
from routing.models.calls import Call
from routing.models.hands import Hand
from routing.models.joinings import Joining
from routing.models.queues import Queue, QueueStep, RuleChange
from routing.models.scoring import ChoiceCount, Scoring
from routing.models.simulations import Simulation
from routing.models.work_items import Assignment, Change, Leader, Standing, WorkItem

__all__ = [
    "Agent",
    "AgentSkill",
    "Assignment",
    "Call",
    "Change",
    "ChoiceCount",
    "Hand",
    "Joining",
    "Leader",
    "PresenceInterval",
    "PresenceReason",
    "Queue",
    "QueueStep",
    "RuleChange",
    "ScheduledTime",
    "Scoring",
    "Simulation",
    "Skill",
    "Standing",
    "WorkItem",
]
