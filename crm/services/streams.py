"""Tell a desk, a thread or the event feed something, as a row in the teller's own transaction."""

from collections.abc import Iterable

import orjson

from crm import live, rows

EVENTS = live.FEED

_TELL = """
WITH given AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::jsonb[]) WITH ORDINALITY AS g(stream, type, data, place)
), counted AS (
    SELECT stream, count(*) AS n FROM given WHERE stream <> 'events' GROUP BY stream ORDER BY stream
), bumped AS (
    INSERT INTO crm_stream (name, seq) SELECT stream, n FROM counted ORDER BY stream
    ON CONFLICT (name) DO UPDATE SET seq = crm_stream.seq + excluded.seq RETURNING name, seq
)
INSERT INTO crm_liveevent (stream, seq, type, data)
SELECT g.stream, b.seq - c.n + row_number() OVER (PARTITION BY g.stream ORDER BY g.place), g.type, g.data
FROM given g LEFT JOIN counted c USING (stream) LEFT JOIN bumped b ON b.name = g.stream ORDER BY g.stream, g.place
"""

# Rows of the feed become numbers only when no older transaction can still commit, so that no writer waits for another.
_NUMBER = """
WITH ready AS (
    SELECT id FROM crm_liveevent WHERE seq IS NULL AND xmin::text::bigint <
        (SELECT mod(pg_snapshot_xmin(pg_current_snapshot())::text::bigint, 4294967296)) ORDER BY id LIMIT 2000
), counted AS (SELECT count(*) AS n FROM ready),
bumped AS (
    INSERT INTO crm_stream (name, seq) SELECT 'events', n FROM counted WHERE n > 0
    ON CONFLICT (name) DO UPDATE SET seq = crm_stream.seq + excluded.seq RETURNING seq
)
UPDATE crm_liveevent e SET seq = b.seq - c.n + r.place
FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM ready) r, bumped b, counted c
WHERE e.id = r.id RETURNING b.seq
"""

Telling = tuple[str, str, dict]


def tell(tellings: Iterable[Telling]) -> None:
    """Write (stream, type, data) rows; desks and threads are numbered densely here, `events` after commit.

    Takes the locks of the streams in order of name: call it as the last statement of the transaction.
    """
    told = list(tellings)
    if told:
        rows.write(
            _TELL,
            (
                [stream for stream, _, _ in told],
                [kind for _, kind, _ in told],
                [orjson.dumps(data).decode() for _, _, data in told],
            ),
        )


def number_feed() -> int:
    """Give the next numbers to events of the feed that are visible to everybody; returns the newest number or 0."""
    # xmin is 32 bits wide: compare with the snapshot's low half. A row older than 2^31 transactions is long numbered.
    numbered = rows.kept(_NUMBER)
    return numbered[0][0] if numbered else 0


def current(name: str) -> int:
    """The newest number of a stream."""
    found = rows.run("SELECT seq FROM crm_stream WHERE name = %s", (name,))
    return found[0][0] if found else 0


def since(name: str, after: int, limit: int = 2000) -> list[dict] | None:
    """Events after a number, or None when that number is past retention or above the current one."""
    newest = current(name)
    if after > newest or after < 0:
        return None
    events = rows.dicts(
        "SELECT stream, seq, type, data::text AS data, at FROM crm_liveevent "
        "WHERE stream = %s AND seq > %s ORDER BY seq LIMIT %s",
        (name, after, limit + 1),
        decode=("data",),
    )
    if len(events) > limit or (after < newest and (not events or events[0]["seq"] != after + 1)):
        return None
    return events


def page(name: str, after: int, limit: int) -> list[dict] | None:
    """The first events after a number, or None when that number is past retention or above the current one."""
    newest = current(name)
    if not 0 <= after <= newest:
        return None
    events = rows.dicts(
        "SELECT seq, type, data::text AS data, at FROM crm_liveevent WHERE stream = %s AND seq > %s ORDER BY seq LIMIT %s",
        (name, after, limit),
        decode=("data",),
    )
    if after < newest and (not events or events[0]["seq"] != after + 1):
        return None
    return events


def oldest(name: str) -> int:
    """The oldest number of a stream that is still kept, or the next one to come."""
    found = rows.run("SELECT min(seq) FROM crm_liveevent WHERE stream = %s", (name,))
    return found[0][0] or current(name) + 1


def forget(hours: int) -> int:
    """Delete events past retention, in one statement."""
    return len(
        rows.run(
            "DELETE FROM crm_liveevent WHERE seq IS NOT NULL AND at < now() - make_interval(hours => %s) RETURNING 1",
            (hours,),
        )
    )
