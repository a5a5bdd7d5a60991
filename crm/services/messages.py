"""What we say: replies and notes, and a reply's way out: queued, sending, then sent, failed, or unknown.

A reply is posted at most once by itself: it is claimed before the network is asked, and when nobody can say whether the
network took it, it stays `unknown` until a look at the network, its echo, or a person settles it.
"""

import logging
import random
import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from django.conf import settings
from django.db import IntegrityError, transaction

from crm import events, placeholders, rows
from crm.access import Permission, may
from crm.bus import publish
from crm.choices import Audience, ChannelKind, Direction, MessageState
from crm.connectors import base
from crm.errors import Conflict, DeliveryError, InvalidInput, NotAllowed, NotFound
from crm.models import Customer, Delivery, Interaction, Message, User
from crm.services import activities, interactions, notices, streams

log = logging.getLogger(__name__)

LONGEST_TEXT = 10_000
SAME_TEXT_HOURS = 24
MAX_ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 2.0, 600.0  # s between tries
FIRST_LOOK, LONGEST_LOOK = 10.0, 600.0  # s between looks at the network for a reply of unknown fate
LOOK_HOURS = 48  # then only a person looks

# Where a public post can be answered under four eyes.
TAKES_PRIVATE = {
    ChannelKind.X, ChannelKind.FACEBOOK, ChannelKind.INSTAGRAM, ChannelKind.MASTODON, ChannelKind.BLUESKY,
    ChannelKind.REDDIT,
}  # fmt: skip

# The claim is one guarded statement. What was written earlier in the same interaction leaves first.
_CLAIM = """
UPDATE crm_message m SET state = 'sending', attempts = m.attempts + 1, error = '',
    due_at = statement_timestamp() + make_interval(secs => %s)
WHERE m.id = %s AND m.direction = 'outbound' AND m.state = 'queued' AND (m.due_at > statement_timestamp()) IS NOT TRUE
    AND NOT EXISTS (SELECT 1 FROM crm_message e WHERE e.interaction_id = m.interaction_id AND e.id < m.id
                    AND e.direction = 'outbound' AND e.state IN ('queued', 'sending'))
RETURNING m.id
"""

_NEXT = """
SELECT id FROM crm_message WHERE interaction_id = %s AND direction = 'outbound' AND state = 'queued'
AND (due_at > statement_timestamp()) IS NOT TRUE ORDER BY id LIMIT 1
"""

_END = """
UPDATE crm_message SET state = %s, error = %s, due_at = CASE WHEN %s::float8 IS NULL THEN NULL
    ELSE statement_timestamp() + make_interval(secs => %s::float8) END
WHERE id = %s AND state = 'sending' AND attempts = %s RETURNING id, interaction_id
"""

_SENT = """
UPDATE crm_message SET state = 'sent', external_id = %s, sent_at = coalesce(sent_at, statement_timestamp()), error = '',
    due_at = NULL
WHERE id = %s AND (external_id IS NULL OR external_id = %s) RETURNING id, interaction_id
"""

# An answer to ours may come before our echo, and mail has no echo at all: the thread is known by it from now on.
_KNOWN = """
INSERT INTO crm_threadref (channel_id, external_id, thread)
SELECT channel_id, 'i:' || external_id, thread FROM crm_message WHERE id = %s AND thread IS NOT NULL
ON CONFLICT (channel_id, external_id) DO NOTHING
"""

