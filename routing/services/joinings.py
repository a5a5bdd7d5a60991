"""A second person in a thread (`practice.md` 1.7): consult, conference, and the warm transfer, in which the sender stays.

The hold has one owner all the while, and a joining costs no units: load stays the sum of open assignments, and what the
second one gives is time, counted from his coming to his going (`Joining.seconds`) beside the owner's. While he is in a call
with the owner he is in a call for the distributor too, and gets nothing.
"""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from crm import rows
from crm.access import Permission, may
from crm.bus import publish
from crm.errors import Conflict, NotFound
from crm.models import User
from crm.services import activities, interactions, messages, streams
from routing import events
from routing.choices import AssignmentStatus, JoiningKind, PresenceState
from routing.models import Agent, Assignment, Joining, WorkItem
from routing.services import assignments, hands, work_items

ASKS = {
    JoiningKind.CONSULT: "asks you for a word on",
    JoiningKind.CONFERENCE: "asks you to answer too on",
    JoiningKind.WARM: "wants to hand you",
}

# Only what still waits for an answer, of work that its owner still has.
_ACCEPT = """
UPDATE routing_joining j SET joined_at = greatest(now(), j.asked_at) FROM routing_assignment a
WHERE j.id = %s AND j.joined_at IS NULL AND j.ended_at IS NULL AND j.expires_at > now() AND a.id = j.assignment_id
    AND a.status = 'accepted' RETURNING j.id
"""

_END = """
UPDATE routing_joining SET ended_at = now(), ended_why = left(%s, 100)
WHERE id = %s AND ended_at IS NULL AND (%s::boolean IS NULL OR (joined_at IS NOT NULL) = %s::boolean) RETURNING id
"""

# What is over by itself: nobody answered, the owner has it no longer, or who came is gone.
_OVER = """
UPDATE routing_joining j SET ended_at = now(), ended_why = o.why FROM (
    SELECT n.id, CASE WHEN a.status <> 'accepted' THEN 'the work moved on' WHEN n.joined_at IS NULL AND n.expires_at <= now()
        THEN 'no answer' ELSE 'away' END AS why
    FROM routing_joining n JOIN routing_assignment a ON a.id = n.assignment_id JOIN crm_user u ON u.id = n.user_id
    LEFT JOIN routing_agent g ON g.user_id = n.user_id
    WHERE n.ended_at IS NULL AND (a.status <> 'accepted' OR (n.joined_at IS NULL AND n.expires_at <= now())
        OR NOT u.is_active OR (n.user_id <> n.by_id AND (g.silent OR g.chosen = 'offline')))
    ORDER BY n.id LIMIT 500 FOR NO KEY UPDATE OF n SKIP LOCKED
) o WHERE j.id = o.id AND j.ended_at IS NULL RETURNING j.id
"""

# The sender of a warm transfer was lost while his receiver is in: the work waits, and the receiver stays with it.
_LEFT_ALONE = """
SELECT n.id, n.user_id, a.work_item_id FROM routing_joining n JOIN routing_assignment a ON a.id = n.assignment_id
JOIN routing_workitem w ON w.id = a.work_item_id
WHERE n.ended_at IS NULL AND n.joined_at IS NOT NULL AND n.kind = 'warm' AND a.status = 'withdrawn' AND w.status = 'waiting'
ORDER BY n.id LIMIT 100
"""

_SHOWN = """
SELECT j.id, j.kind, j.joined_at IS NOT NULL AS joined, j.asked_at, j.joined_at, j.expires_at, a.work_item_id AS work_item,
    w.interaction_id AS interaction, i.customer_id AS customer, 1000 + t.id AS number, t.subject, c.kind AS channel,
    coalesce(nullif(u.name, ''), u.email) AS owner
FROM routing_joining j JOIN routing_assignment a ON a.id = j.assignment_id AND a.status = 'accepted'
JOIN routing_workitem w ON w.id = a.work_item_id JOIN crm_interaction i ON i.id = w.interaction_id
JOIN crm_ticket t ON t.id = i.ticket_id JOIN crm_channel c ON c.id = i.channel_id
JOIN routing_agent g ON g.id = a.agent_id JOIN crm_user u ON u.id = g.user_id
WHERE j.user_id = %s AND j.ended_at IS NULL AND (j.joined_at IS NOT NULL OR j.expires_at > now()) ORDER BY j.id
"""


