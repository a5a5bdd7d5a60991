"""What each part of the score is worth, with today's waiting work re-ordered before anything is kept."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from crm.access import Permission, may
from crm.choices import Family
from crm.errors import InvalidInput
from crm.views.base import Page
from routing.services import previews, scoring

# What each weight says, as people read it.
WORDS = {
    "urgency": ("Urgency", "As triage read it."),
    "value": ("Customer value", "Unknown counts as the mean of those known."),
    "target": ("Short promise", "The shorter the promise of its queue, the more."),
    "channel": ("Channel", "Times the worth of its family below."),
    "age": ("Age", "For each promise that was waited. Never nothing: nobody starves."),
    "sentiment": ("Sentiment", "Moves only inside a band: shouting does not pay."),
    "reach": ("Reach", "Moves only inside a band; off by default."),
    "bands": ("Bands", "How many steps there are from low to high."),
    "band_width": ("Band width", "How much score lifts work by one band."),
}


class Weights(Page):
    """`/scoring/`: the weights, what waits under them or under others, and who changed them why."""

    permission = Permission.READ_WORK
    template = "routing/scoring.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        return self._shown(request, scoring.told(scoring.scale()))

    def _shown(self, request: HttpRequest, now: dict[str, Any], given: dict[str, Any] | None = None) -> dict:
        typed = {**now, **(given or {})}
        worths = now["channels"] | typed["channels"]
        return {
            "can_configure": may(request.user, Permission.CONFIGURE),
            "weights": [(name, *WORDS[name], typed[name]) for name in WORDS],
            "families": [(family.value, str(family.label), worths[family.value]) for family in Family],
            "lockable": [(family, str(Family(family).label)) for family in scoring.LOCKABLE],
            "locked": typed["locked"],
            "alarm_above": typed["alarm_above"],
            "reason": typed.get("reason", ""),
            "preview": previews.of_scoring({}, by=request.user),
            "tried": False,
            "changes": scoring.changes(),
            "errors": {},
        }

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        given = _given(request)
        now = scoring.told(scoring.scale())
        try:
            if request.POST.get("act") == "try":
                tried = {"preview": previews.of_scoring(given, by=request.user), "tried": True}
                return render(request, self.template, self._shown(request, now, given) | tried)
            scoring.change(given, by=request.user)
        except InvalidInput as error:
            wrong = {"errors": error.extra.get("errors") or {"": error.detail}}
            return render(
                request, self.template, self._shown(request, now, given) | wrong, status=error.status
            )
        messages.success(request, "Kept. What waits is scored anew.")
        return redirect("scoring")


def _given(request: HttpRequest) -> dict[str, Any]:
    """What the form says; what is no number stays as it was typed, for the service to refuse."""
    post = request.POST
    given: dict[str, Any] = {name: _number(name, post[name]) for name in WORDS if name in post}
    worths = {
        family: _number(family, post[f"channel-{family}"])
        for family in Family.values
        if f"channel-{family}" in post
    }
    if worths:
        given["channels"] = worths
    if "locked" in post:
        given["locked"] = [family for family in post.getlist("locked") if family]
    if "alarm_above" in post:
        given["alarm_above"] = _number("alarm_above", post["alarm_above"])
    return given | ({"reason": post["reason"]} if "reason" in post else {})


def _number(name: str, text: str) -> float | int | str:
    try:
        return int(text) if name == "bands" else float(text)
    except ValueError:
        return text
