"""What arrives and is nobody's contact: our own posts and echoes, edits, deletions."""

from crm import live, rows
from crm.choices import DeliveryOutcome, Direction, Event, MessageState
from crm.connectors import base
from crm.connectors.base import Inbound
from crm.services import messages, streams
from crm.services.threads import Threads

_OURS = """
SELECT a.channel_id, a.external_id FROM unnest(%s::bigint[], %s::text[]) AS k(channel_id, external_id)
JOIN crm_channelaccount a ON a.channel_id = k.channel_id AND a.external_id = k.external_id
"""

# The newest edit by its own time wins; the text before it stays as a version.
_EDIT = """
UPDATE crm_message m SET text = CASE WHEN m.deleted_at IS NULL THEN e.text ELSE '' END, edited_at = e.at,
    versions = m.versions || jsonb_build_array(jsonb_build_object('text', m.text, 'until', e.at))
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::timestamptz[]) AS e(channel_id, external_id, text, at)
WHERE m.channel_id = e.channel_id AND m.external_id = e.external_id AND (m.edited_at IS NULL OR m.edited_at < e.at)
RETURNING m.id, m.interaction_id
"""

_DELETE = """
UPDATE crm_message m SET deleted_at = coalesce(m.deleted_at, now()), text = '', title = '', versions = '[]', media = '[]'
FROM unnest(%s::bigint[], %s::text[]) AS e(channel_id, external_id)
WHERE m.channel_id = e.channel_id AND m.external_id = e.external_id RETURNING m.id, m.interaction_id
"""

# A reply whose sending is unclear is settled by its echo (late success).
_SETTLE = """
WITH echo AS (SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::timestamptz[], %s::text[])
              AS e(channel_id, external_id, text, at, parent)),
matched AS (
    SELECT DISTINCT ON (e.channel_id, e.external_id) m.id, e.external_id, e.at FROM echo e
    JOIN crm_message m ON m.channel_id = e.channel_id AND m.direction = 'outbound' AND m.external_id IS NULL
        AND m.state IN ('sending', 'unknown', 'queued') AND m.attempts > 0 AND m.text = e.text
        AND (e.parent = '' OR m.in_reply_to = e.parent)
    WHERE NOT EXISTS (SELECT 1 FROM crm_message x WHERE x.channel_id = e.channel_id AND x.external_id = e.external_id)
    ORDER BY e.channel_id, e.external_id, m.id
)
UPDATE crm_message m SET state = 'sent', external_id = t.external_id, sent_at = t.at, error = '', due_at = NULL
FROM matched t WHERE m.id = t.id RETURNING m.id, m.interaction_id
"""


def sort_out(inbounds: list[Inbound]) -> list[Inbound]:
    """Handle our own posts, machines' answers, edits and deletions; returns what customers and strangers wrote."""
    changes = [one for one in inbounds if one.item.event != Event.CREATED]
    machines = [one for one in inbounds if one.item.event == Event.CREATED and one.item.automatic]
    created = [one for one in inbounds if one.item.event == Event.CREATED and not one.item.automatic]
    if machines:
        take_automatic(machines)
    ours = ours_among(created)
    own = [one for one in created if (one.channel.id, one.item.author_id) in ours]
    # An address of ours in From proves nothing: such a mail is no answer of ours, and no customer's either.
    unproven = [one for one in own if not base.is_proven(one.channel.connector)]
    for one in unproven:
        one.outcome = DeliveryOutcome.IGNORED
    if proven := [one for one in own if base.is_proven(one.channel.connector)]:
        take_own(proven)
    for one in changes:
        one.outcome = DeliveryOutcome.UPDATE
    return [one for one in created if (one.channel.id, one.item.author_id) not in ours]


def ours_among(inbounds: list[Inbound]) -> set[tuple[int, str]]:
    """Which (channel id, author id) pairs are the brand's or staff's."""
    pairs = sorted({(one.channel.id, one.item.author_id) for one in inbounds})
    return set(rows.run(_OURS, ([c for c, _ in pairs], [a for _, a in pairs]))) if pairs else set()


