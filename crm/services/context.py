"""The context card: who this is, what was said and promised, what is open, in one statement for many customers.

Of teams that the reader may not see the words are left out; teams marked `closed` show nothing, not even counts.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from crm import cards as plugs
from crm import rows
from crm.access import Permission, may, reading
from crm.choices import ChannelKind, Direction, InteractionStatus, TicketStatus
from crm.errors import NotFound
from crm.models import User

HISTORY = 10  # lines shown
CONTACTS = 10  # newest contacts looked at; each holds at least one of the newest lines
CURRENCY = "€"
AGENTS = 3  # of us who spoke last
MONTH_MOST = 100  # counting stops here, so that a card costs the same for everybody
SOLVED = ("solved", "resolved")  # how codes of a good end begin
UNSOLVED = {"unsolved", "not_solved", "no_solution", "rejected", "lost", "abandoned", "customer_left"}

# `barred` is what a reader must not read; `hidden` is what he must not even know of. IS NOT TRUE: what is unknown is no right.
# The same reading as `crm.access.held`: what the role says, and what was given beside it; a test compares the two.
_CARD = """
WITH reader AS (
    SELECT customer_id, user_id, team_id, sees_all, by_role, only_public, past, own, teams::bigint[] AS teams,
        brands::bigint[] AS brands
    FROM unnest(%(customers)s::bigint[], %(users)s::bigint[], %(own_teams)s::bigint[], %(all)s::boolean[],
        %(by_role)s::boolean[], %(public)s::boolean[], %(past)s::boolean[], %(own)s::boolean[], %(teams)s::text[],
        %(brands)s::text[])
        AS r(customer_id, user_id, team_id, sees_all, by_role, only_public, past, own, teams, brands)
)
SELECT r.customer_id, r.user_id, now() AS now, to_json(c.*)::text AS customer, known.list::text AS identities,
       opened.list::text AS tickets, recent.list::text AS contacts, month.n AS month,
       CASE WHEN r.past THEN past.list::text END AS past
