"""Why an agent has nothing to do."""

from typing import Any

from django.http import HttpRequest

from crm.access import Permission, find, outside_closed
from crm.views.base import Page
from routing.models import Agent
from routing.services import idleness, presence


class Idleness(Page):
    """`/agents/<id>/idle/`, `/agents/me/idle/`: what keeps work from him, in words."""

    permission = Permission.READ_WORK
    template = "routing/idle.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        if "pk" not in kwargs:
            agent = presence.agent_of(request.user)
        else:
            known = Agent.objects.select_related("user", "own_reason", "then_reason")
            agent = find(outside_closed(known, request.user, "user__team", own="user"), pk=kwargs["pk"])
        return {"idle": idleness.of(agent, request.user), "mine": agent.user_id == request.user.pk}