# The clocks of `practice.md` 5.1: they stop when the network confirmed, and only for what was said before we wrote.
_ANSWERED = """
WITH said AS (
    SELECT m.interaction_id AS id, min(m.sent_at) FILTER (WHERE m.author_id IS NOT NULL) AS first, max(m.sent_at) AS last,
           max(m.created_at) AS written
    FROM crm_message m WHERE m.id = ANY(%s) AND m.state = 'sent' AND m.interaction_id IS NOT NULL GROUP BY 1
), answered AS (
    UPDATE crm_interaction i SET
        first_response_at = least(i.first_response_at, greatest(s.first, i.first_message_at)),
        last_message_at = greatest(i.last_message_at, s.last),
        waiting_since = CASE WHEN i.status = 'open' THEN
            (SELECT min(c.at) FROM crm_message c WHERE c.interaction_id = i.id AND c.direction = 'inbound'
             AND NOT c.courtesy AND c.deleted_at IS NULL AND c.created_at > s.written) END
    FROM said s WHERE i.id = s.id RETURNING i.ticket_id, i.waiting_since
)
UPDATE crm_ticket t SET updated_at = statement_timestamp(), status = 'waiting_on_customer'
FROM answered a WHERE t.id = a.ticket_id AND a.waiting_since IS NULL AND t.status IN ('new', 'open', 'waiting_on_us')
"""


# --- Writing


def reply(
    interaction: Interaction,
    *,
    by: User,
    text: str,
    audience: str | None = None,
    idempotency_key: str | None = None,
) -> Message:
    """Queue an answer to the customer. The same key again is the same message; with other words it is a Conflict."""
    text = _checked(text)
    audience = _fitting(interaction, audience or interaction.audience)
    if gaps := placeholders.unfilled(text):
        raise InvalidInput(
            "The text has gaps.", code="unfilled", errors={"text": f"no value for {', '.join(gaps)}"}
        )
    key = key_of(by, idempotency_key) if idempotency_key else secrets.token_hex(32)
    with transaction.atomic():
        # One writer for each person: neither the same key nor the same public text can pass twice side by side.
        Customer.objects.select_for_update(no_key=True).get(pk=interaction.customer_id)
        if idempotency_key and (known := Message.objects.filter(idempotency_key=key).first()):
            return _same(known, interaction, text, audience)
        interaction = _standing(interaction)
        if audience == Audience.PUBLIC:
            _refuse_repetition(interaction, text)
        try:
            with transaction.atomic():
                coach = User.objects.filter(pk=by.pk).values_list("coach", flat=True).first()
                message = _store(interaction, by, text, audience, key, released=coach is None)
        except IntegrityError:
            # The same key at the same moment for another customer.
            return _same(Message.objects.get(idempotency_key=key), interaction, text, audience)
        activities.record("reply.written", by=by, interaction_id=interaction.pk, message=message.pk)
        if coach is None:
            publish(events.MessageQueued(message_id=message.pk))
            _tell([message], "message.queued")
        else:
            _tell([message], "", notices.ask_to_release(message, coach, by=by))
    return message


def note(interaction: Interaction, *, by: User, text: str) -> Message:
    """Keep an internal message; it never leaves. Colleagues and teams called by `@name` are told, if they may see it."""
    text = _checked(text)
    with transaction.atomic():
        interaction = _standing(interaction)
        called = notices.called_in(text, interaction, by=by)
        message = Message.objects.create(
            channel_id=interaction.channel_id, interaction=interaction, thread=interaction.thread, author=by,
            author_name=_outside_name(by), direction=Direction.NOTE, audience=Audience.INTERNAL, text=text, at=_now(),
        )  # fmt: skip
        activities.record("note.written", by=by, interaction_id=interaction.pk, message=message.pk)
        _tell([message], "note.written")
        notices.tell(message, called, by=by)
    return message


def _checked(text: str) -> str:
    problem = ""
    if not isinstance(text, str) or not text.strip():
        problem = "is empty"
    elif len(text) > LONGEST_TEXT:
        problem = f"is longer than {LONGEST_TEXT} characters"
    elif "\x00" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        problem = "holds characters that no network takes"
    if problem:
        raise InvalidInput("The text cannot be used.", errors={"text": problem})
    return text.strip()


