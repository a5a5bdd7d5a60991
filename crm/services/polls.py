"""Polls: channels that are asked for what is new: each in its own time, never sooner than it allows, and never past its quota.

What a look brought and where the next one begins are written in one transaction, guarded by the turn: who was killed, or was
so slow that another one took over, has written nothing, and what is fetched twice is one delivery with two copies.
"""

import logging
import random
from dataclasses import dataclass
from typing import cast

from django.db import transaction

from crm import rows
from crm.connectors import base
from crm.errors import Conflict, DeliveryError, InvalidInput
from crm.models import Channel, ChannelAccount, Poll, User
from crm.services import activities, deliveries

log = logging.getLogger(__name__)

LEASE = 120.0  # s; a look that takes longer has lost its turn
LOOKS_AT_ONCE = 20  # pages of one channel, then others have their turn
FIRST_WAIT, LONGEST_WAIT = 10.0, 60.0  # s after a failure: it is known within a minute that it goes again
FASTEST, SLOWEST = 5, 86_400  # s between two looks

_TURN = """
UPDATE crm_poll s SET turn = s.turn + 1, due_at = statement_timestamp() + make_interval(secs => %s)
WHERE s.channel_id = %s AND s.is_on AND s.due_at <= statement_timestamp()
    AND EXISTS (SELECT 1 FROM crm_channel c WHERE c.id = s.channel_id AND c.is_active)
RETURNING s.turn, s.cursor, s.day_limit - s.reserve - (SELECT coalesce(sum(d.units), 0) FROM crm_pollday d
    WHERE d.channel_id = s.channel_id AND d.day = (statement_timestamp() AT TIME ZONE 'UTC')::date)
"""

_WENT_WELL = """
UPDATE crm_poll SET cursor = %s, fetched_at = statement_timestamp(), failing_since = NULL, failures = 0, error = '',
    last_in_at = CASE WHEN %s THEN statement_timestamp() ELSE last_in_at END,
    due_at = statement_timestamp() + make_interval(secs => CASE WHEN %s THEN 0 ELSE every END)
WHERE channel_id = %s AND turn = %s RETURNING 1
"""

_WENT_WRONG = """
UPDATE crm_poll SET failing_since = coalesce(failing_since, statement_timestamp()), failures = failures + 1, error = %s,
    due_at = statement_timestamp() + make_interval(secs => %s)
WHERE channel_id = %s AND turn = %s RETURNING failures
"""

_COUNT = """
INSERT INTO crm_pollday AS d (channel_id, day, looks, units, fetched, fresh, failed)
VALUES (%s, (statement_timestamp() AT TIME ZONE 'UTC')::date, 1, %s, %s, %s, %s)
ON CONFLICT (channel_id, day) DO UPDATE SET looks = d.looks + 1, units = d.units + excluded.units,
    fetched = d.fetched + excluded.fetched, fresh = d.fresh + excluded.fresh, failed = d.failed + excluded.failed
"""

