"""What the router counted of its choices between channels, kept by the hour, and what agents and owners see of it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, DurationField, ExpressionWrapper, F, FloatField, Q, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Now
from django.utils import timezone

from crm import rows
from crm.errors import InvalidInput
from crm.models import User
from routing import bias
from routing.choices import WorkItemStatus
from routing.models import WorkItem
from routing.services import scoring

MOST_DAYS = 90
USUAL_DAYS = 7

# The longest promise of each class, in seconds, and how it is called.
TARGETS = (
    (60, "a minute"),
    (900, "15 minutes"),
    (3600, "an hour"),
    (14_400, "4 hours"),
    (10**9, "longer"),
)
CLASSES = ((1 / 3, "low"), (2 / 3, "middle"), (10.0, "high"))
UNKNOWN = "unknown"

_KEEP = """
INSERT INTO routing_choicecount AS c (hour, what, won, passed, number, overtakings)
SELECT date_trunc('hour', now()), g.* FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[], %s::int[])
    AS g(what, won, passed, number, overtakings)
ON CONFLICT (hour, what, won, passed) DO UPDATE
    SET number = c.number + excluded.number, overtakings = c.overtakings + excluded.overtakings
"""


def keep(meter: bias.Meter) -> bool:
    """Add what a meter counted to this hour, in one statement; without anything none. True when there was something."""
    lines = meter.emptied()
    if lines:
        rows.write(_KEEP, tuple(list(column) for column in zip(*lines, strict=True)))
    return bool(lines)


def days_in(text: str) -> int:
    """How many days somebody asks for, the usual number without words; InvalidInput when it is none."""
    if not text:
        return USUAL_DAYS
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= MOST_DAYS):
        raise InvalidInput(
            "Some words of the address make no sense.",
            errors={"days": f"is a whole number from 1 to {MOST_DAYS}"},
        )
    return int(text)


def report(user: User, days: int = USUAL_DAYS) -> dict[str, Any]:
    """Bias by ordered pair of channels, what is exempt, and the same need by channel, over the last days.

    `pairs`: see `bias.Pair`; `exempt`: decisions outside the count by reason and channel; `decisions`, `looked`: how many were
    made and looked at; `needs`: share in time by channel within the same need, of the work that the reader may see.
    """
    since = timezone.now() - timedelta(days=days)
    lines = counted(since)
    scale = scoring.scale()
    return {
        "days": days,
        "decisions": sum(line[3] for line in lines if line[0] == bias.DECISION),
        "looked": sum(line[3] for line in lines if line[0] == bias.LOOKED),
        "pairs": [asdict(pair) for pair in bias.pairs(bias.choices_in(lines), scale.alarm_above)],
        "exempt": [
            {"exemption": what, "channel": won, "decisions": number}
            for what, won, _, number, _ in lines
            if what in bias.EXEMPTIONS
        ],
        "needs": needs(user, since),
        "locked": sorted(scale.weights.locked),
        "alarm_above": scale.alarm_above,
    }


def counted(since: datetime) -> list[tuple[str, str, str, int, int]]:
    """The lines of all hours since then, added up: (what, won, passed, number, overtakings)."""
    return rows.run(
        "SELECT what, won, passed, sum(number)::int, sum(overtakings)::int FROM routing_choicecount "
        "WHERE hour >= date_trunc('hour', %s::timestamptz) GROUP BY what, won, passed ORDER BY what, won, passed",
        (since,),
    )


def alarms() -> list[bias.Pair]:
    """The pairs of channels of the last week for which the alarm rings."""
    lines = counted(timezone.now() - timedelta(days=USUAL_DAYS))
    found = bias.pairs(bias.choices_in(lines), scoring.scale().alarm_above)
    return [pair for pair in found if pair.alarm]


# --- The same need, channel by channel


def needs(user: User, since: datetime) -> list[dict[str, Any]]:
    """Share in time by channel within the same need: class of target, priority and value; the needs of most channels first.

    Of what fell due since then, unanswered work included; what was withdrawn unanswered is outside.
    """
    fell_due = (
        WorkItem.objects.visible_to(user)
        .filter(deadline__gte=since, deadline__lte=Now())
        .exclude(status=WorkItemStatus.WITHDRAWN, accepted_at=None)
        .annotate(promised=ExpressionWrapper(F("deadline") - F("queued_at"), output_field=DurationField()))
        .annotate(urgency=_known("urgency"), worth=_known("value"))
    )
    found = fell_due.annotate(
        target=_classed("promised", [(timedelta(seconds=most), name) for most, name in TARGETS]),
        priority=_classed("urgency", CLASSES),
        value=_classed("worth", CLASSES),
    )
    counts = found.values("target", "priority", "value", "family").annotate(
        due=Count("pk"), in_time=Count("pk", filter=Q(accepted_at__lte=F("deadline")))
    )
    grouped: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in counts.order_by("family"):
        grouped[row["target"], row["priority"], row["value"]].append(_of_channel(row))
    order = [name for _, name in TARGETS]
    return [
        {"target": target, "priority": priority, "value": value, "channels": channels}
        for (target, priority, value), channels in sorted(
            grouped.items(), key=lambda pair: (-len(pair[1]), order.index(pair[0][0]), pair[0])
        )
    ]


def _known(part: str) -> Cast:
    return Cast(KeyTextTransform(part, "priority_parts"), FloatField())


def _classed(name: str, classes: Iterable[tuple[Any, str]]) -> Case:
    """The first class whose most is not below the value."""
    whens = [When(**{f"{name}__lte": most}, then=Value(word)) for most, word in classes]
    return Case(*whens, default=Value(UNKNOWN))


def _of_channel(row: dict[str, Any]) -> dict[str, Any]:
    low, high = bias.interval(row["in_time"], row["due"])
    enough = row["due"] >= bias.FEW
    return {
        "channel": row["family"],
        "due": row["due"],
        "breaches": row["due"] - row["in_time"],
        "share": row["in_time"] / row["due"] if enough else None,
        "low": low if enough else None,
        "high": high if enough else None,
    }
