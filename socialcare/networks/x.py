"""X: the account's activity as its webhooks tell of it, posts in the form of API v2, and API v2's calls to answer.

https://docs.x.com/x-api/webhooks/introduction. Handshake: a CRC token is answered with its HMAC. Signature:
`x-twitter-webhooks-signature`, base64 of HMAC-SHA256 of the raw body, both with the app's secret. The activity still speaks of
posts as API 1.1 did; texts are escaped there (`&amp;`), and ids are read as text, being larger than numbers in JSON may be.
"""

import base64
import hmac
import html
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import orjson

from crm.choices import Audience, Event, ItemKind
from crm.connectors import items
from crm.connectors.base import Capabilities, Counting
from crm.models import Channel, Message
from socialcare.networks import base
from socialcare.networks.shapes import dump, inside, instant, objects, whole, word

__all__ = ["CAN", "challenge", "is_signed", "look_up", "parse", "send", "split"]

CAN = Capabilities(
    longest=280, counting=Counting.WEIGHTED, private=True, delete=True, hide=True, like=True, media=4, pushed=True, hooked=True,
    cost_of_send=1,
)  # fmt: skip


# --- The webhook's manners


def challenge(secret: str, options: dict[str, Any], asked: dict[str, str]) -> tuple[str, bytes] | None:
    """The challenge-response check."""
    token = asked.get("crc_token", "")
    if not secret or not token or len(token) > 500:
        return None
    return "application/json", orjson.dumps(
        {"response_token": f"sha256={_mac(secret, token.encode('utf-8', 'replace'))}"}
    )


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """`x-twitter-webhooks-signature: sha256=<base64>` over the raw bytes."""
    kind, _, given = headers.get("x-twitter-webhooks-signature", "").partition("=")
    return kind == "sha256" and hmac.compare_digest(
        _mac(secret, body).encode(), given.encode("utf-8", "replace")
    )


def _mac(secret: str, said: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), said, sha256).digest()).decode()


def split(data: Any, options: dict[str, Any]) -> list[bytes]:
    """Posts, their deletion, and direct messages; not likes, follows, typing and what was seen."""
    found: list[dict] = [{"tweet": one} for one in objects(inside(data, "tweet_create_events"))]
    found += [{"gone": one} for one in objects(inside(data, "tweet_delete_events"))]
    users = inside(data, "users") or {}
    for one in objects(inside(data, "direct_message_events")):
        if one.get("type") == "message_create":
            sender = word(inside(one, "message_create", "sender_id"))
            found.append({"dm": one, "me": inside(data, "for_user_id"), "user": inside(users, str(sender))})
    # A post of the stream of API v2, alone or in a list.
    told = inside(data, "data")
    for one in [told] if isinstance(told, dict) else objects(told):
        people = objects(inside(data, "includes", "users"))
        author = next((who for who in people if who.get("id") == one.get("author_id")), None)
        found.append({"post": one, "user": author})
    return [dump(one) for one in found]


# --- What was said


def parse(raw: bytes) -> items.Item:
    """One thing that happened. Raises Rejected."""
    data = orjson.loads(raw)
    for name, read in (("tweet", _tweet), ("post", _post), ("dm", _private), ("gone", _gone)):
        if name in data:
            return items.from_dict(read(data))
    raise items.Rejected({"item": "is no post and no message"})


def _tweet(data: dict) -> dict:
    """A post in the form of API 1.1, compatible or extended."""
    tweet, own = data["tweet"], _id(data["tweet"])
    original = inside(tweet, "retweeted_status")
    parent = word(tweet.get("in_reply_to_status_id_str")) or word(tweet.get("in_reply_to_status_id"))
    whole_text = (
        inside(tweet, "extended_tweet", "full_text") or tweet.get("full_text") or tweet.get("text") or ""
    )
    user = tweet.get("user") or {}
    kind = ItemKind.REPOST if original else ItemKind.REPLY if parent else ItemKind.MENTION
    return {
        "id": own, "kind": str(kind), "text": html.unescape(str(whole_text)), "created_at": instant(tweet.get("created_at")),
        "in_reply_to": _id(original) if original else parent, "lang": word(tweet.get("lang")),
        "permalink": f"https://x.com/i/status/{own}", "author": _person(user, "screen_name", user.get("followers_count")),
        "reach": {
            "likes": whole(tweet.get("favorite_count")), "reposts": whole(tweet.get("retweet_count")),
            "replies": whole(tweet.get("reply_count")),
        },
        "media": [
            {"url": word(one.get("media_url_https")), "type": word(one.get("type")), "alt": word(one.get("ext_alt_text"))}
            for one in objects(inside(tweet, "extended_entities", "media") or inside(tweet, "entities", "media"))
        ],
    }  # fmt: skip


