"""A queue's rules as the engine hears them: pure, so that rules nobody has kept yet can be tried on what waits."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from routing import engine
from routing.pacing import Pacing

OVERFLOW = "overflow"
# What is a matter of safety goes first in every order.
SAFETY = Pacing().urgent_from
USUAL_HOLD = 0.25  # of the promise, where a queue says nothing of how long work may be held for calls
FIRST_ANSWER = 3600.0  # s, the promise of a family for which a queue names none


@dataclass(frozen=True, slots=True)
class Step:
    """One step of widening: how long it waits after the one before it, in seconds, and what is given up then."""

    seconds: int
    gives_up: str
    skill: str | None = None
    level: int | None = None
    target: int | None = None
    skip_if_nobody: bool = True

    @property
    def name(self) -> str:
        """The engine's word for it."""
        if self.gives_up == "level":
            return f"level:{self.level}" + (f":{self.skill}" if self.skill else "")
        if self.gives_up == "prefer" and self.skill:
            return f"prefer:{self.skill}"
        return self.gives_up


@dataclass(frozen=True)
class Rules:
    """What of a queue's configuration decides about the work that waits in it."""

    slug: str = ""
    targets: Mapping[str, float] = field(default_factory=dict)
    required: Mapping[str, int] = field(default_factory=dict)
    preferred: Mapping[str, int] = field(default_factory=dict)
    ordering: str = "score"
    steps: tuple[Step, ...] = ()
    exclusive: frozenset[str] = frozenset()  # families of which one piece takes an agent whole
    longest_hold: float | None = None  # s; nought: never

    @cached_property
    def timed(self) -> tuple[tuple[float, Step], ...]:
        """Each step with the wait in this queue, in seconds, after which it is taken."""
        at, found = 0.0, []
        for step in self.steps:
            at += step.seconds
            found.append((at, step))
        return tuple(found)

    @cached_property
    def widening(self) -> tuple[tuple[float, str], ...]:
        """The steps that ask less of the agent; an overflow is a move, not a wider ring."""
        return tuple((after, step.name) for after, step in self.timed if step.gives_up != OVERFLOW)

    def goal(self, family: str) -> float:
        """Seconds promised to the first answer of a channel family."""
        return float(self.targets.get(family, FIRST_ANSWER))

    def rule(self, item: engine.Item, entered: float) -> engine.Item:
        """Fill in what these rules say of an item as it came; `entered` is when it came into the queue (epoch)."""
        goal = self.goal(item.family)
        item.queue, item.goal_seconds, item.prefers = self.slug, goal, self.preferred
        if item.family in self.exclusive:
            item.whole = True
        item.hold = USUAL_HOLD * goal if self.longest_hold is None else self.longest_hold
        if self.required:
            item.skills = _both(item.skills, self.required)
        if self.widening:
            item.relax_at = tuple((entered + after, name) for after, name in self.widening)
        if self.ordering != "score":
            urgency = item.parts.get("urgency")
            item.parts = {"urgency": urgency} if urgency is not None and urgency >= SAFETY else {}
            if self.ordering == "oldest":
                item.deadline = item.queued_at + goal
        return item


def _both(own: Mapping[str, int], queues: Mapping[str, int]) -> dict[str, int]:
    """What the work needs and what its queue needs, the higher level of each."""
    return {code: max(own.get(code, 1), queues.get(code, 1)) for code in {**own, **queues}}


def ways_out(start: int, rules: Mapping[int, Rules], fallback: Mapping[int, int | None]) -> Iterator[int]:
    """The queues that work of one can come to by overflow or escape, itself first, each once."""
    seen, waiting = {start}, [start]
    while waiting:
        queue = waiting.pop(0)
        yield queue
        targets = [step.target for step in rules[queue].steps if step.gives_up == OVERFLOW]
        for target in (*targets, fallback.get(queue)):
            if target in rules and target not in seen:
                seen.add(target)
                waiting.append(target)


def somebody_could(item: engine.Item, seats: Iterable[engine.Seat], now: float = math.inf) -> bool:
    """Whether any of these agents has what the item asks by then (by default after its last step), busy or not."""
    need, _ = engine.requirement(item, now)
    return any(engine.able(need, seat) for seat in seats)


def say(step: str) -> str:
    """A step of widening in words."""
    word, _, rest = step.partition(":")
    first, _, code = rest.partition(":")
    named = (code or first).replace("_", " ").replace("-", " ").capitalize()
    told = {
        engine.EXACT: "exactly as asked",
        "levels": "any level",
        "level": f"{named} from level {first}" if code else f"any skill from level {first}",
        "prefer": f"{named} only preferred" if first else "skills only preferred",
        "skill": f"without {named}",
        "skills": "without skills",
        "language": "in any language",
        "anybody": "anybody in the queue",
    }
    return told.get(word, step)


def as_steps(rows: Iterable[Any]) -> tuple[Step, ...]:
    """Steps from rows of (seconds, gives up, skill, level, target, skip if nobody is in), in order."""
    return tuple(Step(*row) for row in rows)
