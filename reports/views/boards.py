"""Supervisors' boards."""

from typing import Any

from django.http import HttpRequest

from crm.access import Permission
from crm.views.base import Page
from reports.services import boards


class BoardPage(Page):
    """`/boards/<slug>/`: the first paint of the very snapshot that the socket pushes."""

    permission = Permission.WATCH_BOARDS
    template = "reports/board.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        return {"snapshot": boards.snapshot(kwargs["slug"], request.user), "boards": boards.list_boards()}
