"""Promises: which policy a ticket has, its clocks replayed from what happened, warnings before and alarms at the breach.

Nothing is counted on the hot path: a ticket that has moved since its last replay (`clocked_at`) is the waiting row, and
the replay is always of the whole ticket, so that it can be run twice and after any correction.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from crm import rows
from crm.access import Permission, require
from crm.calendars import Calendar, Span, problems
from crm.clocks import Clock, Event, Happened, State, Targets, next_due, replay
from crm.errors import InvalidInput
from crm.models import BusinessCalendar, SlaPolicy, Ticket, User
from crm.services import activities, interactions, streams

BATCH = 500
SHOWN = 200  # tickets listed in a preview
SUBJECT = ("ticket_id", "brand_id", "priority", "customer_id", "vip", "updated_at")

# The condition of the index on what has moved. Folded contacts are left out by FILTER and not by WHERE: before the tables
# are first analysed the planner takes `IS NULL` for rare, and reads all of a partial index for each ticket.
_MOVED = """
SELECT t.id AS ticket_id, t.brand_id, t.priority, t.customer_id, c.vip, t.updated_at,
    coalesce((SELECT array_agg(DISTINCT h.kind) FILTER (WHERE i.folded_into_id IS NULL)
              FROM crm_interaction i JOIN crm_channel h ON h.id = i.channel_id WHERE i.ticket_id = t.id), '{{}}') AS kinds
FROM crm_ticket t JOIN crm_customer c ON c.id = t.customer_id
WHERE {which} ORDER BY t.id LIMIT %(limit)s {lock}
"""
_UNCLOCKED = "(NOT (t.clocked_at = t.updated_at AND t.clocked_at IS NOT NULL) OR t.clocked_at IS NULL) AND t.status <> 'folded'"

_EVENTS = """
SELECT ticket_id, at, what, cause FROM (
    SELECT i.ticket_id, m.at, 'customer_wrote' AS what, 'customer wrote on ' || h.name AS cause, m.id
    FROM crm_interaction i JOIN crm_message m ON m.interaction_id = i.id JOIN crm_channel h ON h.id = i.channel_id
    WHERE i.ticket_id = ANY(%(ids)s) AND m.direction = 'inbound' AND NOT m.courtesy AND m.deleted_at IS NULL
    UNION ALL
    SELECT i.ticket_id, coalesce(m.sent_at, m.at), 'answered', coalesce(nullif(u.name, ''), 'one of us') || ' answered', m.id
    FROM crm_interaction i JOIN crm_message m ON m.interaction_id = i.id LEFT JOIN crm_user u ON u.id = m.author_id
    WHERE i.ticket_id = ANY(%(ids)s) AND m.direction = 'outbound' AND m.state = 'sent'
    UNION ALL
    SELECT a.ticket_id, a.at, CASE a.data->>'status' WHEN 'waiting_on_customer' THEN 'waiting' WHEN 'solved' THEN 'solved'
        WHEN 'closed' THEN 'solved' ELSE 'working' END, 'status: ' || replace(a.data->>'status', '_', ' '), a.id
    FROM crm_activity a WHERE a.ticket_id = ANY(%(ids)s) AND a.verb = 'ticket.edited' AND a.data->'fields' ? 'status'
    UNION ALL
    SELECT a.ticket_id, a.at, CASE a.verb WHEN 'ticket.paused' THEN 'waiting' ELSE 'working' END,
        coalesce(nullif(concat_ws(': ', a.data->>'reason', nullif(a.data->>'note', '')), ''), 'went on'), a.id
    FROM crm_activity a WHERE a.ticket_id = ANY(%(ids)s) AND a.verb IN ('ticket.paused', 'ticket.resumed')
    UNION ALL
    SELECT a.ticket_id, a.at, CASE a.verb WHEN 'interaction.closed' THEN 'solved' ELSE 'working' END,
        CASE a.verb WHEN 'interaction.closed' THEN 'closed' ELSE 'opened again' END, a.id
    FROM crm_activity a WHERE a.ticket_id = ANY(%(ids)s) AND a.verb IN ('interaction.closed', 'interaction.reopened')
    AND (a.verb <> 'interaction.closed' OR NOT EXISTS (
        SELECT 1 FROM crm_interaction o WHERE o.ticket_id = a.ticket_id AND o.id <> a.interaction_id
        AND o.folded_into_id IS NULL AND o.opened_at < a.at AND (o.closed_at IS NULL OR o.closed_at > a.at)))
    UNION ALL
    SELECT t.id, t.solved_at, 'solved', 'solved before it came here', 0 FROM crm_ticket t
    WHERE t.id = ANY(%(ids)s) AND t.solved_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM crm_activity a WHERE a.ticket_id = t.id
        AND (a.verb = 'interaction.closed' OR (a.verb = 'ticket.edited' AND a.data->'fields' ? 'status')))
) e ORDER BY ticket_id, at, id
"""

_KEEP = """
INSERT INTO crm_ticketclock (ticket_id, policy_id, kind, state, started_at, due_at, warn_at, stopped_at, lines)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[],
    %s::timestamptz[], %s::timestamptz[], %s::jsonb[])
