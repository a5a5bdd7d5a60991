"""Feed a recording through the very door of live deliveries, and count what became of it."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from crm import rows
from crm.choices import DeliveryOutcome
from crm.errors import NotFound
from crm.models import Channel, ChannelAccount
from crm.services import deliveries
from reports import recordings
from routing.conveyor import Conveyor

BATCH = 200


class StillWaiting(Exception):
    """The time-out came before all deliveries were final."""


def read(path: Path, form: str, limit: int | None, slug: str) -> tuple[Channel, recordings.Recording]:
    """The channel and the recording; the recording's own accounts are entered in the channel first."""
    channel = Channel.objects.filter(slug=slug).first()
    if channel is None:
        raise NotFound(f"There is no channel {slug}.")
    recording = recordings.read(path, form, limit)
    for own in recording.own_accounts:
        ChannelAccount.objects.get_or_create(
            channel=channel,
            external_id=own["id"][:255],
            defaults={"handle": own["handle"], "name": own["name"]},
        )
    return channel, recording


def feed(
    channel: Channel,
    items: Iterable[dict],
    *,
    rate: float | None,
    timeout: float,
    progress: Callable[[int], None],
) -> dict:
    """Feed items (`rate` a second, or as fast as they are taken) and wait until each is final. Raises StillWaiting."""
    started = time.monotonic()
    last = rows.run("SELECT coalesce(max(id), 0) FROM crm_delivery")[0][0]
    offers = rows.run("SELECT coalesce(max(id), 0) FROM routing_assignment")[0][0]
    belt = _own_belt()
    fed = duplicates = rejected = 0
    batch: list[bytes] = []
    size = BATCH if rate is None else max(1, min(BATCH, int(rate / 10)))
    for item in items:
        batch.append(json.dumps(item).encode())
        if len(batch) >= size:
            receipt = deliveries.accept(channel, batch)
            fed, duplicates, rejected = (
                fed + len(batch),
                duplicates + receipt.duplicates,
                rejected + len(receipt.rejected),
            )
            progress(len(batch))
            batch = []
            _pace(belt, started + fed / rate if rate else 0.0)
    if batch:
        receipt = deliveries.accept(channel, batch)
        duplicates, rejected = duplicates + receipt.duplicates, rejected + len(receipt.rejected)
        progress(len(batch))
    _wait(channel, last, belt, time.monotonic() + timeout)
    return _count(channel, last, offers, duplicates, time.monotonic() - started)


def _own_belt() -> Conveyor | None:
    """A conveyor in this process when none leads; else None, and the leader does the work."""
    belt = Conveyor()
    if not belt.try_lead():
        return None
    belt.start()
    return belt


def _pace(belt: Conveyor | None, until: float) -> None:
    while True:
        if belt is not None:
            belt.step()
        if time.monotonic() >= until:
            return
        time.sleep(0.01)


def _wait(channel: Channel, last: int, belt: Conveyor | None, deadline: float) -> None:
    while True:
        if belt is not None:
            belt.step()
        waiting = rows.run(
            "SELECT 1 FROM crm_delivery WHERE state IN ('queued', 'in_progress') AND channel_id = %s AND id > %s LIMIT 1",
            (channel.pk, last),
        )
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise StillWaiting("Some deliveries are not final yet.")
        if belt is None:
            time.sleep(0.1)


def _count(channel: Channel, last: int, offers: int, duplicates: int, seconds: float) -> dict:
    counted = dict(
        rows.run(
            "SELECT outcome, count(*) FROM crm_delivery WHERE channel_id = %s AND id > %s AND state = 'done' GROUP BY outcome",
            (channel.pk, last),
        )
    )
    quarantined = rows.run(
        "SELECT count(*) FROM crm_delivery WHERE channel_id = %s AND id > %s AND state = 'quarantined'",
        (channel.pk, last),
    )[0][0]
    mentions = rows.run(
        "SELECT count(*) FROM socialcare_mention m JOIN crm_delivery d ON d.channel_id = m.channel_id "
        "AND d.external_id = m.external_id AND d.event = 'created' WHERE d.channel_id = %s AND d.id > %s",
        (channel.pk, last),
    )[0][0]
    outcomes = {
        "tickets_opened": counted.get(DeliveryOutcome.OPENED.value, 0),
        "tickets_joined": counted.get(DeliveryOutcome.JOINED.value, 0),
        "ignored": counted.get(DeliveryOutcome.IGNORED.value, 0),
        "own": counted.get(DeliveryOutcome.OWN.value, 0),
        "reposts": counted.get(DeliveryOutcome.REPOST.value, 0),
        "updates": counted.get(DeliveryOutcome.UPDATE.value, 0),
    }
    accepted = sum(counted.values())
    return {
        "accepted": accepted,
        "duplicates": duplicates,
        "quarantined": quarantined,
        "mentions": mentions,
        **outcomes,
        "offered": rows.run("SELECT count(*) FROM routing_assignment WHERE id > %s", (offers,))[0][0],
        "seconds": round(seconds, 3),
        "items_per_second": round((accepted + duplicates + quarantined) / seconds, 1) if seconds else 0.0,
    }


def holds(figures: dict) -> bool:
    """Whether what was accepted is the sum of what it became."""
    parts = ("tickets_opened", "tickets_joined", "ignored", "own", "reposts", "updates")
    return figures["accepted"] == sum(figures[name] for name in parts)