FROM reader r JOIN crm_customer c ON c.id = r.customer_id
LEFT JOIN LATERAL (
    SELECT json_agg(x) AS list FROM (
        SELECT id, kind, value, handle, name, followers, verified, claims FROM crm_identity
        WHERE customer_id = c.id ORDER BY id LIMIT 20
    ) x
) known ON true
LEFT JOIN LATERAL (
    SELECT json_agg(x) AS list FROM (
        SELECT t.id, 1000 + t.id AS number, t.status, t.topic, t.opened_at, t.updated_at, t.due_at, t.promised_by, v.name AS team,
            coalesce(nullif(o.name, ''), o.email) AS owner,
            CASE WHEN b.barred THEN '' ELSE t.subject END AS subject,
            CASE WHEN b.barred THEN '' ELSE t.promise END AS promise
        FROM crm_ticket t LEFT JOIN crm_team v ON v.id = t.team_id LEFT JOIN crm_user o ON o.id = t.owner_id
        CROSS JOIN LATERAL (
            SELECT (r.sees_all OR v.id = ANY(r.teams) OR (r.own AND t.owner_id = r.user_id)
                OR (t.brand_id = ANY(r.brands) AND v.visibility IS DISTINCT FROM 'closed')
                OR (r.by_role AND (v.id IS NULL OR v.visibility = 'open' OR v.id = r.team_id OR t.owner_id = r.user_id)
                    AND NOT (r.only_public AND NOT EXISTS (
                        SELECT 1 FROM crm_interaction p WHERE p.ticket_id = t.id AND p.audience = 'public')))
                ) IS NOT TRUE AS barred,
                v.visibility = 'closed' AND (r.sees_all OR v.id = r.team_id OR v.id = ANY(r.teams) OR t.owner_id = r.user_id)
                    IS NOT TRUE AS hidden
        ) b
        WHERE t.customer_id = c.id AND t.status NOT IN ('solved', 'closed', 'folded') AND b.hidden IS NOT TRUE
        ORDER BY t.opened_at DESC LIMIT 10
    ) x
) opened ON true
LEFT JOIN LATERAL (
    SELECT json_agg(x) AS list FROM (
        SELECT i.id, i.status, i.topic, i.ticket_id, i.closed_at, i.first_response_at, i.last_message_at, i.outcome,
            coalesce(code.label, i.outcome) AS outcome_label, h.kind AS channel, t.status AS ticket_status,
            b.barred, coalesce(nullif(a.alias, ''), nullif(a.name, ''), '') AS agent, said.list AS said
        FROM crm_interaction i JOIN crm_channel h ON h.id = i.channel_id JOIN crm_ticket t ON t.id = i.ticket_id
        LEFT JOIN crm_team v ON v.id = i.team_id LEFT JOIN crm_user a ON a.id = i.assigned_to_id
        LEFT JOIN crm_code code ON code.kind = 'outcome' AND code.code = i.outcome
        CROSS JOIN LATERAL (
            SELECT (r.sees_all OR v.id = ANY(r.teams) OR (r.own AND i.assigned_to_id = r.user_id)
                OR (h.brand_id = ANY(r.brands) AND v.visibility IS DISTINCT FROM 'closed')
                OR (r.by_role AND (v.id IS NULL OR v.visibility = 'open' OR v.id = r.team_id OR i.assigned_to_id = r.user_id)
                    AND NOT (r.only_public AND i.audience <> 'public'))) IS NOT TRUE AS barred,
                v.visibility = 'closed' AND (r.sees_all OR v.id = r.team_id OR v.id = ANY(r.teams)
                    OR i.assigned_to_id = r.user_id) IS NOT TRUE AS hidden
        ) b
        LEFT JOIN LATERAL (
            SELECT json_agg(y) AS list FROM (
                SELECT m.at, m.direction, m.deleted_at IS NOT NULL AS deleted, m.courtesy,
                    coalesce(nullif(w.alias, ''), nullif(w.name, ''), m.author_name) AS by,
                    CASE WHEN b.barred THEN '' ELSE left(m.text, 500) END AS text,
                    CASE WHEN b.barred THEN NULL ELSE m.sentiment END AS sentiment
                FROM crm_message m LEFT JOIN crm_user w ON w.id = m.author_id
                WHERE m.interaction_id = i.id AND m.state NOT IN ('draft', 'awaiting_approval', 'scheduled', 'failed')
                ORDER BY m.at DESC, m.id DESC LIMIT %(history)s
            ) y
        ) said ON true
        WHERE i.customer_id = c.id AND i.folded_into_id IS NULL AND b.hidden IS NOT TRUE
        ORDER BY i.last_message_at DESC LIMIT %(contacts)s
    ) x
) recent ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS n FROM (
        SELECT 1 FROM crm_interaction i LEFT JOIN crm_team v ON v.id = i.team_id
        WHERE i.customer_id = c.id AND i.last_message_at > now() - interval '30 days' AND i.folded_into_id IS NULL
            AND (v.visibility = 'closed'
                AND (r.sees_all OR v.id = r.team_id OR v.id = ANY(r.teams) OR i.assigned_to_id = r.user_id) IS NOT TRUE)
                IS NOT TRUE
        LIMIT %(most)s
    ) counted
) month ON true
LEFT JOIN LATERAL (
    SELECT json_agg(x) AS list FROM (
        SELECT at, kind, direction, author_name AS by, left(text, 500) AS text FROM crm_pastmessage
        WHERE customer_id = c.id AND NOT (r.only_public AND audience <> 'public') ORDER BY at DESC, id DESC LIMIT %(history)s
    ) x
) past ON true
"""


def of_one(customer_id: int, user: User) -> dict:
    """One customer's card for its reader; NotFound when there is none or it is not his to see."""
    found = card([customer_id], user) if may(user, Permission.READ_CUSTOMERS) else {}
    if customer_id not in found:
        raise NotFound("There is no such thing, or it is not yours to see.")
    return found[customer_id]


