"""One contact on one channel: opened, joined, re-opened and folded by what arrives; assigned and closed by people."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from crm import events, judging, live, rows
from crm.bus import publish
from crm.choices import (
    OPENING_VERDICTS,
    Audience,
    DeliveryOutcome,
    Direction,
    Family,
    InteractionStatus,
    ItemKind,
    MessageState,
    TicketStatus,
)
from crm.connectors.base import Inbound
from crm.errors import Conflict
from crm.models import Interaction, User
from crm.services import activities, identities, streams
from crm.services.threads import Contact, Threads, is_loose

_FAMILY = {
    ItemKind.DIRECT_MESSAGE: Family.MESSAGE,
    ItemKind.SMS: Family.MESSAGE,
    ItemKind.CALL: Family.VOICE,
    ItemKind.CHAT: Family.CHAT,
    ItemKind.EMAIL: Family.MAIL,
    ItemKind.FAX: Family.MAIL,
}
_ADDRESSED = re.compile(r"^(?:\.?@\w+[\s,:!-]*)+")  # whom a post speaks to says nothing about its subject


# The time, whether anything is promised, as many ids as may be needed, and which of the words are stored already.
_BEGIN = """
SELECT now(), EXISTS (SELECT 1 FROM crm_slapolicy WHERE is_active),
    ARRAY(SELECT nextval('crm_interaction_id_seq') FROM generate_series(1, %s::int)),
    ARRAY(SELECT nextval('crm_ticket_id_seq') FROM generate_series(1, %s::int)),
    ARRAY(SELECT nextval('crm_message_id_seq') FROM generate_series(1, %s::int)),
    (SELECT json_agg(json_build_array(m.channel_id, m.external_id))::text FROM unnest(%s::bigint[], %s::text[]) AS k(channel, id)
     JOIN crm_message m ON m.channel_id = k.channel AND m.external_id = k.id)
