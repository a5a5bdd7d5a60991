"""What agents chose, and what we know of them: available, silent, back."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from crm import rows
from crm.access import EVERYWHERE, TEAMS, Permission, granted
from crm.bus import publish
from crm.choices import Role
from crm.errors import InvalidInput, NotFound
from crm.models import User
from crm.services import activities, interactions
from routing import events
from routing.choices import Doing, PresenceState
from routing.models import Agent, PresenceReason
from routing.services import assignments, work_items

SILENT_WITHOUT_SOCKET = 105  # s: polling clients say less often that they are there
REACHABLE_ON_SOCKET = 30
REACHABLE_WITHOUT_SOCKET = 60


def agent_of(user: User) -> Agent:
    """The agent side of a user, or NotFound."""
    found = Agent.objects.select_related("user", "own_reason", "then_reason").filter(user=user).first()
    if found is None:
        raise NotFound("You take no work here.")
    return found


def doing(agent: Agent, offered: int, accepted: int, wrapping: int = 0) -> str:
    """What the agent is doing now, beside what he chose; `wrapping` of the `accepted` wait only for their codes."""
    if agent.silent or agent.blocked_families:
        return Doing.NOT_RESPONDING
    if offered:
        return Doing.OFFERED
    if wrapping and wrapping == accepted:
        return Doing.WRAP_UP
    return Doing.IN_WORK if accepted else Doing.IDLE


def shown(agent: Agent, doing_now: str) -> dict:
    """What he chose, since and until when, what comes then, and what he is doing: for desk and API alike."""
    then = None
    if agent.then_state:
        then = {
            "state": agent.then_reason.slug if agent.then_reason else agent.then_state,
            "after": agent.then_after,
        }
    return {
        "state": agent.own_reason.slug if agent.own_reason else agent.chosen,
        "doing": str(doing_now),
        "since": agent.chosen_since,
        "until": agent.chosen_until,
        "reason": "silent" if agent.silent else agent.chosen_reason,
        "then": then,
    }


def choose(agent: Agent, state: str, *, by: User, reason: str = "", after: str = "") -> Agent:
    """Set what the agent chose: a state, or the slug of an own reason. Any choice is a sign of life.

    It ends *not responding* and returns open offers of who leaves. With `after` it begins when this piece of work ends
    (`this`), or all that is in hand (`all`): no new work comes until then, and another choice takes it back.
    """
    own = None if state in PresenceState.values else _own_reason(state)
    with transaction.atomic():
        agent = (
            Agent.objects.select_for_update(no_key=True, of=("self",))
            .select_related("user", "own_reason", "then_reason")
            .get(pk=agent.pk)
        )
        now = rows.run("SELECT now()")[0][0]
        if by.pk == agent.user_id:
            agent.seen_at = now
        agent.silent, agent.blocked_families, agent.missed_in_row = False, [], 0
        wanted = own.state if own else state
        holding = _holding(agent) if after and wanted != agent.chosen else 0
        if holding:
            _plan(agent, wanted, own, after, holding)
        else:
            _become(agent, wanted, own, reason, now)
        agent.save(update_fields=_CHOSEN)
        if holding or wanted != PresenceState.AVAILABLE:
            assignments.return_offers_of([agent.pk], state)
        if by.pk != agent.user_id:
            activities.record("presence.set", by=by, agent=agent.pk, state=state)
        _say([(agent.pk, agent.user_id)])
    return agent


_CHOSEN = (
    "seen_at", "silent", "blocked_families", "missed_in_row", "chosen", "chosen_since", "chosen_reason", "chosen_until",
    "own_reason", "over_told", "idle_since", "then_state", "then_after", "then_holding", "then_until", "then_reason",
)  # fmt: skip


def _own_reason(slug: str) -> PresenceReason:
    found = PresenceReason.objects.filter(slug=slug, retired=False).first()
    if found is None:
        raise InvalidInput("Unknown state.", errors={"state": "is no presence state and no reason of ours"})
    return found


def _holding(agent: Agent) -> int:
    """What he has in hand that costs him something: parked work keeps nobody."""
    return agent.assignments.filter(status="accepted", units__gt=0).count()


def _plan(agent: Agent, state: str, own: PresenceReason | None, after: str, holding: int) -> None:
    agent.then_state, agent.then_after, agent.then_holding = state, after, holding
    agent.then_reason, agent.then_until = own, None


def _become(agent: Agent, state: str, own: PresenceReason | None, reason: str, now: datetime) -> None:
    changed = (agent.chosen, agent.own_reason_id) != (state, own.pk if own else None)
    reason = (reason or (own.name if own else ""))[:100]
    agent.chosen, agent.own_reason, agent.chosen_reason = state, own, reason
    agent.then_state, agent.then_after, agent.then_holding = "", "", 0
    agent.then_reason = agent.then_until = None
    if changed:
        limit = own.limit_minutes if own else None
        agent.chosen_until = now + timedelta(minutes=limit) if limit else None
        agent.chosen_since = agent.idle_since = now
        agent.over_told = False
        agent.intervals.filter(ended_at=None).update(ended_at=now)
        agent.intervals.create(chosen=state, reason=reason)


def _say(agents: list[tuple[int, int]]) -> None:
    work_items.changed(agents=[agent for agent, _ in agents])
    publish(*[events.PresenceChanged(agent_id=agent) for agent, _ in agents])
    interactions.tell([(f"desk:{user}", "presence.changed", {}) for _, user in agents])


_BEAT = """
WITH known AS (
    SELECT id, user_id, silent FROM routing_agent WHERE user_id = ANY(%s) ORDER BY id FOR NO KEY UPDATE {how}
)
UPDATE routing_agent a SET seen_at = now(), seen_on_socket = %s, silent = false
FROM known k WHERE a.id = k.id RETURNING a.id, a.user_id, k.silent
"""


def beat(user_ids: list[int], *, socket: bool) -> None:
    """Signs of life of many users in one statement; who was silent is back."""
    wanted = sorted(set(user_ids))
    heard = _beat(wanted, socket, "SKIP LOCKED")
    # Whoever is being offered something or clicks at this moment is waited for alone, with nobody else's row in hand.
    if busy := [user for user in wanted if user not in heard]:
        _beat(busy, socket, "")


def _beat(user_ids: list[int], socket: bool, how: str) -> set[int]:
    with transaction.atomic():
        back = rows.run(_BEAT.format(how=how), (user_ids, socket))
        returned = [(agent, user) for agent, user, silent in back if silent]
        if returned:
            _say(returned)
    return {user for _, user, _ in back}


def drop_silent() -> int:
    """Agents of whom nothing was heard: *not responding* (reason `silent`), offers return, assignments stay."""
    with transaction.atomic():
        gone = rows.run(
            """
            UPDATE routing_agent SET silent = true WHERE id IN (
                SELECT id FROM routing_agent WHERE NOT silent AND chosen = 'available' AND
                    (seen_at IS NULL OR seen_at < now() - make_interval(secs => CASE WHEN seen_on_socket THEN %s ELSE %s END))
                ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
            ) RETURNING id, user_id
            """,
            (settings.SILENT_SECONDS, SILENT_WITHOUT_SOCKET),
        )
        if gone:
            assignments.return_offers_of([agent for agent, _ in gone], "silent")
            _say(gone)
    return len(gone)


def may_set(user: User, agent: Agent) -> bool:
    """Own presence, or that of an agent in the team one leads."""
    if user.pk == agent.user_id or user.role == Role.ADMINISTRATOR:
        return True
    given, team = granted(user, Permission.SUPERVISE), agent.user.team_id
    if EVERYWHERE in given or team in given.get(TEAMS, ()):
        return True
    return user.role == Role.SUPERVISOR and (user.team_id is None or user.team_id == team)
