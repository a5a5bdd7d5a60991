"""The open delivery format (`interface.md`, Receiving): bytes in, an `Item` or the list of what is wrong out."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson

from crm.choices import PUBLIC_KINDS, Audience, Event, ItemKind
from crm.phones import e164

_BY_NUMBER = {ItemKind.CALL, ItemKind.SMS}  # whose author is known by his number

CALL_DAY = timedelta(days=1)
MAX_ID = 255
MAX_TEXT = 200_000
MAX_NAME = 10_000
_EVENTS = set(Event.values)
_KINDS = set(ItemKind.values)
_KNOWN = {
    "id", "event", "kind", "text", "created_at", "edited_at", "permalink", "in_reply_to", "conversation", "lang",
    "title", "audience", "author", "reach", "media", "extra",
}  # fmt: skip


class Rejected(Exception):
    """The item breaks the rules; `errors` maps field to what it should be."""

    def __init__(self, errors: dict[str, str], external_id: str = ""):
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = errors
        self.external_id = external_id


@dataclass(slots=True)
class Item:
    """One thing that happened on a channel, in our words."""

    id: str
    kind: str = ""
    event: str = Event.CREATED
    text: str = ""
    title: str = ""
    created_at: datetime | None = None
    edited_at: datetime | None = None
    author_id: str = ""
    handle: str = ""
    name: str = ""
    email: str = ""
    phone: str = ""
    followers: int | None = None
    verified: bool = False
    in_reply_to: str = ""
    conversation: str = ""
    lang: str = ""
    audience: str = Audience.PUBLIC
    permalink: str = ""
    likes: int = 0
    reposts: int = 0
    replies: int = 0
    paid: bool = False
    media: list = field(default_factory=list)
    extra: dict = field(default_factory=dict)

    @property
    def automatic(self) -> str:
        """Which machine wrote it (`bounce`, `auto_reply`, `list`, `own`), or nothing: nobody waits for an answer to it."""
        said = self.extra.get("automatic")
        return said if isinstance(said, str) else ""

    @property
    def call_state(self) -> str:
        """Which event of a call this is, or nothing."""
        call = self.extra.get("call")
        return str(call.get("state", "")) if isinstance(call, dict) else ""

    def call_at(self, heard: datetime) -> datetime:
        """When that event was: what the telephone says, within a day before it was `heard`; else the item's own time."""
        said = self.extra.get("call", {}).get("at")
        try:
            at = datetime.fromisoformat(said) if isinstance(said, str) else None
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            at = self.created_at or heard
        return min(max(at, heard - CALL_DAY), heard)


class _Reader:
    """Reads typed fields of one object and collects what is wrong."""

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}

    def text(self, data: dict, name: str, limit: int, *, required: bool = False, prefix: str = "") -> str:
        value = data.get(name)
        if value is None:
            if required:
                self.errors[prefix + name] = "is required"
            return ""
        if not isinstance(value, str):
            self.errors[prefix + name] = "must be a string"
        elif "\x00" in value:
            self.errors[prefix + name] = "holds a NUL character"
        elif len(value) > limit:
            self.errors[prefix + name] = f"is longer than {limit} characters"
        elif required and limit == MAX_ID and not value.strip():
            self.errors[prefix + name] = "is empty"
        else:
            return value
        return ""

    def number(self, data: dict, name: str, prefix: str = "") -> int | None:
        value = data.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
            self.errors[prefix + name] = "must be a whole number, 0 or more"
            return None
        return value

    def flag(self, data: dict, name: str, prefix: str = "") -> bool:
        value = data.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.errors[prefix + name] = "must be true or false"
        return False

    def instant(self, data: dict, name: str, *, required: bool = False) -> datetime | None:
        value = data.get(name)
        if value is None:
            if required:
                self.errors[name] = "is required"
            return None
        try:
            moment = datetime.fromisoformat(value)
        except (ValueError, TypeError):
            self.errors[name] = "must be an ISO 8601 time"
            return None
        if moment.tzinfo is None:
            self.errors[name] = "needs an offset from UTC"
        elif not 1970 < moment.year < 2200:
            self.errors[name] = "is out of range"
        else:
            return moment
        return None

    def section(self, data: dict, name: str) -> dict:
        value = data.get(name)
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.errors[name] = "must be an object"
        return {}