"""


@dataclass(slots=True)
class Words:
    """The ids that messages of this list may take, and whose words are stored already."""

    ids: list[int]
    stored: set[tuple[int, str]]

    def fresh(self, said: list[Inbound]) -> list[Inbound]:
        """Those whose words are not stored, each once: the same item under another digest was said before."""
        first: dict[tuple[int, str], Inbound] = {}
        for inbound in said:
            first.setdefault((inbound.channel.id, inbound.item.id), inbound)
        return [inbound for key, inbound in first.items() if key not in self.stored]


def receive(inbounds: list[Inbound]) -> None:
    """Take what came on mail, chat, telephone and other private channels: each item belongs to an interaction."""
    identities.resolve(inbounds)
    take(inbounds, Threads(inbounds))


def take(inbounds: list[Inbound], threads: Threads) -> None:
    """Place each item in its thread, then open or join the author's interaction there; set-based, in one transaction.

    Sets `thread`, `interaction_id` and `outcome` on each item. An item on a public channel whose verdict asks for
    no answer opens nothing and is `ignored`; it still joins what is open.
    """
    n = len(inbounds)
    keys = sorted({(inbound.channel.id, inbound.item.id) for inbound in inbounds})
    known = [channel for channel, _ in keys], [external_id for _, external_id in keys]
    now, promised, ids, tickets, messages, stored = rows.run(_BEGIN, (n, n, n, *known))[0]
    ids, tickets = iter(ids), iter(tickets)
    continued: dict[int, int] = {}
    for inbound in sorted(inbounds, key=lambda one: (one.item.created_at, one.delivery_id)):
        threads.place(inbound)
        contact = threads.contact_for(inbound)
        if contact is None:
            if _opens(inbound):
                _open(inbound, threads, next(ids), next(tickets))
            else:
                inbound.outcome = DeliveryOutcome.IGNORED
        else:
            _join(inbound, contact, now, tickets, continued)
    words = Words(messages, {(channel, external_id) for channel, external_id in rows.from_json(stored) or ()})
    _write(inbounds, threads, continued, now, promised, words)


def _opens(inbound: Inbound) -> bool:
    if inbound.item.audience == Audience.PUBLIC:
        return inbound.judgement.verdict in OPENING_VERDICTS
    # Private words are always somebody's: only social messages that are plainly spam open nothing.
    return inbound.item.kind != ItemKind.DIRECT_MESSAGE or inbound.judgement.verdict in OPENING_VERDICTS


def _open(inbound: Inbound, threads: Threads, interaction_id: int, ticket_id: int) -> None:
    item = inbound.item
    contact = Contact(
        id=interaction_id,
        thread=inbound.thread,
        identity_id=inbound.identity_id,
        customer_id=inbound.customer_id,
        audience=item.audience,
        channel_id=inbound.channel.id,
        status=InteractionStatus.OPEN,
        loose=is_loose(inbound),
        first_at=item.created_at,
        last_at=item.created_at,
        ticket_id=ticket_id,
        waiting_since=item.created_at,
        is_new=True,
        opener=inbound,
    )
    threads.remember(contact)
    inbound.outcome = DeliveryOutcome.OPENED


def _join(inbound: Inbound, contact: Contact, now: datetime, tickets, continued: dict[int, int]) -> None:
    item = inbound.item
    contact.joined.append(inbound)
    contact.first_at = min(contact.first_at, item.created_at)
    contact.last_at = max(contact.last_at, item.created_at)
    inbound.outcome = DeliveryOutcome.JOINED
    if inbound.judgement.courtesy:
        return
    contact.waiting_since = min(contact.waiting_since or item.created_at, item.created_at)
    if contact.status == InteractionStatus.CLOSED and _opens(inbound):
        contact.status, contact.reopened = InteractionStatus.OPEN, True
        # A late answer re-opens; a very late one is a new problem that continues the old one (`practice.md` 1.5).
        if contact.closed_at and now - contact.closed_at > timedelta(days=settings.REOPEN_DAYS):
            continued[contact.id] = contact.ticket_id
            contact.ticket_id = next(tickets)
            inbound.outcome = DeliveryOutcome.OPENED


def _write(
    inbounds: list[Inbound],
    threads: Threads,
    continued: dict[int, int],
    now: datetime,
    promised: bool,
    words: Words,
) -> None:
    contacts = threads.all_contacts()
    folded = [c for c in contacts if c.folded_into is not None and not c.is_new]
    opened = [c for c in contacts if c.is_new and c.folded_into is None]
    joined = [c for c in contacts if c.joined and not c.is_new and c.folded_into is None]
    _fold(folded, threads)
    threads.write()
    owners = judging.owners([_opening(contact) for contact in opened])
    _insert_tickets(opened, owners, continued, contacts, now, promised)
    _insert_interactions(opened, owners, threads)
    _update_joined([*joined, *{c.folded_into.id: c.folded_into for c in folded}.values()])
    messages = _insert_messages(threads, contacts, words)
    # Now and not at the commit: the server checks the references so far while we go on.
    rows.write("SET CONSTRAINTS ALL IMMEDIATE")
    rows.write("SET CONSTRAINTS ALL DEFERRED")
    _adopt_adrift(opened, threads)
    _say(inbounds, opened, contacts, folded, threads, messages)


def _survivor(contact: Contact) -> Contact:
    while contact.folded_into is not None:
        contact = contact.folded_into
    return contact


def _fold(folded: list[Contact], threads: Threads) -> None:
    """Fold younger interactions and tickets into the older ones; what they held moves along, and can be told apart."""
    if not folded:
        return
    folded.sort(key=lambda contact: contact.id)
    ids = [contact.id for contact in folded]
    survivors = [_survivor(contact) for contact in folded]
    into = [contact.id for contact in survivors]
    rows.run(
        "UPDATE crm_interaction i SET folded_into_id = m.into_id, status = 'closed', closed_at = now() "
        "FROM unnest(%s::bigint[], %s::bigint[]) AS m(id, into_id) WHERE i.id = m.id",
        (ids, into),
    )
    rows.run(
        "UPDATE crm_message t SET interaction_id = m.into_id "
        "FROM unnest(%s::bigint[], %s::bigint[]) AS m(id, into_id) WHERE t.interaction_id = m.id",
        (ids, into),
    )
    pairs = [
        (c.ticket_id, s.ticket_id)
        for c, s in zip(folded, survivors, strict=True)
        if c.ticket_id != s.ticket_id
    ]
    rows.run(
        "UPDATE crm_ticket t SET folded_into_id = m.into_id, status = 'folded', solved_at = NULL "
        "FROM unnest(%s::bigint[], %s::bigint[]) AS m(id, into_id) WHERE t.id = m.id",
        ([old for old, _ in pairs], [new for _, new in pairs]),
    )


def _opening(contact: Contact) -> judging.Opening:
    inbound = contact.opener
    judged = inbound.judgement
    return judging.Opening(
        judged.queue_hint, judged.topic, family_of(inbound), inbound.received_at, inbound.channel.slug
    )


def _insert_tickets(
    opened: list[Contact],
    owners: list[judging.Owner],
    continued: dict[int, int],
    contacts: list[Contact],
    now: datetime,
    promised: bool,
) -> None:
    fresh: list[tuple[int, Contact, Inbound, int | None]] = [
        (c.ticket_id, c, c.opener, None) for c in opened if c.opener is not None
    ]
    # One that continues an old one is told its owner when its work is queued.
    owned = [*owners, *[judging.Owner()] * len(continued)]
    by_id = {contact.id: contact for contact in contacts}
    for interaction_id, old_ticket in continued.items():
        contact = by_id[interaction_id]
        fresh.append((contact.ticket_id, contact, contact.joined[-1], old_ticket))
    rows.insert(
        "crm_ticket",
        {
            "id": ("bigint", [ticket for ticket, *_ in fresh]),
            "customer_id": ("bigint", [contact.customer_id for _, contact, *_ in fresh]),
            "brand_id": ("bigint", [inbound.channel.brand_id for _, _, inbound, _ in fresh]),
            "subject": ("text", [_subject(inbound) for _, _, inbound, _ in fresh]),
            "status": ("text", [TicketStatus.NEW.value] * len(fresh)),
            "topic": ("text", [inbound.judgement.topic for _, _, inbound, _ in fresh]),
            "continues_id": ("bigint", [old for *_, old in fresh]),
            "team_id": ("bigint", [owner.team_id for owner in owned]),
            "due_at": ("timestamptz", [owner.due_at for owner in owned]),
            "opened_at": ("timestamptz", [now] * len(fresh)),
            "updated_at": ("timestamptz", [now] * len(fresh)),
            # Where nothing is promised there is no clock to replay: written as one whose clocks are up to date.
            "clocked_at": ("timestamptz", [None if promised else now] * len(fresh)),
            "promise": ("text", [""] * len(fresh)),
        },
    )


def _subject(inbound: Inbound) -> str:
    line = (inbound.item.title or inbound.item.text).strip().split("\n", 1)[0]
    line = _ADDRESSED.sub("", line) or line
    return line[:160] or f"{inbound.item.kind} on {inbound.channel.name}"[:160]


def _insert_interactions(opened: list[Contact], owners: list[judging.Owner], threads: Threads) -> None:
    first = [contact.opener for contact in opened]
    judged = [inbound.judgement for inbound in first]
    n = len(opened)
    rows.insert(
        "crm_interaction",
        {
            "id": ("bigint", [c.id for c in opened]),
            "channel_id": ("bigint", [c.channel_id for c in opened]),
            "customer_id": ("bigint", [c.customer_id for c in opened]),
            "identity_id": ("bigint", [inbound.identity_id for inbound in first]),
            "ticket_id": ("bigint", [c.ticket_id for c in opened]),
            "team_id": ("bigint", [owner.team_id for owner in owners]),
            "thread": ("bigint", [threads.find(c.thread) for c in opened]),
            "loose": ("boolean", [c.loose for c in opened]),
            "family": ("text", [family_of(inbound) for inbound in first]),
            "audience": ("text", [str(c.audience) for c in opened]),
            "status": ("text", [str(c.status) for c in opened]),
            "language": ("text", [j.language for j in judged]),
            "topic": ("text", [j.topic for j in judged]),
            "queue_hint": ("text", [j.queue_hint for j in judged]),
            "required_skills": ("jsonb", [rows.as_json(j.required_skills) for j in judged]),
            "priority_parts": ("jsonb", [rows.as_json(_parts(inbound)) for inbound in first]),
            "judgement": ("jsonb", [rows.as_json(j.details) for j in judged]),
            "sentiment": ("float8", [j.sentiment for j in judged]),
            "reach": ("bigint", [inbound.item.followers for inbound in first]),
            "customer_value": ("numeric", [inbound.customer_value for inbound in first]),
            "received_at": ("timestamptz", [inbound.received_at for inbound in first]),
            "first_message_at": ("timestamptz", [c.first_at for c in opened]),
            "last_message_at": ("timestamptz", [c.last_at for c in opened]),
            "waiting_since": ("timestamptz", [c.waiting_since for c in opened]),
            "reason": ("text", [""] * n),
            "outcome": ("text", [""] * n),
        },
    )


def family_of(inbound: Inbound) -> str:
    """How this kind of item is worked."""
    return str(_FAMILY.get(inbound.item.kind, Family.SOCIAL))


def _parts(inbound: Inbound) -> dict[str, float | None]:
    parts = dict(inbound.judgement.parts)
    if inbound.customer_value is not None:
        # 10,000 a year is full value; logarithmic, so that the first thousand says most.
        parts["value"] = round(min(1.0, math.log10(1 + float(inbound.customer_value)) / 4), 3)
    return parts


def _update_joined(contacts: list[Contact]) -> None:
    contacts = sorted({c.id: c for c in contacts}.values(), key=lambda c: c.id)
    if not contacts:
        return
    rows.run(
        """
        UPDATE crm_interaction i SET first_message_at = n.first_at, last_message_at = n.last_at,
            waiting_since = n.waiting_since, ticket_id = n.ticket_id, status = n.status,
            closed_at = CASE WHEN n.status = 'open' THEN NULL ELSE i.closed_at END
        FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::bigint[], %s::text[])
            AS n(id, first_at, last_at, waiting_since, ticket_id, status)
        WHERE i.id = n.id
        """,
        (
            [c.id for c in contacts],
            [c.first_at for c in contacts],
            [c.last_at for c in contacts],
            [c.waiting_since for c in contacts],
            [c.ticket_id for c in contacts],
            [str(c.status) for c in contacts],
        ),
    )
    rows.run(
        "UPDATE crm_ticket SET updated_at = now(), solved_at = NULL, snoozed_until = NULL, "
        "status = CASE WHEN status = 'new' THEN 'new' ELSE 'waiting_on_us' END "
        "WHERE id = ANY(%s) AND status <> 'folded'",
        ([c.ticket_id for c in contacts if c.status == InteractionStatus.OPEN and c.waiting_since],),
    )


def _insert_messages(
    threads: Threads, contacts: list[Contact], words: Words
) -> list[tuple[int, int, Inbound]]:
    """Write the words; returns (message id, interaction id, item) of those that were new.

    Their ids were drawn before, so that nobody waits for the answer; the lock on taking in keeps what was read true.
    """
    held = {}
    for contact in contacts:
        survivor = _survivor(contact)
        for inbound in [*contact.joined, *([contact.opener] if contact.opener else [])]:
            inbound.interaction_id = survivor.id
            held[inbound.delivery_id] = inbound
    said = words.fresh([held[key] for key in sorted(held)])
    drawn = words.ids[: len(said)]
    items = [inbound.item for inbound in said]
    judged = [inbound.judgement for inbound in said]
    n = len(said)
    rows.insert(
        "crm_message",
        {
            "id": ("bigint", drawn),
            "channel_id": ("bigint", [inbound.channel.id for inbound in said]),
            "interaction_id": ("bigint", [inbound.interaction_id for inbound in said]),
            "thread": ("bigint", [threads.find(inbound.thread) for inbound in said]),
            "external_id": ("text", [item.id for item in items]),
            "direction": ("text", [Direction.INBOUND.value] * n),
            "audience": ("text", [str(item.audience) for item in items]),
            "state": ("text", [MessageState.RECEIVED.value] * n),
            "identity_id": ("bigint", [inbound.identity_id for inbound in said]),
            "author_name": ("text", [item.handle or item.name for item in items]),
            "title": ("text", [item.title for item in items]),
            "text": ("text", [item.text for item in items]),
            "media": ("jsonb", [rows.as_json(item.media) for item in items]),
            "versions": ("jsonb", ["[]"] * n),
            "courtesy": ("boolean", [j.courtesy for j in judged]),
            "sentiment": ("float8", [j.sentiment for j in judged]),
            "sentiment_words": ("jsonb", [rows.as_json(j.sentiment_words) for j in judged]),
            "in_reply_to": ("text", [item.in_reply_to for item in items]),
            "attempts": ("smallint", [0] * n),
            "error": ("text", [""] * n),
            "at": ("timestamptz", [item.created_at for item in items]),
        },
    )
    return [(message, one.interaction_id, one) for message, one in zip(drawn, said, strict=True)]


def _adopt_adrift(opened: list[Contact], threads: Threads) -> None:
    """Our own posts that came before anybody's contact in their thread belong to the contact that now opened."""
    if not opened:
        return
    rows.write(
        """
        WITH adopted AS (
            UPDATE crm_message m SET interaction_id = n.id
            FROM unnest(%s::bigint[], %s::bigint[]) AS n(id, thread)
            WHERE m.thread = n.thread AND m.interaction_id IS NULL RETURNING m.interaction_id, m.at
        ), answered AS (SELECT interaction_id, min(at) AS at, max(at) AS last FROM adopted GROUP BY 1)
        UPDATE crm_interaction i SET
            first_response_at = CASE WHEN a.last >= i.first_message_at THEN greatest(a.at, i.first_message_at) END,
            waiting_since = CASE WHEN a.last >= i.waiting_since THEN NULL ELSE i.waiting_since END
        FROM answered a WHERE i.id = a.interaction_id
        """,
        ([c.id for c in opened], [threads.find(c.thread) for c in opened]),
    )


