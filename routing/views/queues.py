"""The queues and what waits in them."""

from typing import Any

from django.http import HttpRequest

from crm.access import Permission
from crm.views.base import Page
from routing.services import waiting


class QueueList(Page):
    """`/queues/`: in the order in which it will be offered."""

    permission = Permission.READ_WORK
    template = "routing/queue_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        return {"queues": waiting.queues(request.user)}