def parse(raw: bytes | memoryview) -> Item:
    """Parse one item. Raises `Rejected` with all that is wrong, never anything else."""
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Rejected({"item": f"is not JSON we can keep: {error.msg}"}) from None
    if not isinstance(data, dict):
        raise Rejected({"item": "must be an object"})
    return from_dict(data)


def from_dict(data: dict[str, Any]) -> Item:
    """Make an Item of parsed JSON. Raises `Rejected`."""
    read = _Reader()
    external_id = read.text(data, "id", MAX_ID, required=True)
    event = data.get("event") or Event.CREATED
    if not isinstance(event, str) or event not in _EVENTS:
        read.errors["event"] = "must be created, edited or deleted"
    item = Item(id=external_id, event=event if isinstance(event, str) else "")
    if event == Event.DELETED:
        item.edited_at = read.instant(data, "edited_at")
    else:
        _fill(item, data, read)
    if read.errors:
        raise Rejected(read.errors, external_id)
    return item


def _fill(item: Item, data: dict, read: _Reader) -> None:
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        read.errors["kind"] = "is not one of the known kinds"
        kind = ItemKind.MENTION
    item.kind = kind
    if "text" not in data:
        read.errors["text"] = "is required"
    item.text = read.text(data, "text", MAX_TEXT)
    item.title = read.text(data, "title", MAX_NAME)
    item.created_at = read.instant(data, "created_at", required=True)
    item.edited_at = read.instant(data, "edited_at", required=item.event == Event.EDITED)
    item.in_reply_to = read.text(data, "in_reply_to", MAX_ID)
    item.conversation = read.text(data, "conversation", MAX_ID)
    item.lang = read.text(data, "lang", 35).lower().split("-")[0][:8]
    item.permalink = read.text(data, "permalink", MAX_NAME)
    _fill_author(item, read.section(data, "author"), read)
    _fill_reach(item, read.section(data, "reach"), read)
    audience = data.get("audience")
    if audience is None:
        audience = Audience.PUBLIC if kind in PUBLIC_KINDS else Audience.PRIVATE
    if audience not in (Audience.PUBLIC, Audience.PRIVATE):
        read.errors["audience"] = "must be public or private"
    # A direct message is private whatever the sender says: it must never be shown as public.
    item.audience = audience if kind in PUBLIC_KINDS else Audience.PRIVATE
    media = data.get("media")
    if media is not None and not (isinstance(media, list) and all(isinstance(one, dict) for one in media)):
        read.errors["media"] = "must be a list of objects"
        media = None
    item.media = media or []
    item.extra = dict(read.section(data, "extra"))
    item.extra.update({key: value for key, value in data.items() if key not in _KNOWN})
    # PostgreSQL's jsonb cannot hold NUL, wherever it hides.
    if (item.media or item.extra) and b"\\u0000" in orjson.dumps([item.media, item.extra]):
        read.errors["extra"] = "holds a NUL character"


def _fill_author(item: Item, author: dict, read: _Reader) -> None:
    item.author_id = read.text(author, "id", MAX_ID, required=True, prefix="author.")
    item.handle = read.text(author, "handle", MAX_NAME, prefix="author.")
    item.name = read.text(author, "name", MAX_NAME, prefix="author.")
    item.email = read.text(author, "email", 320, prefix="author.")
    said = read.text(author, "phone", 60, prefix="author.")
    item.phone = e164(said)
    if item.phone != said and not item.handle and item.kind in _BY_NUMBER:
        item.handle = said  # as it was given, beside the number
    item.followers = read.number(author, "followers", "author.")
    item.verified = read.flag(author, "verified", "author.")


def _fill_reach(item: Item, reach: dict, read: _Reader) -> None:
    item.likes = read.number(reach, "likes", "reach.") or 0
    item.reposts = read.number(reach, "reposts", "reach.") or 0
    item.replies = read.number(reach, "replies", "reach.") or 0
    item.paid = read.flag(reach, "paid", "reach.")


def fingerprint(item: Item, raw: bytes) -> str:
    """What tells two deliveries of one id apart: edits by their content, call events by theirs, the rest not at all."""
    if item.event == Event.EDITED or item.call_state:
        return sha256(_canonical(raw)).hexdigest()
    return ""


def _canonical(raw: bytes) -> bytes:
    try:
        return orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONDecodeError:  # a network that does not speak JSON
        return raw
