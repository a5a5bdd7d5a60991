"""Channels: how each is doing, how a mailbox is set up, tried out and switched on."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from crm.access import Permission, find, may, require
from crm.choices import MailSecurity
from crm.connectors import base, mail
from crm.errors import DomainError
from crm.models import Brand, Channel, PollDay
from crm.services import mailboxes, polls
from crm.views.base import Page, form_again

DAYS = 14
BLANK = {
    "imap_port": 993,
    "imap_security": "tls",
    "smtp_port": 465,
    "smtp_security": "tls",
    "folder": "INBOX",
    "since_days": 0,
}


class ChannelList(Page):
    """`/channels/`: every endpoint of ours, with what is wrong first."""

    permission = Permission.READ_DELIVERIES
    template = "crm/channel_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        found = Channel.objects.defer("token", "secret", "previous_secret").select_related("brand", "poll")
        shown = sorted(found, key=lambda one: (not _failing(one), one.name.lower(), one.pk))
        return {"channels": shown, "can_set": may(request.user, Permission.CONFIGURE)}


class NewMailbox(Page):
    """`/channels/mailbox/`: the first step of the guide."""

    permission = Permission.CONFIGURE
    template = "crm/mailbox.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        return {"channel": None, "form": dict(BLANK), "errors": {}, **_choices()}

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        given = request.POST.dict()
        try:
            made = mailboxes.open_box(given, by=request.user)
        except DomainError as error:
            return form_again(request, self.template, self.context(request), given, error)
        messages.success(request, "The mailbox is kept. Try it out, then switch it on.")
        return redirect("channel", pk=made.pk)


class ChannelDetail(Page):
    """`/channels/<id>/`: how it is doing; a probe, a trial, on and off; of a mailbox where it is reached."""

    permission = Permission.READ_DELIVERIES
    template = "crm/channel_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        channel = find(Channel.objects.select_related("brand", "poll"), pk=kwargs["pk"])
        days = list(PollDay.objects.filter(channel=channel).order_by("-day")[:DAYS])
        return {
            "channel": channel,
            "poll": getattr(channel, "poll", None),
            "failing": _failing(channel),
            "days": days,
            "busiest": max((one.fresh for one in days), default=0),
            "fetched": base.fetching(channel.connector) is not None,
            "can_set": may(request.user, Permission.CONFIGURE),
            "health": None,
            "form": {"name": channel.name, **BLANK, **channel.options},
            "errors": {},
            **_choices(),
        }

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        channel = find(Channel.objects.select_related("brand"), pk=kwargs["pk"])
        require(request.user, Permission.CONFIGURE)
        act = request.POST.get("act", "")
        given = request.POST.dict()
        try:
            if act in ("probe", "trial"):
                health = (
                    polls.probe(channel) if act == "probe" else mailboxes.try_out(channel, by=request.user)
                )
                return render(request, self.template, self.context(request, **kwargs) | {"health": health})
            said = _acted(channel, act, given, request)
        except DomainError as error:
            if act == "keep":
                return form_again(request, self.template, self.context(request, **kwargs), given, error)
            messages.error(request, error.detail)
        else:
            messages.success(request, said)
        return redirect("channel", pk=channel.pk)


def _acted(channel: Channel, act: str, given: dict[str, str], request: HttpRequest) -> str:
    if act == "keep":
        mailboxes.change(channel, given, by=request.user)
        return "Kept."
    if act == "now":
        polls.look_now(channel)
        return "It is looked at now."
    every = given.get("every", "")
    seconds = int(every) if every.isascii() and every.isdecimal() and len(every) < 7 else None
    polls.switch(channel, on=act == "on", by=request.user, every=seconds)
    return "It is fetched from now on." if act == "on" else "It is fetched no more."


def _failing(channel: Channel) -> bool:
    poll = getattr(channel, "poll", None)
    return bool(poll and poll.is_on and poll.failing_since)


def _choices() -> dict[str, Any]:
    return {
        "brands": Brand.objects.order_by("name"),
        "securities": MailSecurity.choices,
        "most_days": mail.BACK_DAYS,
    }
