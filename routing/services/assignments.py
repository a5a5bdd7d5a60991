"""An agent's hold of a work item: accepted, declined, missed, handed on, completed. Each step guarded by its statement."""

from django.db import transaction

from crm import rows
from crm.bus import publish
from crm.choices import InteractionStatus
from crm.errors import Conflict, InvalidInput, NotFound
from crm.models import Code, Interaction, User
from crm.services import activities, interactions, streams
from routing import events
from routing.choices import AssignmentStatus
from routing.models import Agent, Assignment, Queue, WorkItem
from routing.services import work_items

_FREE = """
UPDATE routing_agent SET load = load - %s, idle_since = CASE WHEN load - %s <= 0 THEN now() ELSE idle_since END
WHERE id = %s
"""


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
        mine = _mine(assignment_id, by)
        Agent.objects.select_for_update(no_key=True).get(pk=mine.agent_id)
        taken = rows.run(
            """
            WITH mine AS (
                UPDATE routing_assignment SET status = 'accepted', accepted_at = greatest(now(), offered_at)
                WHERE id = %s AND status = 'offered' AND expires_at > now() RETURNING work_item_id
            )
            UPDATE routing_workitem w SET status = 'assigned', accepted_at = coalesce(w.accepted_at, now())
            FROM mine WHERE w.id = mine.work_item_id RETURNING w.id, w.interaction_id
            """,
            (assignment_id,),
        )
        if not taken:
            mine.refresh_from_db()
            if mine.status == AssignmentStatus.ACCEPTED:
                raise Conflict("You have it already.", code="already_yours")
            raise Conflict("The offer is over.", code="offer_gone", holder=holder_of(mine.work_item_id))
        Agent.objects.filter(pk=mine.agent_id).update(missed_in_row=0, blocked_families=[])
        interaction_id = taken[0][1]
        interactions.assign([(interaction_id, by.pk)])
        activities.record("offer.accepted", by=by, interaction_id=interaction_id, assignment=assignment_id)
        _moved(
            [(assignment_id, mine.agent_id, by.pk, mine.work_item_id, interaction_id)],
            "assignment.started",
            "accepted",
        )
    mine.refresh_from_db()
    return mine


def _moved(ended: list[tuple], kind: str, status: str, reason: str = "") -> None:
    """Say what happened to assignments: rows of (assignment, agent, user, work item, interaction)."""
    work_items.changed(work_items=[row[3] for row in ended], agents=[row[1] for row in ended])
    publish(*[events.AssignmentMoved(assignment_id=row[0], user_id=row[2], status=status) for row in ended])
    tellings: list[streams.Telling] = []
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
        _moved([row[:5] for row in ended], "offer.withdrawn", "declined", "declined")


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
        _moved([row[:5] for row in ended], "offer.expired", "missed", "no answer")
    return len(ended)


def return_offers_of(agent_ids: list[int], reason: str) -> None:
    """Take back the open offers of agents who left or went silent, without blaming them for a miss."""
    open_offers = rows.run(
        "SELECT id FROM routing_assignment WHERE agent_id = ANY(%s) AND status = 'offered' ORDER BY id",
        (agent_ids,),
    )
    if open_offers:
        ended = _end_offers([row[0] for row in open_offers], AssignmentStatus.WITHDRAWN, reason)
        _moved([row[:5] for row in ended], "offer.withdrawn", "withdrawn", reason)


def _held(work_item_id: int, by: User) -> Assignment:
    """The live assignment of an item: the caller's own, or anybody's for who may supervise."""
    mine = (
        Assignment.objects.select_related("agent__user", "work_item")
        .filter(work_item_id=work_item_id, status=AssignmentStatus.ACCEPTED)
        .first()
    )
    if mine is None:
        raise Conflict("Nobody holds this item now.", code="not_held")
    if mine.agent.user_id != by.pk and by.role not in ("administrator", "supervisor"):
        raise Conflict("Somebody else holds it.", code="taken", holder=str(mine.agent.user))
    return mine


def complete(work_item_id: int, *, by: User, reason: str, outcome: str) -> None:
    """Finish an item with its two codes; the interaction is closed and the agent has room again."""
    known = set(Code.objects.filter(retired=False).values_list("kind", "code"))
    wrong = {
        name: "is not a known code"
        for name, code in (("reason", reason), ("outcome", outcome))
        if (name, code) not in known
    }
    if wrong:
        raise InvalidInput("Reason and outcome are codes.", errors=wrong)
    with transaction.atomic():
        held = _held(work_item_id, by)
        interaction_id = held.work_item.interaction_id
        _finish(held, AssignmentStatus.COMPLETED, "done", reason=reason, outcome=outcome)
        still_open = Interaction.objects.filter(pk=interaction_id, status=InteractionStatus.OPEN).exists()
        if interaction_id and still_open:
            interactions.close(interaction_id, by=by, reason=reason, outcome=outcome)
        _moved(
            [(held.pk, held.agent_id, held.agent.user_id, work_item_id, interaction_id)],
            "assignment.ended",
            "completed",
            "completed",
        )