def _fitting(interaction: Interaction, audience: str) -> str:
    allowed = [Audience.PRIVATE]
    if interaction.audience == Audience.PUBLIC:
        allowed = [Audience.PUBLIC]
        if interaction.channel.kind in TAKES_PRIVATE:
            allowed.append(Audience.PRIVATE)
    if audience not in allowed:
        words = " or ".join(allowed)
        raise InvalidInput(f"An answer here is {words}.", errors={"audience": f"must be {words}"})
    return Audience(audience)


def key_of(by: User, idempotency_key: str) -> str:
    """The message's own key, which the network sees too, drawn from the client's key."""
    return sha256(f"{by.pk}:{idempotency_key}".encode("utf-8", "replace")).hexdigest()


def _same(known: Message, interaction: Interaction, text: str, audience: str) -> Message:
    here = known.interaction_id in (interaction.pk, interaction.folded_into_id)
    if not here or known.text != text or known.audience != audience:
        raise Conflict("This key was used for something else.", code="idempotency_key_reused", status=422)
    return known


def _standing(interaction: Interaction) -> Interaction:
    """The interaction, or the older one it was folded into meanwhile; it moves no more until we commit."""
    found = Interaction.objects.select_for_update(no_key=True, of=("self",)).select_related("channel")
    standing = found.get(pk=interaction.pk)
    while standing.folded_into_id is not None:
        standing = found.get(pk=standing.folded_into_id)
    return standing


def _refuse_repetition(interaction: Interaction, text: str) -> None:
    said = Message.objects.filter(
        interaction__customer_id=interaction.customer_id, direction=Direction.OUTBOUND, audience=Audience.PUBLIC,
        text=text, created_at__gt=_now() - timedelta(hours=SAME_TEXT_HOURS), deleted_at=None,
    ).exclude(state=MessageState.FAILED)  # fmt: skip
    if said.exists():
        raise Conflict("This person was told the very same in public today.", code="duplicate_text")


def _store(
    interaction: Interaction, by: User, text: str, audience: str, key: str, *, released: bool
) -> Message:
    """One that nobody has released has no time to leave, and the claim takes only what is queued: it fails closed."""
    now = _now()
    return Message.objects.create(
        channel_id=interaction.channel_id, interaction=interaction, thread=interaction.thread, author=by,
        author_name=_outside_name(by), direction=Direction.OUTBOUND, audience=audience, text=text, at=now,
        due_at=now if released else None,
        state=MessageState.QUEUED if released else MessageState.AWAITING_APPROVAL,
        in_reply_to=_answered_post(interaction), idempotency_key=key,
    )  # fmt: skip


def _outside_name(user: User) -> str:
    """How customers see a person: never by login or address."""
    return user.alias or user.name.partition(" ")[0]


def _answered_post(interaction: Interaction) -> str:
    """Under which post the answer stands: the customer's newest."""
    newest = (
        Message.objects.filter(
            interaction=interaction, direction=Direction.INBOUND, external_id__isnull=False
        )
        .filter(deleted_at=None)
        .order_by("-at", "-id")
        .first()
    )
    return newest.external_id if newest else ""


def _now() -> datetime:
    return rows.run("SELECT statement_timestamp()")[0][0]


# --- Training: a coach releases


def may_release(user: User, message: Message) -> bool:
    """The writer's coach, or who leads there; never the writer himself."""
    if message.interaction is None or user.pk == message.author_id:
        return False
    coach = message.author.coach_id if message.author else None
    return user.pk == coach or may(user, Permission.SUPERVISE, message.interaction)


def release(message: Message, *, by: User) -> Message:
    """Let an answer of somebody in training leave; 409 `not_waiting` when another decided, or it never waited."""
    return _decide(message, by, MessageState.QUEUED, "reply.released")


def give_back(message: Message, *, by: User, reason: str) -> Message:
    """Do not let it leave: it stays a draft, and why stands in the thread."""
    if not reason.strip():
        raise InvalidInput("Why?", errors={"reason": "is required"})
    decided = _decide(message, by, MessageState.DRAFT, "reply.given_back")
    if decided.interaction is not None:
        note(decided.interaction, by=by, text=reason)
    return decided


