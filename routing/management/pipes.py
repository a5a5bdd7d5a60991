"""Lines from a pipe, whoever is at its other end."""

from collections.abc import Iterator
from typing import BinaryIO

MAX_LINE = 1_000_000
TOO_LONG = "a line that is too long"


def lines(stream: BinaryIO) -> Iterator[str]:
    """Lines of limited length, whatever bytes they hold."""
    while line := stream.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            line = TOO_LONG.encode() + b"\n"
        yield line.decode("utf-8", "replace")
