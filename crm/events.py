"""The facts that the floor says."""

from dataclasses import dataclass
from datetime import datetime

from crm.bus import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionOpened(Fact):
    """An interaction opened or re-opened: somebody must look at it."""

    interaction_id: int
    reopened: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionClosed(Fact):
    """An interaction was closed; its work is over."""

    interaction_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionsFolded(Fact):
    """A younger interaction was folded into an older one of the same customer and thread."""

    interaction_id: int
    into_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadsTied(Fact):
    """One thread became part of another; whoever keeps thread numbers follows."""

    thread: int
    into: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesMoved(Fact):
    """A person split a contact: its later words stand in another one now."""

    interaction_id: int
    into_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitiesMoved(Fact):
    """Identities belong to this customer now, by a merge or its undoing; what hangs on them follows."""

    customer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(Fact):
    """The customer wrote into an open interaction."""

    message_id: int
    interaction_id: int
    courtesy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMoved(Fact):
    """The telephone told of a call: ringing, answered, held, resumed, ended, or that a message was left (voicemail)."""

    interaction_id: int
    call: str
    state: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketSnoozed(Fact):
    """A person put a ticket out of the way until a time; said before the ticket is written."""

    ticket_id: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketWoke(Fact):
    """A ticket that slept is due again: its time came, what it waited for is over, or a person woke it."""

    ticket_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageQueued(Fact):
    """A reply waits to leave."""

    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageMoved(Fact):
    """An outbound message reached another delivery state."""

    message_id: int
    interaction_id: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryQuarantined(Fact):
    """An item could not be handled and waits for a person."""

    delivery_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPromised(Fact):
    """A file of customers waits to be checked, read in or undone."""

    import_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportAsked(Fact):
    """A list waits to be written to a file."""

    export_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureAsked(Fact):
    """A person's record waits to be erased."""

    erasure_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPromised(Fact):
    """An edit of many rows waits to be made or undone."""

    bulk_id: int
