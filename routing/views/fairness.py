"""Whether one channel is served before others that have the better claim."""

from typing import Any

from django.http import HttpRequest

from crm.access import Permission, may
from crm.choices import Family
from crm.views.base import Page
from routing.services import fairness

PERIODS = (1, 7, 30, 90)
WHY = {
    "safety": "Safety",
    "call": "A call, which needs a whole agent",
    "last_agent": "The last agent, or one asked for by name",
    "one_hand": "One customer, one hand",
}


class Fairness(Page):
    """`/fairness/`: overtakings between channels with their intervals, what is exempt, and the same need by channel."""

    permission = Permission.WATCH_BOARDS
    template = "routing/fairness.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        report = fairness.report(request.user, fairness.days_in(request.GET.get("days", "")))
        return {
            "report": report,
            "names": {family.value: str(family.label) for family in Family},
            "exempt": _by_reason(report["exempt"]),
            "periods": PERIODS,
            "can_configure": may(request.user, Permission.CONFIGURE),
        }


def _by_reason(lines: list[dict[str, Any]]) -> list[tuple[str, list[tuple[str, int]], int]]:
    """Each reason with its channels and their sum."""
    found = []
    for why, words in WHY.items():
        channels = [(line["channel"], line["decisions"]) for line in lines if line["exemption"] == why]
        found.append((words, channels, sum(number for _, number in channels)))
    return found
