"""The plug for judges: every text is judged, on every channel, before its interaction is said to be open."""

from collections.abc import Callable
from dataclasses import dataclass, field

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
