"""The open push API as a connector: items come in our own format and nothing can be sent back."""

from typing import Any

from crm.connectors.base import Capabilities
from crm.connectors.items import parse
from crm.errors import DeliveryError
from crm.models import Channel

__all__ = ["CAN", "look_up", "parse", "send"]

CAN = Capabilities(pushed=True)


def send(channel: Channel, message: Any) -> str:
    """There is no way out of a push-only channel."""
    raise DeliveryError(f"{channel.name} has no connector that can send.", permanent=True)


def look_up(channel: Channel, key: str) -> str | None:
    """Nothing can be looked up either."""
    return None
