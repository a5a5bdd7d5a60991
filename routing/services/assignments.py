"""An agent's hold of a work item: accepted, declined, missed, handed on, completed. Each step guarded by its statement."""

from django.db import transaction

from crm import rows
from crm.access import Permission, may_somewhere, work_filter
from crm.bus import publish
from crm.errors import Conflict, InvalidInput, NotFound
from crm.events import InteractionClosed
from crm.models import User
from crm.services import activities, codes, interactions, messages, streams
from routing import events
from routing.choices import AssignmentStatus
from routing.models import Agent, Assignment, Queue, Skill, WorkItem
from routing.services import work_items

# The order of locks, here and in all that ends or moves a hold: contact, agent, hold, item. Each step asks again of the
# row it changes, so that of two who come at once the second finds nothing.
_ACCEPT = rows.with_columns(
    """
    WITH contact AS MATERIALIZED (
        SELECT i.id FROM routing_assignment a JOIN routing_workitem w ON w.id = a.work_item_id
        JOIN crm_interaction i ON i.id = w.interaction_id WHERE a.id = %(id)s::bigint FOR NO KEY UPDATE OF i
    ), agent AS MATERIALIZED (
        SELECT g.id FROM routing_assignment a JOIN routing_agent g ON g.id = a.agent_id
        WHERE a.id = %(id)s::bigint AND g.user_id = %(user)s::bigint AND (SELECT count(*) FROM contact) >= 0
        FOR NO KEY UPDATE OF g
    ), mine AS (
        UPDATE routing_assignment a SET status = 'accepted', accepted_at = greatest(now(), offered_at) FROM agent
        WHERE a.id = %(id)s::bigint AND a.agent_id = agent.id AND a.status = 'offered' AND a.expires_at > now() RETURNING a.*
    ), item AS (
        UPDATE routing_workitem w SET status = 'assigned', accepted_at = coalesce(w.accepted_at, now()), sent_by_id = NULL
        FROM mine WHERE w.id = mine.work_item_id RETURNING w.interaction_id
    ), answered AS (
        UPDATE routing_agent g SET missed_in_row = 0, blocked_families = '[]' FROM mine
        WHERE g.id = mine.agent_id AND (g.missed_in_row <> 0 OR g.blocked_families <> '[]')
    )
    SELECT item.interaction_id, {mine} FROM mine, item
    """,
    mine=Assignment,
)

# Whoever holds the item, if it is the caller or he may supervise.
_END = rows.with_columns(
    """
    WITH held AS MATERIALIZED (
        SELECT a.id, a.agent_id, g.user_id, a.units, a.work_item_id, w.interaction_id
        FROM routing_assignment a JOIN routing_agent g ON g.id = a.agent_id JOIN routing_workitem w ON w.id = a.work_item_id
        WHERE a.work_item_id = %(item)s::bigint AND a.status = 'accepted' AND (g.user_id = %(user)s::bigint OR %(any)s::boolean)
    ), contact AS MATERIALIZED (
        SELECT i.id FROM held JOIN crm_interaction i ON i.id = held.interaction_id FOR NO KEY UPDATE OF i
    ), agent AS MATERIALIZED (
        SELECT g.id FROM held JOIN routing_agent g ON g.id = held.agent_id WHERE (SELECT count(*) FROM contact) >= 0
        FOR NO KEY UPDATE OF g
    ), ended AS (
        UPDATE routing_assignment a SET status = %(status)s::text, ended_at = now(), reason = left(%(reason)s::text, 100)
        FROM held, agent WHERE a.id = held.id AND a.status = 'accepted' RETURNING a.id
    ), freed AS (
        UPDATE routing_agent g SET load = g.load - held.units,
            idle_since = CASE WHEN g.load - held.units <= 0 THEN now() ELSE g.idle_since END
        FROM held, ended WHERE g.id = held.agent_id
    ), item AS (
        UPDATE routing_workitem w SET status = %(becomes)s::text, outcome = %(outcome)s::text,
            done_at = CASE WHEN %(becomes)s::text = 'done' THEN now() END,
            reason = CASE WHEN %(becomes)s::text = 'done' THEN %(reason)s::text ELSE '' END
        FROM held, ended WHERE w.id = held.work_item_id RETURNING w.*
    )
    SELECT held.id, held.agent_id, held.user_id, held.work_item_id, held.interaction_id, {item}, {q}
    FROM held, ended, item JOIN routing_queue q ON q.id = item.queue_id
    """,
    item=WorkItem,
    q=Queue,
)