def take_automatic(machines: list[Inbound]) -> None:
    """Nobody waits for an answer to a machine: no customer, no contact. A mail that came back tells who wrote it."""
    for one in machines:
        one.outcome = DeliveryOutcome.IGNORED
        bounced = one.item.extra.get("bounced")
        if one.item.automatic == "bounce" and isinstance(bounced, dict) and bounced.get("permanent"):
            ids = [str(name) for name in bounced.get("messages") or []]
            messages.came_back(one.channel.id, ids, str(bounced.get("reason") or "The mail came back."))


def take_own(own: list[Inbound]) -> None:
    """Keep what we posted ourselves, by Earshot or natively, in the thread where it stands. Never a contact."""
    threads = Threads(own)
    for one in own:
        threads.place(one)
        one.outcome = DeliveryOutcome.OWN
    threads.write()
    echoes = ([o.channel.id for o in own], [o.item.id for o in own], [o.item.text for o in own])
    times, parents_of = [o.item.created_at for o in own], [o.item.in_reply_to for o in own]
    messages.confirmed([row[0] for row in rows.run(_SETTLE, (*echoes, times, parents_of))])
    parents = _parents(own)
    for one in own:
        one.interaction_id = parents.get((one.channel.id, one.item.in_reply_to)) or _nearest(one, threads)
    inserted = _insert_own(own, threads)
    _answer([one for one in own if (one.channel.id, one.item.id) in inserted and one.interaction_id])


def _parents(own: list[Inbound]) -> dict[tuple[int, str], int]:
    pairs = sorted({(o.channel.id, o.item.in_reply_to) for o in own if o.item.in_reply_to})
    if not pairs:
        return {}
    found = rows.run(
        "SELECT m.channel_id, m.external_id, m.interaction_id "
        "FROM unnest(%s::bigint[], %s::text[]) AS k(channel_id, external_id) JOIN crm_message m "
        "ON m.channel_id = k.channel_id AND m.external_id = k.external_id WHERE m.interaction_id IS NOT NULL",
        ([c for c, _ in pairs], [e for _, e in pairs]),
    )
    return {(channel, external_id): interaction for channel, external_id, interaction in found}


def _nearest(one: Inbound, threads: Threads) -> int | None:
    contacts = threads.contacts_in(one.thread)
    before = [contact for contact in contacts if contact.first_at <= one.item.created_at] or contacts
    return max(before, key=lambda contact: contact.last_at).id if before else None


def _insert_own(own: list[Inbound], threads: Threads) -> set[tuple[int, str]]:
    n = len(own)
    created = rows.insert(
        "crm_message",
        {
            "channel_id": ("bigint", [o.channel.id for o in own]),
            "interaction_id": ("bigint", [o.interaction_id for o in own]),
            "thread": ("bigint", [threads.find(o.thread) for o in own]),
            "external_id": ("text", [o.item.id for o in own]),
            "direction": ("text", [Direction.OUTBOUND.value] * n),
            "audience": ("text", [str(o.item.audience) for o in own]),
            "state": ("text", [MessageState.SENT.value] * n),
            "author_name": ("text", [o.item.handle or o.item.name for o in own]),
            "title": ("text", [o.item.title for o in own]),
            "text": ("text", [o.item.text for o in own]),
            "media": ("jsonb", [rows.as_json(o.item.media) for o in own]),
            "versions": ("jsonb", ["[]"] * n),
            "courtesy": ("boolean", [False] * n),
            "sentiment_words": ("jsonb", ["[]"] * n),
            "in_reply_to": ("text", [o.item.in_reply_to for o in own]),
            "attempts": ("smallint", [0] * n),
            "error": ("text", [""] * n),
            "at": ("timestamptz", [o.item.created_at for o in own]),
            "sent_at": ("timestamptz", [o.item.created_at for o in own]),
        },
        tail="ON CONFLICT (channel_id, external_id) DO NOTHING RETURNING channel_id, external_id",
    )
    return set(created)


