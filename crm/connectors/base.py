"""The registry of connectors and of the services that take what was parsed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from typing import Any, Protocol, cast

import orjson

from crm.connectors import items
from crm.connectors.items import Item
from crm.judging import Judgement
from crm.models import Channel

Parser = Callable[[bytes], Item]
Rewriter = Callable[[bytes, list[tuple[str, str]]], bytes]
FAULTS = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError)


class Counting(StrEnum):
    """What a network counts when it says how long a text may be."""

    CHARACTERS = "characters"
    GRAPHEMES = "graphemes"
    WEIGHTED = "weighted"  # X's own counting: links have one length, some scripts and emoji count twice
    OCTETS = "octets"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a network lets us do, and within what: what composer, guide and sender go by."""

    longest: int | None = None  # of a text, in its own counting; None: as long as we like
    counting: Counting = Counting.CHARACTERS
    threads: bool = True  # an answer stands under what it answers
    private: bool = False  # a public post can be answered under four eyes
    edit: bool = False
    delete: bool = False
    hide: bool = False
    like: bool = False
    media: int = 0  # files to a message
    reply_hours: int | None = None  # how long after the customer's last word an answer is taken
    idempotent: bool = False  # a second request under one key makes no second post
    fetched: bool = False  # we look for what is new
    pushed: bool = False  # the network tells us,
    hooked: bool = False  # by webhook in its own way
    proven: bool = True  # the network vouches for who wrote; in a mail anybody can write any sender
    cost_of_send: int = 0  # units of its quota
    cost_of_fetch: int = 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one look at a network brought; items and cursor are kept in one transaction."""

    raws: list[bytes]  # as the network gave them, oldest first
    cursor: dict[str, Any]  # where the next look begins; JSON
    more: bool = False  # there is more to be had at once


@dataclass(frozen=True, slots=True)
class Health:
    """What a probe of a channel found, in words for whoever sets it up."""

    good: bool
    findings: list[str]
    expires_at: datetime | None = None  # of our key there


@dataclass(frozen=True, slots=True)
class Account:
    """Who we are on a network: what this account writes is ours."""

    external_id: str
    handle: str = ""
    name: str = ""


class Connector(Protocol):
    """One provider: a module with these names. `send` and `look_up` raise DeliveryError, `parse` only Rejected."""

    CAN: Capabilities

    def parse(self, raw: bytes) -> Item:
        """One thing that came, in this network's own format. Arithmetic only."""

    def send(self, channel: Channel, message: Any) -> str:
        """Post a message; the network's id of it."""

    def look_up(self, channel: Channel, key: str) -> str | None:
        """The id of the post made under our key, or None where nobody can say."""


class Hooked(Connector, Protocol):
    """A provider that tells us by webhook in its own way, at `/hooks/<connector>/<channel>/`. Arithmetic only."""

    def challenge(
        self, secret: str, options: dict[str, Any], asked: dict[str, str]
    ) -> tuple[str, bytes] | None:
        """Content type and body by which we show that the address is ours; None when it is not asked as agreed."""

    def is_signed(self, secret: str, headers: dict[str, str], body: bytes) -> bool:
        """Whether these very bytes are signed with this secret; names of headers are in small letters."""

    def split(self, data: Any, options: dict[str, Any]) -> list[bytes]:
        """What a body tells of, piece by piece, as `parse` reads it; what is no message of anybody is left out."""


class Fetching(Connector, Protocol):
    """A provider that is asked for what is new. Both raise DeliveryError."""

    def fetch(self, channel: Channel, cursor: dict[str, Any]) -> Fetched:
        """What came since the cursor; an empty one begins. Leaves the other side as it is."""

    def whoami(self, channel: Channel) -> Account:
        """Whose key we hold there."""

    def probe(self, channel: Channel) -> Health:
        """Whether it answers, takes our key, and what it holds; changes nothing."""


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


def fetching(name: str) -> Fetching | None:
    """The connector of that name if it is one that fetches; None too when there is none."""
    if name not in _paths:
        return None
    found = connector(name)
    return cast("Fetching", found) if found.CAN.fetched else None


def hooked(name: str) -> Hooked | None:
    """The connector of that name if its provider tells us by webhook in its own way."""
    if name not in _paths:
        return None
    found = connector(name)
    return cast("Hooked", found) if found.CAN.hooked else None


def is_proven(name: str) -> bool:
    """Whether who wrote on a channel of this connector is sure."""
    return connector(name).CAN.proven if name in _paths else True


def parser(form: str) -> Parser:
    """Reads one item of a wire format, which its connector names; without a name the open format. Raises only Rejected."""
    if not form:
        return items.parse
    parse = connector(form).parse

    def read(raw: bytes) -> Item:
        try:
            return parse(raw)
        except FAULTS as error:  # strangers write these bytes: what trips the reader waits in the quarantine
            raise items.Rejected({"item": f"cannot be read: {type(error).__name__}: {error}"}) from error

    return read


def rewriter(form: str) -> Rewriter:
    """Puts other words in the place of some in an item's bytes; a format that is no JSON brings its own `rewritten`."""
    own: Rewriter | None = getattr(connector(form), "rewritten", None) if form else None
    return own or _rewritten


def _rewritten(raw: bytes, pieces: list[tuple[str, str]]) -> bytes:
    for piece, instead in pieces:
        raw = raw.replace(orjson.dumps(piece)[1:-1], orjson.dumps(instead)[1:-1])
    return raw


def file_of(form: str, raw: bytes, place: int) -> tuple[str, bytes] | None:
    """Name and octets of a file in an item's own bytes, of formats that carry files; None when it is not there."""
    own: Callable[[bytes, int], tuple[str, bytes]] | None = getattr(connector(form), "file", None)
    try:
        return own(raw, place) if own else None
    except FAULTS:
        return None


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
