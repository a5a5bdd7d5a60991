"""Tickets as people move them: corrected, merged and parted again, split, linked, put to sleep, followed, worked off."""

from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from crm import events, rows
from crm.access import Permission, may
from crm.bus import publish
from crm.choices import TICKET_MOVES, LinkKind, TicketStatus
from crm.errors import Conflict, InvalidInput, InvalidTransition, NotFound
from crm.models import (
    Activity,
    Brand,
    ChecklistItem,
    Customer,
    CustomField,
    Message,
    PauseReason,
    StatusName,
    Tag,
    Ticket,
    TicketClock,
    TicketLink,
    TicketMerge,
    User,
)
from crm.services import activities, edits, fields, interactions, streams
from crm.services.retries import steadily

EDITABLE = frozenset(
    {
        "subject",
        "status",
        "status_name",
        "owner",
        "team",
        "kind",
        "topic",
        "priority",
        "priority_reason",
        "promise",
        "promised_by",
        "tags",
        "fields",
    }
)
OVER = {TicketStatus.SOLVED, TicketStatus.CLOSED}
LONGEST_SLEEP = timedelta(days=365)
LONGEST_LIST = 50  # lines of a checklist, links of a ticket

# The words from a message on become a contact of their own. Later items of the thread go to the first contact.
_SPLIT = """
INSERT INTO crm_interaction (channel_id, customer_id, identity_id, ticket_id, thread, loose, family, audience, status, team_id,
    language, topic, queue_hint, required_skills, priority_parts, judgement, sentiment, reach, customer_value, received_at,
    first_message_at, last_message_at, waiting_since, reason, outcome)
SELECT i.channel_id, i.customer_id, i.identity_id, %(ticket)s, nextval('crm_thread_seq'), false, i.family, i.audience, 'open',
    i.team_id, i.language, i.topic, i.queue_hint, i.required_skills, i.priority_parts, i.judgement, m.sentiment, i.reach,
    i.customer_value, m.created_at, m.at, m.at, m.at, '', ''
FROM crm_interaction i, crm_message m WHERE i.id = %(interaction)s AND m.id = %(message)s RETURNING id, thread
"""
_MOVE_WORDS = """
UPDATE crm_message m SET interaction_id = %(new)s FROM crm_message f
WHERE f.id = %(message)s AND m.interaction_id = %(interaction)s AND (m.at, m.id) >= (f.at, f.id) RETURNING m.id
"""
# Both contacts say of themselves what their words say.
_RECOUNT = """
UPDATE crm_interaction i SET first_message_at = w.first, last_message_at = w.last,
    waiting_since = CASE WHEN i.status = 'open' AND w.asked > coalesce(w.told, '-infinity') THEN w.unanswered END,
    first_response_at = CASE WHEN i.first_response_at IS NULL THEN NULL ELSE w.answered END
FROM (
    SELECT interaction_id, min(at) AS first, max(at) AS last,
        max(at) FILTER (WHERE direction = 'inbound' AND NOT courtesy) AS asked,
        max(at) FILTER (WHERE direction = 'outbound' AND state = 'sent') AS told,
        min(sent_at) FILTER (WHERE direction = 'outbound' AND state = 'sent') AS answered,
        min(at) FILTER (WHERE direction = 'inbound' AND NOT courtesy AND at > coalesce((SELECT max(o.at) FROM crm_message o
            WHERE o.interaction_id = crm_message.interaction_id AND o.direction = 'outbound' AND o.state = 'sent'), '-infinity'))
            AS unanswered
    FROM crm_message WHERE interaction_id = ANY(%(both)s) GROUP BY 1
) w WHERE i.id = w.interaction_id
"""


# A ticket, and those it became part of, one after the other.
_ABOVE = """
WITH RECURSIVE above(id, next, place) AS (
    SELECT id, folded_into_id, 0 FROM crm_ticket WHERE id = %s
    UNION SELECT t.id, t.folded_into_id, a.place + 1 FROM above a JOIN crm_ticket t ON t.id = a.next
) SELECT id FROM above ORDER BY place
"""


