"""The agent's desk."""

from typing import Any

from django.db import connection, transaction
from django.http import HttpRequest

from crm.access import Permission
from crm.views.base import Page
from routing.choices import HandReason
from routing.services import desk


class Desk(Page):
    """`/desk/`: painted from the very snapshot that REST and the socket give."""

    permission = Permission.WORK
    template = "routing/desk.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        with transaction.atomic():
            if not connection.savepoint_ids:
                # One consistent view, so that the number and the state belong together.
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            snapshot = desk.snapshot(request.user)
        return {
            "snapshot": snapshot,
            "presence": snapshot["presence"],
            "hand_reasons": HandReason.choices,
        }
