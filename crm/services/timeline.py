"""One customer's timeline over all channels: what was said, notes, tickets, orders, surveys and the past, newest first.

Page, API and context card tell the same story: the card (`crm.services.context`) shows the newest words of it, by the same
rules of who may read what. Of teams that the reader may not see the words are left out, closed teams show nothing at all.

A page costs about the same however long the history is: words are looked for in the newest contacts below the place where
the page begins, for each contact holds at least one of its words at its end, and in those that reach across that place.
"""

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from crm import rows
from crm.access import reading
from crm.choices import ChannelKind
from crm.errors import InvalidInput
from crm.models import User

KINDS = ("message", "note", "past", "ticket", "order", "survey")
MOST = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = (datetime(9999, 1, 1, tzinfo=UTC), 0, 0)

# The same reading as `crm.access.held`; a test compares the two.
# `barred` is what a reader must not read; `hidden` is what he must not even know of. IS NOT TRUE: what is unknown is no right.
# The planner keeps the order of the joins: contacts first, by their index, and then the few words of each.
_CONTACT = """
    SELECT i.id, i.ticket_id, h.kind AS channel,
        (%(all)s::boolean OR v.id = ANY(%(teams)s::bigint[]) OR (%(own)s::boolean AND i.assigned_to_id = %(user)s::bigint)
            OR (h.brand_id = ANY(%(brands)s::bigint[]) AND v.visibility IS DISTINCT FROM 'closed')
            OR (%(by_role)s::boolean AND (v.id IS NULL OR v.visibility = 'open' OR v.id = %(team)s::bigint
                OR i.assigned_to_id = %(user)s::bigint)
                AND NOT (%(public)s::boolean AND i.audience <> 'public'))) IS NOT TRUE AS barred
    FROM crm_interaction i JOIN crm_channel h ON h.id = i.channel_id LEFT JOIN crm_team v ON v.id = i.team_id
    WHERE i.customer_id = %(customer)s AND i.folded_into_id IS NULL AND (%(any)s::boolean OR h.kind = ANY(%(channels)s))
        AND (v.visibility = 'closed' AND (%(all)s::boolean OR v.id = %(team)s::bigint OR v.id = ANY(%(teams)s::bigint[])
            OR i.assigned_to_id = %(user)s::bigint) IS NOT TRUE) IS NOT TRUE
"""
_WORDS = """
SELECT m.direction, m.at, m.id, m.deleted_at IS NOT NULL AS deleted, m.state, m.author_id,
    coalesce(nullif(w.alias, ''), nullif(w.name, ''), m.author_name) AS by, m.text
FROM crm_message m LEFT JOIN crm_user w ON w.id = m.author_id
WHERE m.interaction_id = i.id AND m.at <= %(at)s AND (m.at, 5, m.id) < (%(at)s, %(rank)s::int, %(id)s::bigint)
    AND m.state NOT IN ('draft', 'awaiting_approval', 'scheduled', 'failed')
"""
_SAID = """
SELECT CASE WHEN direction = 'note' THEN 'note' ELSE 'message' END AS kind, at, 5 AS rank, id, channel, direction, by,
    CASE WHEN barred THEN '' ELSE left(text, 500) END AS text, deleted, barred,
    CASE WHEN barred THEN NULL ELSE contact_id END AS interaction, ticket_id AS ticket, state, NULL::numeric AS amount
"""
_TICKET_BARRED = """
    (%(all)s::boolean OR v.id = ANY(%(teams)s::bigint[]) OR (%(own)s::boolean AND t.owner_id = %(user)s::bigint)
        OR (t.brand_id = ANY(%(brands)s::bigint[]) AND v.visibility IS DISTINCT FROM 'closed')
        OR (%(by_role)s::boolean AND (v.id IS NULL OR v.visibility = 'open' OR v.id = %(team)s::bigint
            OR t.owner_id = %(user)s::bigint) AND NOT (%(public)s::boolean AND NOT EXISTS (
                SELECT 1 FROM crm_interaction p WHERE p.ticket_id = t.id AND p.audience = 'public')))) IS NOT TRUE
"""
_TICKET_HIDDEN = """
    (v.visibility = 'closed' AND (%(all)s::boolean OR v.id = %(team)s::bigint OR v.id = ANY(%(teams)s::bigint[])
        OR t.owner_id = %(user)s::bigint) IS NOT TRUE)
"""
_SOURCES = {
    "message": f"""
        {_SAID} FROM (
            SELECT m.*, i.channel, i.barred, i.ticket_id, i.id AS contact_id
            FROM (
                ({_CONTACT} AND i.last_message_at < %(at)s
                 ORDER BY i.last_message_at DESC FETCH FIRST %(size)s ROWS WITH TIES)
                UNION ALL
                ({_CONTACT} AND i.last_message_at >= %(at)s AND i.first_message_at <= %(at)s)
            ) i CROSS JOIN LATERAL (
                {_WORDS} AND m.direction <> 'note' ORDER BY m.at DESC, m.id DESC LIMIT %(size)s
            ) m
        ) said
    """,  # noqa: S608 - our own words
    "note": f"""
        {_SAID} FROM (
            SELECT m.*, i.channel, i.barred, i.ticket_id, i.id AS contact_id
            FROM ({_CONTACT} OFFSET 0) i CROSS JOIN LATERAL (
                {_WORDS} AND m.direction = 'note' ORDER BY m.at DESC, m.id DESC LIMIT %(size)s
            ) m
        ) said
    """,  # noqa: S608 - our own words
    "past": """
        SELECT 'past' AS kind, at, 4 AS rank, id, kind AS channel, direction, author_name AS by, left(text, 500) AS text,
            false AS deleted, false AS barred, NULL::bigint AS interaction, ticket_id AS ticket, '' AS state,
            NULL::numeric AS amount
        FROM crm_pastmessage WHERE customer_id = %(customer)s AND %(past)s::boolean
            AND NOT (%(public)s::boolean AND audience <> 'public') AND (%(any)s::boolean OR kind = ANY(%(channels)s))
            AND at <= %(at)s AND (at, 4, id) < (%(at)s, %(rank)s::int, %(id)s::bigint)
    """,
    "ticket": f"""
        SELECT 'ticket' AS kind, t.opened_at AS at, 3 AS rank, t.id, '' AS channel, '' AS direction, '' AS by,
            CASE WHEN b.barred THEN '' ELSE t.subject END AS text, false AS deleted, b.barred, NULL::bigint AS interaction,
            t.id AS ticket, t.status AS state, NULL::numeric AS amount
        FROM crm_ticket t LEFT JOIN crm_team v ON v.id = t.team_id CROSS JOIN LATERAL (
            SELECT {_TICKET_BARRED} AS barred
        ) b
        WHERE t.customer_id = %(customer)s AND t.status <> 'folded' AND t.opened_at <= %(at)s
            AND (t.opened_at, 3, t.id) < (%(at)s, %(rank)s::int, %(id)s::bigint)
            AND {_TICKET_HIDDEN} IS NOT TRUE
    """,  # noqa: S608 - our own words
    "order": """
        SELECT 'order' AS kind, at, 2 AS rank, id, '' AS channel, '' AS direction, '' AS by, number || ' ' || currency AS text,
            false AS deleted, false AS barred, NULL::bigint AS interaction, NULL::bigint AS ticket, state, amount
        FROM crm_order WHERE customer_id = %(customer)s AND at <= %(at)s
            AND (at, 2, id) < (%(at)s, %(rank)s::int, %(id)s::bigint)
    """,
    # An answer about a ticket is read by who reads that; another one as other words of the past.
    "survey": f"""
        SELECT 'survey' AS kind, s.at, 1 AS rank, s.id, s.channel, 'inbound' AS direction, '' AS by,
            CASE WHEN b.barred THEN '' ELSE left(s.comment, 500) END AS text, false AS deleted, b.barred,
            NULL::bigint AS interaction, s.ticket_id AS ticket, s.question AS state, s.score::numeric AS amount
        FROM crm_survey s LEFT JOIN crm_ticket t ON t.id = s.ticket_id LEFT JOIN crm_team v ON v.id = t.team_id
        CROSS JOIN LATERAL (
            SELECT CASE WHEN t.id IS NULL THEN NOT %(past)s::boolean OR %(public)s::boolean ELSE {_TICKET_BARRED} END AS barred
        ) b
        WHERE s.customer_id = %(customer)s AND s.at <= %(at)s AND (%(any)s::boolean OR s.channel = ANY(%(channels)s))
            AND (s.at, 1, s.id) < (%(at)s, %(rank)s::int, %(id)s::bigint) AND {_TICKET_HIDDEN} IS NOT TRUE
    """,  # noqa: S608 - our own words
}
_OF_CHANNELS = ("message", "note", "past", "survey")
_NEWEST = "SELECT * FROM ({source}) one ORDER BY at DESC, rank DESC, id DESC LIMIT %(size)s"

