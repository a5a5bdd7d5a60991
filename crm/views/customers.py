"""One customer: the page, and the card as a fragment."""

from typing import Any

from django.http import HttpRequest

from crm.access import Permission, find, may, may_somewhere
from crm.choices import ChannelKind, ConsentPurpose, TicketKind, Trust
from crm.models import Brand, Company, Consent, Customer, Ticket
from crm.services import context, fields, timeline
from crm.services.customers import ADDRESS_KINDS
from crm.views.base import Page, address, chosen
from crm.views.merges import same_person

TICKETS_SHOWN = 50
IDENTITIES_SHOWN = 50
COMPANIES_OFFERED = 500
KIND_LABELS = {
    "note": "Notes",
    "ticket": "Tickets",
    "order": "Orders",
    "survey": "Surveys",
    "past": "Imported",
}
_START = {"from": None}  # another choice begins at the newest


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
            "customer": customer,
            "own_fields": fields.shown("customer", customer.fields),
            "identities": customer.identities.order_by("pk")[:IDENTITIES_SHOWN],
            "trusts": Trust.choices,
            "address_kinds": ADDRESS_KINDS,
            "consents": _consents(customer),
            "purposes": ConsentPurpose.choices,
            "channel_kinds": ChannelKind.choices,
            "companies": Company.objects.visible_to(request.user).order_by("name", "pk")[:COMPANIES_OFFERED],
            "brands": Brand.objects.order_by("name"),
            "kinds": TicketKind.choices,
            "may_note": may_somewhere(request.user, Permission.NOTE),
            "may_open": may(request.user, Permission.CLOSE) and customer.merged_into_id is None,
            **_timeline(customer, request),
            **same_person(customer, request.user),
        }


def _consents(customer: Customer) -> list[Consent]:
    """The newest word on each purpose."""
    return list(
        Consent.objects.filter(customer=customer)
        .order_by("purpose", "-at", "-pk")
        .distinct("purpose")
        .select_related("by")
    )


def _timeline(customer: Customer, request: HttpRequest) -> dict[str, Any]:
    """For `crm/_history.html`: a page of the timeline, and what it can be narrowed to."""
    kind = chosen(request, "kind", timeline.KINDS)
    channel = chosen(request, "channel", ChannelKind.values)
    page = timeline.of(
        customer.pk,
        request.user,
        kinds=[kind] if kind else (),
        channels=[channel] if channel else (),
        cursor=request.GET.get("from", ""),
    )
    channels = timeline.channels_of(customer.pk)
    labels = dict(ChannelKind.choices)
    return {
        "entries": page.entries,
        "older_url": address(request, **{"from": page.next}) if page.next else None,
        "newest_url": address(request, **{"from": None}) if "from" in request.GET else None,
        "everything": {"url": address(request, kind=None, channel=None, **_START), "on": not kind and not channel},
        "by_channel": [
            {"mark": one, "label": labels[one], "url": address(request, channel=one, kind=None, **_START), "on": one == channel}
            for one in sorted({*channels, channel} - {""}, key=ChannelKind.values.index)
        ],
        "by_kind": [
            {"label": label, "url": address(request, kind=one, channel=None, **_START), "on": one == kind}
            for one, label in KIND_LABELS.items()
        ],
    }  # fmt: skip


class CustomerCard(Page):
    """`/customers/<id>/card/`: the screen-pop card as a fragment; one statement beside the login's."""

    permission = Permission.READ_CUSTOMERS
    template = "crm/_card.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        found = context.card([kwargs["pk"]], request.user)
        return {"card": found.get(kwargs["pk"]) or find(Customer.objects.none(), pk=kwargs["pk"])}