def _answer(own: list[Inbound]) -> None:
    """A native reply answers the customer: the clocks of `practice.md` 5.1 stop at the network's own time."""
    if not own:
        return
    rows.run(
        """
        WITH given AS (SELECT id, min(at) AS first, max(at) AS last
                       FROM unnest(%s::bigint[], %s::timestamptz[]) AS g(id, at) GROUP BY id)
        UPDATE crm_interaction i SET
            first_response_at = least(i.first_response_at, greatest(g.first, i.first_message_at)),
            last_message_at = greatest(i.last_message_at, g.last),
            waiting_since = CASE WHEN g.last >= i.waiting_since THEN NULL ELSE i.waiting_since END
        FROM given g WHERE i.id = g.id
        """,
        ([one.interaction_id for one in own], [one.item.created_at for one in own]),
    )


def apply_changes(changes: list[Inbound]) -> None:
    """Apply edits and deletions to messages; what changes nothing yet is kept and applied when the item comes."""
    edits = [one for one in changes if one.item.event == Event.EDITED]
    deletions = [one for one in changes if one.item.event == Event.DELETED]
    touched = []
    for one in sorted(edits, key=lambda o: o.item.edited_at):
        item = one.item
        touched += rows.run(_EDIT, ([one.channel.id], [item.id], [item.text], [item.edited_at]))
    if deletions:
        touched += rows.run(_DELETE, ([o.channel.id for o in deletions], [o.item.id for o in deletions]))
    for follow in base.followers():
        follow(changes)
    _keep_awaited(changes)
    _tell_updated(touched)


def _keep_awaited(changes: list[Inbound]) -> None:
    rows.insert(
        "crm_awaitedchange",
        {
            "channel_id": ("bigint", [o.channel.id for o in changes]),
            "external_id": ("text", [o.item.id for o in changes]),
            "event": ("text", [str(o.item.event) for o in changes]),
            "text": ("text", [o.item.text for o in changes]),
            "at": ("timestamptz", [o.item.edited_at for o in changes]),
            "count": ("int", [1] * len(changes)),
        },
    )


def note_awaited(created: list[Inbound]) -> None:
    """Note with each item what was waiting for it; read once, for everybody who keeps something of the item."""
    if not created:
        return
    found = rows.run(
        "SELECT a.channel_id, a.external_id, a.event, a.text, a.at, a.count "
        "FROM unnest(%s::bigint[], %s::text[]) AS k(channel_id, external_id) JOIN crm_awaitedchange a "
        "ON a.channel_id = k.channel_id AND a.external_id = k.external_id",
        ([o.channel.id for o in created], [o.item.id for o in created]),
    )
    by_item = {(one.channel.id, one.item.id): one for one in created}
    for row in found:
        by_item[row[0], row[1]].awaited.append(row)


def awaited_among(created: list[Inbound]) -> list[tuple]:
    """Changes that came before the items of this batch: (channel id, external id, event, text, at, count)."""
    return [row for one in created for row in one.awaited]


def apply_awaited(created: list[Inbound]) -> None:
    """Apply to fresh messages what was waiting for them."""
    waiting = awaited_among(created)
    edits = sorted((row for row in waiting if row[2] == Event.EDITED), key=lambda row: row[4])
    for channel, external_id, _, text, at, _ in edits:
        rows.run(_EDIT, ([channel], [external_id], [text], [at]))
    gone = [row for row in waiting if row[2] == Event.DELETED]
    if gone:
        rows.run(_DELETE, ([row[0] for row in gone], [row[1] for row in gone]))


def _tell_updated(touched: list[tuple[int, int | None]]) -> None:
    tellings: list[streams.Telling] = [
        (f"interaction:{interaction}", "message.updated", {"message": message, "interaction": interaction})
        for message, interaction in touched
        if interaction
    ]
    streams.tell(tellings)
    live.ring_streams(stream for stream, _, _ in tellings)
