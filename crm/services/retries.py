"""A transaction that was a deadlock's victim is done again, so that no caller ever hears of it."""

from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, transaction

T = TypeVar("T")
_TRIES = 3
_RETRIED = {"40P01", "40001"}


def steadily(act: Callable[[], T]) -> T:
    """Do it, again when it was a deadlock's victim; inside somebody's transaction only once."""
    for tried in range(1, _TRIES + 1):
        try:
            return act()
        except OperationalError as error:
            state = getattr(error.__cause__, "sqlstate", "")
            if state not in _RETRIED or tried == _TRIES or transaction.get_connection().in_atomic_block:
                raise
    raise AssertionError("unreachable")
