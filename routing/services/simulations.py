"""Days through the live engine, as they were and with something changed, side by side. A row waits; a task is the fast path.

The day is the house's own past (`recorded`) or a made-up one (`synthetic`). What was asked for stands in the row, so that a
run that was killed is run again, and the same row always gives the same figures for the same past.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from crm import rows
from crm.access import Permission, find, outside_closed, require
from crm.bus import publish
from crm.choices import Family
from crm.errors import DomainError, InvalidInput
from crm.models import User
from crm.services import activities
from routing import events
from routing.choices import SimulationState
from routing.models import Agent, Queue, QueueStep, Simulation
from routing.pacing import Pacing
from routing.pipe import RouterPipe
from routing.rules import Rules
from routing.services import queues, recorded, scoring
from routing.simulation import (
    CENTRES,
    CHANNELS,
    SCENARIOS,
    VIP_GOAL,
    Day,
    Figures,
    Policy,
    figures,
    play,
    synthetic_day,
)
from routing.whatif import Change, House, LiveEngine, changed, ruled

MOST_DAYS = 14
MOST_AGENTS = 200  # more or fewer
MOST_TIMES = 10.0  # as much volume
MOST_MOVED = 720  # minutes of a shift
LONGEST_TARGET = 30 * 24 * 3600
LONGEST_TITLE = 120
MOST_TRIES = 3
KEPT_DAYS = 400
RECORDED, SYNTHETIC = "recorded", "synthetic"
# What of the pacing may be changed here: single numbers, and shares by family.
RULES = ("targets", "required_skills", "preferred_skills", "ordering", "steps")  # of a queue
PACING = {"calls": 10.0, "most": 1.0}
PACING_BY_FAMILY = ("begin", "longest")
Told = Callable[[float], None]


# --- Asking


def ask(given: dict[str, Any], *, by: User) -> Simulation:
    """Promise a comparison. InvalidInput names what makes no sense."""
    require(by, Permission.SIMULATE)
    asked = checked(given, by)
    title = given.get("title")
    title = title.strip() if isinstance(title, str) else ""
    if not title.isprintable() or len(title) > LONGEST_TITLE:
        raise _wrong("title", f"has at most {LONGEST_TITLE} characters")
    with transaction.atomic():
        made = Simulation.objects.create(title=title or words(asked), asked=asked, by=by)
        activities.record("simulation.asked", by=by, simulation=made.pk, title=made.title)
        publish(events.SimulationAsked(simulation_id=made.pk))
    return made


def checked(given: dict[str, Any], by: User | None) -> dict[str, Any]:
    """The day and the changes as they are kept; what is not named is left out."""
    day, change = _object("day", given.get("day", {})), _object("change", given.get("change", {}))
    kind = day.get("kind", RECORDED)
    if kind not in (RECORDED, SYNTHETIC):
        raise _wrong("day.kind", f"is {RECORDED} or {SYNTHETIC}")
    if kind == SYNTHETIC and ("queue" in change or "weights" in change):
        raise _wrong("change", "a made-up day knows no queues and no weights: play a recorded one")
    made = (_recorded_day if kind == RECORDED else _synthetic_day)(day)
    return {"day": made, "change": _change(change, _families(kind), kind, by)}


def _recorded_day(day: dict[str, Any]) -> dict[str, Any]:
    days = _number("day.days", day.get("days", 7), 1, MOST_DAYS, whole=True)
    until = day.get("until")
    if until is None:
        ends = timezone.now().replace(microsecond=0)
    else:
        try:
            ends = datetime.fromisoformat(until)
        except (TypeError, ValueError):
            raise _wrong("day.until", "is a time with its offset") from None
        if ends.tzinfo is None or not 1970 < ends.year < 9000:
            raise _wrong("day.until", "is a time with its offset")
    return {"kind": RECORDED, "days": days, "until": ends.isoformat()}


def _synthetic_day(day: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": SYNTHETIC,
        "scenario": _one_of("day.scenario", day.get("scenario", "normal"), SCENARIOS),
        "centre": _one_of("day.centre", day.get("centre", "reference"), tuple(CENTRES)),
        "seed": _number("day.seed", day.get("seed", 1), 0, 1_000_000, whole=True),
        "size": _number("day.size", day.get("size", 1.0), 0.02, 1.0),
    }


def _families(kind: str) -> tuple[str, ...]:
    return tuple(CHANNELS) if kind == SYNTHETIC else tuple(Family.values)


def _change(change: dict[str, Any], families: tuple[str, ...], kind: str, by: User | None) -> dict[str, Any]:
    if odd := set(change) - set(_CHECKS):
        raise _wrong("change", f"there is no {min(odd)[:40]!r} to change")
    asker = _Asker(families, kind, by)
    made = {name: _CHECKS[name](value, asker) for name, value in change.items()}
    return {name: value for name, value in made.items() if value not in (0, [], {})}


@dataclasses.dataclass(frozen=True, slots=True)
class _Asker:
    """Of what kind of day something is changed, by whom."""

    families: tuple[str, ...]
    kind: str
    by: User | None


def _minutes(field: str, value: Any) -> int:
    return _number(field, value, -MOST_MOVED, MOST_MOVED, whole=True)


def _shifts(value: Any, asker: _Asker) -> dict[str, int]:
    moved = _object("change.shifts", value)
    agents = _agents([_whole(one) for one in moved], asker)
    return {
        str(agent): _minutes(f"change.shifts.{agent}", moved[str(agent)])
        for agent in agents
        if str(agent) in moved
    }


def _weights(value: Any, asker: _Asker) -> dict[str, Any]:
    weights = _object("change.weights", value)
    scoring.under(weights)
    return {name: weights[name] for name in (*scoring.NUMBERS, "channels") if name in weights}


def _agents(value: Any, asker: _Asker) -> list[int]:
    if (
        not isinstance(value, list)
        or len(value) > 1_000
        or not all(type(one) is int and 0 <= one < 2**63 for one in value)
    ):
        raise _wrong("change.out", "is a list of agents' ids")
    ids = sorted(set(value))
    if asker.kind == RECORDED:
        known = Agent.objects.filter(pk__in=ids)
        seen = known if asker.by is None else outside_closed(known, asker.by, "user__team", own="user")
        if len(ids) != seen.count():
            raise _wrong("change.out", "names somebody who is not here")
    return ids


def _whole(text: Any) -> int:
    return (
        int(text) if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 19 else -1
    )


def _queue(given: Any, asker: _Asker) -> dict[str, Any]:
    value = _object("change.queue", given)
    slug, every = value.get("slug"), Queue.objects.all()
    known = every if asker.by is None else outside_closed(every, asker.by, "team")
    found = known.filter(slug=slug).first() if isinstance(slug, str) and slug.isprintable() else None
    if found is None:
        raise _wrong("change.queue.slug", "there is no such queue")
    rules = _object("change.queue.rules", value.get("rules", {}))
    fields, steps = queues.checked(found, {name: rules[name] for name in RULES if name in rules})
    if steps is not None:
        fields["steps"] = [queues.told_step(QueueStep(**step)) for step in steps]
    return {"slug": found.slug, "rules": fields}


def _pacing(given: Any, asker: _Asker) -> dict[str, Any]:
    value = _object("change.pacing", given)
    made: dict[str, Any] = {}
    for name, one in value.items():
        if name in PACING:
            made[name] = _number(f"change.pacing.{name}", one, 0, PACING[name])
        elif name in PACING_BY_FAMILY:
            usual = getattr(Pacing(), name)
            made[name] = _by_family(f"change.pacing.{name}", one, tuple(usual), 0, 1)
        else:
            raise _wrong("change.pacing", f"there is no {name[:40]!r}")
    return made


def _by_family(
    field: str, value: Any, families: tuple[str, ...], low: float, high: float
) -> dict[str, float]:
    found = _object(field, value)
    if odd := set(found) - set(families):
        raise _wrong(field, f"there is no channel {min(odd)[:40]!r}")
    return {family: _number(f"{field}.{family}", one, low, high) for family, one in sorted(found.items())}


def _object(field: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > 1_000 or not all(isinstance(name, str) for name in value):
        raise _wrong(field, "is an object")
    return value


def _one_of(field: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise _wrong(field, f"is one of {', '.join(allowed)}")
    return value


def _number(field: str, value: Any, low: float, high: float, whole: bool = False) -> Any:
    kinds: Any = int if whole else (int, float)
    if (
        isinstance(value, bool)
        or not isinstance(value, kinds)
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise _wrong(field, f"is a {'whole ' if whole else ''}number from {low:g} to {high:g}")
    return value


def _wrong(field: str, problem: str) -> InvalidInput:
    return InvalidInput("This cannot be played.", errors={field[:80]: problem})


_CHECKS: dict[str, Callable[[Any, _Asker], Any]] = {
    "agents": lambda value, asker: _number("change.agents", value, -MOST_AGENTS, MOST_AGENTS, whole=True),
    "out": _agents,
    "shift": lambda value, asker: _minutes("change.shift", value),
    "shifts": _shifts,
    "volume": lambda value, asker: _by_family("change.volume", value, asker.families, 0, MOST_TIMES),
    "targets": lambda value, asker: _by_family("change.targets", value, asker.families, 1, LONGEST_TARGET),
    "pacing": _pacing,
    "weights": _weights,
    "queue": _queue,
}


def words(asked: dict[str, Any]) -> str:
    """What was asked for, in a line."""
    day, change = asked["day"], asked["change"]
    past = f"Last {day['days']} days" if day.get("days", 1) > 1 else "Last day"
    about = past if day["kind"] == RECORDED else f"A {day['scenario']} day"
    said = [_say(name, value) for name, value in change.items()]
    return f"{about}: {', '.join(said) or 'as it was'}"[:LONGEST_TITLE]


def _say(name: str, value: Any) -> str:
    if name == "agents":
        return f"{abs(value)} agent{'s' if abs(value) != 1 else ''} {'more' if value > 0 else 'fewer'}"
    if name == "out":
        return f"{len(value)} out"
    if name == "shift":
        return f"shifts {abs(value)} min {'later' if value > 0 else 'earlier'}"
    if name == "volume":
        return ", ".join(f"{family} x {times:g}" for family, times in value.items())
    if name == "queue":
        return f"other rules in {value['slug']}"
    return {
        "shifts": "some shifts moved",
        "targets": "other targets",
        "pacing": "other pacing",
        "weights": "other weights",
    }[name]


# --- Playing


@dataclasses.dataclass(slots=True)
class Compared:
    """Both days in figures, how many agents each had, what really happened, and whether a closed team's work is in it."""

    before: Figures
    after: Figures
    agents: tuple[int, int]
    goals: dict[str, float]
    targets: tuple[dict[str, float], dict[str, float]]
    really: Figures | None = None
    closed: bool = False

    def told(self) -> dict[str, Any]:
        """As JSON, without how long this machine took."""
        body = dataclasses.asdict(self)
        body.pop("closed")
        for name in ("before", "after", "really"):
            for clock in ("ms_per_decision", "slowest_ms"):
                if body[name] is not None:
                    body[name].pop(clock)
        return body


