"""The plugs for judges: every text is judged, on every channel, before its interaction is said to be open.

And for the distributor, who says which team a contact that opens belongs to and until when it wants its first answer, so
that both are written with the contact and not after it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from crm.choices import Verdict


@dataclass(slots=True)
class Text:
    """What a judge may look at."""

    text: str
    kind: str
    lang: str | None = None
    followers: int | None = None
    likes: int = 0
    reposts: int = 0
    verified: bool = False


@dataclass(slots=True)
class Judgement:
    """What a judge says; `details` holds the reasons as shown to people."""

    language: str = ""
    sentiment: float | None = None
    sentiment_words: list = field(default_factory=list)
    topic: str = ""
    queue_hint: str = ""
    actionable: bool = True
    courtesy: bool = False
    verdict: str = Verdict.RESPOND
    required_skills: list[str] = field(default_factory=list)
    parts: dict[str, float | None] = field(default_factory=dict)
    details: dict = field(default_factory=dict)


Judge = Callable[[list[Text]], list[Judgement]]
_judge: list[Judge] = []


def register(judge: Judge) -> None:
    """Plug the judge in; the last one registered is asked."""
    _judge[:] = [judge]


def judge(texts: list[Text]) -> list[Judgement]:
    """Judge a list of texts; without a judge everything deserves an answer."""
    return _judge[0](texts) if _judge else [Judgement() for _ in texts]


@dataclass(slots=True, frozen=True)
class Opening:
    """A contact that is about to open, as the distributor asks for it."""

    queue_hint: str
    topic: str
    family: str
    received_at: datetime
    channel: str = ""  # its slug


@dataclass(slots=True, frozen=True)
class Owner:
    """Whose it is, and when its first answer is due."""

    team_id: int | None = None
    due_at: datetime | None = None


Owners = Callable[[list[Opening]], list[Owner]]
_owners: list[Owners] = []


def register_owners(owners: Owners) -> None:
    """Plug the distributor in; the last one registered is asked."""
    _owners[:] = [owners]


def owners(openings: list[Opening]) -> list[Owner]:
    """Who will answer, in the order asked; nobody in particular without a distributor."""
    return _owners[0](openings) if _owners and openings else [Owner() for _ in openings]
