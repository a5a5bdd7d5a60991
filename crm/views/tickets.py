"""One ticket with all its contacts."""

from typing import Any

from django.db.models import Q
from django.http import HttpRequest

from crm.access import Permission, find, may, outside_closed
from crm.choices import TICKET_MOVES, LinkKind, Role, TicketKind, TicketPriority, TicketStatus
from crm.models import (
    Activity,
    CustomField,
    Interaction,
    Message,
    PauseReason,
    StatusName,
    Team,
    Ticket,
    TicketMerge,
    User,
)
from crm.services import fields, slas, tickets
from crm.views.base import Page, panels_of

CONTACTS_SHOWN = 20
MESSAGES_SHOWN = 200
LINES_SHOWN = 50
SURVEYS_SHOWN = 10
SIBLINGS_SHOWN = 20
PEOPLE_OFFERED = 500


class TicketDetail(Page):
    """`/tickets/<id>/`."""

    permission = Permission.READ_WORK
    template = "crm/ticket_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        visible = Ticket.objects.visible_to(request.user)
        ticket = find(
            visible.select_related(
                "customer", "owner", "team", "brand", "folded_into", "snoozed_for", "status_name"
            ),
            pk=kwargs["pk"],
        )
        contacts = _contacts(ticket, request.user)
        panels = panels_of([one["interaction"].pk for one in contacts], request.user)
        explained = [shown["explanation"] for shown in panels.values() if shown.get("explanation")]
        editable = may(request.user, Permission.CLOSE, ticket)
        return {
            "ticket": ticket,
            "editable": editable,
            "clocks": slas.shown(ticket),
            "tags": list(ticket.tags.all()),
            "surveys": list(ticket.surveys.order_by("-at", "-pk")[:SURVEYS_SHOWN]),
            "own_fields": fields.shown("ticket", ticket.fields),
            "restricted": may(request.user, Permission.SEE_RESTRICTED)
            and CustomField.objects.filter(noun="ticket", retired=False, restricted=True).exists(),
            **(_work(ticket, request.user) if editable else {}),
            "contacts": contacts,
            "activities": Activity.objects.filter(ticket=ticket)
            .select_related("actor")
            .order_by("-at")[:LINES_SHOWN],
            "explanation": explained[-1] if explained else None,
            "waits": next((shown["waits"] for shown in panels.values() if shown.get("waits")), None),
            "linked": visible.filter(Q(folded_into=ticket) | Q(pk=ticket.continues_id)).order_by(
                "-opened_at"
            )[:10],
        }


def _work(ticket: Ticket, user: User) -> dict[str, Any]:
    """What the forms offer: the legal moves, what it can be merged with, what is to do."""
    moves = TICKET_MOVES[ticket.status] | {ticket.status}
    siblings = Ticket.objects.visible_to(user).filter(customer=ticket.customer_id).exclude(pk=ticket.pk)
    return {
        "moves": [(value, label) for value, label in TicketStatus.choices if value in moves],
        "names": StatusName.objects.filter(retired=False, status__in=moves),
        "paused": _last_pause(ticket),
        "pause_reasons": PauseReason.objects.filter(retired=False),
        "caused": tickets.caused_by(ticket, user=user).select_related("customer")[:SIBLINGS_SHOWN],
        "caused_open": tickets.caused_by(ticket, user=user)
        .exclude(status__in=[*tickets.OVER, TicketStatus.FOLDED])
        .count(),
        "link_kinds": LinkKind.choices,
        "kinds": TicketKind.choices,
        "teams": outside_closed(Team.objects.all(), user, "").order_by("name"),
        "people": outside_closed(User.objects.filter(is_active=True), user, "team", own="pk")
        .exclude(role=Role.API_CLIENT)
        .order_by("name")[:PEOPLE_OFFERED],
        "priorities": TicketPriority.choices,
        "merged": ticket.status == TicketStatus.FOLDED
        and TicketMerge.objects.filter(merged=ticket, undone_at=None).exists(),
        "siblings": siblings.exclude(status=TicketStatus.FOLDED).order_by("-opened_at")[:SIBLINGS_SHOWN],
        "checklist": ticket.checklist.select_related("done_by"),
        "links": ticket.links.select_related("other").order_by("pk"),
        "following": ticket.followers.filter(pk=user.pk).exists(),
    }


def _last_pause(ticket: Ticket) -> Activity | None:
    """The pause that stands, with its reason; None when the clock of the solution was let run on."""
    line = (
        Activity.objects.filter(ticket=ticket, verb__in=["ticket.paused", "ticket.resumed"])
        .order_by("-at", "-pk")
        .first()
    )
    return line if line and line.verb == "ticket.paused" else None


def _contacts(ticket: Ticket, user: User) -> list[dict]:
    """The ticket's newest contacts that the reader may see, oldest first, each with its newest words."""
    visible = Interaction.objects.visible_to(user).filter(ticket=ticket, folded_into=None)
    found = list(visible.select_related("channel__brand").order_by("-last_message_at")[:CONTACTS_SHOWN])[::-1]
    words = Message.objects.filter(interaction__in=found).select_related(
        "author", "identity", "macro_use__version__macro"
    )
    if not may(user, Permission.NOTE, ticket):
        words = words.exclude(state="draft")
    grouped: dict[int, list[Message]] = {}
    for message in list(words.order_by("-at", "-pk")[:MESSAGES_SHOWN])[::-1]:
        grouped.setdefault(message.interaction_id, []).append(message)
    return [{"interaction": one, "messages": grouped.get(one.pk, [])} for one in found]