_MOVED = 5  # columns before those of the item


def _mine(assignment_id: int, user: User) -> Assignment:
    found = (
        Assignment.objects.filter(pk=assignment_id, agent__user=user)
        .select_related("work_item", "agent")
        .first()
    )
    if found is None:
        raise NotFound("There is no such offer for you.")
    return found


def holder_of(work_item_id: int) -> str | None:
    """Who holds or is offered an item now, by name."""
    live_one = (
        Assignment.objects.filter(work_item_id=work_item_id, status__in=["offered", "accepted"])
        .select_related("agent__user")
        .first()
    )
    return str(live_one.agent.user) if live_one else None


def accept(assignment_id: int, *, by: User) -> Assignment:
    """Take an offer: once. Again is `already_yours`; an offer that is over is `offer_gone` with who has it."""
    with transaction.atomic():
        taken = rows.kept(_ACCEPT, {"id": assignment_id, "user": by.pk})
        if not taken:
            raise _not_taken(_mine(assignment_id, by))
        interaction_id, mine = taken[0][0], rows.made(Assignment, taken[0][1:])
        interactions.assign([(interaction_id, by.pk)])
        activities.record("offer.accepted", by=by, interaction_id=interaction_id, assignment=assignment_id)
        say_moved(
            [(assignment_id, mine.agent_id, by.pk, mine.work_item_id, interaction_id)],
            "assignment.started",
            "accepted",
        )
    return mine


# As in _ACCEPT; whom somebody holds at this moment comes the next time, and until then it is an offer like any other.
_GIVE = """
WITH ringing AS MATERIALIZED (
    SELECT a.id, a.agent_id, w.interaction_id FROM routing_assignment a JOIN routing_workitem w ON w.id = a.work_item_id
    JOIN routing_queue q ON q.id = w.queue_id WHERE a.status = 'offered' AND a.expires_at > now() AND q.mode = 'auto'
), contacts AS MATERIALIZED (
    SELECT i.id FROM crm_interaction i WHERE i.id IN (SELECT interaction_id FROM ringing)
    ORDER BY i.id FOR NO KEY UPDATE SKIP LOCKED
), agents AS MATERIALIZED (
    SELECT g.id, g.user_id FROM routing_agent g WHERE g.id IN (SELECT agent_id FROM ringing)
        AND (SELECT count(*) FROM contacts) >= 0 ORDER BY g.id FOR NO KEY UPDATE SKIP LOCKED
), mine AS (
    UPDATE routing_assignment a SET status = 'accepted', accepted_at = greatest(now(), offered_at)
    FROM ringing r JOIN agents g ON g.id = r.agent_id
    WHERE a.id = r.id AND a.status = 'offered' AND (r.interaction_id IS NULL OR r.interaction_id IN (SELECT id FROM contacts))
    RETURNING a.id, a.agent_id, a.work_item_id, g.user_id
), item AS (
    UPDATE routing_workitem w SET status = 'assigned', accepted_at = coalesce(w.accepted_at, now())
    FROM mine WHERE w.id = mine.work_item_id RETURNING w.id, w.interaction_id
)
SELECT m.id, m.agent_id, m.user_id, m.work_item_id, item.interaction_id FROM mine m JOIN item ON item.id = m.work_item_id
ORDER BY m.id
"""