def _post(data: dict) -> dict:
    """A post in the form of API v2."""
    post = data["post"]
    referred = {one.get("type"): word(one.get("id")) for one in objects(post.get("referenced_tweets"))}
    kind = (
        ItemKind.REPOST
        if "retweeted" in referred
        else ItemKind.REPLY
        if "replied_to" in referred
        else ItemKind.MENTION
    )
    counted, user = post.get("public_metrics") or {}, data.get("user") or {}
    return {
        "id": word(post.get("id")), "kind": str(kind), "text": html.unescape(str(post.get("text") or "")),
        "created_at": instant(post.get("created_at")), "lang": word(post.get("lang")),
        "in_reply_to": referred.get("retweeted") or referred.get("replied_to"), "conversation": word(post.get("conversation_id")),
        "permalink": f"https://x.com/i/status/{word(post.get('id'))}",
        "author": _person({"id": post.get("author_id"), **user}, "username", inside(user, "public_metrics", "followers_count")),
        "reach": {
            "likes": whole(counted.get("like_count")), "reposts": whole(counted.get("retweet_count")),
            "replies": whole(counted.get("reply_count")),
        },
    }  # fmt: skip


def _private(data: dict) -> dict:
    told = data["dm"]["message_create"]
    sender, to = word(told.get("sender_id")), word(inside(told, "target", "recipient_id"))
    other = to if sender == word(data.get("me")) else sender
    return {
        "id": word(data["dm"].get("id")), "kind": str(ItemKind.DIRECT_MESSAGE), "audience": str(Audience.PRIVATE),
        "text": html.unescape(str(inside(told, "message_data", "text") or "")),
        "created_at": instant(data["dm"].get("created_timestamp")), "conversation": f"dm:{other}",
        "author": _person({"id": sender, **(data.get("user") or {})}, "screen_name", inside(data, "user", "followers_count")),
    }  # fmt: skip


def _gone(data: dict) -> dict:
    return {
        "id": word(inside(data, "gone", "status", "id")), "event": str(Event.DELETED),
        "edited_at": instant(inside(data, "gone", "timestamp_ms")),
    }  # fmt: skip


def _id(tweet: Any) -> str | None:
    return word(inside(tweet, "id_str")) or word(inside(tweet, "id"))


def _person(user: dict, handle: str, followers: Any) -> dict:
    return {
        "id": _id(user), "handle": word(user.get(handle)), "name": word(user.get("name")), "followers": whole(followers),
        "verified": user.get("verified") is True,
    }  # fmt: skip


# --- Answers


def send(channel: Channel, message: Message) -> str:
    """A post below a post, or a direct message; its id. Raises DeliveryError."""
    if message.audience == Audience.PRIVATE:
        to = quote(message.interaction.identity.value if message.interaction else "", safe="")
        answer = base.call(
            channel, "POST", f"/2/dm_conversations/with/{to}/messages", data={"text": message.text}
        )
        return base.post_id(channel, {"id": inside(base.expect(channel, answer), "data", "dm_event_id")})
    said: dict[str, Any] = {"text": message.text}
    if message.in_reply_to:
        said["reply"] = {"in_reply_to_tweet_id": message.in_reply_to}
    answer = base.call(channel, "POST", "/2/tweets", data=said)
    return base.post_id(channel, {"id": inside(base.expect(channel, answer), "data", "id")})


def look_up(channel: Channel, key: str) -> str | None:
    """Among our newest posts: same parent, same words. X itself keeps no key of ours."""
    message = Message.objects.filter(channel=channel, idempotency_key=key).first()
    if message is None or message.audience == Audience.PRIVATE:
        return None
    me = word(inside(base.expect(channel, base.call(channel, "GET", "/2/users/me")), "data", "id"))
    path = f"/2/users/{quote(me or '', safe='')}/tweets?max_results=50&tweet.fields=referenced_tweets"
    for one in objects(base.expect(channel, base.call(channel, "GET", path)).get("data")):
        parents = [word(other.get("id")) for other in objects(one.get("referenced_tweets"))]
        if one.get("text") == message.text and (not message.in_reply_to or message.in_reply_to in parents):
            return base.post_id(channel, one)
    return None
