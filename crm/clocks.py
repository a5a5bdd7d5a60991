"""The clocks of a ticket: replayed from what happened, so that every deadline can be explained line by line. Pure.

`first_response` runs from the first message of the customer to our first answer that the network confirmed.
`next_response` runs from the oldest message that is not answered (`practice.md` 5.1), once there was a first answer.
`resolution` runs from the first message to the solution, and pauses while we wait for the customer or for a cause of
pause. Time lost in a pause is given back in business time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from crm.calendars import Calendar, after, between


class Kind(StrEnum):
    """What is promised."""

    FIRST_RESPONSE = "first_response"
    NEXT_RESPONSE = "next_response"
    RESOLUTION = "resolution"


class Act(StrEnum):
    """What a line does to a clock."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    BREACH = "breach"


class State(StrEnum):
    """How a clock stands."""

    RUNNING = "running"
    PAUSED = "paused"
    MET = "met"
    BREACHED = "breached"  # stopped too late, or still running past its deadline


class Happened(StrEnum):
    """What moves clocks. `cause` of an event says it in words."""

    CUSTOMER_WROTE = "customer_wrote"
    ANSWERED = "answered"
    WAITING = "waiting"  # for the customer, or another cause of pause
    WORKING = "working"  # also: opened again
    SOLVED = "solved"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to the ticket."""

    at: datetime
    what: Happened
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a replay."""

    at: datetime
    act: Act
    cause: str


@dataclass(slots=True)
class Clock:
    """One promise: its lines, how much business time it has, and the deadline that follows (None while paused)."""

    kind: Kind
    target: timedelta
    calendar: Calendar | None
    lines: list[Line] = field(default_factory=list)
    used: timedelta = timedelta(0)
    since: datetime | None = None  # running since
    stopped_at: datetime | None = None
    ran_out_at: datetime | None = None

    @property
    def due_at(self) -> datetime | None:
        """When the target is used up if nothing pauses it; what it was once it ran out; None while paused."""
        if self.ran_out_at is not None:
            return self.ran_out_at
        if self.since is None:
            return None
        return after(self.calendar, self.since, self.target - self.used)

    def state(self, now: datetime) -> State:
        """How it stands at an instant."""
        if self.ran_out_at is not None:
            return State.BREACHED
        if self.stopped_at is not None:
            return State.MET
        if self.since is None:
            return State.PAUSED
        due = self.due_at
        return State.BREACHED if due is not None and now > due else State.RUNNING

    def left(self, now: datetime) -> timedelta:
        """Business time left at an instant; negative when it is over by so much."""
        running = between(self.calendar, self.since, now) if self.since is not None else timedelta(0)
        return self.target - self.used - running

    def start(self, at: datetime, cause: str) -> None:
        self.lines.append(Line(at, Act.START, cause))
        self.since = at

    def pause(self, at: datetime, cause: str) -> None:
        if self._spend(at):
            self.lines.append(Line(at, Act.PAUSE, cause))

    def resume(self, at: datetime, cause: str) -> None:
        if self.since is None and self.stopped_at is None:
            self.lines.append(Line(at, Act.RESUME, cause))
            self.since = at

    def stop(self, at: datetime, cause: str) -> None:
        if self.stopped_at is None:
            self._spend(at)
            self.lines.append(Line(at, Act.STOP, cause))
            self.stopped_at = at

    def restart(self, at: datetime, cause: str) -> None:
        """A solved ticket that opens again goes on with what was left."""
        if self.stopped_at is not None:
            self.stopped_at = None
            self.resume(at, cause)

    def _spend(self, at: datetime) -> bool:
        """Account for the time until `at`; False when it was not running."""
        if self.since is None:
            return False
        due = self.due_at
        if self.ran_out_at is None and due is not None and at > due:
            self.ran_out_at = due
            self.lines.append(Line(due, Act.BREACH, "the time was used up"))
        self.used += between(self.calendar, self.since, at)
        self.since = None
        return True


@dataclass(frozen=True, slots=True)
class Targets:
    """What a policy promises; None is no promise."""

    first_response: timedelta | None = None
    next_response: timedelta | None = None
    resolution: timedelta | None = None
    calendar: Calendar | None = None
    pauses_for_customer: bool = True  # the resolution waits while the customer has the word


def replay(events: Iterable[Event], targets: Targets) -> list[Clock]:
    """All clocks that the events started, oldest first. Events of one instant keep their order."""
    watch = _Watch(targets)
    for event in sorted(events, key=lambda one: one.at):
        watch.take(event)
    return watch.clocks


class _Watch:
    """The clocks of one ticket while its events are read."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets
        self.clocks: list[Clock] = []
        self.first: Clock | None = None
        self.next: Clock | None = None
        self.resolution: Clock | None = None
        self.begun = self.answered = self.waiting = False

    def take(self, event: Event) -> None:
        match event.what:
            case Happened.CUSTOMER_WROTE:
                self._customer_wrote(event)
            case Happened.ANSWERED:
                self._answered(event)
            case Happened.WAITING if self.resolution:
                self.waiting = True
                self.resolution.pause(event.at, event.cause)
            case Happened.WORKING if self.resolution:
                self._work(event)
            case Happened.SOLVED:
                self._solved(event)

    def _customer_wrote(self, event: Event) -> None:
        if not self.begun:
            self.begun = True
            self.first = self._new(Kind.FIRST_RESPONSE, self.targets.first_response, event)
            self.resolution = self._new(Kind.RESOLUTION, self.targets.resolution, event)
            return
        if self.answered and (self.next is None or self.next.stopped_at is not None):
            self.next = self._new(Kind.NEXT_RESPONSE, self.targets.next_response, event)
        if self.waiting or (self.resolution and self.resolution.stopped_at is not None):
            self._work(event)

    def _work(self, event: Event) -> None:
        self.waiting = False
        if self.resolution and self.resolution.stopped_at is not None:
            self.resolution.restart(event.at, event.cause)
        elif self.resolution:
            self.resolution.resume(event.at, event.cause)

    def _answered(self, event: Event) -> None:
        if not self.begun:
            return
        self.answered = True
        for clock in (self.first, self.next):
            if clock is not None:
                clock.stop(event.at, event.cause)
        if self.targets.pauses_for_customer and self.resolution and self.resolution.stopped_at is None:
            self.waiting = True
            self.resolution.pause(event.at, "waiting for the customer")

    def _solved(self, event: Event) -> None:
        # What was solved without words needs no answer any more.
        for clock in (self.first, self.next, self.resolution):
            if clock is not None:
                clock.stop(event.at, event.cause)

    def _new(self, kind: Kind, target: timedelta | None, event: Event) -> Clock | None:
        if target is None:
            return None
        clock = Clock(kind, target, self.targets.calendar)
        clock.start(event.at, event.cause)
        self.clocks.append(clock)
        return clock


def next_due(clocks: Sequence[Clock], now: datetime) -> Clock | None:
    """The clock whose deadline comes next, or passed longest ago: what a list is ordered by."""
    open_ones = [clock for clock in clocks if clock.stopped_at is None and clock.due_at is not None]
    return min(open_ones, key=lambda clock: clock.due_at or now, default=None)