def _say(inbounds, opened, contacts, folded, threads: Threads, messages) -> None:
    facts: list = [events.InteractionOpened(interaction_id=c.id) for c in opened]
    facts += [
        events.InteractionOpened(interaction_id=c.id, reopened=True)
        for c in contacts
        if c.reopened and not c.is_new and c.folded_into is None
    ]
    facts += [events.InteractionsFolded(interaction_id=c.id, into_id=_survivor(c).id) for c in folded]
    facts += [events.ThreadsTied(thread=old, into=threads.find(old)) for old in sorted(threads.merged)]
    facts += [
        events.MessageReceived(
            message_id=message, interaction_id=interaction, courtesy=inbound.judgement.courtesy
        )
        for message, interaction, inbound in messages
        if inbound.outcome == DeliveryOutcome.JOINED
    ]
    facts += [
        events.CallMoved(
            interaction_id=inbound.interaction_id, call=_call_of(inbound), state=inbound.item.call_state,
            at=inbound.item.call_at(inbound.received_at),
        )
        for inbound in inbounds
        if inbound.item.kind == ItemKind.CALL and inbound.interaction_id and inbound.item.call_state
    ]  # fmt: skip
    by_id = {contact.id: contact for contact in contacts}
    tellings: list[streams.Telling] = [
        (streams.EVENTS, "interaction.opened", {"interaction": c.id, "ticket": c.ticket_id}) for c in opened
    ]
    for message, interaction, inbound in messages:
        if inbound.outcome != DeliveryOutcome.JOINED:
            continue
        data = {"message": message, "interaction": interaction}
        tellings.append((f"interaction:{interaction}", "message.received", data))
        tellings.append((streams.EVENTS, "message.received", data))
        owner = by_id[interaction].assigned_to_id if interaction in by_id else None
        if owner:
            tellings.append((f"desk:{owner}", "message.received", data))
    publish(*facts)
    tell(tellings)


