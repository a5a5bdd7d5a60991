"""The registry of connectors and of the services that take what was parsed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any, Protocol

from crm.connectors.items import Item
from crm.judging import Judgement
from crm.models import Channel


class Connector(Protocol):
    """One provider: a module with these functions. `send` raises DeliveryError."""

    def parse(self, raw: bytes) -> Item: ...

    def send(self, channel: Channel, message: Any) -> str: ...

    def look_up(self, channel: Channel, key: str) -> str | None: ...


@dataclass(slots=True)
class Inbound:
    """One parsed delivery on its way through a batch, with what each step found out."""

    delivery_id: int
    channel: Channel
    item: Item
    received_at: datetime
    judgement: Judgement | None = None
    identity_id: int = 0
    customer_id: int = 0
    customer_value: float | None = None
    thread: int = 0
    interaction_id: int | None = None
    outcome: str = ""
    awaited: list[tuple] = field(default_factory=list)  # changes that came before it
    unmasked: tuple[str, str, bytes] | None = (
        None  # title and text as they came, and raw without what was masked
    )


Taker = Callable[[list[Inbound]], None]

_paths: dict[str, str] = {}
_takers: dict[str, Taker] = {}


def register(name: str, path: str) -> None:
    """Plug a connector in by the dotted path of its module; it is imported when first used."""
    _paths[name] = path


def names() -> list[str]:
    """The connectors there are."""
    return sorted(_paths)


def connector(name: str) -> Connector:
    """The connector of that name; KeyError when none is plugged in."""
    return import_module(_paths[name])


def register_taker(kinds: set[str], taker: Taker) -> None:
    """Say which service takes deliveries of these channel kinds."""
    for kind in kinds:
        _takers[kind] = taker


def taker_for(kind: str, default: Taker) -> Taker:
    """The service that takes deliveries of a channel kind."""
    return _takers.get(kind, default)


_followers: list[Taker] = []


def register_follower(follower: Taker) -> None:
    """Say which service above also keeps items and must hear of their edits and deletions."""
    _followers.append(follower)


def followers() -> tuple[Taker, ...]:
    """Who must hear of edits and deletions, in the same transaction."""
    return tuple(_followers)