# The customer's words wake a ticket by taking its time away (`interactions`); what it waited for may be left standing then.
_WAKE = """
WITH due AS (
    SELECT id FROM crm_ticket WHERE snoozed_until <= statement_timestamp()
    UNION SELECT t.id FROM crm_ticket t JOIN crm_ticket o ON o.id = t.snoozed_for_id
    WHERE t.snoozed_for_id IS NOT NULL AND t.snoozed_until IS NOT NULL AND o.status IN ('solved', 'closed', 'folded')
), chosen AS MATERIALIZED (
    SELECT id FROM crm_ticket WHERE id IN (SELECT id FROM due) ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE crm_ticket t SET snoozed_until = NULL, snoozed_for_id = NULL, updated_at = statement_timestamp() FROM chosen
WHERE t.id = chosen.id RETURNING t.id, t.owner_id
"""


# --- Correcting


def edit(ticket: Ticket, changes: dict, *, by: User) -> Ticket:
    """Change what a person may change; a status only along the legal moves, another priority only with a reason."""
    if changed := planned(ticket, changes):
        write([(ticket, changed)], by=by)
    return ticket


def planned(ticket: Ticket, changes: dict, own: dict[str, CustomField] | None = None) -> dict:
    """What of the changes is new to the ticket, with what follows from it; refuses what cannot be.

    `own` are the fields of our own.
    """
    if unknown := set(changes) - EDITABLE:
        raise InvalidInput(
            "Nothing to change.", errors={name: "cannot be changed" for name in sorted(unknown)}
        )
    changes = _completed(ticket, changes)
    if "fields" in changes:
        changes["fields"] = fields.merged("ticket", ticket.fields, changes["fields"], own)
    changed = edits.changed(ticket, changes)
    if "status" in changed:
        _check_move(ticket, changed["status"])
    return changed


def write(planned: list[edits.Edit], *, by: User, **data: object) -> None:
    """Write edits of tickets, each with its line of history; `data` stands in all lines."""
    with transaction.atomic():
        now = _now()
        for ticket, changed in planned:
            if "status" in changed and "solved_at" not in changed:
                over = changed["status"] in OVER
                ticket.solved_at = (ticket.solved_at or now) if over else None
            ticket.updated_at = now
        edits.write(planned, "updated_at", "solved_at")
        Activity.objects.bulk_create(
            Activity(
                actor=by, verb="ticket.edited", customer_id=ticket.customer_id, ticket=ticket,
                data={"fields": sorted(changed.keys() - {"solved_at"}), "status": str(ticket.status), **data},
            )
            for ticket, changed in planned
        )  # fmt: skip
        _tell(*(ticket for ticket, _ in planned))


def solve(ticket: Ticket, *, by: User | None) -> None:
    """Whatever it was, nothing is owed any more."""
    with transaction.atomic():
        _set(ticket, TicketStatus.SOLVED, ticket.solved_at or _now(), status_name=None)
        activities.record(
            "ticket.edited", by=by, ticket_id=ticket.pk, fields=["status"], status=TicketStatus.SOLVED.value
        )
        _tell(ticket)


def _completed(ticket: Ticket, changes: dict) -> dict:
    """The changes with what follows from them: a name of our own brings its status, and a status drops another's name."""
    changes = dict(changes)
    name: StatusName | None = changes.get("status_name")
    if name is not None:
        changes["status"] = name.status
    elif "status" in changes and ticket.status_name and ticket.status_name.status != changes["status"]:
        changes["status_name"] = None
    if (
        changes.get("priority", ticket.priority) != ticket.priority
        and not changes.get("priority_reason", "").strip()
    ):
        raise InvalidInput("Another priority needs a reason.", errors={"priority_reason": "says why"})
    if changes.get("promised_by") and not changes.get("promise", ticket.promise).strip():
        raise InvalidInput("What is promised?", errors={"promise": "says what"})
    return changes


def _check_move(ticket: Ticket, status: str) -> None:
    if status not in TICKET_MOVES[ticket.status]:
        raise InvalidTransition(
            f"A ticket that is {ticket.status} cannot become {status}.",
            allowed=sorted(TICKET_MOVES[ticket.status]),
        )


