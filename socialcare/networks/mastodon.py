"""Mastodon and what speaks its API: mentions, private posts and their edits in, answers out.

https://docs.joinmastodon.org/methods/notifications/ and /methods/statuses/. Spoken to directly through the one guarded door: the
few calls that are needed are plain JSON. Servers differ: some ignore the Idempotency-Key, so what is unclear is looked for among
our own newest posts before anybody sends it again.
"""

from typing import Any
from urllib.parse import quote

import orjson

from crm import markup
from crm.choices import Audience, Event, ItemKind
from crm.connectors import items
from crm.connectors.base import Account, Capabilities, Fetched, Health
from crm.errors import DeliveryError
from crm.models import Channel, Message
from socialcare.networks import base

__all__ = ["CAN", "fetch", "look_up", "parse", "probe", "send", "whoami"]

CAN = Capabilities(longest=500, private=True, edit=True, delete=True, media=4, idempotent=True, fetched=True)

PAGE = 40
TOLD = "/api/v1/notifications?types[]=mention&types[]=update"
UNLISTED = {"direct": Audience.PRIVATE, "private": Audience.PRIVATE}


# --- In


def fetch(channel: Channel, cursor: dict[str, Any]) -> Fetched:
    """Who mentioned us, and what we wrote there ourselves, since the cursor (`told`, `own`, `me`). It begins with now."""
    me = cursor.get("me") or whoami(channel).external_id
    told, own = cursor.get("told"), cursor.get("own")
    if told is None or own is None:
        return Fetched([], {"me": me, "told": _newest(channel, TOLD), "own": _newest(channel, _statuses(me))})
    mentions = _since(channel, TOLD, told)
    ours = _since(channel, _statuses(me), own)
    cursor = {"me": me, "told": _last(mentions, told), "own": _last(ours, own)}
    raws = [orjson.dumps(one) for one in [*mentions, *ours]]
    return Fetched(raws, cursor, more=len(mentions) == PAGE or len(ours) == PAGE)


def whoami(channel: Channel) -> Account:
    """Whose token this is."""
    said = base.expect(channel, base.call(channel, "GET", "/api/v1/accounts/verify_credentials"))
    return Account(
        base.post_id(channel, said), str(said.get("acct") or ""), str(said.get("display_name") or "")
    )


def probe(channel: Channel) -> Health:
    """Whether the server knows our token, and whether anybody has mentioned us."""
    me = whoami(channel)
    told = base.expect_list(channel, base.call(channel, "GET", f"{TOLD}&limit=1"))
    newest = (
        f"The newest mention is of {str(told[0].get('created_at'))[:10]}."
        if told
        else "Nobody has mentioned us yet."
    )
    return Health(True, [f"{channel.base_url} knows us as @{me.handle}.", newest])


def _statuses(me: str) -> str:
    return f"/api/v1/accounts/{quote(me, safe='')}/statuses?exclude_reblogs=true"


def _newest(channel: Channel, path: str) -> str:
    found = base.expect_list(channel, base.call(channel, "GET", f"{path}&limit=1"))
    return _last(found, "0")


def _since(channel: Channel, path: str, last: str) -> list[dict]:
    """What came right after the last one, oldest first."""
    found = base.expect_list(
        channel, base.call(channel, "GET", f"{path}&limit={PAGE}&min_id={quote(last, safe='')}")
    )
    return sorted(found, key=_number)


def _last(found: list[dict], before: str) -> str:
    return str(max(found, key=_number)["id"]) if found else before


def _number(one: dict) -> tuple[int, str]:
    """Ids are numbers in order of time; those of other servers that speak this API are at least in order of their letters."""
    said = str(one.get("id", ""))
    return (int(said), "") if said.isascii() and said.isdecimal() and len(said) < 40 else (0, said)


def parse(raw: bytes) -> items.Item:
    """A notification, or a post of our own. Raises Rejected."""
    data = orjson.loads(raw)
    status = data.get("status") or data if isinstance(data, dict) else {}
    account, edited = status["account"], data.get("type") == "update"
    audience = UNLISTED.get(status.get("visibility"), Audience.PUBLIC)
    answers = status.get("in_reply_to_id")
    kind = (
        ItemKind.DIRECT_MESSAGE
        if status.get("visibility") == "direct"
        else ItemKind.REPLY
        if answers
        else ItemKind.MENTION
    )
    return items.from_dict(
        {
            "id": status.get("id"), "kind": str(kind), "text": markup.plain(str(status.get("content") or "")),
            "created_at": status.get("created_at"), "audience": str(audience), "in_reply_to": answers,
            "event": str(Event.EDITED if edited else Event.CREATED), "edited_at": status.get("edited_at") if edited else None,
            "permalink": status.get("url"), "lang": status.get("language"), "title": status.get("spoiler_text") or None,
            "author": {
                "id": account.get("id"), "handle": account.get("acct"), "name": account.get("display_name") or None,
                "followers": _whole(account.get("followers_count")),
            },
            "reach": {
                "likes": _whole(status.get("favourites_count")), "reposts": _whole(status.get("reblogs_count")),
                "replies": _whole(status.get("replies_count")),
            },
            "media": [
                {"url": one.get("url"), "type": one.get("type"), "alt": one.get("description")}
                for one in status.get("media_attachments") or []
            ],
        }
    )  # fmt: skip


def _whole(said: Any) -> int | None:
    """A count; some servers say -1 for what they do not tell."""
    return said if isinstance(said, int) and said >= 0 else None


# --- Out


def send(channel: Channel, message: Message) -> str:
    """Post an answer below what it answers, to the person it answers; returns its id. Raises DeliveryError."""
    private = message.audience == Audience.PRIVATE
    said = {
        "status": addressed(message),
        "in_reply_to_id": message.in_reply_to or None,
        "visibility": "direct" if private else "public",
    }
    headers = {"Idempotency-Key": message.idempotency_key or ""}
    return base.post_id(
        channel,
        base.expect(channel, base.call(channel, "POST", "/api/v1/statuses", data=said, headers=headers)),
    )


def addressed(message: Message) -> str:
    """The text with the handle of whom it answers: without it nobody there is told."""
    handle = message.interaction.identity.handle if message.interaction else ""
    named = f"@{handle.removeprefix('@')}"
    return message.text if not handle or named.lower() in message.text.lower() else f"{named} {message.text}"


def look_up(channel: Channel, key: str) -> str | None:
    """Our post of this key among the newest of ours: same parent, same words."""
    message = (
        Message.objects.select_related("interaction__identity")
        .filter(channel=channel, idempotency_key=key)
        .first()
    )
    if message is None:
        raise DeliveryError("There is no message under this key.", permanent=True)
    newest = base.call(channel, "GET", f"{_statuses(whoami(channel).external_id)}&limit={PAGE}")
    words = " ".join(addressed(message).split())
    for one in base.expect_list(channel, newest):
        same = " ".join(markup.plain(str(one.get("content") or "")).split()) == words
        if same and (one.get("in_reply_to_id") or "") == message.in_reply_to:
            return base.post_id(channel, one)
    return None
