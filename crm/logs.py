"""Structured log lines: one JSON object each, with the id of the delivery at work."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

delivery_at_work: ContextVar[int | str | None] = ContextVar("delivery_at_work", default=None)

# What every LogRecord has; whatever else a caller put in `extra` goes into the line.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


@contextmanager
def about_delivery(delivery_id: int | str) -> Iterator[None]:
    """Mark every line logged inside with this delivery."""
    token = delivery_at_work.set(delivery_id)
    try:
        yield
    finally:
        delivery_at_work.reset(token)


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; a newline in a message can forge no second line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if (delivery := delivery_at_work.get()) is not None:
            line["delivery"] = delivery
        line |= {key: value for key, value in vars(record).items() if key not in STANDARD and key not in line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
