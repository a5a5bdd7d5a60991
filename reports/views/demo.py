"""The demo's two buttons, for supervisors and only where the demo is."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from crm.access import Permission
from crm.errors import Conflict, NotFound
from crm.views.base import Act
from reports.services import demo


class DemoAct(Act):
    """An act of the demo; without DEMO=1 it is not there."""

    permission = Permission.PLAY_DEMO

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if not settings.DEMO:
            raise NotFound("There is no demo here.")
        messages.success(request, self.act(request))
        return redirect("board", slug="floor")

    def act(self, request: HttpRequest) -> str:
        """Do it and say what was done."""
        raise NotImplementedError  # each act below says what it does


class Play(DemoAct):
    """`/demo/play/`: a day of the centre comes in through the networks' own doors."""

    def act(self, request: HttpRequest) -> str:
        if demo.playing():
            raise Conflict("The demo is playing already.", code="already_playing")
        return f"Playing: {demo.play()} posts, mails, chats and calls arrive over the next minutes."


class Colleagues(DemoAct):
    """`/demo/colleagues/`: switch the simulated colleagues (`on`: 1 or 0)."""

    def act(self, request: HttpRequest) -> str:
        on = request.POST.get("on") == "1"
        demo.colleagues(on=on)
        return (
            "Simulated colleagues take part of the work."
            if on
            else "Simulated colleagues finish what they hold."
        )
