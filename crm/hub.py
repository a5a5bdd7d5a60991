"""Real time of one web process: one Redis subscription, a dictionary of sockets, bytes encoded once.

A bell only says which streams have news. The hub reads the rows (one statement for all streams that rang within a few
milliseconds), renders each event once and hands the same text to every socket of the stream. Without Redis it looks by
itself once a second. A socket that reads too slowly is given a fresh snapshot instead of a gap.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson
import redis.asyncio
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, connections, transaction
from django.db.models import Q
from django.utils import timezone

from crm import counters, live, rows
from crm.models import ApiToken, User
from crm.services import streams, viewing

log = logging.getLogger(__name__)

COALESCE_SECONDS = 0.003  # between two readings; after a quiet while the first bell is answered at once
ALIVE_SECONDS = 15
RIGHTS_SECONDS = 2
LOOK_SECONDS = 1
MAX_BEHIND = 300  # frames a slow reader may be behind before he gets a snapshot instead

# Types whose frames need more than the row: (list of event data) -> list of frame data, both in order. Set by apps above.
_renderers: dict[str, Callable[[list[dict]], list[dict]]] = {}
# What signs of life mean is known above: called with user ids in a thread.
_beaters: list[Callable[[list[int]], None]] = []


def register_renderer(kind: str, render: Callable[[list[dict]], list[dict]]) -> None:
    """Say how events of a type are rendered when their frame leaves."""
    _renderers[kind] = render


def register_beater(beat: Callable[[list[int]], None]) -> None:
    """Say who is told of heartbeats."""
    _beaters.append(beat)


@dataclass(slots=True)
class Person:
    """Who is behind a socket, and what must still stand for the socket to stay."""

    user: User
    session_key: str = ""
    token_id: int | None = None
    scopes: tuple[str, ...] = ()
    viewer: User | None = None  # the administrator who looks as `user`
    viewing: int = 0


@dataclass(slots=True, eq=False)
class Socket:
    """One connected client of a stream or of a painted topic."""

    person: Person
    send: Callable[[str], Awaitable[None]]
    close: Callable[[int], Awaitable[None]]
    snapshot: Callable[[], dict] | None = None
    stream: str = ""
    topic: Hashable = None
    seq: int = 0
    beats: bool = False
    outbox: list[str] = field(default_factory=list)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    resync: bool = False
    caught_up: bool = False  # until then nothing is handed out: it would come before the state it belongs to
    writer: asyncio.Task | None = None

    @property
    def follows(self) -> bool:
        """Whether the next event is for him: he has his state, and waits for no other."""
        return self.caught_up and not self.resync


def frame(kind: str, seq: int | None, data: Any, at: Any = None) -> str:
    """A frame's text."""
    body = {"type": kind, "seq": seq, "at": at or timezone.now(), "data": data}
    return orjson.dumps(body, option=orjson.OPT_UTC_Z).decode()


def threads() -> ThreadPoolExecutor:
    """Where the hub's reads run, beside its loop."""
    return ThreadPoolExecutor(4, thread_name_prefix="hub")


