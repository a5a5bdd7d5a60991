"""What arrives: kept first, handled later, and never lost: done, or quarantined with the reason."""

import logging
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import sha256

from django.db import DatabaseError, OperationalError, connection, transaction

from crm import counters, events, judging, live, rows
from crm.bus import publish
from crm.choices import DeliveryOutcome, DeliveryState, Event
from crm.connectors import base, items
from crm.connectors.base import Inbound
from crm.errors import Conflict
from crm.models import Channel, Delivery
from crm.services import arrivals, delivery_turns, erased, interactions, masking

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
ATTEMPTS_TOGETHER = 2
# What one odd item can raise; anything else is our own fault and ends the process.
FAULTS = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError)
BATCH = 1000

# A corrected item takes the place of its quarantined first form; everything else that comes again is only counted.
STORE = """
INSERT INTO crm_delivery AS d (channel_id, external_id, event, digest, raw, form, state, error, copies, outcome, attempts)
SELECT g.*, '', 0 FROM unnest(
    %s::bigint[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::text[], %s::text[], %s::text[], %s::int[]) AS g
ON CONFLICT (channel_id, external_id, event, digest) DO UPDATE SET copies = d.copies + excluded.copies,
    raw = CASE WHEN d.state = 'quarantined' AND excluded.state = 'queued' THEN excluded.raw ELSE d.raw END,
    form = CASE WHEN d.state = 'quarantined' AND excluded.state = 'queued' THEN excluded.form ELSE d.form END,
    error = CASE WHEN d.state = 'quarantined' AND excluded.state = 'queued' THEN '' ELSE d.error END,
    attempts = CASE WHEN d.state = 'quarantined' AND excluded.state = 'queued' THEN 0 ELSE d.attempts END,
    state = CASE WHEN d.state = 'quarantined' AND excluded.state = 'queued' THEN 'queued' ELSE d.state END
RETURNING d.channel_id, d.external_id, d.event, d.digest, d.id, (d.xmax = 0) AS fresh
"""

_DONE = f"""
WITH {delivery_turns.HELD}
UPDATE crm_delivery d SET state = 'done', done_at = now(), outcome = n.outcome, interaction_id = n.interaction_id, error = ''
FROM held, unnest(%s::bigint[], %s::text[], %s::bigint[]) AS n(id, outcome, interaction_id)
WHERE d.id = held.id AND n.id = held.id
"""  # noqa: S608 - our own words

_PUT_BACK = f"""
WITH {delivery_turns.held("state = 'in_progress'")}
UPDATE crm_delivery d SET state = 'queued' FROM held WHERE d.id = held.id AND d.state = 'in_progress' RETURNING 1
"""  # noqa: S608 - our own words

_GIVE_BACK = f"""
WITH {delivery_turns.HELD}
UPDATE crm_delivery d SET state = 'queued', attempts = attempts - 1 FROM held
WHERE d.id = held.id AND d.state = 'in_progress'
"""  # noqa: S608 - our own words

# MATERIALIZED: a plan that runs a sub-select again for each row would claim the next ones each time, past the limit.
_CLAIM = """
WITH chosen AS MATERIALIZED (
    SELECT id FROM crm_delivery WHERE state = 'queued' ORDER BY id LIMIT %s::int FOR UPDATE SKIP LOCKED
)
UPDATE crm_delivery d SET state = 'in_progress', attempts = d.attempts + 1 FROM chosen WHERE d.id = chosen.id
RETURNING d.id, d.channel_id, d.raw, d.attempts, d.received_at, d.error <> '' AS failed, d.form
"""

_CHANNELS = rows.with_columns("SELECT {c} FROM crm_channel c WHERE c.id = ANY(%s::bigint[])", c=Channel)

Key = tuple[int, str, str, str]


@dataclass(slots=True)
class Sent:
    """One item as the sender gave it, and under which key it is kept."""

    key: Key
    raw: bytes
    errors: dict[str, str] = field(default_factory=dict)
    form: str = ""  # the connector whose wire format it is; empty: the open format


