"""Celery's doors: each calls one service, and can be run twice. Tasks carry ids; the rows are the promise."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from crm.models import IdempotencyKey
from crm.services import (
    audit,
    bulks,
    disclosure,
    erasures,
    exports,
    imports,
    matches,
    messages,
    polls,
    retention,
    rights,
    slas,
    streams,
    tickets,
    viewing,
)

SWEEP_SECONDS = 10
POLL_SECONDS = 5
KEY_HOURS = 48
SLICE_SECONDS = 20  # of an import, then others have their turn


@shared_task
def deliver(message_id: int) -> None:
    """Send one reply, and what waited behind it."""
    messages.deliver(message_id)


@shared_task
def sweep() -> None:
    """Find what a lost task left behind: due replies, sends whose sender is gone, replies of unknown fate."""
    for message_id in messages.due():
        # What nobody took before the next sweep is found again then: tasks must not pile up.
        deliver.apply_async((message_id,), expires=SWEEP_SECONDS)
    messages.settle()
    disclosure.expire()
    for import_id in imports.due():
        read_in.apply_async((import_id,), expires=SWEEP_SECONDS)
    if erasures.due():
        erase.apply_async(expires=SWEEP_SECONDS)
    for bulk_id in bulks.due():
        change_many.apply_async((bulk_id,), expires=SWEEP_SECONDS)
    for export_id in exports.due():
        write_out.apply_async((export_id,), expires=SWEEP_SECONDS)


@shared_task
def poll() -> None:
    """Have each channel that is due fetched, so that a slow one holds up nobody else."""
    for channel_id in polls.due():
        fetch.apply_async((channel_id,), expires=POLL_SECONDS)


@shared_task
def fetch(channel_id: int) -> None:
    """Ask one channel for what is new. Two at once ask once."""
    polls.fetch(channel_id)


@shared_task
def erase() -> None:
    """Erase the people whose erasure was promised. Two at once do each person once."""
    erasures.work()


@shared_task
def write_out(export_id: int) -> None:
    """Write a list to the file that was asked for."""
    exports.work(export_id)


@shared_task
def change_many(bulk_id: int) -> None:
    """Go on with what was promised of an edit of many rows: its rows, or its undo."""
    if not bulks.work(bulk_id, seconds=SLICE_SECONDS):
        change_many.delay(bulk_id)


@shared_task
def read_in(import_id: int) -> None:
    """Go on with what was promised of an import: its dry run, its rows, its undo."""
    if not imports.work(import_id, seconds=SLICE_SECONDS):
        read_in.delay(import_id)


@shared_task
def clocks() -> None:
    """Replay the clocks of tickets that moved, wake what slept long enough, and warn before promises are broken."""
    tickets.wake_due()
    viewing.end_over()
    slas.refresh()
    slas.watch()


@shared_task
def seal() -> None:
    """Seal the newest lines of the history."""
    audit.seal_new()


@shared_task
def merge_sure() -> None:
    """Merge new customers who are surely known already; does nothing unless the owner said from which certainty on."""
    matches.settle_new()


@shared_task
def purge() -> None:
    """What retention says is over goes: told events, and the saved answers of clients' keys."""
    streams.forget(settings.STREAM_RETENTION_HOURS)
    imports.forget_old()
    exports.forget_old()
    retention.run_active()
    bulks.forget_old()
    rights.settle()  # what built-in sets hold may have come with a new version
    IdempotencyKey.objects.filter(created_at__lt=timezone.now() - timedelta(hours=KEY_HOURS)).delete()
