"""Facebook pages, Instagram and Messenger as the Graph API's webhooks tell of them, and the Graph API's calls to answer.

https://developers.facebook.com/docs/graph-api/webhooks, /docs/messenger-platform. Handshake: `hub.challenge` is said back to who
knows the verify token (`options.verify_token`). Signature: `X-Hub-Signature-256`, HMAC-SHA256 of the raw body with the app's
secret. A body may tell of several pages: only that of this channel (`options.account`) is read, when one is named.
"""

import hmac
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import orjson

from crm.choices import Audience, Event, ItemKind
from crm.connectors import items
from crm.connectors.base import Capabilities
from crm.errors import DeliveryError
from crm.models import Channel, Message
from socialcare.networks import base
from socialcare.networks.shapes import dump, inside, instant, objects, whole, word

__all__ = ["CAN", "challenge", "is_signed", "look_up", "parse", "send", "split"]

# https://developers.facebook.com/docs/messenger-platform/policy: an answer within 24 hours of the customer's last message.
CAN = Capabilities(
    private=True, edit=True, delete=True, hide=True, like=True, reply_hours=24, pushed=True, hooked=True
)

SAID = {"feed": {"comment", "post", "status", "photo", "video", "share"}, "mention": {"comment", "post"}}
VERBS = {
    "add": Event.CREATED,
    "edited": Event.EDITED,
    "edit": Event.EDITED,
    "remove": Event.DELETED,
    "hide": Event.DELETED,
}
LOGIN, WAIT = (
    {190, 102, 10, 200},
    {4, 17, 32, 613, 1, 2},
)  # error codes: a new login is needed; later it may go


# --- The webhook's manners


def challenge(secret: str, options: dict[str, Any], asked: dict[str, str]) -> tuple[str, bytes] | None:
    """What was asked to be said back, to who knows the verify token."""
    token, wanted = str(options.get("verify_token") or ""), asked.get("hub.verify_token", "")
    agreed = bool(token) and hmac.compare_digest(token.encode(), wanted.encode("utf-8", "replace"))
    if asked.get("hub.mode") != "subscribe" or not agreed or len(asked.get("hub.challenge", "")) > 500:
        return None
    return "text/plain; charset=utf-8", asked.get("hub.challenge", "").encode("utf-8", "replace")


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """`X-Hub-Signature-256: sha256=<hex>` over the raw bytes."""
    kind, _, given = headers.get("x-hub-signature-256", "").partition("=")
    wanted = hmac.new(secret.encode(), body, sha256).hexdigest()
    return kind == "sha256" and hmac.compare_digest(wanted.encode(), given.lower().encode("utf-8", "replace"))


def split(data: Any, options: dict[str, Any]) -> list[bytes]:
    """Comments, mentions and messages; not what says that something was seen, delivered, liked or typed."""
    account, found = word(options.get("account")), []
    for entry in objects(inside(data, "entry")):
        page = word(entry.get("id"))
        if account and page != account and word(inside(data, "object")) == "page":
            continue
        about = {"object": inside(data, "object"), "page": page, "time": entry.get("time")}
        found += [about | {"change": one} for one in objects(entry.get("changes")) if _is_said(one)]
        told = objects(entry.get("messaging")) + objects(entry.get("standby"))
        found += [about | {"messaging": one} for one in told if isinstance(one.get("message"), dict)]
    return [dump(one) for one in found]


def _is_said(change: dict) -> bool:
    field, value = change.get("field"), change.get("value")
    if field in ("comments", "mentions", "live_comments"):
        return isinstance(value, dict)
    known = SAID.get(str(field), set())
    return inside(value, "item") in known and inside(value, "verb") in VERBS


# --- What was said


def parse(raw: bytes) -> items.Item:
    """One change or message. Raises Rejected."""
    data = orjson.loads(raw)
    if "messaging" in data:
        return items.from_dict(_message(data))
    value, field = data["change"]["value"], data["change"].get("field")
    return items.from_dict(
        _instagram(data, value, field)
        if field in ("comments", "mentions", "live_comments")
        else _feed(data, value)
    )


