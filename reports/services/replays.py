"""Feed a recording through the very door of live deliveries, and count what became of it."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from crm import rows
from crm.choices import DeliveryOutcome, DeliveryState
from crm.errors import NotFound
from crm.models import Channel, ChannelAccount
from crm.services import deliveries
from reports import recordings
from routing.conveyor import Conveyor

BATCH = 200


class StillWaiting(Exception):
    """The time-out came before all deliveries were final."""


class Stopped(Exception):
    """Somebody asked us to stop; what was fed stays, and its handling goes on whenever a conveyor leads."""


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


@dataclass
class Fed:
    """What the door said to what we brought."""

    items: int = 0
    duplicates: int = 0
    rejected: int = 0
    deliveries: list[int] = field(default_factory=list)  # ids of what was new, none of anybody else's

    def hand_in(self, channel: Channel, batch: Sequence[dict]) -> None:
        """One small durable write."""
        receipt = deliveries.accept(channel, [json.dumps(item).encode() for item in batch])
        self.items += len(batch)
        self.duplicates += receipt.duplicates
        self.rejected += len(receipt.rejected)
        self.deliveries += receipt.fresh


def feed(
    channel: Channel,
    items: Sequence[dict],
    *,
    rate: float | None,
    timeout: float,
    progress: Callable[[int], object],
    stopping: Callable[[], bool] = lambda: False,
) -> dict:
    """Feed items (`rate` a second, or as fast as they are taken) and wait until each is final.

    Raises StillWaiting, and Stopped between two batches when `stopping` says so.
    """
    started = time.monotonic()
    offers = rows.run("SELECT coalesce(max(id), 0) FROM routing_assignment")[0][0]
    fed = Fed()
    size = BATCH if rate is None else max(1, min(BATCH, int(rate / 10)))
    with _own_belt() as belt:
        for start in range(0, len(items), size):
            if stopping():
                raise Stopped(f"Stopped after {fed.items} of {len(items)} items.")
            fed.hand_in(channel, items[start : start + size])
            progress(min(size, len(items) - start))
            _pace(belt, started + fed.items / rate if rate else 0.0)
        _wait(fed, belt, time.monotonic() + timeout, stopping)
    return _count(fed, offers, time.monotonic() - started)


@contextmanager
def _own_belt() -> Iterator[Conveyor | None]:
    """A conveyor in this process when none leads; else None, and the leader does the work."""
    belt = Conveyor()
    if not belt.try_lead():
        yield None
        return
    belt.start()
    try:
        yield belt
    finally:
        belt.ahead.give_back()
        belt.ahead.close()


def _pace(belt: Conveyor | None, until: float) -> None:
    while True:
        if belt is not None:
            belt.step()
        if time.monotonic() >= until:
            return
        time.sleep(0.01)


def _wait(fed: Fed, belt: Conveyor | None, deadline: float, stopping: Callable[[], bool]) -> None:
    while True:
        if belt is not None:
            belt.step()
        waiting = rows.run(
            "SELECT 1 FROM crm_delivery WHERE state IN ('queued', 'in_progress') AND id = ANY(%s) LIMIT 1",
            (fed.deliveries,),
        )
        if not waiting:
            return
        if stopping():
            raise Stopped("Stopped while some deliveries waited.")
        if time.monotonic() > deadline:
            raise StillWaiting("Some deliveries are not final yet.")
        if belt is None:
            time.sleep(0.1)


def _count(fed: Fed, offers: int, seconds: float) -> dict:
    """What came in by the door's word, and what became of it by the rows': two sources, so that the sum can fail."""
    ended = rows.run(
        "SELECT state, outcome, count(*) FROM crm_delivery WHERE id = ANY(%s) GROUP BY state, outcome",
        (fed.deliveries,),
    )
    counted = {outcome: count for state, outcome, count in ended if state == DeliveryState.DONE}
    set_aside = sum(count for state, _, count in ended if state == DeliveryState.QUARANTINED)
    mentions = rows.run(
        "SELECT count(*) FROM socialcare_mention m JOIN crm_delivery d ON d.channel_id = m.channel_id "
        "AND d.external_id = m.external_id AND d.event = 'created' WHERE d.id = ANY(%s)",
        (fed.deliveries,),
    )[0][0]
    quarantined = fed.rejected + set_aside
    return {
        "accepted": fed.items - fed.duplicates - quarantined,
        "duplicates": fed.duplicates,
        "quarantined": quarantined,
        "mentions": mentions,
        "tickets_opened": counted.get(DeliveryOutcome.OPENED.value, 0),
        "tickets_joined": counted.get(DeliveryOutcome.JOINED.value, 0),
        # What was posted by somebody who was erased since is passed over too.
        "ignored": counted.get(DeliveryOutcome.IGNORED.value, 0)
        + counted.get(DeliveryOutcome.ERASED.value, 0),
        "own": counted.get(DeliveryOutcome.OWN.value, 0),
        "reposts": counted.get(DeliveryOutcome.REPOST.value, 0),
        "updates": counted.get(DeliveryOutcome.UPDATE.value, 0),
        "offered": rows.run("SELECT count(*) FROM routing_assignment WHERE id > %s", (offers,))[0][0],
        "seconds": round(seconds, 3),
        "items_per_second": round(fed.items / seconds, 1) if seconds else 0.0,
    }


def holds(figures: dict) -> bool:
    """Whether what was accepted is the sum of what it became."""
    parts = ("tickets_opened", "tickets_joined", "ignored", "own", "reposts", "updates")
    return figures["accepted"] == sum(figures[name] for name in parts)
