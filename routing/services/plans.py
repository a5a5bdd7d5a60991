"""What agents chose ahead and what is planned for them: it begins when their work lets it, and who is late is told."""

from datetime import datetime, timedelta

from django.db import transaction

from crm import rows
from crm.bus import publish
from crm.errors import InvalidInput
from crm.models import User
from crm.services import activities, coaching, interactions
from routing import events
from routing.models import Agent, PresenceReason, ScheduledTime
from routing.services import assignments, work_items

LONGEST = 24 * 3600  # s of one stretch of a plan

# A pause of the plan is chosen ahead for whoever is there; whoever is away already takes it so.
_BEGIN = """
WITH due AS (
    UPDATE routing_scheduledtime SET begun_at = now() WHERE kind <> 'shift' AND begun_at IS NULL AND starts_at <= now()
    RETURNING agent_id, kind, ends_at
), chosen AS (
    SELECT DISTINCT ON (agent_id) * FROM due WHERE ends_at > now() ORDER BY agent_id, ends_at DESC
), agents AS MATERIALIZED (
    SELECT g.id FROM routing_agent g JOIN chosen c ON c.agent_id = g.id WHERE g.chosen = 'available'
    ORDER BY g.id FOR NO KEY UPDATE OF g
)
UPDATE routing_agent g SET then_state = c.kind, then_after = 'this', then_until = c.ends_at, then_reason_id = NULL,
    then_holding = (SELECT count(*) FROM routing_assignment m WHERE m.agent_id = g.id AND m.status = 'accepted' AND m.units > 0)
FROM agents JOIN chosen c ON c.agent_id = agents.id WHERE g.id = agents.id RETURNING g.id
"""

_SETTLE = """
WITH ready AS MATERIALIZED (
    SELECT g.id FROM routing_agent g CROSS JOIN LATERAL (
        SELECT count(*) AS holds FROM routing_assignment m WHERE m.agent_id = g.id AND m.status = 'accepted' AND m.units > 0
    ) held
    WHERE g.then_state <> '' AND (held.holds = 0 OR (g.then_after = 'this' AND held.holds < g.then_holding))
    ORDER BY g.id FOR NO KEY UPDATE OF g SKIP LOCKED
), became AS (
    UPDATE routing_agent g SET chosen = g.then_state, chosen_since = now(), idle_since = now(), over_told = false,
        chosen_reason = coalesce(p.name, ''), own_reason_id = p.id,
        chosen_until = coalesce(g.then_until, now() + make_interval(mins => p.limit_minutes)),
        then_state = '', then_after = '', then_holding = 0, then_until = NULL, then_reason_id = NULL
    FROM ready JOIN routing_agent o ON o.id = ready.id LEFT JOIN routing_presencereason p ON p.id = o.then_reason_id
    WHERE g.id = ready.id RETURNING g.id, g.user_id, g.chosen, g.chosen_reason
), ended AS (
    UPDATE routing_presenceinterval i SET ended_at = now() FROM became b WHERE i.agent_id = b.id AND i.ended_at IS NULL
)
SELECT id, user_id, chosen, chosen_reason FROM became
"""

_LATE = """
UPDATE routing_agent g SET over_told = true WHERE g.id IN (
    SELECT id FROM routing_agent WHERE chosen_until <= now() AND NOT over_told ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
) RETURNING g.id, g.user_id, g.chosen
"""


# A trainee's capacity never falls, and at the end nothing of his growing is left.
_GROW = """
UPDATE routing_agent g SET capacity = n.capacity,
    growing_from = CASE WHEN n.done THEN NULL ELSE g.growing_from END,
    growing_until = CASE WHEN n.done THEN NULL ELSE g.growing_until END
FROM (
    SELECT id, now() >= growing_until AS done, greatest(capacity, growing_start + floor((growing_goal - growing_start)
        * least(1, extract(epoch FROM now() - growing_from) / extract(epoch FROM growing_until - growing_from)))::int) AS capacity
    FROM routing_agent WHERE growing_until IS NOT NULL AND growing_from <= now() ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
) n WHERE g.id = n.id AND (n.done OR g.capacity <> n.capacity) RETURNING g.id
"""


def train(agent: Agent, *, goal: int, days: int, by: User) -> Agent:
    """Let a trainee's capacity grow from what it is now to its goal, evenly over so many days."""
    with transaction.atomic():
        agent = (
            Agent.objects.select_for_update(no_key=True, of=("self",)).select_related("user").get(pk=agent.pk)
        )
        if goal <= agent.capacity:
            raise InvalidInput(
                "It grows.", errors={"goal": f"is not above the {agent.capacity} units he has"}
            )
        now = rows.run("SELECT now()")[0][0]
        agent.growing_from, agent.growing_until = now, now + timedelta(days=days)
        agent.growing_start, agent.growing_goal = agent.capacity, goal
        agent.save(update_fields=["growing_from", "growing_until", "growing_start", "growing_goal"])
        activities.record("agent.training", by=by, agent=agent.pk, goal=goal, days=days)
    return agent