_UNTIL_TOMORROW = """
UPDATE crm_poll SET error = 'The quota of this day is used up, but for what is kept for answers.',
    due_at = (date_trunc('day', statement_timestamp() AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC'
WHERE channel_id = %s AND turn = %s
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """Who may fetch a channel now: its connector, where it is, and how many units it may spend (None: any number)."""

    channel: Channel
    connector: base.Fetching
    number: int
    cursor: dict
    units: int | None


def due(limit: int = 200) -> list[int]:
    """Channels whose time has come."""
    return [
        row[0]
        for row in rows.run(
            "SELECT s.channel_id FROM crm_poll s JOIN crm_channel c ON c.id = s.channel_id "
            "WHERE s.is_on AND c.is_active AND s.due_at <= statement_timestamp() ORDER BY s.due_at, 1 LIMIT %s",
            (limit,),
        )
    ]


def fetch(channel_id: int) -> int:
    """Fetch a channel that is due, page by page; returns how many new items it brought. Two at once fetch it once."""
    fresh = 0
    for _ in range(LOOKS_AT_ONCE):
        turn = _take_turn(channel_id)
        if turn is None:
            break
        brought, more = _look(turn)
        fresh += brought
        if not more:
            break
    return fresh


def _take_turn(channel_id: int) -> Turn | None:
    found = rows.run(_TURN, (LEASE, channel_id))
    if not found:
        return None
    number, cursor, units = found[0]
    channel = Channel.objects.get(pk=channel_id)
    connector = base.fetching(channel.connector)
    if connector is None:
        _went_wrong(channel_id, number, f"{channel.connector} is not a connector that fetches.", SLOWEST)
        return None
    if units is not None and units < connector.CAN.cost_of_fetch:
        rows.run(_UNTIL_TOMORROW, (channel_id, number))
        return None
    return Turn(channel, connector, number, cast("dict", rows.from_json(cursor)), units)


def _look(turn: Turn) -> tuple[int, bool]:
    """One look outside any transaction, then one transaction for all it brought."""
    try:
        found = turn.connector.fetch(turn.channel, turn.cursor)
    except DeliveryError as error:
        _failed(turn, error.detail, error.retry_after)
        return 0, False
    except Exception as error:  # a connector's own fault is this channel's trouble, not that of the others
        log.exception("connector failed", extra={"channel": turn.channel.slug})
        _failed(turn, f"{type(error).__name__}: {error}", None)
        return 0, False
    return _keep(turn, found)


def _keep(turn: Turn, found: base.Fetched) -> tuple[int, bool]:
    with transaction.atomic():
        went = rows.run(
            _WENT_WELL,
            (rows.as_json(found.cursor), bool(found.raws), found.more, turn.channel.pk, turn.number),
        )
        if not went:
            log.warning("another one took over", extra={"channel": turn.channel.slug})
            return 0, False
        receipt = (
            deliveries.accept(turn.channel, found.raws, form=turn.channel.connector) if found.raws else None
        )
        fresh = receipt.accepted if receipt else 0
        rows.run(_COUNT, (turn.channel.pk, turn.connector.CAN.cost_of_fetch, len(found.raws), fresh, 0))
    return fresh, found.more


def _failed(turn: Turn, why: str, retry_after: float | None) -> None:
    log.warning("not fetched", extra={"channel": turn.channel.slug, "error": why})
    with transaction.atomic():
        _went_wrong(turn.channel.pk, turn.number, why, retry_after)
        rows.run(_COUNT, (turn.channel.pk, turn.connector.CAN.cost_of_fetch, 0, 0, 1))


def _went_wrong(channel_id: int, number: int, why: str, wait: float | None) -> None:
    """Note a failure; it is tried again within a minute, never sooner than the network asked."""
    clean = why.replace("\x00", "").encode("utf-8", "replace").decode()[:2000]
    pause = random.uniform(FIRST_WAIT, LONGEST_WAIT)  # noqa: S311 - a spread of waits, nothing secret
    rows.run(_WENT_WRONG, (clean, max(pause, wait or 0.0), channel_id, number))


# --- Settings of people


def probe(channel: Channel) -> base.Health:
    """Whether the channel's network answers and takes our key, in words; changes nothing."""
    connector = base.fetching(channel.connector)
    if connector is None:
        raise InvalidInput("This channel is not fetched: its network tells us.")
    try:
        return connector.probe(channel)
    except DeliveryError as error:
        return base.Health(False, [error.detail])


def switch(channel: Channel, *, on: bool, by: User, every: int | None = None) -> Poll:
    """Begin to fetch a channel, or stop. What is switched on again goes on where it stood."""
    ours = _whoami(channel) if on else None
    if every is not None and not FASTEST <= every <= SLOWEST:
        raise InvalidInput(
            "How often?", errors={"every": f"is a number of seconds from {FASTEST} to {SLOWEST}"}
        )
    with transaction.atomic():
        poll, _ = Poll.objects.select_for_update().get_or_create(channel=channel)
        poll.is_on = on
        poll.every = every or poll.every
        poll.save(update_fields=["is_on", "every"])
        if ours is not None:
            # What we write there ourselves comes back: it must be known as ours before the first look.
            ChannelAccount.objects.get_or_create(
                channel=channel,
                external_id=ours.external_id,
                defaults={"handle": ours.handle, "name": ours.name},
            )
            rows.run(
                "UPDATE crm_poll SET due_at = statement_timestamp() WHERE channel_id = %s", (channel.pk,)
            )
        activities.record("poll.switched", by=by, channel=channel.slug, on=on, every=poll.every)
    return poll


def _whoami(channel: Channel) -> base.Account:
    connector = base.fetching(channel.connector)
    if connector is None:
        raise InvalidInput("This channel is not fetched: its network tells us.")
    try:
        return connector.whoami(channel)
    except DeliveryError as error:
        raise InvalidInput(f"It cannot be fetched yet: {error.detail}") from error


def look_now(channel: Channel) -> None:
    """Make a channel due: a failure's wait is over, but never that which its network asked for."""
    made = rows.run(
        "UPDATE crm_poll SET due_at = statement_timestamp() WHERE channel_id = %s AND is_on "
        "AND due_at <= statement_timestamp() + make_interval(secs => greatest(every, %s)) RETURNING 1",
        (channel.pk, LONGEST_WAIT),
    )
    if not made:
        raise Conflict("It is off, or its network asked for a longer pause.", code="not_due")