def card(customer_ids: list[int], user: User | None) -> dict[int, dict]:
    """The cards of many customers as one user may read them; without a user, as somebody of no team may."""
    return {one: found for (one, _), found in cards([(one, user) for one in customer_ids]).items()}


def cards(pairs: Iterable[tuple[int, User | None]]) -> dict[tuple[int, int | None], dict]:
    """The cards for many (customer, reader) pairs in one statement, by customer id and user id."""
    asked = {(customer, user.pk if user else None): user for customer, user in pairs}
    if not asked:
        return {}
    found = rows.prepared(
        _CARD, _params(asked), decode=("customer", "identities", "tickets", "contacts", "past")
    )
    parts = plugs.parts(sorted({row["customer_id"] for row in found}))
    return {(row["customer_id"], row["user_id"]): _card(row, parts[row["customer_id"]]) for row in found}


def _params(asked: dict[tuple[int, int | None], User | None]) -> dict[str, Any]:
    readers = [reading(user) if user else _SOMEBODY for user in asked.values()]
    return {
        "customers": [customer for customer, _ in asked],
        "users": [user for _, user in asked],
        "own_teams": [one["team"] for one in readers],
        "teams": [_array(one["teams"]) for one in readers],
        "brands": [_array(one["brands"]) for one in readers],
        **{name: [one[name] for one in readers] for name in ("all", "by_role", "public", "past", "own")},
        "history": HISTORY,
        "contacts": CONTACTS,
        "most": MONTH_MOST,
    }


# Somebody who works here, of no team.
_SOMEBODY: dict[str, Any] = {
    "team": None, "all": False, "by_role": True, "public": False, "past": True, "own": False, "teams": (), "brands": (),
}  # fmt: skip


def _array(ids: Iterable[int]) -> str:
    return "{" + ",".join(map(str, ids)) + "}"


def _card(row: dict, parts: dict[str, object]) -> dict:
    customer = row["customer"]
    contacts = [*(row["contacts"] or []), *_former(row["past"] or [])]
    tickets = row["tickets"] or []
    history = _history(contacts)
    return {
        "customer": {
            "id": customer["id"],
            "name": customer["name"],
            "language": customer["language"],
            "vip": customer["vip"],
            "public_figure": customer["public_figure"],
            "verified_before_disclosure": customer["verified_before_disclosure"],
            "note": customer["note"],
            "since": customer["created_at"],
        },
        "identities": row["identities"] or [],
        "summary": [
            _last_spoken(contacts, row["now"]),
            _how_it_stands(contacts, tickets, row["now"]),
            _often(row["month"]),
        ],
        "answers": {
            "already_talked_to": _worded(_talked(contacts, row["now"])),
            "got_what_was_needed": _worded(_got(contacts, tickets, row["now"])),
            "still_open": [
                {"id": one["id"], "ticket": one["id"]}
                | {name: one[name] for name in ("number", "subject", "status")}
                for one in tickets
            ],
        },
        "ticket": tickets[0] if tickets else None,
        "open_tickets": tickets,
        "history": history,
        "value": _value(customer),
        "sentiment": _sentiment(contacts),
        "agents": _agents(contacts),
        "playbook": None,
    } | parts


def _former(past: list[dict]) -> list[dict]:
    """What was imported of the past, a contact for each line: it was said, and that is all that is known of it."""
    return [
        {
            "id": None, "status": "", "topic": "", "ticket_id": None, "closed_at": None, "first_response_at": None,
            "last_message_at": line["at"], "outcome": "", "outcome_label": "", "channel": line["kind"], "ticket_status": "",
            "barred": False, "agent": "", "said": [{**line, "deleted": False, "courtesy": False, "sentiment": None}],
        }
        for line in past
    ]  # fmt: skip