def _feed(data: dict, value: dict) -> dict:
    """A post or comment under a page's post, or a post that names the page."""
    post, own = word(value.get("post_id")), word(value.get("comment_id")) or word(value.get("post_id"))
    parent = word(value.get("parent_id")) or post
    comment = value.get("item") == "comment"
    event = VERBS[str(value.get("verb"))]
    author = word(inside(value, "from", "id")) or word(value.get("sender_id"))
    name = word(inside(value, "from", "name")) or word(value.get("sender_name"))
    return {
        "id": own, "kind": str(ItemKind.COMMENT if comment else ItemKind.MENTION), "text": _text(value.get("message")),
        "event": str(event), "created_at": instant(value.get("created_time")) or instant(data.get("time")),
        "edited_at": None if event == Event.CREATED else instant(data.get("time")),
        "in_reply_to": parent if comment and parent != own else None, "conversation": post,
        "permalink": word(inside(value, "post", "permalink_url")),
        "author": {"id": author or f"unknown:{own}", "name": name},
        "media": _pictures(value), "extra": {"page": data.get("page")},
    }  # fmt: skip


def _instagram(data: dict, value: dict, field: Any) -> dict:
    """A comment under our picture; of a mention elsewhere only its ids are told."""
    own = word(value.get("id")) or word(value.get("comment_id")) or word(value.get("media_id"))
    picture = word(inside(value, "media", "id")) or word(value.get("media_id"))
    author = word(inside(value, "from", "id"))
    kind = ItemKind.MENTION if field == "mentions" else ItemKind.COMMENT
    return {
        "id": own, "kind": str(kind), "text": _text(value.get("text")), "created_at": instant(data.get("time")),
        "in_reply_to": word(value.get("parent_id")), "conversation": picture,
        "author": {"id": author or f"unknown:{own}", "handle": word(inside(value, "from", "username"))},
        "extra": {"page": data.get("page")},
    }  # fmt: skip


def _message(data: dict) -> dict:
    """A private message; an echo is what we wrote in the network's own app."""
    told, message = data["messaging"], data["messaging"]["message"]
    ours = bool(message.get("is_echo"))
    sender, other = word(inside(told, "sender", "id")), word(inside(told, "recipient", "id"))
    return {
        "id": word(message.get("mid")), "kind": str(ItemKind.DIRECT_MESSAGE), "text": _text(message.get("text")),
        "event": str(Event.DELETED if message.get("is_deleted") else Event.CREATED), "audience": str(Audience.PRIVATE),
        "created_at": instant(told.get("timestamp")) or instant(data.get("time")),
        "in_reply_to": word(inside(message, "reply_to", "mid")),
        # One customer and one page speak in one conversation.
        "conversation": f"{data.get('object')}:{other if ours else sender}", "author": {"id": sender},
        "media": _attached(message), "extra": {"page": data.get("page")},
    }  # fmt: skip


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _pictures(value: dict) -> list[dict]:
    links = [value.get("photo"), value.get("video"), *(value.get("photos") or [])]
    return [{"url": one} for one in links if isinstance(one, str)]


def _attached(message: dict) -> list[dict]:
    found = objects(message.get("attachments"))
    return [{"url": word(inside(one, "payload", "url")), "type": word(one.get("type"))} for one in found]


# --- Answers


def send(channel: Channel, message: Message) -> str:
    """A comment below a comment, a private message, or the one private answer to a comment; its id. Raises DeliveryError."""
    identity = message.interaction.identity.value if message.interaction else ""
    parent = quote(message.in_reply_to or "", safe="")
    if message.audience == Audience.PUBLIC:
        act = "replies" if channel.kind == "instagram" else "comments"
        return base.post_id(channel, _asked(channel, f"/{parent}/{act}", {"message": message.text}))
    public = message.interaction is not None and message.interaction.audience == Audience.PUBLIC
    to = {"comment_id": message.in_reply_to} if public else {"id": identity}
    said = {"recipient": to, "messaging_type": "RESPONSE", "message": {"text": message.text}}
    answer = _asked(channel, "/me/messages", said)
    return base.post_id(channel, {"id": answer.get("message_id")})


def look_up(channel: Channel, key: str) -> str | None:
    """The Graph API keeps no key of ours: what is unclear is settled by its echo, or by a person."""
    return None


def _asked(channel: Channel, path: str, said: dict) -> dict:
    answer = base.call(channel, "POST", path, data=said)
    if 200 <= answer.status < 300:
        return base.expect(channel, answer)
    try:
        code = whole(inside(answer.json(), "error", "code"))
    except ValueError:
        code = None
    if code in WAIT:
        raise DeliveryError(
            f"{channel.name} asks us to wait (code {code}).",
            permanent=False,
            retry_after=base.retry_after(answer) or 60.0,
        )
    if code in LOGIN:
        raise DeliveryError(f"{channel.name} does not know our token any more (code {code}).", permanent=True)
    return base.expect(channel, answer)
