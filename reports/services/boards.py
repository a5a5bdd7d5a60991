"""Boards: one small snapshot of queues, agents and alerts; the only source of a tile, for page, REST and socket."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from crm import rows
from crm.access import EVERYWHERE, TEAMS, Permission, by_role, granted, require_somewhere, sees_everything
from crm.choices import Family, Role
from crm.errors import NotFound
from crm.models import User
from reports import metrics
from reports.models import Board
from routing.choices import Doing, HandReason, PresenceState

OPEN_TEAMS = "open"  # in a key: all teams but the closed ones are seen
ITEMS_SHOWN = 5

_SCOPE = """
scope AS (
    SELECT q.id, q.slug, q.name, q.team_id, q.goal, q.targets, q.topics FROM routing_queue q JOIN crm_team t ON t.id = q.team_id
    WHERE %(all)s OR q.team_id = ANY(%(teams)s::bigint[]) OR (%(open)s AND t.visibility <> 'closed')
)
"""

# What one work item says about the level: live work by its wait, deferred work by its first answer once it fell due.
# An item that was taken out unanswered is an abandoned contact on live channels and nobody's debt on deferred ones; who chose
# to be called back never abandoned. What remains of a lost call was received with the call.
_MARKED = """
SELECT w.queue_id, w.id, w.created_at, w.accepted_at, w.queued_at, w.deadline, w.done_at,
    w.family IN ('voice', 'chat') AS live,
    w.accepted_at <= w.deadline AS taken_in_time,
    w.status = 'withdrawn' AND w.accepted_at IS NULL AND w.kind <> 'callback' AS left_waiting,
    w.kind NOT IN ('lost_call', 'voicemail') AS anew,
    w.done_at - w.queued_at <= make_interval(secs => %(short)s) AS left_early,
    CASE WHEN i.first_response_at >= w.queued_at THEN i.first_response_at <= w.deadline
         WHEN i.first_response_at IS NOT NULL OR w.interaction_id IS NULL THEN w.accepted_at <= w.deadline
    END AS answered_in_time,
    w.deadline < %(until)s AND w.status <> 'withdrawn'
        AND NOT (w.status = 'done' AND i.first_response_at IS NULL AND w.interaction_id IS NOT NULL) AS fell_due
"""

_COUNTS = """
count(*) FILTER (WHERE live AND {window_live} AND accepted_at IS NOT NULL AND taken_in_time) AS live_in_time,
count(*) FILTER (WHERE live AND {window_live} AND accepted_at IS NOT NULL) AS live_answered,
count(*) FILTER (WHERE live AND {window_live} AND left_waiting) AS live_abandoned,
count(*) FILTER (WHERE live AND {window_live} AND left_waiting AND left_early) AS live_abandoned_short,
count(*) FILTER (WHERE NOT live AND {window_due} AND fell_due AND answered_in_time) AS due_in_time,
count(*) FILTER (WHERE NOT live AND {window_due} AND fell_due) AS due
"""

_QUEUES = (
    """
