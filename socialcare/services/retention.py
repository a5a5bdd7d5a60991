"""Words of posts that need nothing any more, as a kind of what is kept for a time only."""

from crm.choices import RetentionKind
from crm.services.retention import Kind, register

_OLD = """
SELECT m.id FROM socialcare_mention m JOIN crm_channel h ON h.id = m.channel_id
LEFT JOIN crm_interaction i ON i.id = m.interaction_id
WHERE m.posted_at < %(before)s AND m.received_at < %(before)s AND m.text <> ''
AND (i.id IS NULL OR i.status = 'closed' AND i.closed_at < %(before)s)
AND (%(brand)s::bigint IS NULL OR h.brand_id = %(brand)s)
AND m.customer_id NOT IN (SELECT id FROM held) AND m.id > %(after)s ORDER BY m.id LIMIT %(limit)s
"""


def plug_in() -> None:
    """Called once, when the app is ready."""
    register(
        RetentionKind.MENTIONS.value,
        Kind(
            _OLD,
            "UPDATE socialcare_mention SET text = '', sentiment_words = '[]', judgement = judgement - 'topic_words' "
            "WHERE id = ANY(%s)",
        ),
    )
