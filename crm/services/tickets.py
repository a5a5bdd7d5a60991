"""Tickets as people move them."""

from django.db import transaction

from crm import rows
from crm.choices import TICKET_MOVES, TicketStatus
from crm.errors import InvalidInput, InvalidTransition
from crm.models import Ticket, User
from crm.services import activities, interactions, streams

EDITABLE = frozenset({"subject", "status", "owner"})
OVER = {TicketStatus.SOLVED, TicketStatus.CLOSED}


def edit(ticket: Ticket, changes: dict, *, by: User) -> Ticket:
    """Change subject, owner or status; a status changes only along the table of legal moves."""
    if unknown := set(changes) - EDITABLE:
        raise InvalidInput(
            "Nothing to change.", errors={name: "cannot be changed" for name in sorted(unknown)}
        )
    changed = sorted(name for name, value in changes.items() if getattr(ticket, name) != value)
    if not changed:
        return ticket
    with transaction.atomic():
        now = rows.run("SELECT now()")[0][0]
        if "status" in changed:
            _move(ticket, changes["status"], now)
        if "subject" in changed:
            ticket.subject = changes["subject"]
        if "owner" in changed:
            ticket.owner = changes["owner"]
        ticket.updated_at = now
        ticket.save(update_fields=[*changed, "updated_at", "solved_at"])
        activities.record(
            "ticket.edited", by=by, ticket_id=ticket.pk, fields=changed, status=str(ticket.status)
        )
        interactions.tell(
            [(streams.EVENTS, "ticket.updated", {"ticket": ticket.pk, "status": str(ticket.status)})]
        )
    return ticket


def _move(ticket: Ticket, status: str, now) -> None:
    if status not in TICKET_MOVES[ticket.status]:
        raise InvalidTransition(
            f"A ticket that is {ticket.status} cannot become {status}.",
            allowed=sorted(TICKET_MOVES[ticket.status]),
        )
    ticket.status = status
    if status not in OVER:
        ticket.solved_at = None
    elif ticket.solved_at is None:
        ticket.solved_at = now