@dataclass(slots=True)
class Receipt:
    """What the door answers: accepted + duplicates + rejected = items sent."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[dict] = field(default_factory=list)
    fresh: list[int] = field(default_factory=list)  # the deliveries behind `accepted`; not part of the answer

    def as_dict(self) -> dict:
        """The body of the 202."""
        return {"accepted": self.accepted, "duplicates": self.duplicates, "rejected": self.rejected}


def read(channel_id: int, raws: list[bytes], form: str = "") -> list[Sent]:
    """Look at each item once: its key, and what is wrong with it. No database.

    `form` names the connector in whose wire format the items are; without one they are in the open format.
    """
    parse = base.parser(form)
    return [_read_one(channel_id, raw, form, parse) for raw in raws]


def _read_one(channel_id: int, raw: bytes, form: str, parse: base.Parser) -> Sent:
    try:
        item = parse(raw)
    except items.Rejected as error:
        return _unread(channel_id, raw, form, error)
    return Sent((channel_id, item.id, str(item.event), items.fingerprint(item, raw)), raw, form=form)


def _unread(channel_id: int, raw: bytes, form: str, error: items.Rejected) -> Sent:
    name = error.external_id or "sha256:" + sha256(raw).hexdigest()
    return Sent((channel_id, name, Event.CREATED.value, ""), raw, error.errors, form)


def store_params(sent: list[Sent]) -> tuple:
    """The parameters of STORE: one row a key, in order of key so that parallel statements cannot deadlock."""
    kept: dict[Key, Sent] = {}
    copies: dict[Key, int] = {}
    for one in sent:
        copies[one.key] = copies.get(one.key, 0) + 1
        if one.key not in kept or (kept[one.key].errors and not one.errors):
            kept[one.key] = one
    ordered = [kept[key] for key in sorted(kept)]
    states = [
        DeliveryState.QUARANTINED.value if one.errors else DeliveryState.QUEUED.value for one in ordered
    ]
    return (
        *[[one.key[place] for one in ordered] for place in range(4)],
        [one.raw for one in ordered],
        [one.form for one in ordered],
        states,
        ["; ".join(f"{name}: {text}" for name, text in one.errors.items()) for one in ordered],
        [copies[one.key] for one in ordered],
    )


def receipt(sent: list[Sent], stored: list[tuple]) -> Receipt:
    """Match what STORE returned with what was sent, and count it."""
    known = {tuple(row[:4]): (row[4], row[5]) for row in stored}
    answer = Receipt()
    seen: set[Key] = set()
    for index, one in enumerate(sent):
        delivery, fresh = known[one.key]
        if one.errors:
            answer.rejected.append({"index": index, "errors": one.errors, "delivery": delivery})
        elif fresh and one.key not in seen:
            answer.accepted += 1
            answer.fresh.append(delivery)
        else:
            answer.duplicates += 1
        seen.add(one.key)
    counters.DELIVERED.labels("accepted").inc(answer.accepted)
    counters.DELIVERED.labels("duplicate").inc(answer.duplicates)
    counters.DELIVERED.labels("rejected").inc(len(answer.rejected))
    return answer


def accept(channel: Channel, raws: list[bytes], form: str = "") -> Receipt:
    """One durable write for the whole list, then the bell. The same statement as the web door's."""
    sent = read(channel.pk, raws, form)
    with transaction.atomic():
        stored = rows.run(STORE, store_params(sent))
        live.ring(live.BELT)
    return receipt(sent, stored)


def put_back() -> int:
    """A leader with nothing in hand puts back what an earlier one had."""
    return len(rows.run(_PUT_BACK))


@dataclass(slots=True)
class Claimed:
    """A list in hand: its rows as claimed, what could be read of them, and what could not, with the reason."""

    rows: list[tuple]
    inbounds: list[Inbound] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)

    def read(self, channels: dict[int, Channel]) -> "Claimed":
        """Read and judge each item. Arithmetic only: another thread may do it, without a database."""
        for delivery_id, channel_id, raw, _, received_at, _, form in self.rows:
            channel = channels[channel_id]
            try:
                item = base.parser(form)(bytes(raw))
            except items.Rejected as error:
                self.unreadable.append((delivery_id, str(error)))
            except Exception as error:  # a connector's own fault must not stop the belt
                log.exception("connector failed", extra={"delivery": delivery_id})
                self.unreadable.append((delivery_id, f"{type(error).__name__}: {error}"))
            else:
                was = masking.on_arrival(item, bytes(raw), form)
                self.inbounds.append(
                    Inbound(
                        delivery_id=delivery_id,
                        channel=channel,
                        item=item,
                        received_at=received_at,
                        unmasked=was,
                    )
                )
        try:
            _judge(self.inbounds)
        except FAULTS as error:
            # The items are judged again one by one, and the one that cannot be is set aside alone.
            log.warning("batch not judged", extra={"error": str(error)})
        return self