def ask_in(work_item_id: int, *, by: User, agent: Agent, kind: str, note: str = "") -> Joining:
    """Ask a colleague into the thread of work in one's own hand; he has the channel's offer time to answer.

    409 `not_held`, `own_work`, `not_available`, `may_not_see` (he has no right there), `already_asked` (him, or another as
    receiver of a warm transfer). The note stands in the thread.
    """
    held = _in_hand(work_item_id, by)
    contact = held.work_item.interaction
    if agent.user_id == by.pk:
        raise Conflict("It is yours.", code="own_work")
    if agent.chosen != PresenceState.AVAILABLE or agent.silent or not agent.user.is_active:
        raise Conflict(f"{agent} is not there now.", code="not_available")
    right = Permission.READ_WORK if kind == JoiningKind.CONSULT else Permission.REPLY
    if not may(agent.user, right, contact):
        raise Conflict(f"{agent} has no right to this thread.", code="may_not_see")
    family, queue = held.work_item.family, held.work_item.queue
    seconds = work_items.offer_seconds(family, queue.offer_seconds)
    try:
        with transaction.atomic():
            made = _make(held, agent.user, by, kind, seconds)
            words = f"{by} {ASKS[JoiningKind(kind)]} #{contact.ticket.number}"
            _say(made, "joining.asked", by, words, to=agent.user_id, colleague=agent.user_id, kind=kind)
    except IntegrityError as error:
        raise Conflict("Somebody is asked in already.", code="already_asked") from error
    if note.strip():
        messages.note(contact, by=by, text=note)
    return made


def _in_hand(work_item_id: int, by: User) -> Assignment:
    found = (
        Assignment.objects.filter(work_item=work_item_id, status=AssignmentStatus.ACCEPTED, agent__user=by)
        .select_related(
            "work_item__queue",
            "work_item__interaction__ticket",
            "work_item__interaction__team",
            "work_item__interaction__channel",
            "agent",
        )  # fmt: skip
        .first()
    )
    if found is None or found.work_item.interaction is None:
        raise Conflict("You do not hold it.", code="not_held")
    if found.parked_at or found.wrap_up_at:
        raise Conflict("It is aside, or over.", code="not_in_hand")
    return found


def _make(held: Assignment, user: User, by: User, kind: str, seconds: float) -> Joining:
    found = rows.run("SELECT now(), now() + make_interval(secs => %s)", (seconds,))
    now, until = found[0]
    return Joining.objects.create(
        assignment=held, user=user, by=by, kind=kind, asked_at=now, expires_at=until,
        joined_at=now if user == by else None,
    )  # fmt: skip


def join(item: WorkItem, *, by: User) -> Joining:
    """Come in by oneself, beside the agent whom one leads: both may answer, the owner stays the owner."""
    held = hands.of_another(item, by)
    try:
        with transaction.atomic():
            made = _make(held, by, by, str(JoiningKind.CONFERENCE), 0)
            words = f"{by} is in the thread with you."
            _say(made, "joining.joined", by, words, to=held.agent.user_id, kind=made.kind)
    except IntegrityError as error:
        raise Conflict("You are in already.", code="already_joined") from error
    return made


def accept(joining: Joining, *, by: User) -> Joining:
    """Come in; 409 `request_over` when nobody waits for it any more."""
    _check_asked(joining, by)
    with transaction.atomic():
        if not rows.run(_ACCEPT, (joining.pk,)):
            raise Conflict("Nobody waits for it any more.", code="request_over")
        _say(joining, "joining.joined", by, f"{by} is in the thread with you.", to=joining.by_id)
    joining.refresh_from_db()
    return joining


def decline(joining: Joining, *, by: User, reason: str) -> Joining:
    """Not now: who asked hears why, and keeps the work."""
    _check_asked(joining, by)
    with transaction.atomic():
        if not rows.run(_END, (f"declined: {reason}", joining.pk, False, False)):
            raise Conflict("Nobody waits for it any more.", code="request_over")
        _say(joining, "joining.declined", by, f"{by} cannot: {reason}", to=joining.by_id, reason=reason)
    joining.refresh_from_db()
    return joining


def _check_asked(joining: Joining, by: User) -> None:
    if joining.user_id != by.pk:
        raise NotFound("There is no such request for you.")


