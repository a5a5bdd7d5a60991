"""What the floor does after its own facts."""

import logging

from kombu.exceptions import OperationalError

from crm import tasks
from crm.bus import after
from crm.events import BulkPromised, ErasureAsked, ExportAsked, ImportPromised, MessageQueued

log = logging.getLogger(__name__)


@after(MessageQueued)
def send_them(facts: tuple[MessageQueued, ...]) -> None:
    """Hand replies to a worker. Without a broker they wait as rows, and the sweep finds them."""
    for fact in facts:
        try:
            tasks.deliver.delay(fact.message_id)
        except (OperationalError, OSError) as error:
            log.warning("not handed to a worker", extra={"reply": fact.message_id, "error": str(error)})
            return


@after(ImportPromised)
def go_on(facts: tuple[ImportPromised, ...]) -> None:
    """Hand an import to a worker; without a broker its rows wait for the sweep."""
    for fact in facts:
        try:
            tasks.read_in.delay(fact.import_id)
        except (OperationalError, OSError) as error:
            log.warning("not handed to a worker", extra={"import": fact.import_id, "error": str(error)})
            return


@after(ExportAsked)
def write_them(facts: tuple[ExportAsked, ...]) -> None:
    """Hand lists that were asked for to a worker; without a broker they wait for the sweep."""
    for fact in facts:
        try:
            tasks.write_out.delay(fact.export_id)
        except (OperationalError, OSError) as error:
            log.warning("not handed to a worker", extra={"export": fact.export_id, "error": str(error)})
            return


@after(ErasureAsked)
def erase_them(facts: tuple[ErasureAsked, ...]) -> None:
    """Hand erasures to a worker, all of them to one; without a broker they wait for the sweep."""
    try:
        tasks.erase.delay()
    except (OperationalError, OSError) as error:
        log.warning("not handed to a worker", extra={"erasures": len(facts), "error": str(error)})


@after(BulkPromised)
def change_them(facts: tuple[BulkPromised, ...]) -> None:
    """Hand an edit of many rows to a worker; without a broker its rows wait for the sweep."""
    for fact in facts:
        try:
            tasks.change_many.delay(fact.bulk_id)
        except (OperationalError, OSError) as error:
            log.warning("not handed to a worker", extra={"bulk": fact.bulk_id, "error": str(error)})
            return
