"""The simulated networks: posts over HTTP under our own key, so that a second request is no second post."""

from crm.connectors.base import Capabilities
from crm.connectors.items import parse
from crm.errors import DeliveryError
from crm.models import Channel, ChannelAccount, Message, ThreadRef
from socialcare.networks import base

__all__ = ["CAN", "look_up", "parse", "send"]

CAN = Capabilities(private=True, edit=True, delete=True, idempotent=True, pushed=True)


def send(channel: Channel, message: Message) -> str:
    """Post a message; returns the network's id of it. Raises DeliveryError."""
    answer = base.call(channel, "POST", "/posts", data=_post(channel, message))
    return base.post_id(channel, base.expect(channel, answer))


def look_up(channel: Channel, key: str) -> str | None:
    """The id of the post that was made under a key, or None when the network knows none. Raises DeliveryError."""
    answer = base.call(channel, "GET", "/posts", params={"idempotency_key": key})
    found = base.expect(channel, answer).get("results")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise DeliveryError(f"{channel.name} said something we cannot read.", permanent=False, unclear=True)
    mine = [one for one in found if one.get("idempotency_key") == key]
    return base.post_id(channel, mine[0]) if mine else None


def _post(channel: Channel, message: Message) -> dict:
    account = ChannelAccount.objects.filter(channel=channel).order_by("pk").first()
    author = {"id": account.external_id, "handle": account.handle, "name": account.name} if account else {}
    conversation = (
        ThreadRef.objects.filter(channel=channel, thread=message.thread, external_id__startswith="c:")
        .order_by("pk")
        .first()
    )
    return {
        "text": message.text,
        "in_reply_to": message.in_reply_to or None,
        "conversation": conversation.external_id[2:] if conversation else None,
        "audience": message.audience,
        "author": {name: value for name, value in author.items() if value} or None,
        "idempotency_key": message.idempotency_key,
    }
