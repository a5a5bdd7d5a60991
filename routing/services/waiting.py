"""What waits in each queue, in the order in which it will be offered."""

from collections import defaultdict
from typing import Any

from crm import rows
from crm.access import outside_closed, reading
from crm.models import User
from routing import engine
from routing.models import Queue
from routing.rules import say
from routing.services import dispatch, places, scoring, standing

LOOKED_AT = 100  # next due of each queue, put in the engine's order
SHOWN = 25

_STANDING = """
SELECT queue_id, count(*) FILTER (WHERE status = 'waiting'), count(*) FILTER (WHERE status = 'assigned'),
    min(queued_at) FILTER (WHERE status = 'waiting'), min(deadline) FILTER (WHERE status = 'waiting')
FROM routing_workitem WHERE status IN ('waiting', 'offered', 'assigned') AND queue_id = ANY(%s) GROUP BY queue_id
"""

_MEANS = """
SELECT part, avg(least(1, greatest(0, value::float8)))
FROM routing_workitem w, jsonb_each_text(w.priority_parts) AS p(part, value)
WHERE w.status = 'waiting' AND value IS NOT NULL AND value <> 'NaN' GROUP BY part
"""

# Words and people of teams the reader may not see are left out.
_NEXT = """
SELECT w.id, w.queue_id, w.family, w.units, w.language, w.queued_at, w.deadline, w.priority_parts::text AS parts,
    w.kind, w.not_before, CASE WHEN seen.yes THEN w.interaction_id END AS interaction, c.kind AS channel,
    extract(epoch FROM w.queued_at)::float8 AS since,
    extract(epoch FROM coalesce(w.entered_at, w.created_at))::float8 AS entered,
    extract(epoch FROM w.deadline)::float8 AS due,
    CASE WHEN seen.yes THEN t.subject ELSE '' END AS subject,
    CASE WHEN seen.yes THEN coalesce(nullif(u.name, ''), y.handle) ELSE '' END AS customer
FROM routing_queue q CROSS JOIN LATERAL (
    SELECT * FROM routing_workitem i WHERE i.queue_id = q.id AND i.status = 'waiting' ORDER BY i.deadline LIMIT %(looked)s
) w
LEFT JOIN crm_interaction x ON x.id = w.interaction_id LEFT JOIN crm_channel c ON c.id = x.channel_id
LEFT JOIN crm_ticket t ON t.id = coalesce(x.ticket_id, w.ticket_id) LEFT JOIN crm_customer u ON u.id = t.customer_id
LEFT JOIN crm_identity y ON y.id = x.identity_id LEFT JOIN crm_team v ON v.id = x.team_id
CROSS JOIN LATERAL (
    SELECT %(all)s OR (%(by_role)s AND (NOT %(public)s OR x.audience = 'public')
            AND (v.id IS NULL OR v.visibility = 'open' OR v.id = %(team)s OR x.assigned_to_id = %(user)s))
        OR v.id = ANY(%(teams)s::bigint[]) OR (%(own)s AND x.assigned_to_id = %(user)s)
        OR (c.brand_id = ANY(%(brands)s::bigint[]) AND v.visibility IS DISTINCT FROM 'closed') AS yes
) seen
WHERE q.id = ANY(%(queues)s)
"""


def queues(user: User) -> list[dict]:
    """Every queue that the reader may know of, with what waits next; a fixed number of statements."""
    visible = list(_known_to(user))
    ids = [queue.pk for queue in visible]
    counts = {row[0]: row[1:] for row in rows.run(_STANDING, (ids,))}
    waiting = _next(ids, user)
    told = places.of_queues(ids)
    for one in (item for items in waiting.values() for item in items):
        one["wait"] = told.get(one["id"])
    said = standing.read()
    held = said.held if said else {}
    return [
        _queue(queue, counts.get(queue.pk, (0, 0, None, None)), waiting.get(queue.pk, []))
        | {"held": held.get(queue.slug)}
        for queue in visible
    ]


def _known_to(user: User) -> Any:
    return outside_closed(Queue.objects.select_related("team").order_by("name"), user, "team")


def _next(ids: list[int], user: User) -> dict[int, list[dict]]:
    params = {"queues": ids, "looked": LOOKED_AT, **reading(user)}
    found = rows.dicts(_NEXT, params, decode=("parts",))
    means = dict(rows.run(_MEANS)) if found else {}
    now = rows.run("SELECT extract(epoch FROM now())::float8")[0][0]
    rules = dispatch.rules_of_queues() if found else {}
    scale = scoring.scale()
    grouped: dict[int, list[tuple]] = defaultdict(list)
    for row in found:
        item = scale.weigh(rules[row["queue_id"]].rule(_item(row), row["entered"]))
        shown = {name: row[name] for name in _SHOWN}
        shown["score"] = engine.score(item, now, means, scale.weights)[0]
        step = engine.requirement(item, now)[1]
        shown["why_waiting"] = "" if step == engine.EXACT else say(step)
        grouped[row["queue_id"]].append((engine.order_key(item, now, means, scale.weights), shown))
    return {
        queue: [shown for _, shown in sorted(entries, key=lambda entry: entry[0])[:SHOWN]]
        for queue, entries in grouped.items()
    }


_SHOWN = (
    "id",
    "kind",
    "not_before",
    "subject",
    "interaction",
    "channel",
    "customer",
    "queued_at",
    "deadline",
    "language",
)


def _item(row: dict) -> engine.Item:
    return engine.Item(
        id=row["id"], queue=str(row["queue_id"]), family=row["family"], units=row["units"], queued_at=row["since"],
        deadline=row["due"], parts=row["parts"] or {},
    )  # fmt: skip


def _queue(queue: Queue, counts: tuple, items: list[dict]) -> dict:
    waiting, in_work, oldest, due = counts
    return {
        "slug": queue.slug,
        "name": queue.name,
        "team": queue.team.name,
        "goal": queue.goal,
        "waiting": waiting,
        "in_work": in_work,
        "oldest_queued_at": oldest,
        "next_breach_at": due,
        "items": items,
        "mode": queue.mode,
        "mode_words": queue.get_mode_display(),
    }
