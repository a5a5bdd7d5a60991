"""What social care keeps of people, for the floor's register (`crm/personal.py`)."""

from crm.personal import NO_LIST, NO_OBJECT, NO_TEXT, NOTHING, STAND_IN, Kept, beside, echoes, items_of, keeps

keeps("socialcare.Mention", Kept(
    noun="mentions", of="t.identity_id = ANY(%(identities)s)",
    words={"external_id": STAND_IN, "text": NO_TEXT, "permalink": NO_TEXT, "sentiment_words": NO_LIST, "judgement": NO_OBJECT,
           "corrections": NO_OBJECT},
    facts={"followers": NOTHING}, plain=("network", "language", "topic", "verdict", "status"),
))  # fmt: skip
items_of(
    "SELECT h.id, m.external_id, m.thread FROM socialcare_mention m JOIN crm_channel h ON h.kind = m.network "
    "WHERE m.identity_id = ANY(%(identities)s)"
)
_OTHERS = "t.thread = ANY(%(threads)s) AND t.identity_id <> ALL(%(identities)s)"
echoes("socialcare_mention", "text", _OTHERS)
beside(
    "SELECT h.id, t.external_id FROM socialcare_mention t JOIN crm_channel h ON h.kind = t.network "  # noqa: S608 - our own names and words, no one else's
    f"WHERE {_OTHERS}"
)
