"""Bells: one Redis message after commit says which streams have news or that the conveyor has work. Rows are the truth."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import redis
from django.conf import settings
from django.db import transaction

STREAMS = "earshot:streams"
BELT = "earshot:belt"  # something was delivered
CONVEYOR = "earshot:conveyor"  # the queue changed, or events have no number yet
RIGHTS = "earshot:rights"
FEED = "events"  # the stream that the conveyor numbers: its news is the conveyor's first

log = logging.getLogger(__name__)


@cache
def client() -> redis.Redis:
    """The process's Redis client; nothing that matters is kept there."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1)


def _publish(channel: str, text: str) -> None:
    try:
        client().publish(channel, text)
    except (redis.RedisError, OSError, ValueError) as error:
        # The conveyor and the hubs also look at the rows by themselves.
        log.warning("bell not rung", extra={"bell": channel, "error": str(error)})


@dataclass(frozen=True, slots=True)
class _Bell:
    """A bell that waits for a commit."""

    bell: str
    text: str

    def __call__(self) -> None:
        _publish(self.bell, self.text)


def ring(bell: str, text: str = "1") -> None:
    """Ring a bell now or, inside a transaction, once after its commit."""
    connection = transaction.get_connection()
    within = set(connection.savepoint_ids)
    for savepoints, waiting, _ in connection.run_on_commit:
        # A savepoint that is given up takes its bells along: only one that ours cannot outlive rings for both.
        if isinstance(waiting, _Bell) and waiting == _Bell(bell, text) and savepoints <= within:
            return
    transaction.on_commit(_Bell(bell, text), robust=True)


def ring_streams(names: Iterable[str]) -> None:
    """Say after commit that these streams have news."""
    told = set(names)
    if FEED in told:
        ring(CONVEYOR)
    if text := " ".join(sorted(told - {FEED})):
        ring(STREAMS, text)


def ring_feed() -> None:
    """Say after commit that the feed has new numbers."""
    ring(STREAMS, FEED)