def compare(asked: dict[str, Any], *, by: User | None = None, told: Told = lambda share: None) -> Compared:
    """Play a checked question: the day as it was and as it would have been. `told` hears the share that is done."""
    day, change = asked["day"], asked["change"]
    other = _other(change)
    if day["kind"] == SYNTHETIC:
        return _compare_synthetic(day, change, other, told)
    until = datetime.fromisoformat(day["until"])
    past: recorded.Past = recorded.read(until - timedelta(days=day["days"]), until, by)
    house, promised = _house(past.house, change)
    after = changed(
        dataclasses.replace(past.day, arrivals=list(ruled(past.day.arrivals, house, promised))), other
    )
    found = _played(past.day, LiveEngine(past.day, past.house), after, LiveEngine(after, house), told)
    found.really, found.closed = figures(past.day, past.really), past.closed
    return found


def _compare_synthetic(day: dict[str, Any], change: dict[str, Any], other: Change, told: Told) -> Compared:
    before = synthetic_day(day["scenario"], day["seed"], day["centre"], day["size"])
    after = changed(before, other, day["seed"])
    return _played(before, RouterPipe(), after, RouterPipe(_paced(Pacing(), change.get("pacing", {}))), told)


def _played(before: Day, policy: Policy, after: Day, other: Policy, told: Told) -> Compared:
    first = figures(before, play(before, policy, lambda share: told(share / 2)))
    second = figures(after, play(after, other, lambda share: told(0.5 + share / 2)))
    return Compared(
        first, second, (len(before.agents), len(after.agents)),
        {name: about.goal for name, about in before.channels.items()} | {"vip": VIP_GOAL},
        (_targets(before), _targets(after)),
    )  # fmt: skip


