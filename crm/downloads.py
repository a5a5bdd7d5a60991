"""Files of the home on their way to somebody's browser or program."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

PIECE = 256 * 1024  # bytes of a file sent at once


def file_response(path: Path, name: str, mime: str) -> StreamingHttpResponse:
    """A file, piece by piece; it is kept by no cache."""
    # Sent as it is: Django packs each piece by itself, of which browsers unpack the first.
    plain = {"Content-Encoding": "identity", "Content-Length": str(path.stat().st_size)}
    return StreamingHttpResponse(_pieces(path), content_type=mime, headers={**as_file(name), **plain})


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece


def as_file(name: str) -> dict[str, str]:
    """The headers of what is kept as a file, under a name of any letters."""
    return {
        "Content-Disposition": content_disposition_header(True, name) or "",
        "Cache-Control": "private, no-store",
    }
