"""What agents chose, and what we know of them: available, silent, back."""

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
from routing.models import Agent
from routing.services import assignments, work_items

SILENT_WITHOUT_SOCKET = 105  # s: polling clients say less often that they are there
REACHABLE_ON_SOCKET = 30
REACHABLE_WITHOUT_SOCKET = 60


def agent_of(user: User) -> Agent:
    """The agent side of a user, or NotFound."""
    found = Agent.objects.select_related("user").filter(user=user).first()
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


def choose(agent: Agent, state: str, *, by: User, reason: str = "") -> Agent:
    """Set what the agent chose. Any choice is a sign of life and ends *not responding*; leaving returns open offers."""
    if state not in PresenceState.values:
        raise InvalidInput("Unknown state.", errors={"state": "is not one of the presence states"})
    with transaction.atomic():
        agent = (
            Agent.objects.select_for_update(no_key=True, of=("self",)).select_related("user").get(pk=agent.pk)
        )
        now = rows.run("SELECT now()")[0][0]
        changed = agent.chosen != state
        if by.pk == agent.user_id:
            agent.seen_at = now
        agent.silent, agent.blocked_families, agent.missed_in_row = False, [], 0
        agent.chosen, agent.chosen_reason = state, reason[:100]
        if changed:
            agent.chosen_since = now
            agent.idle_since = now
            agent.intervals.filter(ended_at=None).update(ended_at=now)
            agent.intervals.create(chosen=state, reason=reason[:100])
        agent.save()
        if state != PresenceState.AVAILABLE:
            assignments.return_offers_of([agent.pk], state)
        if by.pk != agent.user_id:
            activities.record("presence.set", by=by, agent=agent.pk, state=state)
        _say([(agent.pk, agent.user_id)])
    return agent


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