WITH {scope}, candidates AS (
    SELECT id FROM routing_workitem WHERE id > %(cut_id)s
    UNION SELECT id FROM routing_workitem WHERE accepted_at > now() - interval '6 hours'
    UNION SELECT id FROM routing_workitem WHERE status IN ('waiting', 'offered', 'assigned')
        AND deadline > now() - interval '30 minutes' AND deadline < now()
), marked AS (
    {marked}
    FROM candidates c JOIN routing_workitem w ON w.id = c.id LEFT JOIN crm_interaction i ON i.id = w.interaction_id
    WHERE w.queue_id IN (SELECT id FROM scope) AND i.training IS NOT TRUE
        AND (%(families)s::text[] IS NULL OR w.family = ANY(%(families)s))
), levels AS (
    SELECT queue_id,
        count(*) FILTER (WHERE id > %(cut_id)s AND anew) AS received,
        count(*) FILTER (WHERE accepted_at >= %(cut)s) AS answered,
        {counts}
    FROM marked GROUP BY queue_id
), standing AS (
    SELECT queue_id, count(*) FILTER (WHERE status = 'waiting') AS waiting,
        count(*) FILTER (WHERE status = 'offered') AS offered, count(*) FILTER (WHERE status = 'assigned') AS in_work,
        min(queued_at) FILTER (WHERE status = 'waiting') AS oldest_queued_at,
        min(deadline) FILTER (WHERE status = 'waiting') AS next_breach_at,
        min(deadline) FILTER (WHERE status = 'waiting' AND deadline < now()) AS overdue_since,
        count(*) FILTER (WHERE status = 'waiting' AND deadline < now()) AS overdue
    FROM routing_workitem WHERE status IN ('waiting', 'offered', 'assigned') AND queue_id IN (SELECT id FROM scope)
        AND (%(families)s::text[] IS NULL OR family = ANY(%(families)s)) GROUP BY queue_id
)
SELECT s.id, s.slug, s.name, s.team_id, s.goal, s.targets, s.topics, now() AS now, coalesce(g.waiting, 0) AS waiting,
    coalesce(g.offered, 0) AS offered, coalesce(g.in_work, 0) AS in_work, g.oldest_queued_at, g.next_breach_at, g.overdue_since,
    coalesce(g.overdue, 0) AS overdue, coalesce(l.received, 0) AS received, coalesce(l.answered, 0) AS answered,
    coalesce(l.live_in_time, 0) AS live_in_time, coalesce(l.live_answered, 0) AS live_answered,
    coalesce(l.live_abandoned, 0) AS live_abandoned, coalesce(l.live_abandoned_short, 0) AS live_abandoned_short,
    coalesce(l.due_in_time, 0) AS due_in_time, coalesce(l.due, 0) AS due, d.said -> 'held' -> s.slug AS held,
    d.said -> 'alarms' AS alarms
FROM scope s LEFT JOIN standing g ON g.queue_id = s.id LEFT JOIN levels l ON l.queue_id = s.id
LEFT JOIN routing_standing d ON d.told_at > now() - interval '15 seconds' ORDER BY s.name, s.id
""".replace("{scope}", _SCOPE)
    .replace("{marked}", _MARKED)
    .replace(
        "{counts}",
        _COUNTS.format(
            window_live="queued_at > now() - interval '30 minutes'",
            window_due="deadline > now() - interval '30 minutes' AND deadline < now()",
        ),
    )
)

# The closed half-hours of today: what fell due or arrived in them does not change any more.
_DAY = """
WITH marked AS (
    {marked}
    FROM routing_workitem w LEFT JOIN crm_interaction i ON i.id = w.interaction_id
    WHERE (w.created_at >= %(since)s OR w.accepted_at >= %(since)s OR w.deadline >= %(since)s)
        AND i.training IS NOT TRUE AND (%(families)s::text[] IS NULL OR w.family = ANY(%(families)s))
)
SELECT queue_id, slot, sum(received)::int AS received, sum(answered)::int AS answered, sum(live_in_time)::int AS live_in_time,
    sum(live_answered)::int AS live_answered, sum(live_abandoned)::int AS live_abandoned,
    sum(live_abandoned_short)::int AS live_abandoned_short, sum(due_in_time)::int AS due_in_time, sum(due)::int AS due
FROM (
    SELECT queue_id, floor(extract(epoch FROM CASE WHEN live THEN queued_at ELSE deadline END - %(since)s) / 1800)::int AS slot,
        0 AS received, 0 AS answered,
        {counts}
    FROM marked WHERE CASE WHEN live THEN queued_at ELSE deadline END >= %(since)s GROUP BY queue_id, slot
    UNION ALL
    SELECT queue_id, -1, count(*) FILTER (WHERE created_at >= %(since)s AND id <= %(cut_id)s AND anew),
        count(*) FILTER (WHERE accepted_at >= %(since)s AND accepted_at < %(until)s), 0, 0, 0, 0, 0, 0
    FROM marked GROUP BY queue_id
) by_slot GROUP BY queue_id, slot
""".replace("{marked}", _MARKED).replace(
    "{counts}",
    _COUNTS.format(
        window_live="queued_at >= %(since)s AND queued_at < %(until)s",
        window_due="deadline >= %(since)s AND deadline < %(until)s",
    ),
)

_AGENTS = """
SELECT a.id, coalesce(nullif(u.name, ''), u.email) AS name, u.team_id, a.chosen, a.chosen_since, a.chosen_reason, a.silent,
    a.blocked_families, a.idle_since, a.seen_at, a.load, a.capacity, held.offered, held.accepted, held.wrapping, held.items,
    held.since, coalesce((SELECT array_agg(s.code) FROM routing_agentskill k JOIN routing_skill s ON s.id = k.skill_id
                          WHERE k.agent_id = a.id), '{}') AS skills,
    hand.id AS hand, hand.raised_at, hand.reason AS asks, about.interaction_id AS about,
    coalesce(nullif(helper.name, ''), helper.email) AS comes