def open_by_hand(customer: Customer, *, brand: Brand, subject: str, by: User, **given: Any) -> Ticket:
    """A ticket that no message opened: a visit, a letter, a promise (`practice.md` 1.8). Its writer owns it.

    `given`: topic, kind, promise, promised_by.
    """
    if not subject.strip():
        raise InvalidInput("A ticket needs a subject.", errors={"subject": "is empty"})
    if customer.merged_into_id is not None:
        raise Conflict(
            "This customer is part of another one.", code="merged_customer", into=customer.merged_into_id
        )
    with transaction.atomic():
        ticket = Ticket.objects.create(
            customer=customer, brand=brand, subject=subject.strip()[:200], status=TicketStatus.OPEN, team=by.team, owner=by,
            **given,
        )  # fmt: skip
        _record("ticket.opened_by_hand", ticket, by)
        _tell(ticket)
    return ticket


def pause(ticket: Ticket, *, reason: str, note: str = "", by: User) -> None:
    """Stop the clock of the solution for a cause of the house's list, if it keeps one; the promise of an answer runs on."""
    reason, note = reason.strip()[:200], note.strip()[:200]
    if not reason:
        raise InvalidInput("A pause needs a reason.", errors={"reason": "is empty"})
    listed = [one.name for one in PauseReason.objects.filter(retired=False)]
    if listed and reason not in listed:
        raise InvalidInput(
            "That is none of our causes.", errors={"reason": f"is one of {', '.join(listed)}"[:500]}
        )
    _touch(ticket, "ticket.paused", by, reason=reason, note=note)


def resume(ticket: Ticket, *, by: User) -> None:
    """Let the clock of the solution run on."""
    _touch(ticket, "ticket.resumed", by)


# --- Together and apart


def merge(survivor: Ticket, other: Ticket, *, by: User) -> TicketMerge:
    """Make one ticket of two of the same customer: its contacts move, and the step remembers which, to be undone."""
    return steadily(lambda: _merge(survivor.pk, other.pk, by))


def _merge(survivor_id: int, other_id: int, by: User) -> TicketMerge:
    # Batches of arrivals and merges take turns: no item is put on a ticket that is being merged away.
    with transaction.atomic(), rows.serialised("earshot.ingest"):
        if survivor_id == other_id:
            raise Conflict("A ticket is not merged with itself.", code="same_ticket")
        survivor, other = _held(survivor_id, other_id)
        if survivor.customer_id != other.customer_id:
            raise Conflict("Tickets of two customers stay two; link them instead.", code="other_customer")
        if TicketStatus.FOLDED in (survivor.status, other.status):
            raise Conflict("One of them is part of another ticket already.", code="already_merged")
        moved = rows.run(
            "UPDATE crm_interaction SET ticket_id = %s WHERE ticket_id = %s RETURNING id",
            (survivor.pk, other.pk),
        )
        step = TicketMerge.objects.create(
            survivor=survivor, merged=other, interaction_ids=sorted(row[0] for row in moved), status=other.status,
            solved_at=other.solved_at, by=by,
        )  # fmt: skip
        if survivor.status in OVER and other.status not in OVER:
            _set(survivor, TicketStatus.WAITING_ON_US, None)
        else:
            _set(survivor, survivor.status, survivor.solved_at)
        _set(other, TicketStatus.FOLDED, None, folded_into=survivor, next_due_at=None)
        TicketClock.objects.filter(ticket=other).delete()
        _record("ticket.merged", survivor, by, other=other.pk)
        _record("ticket.merged_into", other, by, other=survivor.pk)
        _tell(survivor, other)
    return step


def unmerge(other: Ticket, *, by: User) -> Ticket:
    """Undo a merge at any later time: the contacts that came with the ticket go back with it, with all said since."""
    return steadily(lambda: _unmerge(other.pk, by))