class Ahead:
    """The list after the one in hand: while that is written, which is mostly waiting, it is claimed, read and judged.

    Only under load: a list that is not full is the last there is. The thread claims on a connection of its own, so that
    the server does it beside the writing; what it holds when its leader falls is put back by the next one.
    """

    def __init__(self, known_seconds: float = 0) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._known_seconds = known_seconds
        self._known: dict[int, Channel] = {}
        self._known_until = 0.0
        self._next: Future[Claimed | None] | None = None

    @property
    def holds(self) -> bool:
        """Whether a list is claimed, or is being so."""
        return self._next is not None

    def take(self, limit: int) -> Claimed | None:
        """The next list, read and judged, or None when nothing waits."""
        coming, self._next = self._next, None
        claimed = (coming.result() if coming else None) or self._take(limit)
        if claimed is not None and len(claimed.rows) == limit:
            self._next = self._thread.submit(self._take, limit)
        return claimed

    def _take(self, limit: int) -> Claimed | None:
        if time.monotonic() >= self._known_until:
            rows.forget_plans()
        found = _claim(limit)
        return Claimed(found).read(self._channels(found)) if found else None

    def _channels(self, claimed: list[tuple]) -> dict[int, Channel]:
        """The channels of a list, believed for a while."""
        now = time.monotonic()
        if now >= self._known_until:
            self._known, self._known_until = {}, now + self._known_seconds
        wanted = {row[1] for row in claimed}
        if not wanted <= self._known.keys():
            self._known |= _channels(claimed)
        return {one: self._known[one] for one in wanted}

    def give_back(self) -> None:
        """Put back what was only claimed: somebody else will take it."""
        coming, self._next = self._next, None
        if coming and (claimed := coming.result()):
            rows.run(_GIVE_BACK, ([row[0] for row in claimed.rows],))

    def close(self) -> None:
        """End the thread with its connection."""
        self._thread.submit(connection.close)
        self._thread.shutdown()


def _claim(limit: int) -> list[tuple]:
    return sorted(rows.kept(_CLAIM, (limit,)))


def _channels(claimed: list[tuple]) -> dict[int, Channel]:
    found = [rows.made(Channel, row) for row in rows.kept(_CHANNELS, (sorted({row[1] for row in claimed}),))]
    return {channel.pk: channel for channel in found}


def process(limit: int = BATCH, ahead: Ahead | None = None) -> int:
    """Claim up to `limit` queued deliveries and take them to their end; returns how many were claimed.

    With `ahead` the list after it is claimed too, and judged meanwhile: it is what the next call takes.
    """
    if ahead is not None:
        claimed = ahead.take(limit)
    else:
        found = _claim(limit)
        claimed = Claimed(found).read(_channels(found)) if found else None
    if claimed is None:
        return 0
    for delivery_id, error in claimed.unreadable:
        quarantine(delivery_id, error)
    # What has failed before is handled alone, so that a bad item never takes its neighbours with it. Who was in hand when
    # a leader died once has most likely not killed him: the list goes together again, or nothing would move for seconds.
    tried = {row[0] for row in claimed.rows if row[5] or row[3] > ATTEMPTS_TOGETHER}
    fresh = [one for one in claimed.inbounds if one.delivery_id not in tried]
    alone = [[one] for one in claimed.inbounds if one.delivery_id in tried]
    if fresh and _handle(fresh):
        alone += [[one] for one in fresh]
    attempts = {row[0]: row[3] for row in claimed.rows}
    for batch in alone:
        if error := _handle(batch):
            _give_up(batch[0], attempts[batch[0].delivery_id], error)
    counters.INGEST_LAG.observe(max(0.0, time.time() - min(row[4] for row in claimed.rows).timestamp()))
    return len(claimed.rows)


def _handle(inbounds: list[Inbound]) -> str:
    """Judge and write one list; returns what went wrong (nothing of the list is then written) or nothing."""
    try:
        _judge(inbounds)
        with transaction.atomic(), rows.pipelined(), rows.serialised("earshot.ingest"):
            _write(inbounds)
        _count(inbounds)
        return ""
    except OperationalError:
        raise
    except (DatabaseError, *FAULTS) as error:
        log.warning(
            "batch failed", extra={"deliveries": [o.delivery_id for o in inbounds], "error": str(error)}
        )
        for one in inbounds:
            one.outcome, one.interaction_id, one.awaited = "", None, []
        return f"{type(error).__name__}: {error}"