def _finish(held: Assignment, status: str, item_status: str, *, reason: str = "", outcome: str = "") -> None:
    Agent.objects.select_for_update(no_key=True).get(pk=held.agent_id)
    ended = Assignment.objects.filter(pk=held.pk, status=AssignmentStatus.ACCEPTED).update(
        status=status, ended_at=rows.run("SELECT now()")[0][0], reason=reason[:100]
    )
    if not ended:
        raise Conflict("It ended meanwhile.", code="not_held")
    rows.run(_FREE, (held.units, held.units, held.agent_id))
    rows.run(
        "UPDATE routing_workitem SET status = %s, done_at = CASE WHEN %s = 'done' THEN now() END, reason = %s, outcome = %s "
        "WHERE id = %s",
        (item_status, item_status, reason if item_status == "done" else "", outcome, held.work_item_id),
    )


def transfer(
    work_item_id: int, *, by: User, queue: Queue | None = None, agent: Agent | None = None, note: str = ""
) -> None:
    """Hand an item to a queue or a colleague; its age is kept, and it is offered, not imposed."""
    if (queue is None) == (agent is None):
        raise InvalidInput(
            "Name a queue or an agent.", errors={"queue": "one of queue and agent is required"}
        )
    with transaction.atomic():
        held = _held(work_item_id, by)
        interaction_id = held.work_item.interaction_id
        _finish(held, AssignmentStatus.TRANSFERRED, "waiting", reason=note or "transferred")
        rows.run(
            "UPDATE routing_workitem SET queue_id = coalesce(%s, queue_id), preferred_agent_id = %s, "
            "preferred_until = CASE WHEN %s::bigint IS NULL THEN NULL ELSE now() + interval '60 seconds' END, "
            "refused_by = refused_by || to_jsonb(%s::bigint) WHERE id = %s",
            (
                queue.pk if queue else None,
                agent.pk if agent else None,
                agent.pk if agent else None,
                held.agent_id,
                work_item_id,
            ),
        )
        if interaction_id:
            interactions.assign([(interaction_id, None)])
        activities.record(
            "work_item.transferred", by=by, interaction_id=interaction_id, note=note,
            queue=queue.slug if queue else None, agent=agent.pk if agent else None,
        )  # fmt: skip
        publish(events.WorkItemQueued(work_item_id=work_item_id))
        _moved(
            [(held.pk, held.agent_id, held.agent.user_id, work_item_id, interaction_id)],
            "assignment.ended",
            "transferred",
            "transferred",
        )


def claim(work_item_id: int, *, by: User) -> Assignment:
    """Pull a waiting item; 409 `taken` when somebody has it."""
    with transaction.atomic():
        agent = Agent.objects.select_for_update(no_key=True).filter(user=by).first()
        if agent is None:
            raise NotFound("You take no work here.")
        item = WorkItem.objects.select_for_update(no_key=True).filter(pk=work_item_id).first()
        if item is None:
            raise NotFound("There is no such item.")
        if item.status != "waiting":
            raise Conflict("Somebody has it.", code="taken", holder=holder_of(work_item_id))
        if agent.load + item.units > agent.capacity:
            raise Conflict("You have no room for it.", code="no_capacity")
        now = rows.run("SELECT now()")[0][0]
        WorkItem.objects.filter(pk=item.pk).update(status="assigned", accepted_at=item.accepted_at or now)
        Agent.objects.filter(pk=agent.pk).update(load=agent.load + item.units)
        made = Assignment.objects.create(
            work_item=item, agent=agent, status=AssignmentStatus.ACCEPTED, units=item.units, accepted_at=now,
            offered_at=now, expires_at=now, explanation={"reason": "pulled by the agent"},
        )  # fmt: skip
        if item.interaction_id:
            interactions.assign([(item.interaction_id, by.pk)])
        activities.record("work_item.claimed", by=by, interaction_id=item.interaction_id, work_item=item.pk)
        _moved([(made.pk, agent.pk, by.pk, item.pk, item.interaction_id)], "assignment.started", "accepted")
    return made


def end_withdrawn(ended: list[tuple]) -> None:
    """Tell the desks whose work was taken out (rows of `work_items.withdraw`)."""
    if ended:
        _moved(ended, "assignment.ended", "withdrawn", "closed")