def _unmerge(other_id: int, by: User) -> Ticket:
    with transaction.atomic(), rows.serialised("earshot.ingest"):
        step = (
            TicketMerge.objects.select_for_update(of=("self",))
            .filter(merged=other_id, undone_at=None)
            .first()
        )
        if step is None:
            raise Conflict("This ticket was not merged by a person.", code="not_merged")
        # Later the survivor itself may have become part of another: the contacts are there now.
        above = [row[0] for row in rows.run(_ABOVE, (step.survivor_id,))]
        other, *holders = _held(other_id, *above)
        back = rows.run(
            "UPDATE crm_interaction SET ticket_id = %s WHERE id = ANY(%s) AND ticket_id = ANY(%s) "
            "RETURNING status, folded_into_id",
            (other.pk, step.interaction_ids, above),
        )
        _forget(step.interaction_ids, above)
        is_open = any(status == "open" and folded is None for status, folded in back)
        reopened = is_open and step.status in OVER
        status = TicketStatus.WAITING_ON_US if reopened else TicketStatus(step.status)
        solved = None if status not in OVER else step.solved_at or _now()
        _set(other, status, solved, folded_into=None)
        for holder in holders:
            _set(holder, holder.status, holder.solved_at)
        step.undone_at = _now()
        step.save(update_fields=["undone_at"])
        _record("ticket.unmerged", other, by, other=step.survivor_id)
        _record("ticket.unmerged", holders[0], by, other=other.pk)
        _tell(other, *holders)
    return other


def _forget(contacts: list[int], above: list[int]) -> None:
    """Merges of the survivor into others carried these contacts along; they have nothing to give back of them any more."""
    for step in (
        TicketMerge.objects.select_for_update(of=("self",))
        .filter(merged__in=above, undone_at=None)
        .order_by("pk")
    ):
        step.interaction_ids = [one for one in step.interaction_ids if one not in contacts]
        step.save(update_fields=["interaction_ids"])


def split(message: Message, *, by: User, subject: str = "") -> Ticket:
    """From this message on it is another problem: its words move to a contact and ticket of their own, which is queued."""
    with transaction.atomic(), rows.serialised("earshot.ingest"):
        message = (
            Message.objects.select_for_update(of=("self",))
            .select_related("interaction__ticket")
            .get(pk=message.pk)
        )
        source = message.interaction
        if source is None or source.folded_into_id is not None:
            raise NotFound("There is no such message to split at.")
        earlier = Message.objects.filter(interaction=source, direction="inbound")
        first = earlier.order_by("at", "pk").first()
        if message.direction != "inbound" or first is None or first.pk == message.pk:
            raise Conflict("Split at a later message of the customer.", code="nothing_before")
        old = source.ticket
        ticket = Ticket.objects.create(
            customer_id=old.customer_id, brand_id=old.brand_id, topic=old.topic,
            subject=(subject.strip() or message.text.strip() or old.subject)[:160], team_id=old.team_id, continues=old,
        )  # fmt: skip
        given = {"ticket": ticket.pk, "interaction": source.pk, "message": message.pk}
        new, _ = rows.run(_SPLIT, given)[0]
        rows.run(_MOVE_WORDS, given | {"new": new})
        rows.run(_RECOUNT, {"both": [source.pk, new]})
        _touch(old, "ticket.split", by, other=ticket.pk)
        _record("ticket.split_from", ticket, by, other=old.pk)
        publish(
            events.InteractionOpened(interaction_id=new),
            events.MessagesMoved(interaction_id=source.pk, into_id=new),
        )
        data = {"interaction": source.pk}
        interactions.tell(
            [
                (f"interaction:{source.pk}", "interaction.updated", data),
                (streams.EVENTS, "interaction.opened", {"interaction": new, "ticket": ticket.pk}),
            ]
        )
    return ticket