def give_unasked() -> int:
    """Open offers of queues that do not ask become the agents' work, in one statement; returns how many."""
    with transaction.atomic():
        given = rows.run(_GIVE)
        if given:
            interactions.assign([(row[4], row[2]) for row in given if row[4]])
            activities.record_contacts(
                "work_item.given",
                [(row[4], {"assignment": row[0], "agent": row[1]}) for row in given if row[4]],
            )
            say_moved(given, "assignment.started", "accepted")
    return len(given)


def _not_taken(mine: Assignment) -> Conflict:
    if mine.status == AssignmentStatus.ACCEPTED:
        return Conflict("You have it already.", code="already_yours")
    return Conflict("The offer is over.", code="offer_gone", holder=holder_of(mine.work_item_id))


def say_moved(
    ended: list[tuple], kind: str, status: str, reason: str = "", first: list[streams.Telling] = ()
) -> None:
    """Say what happened to holds: rows of (assignment, agent, user, work item, interaction), after what is told `first`."""
    work_items.changed(work_items=[row[3] for row in ended], agents=[row[1] for row in ended])
    publish(*[events.AssignmentMoved(assignment_id=row[0], user_id=row[2], status=status) for row in ended])
    tellings: list[streams.Telling] = [*first]
    for assignment, _, user, work_item, interaction in ended:
        if kind.startswith("offer."):
            data = {"offer": assignment, "reason": reason}
        else:
            data = {
                "assignment": assignment,
                "work_item": work_item,
                "interaction": interaction,
                "reason": reason,
            }
        tellings.append((f"desk:{user}", kind, data))
        tellings.append(
            (streams.EVENTS, f"assignment.{status}", {"assignment": assignment, "work_item": work_item})
        )
        if interaction:
            tellings.append(
                (f"interaction:{interaction}", "interaction.updated", {"interaction": interaction})
            )
    interactions.tell(tellings)


def decline(assignment_id: int, *, by: User, reason: str) -> None:
    """Give an offer back with a reason; it returns to its place with its age and is offered to others first."""
    if not reason.strip():
        raise InvalidInput("A decline needs a reason.", errors={"reason": "is required"})
    with transaction.atomic():
        mine = _mine(assignment_id, by)
        ended = _end_offers([assignment_id], AssignmentStatus.DECLINED, reason[:100])
        if not ended:
            raise Conflict("The offer is over.", code="offer_gone", holder=holder_of(mine.work_item_id))
        activities.record(
            "offer.declined", by=by, interaction_id=ended[0][4], assignment=assignment_id, reason=reason
        )
        told = _refusals(ended, "declined")
        say_moved([row[:5] for row in ended], "offer.withdrawn", "declined", "declined", first=told)


def _end_offers(ids: list[int], status: str, reason: str) -> list[tuple]:
    """End open offers and put their items back where they were; agents first, as the order of locks says."""
    rows.run(
        "SELECT id FROM routing_agent WHERE id IN (SELECT agent_id FROM routing_assignment WHERE id = ANY(%s)) "
        "ORDER BY id FOR NO KEY UPDATE",
        (ids,),
    )
    return rows.run(
        """
        WITH ended AS (
            UPDATE routing_assignment SET status = %s, ended_at = now(), reason = %s
            WHERE id = ANY(%s) AND status = 'offered' RETURNING id, agent_id, units, work_item_id
        ), back AS (
            UPDATE routing_workitem w SET status = 'waiting', refused_by = w.refused_by || to_jsonb(e.agent_id)
            FROM ended e WHERE w.id = e.work_item_id AND w.status = 'offered' RETURNING w.id, w.interaction_id, w.family
        ), freed AS (
            UPDATE routing_agent g SET load = g.load - e.units,
                idle_since = CASE WHEN g.load - e.units <= 0 THEN now() ELSE g.idle_since END
            FROM (SELECT agent_id, sum(units) AS units FROM ended GROUP BY agent_id) e WHERE g.id = e.agent_id
            RETURNING g.id, g.user_id
        )
        SELECT e.id, e.agent_id, f.user_id, e.work_item_id, b.interaction_id, b.family
        FROM ended e JOIN freed f ON f.id = e.agent_id LEFT JOIN back b ON b.id = e.work_item_id
        """,
        (status, reason, ids),
    )


