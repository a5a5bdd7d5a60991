"""`manage.py replay`: recorded input through the door of live deliveries."""

import argparse
import json
import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from tqdm import tqdm

from crm.errors import DomainError
from crm.processes import STOPPED, told_to_stop
from reports import recordings
from reports.services import replays

STILL_WAITING = 3  # exit code
FORMATS = """
formats (auto looks at the beginning of the file):
  conversations  JSON lines, one conversation each: {"id": "…", "turns": [{"author": "customer" or "agent",
                 "text": "…", "handle": "…", "created_at": "…"}, …], "closing": {…}}; only the texts are required
  twcs           CSV with tweet_id, author_id, inbound, created_at, text, response_tweet_id,
                 in_response_to_tweet_id; or with id and text only
  airline        CSV with row_id, airline, name, text, tweet_created, retweet_count
  items          delivery items as the door takes them: JSON lines, an array, {"items": […]}, or the lines of a
                 demo scenario

What has no id gets one from set, conversation and turn, what has no time one from its line: always the same, so
that a second replay opens nothing. What cannot be read is quarantined in sight, with its line. Agents and companies
of the recording are entered in the channel's own accounts first.

exit codes: 0 when the sum holds (accepted = tickets_opened + tickets_joined + ignored + own + reposts + updates),
1 when it does not or the file cannot be read, 3 when deliveries still waited at the time-out, 143 when stopped
"""


class Help(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the formats."""


class Command(BaseCommand):
    """Exit 0 only if the sum of outcomes holds; 3 when deliveries were still waiting at the time-out."""

    help = "Feed recorded input through the very same door as live deliveries, and count what became of it."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs) -> CommandParser:
        """With the formats below the options."""
        return super().create_parser(
            prog_name, subcommand, **kwargs | {"formatter_class": Help, "epilog": FORMATS}
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="the recording")
        parser.add_argument("--channel", required=True, metavar="SLUG", help="the channel it comes in by")
        parser.add_argument(
            "--format", default="auto", choices=["auto", *recordings.FORMATS], help="see below; default auto"
        )
        pace = parser.add_mutually_exclusive_group()
        pace.add_argument("--rate", type=_above_zero, metavar="N", help="items a second")
        pace.add_argument(
            "--speed", type=_above_zero, metavar="X", help="times as fast as it was recorded, evenly"
        )
        pace.add_argument("--max", action="store_true", help="as fast as they are taken (the default)")
        parser.add_argument("--limit", type=int, metavar="N", help="only the first N items")
        parser.add_argument(
            "--timeout", type=float, default=600.0, metavar="S", help="seconds to wait for the last item; default 600"
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")

    def handle(self, *args: object, **options) -> None:
        if not options["file"].is_file():
            raise CommandError(f"{options['file']} is not a file.")
        try:
            channel, recording = replays.read(
                options["file"], options["format"], options["limit"], options["channel"]
            )
        except (DomainError, OSError, recordings.UnknownFormatError) as error:
            raise CommandError(str(error)) from error
        for broken in recording.bad:
            self.stderr.write(f"line {broken.line} is quarantined: {broken.reason}")
        items = recording.items
        rate = options["rate"] or _rate(items, options["speed"])
        silent = not sys.stderr.isatty()
        with told_to_stop() as stopping, tqdm(total=len(items), unit=" items", disable=silent) as bar:
            try:
                figures = replays.feed(
                    channel, items, rate=rate, timeout=options["timeout"], progress=bar.update, stopping=stopping
                )  # fmt: skip
            except replays.StillWaiting as error:
                self.stderr.write(str(error))
                sys.exit(STILL_WAITING)
            except replays.Stopped as error:
                self.stderr.write(str(error))
                sys.exit(STOPPED)
        if options["json"]:
            self.stdout.write(json.dumps(figures))
        else:
            for name, value in figures.items():
                self.stdout.write(f"{name:18} {value:>12,}")
        if not replays.holds(figures):
            raise CommandError("The sum does not hold.")


def _above_zero(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("it should be above 0")
    return value


def _rate(items: list[dict], speed: float | None) -> float | None:
    """An even rate that takes as long as the recording did, divided by `speed`."""
    span = recordings.span(items)
    return len(items) * speed / span if speed and span else None