FROM routing_agent a JOIN crm_user u ON u.id = a.user_id LEFT JOIN crm_team t ON t.id = u.team_id
LEFT JOIN routing_hand hand ON hand.agent_id = a.id AND hand.ended_at IS NULL
LEFT JOIN routing_workitem about ON about.id = hand.work_item_id LEFT JOIN crm_user helper ON helper.id = hand.taken_by_id
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE m.status = 'offered') AS offered,
        count(*) FILTER (WHERE m.status = 'accepted' AND m.parked_at IS NULL) AS accepted,
        count(*) FILTER (WHERE m.status = 'accepted' AND m.wrap_up_at IS NOT NULL) AS wrapping, min(m.offered_at) AS since,
        array_agg('#' || (1000 + coalesce(i.ticket_id, w.ticket_id)) || ' ' || q.name ORDER BY m.offered_at) AS items
    FROM routing_assignment m JOIN routing_workitem w ON w.id = m.work_item_id JOIN routing_queue q ON q.id = w.queue_id
    LEFT JOIN crm_interaction i ON i.id = w.interaction_id
    WHERE m.agent_id = a.id AND m.status IN ('offered', 'accepted')
) held ON true
WHERE u.is_active AND (a.chosen <> 'offline' OR a.load > 0) AND (%(all)s OR u.team_id = ANY(%(teams)s::bigint[])
        OR (%(open)s AND (t.id IS NULL OR t.visibility <> 'closed')))
ORDER BY name, a.id LIMIT 1000
"""

_QUARANTINE = """
SELECT count(*), max(id), min(received_at) FROM (
    SELECT id, received_at FROM crm_delivery WHERE state = 'quarantined' ORDER BY id DESC LIMIT 1000
) newest
"""

# (families, cut): what the closed half-hours said, for all queues; one entry per board and half-hour is kept.
_closed_hours: dict[tuple, tuple[datetime, dict]] = {}


def list_boards() -> list[dict]:
    """The boards there are."""
    return list(Board.objects.order_by("title").values("slug", "title"))


def scope_key(user: User) -> tuple | None:
    """Says whose boards are equal: None for everything, else the teams' ids, and `OPEN_TEAMS` for all but closed ones."""
    given = granted(user, Permission.WATCH_BOARDS)
    watches = by_role(user, Permission.WATCH_BOARDS)
    if EVERYWHERE in given or (watches and sees_everything(user)):
        return None
    teams = set(given.get(TEAMS, ()))
    if watches and user.role == Role.SUPERVISOR:
        teams.add(user.team_id)
    return (*sorted(teams), *([OPEN_TEAMS] if watches and user.role != Role.SUPERVISOR else []))


def snapshot(slug: str, user: User) -> dict:
    """A board as this user may see it."""
    require_somewhere(user, Permission.WATCH_BOARDS)
    return snapshot_for(slug, scope_key(user))


def snapshot_for(slug: str, key: tuple | None) -> dict:
    """A board as everybody with this scope key sees it; a fixed number of statements, whatever waits."""
    board = Board.objects.filter(slug=slug).first()
    if board is None:
        raise NotFound("There is no such board.")
    scope = {
        "all": key is None,
        "teams": [one for one in key or () if one != OPEN_TEAMS],
        "open": OPEN_TEAMS in (key or ()),
        "families": list(board.families) or None,
        "short": metrics.SHORT_ABANDON_SECONDS,
    }
    closed, params = _closed(scope)
    found = rows.dicts(_QUEUES, params)
    agents = [_agent(row) for row in rows.dicts(_AGENTS, scope)]
    now = found[0]["now"] if found else rows.run("SELECT now()")[0][0]
    queues = [_queue(row, closed.get(row["id"], {}), agents) for row in found]
    return {
        "slug": board.slug,
        "title": board.title,
        "as_of": now,
        "queues": queues,
        "agents": [
            {name: value for name, value in one.items() if not name.startswith("_")} for one in agents
        ],
        "alerts": _alerts(found, agents, key),
        "totals": _totals(found, queues, agents),
    }


