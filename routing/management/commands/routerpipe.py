"""The live routing engine over JSON lines: any simulator can drive it; no database, no settings of a centre."""

import json
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from django.core.management.base import BaseCommand

from routing.management.pipes import lines
from routing.pipe import BadLine, RouterPipe

ANSWERED = ("arrival", "agent_free")


def serve(said: Iterable[str], out: TextIO, err: TextIO) -> None:
    """Answer line by line; a bad line is reported, and answered with nothing where an answer is due."""
    pipe = RouterPipe()
    for number, line in enumerate(said, start=1):
        if not line.strip():
            continue
        try:
            found = pipe.answer(line)
        except BadLine as error:
            err.write(f"line {number}: {error}\n")
            err.flush()
            found = [] if _answer_is_due(line) else None
        if found is not None:
            out.write(json.dumps(found) + "\n")
            out.flush()


def _answer_is_due(line: str) -> bool:
    """Whether the sender of a bad line waits: it names an event that is answered, or cannot be read at all."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return True
    return isinstance(message, dict) and message.get("event") in ANSWERED


class Command(BaseCommand):
    help = "Drive the routing engine with JSON lines on stdin; assignments come on stdout."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            serve(lines(sys.stdin.buffer), sys.stdout, sys.stderr)
        except (BrokenPipeError, KeyboardInterrupt):
            # The simulator has gone: nothing is left to say, and nobody to say it to.
            sys.stderr.close()
