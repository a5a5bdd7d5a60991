"""The one process of the hot path: deliveries to work items to offers, and the timers. It leads alone.

Leading is an advisory lock on the very connection through which everything is written: who loses the connection has
lost the power to write. A heartbeat row lets a standby end the session of a leader that is stuck or stopped.
"""

import gc
import logging
import signal
import sys
import time

import redis
from django.conf import settings
from django.db import connection, transaction

from crm import live, rows
from crm.services import deliveries, streams
from routing.services import assignments, dispatch, presence, work_items, wrap_ups

log = logging.getLogger(__name__)

LOCK = "earshot.conveyor"
STUCK_SECONDS = 3
KNOWN_SECONDS = 1  # after which a changed queue or channel is seen


class Conveyor:
    """The loop. `run` returns when stopped; an exception ends the process, and the launcher starts another."""

    def __init__(self) -> None:
        self.stopping = False
        self.router = dispatch.Router()
        self.ahead = deliveries.Ahead(KNOWN_SECONDS)
        self._bell: redis.client.PubSub | None = None
        self._next_second = 0.0
        self._next_expiry = 0.0
        self._unnumbered = True

    def stop(self, *_: object) -> None:
        """Finish the batch in hand, then leave."""
        self.stopping = True

    def run(self) -> None:
        """Wait for leadership, rebuild, then work until stopped."""
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        if not self.lead():
            return
        work_items.remember_queues(KNOWN_SECONDS)
        self.start()
        while not self.stopping:
            if not self.step():
                self.listen(self.patience())
        self.ahead.give_back()

    def lead(self) -> bool:
        """Become the leader, ending a leader whose heart stopped; False when told to stop meanwhile."""
        if not settings.LEADER_LOCK:
            return True
        while not self.stopping:
            if self.try_lead():
                return True
            rows.run(
                "SELECT pg_terminate_backend(backend_pid) FROM routing_leader WHERE name = 'conveyor' "
                "AND beat_at < now() - make_interval(secs => %s) AND backend_pid <> pg_backend_pid()",
                (STUCK_SECONDS,),
            )
            time.sleep(0.3)
        return False

    def try_lead(self) -> bool:
        """Become the leader if nobody is; at once, yes or no."""
        if not settings.LEADER_LOCK:
            return True
        if not rows.run("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (LOCK,))[0][0]:
            return False
        self.beat()
        log.info("leading")
        return True

    def beat(self) -> None:
        """Write that we are alive, by the database's clock."""
        rows.run(
            "INSERT INTO routing_leader (name, backend_pid, beat_at) VALUES ('conveyor', pg_backend_pid(), now()) "
            "ON CONFLICT (name) DO UPDATE SET backend_pid = excluded.backend_pid, beat_at = excluded.beat_at"
        )

    def start(self) -> None:
        """What a new leader does first: put back what was in hand, read the state."""
        if settings.LEADER_LOCK:
            deliveries.put_back()
        with transaction.atomic():
            self.router.rebuild()
        self._due_for_round = True

    def step(self) -> bool:
        """One turn of the belt; True when there was work, so that the next turn comes at once."""
        worked = deliveries.process(ahead=self.ahead) > 0
        self.tick()
        if self.router.catch_up() or worked or self._due_for_round:
            self._due_for_round = False
            worked = bool(self.router.round(time.time())) or worked
        self._unnumbered = self._unnumbered or worked
        if self._unnumbered:
            if streams.number_feed():
                live.ring_feed()
                worked = True
            self._unnumbered = worked
        return worked

    _due_for_round = True

    def tick(self) -> None:
        """The timers: offers that run out, and once a second heartbeats, silence, seats."""
        now = time.monotonic()
        if now >= self._next_expiry:
            while assignments.expire():
                pass
            self._next_expiry = now + 0.25
        if now >= self._next_second:
            if settings.LEADER_LOCK:
                self.beat()
            presence.drop_silent()
            while wrap_ups.end_due():
                pass
            rows.forget_plans()
            self.router.refresh_seats()
            self._due_for_round = True
            self._unnumbered = True
            self._next_second = now + 1.0

    def patience(self) -> float:
        """How long to wait for the bell, in seconds."""
        now = time.monotonic()
        return max(
            0.0, min(self._next_second - now, self._next_expiry - now, settings.CONVEYOR_POLL_MS / 1000)
        )

    def listen(self, seconds: float) -> None:
        """Wait for the bell; without Redis just wait. Several rings within the window are one."""
        if self._unnumbered:
            seconds = min(seconds, 0.02)
        try:
            if self._bell is None:
                self._bell = live.client().pubsub(ignore_subscribe_messages=True)
                self._bell.subscribe(live.CONVEYOR)
            rung = self._bell.get_message(timeout=seconds) if seconds else None
            if rung:
                self._unnumbered = True
                time.sleep(min(settings.CONVEYOR_WINDOW_MS, 5) / 1000 / 2)
                while self._bell.get_message(timeout=0):
                    pass
        except (redis.RedisError, OSError, ValueError) as error:
            log.warning("bell not heard", extra={"error": str(error)})
            self._bell = None
            time.sleep(min(seconds, settings.CONVEYOR_POLL_MS / 1000))


def main() -> None:
    """Run a conveyor on this process's own connection until it is stopped."""
    # Two threads share the interpreter while much comes in: hand the one that writes its turn sooner.
    sys.setswitchinterval(0.0005)
    # What is loaded stays, and the queue in memory is no garbage: looking through all of it took a tenth of a second each time.
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    try:
        Conveyor().run()
    finally:
        connection.close()
