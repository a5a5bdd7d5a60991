"""The end of a shift."""

from typing import Any

from django.http import HttpRequest

from crm.access import Permission, outside_closed
from crm.views.base import Page
from routing.models import Agent
from routing.services import desk, presence, shifts


class Handover(Page):
    """`/handover/`: what one leaves behind, and what the next shift must know."""

    permission = Permission.WORK
    template = "routing/handover.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        agent = presence.agent_of(request.user)
        known = outside_closed(Agent.objects.select_related("user"), request.user, "user__team", own="user")
        colleagues = known.filter(user__is_active=True).exclude(pk=agent.pk).order_by("user__name")
        return {
            "shift": shifts.shift_of(agent.pk),
            "mine": desk.holds(agent.pk),
            "colleagues": colleagues[:500],
            **shifts.handover(request.user),
        }
