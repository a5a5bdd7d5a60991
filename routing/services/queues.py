"""Queues kept by people: checked, changed with a reason, and tried on what waits before they are changed.

What waits is read again by the leader as soon as its queue changed; no item is touched for it.
"""

import re
from typing import Any

from django.db import IntegrityError, transaction

from crm import rows
from crm.access import Permission, leads, may, require, require_lead
from crm.choices import Family
from crm.errors import Conflict, InvalidInput, NotAllowed
from crm.models import Channel, Team, User
from crm.services import activities
from routing.choices import GivesUp, QueueMode, QueueOrder
from routing.models import Queue, QueueStep, RuleChange, Skill
from routing.models.queues import LONGEST_OFFER, LONGEST_PENDING, LONGEST_WAIT, LONGEST_WRAP_UP
from routing.rules import Rules, Step
from routing.services import work_items

LONGEST_TARGET = 30 * 24 * 3600  # s
MOST_STEPS = 12
MOST_WORDS = 100
LONGEST_REASON = 200
# `new` is the address of the form.
_SLUG = re.compile(r"(?=.*[a-z])[a-z0-9][a-z0-9-]{0,49}")

FIELDS = (
    "name", "team", "topics", "channels", "targets", "goal", "is_fallback", "mode", "ordering", "required_skills",
    "preferred_skills", "offer_seconds", "wrap_up_seconds", "codes_required", "pull_within", "escape_seconds",
    "exclusive", "interrupt_seconds", "pending_seconds", "longest_hold",
)  # fmt: skip
# What decides beyond the queue's own team: only who configures the house may change it.
OF_THE_HOUSE = ("team", "topics", "channels", "is_fallback")


def _wrong(field: str, problem: str) -> InvalidInput:
    return InvalidInput("Some rules do not make sense.", errors={field: problem})


# --- Keeping


def create(given: dict[str, Any], *, by: User) -> Queue:
    """A new queue. `given`: slug, team (a Team), what of FIELDS is not as usual, `steps`, and `reason`, which is asked for."""
    require(by, Permission.CONFIGURE)
    slug = given.get("slug") or ""
    if not isinstance(slug, str) or not _SLUG.fullmatch(slug) or slug == "new":
        raise _wrong("slug", "has small letters, digits and dashes, at least one letter, at most 50")
    if "name" not in given or "team" not in given:
        raise _wrong("name" if "name" not in given else "team", "is needed")
    try:
        with transaction.atomic():
            return _keep(Queue(slug=slug), given, "queue.created", by)
    except IntegrityError as error:
        raise Conflict("There is a queue with this key already.", code="slug_taken") from error


def configure(queue: Queue, given: dict[str, Any], *, by: User) -> Queue:
    """Change what is named, with a `reason`; `steps`, when named, replaces all of them.

    The lead of its team may change what concerns his team: not whose it is, what comes in, or whether it is the fallback, nor
    send work to queues of others.
    """
    require_lead(by, queue.team_id)
    with transaction.atomic():
        return _keep(Queue.objects.select_for_update().get(pk=queue.pk), given, "queue.configured", by)


def _keep(queue: Queue, given: dict[str, Any], verb: str, by: User) -> Queue:
    reason = _reason(given.get("reason"))
    before = described(queue) if queue.pk else {}
    fields, steps = checked(queue, given)
    if not may(by, Permission.CONFIGURE):
        _stays_in_the_team(queue, fields, steps, by)
    for name, value in fields.items():
        setattr(queue, name, value)
    if queue.is_fallback:
        Queue.objects.exclude(pk=queue.pk).filter(is_fallback=True).update(is_fallback=False)
    elif before.get("is_fallback"):
        raise _wrong("is_fallback", "is taken away by making another queue the fallback")
    queue.save()
    if steps is not None:
        queue.steps.all().delete()
        QueueStep.objects.bulk_create(
            QueueStep(queue=queue, position=position, **step) for position, step in enumerate(steps, 1)
        )
    after = described(queue)
    changes = {name: [before.get(name), after[name]] for name in after if before.get(name) != after[name]}
    RuleChange.objects.create(queue=queue, by=by, reason=reason, changes=changes)
    activities.record(verb, by=by, queue=queue.slug, reason=reason, changes=changes)
    work_items.rules_changed(queue.pk)
    return queue


def _stays_in_the_team(
    queue: Queue, fields: dict[str, Any], steps: list[dict[str, Any]] | None, by: User
) -> None:
    """Refuse what a team's lead may not change."""
    if odd := [name for name in OF_THE_HOUSE if name in fields and fields[name] != getattr(queue, name)]:
        raise NotAllowed(f"Only who configures the house changes {', '.join(odd)}.")
    before = set(queue.steps.values_list("target_id", flat=True))
    for step in steps or ():
        target = step["target"]
        if target is not None and target.pk not in before and not leads(by, target.team_id):
            raise NotAllowed(f"Only who configures the house sends work to {target.slug}.")