def _judge(inbounds: list[Inbound]) -> None:
    """Judge what is not judged yet."""
    judged = [one for one in inbounds if one.judgement is None and one.item.event != Event.DELETED]
    texts = [
        judging.Text(
            text=f"{one.item.title}\n{one.item.text}" if one.item.title else one.item.text,
            kind=one.item.kind,
            lang=one.item.lang or None,
            followers=one.item.followers,
            likes=one.item.likes,
            reposts=one.item.reposts,
            verified=one.item.verified,
        )
        for one in judged
    ]
    for one, judgement in zip(judged, judging.judge(texts), strict=True):
        one.judgement = _placed(judgement, len(one.item.title) + 1) if one.item.title else judgement


def _placed(judgement: judging.Judgement, headed: int) -> judging.Judgement:
    """The words that carry tone by their places in the text alone, without those of its title of `headed` characters."""
    places = [[start - headed, end - headed, *rest] for start, end, *rest in judgement.sentiment_words]
    return replace(judgement, sentiment_words=[place for place in places if place[0] >= 0])


def _write(inbounds: list[Inbound]) -> None:
    """Everything that a list of deliveries becomes, in the caller's transaction."""
    inbounds, away = erased.turn_away(inbounds)
    created = [one for one in inbounds if one.item.event == Event.CREATED]
    arrivals.note_awaited(created)
    rest = arrivals.sort_out(inbounds)
    groups: dict[base.Taker, list[Inbound]] = {}
    for one in rest:
        groups.setdefault(base.taker_for(one.channel.kind, interactions.receive), []).append(one)
    for taker, group in groups.items():
        taker(group)
    arrivals.apply_awaited(created)
    changes = [one for one in inbounds if one.item.event != Event.CREATED]
    if changes:
        arrivals.apply_changes(changes)
    done = sorted([*inbounds, *away], key=lambda one: one.delivery_id)
    ids = [one.delivery_id for one in done]
    rows.write(
        _DONE,
        (
            ids,
            ids,
            [str(one.outcome or DeliveryOutcome.IGNORED) for one in done],
            [one.interaction_id for one in done],
        ),
    )
    masking.keep(inbounds)
    erased.empty(away)


def _count(inbounds: list[Inbound]) -> None:
    for outcome, many in Counter(str(one.outcome or DeliveryOutcome.IGNORED) for one in inbounds).items():
        counters.HANDLED.labels(outcome).inc(many)


def _give_up(inbound: Inbound, attempts: int, error: str) -> None:
    if attempts >= MAX_ATTEMPTS:
        quarantine(inbound.delivery_id, error)
    else:
        rows.run(
            "UPDATE crm_delivery SET state = 'queued', error = %s WHERE id = %s",
            (error.replace("\x00", "")[:2000], inbound.delivery_id),
        )


def quarantine(delivery_id: int, error: str) -> None:
    """Set a delivery aside with the reason; it stays visible and can be replayed."""
    clean = error.replace("\x00", "").encode("utf-8", "replace").decode()[:2000]
    with transaction.atomic():
        rows.run(
            "UPDATE crm_delivery SET state = 'quarantined', error = %s WHERE id = %s", (clean, delivery_id)
        )
        publish(events.DeliveryQuarantined(delivery_id=delivery_id))
    counters.HANDLED.labels("quarantined").inc()


def replay(delivery_id: int) -> None:
    """Queue a quarantined delivery again; Conflict when it is not quarantined."""
    with transaction.atomic():
        changed = Delivery.objects.filter(pk=delivery_id, state=DeliveryState.QUARANTINED).update(
            state=DeliveryState.QUEUED, attempts=0, error=""
        )
        if not changed:
            raise Conflict("Only a quarantined delivery can be replayed.", code="not_quarantined")
        live.ring(live.BELT)


def ledger() -> dict[str, int]:
    """received = queued + in_progress + done + duplicate + quarantined, counted in one statement."""
    return rows.dicts(
        """
        SELECT coalesce(sum(copies), 0)::bigint AS received, count(*) FILTER (WHERE state = 'queued') AS queued,
            count(*) FILTER (WHERE state = 'in_progress') AS in_progress, count(*) FILTER (WHERE state = 'done') AS done,
            coalesce(sum(copies - 1), 0)::bigint AS duplicate, count(*) FILTER (WHERE state = 'quarantined') AS quarantined
        FROM crm_delivery
        """
    )[0]