def _closed(scope: dict) -> tuple[dict[int, dict[int, dict]], dict]:
    """The closed half-hours of today by queue and slot, read once a half-hour, and the parameters for the rest.

    The cut lies 31 to 61 minutes back, so that nothing before it is still being committed and "now" lies after it.
    """
    now, since, cut, cut_id = rows.run(
        """
        SELECT now(), date_trunc('day', now()), cut, coalesce((SELECT id FROM routing_workitem WHERE created_at < cut
            ORDER BY id DESC LIMIT 1), 0)
        FROM (SELECT greatest(date_trunc('day', now()), to_timestamp(floor((extract(epoch FROM now()) - 1860) / 1800) * 1800))
              AS cut) c
        """
    )[0]
    params = {**scope, "since": since, "cut": cut, "cut_id": cut_id, "until": now}
    name = tuple(scope["families"] or ())
    known = _closed_hours.get(name)
    if known is None or known[0] != cut:
        by_queue: dict[int, dict[int, dict]] = defaultdict(dict)
        if cut > since:
            for row in rows.dicts(_DAY, {**params, "until": cut}):
                by_queue[row["queue_id"]][row["slot"]] = row
        known = _closed_hours[name] = (cut, by_queue)
    return known[1], params


def forget_closed_hours() -> None:
    """Read the closed half-hours again with the next snapshot: after an import, and in tests."""
    _closed_hours.clear()


def _level(counts: dict) -> float | None:
    live = (
        counts["live_in_time"],
        counts["live_answered"],
        counts["live_abandoned"],
        counts["live_abandoned_short"],
    )
    found = metrics.level_of_mixed_work(live, (counts["due_in_time"], counts["due"]))
    return None if found is None else round(found, 4)


def _queue(row: dict, slots: dict[int, dict], agents: list[dict]) -> dict:
    day = slots.get(-1, {"received": 0, "answered": 0})
    level = _level(row)
    return {
        "slug": row["slug"],
        "name": row["name"],
        "waiting": row["waiting"],
        "oldest_queued_at": row["oldest_queued_at"],
        "next_breach_at": row["next_breach_at"],
        "overdue": row["overdue"],
        "overdue_since": row["overdue_since"],
        "offered": row["offered"],
        "in_work": row["in_work"],
        "held": _held(row["held"]),
        "staffed": _staffed(one for one in agents if _serves(one, row)),
        "service_level": level,
        "target": row["goal"],
        "targets": rows.from_json(row["targets"]),
        "received": row["received"] + day["received"],
        "answered": row["answered"] + day["answered"],
        "spark": [_level(slots[n]) if n in slots else None for n in range(max(slots, default=-1) + 1)]
        + [level],
    }


def _held(said: Any) -> dict[str, Any] | None:
    """How many are held for calls and when the next is released, as the router said last."""
    one: Any = rows.from_json(said) if said else None
    return {"count": one["count"], "next_at": datetime.fromtimestamp(one["next"], UTC)} if one else None


def _serves(agent: dict, queue: dict) -> bool:
    """Whether an agent is staff of a queue: a member of its team, or skilled in what leads there."""
    wanted = {queue["slug"], *rows.from_json(queue["topics"])}
    return agent["_team"] == queue["team_id"] or bool(wanted & agent["_skills"])


def _staffed(agents: Iterable[dict]) -> dict[str, int]:
    counted = {"idle": 0, "in_work": 0, "wrap_up": 0, "break": 0, "not_responding": 0}
    for agent in agents:
        if kind := _kind(agent):
            counted[kind] += 1
    return counted


def _kind(agent: dict) -> str | None:
    """Under which of the five an agent is counted; None when he is not here."""
    if agent["state"] == PresenceState.OFFLINE:
        return None
    if agent["doing"] == Doing.NOT_RESPONDING:
        return "not_responding"
    if agent["state"] != PresenceState.AVAILABLE:
        return "break"
    if agent["doing"] == Doing.WRAP_UP:
        return "wrap_up"
    return "idle" if agent["doing"] == Doing.IDLE else "in_work"


def _agent(row: dict) -> dict:
    blocked: list = list(rows.from_json(row["blocked_families"]) or [])  # type: ignore[call-overload]  # a list in the row, which only says object
    doing, since, reason = _doing(row, blocked)
    return {
        "id": row["id"],
        "name": row["name"],
        "state": row["chosen"],
        "doing": doing,
        "since": since,
        "load": row["load"],
        "units": row["capacity"],
        "items": (row["items"] or [])[:ITEMS_SHOWN],
        "reason": reason,
        "_team": row["team_id"],
        "_hand": {
            "id": row["hand"],
            "at": row["raised_at"],
            "reason": row["asks"],
            "about": row["about"],
            "comes": row["comes"],
        },
        "_skills": set(row["skills"]),
    }