def _value(customer: dict) -> dict:
    per_year = None if customer["value"] is None else float(customer["value"])
    return {"per_year": per_year, "amount": per_year, "currency": CURRENCY, "vip": customer["vip"]}


def _worded(said: dict) -> dict:
    """The answer as a word beside the truth value."""
    return {"answer": {True: "yes", False: "no", None: "unknown"}[said["yes"]], **said}


def _lines(contacts: list[dict]) -> list[dict]:
    """Every line looked at, newest first, with its contact."""
    said = [{**line, "contact": contact} for contact in contacts for line in contact["said"] or ()]
    return sorted(said, key=lambda line: line["at"], reverse=True)


def _history(contacts: list[dict]) -> list[dict]:
    return [
        {
            "at": line["at"],
            "channel": line["contact"]["channel"],
            "direction": line["direction"],
            "by": line["by"],
            "text": line["text"],
            "deleted": line["deleted"],
            "barred": line["contact"]["barred"],
            "interaction": None if line["contact"]["barred"] else line["contact"]["id"],
        }
        for line in _lines(contacts)[:HISTORY]
    ]


def _sentiment(contacts: list[dict]) -> dict:
    tones = [
        line["sentiment"]
        for line in _lines(contacts)
        if line["direction"] == Direction.INBOUND and line["sentiment"] is not None and not line["courtesy"]
    ]
    return {"now": tones[0] if tones else None, "trend": tones[:HISTORY][::-1]}


def _agents(contacts: list[dict]) -> list[dict]:
    """Who of us spoke with the customer last, each once, newest first."""
    found: dict[str, dict] = {}
    for answer in sorted(
        (one for one in map(_answer, contacts) if one and one["by"]), key=lambda one: one["at"], reverse=True
    ):
        found.setdefault(answer["by"], answer)
    return list(found.values())[:AGENTS]


def _talked(contacts: list[dict], now: datetime) -> dict:
    """Whether one of us has answered, who, where and when: the newest answer counts."""
    answers = [_answer(contact) for contact in contacts]
    newest = max((one for one in answers if one), key=lambda one: one["at"], default=None)
    if newest is None:
        return {
            "yes": False,
            "text": "Nobody of us has answered yet.",
            "by": None,
            "channel": None,
            "at": None,
            "interaction": None,
        }
    text = f"Yes, {newest['by'] or 'one of us'}, {_by_channel(newest['channel'])}, {ago(newest['at'], now)}."
    return {"yes": True, "text": text, **newest}


def _answer(contact: dict) -> dict | None:
    out = next((line for line in contact["said"] or () if line["direction"] == Direction.OUTBOUND), None)
    if out is not None:
        at, by = out["at"], out["by"]
    elif contact["first_response_at"]:
        at, by = contact["first_response_at"], contact["agent"]
    elif contact["channel"] == ChannelKind.PHONE and contact["agent"] and contact["closed_at"]:
        at, by = contact["closed_at"], contact["agent"]  # what was said on the telephone leaves no message
    else:
        return None
    return {
        "by": by or contact["agent"],
        "channel": contact["channel"],
        "at": at,
        "interaction": contact["id"],
    }


