"""One contact: its page, its thread and its messages as fragments."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.http import content_disposition_header

from crm.access import Permission, find, may
from crm.choices import LENGTHS, Audience, InteractionStatus
from crm.models import Interaction, Message
from crm.services import context, messages, streams
from crm.views.base import Page, panels_of

MESSAGES_SHOWN = 200


class Thread(Page):
    """`/interactions/<id>/thread/`: the thread with its composer, as a fragment."""

    permission = Permission.READ_WORK
    template = "crm/_thread.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        visible = Interaction.objects.visible_to(request.user)
        related = visible.select_related("channel__brand", "customer", "identity", "ticket", "folded_into")
        interaction = find(related, pk=kwargs["pk"])
        return thread_of(interaction, request)


def thread_of(interaction: Interaction, request: HttpRequest) -> dict[str, Any]:
    """What `crm/_thread.html` needs; the stream's number is read first, so that nothing can fall between."""
    user = request.user
    seq = streams.current(f"interaction:{interaction.pk}")
    words = Message.objects.filter(interaction=interaction).select_related(
        "author", "identity", "macro_use__version__macro"
    )
    can_reply = may(user, Permission.REPLY, interaction) and interaction.status == InteractionStatus.OPEN
    return {
        "interaction": interaction,
        "thread": list(words.order_by("-at", "-pk")[:MESSAGES_SHOWN])[::-1],
        "seq": seq,
        "can_reply": can_reply,
        "can_switch": interaction.audience == Audience.PUBLIC
        and interaction.channel.kind in messages.TAKES_PRIVATE,
        "limit": LENGTHS.get(interaction.channel.kind),
        "has_macros": can_reply,
        **panels_of([interaction.pk], user)[interaction.pk],
    }


class InteractionDetail(Thread):
    """`/interactions/<id>/`: the thread on a page of its own, the customer's card beside it."""

    template = "crm/interaction_detail.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        shown = super().context(request, **kwargs)
        customer = shown["interaction"].customer_id
        return {**shown, "card": context.card([customer], request.user)[customer]}


class MessageFragment(Page):
    """`/interactions/<id>/messages/<id>/`: one message, as the thread shows it."""

    permission = Permission.READ_WORK
    template = "crm/_message.html"

    def context(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        visible = Message.objects.visible_to(request.user).select_related(
            "author", "identity", "interaction__channel__brand", "macro_use__version__macro"
        )
        message = find(visible, pk=kwargs["message"], interaction=kwargs["pk"])
        return {"message": message, "interaction": message.interaction}


class MessageFile(Page):
    """`/messages/<id>/files/<n>/`: a file that came with a message; never shown in place, whatever it says it is."""

    permission = Permission.READ_WORK

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        message = find(Message.objects.visible_to(request.user), pk=kwargs["pk"])
        name, octets = messages.file(message, kwargs["place"])
        answer = HttpResponse(octets, content_type="application/octet-stream")
        answer["Content-Disposition"] = content_disposition_header(True, name or "file")
        answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return answer