def _reason(given: Any) -> str:
    reason = given.strip() if isinstance(given, str) else ""
    if not reason or not reason.isprintable():
        raise _wrong("reason", "is needed: it stands in the history")
    return reason[:LONGEST_REASON]


def described(queue: Queue) -> dict[str, Any]:
    """A queue's rules as they stand in the history."""
    told = {name: getattr(queue, name) for name in FIELDS if name != "team"}
    return told | {"team": queue.team.slug, "steps": [told_step(step) for step in steps_of(queue)]}


def steps_of(queue: Queue) -> list[QueueStep]:
    """The steps in their order, with what they name."""
    return list(queue.steps.select_related("skill", "target").order_by("position"))


def told_step(step: QueueStep) -> dict[str, Any]:
    """A step as API clients and the history see it: only what its kind knows."""
    told: dict[str, Any] = {"seconds": step.seconds, "gives_up": step.gives_up}
    if step.skill_id:
        told["skill"] = step.skill.code
    if step.level:
        told["level"] = step.level
    if step.target_id:
        told |= {"target": step.target.slug, "skip_if_nobody": step.skip_if_nobody}
    return told


# --- Checking


def checked(queue: Queue, given: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]] | None]:
    """The fields and the steps that are named, as the rows hold them; InvalidInput names what makes no sense."""
    fields = {name: _CHECKS[name](name, given[name]) for name in FIELDS if name in given}
    return fields, _steps(queue, given["steps"]) if "steps" in given else None


def _name(field: str, value: Any) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if not 0 < len(name) <= 100 or not name.isprintable():
        raise _wrong(field, "has 1 to 100 characters")
    return name


def _team(field: str, value: Any) -> Team:
    if not isinstance(value, Team):
        raise _wrong(field, "there is no such team")
    return value


def _words(field: str, value: Any) -> list[str]:
    if (
        not isinstance(value, list)
        or len(value) > MOST_WORDS
        or not all(isinstance(one, str) for one in value)
    ):
        raise _wrong(field, f"is a list of at most {MOST_WORDS} words")
    words = list(dict.fromkeys(one.strip() for one in value if one.strip()))
    if any(len(one) > 50 or not one.isprintable() for one in words):
        raise _wrong(field, "has words of at most 50 characters")
    return words


def _channels(field: str, value: Any) -> list[str]:
    slugs = _words(field, value)
    there = set(Channel.objects.filter(slug__in=slugs).values_list("slug", flat=True))
    if odd := [one for one in slugs if one not in there]:
        raise _wrong(field, f"there is no channel {', '.join(odd)}")
    return slugs