def _got(contacts: list[dict], tickets: list[dict], now: datetime) -> dict:
    """Whether the customer got what was needed, as far as the facts say; unknown is None."""
    ended = next((one for one in contacts if one["status"] == InteractionStatus.CLOSED), None)
    owed = [one for one in tickets if one["promised_by"] or one["status"] != TicketStatus.NEW]
    if owed:
        oldest = owed[-1]
        if oldest["promised_by"]:
            return {"yes": False, "text": f"Not yet: {_promise(oldest, now)}", "ticket": oldest["id"]}
        return {
            "yes": False,
            "text": f"Not yet: #{oldest['number']} is open since {ago(oldest['opened_at'], now)}.",
            "ticket": oldest["id"],
        }
    if ended is None:
        return {"yes": None, "text": "Nothing has ended yet.", "ticket": None}
    how, code = _outcome(ended), ended["outcome"].replace("-", "_")
    when = ago(ended["closed_at"], now)
    if code in UNSOLVED:
        return {
            "yes": False,
            "text": f"No: the last contact ended {how}, {when}.",
            "ticket": ended["ticket_id"],
        }
    if ended["ticket_status"] not in (TicketStatus.SOLVED, TicketStatus.CLOSED):
        return {
            "yes": None,
            "text": f"The last contact ended {how}; its ticket is open again.",
            "ticket": ended["ticket_id"],
        }
    if not code or code.startswith(SOLVED):
        return {
            "yes": True,
            "text": f"Yes: the last contact ended {how}, {when}.",
            "ticket": ended["ticket_id"],
        }
    # Passed on, no reply any more: the ticket is closed, but nobody says that it helped.
    return {"yes": None, "text": f"The last contact ended {how}, {when}.", "ticket": ended["ticket_id"]}


def _outcome(contact: dict) -> str:
    return f"as “{contact['outcome_label']}”" if contact["outcome"] else "without a coded outcome"


def _promise(ticket: dict, now: datetime) -> str:
    by = _instant(ticket["promised_by"])
    what = f"“{ticket['promise']}” was promised" if ticket["promise"] else "a promise was given"
    past = ", and that is past" if by < now else ""
    return f"{what} for {by:%d %b %H:%M} UTC (#{ticket['number']}){past}."


def _last_spoken(contacts: list[dict], now: datetime) -> str:
    line = next((one for one in _lines(contacts) if one["direction"] != Direction.NOTE), None)
    if line is None:
        return "First contact: nothing was said before."
    channel, when = _by_channel(line["contact"]["channel"]), ago(line["at"], now)
    if line["direction"] == Direction.INBOUND:
        return f"The customer wrote last, {channel}, {when}."
    return f"{line['by'] or 'One of us'} answered last, {channel}, {when}."


def _how_it_stands(contacts: list[dict], tickets: list[dict], now: datetime) -> str:
    """What was promised, else how the last contact ended, else what is open."""
    promised = next((one for one in tickets if one["promised_by"]), None)
    if promised:
        sentence = _promise(promised, now)
        return sentence[0].upper() + sentence[1:]
    ended = next((one for one in contacts if one["status"] == InteractionStatus.CLOSED), None)
    if ended:
        topic = f" about {ended['topic'].replace('_', ' ')}" if ended["topic"] else ""
        return f"The last contact{topic} ended {_outcome(ended)}, {ago(ended['closed_at'], now)}."
    if tickets:
        return f"#{tickets[0]['number']} is {tickets[0]['status'].replace('_', ' ')} and nothing has been promised."
    return "Nothing was promised and nothing is open."


def _often(count: int) -> str:
    if count >= MONTH_MOST:
        return f"At least {MONTH_MOST} contacts in the last 30 days."
    if count <= 1:
        return "No other contact in the last 30 days." if count else "No contact in the last 30 days."
    return f"This is contact {count} in the last 30 days."


def _by_channel(kind: str) -> str:
    label = ChannelKind(kind).label
    if kind in (ChannelKind.PHONE, ChannelKind.EMAIL, ChannelKind.SMS, ChannelKind.FAX):
        return f"by {label if label.isupper() else label.lower()}"
    return f"in {label.lower()}" if kind == ChannelKind.CHAT else f"on {label}"


def _instant(text: str | datetime) -> datetime:
    return text if isinstance(text, datetime) else datetime.fromisoformat(text)


def ago(at: str | datetime, now: datetime) -> str:
    """How long ago, in the largest whole unit."""
    seconds = max(0, (now - _instant(at)).total_seconds())
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"
