"""What readers of networks' own formats share: careful looks into JSON that strangers wrote, and times as networks say them."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson


def dump(piece: Any) -> bytes:
    """A piece of a body as bytes; what orjson refuses (lone surrogates) is kept escaped, and is refused when it is read."""
    try:
        return orjson.dumps(piece)
    except TypeError:
        return json.dumps(piece).encode()


def objects(value: Any) -> list[dict]:
    """The objects of what should be a list of them."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def inside(value: Any, *names: str) -> Any:
    """What stands under these names, or None."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def word(value: Any) -> str | None:
    """An id or a name: networks give ids as text or as number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def whole(value: Any) -> int | None:
    """A count."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def instant(value: Any) -> str | None:
    """A time as networks say it (seconds, milliseconds, RFC 3339, RFC 2822, `Wed Aug 29 17:12:58 +0000 2012`), in ISO 8601."""
    said = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if said.isascii() and said.isdecimal() and len(said) < 15:
        seconds = int(said) / 1000 if len(said) > 11 else int(said)
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    for read in (datetime.fromisoformat, _as_twitter, parsedate_to_datetime):
        try:
            return read(said).isoformat()
        except (ValueError, TypeError, IndexError):
            continue
    return None


def _as_twitter(said: str) -> datetime:
    return datetime.strptime(said, "%a %b %d %H:%M:%S %z %Y")
