"""Calls that were not answered, and the calls we owe (`practice.md` 1.7): lost calls, voicemail, callbacks.

A call that ends while it waits was abandoned: its work is withdrawn and counts so. What remains is another piece of work in
the same contact and with the same clock: somebody wants to be called. However often he calls, it is one; when he calls again
it becomes a waiting call again, and what else waits for him closes by itself once he is through.

A callback is the caller's choice instead of waiting on the line: the work keeps its place, or waits for the booked time, and
never counts as abandoned. Two attempts, then a message.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction

from crm import rows
from crm.bus import publish
from crm.choices import Audience, Family
from crm.errors import Conflict, InvalidInput, NotFound
from crm.events import CallMoved, InteractionClosed
from crm.models import User
from crm.services import activities, interactions, messages, streams
from routing import events
from routing.choices import AssignmentStatus, WorkKind
from routing.models import Assignment, WorkItem
from routing.services import assignments, returns, work_items

ATTEMPTS = 2
AGAIN = 900  # s between the attempts
LATEST = timedelta(days=30)

_NOTE = """
INSERT INTO routing_call (interaction_id, external_id, rang_at, answered_at, ended_at, voicemail)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::boolean[])
ON CONFLICT (interaction_id, external_id) DO UPDATE SET rang_at = least(routing_call.rang_at, excluded.rang_at),
    answered_at = least(routing_call.answered_at, excluded.answered_at),
    ended_at = greatest(routing_call.ended_at, excluded.ended_at), voicemail = routing_call.voicemail OR excluded.voicemail
"""

_STANDING = """
SELECT w.id, w.interaction_id, w.kind, w.status, w.family, i.assigned_to_id, 1000 + i.ticket_id,
    EXISTS (SELECT 1 FROM routing_call c WHERE c.interaction_id = i.id AND c.ended_at IS NULL),
    EXISTS (SELECT 1 FROM routing_call c WHERE c.interaction_id = i.id AND c.voicemail
        AND c.rang_at >= coalesce((SELECT max(o.accepted_at) FROM routing_workitem o WHERE o.interaction_id = i.id), '-infinity'))
FROM routing_workitem w JOIN crm_interaction i ON i.id = w.interaction_id
WHERE w.interaction_id = ANY(%s::bigint[]) AND w.status IN ('waiting', 'offered', 'assigned') ORDER BY w.id
"""

# The work goes on as another kind. Its clock began with the first call since somebody last spoke to him; a call that rings
# has its own.
_AGAIN_AS = """
INSERT INTO routing_workitem (interaction_id, queue_id, status, family, units, required_skills, language, priority_parts,
    customer_id, refused_by, queued_at, deadline, reason, outcome, kind)
SELECT w.interaction_id, w.queue_id, 'waiting', g.family, g.units, w.required_skills, w.language, w.priority_parts,
    w.customer_id, '[]', since.at, since.at + make_interval(secs => coalesce((q.targets ->> g.family)::float8, 3600)),
    '', '', g.kind
FROM unnest(%s::bigint[], %s::text[], %s::smallint[], %s::text[]) AS g(id, family, units, kind)
JOIN routing_workitem w ON w.id = g.id JOIN routing_queue q ON q.id = w.queue_id
CROSS JOIN LATERAL (
    SELECT coalesce(CASE WHEN g.family = 'voice' THEN max(c.rang_at) FILTER (WHERE c.ended_at IS NULL) ELSE min(c.rang_at) END,
        w.queued_at) AS at
    FROM routing_call c WHERE c.interaction_id = w.interaction_id
        AND c.rang_at >= coalesce((SELECT max(o.accepted_at) FROM routing_workitem o
            WHERE o.interaction_id = w.interaction_id), '-infinity')
) since
RETURNING id, interaction_id
"""

_DUE = """
UPDATE routing_workitem SET not_before = NULL WHERE id IN (
    SELECT id FROM routing_workitem WHERE kind <> '' AND status = 'waiting' AND not_before <= now()
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
) RETURNING id
"""

# Who is in a call with us now needs none of these any more, on whatever line and in whatever contact he asked for them.
_THROUGH = """
SELECT w.interaction_id FROM routing_workitem w JOIN crm_interaction i ON i.id = w.interaction_id
WHERE w.kind <> '' AND w.status = 'waiting' AND EXISTS (
    SELECT 1 FROM routing_workitem v WHERE v.customer_id = w.customer_id AND v.status = 'assigned' AND v.family = 'voice'
        AND v.accepted_at > w.queued_at
) ORDER BY w.interaction_id LIMIT 200 FOR NO KEY UPDATE OF i SKIP LOCKED
"""

_PROMISE = """
UPDATE routing_workitem w SET kind = 'callback', not_before = %(at)s::timestamptz, family = 'voice', units = %(units)s,
    deadline = CASE WHEN %(at)s::timestamptz IS NULL THEN w.deadline ELSE %(at)s::timestamptz
        + make_interval(secs => coalesce((q.targets ->> 'voice')::float8, 3600)) END