ON CONFLICT (ticket_id, kind, started_at) DO UPDATE SET policy_id = excluded.policy_id, state = excluded.state,
    due_at = excluded.due_at, warn_at = excluded.warn_at, stopped_at = excluded.stopped_at, lines = excluded.lines,
    warned_at = CASE WHEN crm_ticketclock.warn_at IS DISTINCT FROM excluded.warn_at THEN NULL ELSE crm_ticketclock.warned_at END,
    told_at = CASE WHEN excluded.state = 'breached' THEN crm_ticketclock.told_at END
"""
_FORGET = """
DELETE FROM crm_ticketclock c WHERE c.ticket_id = ANY(%s) AND NOT EXISTS (
    SELECT 1 FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS k(ticket_id, kind, started_at)
    WHERE k.ticket_id = c.ticket_id AND k.kind = c.kind AND k.started_at = c.started_at)
"""
_CLOCKED = """
UPDATE crm_ticket t SET clocked_at = n.at, next_due_at = n.due
FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS n(id, at, due) WHERE t.id = n.id
"""

_WARN = """
WITH chosen AS MATERIALIZED (
    SELECT id FROM crm_ticketclock WHERE state = 'running' AND warned_at IS NULL AND warn_at <= statement_timestamp()
    AND due_at > statement_timestamp() ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE crm_ticketclock c SET warned_at = statement_timestamp() FROM crm_ticket t, chosen
WHERE t.id = c.ticket_id AND c.id = chosen.id
RETURNING c.ticket_id, c.kind, c.due_at
"""
_BREACH = """
WITH chosen AS MATERIALIZED (
    SELECT id FROM crm_ticketclock WHERE told_at IS NULL AND due_at < statement_timestamp()
    AND (state = 'running' OR (state = 'breached' AND stopped_at IS NULL)) ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE crm_ticketclock c SET state = 'breached', told_at = statement_timestamp() FROM crm_ticket t, chosen
WHERE t.id = c.ticket_id AND c.id = chosen.id
RETURNING c.ticket_id, c.kind, c.due_at
"""
# Who hears of a ticket: its owner, who holds its open contacts, and who follows it.
_HEARERS = """
SELECT id, owner_id FROM crm_ticket WHERE id = ANY(%(ids)s) AND owner_id IS NOT NULL
UNION SELECT ticket_id, assigned_to_id FROM crm_interaction
WHERE ticket_id = ANY(%(ids)s) AND status = 'open' AND assigned_to_id IS NOT NULL
UNION SELECT ticket_id, user_id FROM crm_ticket_followers WHERE ticket_id = ANY(%(ids)s) ORDER BY 1, 2
"""

_WORDS = {
    "first_response": "the first reply",
    "next_response": "the next reply",
    "resolution": "the solution",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What decides which policy a ticket has."""

    ticket_id: int
    brand_id: int
    priority: str
    customer_id: int
    vip: bool
    updated_at: datetime
    kinds: frozenset[str]


# --- Policies


def calendar_of(row: BusinessCalendar) -> Calendar:
    """The arithmetic form of a stored calendar."""
    return Calendar(
        ZoneInfo(row.zone),
        {int(day): _spans(spans) for day, spans in row.week.items()},
        {one.day: _spans(one.spans) for one in row.holidays.all()},
    )


def check_calendar(zone: str, week: Any, exceptions: Iterable[Any] = ()) -> None:
    """Refuse a calendar that cannot be reckoned with, by field."""
    errors: dict[str, str] = {}
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, LookupError):
        errors["zone"] = "is not a time zone of the tz database, for example Europe/Berlin"
    if not isinstance(week, dict) or set(week) - set("0123456"):
        errors["week"] = 'holds spans by weekday, "0" (Monday) to "6"'
    else:
        for spans in [*week.values(), *exceptions]:
            try:
                wrong = problems(_spans(spans))
            except (TypeError, ValueError, AttributeError):
                wrong = 'spans look like [["09:00", "12:00"], ["13:00", "17:00"]]'
            if wrong:
                errors["week"] = wrong
    if errors:
        raise InvalidInput("The calendar cannot be used.", errors=errors)


def _spans(spans: Iterable[Any]) -> tuple[Span, ...]:
    return tuple(sorted((_minute(first), _minute(last)) for first, last in spans))


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    if not (hours.isdigit() and minutes.isdigit() and len(minutes) == 2 and int(minutes) < 60):
        raise ValueError(text)
    return int(hours) * 60 + int(minutes)


def policies() -> list[tuple[SlaPolicy, Targets]]:
    """The active policies in their order, each with its promises."""
    found = (
        SlaPolicy.objects.filter(is_active=True)
        .select_related("calendar")
        .prefetch_related("calendar__holidays")
    )
    return [(one, targets_of(one)) for one in found]


def targets_of(policy: SlaPolicy) -> Targets:
    """What a policy promises, in the form that is reckoned with."""

    def minutes(value: int | None) -> timedelta | None:
        return None if value is None else timedelta(minutes=value)

    return Targets(
        first_response=minutes(policy.first_response),
        next_response=minutes(policy.next_response),
        resolution=minutes(policy.resolution),
        calendar=calendar_of(policy.calendar) if policy.calendar else None,
        pauses_for_customer=policy.pauses_for_customer,
    )


def fitting(
    subject: Subject, among: list[tuple[SlaPolicy, Targets]]
) -> tuple[SlaPolicy, Targets] | tuple[None, None]:
    """The first policy whose conditions the ticket meets."""
    for policy, targets in among:
        if (
            policy.brand_id in (None, subject.brand_id)
            and policy.customer_id in (None, subject.customer_id)
            and (not policy.channel_kind or policy.channel_kind in subject.kinds)
            and policy.priority in ("", subject.priority)
            and (subject.vip or not policy.vip_only)
        ):
            return policy, targets
    return None, None


# --- Clocks


def refresh(limit: int = BATCH) -> int:
    """Replay the clocks of tickets that have moved; returns how many. Five statements for the batch."""
    known = policies()
    with transaction.atomic():
        subjects = _subjects(_UNCLOCKED, {"limit": limit}, lock="FOR NO KEY UPDATE OF t SKIP LOCKED")
        if subjects:
            _keep(subjects, known)
    return len(subjects)


def clocks_of(
    subjects: list[Subject], known: list[tuple[SlaPolicy, Targets]]
) -> dict[int, list[tuple[Clock, SlaPolicy]]]:
    """The clocks of tickets under given policies, from one statement."""
    events: dict[int, list[Event]] = {}
    for row in rows.dicts(_EVENTS, {"ids": [one.ticket_id for one in subjects]}):
        event = Event(row["at"], Happened(row["what"]), row["cause"])
        events.setdefault(row["ticket_id"], []).append(event)
    found: dict[int, list[tuple[Clock, SlaPolicy]]] = {}
    for one in subjects:
        policy, targets = fitting(one, known)
        if policy is not None and targets is not None:
            clocks = replay(events.get(one.ticket_id, ()), targets)
            found[one.ticket_id] = [(clock, policy) for clock in clocks]
    return found


def _subjects(which: str, params: dict, lock: str = "") -> list[Subject]:
    return [
        Subject(**{name: row[name] for name in SUBJECT}, kinds=frozenset(row["kinds"]))
        for row in rows.dicts(_MOVED.format(which=which, lock=lock), params)
    ]


def _keep(subjects: list[Subject], known: list[tuple[SlaPolicy, Targets]]) -> None:
    now = rows.run("SELECT statement_timestamp()")[0][0]
    found = clocks_of(subjects, known)
    flat = [(ticket, clock, policy) for ticket, pairs in found.items() for clock, policy in pairs]
    kinds = [str(clock.kind) for _, clock, _ in flat]
    starts = [clock.lines[0].at for _, clock, _ in flat]
    tickets = [ticket for ticket, *_ in flat]
    rows.run(_FORGET, ([one.ticket_id for one in subjects], tickets, kinds, starts))
    rows.run(
        _KEEP,
        (
            tickets,
            [policy.pk for *_, policy in flat],
            kinds,
            [str(clock.state(now)) for _, clock, _ in flat],
            starts,
            [clock.due_at for _, clock, _ in flat],
            [_warn_at(clock, policy) for _, clock, policy in flat],
            [clock.stopped_at for _, clock, _ in flat],
            [rows.as_json([[line.at, line.act, line.cause] for line in clock.lines]) for _, clock, _ in flat],
        ),
    )
    due = {ticket: next_due([clock for clock, _ in pairs], now) for ticket, pairs in found.items()}
    rows.run(
        _CLOCKED,
        (
            [one.ticket_id for one in subjects],
            [one.updated_at for one in subjects],
            [first.due_at if (first := due.get(one.ticket_id)) else None for one in subjects],
        ),
    )


def _warn_at(clock: Clock, policy: SlaPolicy) -> datetime | None:
    """When so much of the target is used that the owner should know: never after the deadline."""
    if clock.stopped_at is not None or clock.since is None:
        return None
    early = Clock(
        clock.kind,
        clock.target * policy.warn_percent / 100,
        clock.calendar,
        used=clock.used,
        since=clock.since,
    )
    return early.due_at


def watch(limit: int = BATCH) -> int:
    """Warn whose ticket it is before a breach and tell of breaches, each once; returns of how many was told.

    Told are its owner, who holds its contacts, and who follows it.
    """
    with transaction.atomic():
        warned = rows.run(_WARN, (limit,))
        broken = rows.run(_BREACH, (limit,))
        tellings: list[streams.Telling] = []
        hearers = _hearers(sorted({row[0] for row in [*warned, *broken]}))
        for verb, found in (("sla.warning", warned), ("sla.breached", broken)):
            activities.record_many(
                verb, [(ticket, {"kind": kind, "due": due}) for ticket, kind, due in found]
            )
            for ticket, kind, _ in found:
                alert = {"text": _alert(verb, ticket, kind), "ticket": ticket}
                tellings.append((streams.EVENTS, verb, {"ticket": ticket, "kind": kind}))
                tellings += [(f"desk:{user}", "alert", alert) for user in hearers.get(ticket, ())]
        if tellings:
            interactions.tell(tellings)
    return len(warned) + len(broken)


def _hearers(ticket_ids: list[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for ticket, user in rows.run(_HEARERS, {"ids": ticket_ids}) if ticket_ids else ():
        found.setdefault(ticket, []).append(user)
    return found


def _alert(verb: str, ticket: int, kind: str) -> str:
    number, what = 1000 + ticket, _WORDS[kind]
    return f"#{number}: {what} is due soon." if verb == "sla.warning" else f"#{number}: {what} is overdue."


# --- Looking before leaping


def preview(
    changed: SlaPolicy | BusinessCalendar, *, holidays: Iterable[tuple[date, list]] = ()
) -> list[dict]:
    """Which open tickets' deadlines a changed, not yet saved policy or calendar would move: at most `SHOWN`, soonest first.

    [{"ticket", "kind", "due_at", "would_be"}]; `would_be` is None for a promise that ends.
    """
    now = rows.run("SELECT statement_timestamp()")[0][0]
    today = policies()
    after = _with(changed, {day: _spans(spans) for day, spans in holidays}, today)
    subjects = _subjects(
        "t.status NOT IN ('solved', 'closed', 'folded') AND t.next_due_at IS NOT NULL", {"limit": 20 * SHOWN}
    )
    before, then = clocks_of(subjects, today), clocks_of(subjects, after)
    moved: list[dict[str, Any]] = []
    for one in subjects:
        old, new = _deadlines(before.get(one.ticket_id, [])), _deadlines(then.get(one.ticket_id, []))
        moved += [
            {"ticket": one.ticket_id, "kind": kind, "due_at": old.get(kind), "would_be": new.get(kind)}
            for kind in sorted({*old, *new})
            if old.get(kind) != new.get(kind)
        ]
    moved.sort(key=lambda row: row["would_be"] or row["due_at"] or now)
    return moved[:SHOWN]


def _deadlines(pairs: list[tuple[Clock, SlaPolicy]]) -> dict[str, datetime | None]:
    return {str(clock.kind): clock.due_at for clock, _ in pairs if clock.stopped_at is None}


def _with(
    changed: SlaPolicy | BusinessCalendar,
    exceptions: dict[date, tuple[Span, ...]],
    today: list[tuple[SlaPolicy, Targets]],
) -> list[tuple[SlaPolicy, Targets]]:
    if isinstance(changed, SlaPolicy):
        kept = [pair for pair in today if pair[0].pk != changed.pk]
        if changed.is_active:
            kept.append((changed, targets_of(changed)))
        return sorted(kept, key=lambda pair: (pair[0].place, pair[0].pk or 0))
    week = {int(day): _spans(spans) for day, spans in changed.week.items()}
    calendar = Calendar(ZoneInfo(changed.zone), week, exceptions)
    return [
        (policy, targets if policy.calendar_id != changed.pk else _in(targets, calendar))
        for policy, targets in today
    ]


def _in(targets: Targets, calendar: Calendar) -> Targets:
    return Targets(
        targets.first_response,
        targets.next_response,
        targets.resolution,
        calendar,
        targets.pauses_for_customer,
    )


def recompute(*, by: User) -> int:
    """Have the clocks of every ticket that is not over replayed: after a policy or a calendar was changed."""
    require(by, Permission.CONFIGURE)
    return len(
        rows.run(
            "UPDATE crm_ticket SET clocked_at = NULL WHERE status NOT IN ('solved', 'closed', 'folded') RETURNING 1"
        )
    )


def shown(ticket: Ticket) -> list[dict]:
    """A ticket's clocks as a page or API shows them, oldest first, as of now."""
    now = rows.run("SELECT statement_timestamp()")[0][0]
    return [
        {
            "kind": one.kind,
            "state": State.BREACHED
            if one.state == State.RUNNING and one.due_at and one.due_at < now
            else one.state,
            "policy": one.policy.name if one.policy else None,
            "started_at": one.started_at,
            "due_at": one.due_at,
            "stopped_at": one.stopped_at,
            "lines": [
                {"at": datetime.fromisoformat(at), "act": act, "cause": cause} for at, act, cause in one.lines
            ],
        }
        for one in ticket.clocks.select_related("policy").order_by("started_at", "kind")
    ]