def _call_of(inbound: Inbound) -> str:
    """Which call it tells of: a message that was left is an item of its own and names its call."""
    item = inbound.item
    return item.in_reply_to if item.call_state == "voicemail" and item.in_reply_to else item.id


def tell(tellings: list[streams.Telling]) -> None:
    """Write to streams as the last statement, and ring after commit."""
    streams.tell(tellings)
    live.ring_streams(stream for stream, _, _ in tellings)


def assign(pairs: list[tuple[int, int | None]]) -> None:
    """Set who holds interactions (interaction id, user id or None), in one statement; tickets follow."""
    rows.write(
        """
        WITH given AS (SELECT * FROM unnest(%s::bigint[], %s::bigint[]) AS g(id, user_id)),
        held AS (
            UPDATE crm_interaction i SET assigned_to_id = g.user_id, training = i.training OR EXISTS (
                SELECT 1 FROM crm_user u WHERE u.id = g.user_id AND u.coach_id IS NOT NULL
            ) FROM given g WHERE i.id = g.id
            RETURNING i.ticket_id, g.user_id
        )
        UPDATE crm_ticket t SET owner_id = h.user_id, updated_at = now(),
            status = CASE WHEN t.status = 'new' AND h.user_id IS NOT NULL THEN 'open' ELSE t.status END
        FROM held h WHERE t.id = h.ticket_id
        """,
        ([interaction for interaction, _ in pairs], [user for _, user in pairs]),
    )