def _whole(field: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _wrong(field, f"is a whole number from {low} to {high}")
    return value


def _by_family(field: str, value: Any, high: int) -> dict[str, int]:
    if not isinstance(value, dict):
        raise _wrong(field, "is an object of seconds by channel family")
    if odd := set(value) - set(Family.values):
        raise _wrong(field, f"there is no family {', '.join(sorted(map(str, odd)))}")
    return {
        family: _whole(f"{field}.{family}", seconds, 1, high) for family, seconds in sorted(value.items())
    }


def _families(field: str, value: Any) -> list[str]:
    if not isinstance(value, list) or any(one not in Family.values for one in value):
        raise _wrong(field, f"is a list of {', '.join(Family.values)}")
    return sorted(set(value))


def _targets(field: str, value: Any) -> dict[str, int]:
    found = _by_family(field, value, LONGEST_TARGET)
    if missing := [family for family in Family.values if family not in found]:
        raise _wrong(field, f"names no seconds for {', '.join(missing)}")
    return found


def _skills(field: str, value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or len(value) > MOST_WORDS:
        raise _wrong(field, "is an object of levels by skill code")
    asked = [code for code in value if code.isprintable()]
    there = set(Skill.objects.filter(code__in=asked).values_list("code", flat=True))
    if odd := [one for one in value if one not in there]:
        raise _wrong(field, f"there is no skill {', '.join(odd)}")
    return {code: _whole(f"{field}.{code}", level, 1, 5) for code, level in sorted(value.items())}


def _goal(field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.01 <= value <= 1:
        raise _wrong(field, "is a share from 0.01 to 1")
    return float(value)


def _yes(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(field, "is true or false")
    return value


def _one_of(field: str, value: Any, allowed: list[str]) -> str:
    if value not in allowed:
        raise _wrong(field, f"is one of {', '.join(allowed)}")
    return value


_CHECKS = {
    "name": _name,
    "team": _team,
    "topics": _words,
    "channels": _channels,
    "targets": _targets,
    "goal": _goal,
    "is_fallback": _yes,
    "mode": lambda field, value: _one_of(field, value, QueueMode.values),
    "ordering": lambda field, value: _one_of(field, value, QueueOrder.values),
    "required_skills": _skills,
    "preferred_skills": _skills,
    "offer_seconds": lambda field, value: _by_family(field, value, LONGEST_OFFER),
    "wrap_up_seconds": lambda field, value: _whole(field, value, 0, LONGEST_WRAP_UP),
    "codes_required": _yes,
    "pull_within": lambda field, value: _whole(field, value, 1, 1000),
    "exclusive": lambda field, value: _families(field, value),
    "interrupt_seconds": lambda field, value: (
        None if value is None else _whole(field, value, 0, LONGEST_OFFER)
    ),
    "pending_seconds": lambda field, value: (
        None if value is None else _whole(field, value, 10, LONGEST_PENDING)
    ),
    "longest_hold": lambda field, value: None if value is None else _whole(field, value, 0, LONGEST_WAIT),
    "escape_seconds": lambda field, value: None if value is None else _whole(field, value, 1, LONGEST_WAIT),
}


def _steps(queue: Queue, given: Any) -> list[dict[str, Any]]:
    if (
        not isinstance(given, list)
        or len(given) > MOST_STEPS
        or not all(isinstance(one, dict) for one in given)
    ):
        raise _wrong("steps", f"is a list of at most {MOST_STEPS} steps")
    skills = {skill.code: skill for skill in Skill.objects.filter(code__in=_named(given, "skill"))}
    targets = {one.slug: one for one in Queue.objects.filter(slug__in=_named(given, "target"))}
    steps = [_step(f"steps.{place}", one, skills, targets) for place, one in enumerate(given)]
    if any(step["target"] is not None and step["target"].pk == queue.pk for step in steps):
        raise _wrong("steps", "an overflow leads to another queue")
    return steps


def _named(given: list[dict], what: str) -> list[str]:
    return [one[what] for one in given if isinstance(one.get(what), str) and one[what].isprintable()]


def _step(field: str, one: dict, skills: dict[str, Skill], targets: dict[str, Queue]) -> dict[str, Any]:
    """One step, with exactly what its kind asks for."""
    gives_up = _one_of(f"{field}.gives_up", one.get("gives_up"), GivesUp.values)
    step: dict[str, Any] = {
        "seconds": _whole(f"{field}.seconds", one.get("seconds"), 0, LONGEST_WAIT),
        "gives_up": gives_up, "skill": None, "level": None, "target": None, "skip_if_nobody": True,
    }  # fmt: skip
    if gives_up in (GivesUp.LEVEL, GivesUp.PREFER) and one.get("skill"):
        if one["skill"] not in skills:
            raise _wrong(f"{field}.skill", "there is no such skill")
        step["skill"] = skills[one["skill"]]
    if gives_up == GivesUp.LEVEL:
        step["level"] = _whole(f"{field}.level", one.get("level"), 1, 5)
    if gives_up == GivesUp.OVERFLOW:
        if one.get("target") not in targets:
            raise _wrong(f"{field}.target", "there is no such queue")
        step["target"] = targets[one["target"]]
        step["skip_if_nobody"] = _yes(f"{field}.skip_if_nobody", one.get("skip_if_nobody", True))
    return step


# --- Rules nobody has kept yet


def rules_under(queue: Queue, given: dict[str, Any]) -> Rules:
    """The rules that the queue would have with these changes; nothing is written."""
    fields, steps = checked(queue, given)
    told = {name: fields.get(name, getattr(queue, name)) for name in FIELDS}
    kept = steps if steps is not None else [
        {
            "seconds": one.seconds, "gives_up": one.gives_up, "skill": one.skill, "level": one.level, "target": one.target,
            "skip_if_nobody": one.skip_if_nobody,
        }
        for one in steps_of(queue)
    ]  # fmt: skip
    return Rules(
        queue.slug,
        told["targets"],
        told["required_skills"],
        told["preferred_skills"],
        told["ordering"],
        tuple(_rule(step) for step in kept),
        frozenset(told["exclusive"]),
        told["longest_hold"],
    )


def _rule(step: dict[str, Any]) -> Step:
    skill, target = step["skill"], step["target"]
    return Step(
        step["seconds"], step["gives_up"], skill.code if skill else None, step["level"], target.pk if target else None,
        step["skip_if_nobody"],
    )  # fmt: skip


def feeding(queue: Queue) -> list[str]:
    """The queues that overflow into this one."""
    return [
        row[0]
        for row in rows.run(
            "SELECT DISTINCT q.slug FROM routing_queuestep s JOIN routing_queue q ON q.id = s.queue_id "
            "WHERE s.target_id = %s ORDER BY q.slug",
            (queue.pk,),
        )
    ]