def _decide(message: Message, by: User, state: str, verb: str) -> Message:
    if not may_release(by, message):
        raise NotAllowed("This is for the coach, or for who leads there.")
    with transaction.atomic():
        waiting = Message.objects.filter(pk=message.pk, state=MessageState.AWAITING_APPROVAL)
        if not waiting.update(state=state, due_at=_now() if state == MessageState.QUEUED else None):
            raise Conflict("It does not wait any more.", code="not_waiting")
        decided = Message.objects.select_related("interaction", "author").get(pk=message.pk)
        activities.record(verb, by=by, interaction_id=decided.interaction_id, message=decided.pk)
        if state == MessageState.QUEUED:
            publish(events.MessageQueued(message_id=decided.pk))
        _moved([decided])
    return decided


# --- Leaving


def deliver(message_id: int) -> None:
    """Send a queued message, then what waited behind it in the same interaction. Run twice at once, it sends once."""
    next_id: int | None = message_id
    while next_id is not None:
        message = _claim(next_id)
        if message is None:
            return
        _send(message)
        waiting = rows.run(_NEXT, (message.interaction_id,))
        next_id = waiting[0][0] if waiting else None


def _claim(message_id: int) -> Message | None:
    with transaction.atomic():
        if not rows.run(_CLAIM, (settings.SEND_TIMEOUT * 3, message_id)):
            return None
        message = Message.objects.select_related("channel", "interaction").get(pk=message_id)
        _moved([message])
    return message


def _send(message: Message) -> None:
    """Ask the network, outside any transaction, and write down what is known afterwards."""
    extra = {"reply": message.pk, "interaction": message.interaction_id, "attempt": message.attempts}
    try:
        connector = base.connector(message.channel.connector)
    except (KeyError, ImportError):
        _end(message, MessageState.FAILED, f"{message.channel.name} has no connector.")
        return
    try:
        external_id = connector.send(message.channel, message)
    except DeliveryError as error:
        log.warning("not sent", extra={**extra, "error": error.detail, "permanent": error.permanent})
        _after_error(message, error)
    except Exception as error:  # whatever a connector stumbles over, the post may be out
        log.exception("connector failed", extra=extra)
        _end(message, MessageState.UNKNOWN, f"{type(error).__name__}: {error}", FIRST_LOOK)
    else:
        mark_sent(message.pk, external_id)


def _after_error(message: Message, error: DeliveryError) -> None:
    if error.unclear:
        _end(message, MessageState.UNKNOWN, error.detail, FIRST_LOOK)
    elif error.permanent or message.attempts >= MAX_ATTEMPTS:
        _end(message, MessageState.FAILED, error.detail)
    else:
        _end(message, MessageState.QUEUED, error.detail, wait_before(message.attempts, error.retry_after))


def wait_before(attempts: int, retry_after: float | None = None) -> float:
    """Seconds until the next try: doubled each time with jitter, never sooner than the network asked."""
    backoff = min(FIRST_WAIT * 2 ** (attempts - 1), LONGEST_WAIT) * random.uniform(0.5, 1.0)  # noqa: S311 - a spread of waits, nothing secret
    return max(backoff, (retry_after or 0.0) * random.uniform(1.0, 1.1))  # noqa: S311 - a spread of waits, nothing secret


def _end(message: Message, state: str, error: str, wait: float | None = None) -> None:
    """Write how a try ended, unless its echo or the sweep settled it meanwhile."""
    clean = error.replace("\x00", "").encode("utf-8", "replace").decode()[:2000]
    with transaction.atomic():
        if rows.run(_END, (str(state), clean, wait, wait, message.pk, message.attempts)):
            message.state = state
            _moved([message])


