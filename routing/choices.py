"""The fixed lists of the distributor."""

from django.db.models import TextChoices


class PresenceState(TextChoices):
    """What the agent chose (`practice.md` 2.1)."""

    AVAILABLE = "available"
    BREAK = "break"
    MEAL = "meal"
    MEETING = "meeting"
    COACHING = "coaching"
    TRAINING = "training"
    TECHNICAL_PROBLEM = "technical_problem"
    OFFLINE = "offline"


AWAY = tuple(
    state for state in PresenceState if state not in (PresenceState.AVAILABLE, PresenceState.OFFLINE)
)

AWAY_CHOICES = [(state.value, state.label) for state in AWAY]


class Until(TextChoices):
    """When a state that was chosen ahead begins: when this piece of work ends, or all that is in hand."""

    THIS = "this"
    ALL = "all"


class Scheduled(TextChoices):
    """What a stretch of a plan is for: the shift itself, or a pause within."""

    SHIFT = "shift"
    BREAK = "break"
    MEAL = "meal"
    MEETING = "meeting"
    COACHING = "coaching"
    TRAINING = "training"


class HandReason(TextChoices):
    """Why an agent raises his hand."""

    HOW_TO = "how_to", "I do not know how"
    DECISION = "decision", "Somebody must decide"
    UPSET = "upset", "The customer is upset"
    TECHNICAL = "technical", "Something does not work"
    OTHER = "other", "Something else"


class JoiningKind(TextChoices):
    """For what a second person is in a thread (`practice.md` 1.7)."""

    CONSULT = "consult", "A word in private"
    CONFERENCE = "conference", "Both answer"
    WARM = "warm", "To hand it over"


class Doing(TextChoices):
    """What the agent is doing, beside what he chose."""

    IDLE = "idle"
    OFFERED = "offered"
    IN_WORK = "in_work"
    WRAP_UP = "wrap_up"
    NOT_RESPONDING = "not_responding"


class WorkItemStatus(TextChoices):
    """Where a work item is."""

    WAITING = "waiting"
    OFFERED = "offered"
    ASSIGNED = "assigned"
    DONE = "done"
    WITHDRAWN = "withdrawn"


class WorkKind(TextChoices):
    """What waits, where it is not a contact that is simply to be answered (`practice.md` 1.7)."""

    CALLBACK = "callback"
    LOST_CALL = "lost_call"
    VOICEMAIL = "voicemail"


class AssignmentStatus(TextChoices):
    """One agent's hold of one work item, offer to end."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    MISSED = "missed"
    WITHDRAWN = "withdrawn"
    TRANSFERRED = "transferred"
    COMPLETED = "completed"


LIVE_ASSIGNMENTS = (AssignmentStatus.OFFERED, AssignmentStatus.ACCEPTED)


class QueueMode(TextChoices):
    """How work of a queue comes to an agent."""

    PUSH = "push", "Offered to an agent, who accepts"
    AUTO = "auto", "Given to an agent without asking"
    NEXT = "next", "Agents ask for the next one"
    FREE = "free", "Agents choose from the list"


PULLED = (QueueMode.NEXT, QueueMode.FREE)


class QueueOrder(TextChoices):
    """What goes first within a queue; what is a matter of safety goes first in any."""

    SCORE = "score", "By score"
    DUE = "due", "Earliest due first"
    OLDEST = "oldest", "Longest waiting first"


class SimulationState(TextChoices):
    """How far a simulation is."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class GivesUp(TextChoices):
    """What a step of widening gives up."""

    LEVEL = "level", "A lower level will do"
    PREFER = "prefer", "The skill is only preferred"
    LANGUAGE = "language", "Any language will do"
    ANYBODY = "anybody", "Anybody in the queue"
    OVERFLOW = "overflow", "Goes to another queue"