class Hub:
    """The sockets of this process."""

    def __init__(self) -> None:
        self.by_stream: dict[str, set[Socket]] = defaultdict(set)
        self.by_topic: dict[Hashable, set[Socket]] = defaultdict(set)
        self._painters: dict[Hashable, Callable[[], dict]] = {}
        self._painted: dict[Hashable, bytes] = {}
        self._rung: set[str] = set()
        self._flushing: asyncio.Task | None = None
        self._flushed_at = 0.0
        self._tasks: list[asyncio.Task] = []
        self._beats: set[int] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = threads()

    async def in_thread(self, work: Callable, *args: Any) -> Any:
        """Run database work beside the loop, on a connection of its own that is given back."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _with_connection, work, *args)

    def start(self) -> None:
        """Begin to listen; called by the first socket, again when the loop is another one (tests)."""
        loop = asyncio.get_running_loop()
        if self._loop is loop and self._tasks and not self._tasks[0].done():
            return
        self._loop = loop
        self.by_stream.clear()
        self.by_topic.clear()
        self._flushing = None
        jobs = (self._listen, self._look, self._say_alive, self._check_rights, self._paint)
        self._tasks = [loop.create_task(_forever(job)) for job in jobs]

    async def note_figures(self) -> None:
        """Every second how many sockets this process holds and how full its pool is, for `/metrics`."""
        while True:
            everybody = (*self.by_stream.values(), *self.by_topic.values())
            counters.SOCKETS.set(sum(len(group) for group in everybody))
            if pool := connection.pool:
                held = pool.get_stats()
                counters.POOL.labels("free").set(held["pool_available"])
                counters.POOL.labels("in_use").set(held["pool_size"] - held["pool_available"])
                counters.POOL.labels("waiting").set(held["requests_waiting"])
            await asyncio.sleep(1)

    # --- sockets

    async def join(self, socket: Socket, after: int | None) -> None:
        """Bring a socket up to date (snapshot, or the events after a number), then keep it so."""
        self.start()
        socket.writer = asyncio.get_running_loop().create_task(self._write(socket))
        if socket.topic is not None:
            self.by_topic[socket.topic].add(socket)
            await self._paint_one(socket.topic, only=socket)
            return
        self.by_stream[socket.stream].add(socket)
        if after is not None:
            events = await self.in_thread(_missed, socket.stream, after)
            if events is not None:
                missed = await self._render(events)
                socket.seq, socket.caught_up = after, True
                self._hand_out([socket], missed, at_most=len(missed))
                self.ring([socket.stream])
                return
        await self._send_snapshot(socket)

    def leave(self, socket: Socket) -> None:
        """Forget a socket."""
        if socket.writer:
            socket.writer.cancel()
        _discard(self.by_stream, socket.stream, socket)
        _discard(self.by_topic, socket.topic, socket)

    def beat(self, socket: Socket) -> None:
        """A heartbeat came; told to the apps above once a look, all in one statement."""
        if (
            socket.beats and socket.person.viewer is None
        ):  # who looks as another is no sign of that one's life
            self._beats.add(socket.person.user.pk)

    def set_painter(self, topic: Hashable, paint: Callable[[], dict]) -> None:
        """Say how a topic (a board, a column) is painted: whole, at most once a second."""
        self._painters[topic] = paint

    async def _send_snapshot(self, socket: Socket) -> None:
        data, seq = await self.in_thread(_snapshot, socket.snapshot, socket.stream)
        socket.seq, socket.caught_up = seq, True
        socket.resync = False
        socket.outbox.append(frame("snapshot", seq, data))
        socket.wake.set()
        # What was told while the state was read.
        self.ring([socket.stream])

    async def _write(self, socket: Socket) -> None:
        """Send what lies in the outbox, in order; the transport's own back-pressure makes it wait here."""
        try:
            while True:
                await socket.wake.wait()
                socket.wake.clear()
                if socket.resync:
                    await self._send_snapshot(socket)
                while socket.outbox:
                    lines, socket.outbox = socket.outbox, []
                    for line in lines:
                        await socket.send(line)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # the client is gone, whatever the server calls it
            log.debug("socket closed while writing", extra={"error": str(error)})
            self.leave(socket)

    # --- events

    def ring(self, names: list[str]) -> None:
        """These streams have news."""
        wanted = [name for name in names if name in self.by_stream]
        if wanted:
            self._rung.update(wanted)
            if self._flushing is None or self._flushing.done():
                self._flushing = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        await asyncio.sleep(max(0.0, self._flushed_at + COALESCE_SECONDS - time.monotonic()))
        while self._rung:
            names, self._rung = sorted(self._rung), set()
            afters = []
            for name in names:
                known = [socket.seq for socket in self.by_stream.get(name, ()) if socket.follows]
                if known:
                    afters.append((name, min(known)))
            if not afters:
                continue
            try:
                events = await self.in_thread(_news, afters)
                rendered = await self._render(events)
                self._flushed_at = time.monotonic()
            except Exception as error:  # looked at again by _look
                log.warning("news not read", extra={"error": str(error)})
                return
            by_stream: dict[str, list[tuple[int, str]]] = defaultdict(list)
            for event, (seq, text) in zip(events, rendered, strict=True):
                by_stream[event["stream"]].append((seq, text))
            for name, lines in by_stream.items():
                self._hand_out(list(self.by_stream.get(name, ())), lines)

    async def _render(self, events: list[dict]) -> list[tuple[int, str]]:
        """Frames of events, each encoded once: [(seq, text)]."""
        groups: dict[str, list[dict]] = defaultdict(list)
        for event in events:
            if event["type"] in _renderers:
                groups[event["type"]].append(event)
        for kind, group in groups.items():
            datas = await self.in_thread(_renderers[kind], group)
            for event, data in zip(group, datas, strict=True):
                event["data"] = data
        return [
            (event["seq"], frame(event["type"], event["seq"], event["data"], event["at"])) for event in events
        ]

    def _hand_out(self, sockets: list[Socket], lines: list[tuple[int, str]], at_most: int = 0) -> None:
        """Put lines into outboxes; one that then holds more than `at_most`, or than is ever right, is emptied for a snapshot."""
        for socket in sockets:
            if not socket.follows:
                continue
            for seq, text in lines:
                if seq == socket.seq + 1:
                    socket.outbox.append(text)
                    socket.seq = seq
                elif seq > socket.seq:
                    # A hole (retention, or a reader far behind): never served with a gap.
                    socket.resync = True
                    break
            if len(socket.outbox) > max(at_most, MAX_BEHIND):
                socket.outbox.clear()
                socket.resync = True
            if socket.resync:
                counters.RESYNCS.inc()
            socket.wake.set()

    # --- the process's own tasks

    async def _listen(self) -> None:
        client = redis.asyncio.Redis.from_url(
            settings.REDIS_URL, socket_timeout=None, socket_connect_timeout=2
        )
        try:
            async with client.pubsub(ignore_subscribe_messages=True) as bell:
                await bell.subscribe(live.STREAMS)
                async for message in bell.listen():
                    self.ring(message["data"].decode().split())
        finally:
            await client.aclose()

    async def _look(self) -> None:
        """The net under the bells: compare the streams' numbers with ours, and pass heartbeats on."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            names = list(self.by_stream)
            if names:
                behind = await self.in_thread(_numbers, names)
                self.ring(
                    [
                        n
                        for n, seq in behind
                        if any(s.caught_up and s.seq < seq for s in self.by_stream.get(n, ()))
                    ]
                )
            if self._beats:
                users, self._beats = sorted(self._beats), set()
                for beater in _beaters:
                    await self.in_thread(beater, users)

    async def _say_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            for group in list(self.by_stream.values()):
                for socket in [one for one in group if one.caught_up]:
                    socket.outbox.append(orjson.dumps({"type": "alive", "seq": socket.seq}).decode())
                    socket.wake.set()

    async def _check_rights(self) -> None:
        """Whether session, user, role, team and token still stand, in one statement a kind for all sockets."""
        while True:
            await asyncio.sleep(RIGHTS_SECONDS)
            sockets = [s for group in (*self.by_stream.values(), *self.by_topic.values()) for s in group]
            if not sockets:
                continue
            standing = await self.in_thread(_standing, [socket.person for socket in sockets])
            for socket in sockets:
                code = standing[id(socket.person)]
                if code:
                    self.leave(socket)
                    await socket.close(code)

    async def _paint(self) -> None:
        while True:
            started = time.monotonic()
            for topic in list(self.by_topic):
                await self._paint_one(topic)
            await asyncio.sleep(max(0.1, 1 - (time.monotonic() - started)))

    async def _paint_one(self, topic: Hashable, only: Socket | None = None) -> None:
        data = await self.in_thread(self._painters[topic])
        same = orjson.dumps({**data, "as_of": None})
        if only is None and self._painted.get(topic) == same:
            return
        self._painted[topic] = same
        text = frame("snapshot", None, data)
        for socket in [only] if only else list(self.by_topic.get(topic, ())):
            # A board's older pictures are worthless: only the newest waits.
            socket.outbox[:] = [text]
            socket.wake.set()


def _discard(groups: dict, key: Hashable, socket: Socket) -> None:
    if key in groups:
        groups[key].discard(socket)
        if not groups[key]:
            del groups[key]


async def _forever(job: Callable[[], Awaitable[None]]) -> None:
    """Run a job of the hub again when it fails: Redis and PostgreSQL come back."""
    while True:
        try:
            await job()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # logged and tried again
            log.warning("hub task failed", extra={"task": job.__name__, "error": str(error)})
        await asyncio.sleep(0.5)


def _with_connection(work: Callable, *args: Any) -> Any:
    try:
        return work(*args)
    finally:
        connections.close_all()


def _missed(stream: str, after: int) -> list[dict] | None:
    return streams.since(stream, after)


def _snapshot(take: Callable[[], dict] | None, stream: str) -> tuple[dict, int]:
    """The state and the number it belongs to, from one consistent view."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            if len(connection.savepoint_ids) == 0:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        seq = streams.current(stream)
        return (take() if take else {}), seq


