"""What social care does when the floor says something."""

from crm.bus import on
from crm.events import IdentitiesMoved, MessagesMoved, ThreadsTied
from socialcare.services import mentions


@on(ThreadsTied)
def move_mentions(facts: tuple[ThreadsTied, ...]) -> None:
    """Mentions keep thread numbers too."""
    mentions.tie([(fact.thread, fact.into) for fact in facts])


@on(MessagesMoved)
def follow_words(facts: tuple[MessagesMoved, ...]) -> None:
    """A mention belongs to the contact that holds its words."""
    mentions.follow_words([fact.into_id for fact in facts])


@on(IdentitiesMoved)
def follow_identities(facts: tuple[IdentitiesMoved, ...]) -> None:
    """A mention belongs to its author's customer."""
    mentions.follow_identities([fact.customer_id for fact in facts])