def expire(limit: int = 500) -> int:
    """Offers whose time ran out: items back to their place, agents *not responding* (`practice.md` 2.2).

    The first miss blocks that channel family, a second in a row all of them, until the agent clicks.
    """
    with transaction.atomic():
        due = rows.run(
            "SELECT id FROM routing_assignment WHERE status = 'offered' AND expires_at <= now() ORDER BY expires_at LIMIT %s",
            (limit,),
        )
        if not due:
            return 0
        ended = _end_offers([row[0] for row in due], AssignmentStatus.MISSED, "no answer")
        for _, agent, _, _, _, family in ended:
            rows.run(
                "UPDATE routing_agent SET missed_in_row = missed_in_row + 1, blocked_families = CASE "
                'WHEN missed_in_row + 1 >= 2 THEN \'["voice", "chat", "message", "social", "mail"]\'::jsonb '
                "ELSE blocked_families || to_jsonb(%s::text) END WHERE id = %s",
                (family, agent),
            )
        publish(*[events.PresenceChanged(agent_id=row[1]) for row in ended])
        told = _refusals(ended, "did not answer to")
        say_moved([row[:5] for row in ended], "offer.expired", "missed", "no answer", first=told)
    return len(ended)


def return_offers_of(agent_ids: list[int], reason: str) -> None:
    """Take back the open offers of agents who left or went silent, without blaming them for a miss."""
    open_offers = rows.run(
        "SELECT id FROM routing_assignment WHERE agent_id = ANY(%s) AND status = 'offered' ORDER BY id",
        (agent_ids,),
    )
    if open_offers:
        ended = _end_offers([row[0] for row in open_offers], AssignmentStatus.WITHDRAWN, reason)
        say_moved([row[:5] for row in ended], "offer.withdrawn", "withdrawn", reason)


def _end(
    work_item_id: int, by: User, status: str, becomes: str, reason: str, outcome: str
) -> tuple[tuple, WorkItem]:
    """End the accepted hold of an item: the caller's own, or anybody's of what a supervisor may see.

    Returns (assignment, agent, user, work item, interaction), and the item as it is now.
    """
    given = {
        "item": work_item_id, "user": by.pk, "any": False, "status": str(status), "becomes": becomes, "reason": reason,
        "outcome": outcome,
    }  # fmt: skip
    ended = rows.kept(_END, given)
    if not ended:
        if not WorkItem.objects.visible_to(by).filter(pk=work_item_id).exists():
            raise NotFound("There is no such item, or it is not yours to see.")
        if _supervises(by, work_item_id):
            ended = rows.kept(_END, {**given, "any": True})
    if not ended:
        if holder := _accepted_by(work_item_id):
            raise Conflict("Somebody else holds it.", code="taken", holder=holder)
        raise Conflict("Nobody holds this item now.", code="not_held")
    item = rows.made(WorkItem, ended[0][_MOVED : _MOVED + len(WorkItem._meta.concrete_fields)])
    item.queue = rows.made(Queue, ended[0][-len(Queue._meta.concrete_fields) :])
    return ended[0][:_MOVED], item


def _supervises(by: User, work_item_id: int) -> bool:
    over = WorkItem.objects.filter(work_filter(by, "interaction__", Permission.SUPERVISE))
    return may_somewhere(by, Permission.SUPERVISE) and over.filter(pk=work_item_id).exists()


def _accepted_by(work_item_id: int) -> str | None:
    held = Assignment.objects.filter(work_item_id=work_item_id, status=AssignmentStatus.ACCEPTED)
    found = held.select_related("agent__user").first()
    return str(found.agent.user) if found else None


