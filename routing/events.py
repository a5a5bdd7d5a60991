"""The facts that the distributor says."""

from dataclasses import dataclass

from crm.bus import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItemQueued(Fact):
    """A work item began to wait, or waits again."""

    work_item_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferMade(Fact):
    """An agent was offered a work item."""

    assignment_id: int
    user_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentMoved(Fact):
    """An assignment was accepted, declined, missed, withdrawn, transferred or completed."""

    assignment_id: int
    user_id: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationAsked(Fact):
    """A day waits to be played as it was and otherwise."""

    simulation_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceChanged(Fact):
    """What an agent chose or is doing changed."""

    agent_id: int
