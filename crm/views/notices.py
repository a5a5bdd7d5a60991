"""What a person is told of: the list, and the way to where it happened."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from crm.access import Permission, find
from crm.models import Notice
from crm.services import notices
from crm.views.base import Act, Page, chosen, page_of

VIEWS = ("", "all")


class NoticeList(Page):
    """`/notices/`: the unread first of all, then everything."""

    permission = Permission.READ_WORK
    template = "crm/notice_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        view = chosen(request, "view", VIEWS)
        mine = Notice.objects.visible_to(request.user)
        found = mine.select_related("by", "team", "message", "interaction__ticket", "interaction__channel")
        page = page_of(request, found if view == "all" else found.filter(read_at=None))
        return {"notices": page.rows, "view": view, **page.addresses()}

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """All of them were seen."""
        notices.read(request.user)
        return redirect("notices")


class NoticeOpen(Act):
    """`/notices/<id>/`: seen; go where it happened."""

    permission = Permission.READ_WORK

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        notice = find(Notice.objects.visible_to(request.user), pk=kwargs["pk"])
        notices.read(request.user, [notice.pk])
        place = f"#message-{notice.message_id}" if notice.message_id else ""
        return redirect(f"/interactions/{notice.interaction_id}/{place}")