def complete(work_item_id: int, *, by: User, reason: str, outcome: str) -> WorkItem:
    """Finish an item with its two codes; the interaction is closed and the agent has room again.

    A queue that asks for no codes takes an item without: it is *not coded*.
    """
    brands = codes.check(reason, outcome)
    with transaction.atomic():
        moved, item = _end(work_item_id, by, AssignmentStatus.COMPLETED, "done", reason, outcome)
        if item.queue.codes_required and not (reason and outcome):
            missing = {
                name: "is required here"
                for name, code in (("reason", reason), ("outcome", outcome))
                if not code
            }
            raise InvalidInput("This queue asks for both codes.", errors=missing)
        codes.check_brand(brands, item.interaction_id)
        told: list[streams.Telling] = []
        if item.interaction_id and interactions.close_open(
            item.interaction_id, by=by, reason=reason, outcome=outcome
        ):
            publish(InteractionClosed(interaction_id=item.interaction_id))
            told = interactions.closed_tellings(item.interaction_id)
        say_moved([moved], "assignment.ended", "completed", "completed", first=told)
    return item


_HAND_ON = """
UPDATE routing_workitem SET queue_id = coalesce(%(queue)s::bigint, queue_id), entered_at = now(), been_in = NULL,
    preferred_agent_id = %(agent)s::bigint,
    preferred_until = CASE WHEN %(agent)s::bigint IS NOT NULL THEN now() + interval '60 seconds' END,
    required_skills = CASE WHEN %(skill)s::text IS NULL THEN required_skills
        ELSE required_skills || jsonb_build_object(%(skill)s::text, 1) END,
    refused_by = coalesce((SELECT jsonb_agg(one) FROM jsonb_array_elements(refused_by) one
        WHERE one IS DISTINCT FROM to_jsonb(%(agent)s::bigint)), '[]') || to_jsonb(%(sender)s::bigint),
    sent_by_id = %(user)s::bigint, transfers = transfers + 1
WHERE id = %(item)s::bigint
"""


def transfer(
    work_item_id: int,
    *,
    by: User,
    queue: Queue | None = None,
    agent: Agent | None = None,
    skill: Skill | None = None,
    note: str = "",
) -> None:
    """Hand an item to a queue, a colleague, or whoever has a skill; its age is kept, and it is offered, not imposed.

    The note stands in the thread for whoever takes it. If the colleague refuses, the sender hears of it.
    """
    if sum(one is not None for one in (queue, agent, skill)) != 1:
        raise InvalidInput(
            "Name a queue, an agent or a skill.",
            errors={"queue": "one of queue, agent and skill is required"},
        )
    with transaction.atomic():
        moved, item = _end(
            work_item_id, by, AssignmentStatus.TRANSFERRED, "waiting", note or "transferred", ""
        )
        interaction_id = item.interaction_id
        given = {
            "item": work_item_id, "sender": moved[1], "user": by.pk, "queue": queue.pk if queue else None,
            "agent": agent.pk if agent else None, "skill": skill.code if skill else None,
        }  # fmt: skip
        rows.run(_HAND_ON, given)
        if interaction_id:
            interactions.assign([(interaction_id, None)])
        activities.record(
            "work_item.transferred", by=by, interaction_id=interaction_id, note=note,
            queue=queue.slug if queue else None, agent=given["agent"], skill=given["skill"],
        )  # fmt: skip
        publish(events.WorkItemQueued(work_item_id=work_item_id))
        say_moved([moved], "assignment.ended", "transferred", "transferred")
    _leave_note(item, by, note)


def _refusals(ended: list[tuple], how: str) -> list[streams.Telling]:
    """Whoever handed work to a colleague hears that he refused: rows of (assignment, agent, user, item, …)."""
    found = rows.run(
        "SELECT w.sent_by_id, 1000 + i.ticket_id, w.interaction_id, coalesce(nullif(u.name, ''), u.email) "
        "FROM unnest(%s::bigint[], %s::bigint[]) AS e(item, agent) "
        "JOIN routing_workitem w ON w.id = e.item AND w.preferred_agent_id = e.agent JOIN routing_agent g ON g.id = e.agent "
        "JOIN crm_user u ON u.id = g.user_id JOIN crm_interaction i ON i.id = w.interaction_id WHERE w.sent_by_id IS NOT NULL",
        ([row[3] for row in ended], [row[1] for row in ended]),
    )
    return [
        (f"desk:{sender}", "alert", {"text": f"{name} {how} #{number}.", "interaction": interaction})
        for sender, number, interaction, name in found
    ]


