"""The hot path: deliveries to work items (the belt), work items to offers, with the timers (the router). Each leads alone.

The two are processes of one command, so that a flood of posts and the offers never wait for each other, and each core has
something to do. Leading is an advisory lock on the very connection through which everything is written: who loses the
connection has lost the power to write. A heartbeat row lets a standby end the session of a leader that is stuck or stopped.
"""

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import redis
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, connections, transaction

from crm import live, rows
from crm.services import deliveries, streams
from routing.services import (
    assignments,
    calls,
    dispatch,
    fairness,
    interruptions,
    joinings,
    overflows,
    parking,
    plans,
    presence,
    returns,
    standing,
    work_items,
    wrap_ups,
)

log = logging.getLogger(__name__)

BELT, ROUTER = "belt", "router"
PARTS = (BELT, ROUTER)
BELLS = {BELT: live.BELT, ROUTER: live.CONVEYOR}
STUCK_SECONDS = 3
STOPPED_SECONDS = 1.5  # after which a stopped process beside us is ended, so that both are started again
AGAIN_SECONDS = 0.3
PENDING_EVERY = 5  # s
KNOWN_SECONDS = 1  # after which a changed queue or channel is seen
COUNTED_SECONDS = 60  # after which what was counted of choices between channels is kept


class Conveyor:
    """The loop of some parts. `run` returns when stopped; an exception ends it; the next puts back what was in hand."""

    def __init__(self, parts: tuple[str, ...] = PARTS, is_alone: Callable[[], bool] = lambda: False) -> None:
        self.parts = parts
        self.is_alone = is_alone  # the process beside this one has ended
        self.stopping = False
        self.router = dispatch.Router()
        self.ahead = deliveries.Ahead(KNOWN_SECONDS)
        self._bell: redis.client.PubSub | None = None
        self._next_second = 0.0
        self._next_expiry = 0.0
        self._next_counts = 0.0
        self._due_for_round = True
        self._unnumbered = True
        self._until_pending = 0

    def stop(self, *_: object) -> None:
        """Finish the batch in hand, then leave."""
        self.stopping = True

    def run(self) -> None:
        """Wait for leadership, rebuild, then work until stopped, or alone."""
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
        fairness.keep(self.router.meter)

    def lead(self) -> bool:
        """Become the leader, ending a leader whose heart stopped; False when told to stop meanwhile."""
        if not settings.LEADER_LOCK:
            return True
        while not self.stopping:
            if self.try_lead():
                return True
            rows.run(
                "SELECT pg_terminate_backend(backend_pid) FROM routing_leader WHERE name = ANY(%s) "
                "AND beat_at < now() - make_interval(secs => %s) AND backend_pid <> pg_backend_pid()",
                (list(self.parts), STUCK_SECONDS),
            )
            time.sleep(0.3)
            self.stopping = self.stopping or self.is_alone()
        return False

    def try_lead(self) -> bool:
        """Become the leader if nobody is; at once, yes or no."""
        if not settings.LEADER_LOCK:
            return True
        taken = [part for part in self.parts if self._lock(part)]
        if len(taken) < len(self.parts):
            for part in taken:
                rows.run("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (f"earshot.{part}",))
            return False
        self.beat()
        log.info("leading", extra={"parts": self.parts})
        return True

    def _lock(self, part: str) -> bool:
        return rows.run("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (f"earshot.{part}",))[0][0]

    def beat(self) -> None:
        """Write that we are alive, by the database's clock."""
        rows.run(
            "INSERT INTO routing_leader (name, backend_pid, beat_at) SELECT name, pg_backend_pid(), now() "
            "FROM unnest(%s::text[]) AS name "
            "ON CONFLICT (name) DO UPDATE SET backend_pid = excluded.backend_pid, beat_at = excluded.beat_at",
            (list(self.parts),),
        )

    def start(self) -> None:
        """What a new leader does first: put back what was in hand, read the state."""
        if BELT in self.parts and settings.LEADER_LOCK:
            deliveries.put_back()
        if ROUTER in self.parts:
            with transaction.atomic():
                self.router.rebuild()
            self._due_for_round = True

    def step(self) -> bool:
        """One turn; True when there was work, so that the next turn comes at once."""
        worked = BELT in self.parts and deliveries.process(ahead=self.ahead) > 0
        self.tick()
        return self._route(worked) if ROUTER in self.parts else worked

    def _route(self, worked: bool) -> bool:
        """Offer what can be offered, and number what was told."""
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

    def tick(self) -> None:
        """The timers: offers that run out, and once a second heartbeats, silence, seats."""
        now = time.monotonic()
        if ROUTER in self.parts and now >= self._next_expiry:
            while assignments.expire():
                pass
            self._next_expiry = now + 0.25
        if now >= self._next_second:
            self._each_second()
            self._next_second = now + 1.0

    def _each_second(self) -> None:
        if self.is_alone():
            log.warning("the process beside this one ended", extra={"parts": self.parts})
            self.stopping = True
        if settings.LEADER_LOCK:
            self.beat()
        rows.forget_plans()
        if BELT in self.parts and settings.LEADER_LOCK and not self.ahead.holds:
            # Claimed by an earlier leader's other connection in the moment he fell, after we had looked.
            deliveries.put_back()
        if ROUTER in self.parts:
            presence.drop_silent()
            plans.keep()
            returns.take_from_silent()
            joinings.keep()
            parking.keep()
            calls.keep()
            interruptions.end()
            self._until_pending -= 1
            if self._until_pending <= 0:
                parking.put_answered_aside()
                self._until_pending = PENDING_EVERY
            while wrap_ups.end_due():
                pass
            self.router.refresh_seats()
            assignments.give_unasked()
            overflows.move(self.router.pool.seats)
            interruptions.make(self.router.calls, list(self.router.pool.seats))
            self._keep_counts()
            standing.tell(self.router)
            self._due_for_round = True
            self._unnumbered = True

    def _keep_counts(self) -> None:
        """Once a minute; what a router counted that is killed before is lost, and nothing else with it."""
        now = time.monotonic()
        if now >= self._next_counts:
            fairness.keep(self.router.meter)
            self.router.alarms = fairness.alarms()
            self._next_counts = now + COUNTED_SECONDS

    def patience(self) -> float:
        """How long to wait for the bell, in seconds."""
        now = time.monotonic()
        next_timer = min(self._next_second, self._next_expiry) if ROUTER in self.parts else self._next_second
        return max(0.0, min(next_timer - now, settings.CONVEYOR_POLL_MS / 1000))

    def listen(self, seconds: float) -> None:
        """Wait for the bell; without Redis just wait. Several rings within the window are one."""
        if self._unnumbered and ROUTER in self.parts:
            seconds = min(seconds, 0.02)
        try:
            if self._bell is None:
                self._bell = live.client().pubsub(ignore_subscribe_messages=True)
                self._bell.subscribe(*[BELLS[part] for part in self.parts])
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
    """Run the router in this process and the belt in one beside it, until stopped; when one ends, so does the other."""
    # Two threads share an interpreter while much comes in: hand the one that writes its turn sooner.
    sys.setswitchinterval(0.0005)
    # What is loaded stays, and the queue in memory is no garbage: looking through all of it took a tenth of a second each time.
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    connections.close_all()  # no connection is shared by two processes
    parent = os.getpid()
    belt = os.fork()
    if belt == 0:
        _run(BELT, Beside(parent, lambda: os.getppid() != parent).has_ended)
        return
    try:
        _run(ROUTER, Beside(belt, lambda: os.waitpid(belt, os.WNOHANG) != (0, 0)).has_ended)
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(belt, signal.SIGTERM)
            os.waitpid(belt, 0)


class Beside:
    """The process beside this one. Stopped, it would lead on in name and do nothing: for the launcher it lives."""

    def __init__(self, pid: int, is_gone: Callable[[], bool]) -> None:
        self.pid = pid
        self.is_gone = is_gone
        self._stopped_since: float | None = None

    def has_ended(self) -> bool:
        """Whether it is gone; one that was stopped for long is ended by this look."""
        if self.is_gone():
            return True
        if not is_stopped(self.pid):
            self._stopped_since = None
            return False
        now = time.monotonic()
        self._stopped_since = self._stopped_since or now
        if now - self._stopped_since < STOPPED_SECONDS:
            return False
        os.kill(self.pid, signal.SIGKILL)
        log.warning("the process beside this one was stopped, and is ended", extra={"beside": self.pid})
        return True


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped a process; where the system does not say, no."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def _run(part: str, is_alone: Callable[[], bool]) -> None:
    """Lead until told to stop; when the database fails, begin anew with nothing in memory: faster than a new process."""
    while True:
        conveyor = Conveyor((part,), is_alone)
        try:
            conveyor.run()
            return
        except (InterfaceError, OperationalError) as error:
            log.warning("the database failed", extra={"part": part, "error": str(error)})
        finally:
            conveyor.ahead.close()
            connection.close()
        time.sleep(AGAIN_SECONDS)
        if conveyor.stopping or is_alone():
            return
