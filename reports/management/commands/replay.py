"""`manage.py replay`: recorded input through the door of live deliveries."""

import json
import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from crm.errors import DomainError
from reports import recordings
from reports.services import replays


class Command(BaseCommand):
    """Exit 0 only if the sum of outcomes holds; 3 when deliveries were still waiting at the time-out."""

    help = "Feed recorded input through the very same door as live deliveries, and count what became of it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--channel", required=True, metavar="SLUG")
        parser.add_argument(
            "--format", default="auto", choices=["auto", "conversations", "twcs", "airline", "items"]
        )
        pace = parser.add_mutually_exclusive_group()
        pace.add_argument("--rate", type=float, help="Items a second.")
        pace.add_argument("--speed", type=float, help="Times as fast as it was recorded.")
        pace.add_argument("--max", action="store_true", help="As fast as they are taken (the default).")
        parser.add_argument("--limit", type=int)
        parser.add_argument("--timeout", type=float, default=600.0, help="Seconds to wait for the last item.")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: object, **options) -> None:
        if not options["file"].is_file():
            raise CommandError(f"{options['file']} is not a file.")
        try:
            channel, recording = replays.read(
                options["file"], options["format"], options["limit"], options["channel"]
            )
        except (DomainError, recordings.UnknownFormatError) as error:
            raise CommandError(str(error)) from error
        items = list(recording.items)
        rate = options["rate"] or _rate(items, options["speed"])
        with tqdm(total=len(items), unit="item", disable=not sys.stderr.isatty()) as bar:
            try:
                figures = replays.feed(
                    channel, items, rate=rate, timeout=options["timeout"], progress=bar.update
                )
            except replays.StillWaiting as error:
                self.stderr.write(str(error))
                sys.exit(3)
        if options["json"]:
            self.stdout.write(json.dumps(figures))
        else:
            for name, value in figures.items():
                self.stdout.write(f"{name:18} {value:>12,}")
        if not replays.holds(figures):
            raise CommandError("The sum does not hold.")


def _rate(items: list[dict], speed: float | None) -> float | None:
    """An even rate that takes as long as the recording did, divided by `speed`."""
    times = sorted(item["created_at"] for item in items if isinstance(item.get("created_at"), str))
    if not speed or len(times) < 2:
        return None
    span = recordings.seconds_between(times[0], times[-1])
    return max(len(items) / max(span / speed, 0.001), 0.001)
