"""What is counted when the apps below say something; after commit, so that only what happened counts."""

from collections import Counter

from crm import counters
from crm.bus import after
from crm.events import MessageMoved
from routing.events import AssignmentMoved, OfferMade

ENDS_OF_OFFERS = {"accepted", "declined", "missed", "withdrawn"}
ENDS_OF_SENDS = {"sent", "failed", "unknown"}


@after(OfferMade)
def count_offers(facts: tuple[OfferMade, ...]) -> None:
    """Offers made."""
    counters.OFFERS.labels("made").inc(len(facts))


@after(AssignmentMoved)
def count_ends(facts: tuple[AssignmentMoved, ...]) -> None:
    """How offers ended."""
    for status, many in Counter(str(fact.status) for fact in facts).items():
        if status in ENDS_OF_OFFERS:
            counters.OFFERS.labels(status).inc(many)


@after(MessageMoved)
def count_sends(facts: tuple[MessageMoved, ...]) -> None:
    """How sends ended."""
    for state, many in Counter(str(fact.state) for fact in facts).items():
        if state in ENDS_OF_SENDS:
            counters.SENDS.labels(state).inc(many)