def limit(agent: Agent, limits: dict[str, int], *, by: User) -> Agent:
    """How many items of each channel family he may have at once; nought: none."""
    with transaction.atomic():
        agent.max_family = limits
        agent.save(update_fields=["max_family"])
        activities.record("agent.limited", by=by, agent=agent.pk, limits=limits)
        work_items.changed(agents=[agent.pk])
    return agent


def begin_training(agent: Agent, coach: User, *, by: User, capacity: int | None = None) -> Agent:
    """From now on his answers wait for the coach, what he gets is outside all figures, and he gets less at once."""
    with transaction.atomic():
        coaching.begin(agent.user, coach, by=by)
        locked = Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
        usual = locked.capacity_before or locked.capacity
        if capacity is not None and capacity > usual:
            raise InvalidInput("In training he has less at once.", errors={"capacity": f"is at most {usual}"})
        if capacity is not None:
            Agent.objects.filter(pk=agent.pk).update(capacity=capacity, capacity_before=usual)
        _say([agent.pk], [])
    agent.refresh_from_db()
    return agent


def end_training(agent: Agent, *, by: User) -> Agent:
    """He works alone again, with his capacity of before."""
    with transaction.atomic():
        coaching.end(agent.user, by=by)
        locked = Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
        if locked.capacity_before is not None:
            Agent.objects.filter(pk=agent.pk).update(capacity=locked.capacity_before, capacity_before=None)
        _say([agent.pk], [])
    agent.refresh_from_db()
    return agent


def keep() -> int:
    """Once a second: pauses that begin, choices made ahead that come true, and who is late; returns how many moved."""
    with transaction.atomic():
        begun = [row[0] for row in rows.run(_BEGIN)]
        if begun:
            assignments.return_offers_of(begun, "scheduled")
        moved = rows.run(_SETTLE)
        if moved:
            rows.insert(
                "routing_presenceinterval",
                {
                    "agent_id": ("bigint", [row[0] for row in moved]),
                    "chosen": ("text", [row[2] for row in moved]),
                    "doing": ("text", ["idle"] * len(moved)),
                    "reason": ("text", [row[3] for row in moved]),
                },
            )
        late = rows.run(_LATE)
        grown = [row[0] for row in rows.run(_GROW)]
        changed = sorted({*begun, *grown, *(row[0] for row in moved), *(row[0] for row in late)})
        if changed:
            _say(changed, late)
    return len(changed)


def _say(agents: list[int], late: list[tuple]) -> None:
    work_items.changed(agents=agents)
    publish(*[events.PresenceChanged(agent_id=one) for one in agents])
    users = Agent.objects.filter(pk__in=agents).order_by("user").values_list("user", flat=True)
    told = [(f"desk:{user}", "presence.changed", {}) for user in users]
    told += [
        (f"desk:{user}", "alert", {"text": f"Your {chosen.replace('_', ' ')} is over."})
        for _, user, chosen in late
    ]
    interactions.tell(told)


def schedule(agent: Agent, kind: str, starts_at: datetime, ends_at: datetime, *, by: User) -> ScheduledTime:
    """Plan a stretch of an agent's day. Stretches of the same kind do not overlap."""
    if not 0 < (ends_at - starts_at).total_seconds() <= LONGEST:
        raise InvalidInput(
            "It ends after it starts, within a day.", errors={"ends_at": "is too early or too late"}
        )
    with transaction.atomic():
        Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
        if ScheduledTime.objects.filter(
            agent=agent, kind=kind, starts_at__lt=ends_at, ends_at__gt=starts_at
        ).exists():
            raise InvalidInput("This is planned already.", errors={"starts_at": "overlaps another"})
        made = ScheduledTime.objects.create(agent=agent, kind=kind, starts_at=starts_at, ends_at=ends_at)
        activities.record("schedule.added", by=by, agent=agent.pk, kind=kind, starts_at=starts_at.isoformat())
    return made


def cancel(planned: ScheduledTime, *, by: User) -> None:
    """Take a stretch out of the plan."""
    with transaction.atomic():
        activities.record("schedule.removed", by=by, agent=planned.agent_id, kind=planned.kind)
        planned.delete()


def add_reason(*, by: User, **given: object) -> PresenceReason:
    """A new reason of our own to be away."""
    with transaction.atomic():
        made = PresenceReason.objects.create(**given)
        activities.record("presence_reason.created", by=by, slug=made.slug)
    return made


def edit_reason(reason: PresenceReason, changes: dict, *, by: User) -> PresenceReason:
    """Rename it, move its limit, retire it or take it back."""
    with transaction.atomic():
        for name, value in changes.items():
            setattr(reason, name, value)
        reason.save(update_fields=list(changes))
        activities.record("presence_reason.edited", by=by, slug=reason.slug, fields=sorted(changes))
    return reason
