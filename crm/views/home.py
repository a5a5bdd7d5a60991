"""Where people land, how they search, and the sheet of keys."""

import re
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from crm.access import Permission, may
from crm.choices import Role
from crm.models import Ticket
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
    """`/search/?q=`: a ticket's number leads to it, all else to the customers who match."""

    permission = Permission.READ_CUSTOMERS

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        words = said(request, "q")
        number = _NUMBER.fullmatch(words)
        if number and may(request.user, Permission.READ_WORK) and 1000 < int(number[1]) <= BIGGEST_ID:
            pk = int(number[1]) - 1000
            if Ticket.objects.visible_to(request.user).filter(pk=pk).exists():
                return redirect("ticket", pk=pk)
        return redirect(f"/customers/?{urlencode({'search': words})}" if words else "/customers/")


class Keys(Page):
    """`/help/keys/`."""

    template = "help/keys.html"
