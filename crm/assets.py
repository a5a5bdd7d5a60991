"""Static files in front of Django: read once, held compressed, sent by the loop, under an address that changes with them.

`STATIC_URL` carries a digest of all files, so what a browser holds stays true for ever, and relative addresses between
style sheets and between modules need no rewriting. `app.css` is sent with its parts in it: one request before the first paint.
"""

import asyncio
import gzip
import mimetypes
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders

FOR_EVER = b"public, max-age=31536000, immutable"
ASK_AGAIN = b"no-cache"
SMALLEST = 512  # bytes worth compressing
PREFIX = "/static/"

_VERSION = re.compile(r"[0-9a-f]{12}/")
_PART = re.compile(r'@import url\("([\w/-]+\.css)"\) (?:layer\((\w+)\)|(print));')
_TEXT = re.compile(r"text/|application/(?:javascript|json|manifest\+json)|image/svg")

Send = Callable[[dict], Awaitable[None]]
Receive = Callable[[], Awaitable[dict]]
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


@dataclass(frozen=True, slots=True)
class Held:
    """A file as it is sent."""

    kind: bytes
    tag: bytes
    plain: bytes
    packed: bytes | None


class Assets:
    """GET and HEAD of everything below `/static/`."""

    def __init__(self) -> None:
        self._places: dict[str, Path] = {}
        self._held: dict[str, Held] = {}

    def serves(self, path: str) -> bool:
        """Whether an address belongs to this door."""
        return path.startswith(PREFIX)

    async def __call__(self, scope: dict, receive: Receive, send: Send) -> None:
        status, headers, body = await self._answer(scope)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: dict) -> Answer:
        if scope["method"] not in ("GET", "HEAD"):
            return 405, [(b"allow", b"GET, HEAD")], b""
        held = await self._find(_VERSION.sub("", scope["path"].removeprefix(PREFIX), count=1))
        if held is None:
            return 404, [], b""
        asked = dict(scope["headers"])
        current = scope["path"].startswith(settings.STATIC_URL) and not settings.DEBUG
        headers = [
            (b"etag", held.tag),
            (b"cache-control", FOR_EVER if current else ASK_AGAIN),
            (b"vary", b"Accept-Encoding"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if asked.get(b"if-none-match") == held.tag:
            return 304, headers, b""
        body = held.plain
        if held.packed is not None and b"gzip" in asked.get(b"accept-encoding", b""):
            body = held.packed
            headers.append((b"content-encoding", b"gzip"))
        headers += [(b"content-type", held.kind), (b"content-length", str(len(body)).encode())]
        return 200, headers, body

    async def _find(self, name: str) -> Held | None:
        if name not in self._held or settings.DEBUG:
            found = await asyncio.to_thread(self._read, name)
            if found is None:
                return None
            self._held[name] = found
        return self._held[name]

    def _read(self, name: str) -> Held | None:
        if not self._places or settings.DEBUG:
            self._places = places()
        place = self._places.get(name)
        if place is None:
            return None
        plain = whole_sheet(place) if name == "css/app.css" else place.read_bytes()
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        packed = gzip.compress(plain, 9, mtime=0) if _TEXT.match(kind) and len(plain) >= SMALLEST else None
        charset = "; charset=utf-8" if _TEXT.match(kind) else ""
        # Weak: the same tag stands for both encodings.
        return Held(
            f"{kind}{charset}".encode(), b'W/"%s"' % sha256(plain).hexdigest()[:16].encode(), plain, packed
        )


def places() -> dict[str, Path]:
    """Every static file by its name; of two with one name the first that Django would find."""
    found: dict[str, Path] = {}
    for finder in get_finders():
        for name, storage in finder.list([]):
            found.setdefault(name.replace("\\", "/"), Path(storage.path(name)))
    return found


def whole_sheet(place: Path) -> bytes:
    """A style sheet with the sheets it imports written out in their layers; addresses in them become its own."""

    def part(found: re.Match) -> str:
        name, layer, _ = found.groups()
        text = (place.parent / name).read_text()
        if "/" in name:
            text = text.replace('url("../', 'url("')
        return f"{f'@layer {layer}' if layer else '@media print'} {{\n{text}}}"

    return _PART.sub(part, place.read_text()).encode()