def _targets(day: Day) -> dict[str, float]:
    return {name: about.target for name, about in day.channels.items()}


def _other(change: dict[str, Any]) -> Change:
    return Change(
        agents=change.get("agents", 0),
        out=frozenset(change.get("out", ())),
        shift=change.get("shift", 0) * 60.0,
        shifts={int(agent): minutes * 60.0 for agent, minutes in change.get("shifts", {}).items()},
        volume=change.get("volume", {}),
        targets=change.get("targets", {}),
    )


def _house(house: House, change: dict[str, Any]) -> tuple[House, int | None]:
    """The rules as they would be, and the queue whose own targets would count instead of the recorded ones."""
    promised = None
    if "queue" in change:
        queue = find(Queue.objects.all(), slug=change["queue"]["slug"])
        rules: Rules = queues.rules_under(queue, change["queue"]["rules"])
        if dict(rules.targets) != dict(house.rules[queue.pk].targets):
            promised = queue.pk
        house = dataclasses.replace(house, rules={**house.rules, queue.pk: rules})
    if "weights" in change:
        scale = scoring.under(change["weights"])
        house = dataclasses.replace(house, weights=scale.weights, worth=scale.channels)
    return dataclasses.replace(house, pacing=_paced(house.pacing, change.get("pacing", {}))), promised