_USED = """
SELECT kind FROM crm_identity WHERE customer_id = %(customer)s
UNION SELECT h.kind FROM (
    SELECT channel_id FROM crm_interaction WHERE customer_id = %(customer)s ORDER BY last_message_at DESC LIMIT 200
) i JOIN crm_channel h ON h.id = i.channel_id
UNION SELECT kind FROM (
    SELECT kind FROM crm_pastmessage WHERE customer_id = %(customer)s ORDER BY at DESC LIMIT 200
) p
"""


@dataclass(slots=True)
class Timeline:
    """A page: its entries newest first, and the cursor of what came before them (None: there is nothing)."""

    entries: list[dict]
    next: str | None


def of(
    customer_id: int,
    user: User,
    *,
    kinds: Collection[str] = (),
    channels: Collection[str] = (),
    cursor: str = "",
    size: int = 50,
) -> Timeline:
    """What a reader may see of a customer's history, in one statement.

    `kinds` of KINDS and `channels` (kinds of channels) leave only these; what has no channel is left out when channels are
    asked. An entry: kind, at, id, channel, direction, by, text (at most 500 characters), deleted, barred, interaction,
    ticket, state, amount. Raises InvalidInput for what is not one of them.
    """
    _check(kinds, KINDS, "kind")
    _check(channels, ChannelKind.values, "channel")
    at, rank, last = _place(cursor) if cursor else _END
    size = max(1, min(size, MOST))
    wanted = [
        name for name in KINDS if (not kinds or name in kinds) and (not channels or name in _OF_CHANNELS)
    ]
    if not wanted:
        return Timeline([], None)
    parts = " UNION ALL ".join(f"({_NEWEST.format(source=_SOURCES[name])})" for name in wanted)
    found = rows.dicts(
        _NEWEST.format(source=parts),
        {
            "customer": customer_id,
            **reading(user),
            "any": not channels,
            "channels": sorted(channels),
            "at": at,
            "rank": rank,
            "id": last,
            "size": size + 1,
        },
    )
    more, found = len(found) > size, found[:size]
    cursor_after = _cursor(found[-1]) if more else None
    for entry in found:
        del entry["rank"]
    return Timeline(found, cursor_after)


def channels_of(customer_id: int) -> list[str]:
    """The kinds of channels that a customer is known on or has used, as far as the newest contacts say."""
    used = {kind for (kind,) in rows.run(_USED, {"customer": customer_id})}
    return [kind for kind in ChannelKind.values if kind in used]


def _check(given: Collection[str], allowed: Collection[str], name: str) -> None:
    if unknown := sorted(set(given) - set(allowed)):
        raise InvalidInput(
            f"No such {name}.", errors={name: f"{unknown[0][:40]} is none of {', '.join(allowed)}"}
        )


def _cursor(entry: dict[str, Any]) -> str:
    place = [(entry["at"] - _EPOCH) // timedelta(microseconds=1), entry["rank"], entry["id"]]
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _place(cursor: str) -> tuple[datetime, int, int]:
    try:
        if len(cursor) > 100:
            raise ValueError(cursor[:20])
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        since, rank, last = orjson.loads(packed)
        if (
            any(type(one) is not int for one in (since, rank, last))
            or not 0 <= last < 2**63
            or not 0 <= rank < 9
        ):
            raise ValueError(packed)
        return _EPOCH + timedelta(microseconds=since), rank, last
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise InvalidInput("No such page.", errors={"cursor": "is not one of this timeline"}) from error
