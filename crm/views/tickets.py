"""Tickets: the list with its views, and one ticket with all its contacts."""

import re
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from crm.access import Permission, find, may
from crm.choices import TICKET_MOVES, TicketPriority, TicketStatus
from crm.models import Activity, Interaction, Message, Ticket, TicketMerge, User
from crm.services import slas
from crm.views.base import BIGGEST_ID, Page, address, chosen, page_of, panels_of, said

OVER = (TicketStatus.SOLVED, TicketStatus.CLOSED, TicketStatus.FOLDED)
WAITING = (TicketStatus.NEW, TicketStatus.OPEN, TicketStatus.WAITING_ON_US)
VIEWS = {"open": "Open", "mine": "Mine", "waiting": "Waiting on us", "solved": "Solved", "all": "All"}
CONTACTS_SHOWN = 20
MESSAGES_SHOWN = 200
LINES_SHOWN = 50
SIBLINGS_SHOWN = 20
_NUMBER = re.compile(r"#?([0-9]{4,19})")


class TicketList(Page):
    """`/tickets/`: newest first, in saved views, found by number, subject or customer."""

    permission = Permission.READ_WORK
    template = "crm/ticket_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        words = said(request, "search")
        # Who searches looks everywhere unless he says otherwise.
        status = chosen(request, "status", VIEWS, "all" if words else "open")
        visible = Ticket.objects.visible_to(request.user).select_related("customer", "owner", "team")
        page = page_of(request, _found(_view(visible, status, request.user), words), "opened_at")
        return {
            "tickets": page.rows,
            "views": [
                {
                    "url": address(request, status=name, search=None),
                    "label": label,
                    "count": None,
                    "here": name == status,
                }
                for name, label in VIEWS.items()
            ],
            "status": chosen(request, "status", VIEWS),
            "search": words,
            **page.addresses(),
        }


def _view(tickets: QuerySet, name: str, user: User) -> QuerySet:
    if name == "open":
        return tickets.exclude(status__in=OVER)
    if name == "mine":
        return tickets.filter(owner=user).exclude(status__in=OVER)
    if name == "waiting":
        return tickets.filter(status__in=WAITING)
    return tickets.filter(status__in=OVER) if name == "solved" else tickets


def _found(tickets: QuerySet, words: str) -> QuerySet:
    if not words:
        return tickets
    number = _NUMBER.fullmatch(words)
    if number and 1000 < int(number[1]) <= BIGGEST_ID:
        return tickets.filter(pk=int(number[1]) - 1000)
    return tickets.filter(Q(subject__icontains=words) | Q(customer__name__icontains=words))


class TicketDetail(Page):
    """`/tickets/<id>/`."""

    permission = Permission.READ_WORK
    template = "crm/ticket_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        visible = Ticket.objects.visible_to(request.user)
        ticket = find(
            visible.select_related("customer", "owner", "team", "brand", "folded_into"), pk=kwargs["pk"]
        )
        contacts = _contacts(ticket, request.user)
        panels = panels_of([one["interaction"].pk for one in contacts], request.user)
        explained = [shown["explanation"] for shown in panels.values() if shown.get("explanation")]
        editable = may(request.user, Permission.CLOSE)
        return {
            "ticket": ticket,
            "editable": editable,
            "clocks": slas.shown(ticket),
            **(_work(ticket, request.user) if editable else {}),
            "contacts": contacts,
            "activities": Activity.objects.filter(ticket=ticket)
            .select_related("actor")
            .order_by("-at")[:LINES_SHOWN],
            "explanation": explained[-1] if explained else None,
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
        "priorities": TicketPriority.choices,
        "merged": ticket.status == TicketStatus.FOLDED
        and TicketMerge.objects.filter(merged=ticket, undone_at=None).exists(),
        "siblings": siblings.exclude(status=TicketStatus.FOLDED).order_by("-opened_at")[:SIBLINGS_SHOWN],
        "checklist": ticket.checklist.select_related("done_by"),
        "links": ticket.links.select_related("other").order_by("pk"),
        "following": ticket.followers.filter(pk=user.pk).exists(),
    }


def _contacts(ticket: Ticket, user: User) -> list[dict]:
    """The ticket's newest contacts that the reader may see, oldest first, each with its newest words."""
    visible = Interaction.objects.visible_to(user).filter(ticket=ticket, folded_into=None)
    found = list(visible.select_related("channel__brand").order_by("-last_message_at")[:CONTACTS_SHOWN])[::-1]
    words = Message.objects.filter(interaction__in=found).select_related("author", "identity")
    if not may(user, Permission.NOTE):
        words = words.exclude(state="draft")
    grouped: dict[int, list[Message]] = {}
    for message in list(words.order_by("-at", "-pk")[:MESSAGES_SHOWN])[::-1]:
        grouped.setdefault(message.interaction_id, []).append(message)
    return [{"interaction": one, "messages": grouped.get(one.pk, [])} for one in found]