# A ticket is solved when nothing else of it is open.
_CLOSE = """
WITH closed AS (
    UPDATE crm_interaction SET status = 'closed', closed_at = now(), reason = %s::text, outcome = %s::text, waiting_since = NULL
    WHERE id = %s::bigint AND status = 'open' RETURNING id, ticket_id
), solved AS (
    UPDATE crm_ticket t SET status = 'solved', solved_at = now(), updated_at = now() FROM closed c
    WHERE t.id = c.ticket_id AND t.status NOT IN ('solved', 'closed', 'folded')
        AND NOT EXISTS (SELECT 1 FROM crm_interaction o WHERE o.ticket_id = t.id AND o.status = 'open' AND o.id <> c.id)
)
SELECT id FROM closed
"""


def close(interaction_id: int, *, by: User | None, reason: str = "", outcome: str = "") -> None:
    """Close an interaction and solve its ticket when nothing else of it is open. Closing twice is a Conflict."""
    with transaction.atomic():
        if not close_open(interaction_id, by=by, reason=reason, outcome=outcome):
            raise Conflict("The interaction is closed already.", code="already_closed")
        publish(events.InteractionClosed(interaction_id=interaction_id))
        tell(closed_tellings(interaction_id))


def close_open(interaction_id: int, *, by: User | None, reason: str, outcome: str) -> bool:
    """The rows of closing alone, for a caller who has ended the work and tells of it; False if it was closed."""
    closed = rows.kept(_CLOSE, (reason, outcome, interaction_id))
    if closed:
        activities.record(
            "interaction.closed", by=by, interaction_id=interaction_id, reason=reason, outcome=outcome
        )
    return bool(closed)


