"""Customers: the list, the page, and the card as a fragment."""

import re
from typing import Any

from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest

from crm.access import Permission, find
from crm.choices import TicketStatus
from crm.filters import customers_like
from crm.models import Customer, Identity, Interaction, Ticket, User
from crm.services import context
from crm.views.base import BIGGEST_ID, Page, page_of, said
from crm.views.merges import same_person

OVER = (TicketStatus.SOLVED, TicketStatus.CLOSED, TicketStatus.FOLDED)
MATCHES = 500  # customers a search may find by each way
TICKETS_SHOWN = 50
_NUMBER = re.compile(r"#?([0-9]{4,19})")


class CustomerList(Page):
    """`/customers/`: newest first, found by name, handle, address or a ticket's number."""

    permission = Permission.READ_CUSTOMERS
    template = "crm/customer_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        words = said(request, "search")
        visible = Customer.objects.visible_to(request.user).filter(merged_into=None)
        page = page_of(request, _found(visible, words), "created_at")
        _furnish(page.rows, request.user)
        return {"customers": page.rows, "search": words, **page.addresses()}


def _found(customers: QuerySet, words: str) -> QuerySet:
    """Who matches, within bounds."""
    if not words:
        return customers
    ids = {*customers_like(words).values_list("pk", flat=True)[:MATCHES]}
    number = _NUMBER.fullmatch(words)
    if number and 1000 < int(number[1]) <= BIGGEST_ID:
        ids |= {*Ticket.objects.filter(pk=int(number[1]) - 1000).values_list("customer_id", flat=True)}
    return customers.filter(pk__in=ids)


def _furnish(customers: list[Customer], user: User) -> None:
    """Give each row its handles, open tickets and last contact, in three statements for the page."""
    ids = [customer.pk for customer in customers]
    handles: dict[int, list[Identity]] = {}
    for identity in Identity.objects.filter(customer__in=ids).order_by("pk"):
        handles.setdefault(identity.customer_id, []).append(identity)
    open_ones = Ticket.objects.visible_to(user).filter(customer__in=ids).exclude(status__in=OVER)
    open_tickets = dict(open_ones.order_by().values_list("customer_id").annotate(Count("pk")))
    contacts = Interaction.objects.visible_to(user).filter(customer__in=ids)
    last = dict(contacts.order_by().values_list("customer_id").annotate(Max("last_message_at")))
    for customer in customers:
        customer.handles = handles.get(customer.pk, [])
        customer.open_tickets = open_tickets.get(customer.pk, 0)
        customer.last_contact_at = last.get(customer.pk)


class CustomerDetail(Page):
    """`/customers/<id>/`."""

    permission = Permission.READ_CUSTOMERS
    template = "crm/customer_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        customer = find(Customer.objects.visible_to(request.user), pk=kwargs["pk"])
        tickets = Ticket.objects.visible_to(request.user).filter(customer=customer)
        return {
            "card": context.card([customer.pk], request.user)[customer.pk],
            "tickets": tickets.order_by("-opened_at")[:TICKETS_SHOWN],
            **same_person(customer, request.user),
        }


class CustomerCard(Page):
    """`/customers/<id>/card/`: the screen-pop card as a fragment; one statement beside the login's."""

    permission = Permission.READ_CUSTOMERS
    template = "crm/_card.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        found = context.card([kwargs["pk"]], request.user)
        return {"card": found.get(kwargs["pk"]) or find(Customer.objects.none(), pk=kwargs["pk"])}