def _news(afters: list[tuple[str, int]]) -> list[dict]:
    return rows.prepared(
        "SELECT e.stream, e.seq, e.type, e.data::text AS data, e.at FROM unnest(%s::text[], %s::bigint[]) AS a(stream, after) "
        "JOIN LATERAL (SELECT * FROM crm_liveevent l WHERE l.stream = a.stream AND l.seq > a.after ORDER BY l.seq LIMIT 500) e "
        "ON true ORDER BY e.stream, e.seq",
        ([name for name, _ in afters], [after for _, after in afters]),
        decode=("data",),
    )


def _numbers(names: list[str]) -> list[tuple]:
    return rows.run("SELECT name, seq FROM crm_stream WHERE name = ANY(%s)", (names,))


def _standing(people: list[Person]) -> dict[int, int]:
    """For each person 0, or the code to close with: 4401 who are you, 4408 come again (rights changed)."""
    # Tuples and not objects: this is asked every two seconds for everybody.
    users = {
        row[0]: row[1:]
        for row in User.objects.filter(
            pk__in={user.pk for person in people for user in (person.user, person.viewer) if user},
            is_active=True,
        ).values_list("pk", "password", "role", "team_id", "reach")
    }
    keys = {person.session_key for person in people if person.session_key}
    now = timezone.now()
    alive = set(
        Session.objects.filter(session_key__in=keys, expire_date__gt=now).values_list(
            "session_key", flat=True
        )
    )
    token_ids = {person.token_id for person in people if person.token_id}
    tokens = set(
        ApiToken.objects.filter(
            Q(expires_at=None) | Q(expires_at__gt=now), pk__in=token_ids, revoked_at=None
        ).values_list("pk", flat=True)
    )
    looking = viewing.by_session(keys) if keys else {}
    return {
        id(person): 4408
        if looking.get(person.session_key, 0) != person.viewing
        else max(_verdict(person, one, users.get(one.pk), alive, tokens) for one in _standing_for(person))
        for person in people
    }


def _standing_for(person: Person) -> list[User]:
    """Whose rights must still stand: the person's, and of who looks as him his own."""
    if person.viewer is None:
        return [person.user]
    return [person.viewer] if person.user.pk == person.viewer.pk else [person.viewer, person.user]


def _verdict(person: Person, opened: User, known: tuple | None, alive: set[str], tokens: set[int]) -> int:
    """0, or the code to close with, for one person; `known` is password, role, team and reach as they are now."""
    over = (person.session_key and person.session_key not in alive) or (
        person.token_id and person.token_id not in tokens
    )
    if over or known is None or known[0] != opened.password:
        return 4401
    return 4408 if known[1:] != (opened.role, opened.team_id, opened.reach) else 0


hub = Hub()