def mark_sent(message_id: int, external_id: str) -> None:
    """The network confirmed. Whatever came first, the echo or the answer, one message remains."""
    with transaction.atomic(), rows.serialised("earshot.ingest"):
        message = (
            Message.objects.select_for_update(of=("self",)).select_related("interaction").get(pk=message_id)
        )
        if not _take_over(message, external_id) or not rows.run(
            _SENT, (external_id, message_id, external_id)
        ):
            log.error(
                "the network named a post that is not ours",
                extra={"reply": message_id, "post": external_id},
            )
            return
        rows.run(_KNOWN, (message_id,))
        already = message.state == MessageState.SENT
        message.state = MessageState.SENT
        if not already:
            answered([message_id])
            _moved([message])


def _take_over(message: Message, external_id: str) -> bool:
    """Free the network's id from whoever holds it: an echo becomes us, a twin that was taken for us is asked again."""
    holder = (
        Message.objects.select_for_update(of=("self",))
        .filter(channel_id=message.channel_id, external_id=external_id)
        .exclude(pk=message.pk)
        .first()
    )
    if holder is None:
        return True
    if holder.direction != Direction.OUTBOUND:
        return False
    if holder.author_id is None:
        holder.delete()
    else:
        Message.objects.filter(pk=holder.pk).update(
            state=MessageState.UNKNOWN, external_id=None, sent_at=None, due_at=_now()
        )
    return True


def answered(message_ids: list[int]) -> None:
    """Stop the clocks of the interactions that these messages answered; in the confirmer's own transaction."""
    rows.run(_ANSWERED, (message_ids,))


def confirmed(message_ids: list[int]) -> None:
    """Their echo says that these are out: a late success, in the transaction that took the echo."""
    if message_ids:
        answered(message_ids)
        _moved(list(Message.objects.select_related("interaction").filter(pk__in=message_ids)))


def came_back(channel_id: int, external_ids: list[str], reason: str) -> None:
    """What was sent did not reach anybody: it failed after all, in the transaction that took the news."""
    found = rows.run(
        "UPDATE crm_message SET state = 'failed', error = %s WHERE channel_id = %s AND external_id = ANY(%s) "
        "AND direction = 'outbound' AND state = 'sent' RETURNING id",
        (f"It came back: {reason}"[:2000], channel_id, external_ids),
    )
    if found:
        _moved(list(Message.objects.select_related("interaction").filter(pk__in=[row[0] for row in found])))


def _moved(messages: list[Message]) -> None:
    """Say that messages reached another state, as the last statements of the transaction."""
    publish(
        *[
            events.MessageMoved(
                message_id=one.pk, interaction_id=one.interaction_id or 0, state=str(one.state)
            )
            for one in messages
        ]
    )
    _tell(messages, "")


def _tell(messages: list[Message], kind: str, first: list[streams.Telling] = ()) -> None:
    tellings: list[streams.Telling] = [*first]
    for one in messages:
        data = {"message": one.pk, "interaction": one.interaction_id, "state": str(one.state)}
        tellings.append((streams.EVENTS, kind or f"message.{one.state}", data))
        if one.interaction_id:
            tellings.append((f"interaction:{one.interaction_id}", "message.updated", data))
            desks = {one.author_id, one.interaction.assigned_to_id} - {None}
            tellings += [(f"desk:{user}", "message.updated", data) for user in sorted(desks)]
    interactions.tell(tellings)


def file(message: Message, place: int) -> tuple[str, bytes]:
    """Name and octets of a file that came with a message, out of the bytes that came. Raises NotFound."""
    if message.deleted_at is not None or not any(one.get("file") == place for one in message.media):
        raise NotFound("There is no such file.")
    came = Delivery.objects.filter(
        channel_id=message.channel_id, external_id=message.external_id or ""
    ).exclude(form="")
    delivery = came.only("raw", "form").first()
    found = base.file_of(delivery.form, bytes(delivery.raw), place) if delivery else None
    if found is None:
        raise NotFound("The file is not kept any more.")
    return found


