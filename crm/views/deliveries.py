"""What arrived and could not be handled: shown with its reason, replayed by a click."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from crm.access import Permission, find, may
from crm.choices import DeliveryState
from crm.models import Delivery
from crm.services import deliveries, masking
from crm.views.base import Act, Page, address, chosen, page_of

PREVIEW = 600  # characters
COUNTED = 1000
STATES = {
    DeliveryState.QUARANTINED: "In quarantine",
    DeliveryState.QUEUED: "Queued",
    DeliveryState.IN_PROGRESS: "In progress",
    DeliveryState.DONE: "Done",
}


class DeliveryList(Page):
    """`/deliveries/`: newest first, by state."""

    permission = Permission.READ_DELIVERIES
    template = "crm/delivery_list.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        state = chosen(request, "state", STATES, DeliveryState.QUARANTINED)
        visible = Delivery.objects.visible_to(request.user)
        page = page_of(request, visible.filter(state=state).select_related("channel"))
        for delivery in page.rows:
            delivery.preview = masking.shown(delivery.raw, PREVIEW).replace("\x00", "␀")
        return {
            "deliveries": page.rows,
            "states": [
                {
                    "url": address(request, state=name),
                    "label": label,
                    "count": _count(visible, name),
                    "here": name == state,
                }
                for name, label in STATES.items()
            ],
            "can_replay": may(request.user, Permission.REPLAY_DELIVERIES),
            **page.addresses(),
        }


def _count(visible: QuerySet, state: str) -> str:
    """How many, as far as a partial index tells it cheaply."""
    if state == DeliveryState.DONE:
        return ""
    count = len(visible.filter(state=state).order_by("pk").values_list("pk", flat=True)[: COUNTED + 1])
    return f"{COUNTED}+" if count > COUNTED else str(count)


class Replay(Act):
    """`/deliveries/<id>/replay/`: once more down the same path."""

    permission = Permission.REPLAY_DELIVERIES

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        delivery = find(Delivery.objects.visible_to(request.user).only("pk"), pk=kwargs["pk"])
        deliveries.replay(delivery.pk)
        messages.success(request, f"Delivery {delivery.pk} is queued again.")
        return redirect("deliveries")
