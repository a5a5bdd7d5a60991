"""Where people land, how they search, and the sheet of keys."""

import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from crm.access import Permission, may_somewhere
from crm.choices import Role
from crm.models import Ticket
from crm.services import search
from crm.views.base import BIGGEST_ID, Page, said

HOMES = {
    Role.AGENT: "/desk/",
    Role.SUPERVISOR: "/boards/floor/",
    Role.ADMINISTRATOR: "/boards/floor/",
    Role.MARKETING: "/mentions/",
    Role.AUDITOR: "/tickets/",
    Role.API_CLIENT: "/api/v1/docs/",
}
_NUMBER = re.compile(r"#?([0-9]{4,19})")


class Home(Page):
    """`/`: the place of one's role."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return redirect(HOMES.get(request.user.role, "/customers/"))


class Search(Page):
    """`/search/?q=`: a ticket's number leads to it; all else is looked for among customers, tickets and messages."""

    permission = Permission.READ_CUSTOMERS
    template = "crm/search.html"

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        number = _NUMBER.fullmatch(said(request, "q"))
        if (
            number
            and may_somewhere(request.user, Permission.READ_WORK)
            and 1000 < int(number[1]) <= BIGGEST_ID
        ):
            pk = int(number[1]) - 1000
            if Ticket.objects.visible_to(request.user).filter(pk=pk).exists():
                return redirect("ticket", pk=pk)
        return super().get(request, **kwargs)

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        words = said(request, "q")
        found = search.search(words, by=request.user)
        return {"search": words, "groups": [group for group in _groups(found, words) if group["hits"]]}


def _groups(found: search.Found, words: str) -> list[dict[str, Any]]:
    places = (
        ("Customers", "users", "/customers/", found.customers),
        ("Tickets", "ticket", "/tickets/", found.tickets),
        ("Messages", "message-square", "/interactions/", found.messages),
    )
    return [
        {
            "name": name,
            "icon": icon,
            "hits": [
                {
                    "hit": hit,
                    "url": f"{place}{hit.id}/",
                    "pieces": hit.marked(words),
                    "typo": hit.how == "typo",
                }
                for hit in hits
            ],
        }
        for name, icon, place, hits in places
    ]


class Keys(Page):
    """`/help/keys/`."""

    template = "help/keys.html"
