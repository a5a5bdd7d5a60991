"""The agent's desk as one state, and offers as the frames that announce them; a constant number of statements."""

from crm import rows
from crm.choices import Family
from crm.models import User
from crm.services import context, streams
from routing.services import joinings, presence, shifts

_OFFERS = """
SELECT a.id, a.expires_at, a.score, a.explanation::text AS explanation, a.work_item_id, w.family, q.slug AS queue,
       c.slug AS channel, c.kind, i.id AS interaction, i.customer_id, t.id AS ticket, 1000 + t.id AS number, t.subject,
       g.user_id, a.status = 'offered' AND a.expires_at > now() AS open,
       (SELECT left(m.text, 280) FROM crm_message m WHERE m.interaction_id = i.id AND m.direction = 'inbound'
        ORDER BY m.at DESC, m.id DESC LIMIT 1) AS text
FROM routing_assignment a JOIN routing_workitem w ON w.id = a.work_item_id JOIN routing_queue q ON q.id = w.queue_id
JOIN routing_agent g ON g.id = a.agent_id JOIN crm_interaction i ON i.id = w.interaction_id
JOIN crm_channel c ON c.id = i.channel_id JOIN crm_ticket t ON t.id = i.ticket_id
WHERE
"""

_THESE = _OFFERS + "a.id = ANY(%s::bigint[]) ORDER BY a.id"

_READERS = rows.with_columns("SELECT {u} FROM crm_user u WHERE u.id = ANY(%s::bigint[])", u=User)

_MINE = """
SELECT a.id, a.work_item_id AS work_item, w.interaction_id AS interaction, t.id AS ticket, 1000 + t.id AS number, t.subject,
       u.id AS customer, u.name, y.handle, q.slug AS queue, c.slug AS channel, c.kind, w.family, w.kind AS owed,
       a.accepted_at AS since, a.wrap_up_until,
       a.parked_at, a.parked_until,
       CASE WHEN i.waiting_since IS NULL THEN NULL ELSE w.deadline END AS due_at, i.waiting_since IS NOT NULL AS unread,
       (SELECT left(m.text, 140) FROM crm_message m WHERE m.interaction_id = i.id AND m.direction <> 'note'
        ORDER BY m.at DESC, m.id DESC LIMIT 1) AS last_text
FROM routing_assignment a JOIN routing_workitem w ON w.id = a.work_item_id JOIN routing_queue q ON q.id = w.queue_id
JOIN crm_interaction i ON i.id = w.interaction_id JOIN crm_channel c ON c.id = i.channel_id
JOIN crm_ticket t ON t.id = i.ticket_id JOIN crm_customer u ON u.id = i.customer_id JOIN crm_identity y ON y.id = i.identity_id
WHERE a.agent_id = %s AND a.status = 'accepted' ORDER BY due_at NULLS LAST, a.id
"""

_HAND = """
SELECT h.id, h.reason, h.raised_at, coalesce(nullif(u.name, ''), u.email) AS taken_by
FROM routing_hand h LEFT JOIN crm_user u ON u.id = h.taken_by_id WHERE h.agent_id = %s AND h.ended_at IS NULL
"""

_QUEUES = """
SELECT q.slug, q.name, count(w.id) AS waiting, min(w.queued_at) AS oldest_queued_at
FROM routing_queue q LEFT JOIN routing_workitem w ON w.queue_id = q.id AND w.status = 'waiting'
GROUP BY q.id ORDER BY q.id
"""


def snapshot(user: User) -> dict:
    """The whole desk of one agent; `seq` is the number in his stream to which it belongs."""
    seq = streams.current(f"desk:{user.pk}")
    agent = presence.agent_of(user)
    offered = rows.dicts(
        _OFFERS + "a.agent_id = %s AND a.status = 'offered' AND a.expires_at > now() ORDER BY a.id",
        (agent.pk,),
        decode=("explanation",),
    )
    mine = rows.dicts(_MINE, (agent.pk,))
    shift = shifts.shift_of(agent.pk)
    wrapping = sum(1 for row in mine if row["wrap_up_until"])
    parked = sum(1 for row in mine if row["parked_at"])
    doing = presence.doing(agent, len(offered), len(mine) - parked, wrapping)
    return {
        "agent": {"id": agent.pk, "name": str(user), "initials": user.initials},
        "presence": presence.shown(agent, doing),
        "capacity": {"used": agent.load, "units": agent.capacity},
        "offers": _with_context(offered, {user.pk: user}),
        "assignments": [_assignment(row) for row in mine],
        "queues": rows.dicts(_QUEUES),
        "shift": shift,
        "joinings": joinings.of_desk(user),
        "hand": next(iter(rows.dicts(_HAND, (agent.pk,))), None),
        "counts": {
            "offers": len(offered),
            "mine": len(mine) - parked,
            "parked": parked,
            "unread": sum(1 for row in mine if row["unread"]),
        },
        "seq": seq,
    }


def holds(agent_id: int) -> list[dict]:
    """What an agent has in hand and aside, next due first, as his desk shows it."""
    return [_assignment(row) for row in rows.dicts(_MINE, (agent_id,))]


def _assignment(row: dict) -> dict:
    return {
        "id": row["id"],
        "work_item": row["work_item"],
        "interaction": row["interaction"],
        "ticket": {"id": row["ticket"], "number": row["number"], "subject": row["subject"]},
        "customer": {"id": row["customer"], "name": row["name"], "handle": row["handle"]},
        "queue": row["queue"],
        "channel": {"slug": row["channel"], "kind": row["kind"]},
        "kind": row["owed"],
        "state": _state(row),
        "wrap_up_until": row["wrap_up_until"],
        "parked_until": row["parked_until"],
        "due_at": row["due_at"],
        "unread": row["unread"],
        "last_text": row["last_text"] or "",
        "since": row["since"],
    }


def _state(row: dict) -> str:
    if row["wrap_up_until"]:
        return "wrap_up"
    if row["parked_at"]:
        return "parked"
    return "in_call" if row["family"] == Family.VOICE else "accepted"


def offers(assignment_ids: list[int]) -> dict[int, dict]:
    """The data of `offer.made` for many offers at once; one that is over comes without its context."""
    found = rows.prepared(_THESE, (sorted(set(assignment_ids)),), decode=("explanation",))
    readers = rows.kept(_READERS, (sorted({row["user_id"] for row in found}),))
    users = {user.pk: user for user in (rows.made(User, row) for row in readers)}
    still_open = [row for row in found if row["open"]]
    told = {one["offer"]["id"]: one for one in _with_context(still_open, users)}
    for row in found:
        if row["id"] not in told:
            told[row["id"]] = {
                "offer": {"id": row["id"], "expires_at": row["expires_at"], "over": True},
                "context": None,
            }
    return told


def _with_context(found: list[dict], users: dict[int, User]) -> list[dict]:
    cards = context.cards([(row["customer_id"], users[row["user_id"]]) for row in found]) if found else {}
    return [
        {
            "offer": {
                "id": row["id"],
                "work_item": row["work_item_id"],
                "expires_at": row["expires_at"],
                "queue": row["queue"],
                "channel": {"slug": row["channel"], "kind": row["kind"]},
                "priority": {"score": round(row["score"], 2), "parts": row["explanation"].get("parts", {})},
                "reason": row["explanation"].get("reason", ""),
                "text": row["text"] or "",
            },
            "interaction": row["interaction"],
            "ticket": {"id": row["ticket"], "number": row["number"], "subject": row["subject"]},
            "context": cards.get((row["customer_id"], row["user_id"]))
            or cards.get((row["customer_id"], None)),
        }
        for row in found
    ]