def link(ticket: Ticket, other: Ticket, *, kind: str, by: User) -> TicketLink:
    """Say how two tickets belong together; a ticket is part of one other at most."""
    if kind not in LinkKind.values:
        raise InvalidInput(
            "Unknown kind of link.", errors={"kind": f"is one of {', '.join(LinkKind.values)}"}
        )
    if ticket.pk == other.pk:
        raise InvalidInput("A ticket is not linked to itself.", errors={"other": "is this ticket"})
    try:
        with transaction.atomic():
            if TicketLink.objects.filter(ticket=ticket).count() >= LONGEST_LIST:
                raise Conflict("So many links are no help any more.", code="too_many")
            made = TicketLink.objects.create(ticket=ticket, other=other, kind=kind, by=by)
            _touch(ticket, "ticket.linked", by, other=other.pk, kind=kind)
    except IntegrityError as error:
        raise Conflict(
            "They are linked so already, or it is part of another.", code="already_linked"
        ) from error
    return made


def unlink(ticket: Ticket, other_id: int, *, by: User) -> None:
    """Take a link away."""
    with transaction.atomic():
        if not TicketLink.objects.filter(ticket=ticket, other=other_id).delete()[0]:
            raise NotFound("They are not linked.")
        _touch(ticket, "ticket.unlinked", by, other=other_id)


def caused_by(incident: Ticket, *, user: User) -> QuerySet[Ticket]:
    """The tickets that an incident caused, of those the reader may see."""
    links = TicketLink.objects.filter(other=incident, kind=LinkKind.INCIDENT)
    return Ticket.objects.visible_to(user).filter(pk__in=links.values("ticket")).order_by("pk")


def solve_caused(incident: Ticket, *, by: User) -> int:
    """Solve an incident and every ticket that it caused, that is not over and that he may close; returns how many.

    Each has its own line of history; what its customer still hears is written in its own contact.
    """
    return steadily(lambda: _solve_caused(incident.pk, by))


def _solve_caused(incident_id: int, by: User) -> int:
    with transaction.atomic():
        caused = caused_by(Ticket(pk=incident_id), user=by).values_list("pk", flat=True)
        held = [
            one
            for one in _held(*sorted({incident_id, *caused}))
            if one.status not in {*OVER, TicketStatus.FOLDED} and may(by, Permission.CLOSE, one)
        ]
        if held:
            write(
                [(one, planned(one, {"status": TicketStatus.SOLVED})) for one in held],
                by=by,
                incident=incident_id,
            )
    return len(held)


# --- Working it off


def snooze(ticket: Ticket, *, by: User, until: datetime | None = None, after: Ticket | None = None) -> None:
    """Out of the way until a time, until another ticket is over, or until the customer writes, whichever comes first.

    Without a time it sleeps at most LONGEST_SLEEP.
    """
    if until is not None and until <= _now():
        raise InvalidInput("That is past.", errors={"until": "is not in the future"})
    if until is None and after is None:
        raise InvalidInput("Until when?", errors={"until": "is a time, or name the ticket to wait for"})
    if ticket.status in {*OVER, TicketStatus.FOLDED}:
        raise Conflict("What is over needs no sleep.", code="is_over")
    if after is not None and (after.pk == ticket.pk or after.status in {*OVER, TicketStatus.FOLDED}):
        raise Conflict(
            "There is nothing to wait for: that ticket is over, or this one itself.", code="is_over"
        )
    ticket.snoozed_until = until or _now() + LONGEST_SLEEP
    ticket.snoozed_for = after
    said = {"until": ticket.snoozed_until.isoformat()} | ({"other": after.pk} if after else {})
    with transaction.atomic():
        # First: whoever parks the work locks contacts and agents, and they come before tickets.
        publish(events.TicketSnoozed(ticket_id=ticket.pk, until=ticket.snoozed_until))
        _touch(ticket, "ticket.snoozed", by, fields=("snoozed_until", "snoozed_for"), **said)


def wake(ticket: Ticket, *, by: User) -> None:
    """Back among the open ones at once."""
    ticket.snoozed_until = ticket.snoozed_for = None
    with transaction.atomic():
        publish(events.TicketWoke(ticket_id=ticket.pk))
        _touch(ticket, "ticket.woke", by, fields=("snoozed_until", "snoozed_for"))


