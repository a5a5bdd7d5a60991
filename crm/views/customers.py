"""One customer: the page, and the card as a fragment."""

from typing import Any

from django.http import HttpRequest

from crm.access import Permission, find
from crm.models import Customer, Ticket
from crm.services import context
from crm.views.base import Page
from crm.views.merges import same_person

TICKETS_SHOWN = 50


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