def hand_back(work_item_id: int, *, by: User, note: str = "") -> None:
    """Give what one was handed back to who had it before, with a note; he is offered it, as with any transfer."""
    before = (
        Agent.objects.filter(
            assignments__work_item=work_item_id, assignments__status=AssignmentStatus.TRANSFERRED
        )
        .exclude(user=by)
        .order_by("-assignments__ended_at")
        .first()
    )
    if before is None:
        raise Conflict("Nobody of ours had it before.", code="nobody_before")
    transfer(work_item_id, by=by, agent=before, note=note)


def _leave_note(item: WorkItem, by: User, note: str) -> None:
    """What the next colleague should know stands in the thread."""
    if item.interaction_id and note.strip():
        messages.note(item.interaction, by=by, text=note)


def claim(
    work_item_id: int, *, by: User, why: dict | None = None, passed_over: int | None = None
) -> Assignment:
    """Pull a waiting item; 409 `taken` when somebody has it. `why` is kept as the explanation of the choice."""
    with transaction.atomic():
        # The contact first: the order of locks.
        rows.run(
            "SELECT i.id FROM routing_workitem w JOIN crm_interaction i ON i.id = w.interaction_id WHERE w.id = %s "
            "FOR NO KEY UPDATE OF i",
            (work_item_id,),
        )
        agent = Agent.objects.select_for_update(no_key=True).filter(user=by).first()
        if agent is None:
            raise NotFound("You take no work here.")
        item = (
            WorkItem.objects.select_for_update(no_key=True, of=("self",))
            .select_related("queue")
            .filter(pk=work_item_id)
            .first()
        )
        if item is None:
            raise NotFound("There is no such item.")
        if item.status != "waiting":
            raise Conflict("Somebody has it.", code="taken", holder=holder_of(work_item_id))
        units = agent.capacity if item.family in item.queue.exclusive else item.units
        if agent.load + units > agent.capacity:
            raise Conflict("You have no room for it.", code="no_capacity")
        _check_family(agent, item)
        now = rows.run("SELECT now()")[0][0]
        WorkItem.objects.filter(pk=item.pk).update(status="assigned", accepted_at=item.accepted_at or now)
        Agent.objects.filter(pk=agent.pk).update(load=agent.load + units)
        made = Assignment.objects.create(
            work_item=item, agent=agent, status=AssignmentStatus.ACCEPTED, units=units, accepted_at=now,
            offered_at=now, expires_at=now, explanation=why or {"reason": "pulled by the agent"}, passed_over=passed_over,
        )  # fmt: skip
        if item.interaction_id:
            interactions.assign([(item.interaction_id, by.pk)])
        said = {"work_item": item.pk} | ({} if passed_over is None else {"passed_over": passed_over})
        activities.record("work_item.claimed", by=by, interaction_id=item.interaction_id, **said)
        say_moved(
            [(made.pk, agent.pk, by.pk, item.pk, item.interaction_id)], "assignment.started", "accepted"
        )
    return made


def _check_family(agent: Agent, item: WorkItem) -> None:
    """Refuse what is more of one channel family than he may have at once."""
    most = agent.max_family.get(item.family)
    if most is None:
        return
    held = agent.assignments.filter(
        status__in=["offered", "accepted"], parked_at=None, work_item__family=item.family
    )
    if held.count() >= most:
        raise Conflict(f"You take at most {most} of these at once.", code="no_capacity")