def end(joining: Joining, *, by: User) -> Joining:
    """Leave, hand back, or part: by who came, by the owner, or by who leads him. The owner goes on alone."""
    owner = joining.assignment.agent.user_id
    contact = joining.assignment.work_item.interaction
    if by.pk not in (joining.user_id, owner) and not may(by, Permission.SUPERVISE, contact):
        raise NotFound("There is no such request for you.")
    why = (
        ("handed back" if joining.kind == JoiningKind.WARM else "left")
        if by.pk == joining.user_id
        else "ended"
    )
    with transaction.atomic():
        if not rows.run(_END, (why, joining.pk, None, None)):
            raise Conflict("It is over.", code="request_over")
        other = owner if by.pk == joining.user_id else joining.user_id
        words = f"{by} {'handed back' if why == 'handed back' else 'left'} #{contact.ticket.number}"
        _say(joining, "joining.ended", by, words, to=other, why=why)
    joining.refresh_from_db()
    return joining


def take_over(joining: Joining, *, by: User) -> Assignment:
    """The receiver of a warm transfer has it from now on; within his capacity, and only from who asked him.

    409 `not_joined` before he is in, `no_capacity` without room: then the sender keeps it.
    """
    _check_asked(joining, by)
    if joining.kind != JoiningKind.WARM or joining.state != "joined":
        raise Conflict("Nobody hands it to you in person.", code="not_joined")
    made = assignments.take_over(
        joining.assignment.work_item_id,
        by=by,
        hold=joining.assignment_id,
        over=0,
        why="handed over in person",
    )
    # By itself, as both tell streams; if we die between, `keep` ends it.
    with transaction.atomic():
        rows.run(_END, ("taken over", joining.pk, None, None))
        _say(joining, "joining.ended", by, f"{by} has it now.", to=joining.by_id, why="taken over")
    return made


def keep() -> int:
    """Once a second: what nobody answered, whose owner has it no longer, or who is gone, is over; returns how many.

    Whose sender fell silent while both were in takes the work on, if he has room; without it goes to its queue with its age.
    """
    for _, user, item in rows.run(_LEFT_ALONE):
        _stay(User.objects.get(pk=user), item)
    with transaction.atomic():
        over = [row[0] for row in rows.run(_OVER)]
        ended = Joining.objects.filter(pk__in=over).select_related("assignment__work_item", "user")
        told: list[streams.Telling] = []
        for one in ended:
            words = "" if one.ended_why == "the work moved on" else f"{one.user} is not in: {one.ended_why}."
            to = one.by_id if one.by_id != one.user_id else None
            told += _moved(one, "joining.ended", None, words, to=to, why=one.ended_why)
        if told:
            interactions.tell(told)
    return len(over)


def _stay(user: User, item: int) -> None:
    try:
        assignments.claim(item, by=user, why={"reason": "stayed with it when its sender was lost"})
    except (Conflict, NotFound):
        return  # no room: it waits, with its age


def _say(one: Joining, verb: str, by: User | None, words: str, *, to: int | None, **data: Any) -> None:
    """A line of history, and the news to both desks and the thread; the last statement of a change."""
    interactions.tell(_moved(one, verb, by, words, to=to, **data))


def _moved(
    one: Joining, verb: str, by: User | None, words: str, *, to: int | None, **data: Any
) -> list[streams.Telling]:
    contact = one.assignment.work_item.interaction_id
    activities.record(verb, by=by, interaction_id=contact, joining=one.pk, **data)
    agents = list(Agent.objects.filter(user=one.user_id).values_list("pk", flat=True))
    work_items.changed(agents=agents)
    publish(*[events.PresenceChanged(agent_id=agent) for agent in agents])
    told: list[streams.Telling] = [
        (f"desk:{user}", "presence.changed", {}) for user in sorted({one.user_id, one.by_id})
    ]
    if to and words:
        told.append((f"desk:{to}", "alert", {"text": words, "interaction": contact}))
    return [*told, (f"interaction:{contact}", "interaction.updated", {"interaction": contact})]


def of_desk(user: User) -> list[dict]:
    """Whom others ask in, or have in: for the desk of who was asked; one statement."""
    return rows.dicts(_SHOWN, (user.pk,))


def visible_to(user: User, found: QuerySet[Joining]) -> QuerySet[Joining]:
    """One's own, and those of work that one may see."""
    seen = WorkItem.objects.visible_to(user)
    return found.filter(Q(user=user) | Q(assignment__work_item__in=seen))


def of_holds(assignment_ids: list[int]) -> dict[int, list[Joining]]:
    """Who is asked or in, by hold, for pages of threads; one statement."""
    found: dict[int, list[Joining]] = {}
    for one in Joining.objects.filter(assignment__in=assignment_ids, ended_at=None).select_related(
        "user", "by"
    ):
        found.setdefault(one.assignment_id, []).append(one)
    return found