FROM routing_queue q WHERE w.id = %(id)s AND q.id = w.queue_id AND w.status = 'waiting'
    AND (w.family IN ('voice', 'chat') OR w.kind <> '') RETURNING w.id
"""


def moved(facts: Iterable[CallMoved]) -> None:
    """What the telephone told: calls that ended while they waited, voicemail, and callers who ring again."""
    told = list(facts)
    _note(told)
    found = rows.run(_STANDING, (sorted({fact.interaction_id for fact in told}),))
    lost, live, due = [], [], []
    alerts: list[streams.Telling] = []
    for item, contact, kind, status, family, owner, number, rings, voicemail in found:
        if status == "assigned":
            if rings and kind in (WorkKind.LOST_CALL, WorkKind.VOICEMAIL) and owner:
                said = {"text": f"The caller of #{number} is on the line again.", "interaction": contact}
                alerts.append((f"desk:{owner}", "alert", said))
        elif kind == WorkKind.CALLBACK:
            due += [item] if rings else []
        elif rings and kind:
            live.append((item, contact, ""))
        elif not rings and (family == Family.VOICE or (voicemail and kind == WorkKind.LOST_CALL)):
            lost.append((item, contact, str(WorkKind.VOICEMAIL if voicemail else WorkKind.LOST_CALL)))
    if due:
        rows.run("UPDATE routing_workitem SET not_before = NULL WHERE id = ANY(%s)", (due,))
        work_items.changed(work_items=due)
    _go_on(lost, str(Family.MESSAGE), "call.lost")
    _go_on(live, str(Family.VOICE), "call.again")
    if alerts:
        interactions.tell(alerts)


def _note(told: list[CallMoved]) -> None:
    calls: dict[tuple[int, str], dict] = {}
    for fact in told:
        one = calls.setdefault(
            (fact.interaction_id, fact.call),
            {"rang": fact.at, "answered": None, "ended": None, "voicemail": False},
        )
        one["rang"] = min(one["rang"], fact.at)
        if fact.state == "answered":
            one["answered"] = fact.at
        if fact.state in ("ended", "voicemail"):
            one["ended"] = fact.at
        one["voicemail"] |= fact.state == "voicemail"
    rows.run(
        _NOTE,
        (
            [contact for contact, _ in calls],
            [call for _, call in calls],
            *[[one[name] for one in calls.values()] for name in ("rang", "answered", "ended", "voicemail")],
        ),
    )


def _go_on(found: list[tuple[int, int, str]], family: str, verb: str) -> None:
    """End this work, its offers too, and let other work of the same contacts wait: (item, contact, kind)."""
    if not found:
        return
    contacts = [contact for _, contact, _ in found]
    assignments.end_withdrawn(work_items.withdraw(contacts))
    n, units = len(found), work_items.units_of(family)
    made = rows.run(
        _AGAIN_AS,
        ([item for item, _, _ in found], [family] * n, [units] * n, [kind for *_, kind in found]),
    )
    ids = [row[0] for row in made]
    work_items.own(ids)
    activities.record_contacts(
        verb, [(contact, {"kind": kind} if kind else {}) for _, contact, kind in found]
    )
    work_items.changed(work_items=ids)
    publish(*[events.WorkItemQueued(work_item_id=one) for one in ids])


def keep() -> int:
    """Once a second: booked times that have come, and what nobody needs any more; returns how many of both."""
    with transaction.atomic():
        due = [row[0] for row in rows.run(_DUE)]
        if due:
            work_items.changed(work_items=due)
    with transaction.atomic():
        through = [row[0] for row in rows.run(_THROUGH)]
        closed = interactions.close_all(through)
        if closed:
            activities.record_contacts("call.got_through", [(contact, {}) for contact in closed])
            publish(*[InteractionClosed(interaction_id=contact) for contact in closed])
            interactions.tell([one for contact in closed for one in interactions.closed_tellings(contact)])
    return len(due) + len(closed)


def promise(item: WorkItem, *, by: User, at: datetime | None = None) -> WorkItem:
    """Call back instead of letting wait: in its place, or not before `at`. 409 `not_waiting` when somebody has it."""
    now = rows.run("SELECT now()")[0][0]
    if at is not None and not now < at <= now + LATEST:
        raise InvalidInput("When?", errors={"at": f"is a time to come within {LATEST.days} days"})
    with transaction.atomic():
        units = work_items.units_of(Family.VOICE)
        if not rows.run(_PROMISE, {"id": item.pk, "at": at, "units": units}):
            raise Conflict("Only a call or a chat that waits can be called back.", code="not_waiting")
        activities.record(
            "callback.promised", by=by, interaction_id=item.interaction_id, at=at.isoformat() if at else None
        )
        _say(item)
    item.refresh_from_db()
    return item


def not_reached(work_item_id: int, *, by: User, message: str = "") -> WorkItem:
    """The caller did not answer. It comes up again once; the second time the `message` goes to him, and it can be closed."""
    held = (
        Assignment.objects.filter(work_item=work_item_id, status=AssignmentStatus.ACCEPTED, agent__user=by)
        .select_related("work_item__interaction__channel")
        .first()
    )
    if held is None:
        raise Conflict("You do not hold it.", code="not_held")
    item = held.work_item
    if item.kind == "" or item.interaction is None:
        raise Conflict("Nobody waits to be called back here.", code="no_callback")
    if item.attempts >= ATTEMPTS:
        raise Conflict("A message was left: close it.", code="attempts_over")
    if item.attempts + 1 < ATTEMPTS:
        _try_again(held, by)
    else:
        _leave_message(item, by, message)
    item.refresh_from_db()
    return item


def _try_again(held: Assignment, by: User) -> None:
    with transaction.atomic():
        contact = held.work_item.interaction_id
        activities.record("callback.not_reached", by=by, interaction_id=contact, attempt=1)
        if not returns.give_back([held.pk], "not reached", again=AGAIN):
            raise Conflict("Somebody has it in hand; try again.", code="busy")


def _leave_message(item: WorkItem, by: User, message: str) -> None:
    if not message.strip():
        raise InvalidInput("Twice not reached: leave a message.", errors={"message": "is required now"})
    # By itself, as both tell streams; asked for again, it is the same message.
    key = f"not-reached-{item.pk}-{item.attempts}"
    messages.reply(item.interaction, by=by, text=message, audience=str(Audience.PRIVATE), idempotency_key=key)
    with transaction.atomic():
        rows.run("UPDATE routing_workitem SET attempts = attempts + 1 WHERE id = %s", (item.pk,))
        activities.record(
            "callback.not_reached", by=by, interaction_id=item.interaction_id, attempt=item.attempts + 1
        )
        _say(item)


def _say(item: WorkItem) -> None:
    if item.interaction_id is None:
        raise NotFound("There is no contact behind it.")
    work_items.changed(work_items=[item.pk])
    publish(events.WorkItemQueued(work_item_id=item.pk))
    interactions.tell(
        [
            (
                f"interaction:{item.interaction_id}",
                "interaction.updated",
                {"interaction": item.interaction_id},
            )
        ]
    )