# The same for many, of which several may be of one ticket; each with its line of history.
_CLOSE_ALL = """
WITH closed AS (
    UPDATE crm_interaction SET status = 'closed', closed_at = now(), reason = '', outcome = '', waiting_since = NULL
    WHERE id = ANY(%(ids)s::bigint[]) AND status = 'open' RETURNING id, ticket_id, customer_id
), solved AS (
    UPDATE crm_ticket t SET status = 'solved', solved_at = now(), updated_at = now()
    WHERE t.id IN (SELECT ticket_id FROM closed) AND t.status NOT IN ('solved', 'closed', 'folded')
        AND NOT EXISTS (SELECT 1 FROM crm_interaction o WHERE o.ticket_id = t.id AND o.status = 'open'
            AND o.id <> ALL(%(ids)s::bigint[]))
), recorded AS (
    INSERT INTO crm_activity (verb, customer_id, ticket_id, interaction_id, data)
    SELECT 'interaction.closed', customer_id, ticket_id, id, '{"reason": "", "outcome": ""}'::jsonb FROM closed
)
SELECT id FROM closed ORDER BY id
"""


def close_all(interaction_ids: list[int]) -> list[int]:
    """Close contacts without codes, by nobody, for a caller who tells of it; returns those that were open."""
    return [row[0] for row in rows.run(_CLOSE_ALL, {"ids": interaction_ids})] if interaction_ids else []


def closed_tellings(interaction_id: int) -> list[streams.Telling]:
    """What is told of a close."""
    data = {"interaction": interaction_id}
    return [
        (f"interaction:{interaction_id}", "interaction.updated", data),
        (streams.EVENTS, "interaction.closed", data),
    ]


def reopen(interaction_id: int, *, by: User | None) -> None:
    """Open a closed interaction again; its work goes back to the queue."""
    # Batches and merges write contacts and tickets in orders of their own: one after the other.
    with transaction.atomic(), rows.serialised("earshot.ingest"):
        changed = Interaction.objects.filter(
            pk=interaction_id, status=InteractionStatus.CLOSED, folded_into=None
        ).update(status=InteractionStatus.OPEN, closed_at=None)
        if not changed:
            raise Conflict("The interaction is open already.", code="already_open")
        rows.run(
            "UPDATE crm_ticket t SET status = 'waiting_on_us', solved_at = NULL, updated_at = now() "
            "FROM crm_interaction i WHERE i.id = %s AND t.id = i.ticket_id AND t.status <> 'folded'",
            (interaction_id,),
        )
        activities.record("interaction.reopened", by=by, interaction_id=interaction_id)
        publish(events.InteractionOpened(interaction_id=interaction_id, reopened=True))
        data = {"interaction": interaction_id}
        tell(
            [
                (f"interaction:{interaction_id}", "interaction.updated", data),
                (streams.EVENTS, "interaction.opened", data),
            ]
        )
