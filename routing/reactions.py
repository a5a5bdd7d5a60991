"""What the distributor does when the floor says something."""

import logging

from kombu.exceptions import OperationalError

from crm.bus import after, on
from crm.events import (
    CallMoved,
    IdentitiesMoved,
    InteractionClosed,
    InteractionOpened,
    InteractionsFolded,
    MessageReceived,
    TicketSnoozed,
    TicketWoke,
)
from routing import tasks
from routing.events import SimulationAsked
from routing.services import assignments, calls, parking, work_items

log = logging.getLogger(__name__)


@on(InteractionOpened)
def queue_them(facts: tuple[InteractionOpened, ...]) -> None:
    """What opened waits for an agent, in the same transaction or not at all."""
    work_items.enqueue([fact.interaction_id for fact in facts])


@on(CallMoved)
def follow_calls(facts: tuple[CallMoved, ...]) -> None:
    """A call that ended while it waited is lost, and somebody wants to be called."""
    calls.moved(facts)


@on(InteractionClosed)
def end_closed(facts: tuple[InteractionClosed, ...]) -> None:
    """Closed by other means than the wrap-up: nobody needs to take it any more."""
    assignments.end_withdrawn(work_items.withdraw([fact.interaction_id for fact in facts]))


@on(InteractionsFolded)
def end_folded(facts: tuple[InteractionsFolded, ...]) -> None:
    """The older interaction carries the work."""
    assignments.end_withdrawn(work_items.withdraw([fact.interaction_id for fact in facts]))


@on(IdentitiesMoved)
@after(IdentitiesMoved)
def follow_customers(facts: tuple[IdentitiesMoved, ...]) -> None:
    """Work knows its customer. Again after commit, for what somebody else had in hand meanwhile."""
    work_items.follow_customers([fact.customer_id for fact in facts])


@on(TicketSnoozed)
def park(facts: tuple[TicketSnoozed, ...]) -> None:
    """Work on a ticket that sleeps costs its owner nothing."""
    for fact in facts:
        parking.park_ticket(fact.ticket_id, fact.until)


@after(TicketWoke)
def wake(facts: tuple[TicketWoke, ...]) -> None:
    """What is due again comes back to its owner."""
    parking.due([fact.ticket_id for fact in facts])


@on(MessageReceived)
def answered(facts: tuple[MessageReceived, ...]) -> None:
    """The customer wrote: what was parked comes back. Thanks alone bring nothing back."""
    parking.answered([fact.interaction_id for fact in facts if not fact.courtesy])


@after(SimulationAsked)
def play_them(facts: tuple[SimulationAsked, ...]) -> None:
    """Hand days to a worker; without a broker they wait for the sweep."""
    for fact in facts:
        try:
            tasks.simulate.delay(fact.simulation_id)
        except (OperationalError, OSError) as error:
            log.warning(
                "not handed to a worker", extra={"simulation": fact.simulation_id, "error": str(error)}
            )
            return
