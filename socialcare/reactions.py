"""What social care does when the floor says something."""

from crm.bus import on
from crm.events import ThreadsTied
from socialcare.services import mentions


@on(ThreadsTied)
def move_mentions(facts: tuple[ThreadsTied, ...]) -> None:
    """Mentions keep thread numbers too."""
    mentions.tie([(fact.thread, fact.into) for fact in facts])
