"""The facts that social care says."""

from dataclasses import dataclass

from crm.bus import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class MentionReceived(Fact):
    """A new post about us was stored and judged."""

    mention_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MentionDecided(Fact):
    """A person gave a verdict."""

    mention_id: int
    verdict: str