def _paced(pacing: Pacing, given: dict[str, Any]) -> Pacing:
    shares: Any = {
        name: {**getattr(pacing, name), **given[name]} for name in PACING_BY_FAMILY if name in given
    }
    return dataclasses.replace(pacing, **{name: given[name] for name in PACING if name in given}, **shares)


# --- In the background


def due() -> list[int]:
    """Simulations that wait to be played."""
    return list(
        Simulation.objects.filter(state=SimulationState.WAITING).order_by("pk").values_list("pk", flat=True)
    )


def work(simulation_id: int) -> None:
    """Play what was promised; killed, it is played anew. One worker at a time, and not again and again."""
    with _alone(simulation_id) as mine:
        waiting = Simulation.objects.filter(pk=simulation_id, state=SimulationState.WAITING)
        kept = waiting.select_related("by").first()
        if kept is None or not mine:
            return
        kept.tries += 1
        waiting.update(tries=kept.tries, progress=0)
        try:
            if kept.tries > MOST_TRIES:
                raise ValueError("It ended in the middle several times.")
            require(kept.by, Permission.SIMULATE)
            found = compare(kept.asked, by=kept.by, told=_progress(kept))
            kept.state, kept.result, kept.closed, kept.progress = (
                SimulationState.DONE,
                found.told(),
                found.closed,
                100,
            )
        except (DomainError, ValueError) as error:
            said = "; ".join(f"{text}" for text in getattr(error, "extra", {}).get("errors", {}).values())
            kept.state, kept.error = SimulationState.FAILED, f"{error} {said}".strip()[:200]
        kept.done_at = timezone.now()
        kept.save(update_fields=["state", "result", "closed", "progress", "error", "done_at"])


def _progress(kept: Simulation) -> Told:
    """Writes the per cent that are done, each once."""

    def told(share: float) -> None:
        done = min(99, int(share * 100))
        if done > kept.progress:
            kept.progress = done
            Simulation.objects.filter(pk=kept.pk).update(progress=done)

    return told


@contextmanager
def _alone(simulation_id: int) -> Iterator[bool]:
    """Hold the connection's own lock; it goes with the connection."""
    name = f"earshot.simulation:{simulation_id}"
    mine = rows.run("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,))[0][0]
    try:
        yield mine
    finally:
        if mine:
            rows.run("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (name,))


def forget_old() -> None:
    """Comparisons of more than a year ago go."""
    Simulation.objects.filter(at__lt=timezone.now() - timedelta(days=KEPT_DAYS)).delete()
