"""The score's weights and the locks between channels: read by everything that orders work, changed with a reason after a
preview (`practice.md` 3.2, 3.4)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from crm import live, rows
from crm.access import Permission, require
from crm.choices import Family
from crm.errors import InvalidInput
from crm.models import User
from crm.services import activities
from routing import engine
from routing.models import Change, RuleChange, Scoring
from routing.models.scoring import ALARM_ABOVE, HEAVIEST, MOST_BANDS

PARTS = ("urgency", "value", "target", "channel", "age", "sentiment", "reach")
NUMBERS = (*PARTS, "bands", "band_width")
# A call is exempt from every lock: it needs a whole agent.
LOCKABLE = tuple(family for family in Family.values if family != Family.VOICE)
LIGHTEST = 0.001  # of what must weigh more than nothing
LONGEST_REASON = 200

_READ = """
SELECT urgency, value, target, channel, age, sentiment, reach, bands, band_width, channels, locked, alarm_above
FROM routing_scoring WHERE id = 1
"""


@dataclass(frozen=True, slots=True)
class Scale:
    """The engine's weights with its locks, what each channel family is worth, and when the bias meter rings."""

    weights: engine.Weights = field(default_factory=engine.Weights)
    channels: Mapping[str, float] = field(default_factory=dict)
    alarm_above: float = ALARM_ABOVE

    def weigh(self, item: engine.Item) -> engine.Item:
        """Fill in what the item's channel is worth."""
        item.weight = self.channels.get(item.family, 1.0)
        return item


def scale() -> Scale:
    """What counts now."""
    found = rows.run(_READ)
    if not found:
        return Scale()
    *weights, channels, locked, alarm_above = found[0]
    read: Any = rows.from_json(channels)
    shut: Any = rows.from_json(locked)
    return Scale(
        engine.Weights(**dict(zip(NUMBERS, weights, strict=True)), locked=frozenset(shut)),
        read,
        alarm_above,
    )


def told(one: Scale) -> dict[str, Any]:
    """Weights as API clients and the history see them."""
    shown = {name: getattr(one.weights, name) for name in NUMBERS}
    return shown | {
        "channels": {family: one.channels.get(family, 1.0) for family in Family.values},
        "locked": sorted(one.weights.locked),
        "alarm_above": one.alarm_above,
    }


def change(given: dict[str, Any], *, by: User) -> Scale:
    """Weigh otherwise what is named, for a `reason`; the leader scores again what waits."""
    require(by, Permission.CONFIGURE)
    reason = given.get("reason")
    reason = reason.strip() if isinstance(reason, str) else ""
    if not reason or not reason.isprintable():
        raise _wrong("reason", "is needed: it stands in the history")
    with transaction.atomic(), rows.serialised("earshot.scoring"):
        before, new = told(scale()), under(given)
        after = told(new)
        Scoring.objects.update_or_create(pk=1, defaults=after)
        changes = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
        RuleChange.objects.create(by=by, reason=reason[:LONGEST_REASON], changes=changes)
        activities.record("scoring.changed", by=by, reason=reason[:LONGEST_REASON], changes=changes)
        Change.objects.create()  # names nothing: everything is read again
        live.ring(live.CONVEYOR)
    return new


def under(given: dict[str, Any]) -> Scale:
    """What would count with these changes; InvalidInput names what makes no sense."""
    now = told(scale())
    weights: dict[str, Any] = {name: _weight(name, given.get(name, now[name])) for name in NUMBERS}
    weights["locked"] = _locked(given.get("locked", now["locked"]))
    channels = given.get("channels", now["channels"])
    if not isinstance(channels, dict) or set(channels) - set(Family.values):
        raise _wrong("channels", "is an object of weights by channel family")
    return Scale(
        engine.Weights(**weights),
        now["channels"]
        | {family: _within(f"channels.{family}", worth, 0, HEAVIEST) for family, worth in channels.items()},
        _within("alarm_above", given.get("alarm_above", now["alarm_above"]), 0, 100),
    )


def _locked(value: Any) -> frozenset[str]:
    if not isinstance(value, list | tuple) or any(
        not isinstance(one, str) or one not in LOCKABLE for one in value
    ):
        raise _wrong("locked", f"is a list of {', '.join(LOCKABLE)}")
    return frozenset(value)


def _weight(name: str, value: Any) -> float | int:
    if name == "bands":
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_BANDS:
            raise _wrong(name, f"is a whole number from 1 to {MOST_BANDS}")
        return value
    return _within(name, value, LIGHTEST if name in ("age", "band_width") else 0, HEAVIEST)


def _within(name: str, value: Any, low: float, high: float) -> float:
    odd = isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
    if odd or not low <= value <= high:
        raise _wrong(name, f"is a number from {low:g} to {high:g}")
    return float(value)


def _wrong(name: str, problem: str) -> InvalidInput:
    return InvalidInput("Some weights do not make sense.", errors={name: problem})


def changes() -> list[RuleChange]:
    """Who weighed otherwise and why, newest first."""
    return list(RuleChange.objects.filter(queue=None).select_related("by").order_by("-at", "-pk")[:50])
