"""Triage as the floor's judge: plain texts in, the floor's judgements out."""

from crm import judging
from socialcare import triage


def judge(texts: list[judging.Text]) -> list[judging.Judgement]:
    """Judge a list of texts of any channel."""
    items = [
        triage.Item(
            text=one.text,
            kind=one.kind,
            lang=one.lang,
            followers=one.followers,
            likes=one.likes,
            reposts=one.reposts,
            verified=one.verified,
        )
        for one in texts
    ]
    return [_translate(one) for one in triage.judge(items)]


def _translate(said: triage.Judgement) -> judging.Judgement:
    details = {
        "model": said.model,
        "reasons": said.reasons,
        "intent": said.intent,
        "verdict": said.verdict,
        "topic_words": said.topic_words,
        "actionable_confidence": said.actionable_confidence,
        "language_confidence": said.language_confidence,
        "urgency": said.urgency,
        "queue_hint": said.queue_hint,
        "required_skills": said.required_skills,
        "parts": said.parts,
    }
    return judging.Judgement(
        language=said.language if said.language_confidence >= 0.6 else "",
        sentiment=said.sentiment,
        sentiment_words=said.sentiment_words,
        topic=said.topic,
        queue_hint=said.queue_hint,
        actionable=said.actionable,
        courtesy=said.courtesy,
        verdict=said.verdict,
        required_skills=said.required_skills,
        parts=said.parts,
        details=details,
    )