def wake_due(limit: int = 500) -> int:
    """Wake what has slept long enough, or what it waited for is over, and tell the owners; returns how many."""
    with transaction.atomic():
        woken = rows.run(_WAKE, (limit,))
        activities.record_many("ticket.woke", [(ticket, {}) for ticket, _ in woken])
        publish(*[events.TicketWoke(ticket_id=ticket) for ticket, _ in woken])
        if woken:
            interactions.tell(
                [
                    (f"desk:{owner}", "alert", {"text": f"#{1000 + ticket} is due again.", "ticket": ticket})
                    for ticket, owner in woken
                    if owner
                ]
                + [(streams.EVENTS, "ticket.updated", {"ticket": ticket}) for ticket, _ in woken]
            )
    return len(woken)


def follow(ticket: Ticket, *, by: User, on: bool = True) -> None:
    """Hear of what happens to it, or no longer."""
    if on:
        ticket.followers.add(by)
    else:
        ticket.followers.remove(by)


def tag(ticket: Ticket, tags: list[Tag], *, by: User) -> None:
    """Put words on it, beside those that are there."""
    there = set(ticket.tags.filter(pk__in=[one.pk for one in tags]).values_list("pk", flat=True))
    if new := [one for one in tags if one.pk not in there]:
        with transaction.atomic():
            ticket.tags.add(*new)
            _touch(ticket, "ticket.tagged", by, tags=sorted(one.slug for one in new))


def add_to_checklist(ticket: Ticket, *, text: str, by: User) -> ChecklistItem:
    """One more thing to do."""
    text = text.strip()
    if not 0 < len(text) <= 200:
        raise InvalidInput("A line of 1 to 200 characters.", errors={"text": "is empty or too long"})
    with transaction.atomic():
        Ticket.objects.select_for_update(no_key=True).get(pk=ticket.pk)
        count = ChecklistItem.objects.filter(ticket=ticket).count()
        if count >= LONGEST_LIST:
            raise Conflict("The list is full.", code="too_many")
        item = ChecklistItem.objects.create(ticket=ticket, text=text, place=count)
        _touch(ticket, "checklist.added", by, item=item.pk)
    return item


def check(item: ChecklistItem, *, by: User, done: bool = True) -> ChecklistItem:
    """Tick a line, or take the tick back."""
    with transaction.atomic():
        item.done_at, item.done_by = (_now(), by) if done else (None, None)
        item.save(update_fields=["done_at", "done_by"])
        _touch(item.ticket, "checklist.done" if done else "checklist.undone", by, item=item.pk)
    return item


# --- How all of it is written


def _held(*ids: int) -> list[Ticket]:
    """Tickets as they stand, locked in the order of their ids, given as asked."""
    held = {
        one.pk: one
        for one in Ticket.objects.select_for_update(no_key=True, of=("self",))
        .filter(pk__in=ids)
        .order_by("pk")
    }
    return [held[one] for one in ids]


def _set(ticket: Ticket, status: str, solved_at: datetime | None, **fields: Any) -> None:
    ticket.status, ticket.solved_at, ticket.updated_at = status, solved_at, _now()
    for name, value in fields.items():
        setattr(ticket, name, value)
    ticket.save(update_fields=["status", "solved_at", "updated_at", *fields])


def _touch(ticket: Ticket, verb: str, by: User, *, fields: tuple[str, ...] = (), **data: object) -> None:
    """Write what happened; the ticket has moved, so its clocks are replayed and readers are told."""
    with transaction.atomic():
        ticket.updated_at = _now()
        ticket.save(update_fields=["updated_at", *fields])
        _record(verb, ticket, by, **data)
        _tell(ticket)


def _record(verb: str, ticket: Ticket, by: User, **data: Any) -> None:
    activities.record(verb, by=by, ticket_id=ticket.pk, **data)


def _tell(*tickets: Ticket) -> None:
    interactions.tell(
        [(streams.EVENTS, "ticket.updated", {"ticket": one.pk, "status": str(one.status)}) for one in tickets]
    )


def _now() -> datetime:
    return rows.run("SELECT statement_timestamp()")[0][0]