# Contact, both agents by id, then hold and item: what its holder has, another has now, at once and without an offer.
_TAKE_OVER = """
WITH held AS MATERIALIZED (
    SELECT a.id, a.agent_id, a.units, a.work_item_id, w.interaction_id, w.units AS needs FROM routing_assignment a
    JOIN routing_workitem w ON w.id = a.work_item_id WHERE w.id = %(item)s::bigint AND a.status = 'accepted'
        AND (%(hold)s::bigint IS NULL OR a.id = %(hold)s::bigint)
), contact AS MATERIALIZED (
    SELECT i.id FROM held JOIN crm_interaction i ON i.id = held.interaction_id FOR NO KEY UPDATE OF i
), agents AS MATERIALIZED (
    SELECT g.id, g.user_id, g.load, g.capacity FROM routing_agent g
    WHERE (g.id IN (SELECT agent_id FROM held) OR g.user_id = %(user)s::bigint) AND (SELECT count(*) FROM contact) >= 0
    ORDER BY g.id FOR NO KEY UPDATE
), mine AS (
    SELECT g.id, h.needs FROM agents g, held h
    WHERE g.user_id = %(user)s::bigint AND g.id <> h.agent_id
        AND g.load + h.needs <= least(g.capacity + %(over)s::int * h.needs, 2 * g.capacity)
), ended AS (
    UPDATE routing_assignment a SET status = 'transferred', ended_at = now(), reason = %(why)s::text FROM held h, mine
    WHERE a.id = h.id AND a.status = 'accepted' RETURNING a.id, a.agent_id, a.units, a.work_item_id
), handed AS (
    UPDATE routing_workitem w SET transfers = w.transfers + 1 FROM ended e
    WHERE w.id = e.work_item_id AND %(hold)s::bigint IS NOT NULL
), loads AS (
    UPDATE routing_agent g SET load = g.load + CASE WHEN g.id = mine.id THEN mine.needs ELSE -e.units END,
        idle_since = CASE WHEN g.id <> mine.id AND g.load - e.units <= 0 THEN now() ELSE g.idle_since END
    FROM ended e, mine WHERE g.id IN (e.agent_id, mine.id)
)
SELECT e.id, e.agent_id, g.user_id, e.work_item_id, h.interaction_id, mine.id, mine.needs
FROM ended e JOIN held h ON h.id = e.id JOIN agents g ON g.id = e.agent_id, mine
"""


def take_over(
    work_item_id: int, *, by: User, hold: int | None = None, over: int = 1, why: str = "taken over"
) -> Assignment:
    """Go on with what another holds, at most `over` items above one's own capacity. The door has asked who may.

    With `hold` it is handed over, and only from that very hold: who came to take it from one colleague does not take it from
    the next.
    """
    with transaction.atomic():
        moved = rows.run(
            _TAKE_OVER, {"item": work_item_id, "user": by.pk, "hold": hold, "over": over, "why": why}
        )
        if not moved:
            raise Conflict("Nobody holds it now, or you have no room.", code="no_capacity")
        *ended, agent, units = moved[0]
        now = rows.run("SELECT now()")[0][0]
        made = Assignment.objects.create(
            work_item_id=work_item_id, agent_id=agent, status=AssignmentStatus.ACCEPTED, units=units, accepted_at=now,
            offered_at=now, expires_at=now, explanation={"reason": why},
        )  # fmt: skip
        if ended[4]:
            interactions.assign([(ended[4], by.pk)])
        activities.record(
            "work_item.taken_over", by=by, interaction_id=ended[4], work_item=work_item_id, why=why
        )
        said = {"assignment": made.pk, "work_item": work_item_id, "interaction": ended[4], "reason": why}
        first: list[streams.Telling] = [(f"desk:{by.pk}", "assignment.started", said)]
        say_moved([tuple(ended)], "assignment.ended", "transferred", why, first=first)
        work_items.changed(agents=[agent])
    return made


def end_withdrawn(ended: list[tuple]) -> None:
    """Tell the desks whose work was taken out (rows of `work_items.withdraw`)."""
    if ended:
        say_moved(ended, "assignment.ended", "withdrawn", "closed")