# --- Settling what nobody knows


def check(message_id: int) -> Message:
    """Look at the network whether it has this message, and settle it if so."""
    message = Message.objects.select_related("channel", "interaction").filter(pk=message_id).first()
    if message is None or message.direction != Direction.OUTBOUND:
        raise NotFound("There is no such message.")
    if message.state == MessageState.UNKNOWN:
        _look(message)
    return Message.objects.get(pk=message_id)


def _look(message: Message) -> None:
    """Ask the network under the message's own key; found is a late success, anything else leaves it unknown."""
    found = None
    try:
        found = base.connector(message.channel.connector).look_up(
            message.channel, message.idempotency_key or ""
        )
    except (DeliveryError, KeyError, ImportError) as error:
        log.warning("not looked up", extra={"reply": message.pk, "error": str(error)})
    except Exception:  # a connector's own fault must not stop the sweep
        log.exception("connector failed", extra={"reply": message.pk})
    if found:
        mark_sent(message.pk, found)
        return
    age = (_now() - message.created_at).total_seconds()
    wait = min(max(age / 4, FIRST_LOOK), LONGEST_LOOK) if age < LOOK_HOURS * 3600 else None
    rows.run(
        "UPDATE crm_message SET due_at = CASE WHEN %s::float8 IS NULL THEN NULL "
        "ELSE statement_timestamp() + make_interval(secs => %s::float8) END WHERE id = %s AND state = 'unknown'",
        (wait, wait, message.pk),
    )


def send_again(message_id: int, *, by: User) -> Message:
    """A person decides to send what failed or is unknown once more. It is looked for first; the key stays the same."""
    message = check(message_id)
    if message.state == MessageState.SENT:
        return message
    with transaction.atomic():
        again = Message.objects.filter(pk=message_id, state__in=[MessageState.FAILED, MessageState.UNKNOWN])
        # It was tried before: its echo may still come and settle it.
        if not again.update(state=MessageState.QUEUED, due_at=_now(), attempts=1, error=""):
            raise Conflict("Only what failed or is unknown can be sent again.", code="not_resendable")
        message = Message.objects.select_related("interaction").get(pk=message_id)
        activities.record(
            "reply.sent_again", by=by, interaction_id=message.interaction_id, message=message_id
        )
        publish(events.MessageQueued(message_id=message_id))
        _moved([message])
    return message


def due(limit: int = 500) -> list[int]:
    """Queued messages whose time has come and that nobody claimed: the net under lost tasks."""
    found = rows.run(
        "SELECT id FROM crm_message WHERE state = 'queued' AND direction = 'outbound' "
        "AND (due_at > statement_timestamp()) IS NOT TRUE "
        "ORDER BY due_at, id LIMIT %s",
        (limit,),
    )
    return [row[0] for row in found]


def settle(limit: int = 100) -> int:
    """Sends whose sender is gone become unknown; unknown ones whose time has come are looked for. Returns how many."""
    _give_up_sending(limit)
    unknown = Message.objects.select_related("channel", "interaction").filter(
        state=MessageState.UNKNOWN, direction=Direction.OUTBOUND, due_at__lte=_now()
    )
    looked = list(unknown.order_by("due_at")[:limit])
    for message in looked:
        _look(message)
    return len(looked)


def _give_up_sending(limit: int) -> None:
    with transaction.atomic():
        lost = rows.run(
            "WITH chosen AS MATERIALIZED (SELECT id FROM crm_message WHERE state = 'sending' "
            "AND due_at < statement_timestamp() ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED) "
            "UPDATE crm_message m SET state = 'unknown', error = 'The sender was lost on the way.', "
            "due_at = statement_timestamp() FROM chosen WHERE m.id = chosen.id RETURNING m.id",
            (limit,),
        )
        if lost:
            _moved(
                list(Message.objects.select_related("interaction").filter(pk__in=[row[0] for row in lost]))
            )