def _doing(row: dict, blocked: list) -> tuple[str, datetime, str]:
    """What an agent is doing, since when, and why (`practice.md` 2.1)."""
    if row["chosen"] == PresenceState.AVAILABLE and (row["silent"] or blocked):
        reason = "silent" if row["silent"] else f"missed {', '.join(blocked)}"
        return Doing.NOT_RESPONDING, row["seen_at"] or row["chosen_since"], reason
    if row["accepted"]:
        done = row["wrapping"] == row["accepted"]
        return (Doing.WRAP_UP if done else Doing.IN_WORK), row["since"], row["chosen_reason"]
    if row["offered"]:
        return Doing.OFFERED, row["since"], row["chosen_reason"]
    since = (
        max(row["idle_since"], row["chosen_since"])
        if row["chosen"] == PresenceState.AVAILABLE
        else row["chosen_since"]
    )
    return Doing.IDLE, since, row["chosen_reason"]


def _alerts(found: list[dict], agents: list[dict], key: tuple | None) -> list[dict]:
    """What somebody should look at; an id stays the same as long as it is the same trouble."""
    alerts = _hands(agents)
    for row in found:
        if row["overdue"]:
            text = f"{row['name']}: {row['overdue']} waiting past the target"
            alerts.append(_alert(f"overdue:{row['slug']}", text, row["overdue_since"]))
    for agent in agents:
        if agent["doing"] == Doing.NOT_RESPONDING:
            text = f"{agent['name']} is not responding ({agent['reason']})"
            alerts.append(_alert(f"agent:{agent['id']}", text, agent["since"]))
    alerts += _overtakings(found)
    if OPEN_TEAMS not in (key or ()):
        count, newest, oldest = rows.run(_QUARANTINE)[0]
        if count:
            text = f"{count} {'delivery' if count == 1 else 'deliveries'} in quarantine"
            alerts.append(_alert(f"quarantine:{newest}", text, oldest))
    return alerts


def _overtakings(found: list[dict]) -> list[dict]:
    """Channels that are served before others that have the better claim; the same trouble all day."""
    pairs: Any = rows.from_json(found[0]["alarms"]) if found and found[0]["alarms"] else []
    today = found[0]["now"].replace(hour=0, minute=0, second=0, microsecond=0) if pairs else None
    return [
        _alert(
            f"overtakes:{one['first']}:{one['second']}",
            f"{Family(one['first']).label} overtakes {Family(one['second']).label.lower()} in {one['per_100']:g} of 100 choices",
            today,
        )
        | {"href": "/fairness/"}
        for one in pairs
    ]


def _hands(agents: list[dict]) -> list[dict]:
    """Who asks for help, the longest waiting first, with the thread it is about."""
    asking = sorted((one for one in agents if one["_hand"]["id"]), key=lambda one: one["_hand"]["at"])
    return [_hand(one["name"], one["_hand"]) for one in asking[:50]]


def _hand(name: str, hand: dict) -> dict:
    text = f"{name} raised a hand: {HandReason(hand['reason']).label}"
    if hand["comes"]:
        text += f"; {hand['comes']} comes"
    alert = _alert(f"hand:{hand['id']}", text, hand["at"])
    return alert | {"href": f"/interactions/{hand['about']}/"} if hand["about"] else alert


def _alert(name: str, text: str, at: datetime) -> dict:
    return {"id": f"{name}:{at.timestamp():.0f}", "text": text, "at": at}


def _totals(found: list[dict], queues: list[dict], agents: list[dict]) -> dict[str, Any]:
    names = ("waiting", "offered", "in_work", "overdue", "received", "answered")
    summed = {name: sum(queue[name] for queue in queues) for name in names}
    counts = ("live_in_time", "live_answered", "live_abandoned", "live_abandoned_short", "due_in_time", "due")
    here = [agent for agent in agents if agent["state"] != PresenceState.OFFLINE]
    held, units = sum(one["load"] for one in here), sum(one["units"] for one in here)
    return {
        **summed,
        "service_level": _level({name: sum(row[name] for row in found) for name in counts}),
        "agents": len(here),
        "staffed": _staffed(here),
        "load_share": metrics.load(held, units),
    }
