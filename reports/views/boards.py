"""Supervisors' boards."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from crm.access import Permission, may
from crm.views.base import Page
from reports.services import boards, demo


class BoardPage(Page):
    """`/boards/<slug>/`: the first paint of the very snapshot that the socket pushes."""

    permission = Permission.WATCH_BOARDS
    template = "reports/board.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        shown = {"snapshot": boards.snapshot(kwargs["slug"], request.user), "boards": boards.list_boards()}
        if settings.DEMO and may(request.user, Permission.PLAY_DEMO):
            shown["demo"] = {"playing": demo.playing(), "colleagues": demo.colleagues_on()}
        return shown
