"""Facts that services say and apps above listen to: in the same transaction (`on`) or after commit (`after`)."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction

Handler = Callable[[tuple], None]

_within: dict[type, list[Handler]] = defaultdict(list)
_afterwards: dict[type, list[Handler]] = defaultdict(list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened, told by ids and small values, never by people's words."""


def on(kind: type[Fact]) -> Callable[[Handler], Handler]:
    """Register a handler that runs inside the publisher's transaction, once per `publish` with all facts of `kind`."""

    def register(handler: Handler) -> Handler:
        _within[kind].append(handler)
        return handler

    return register


def after(kind: type[Fact]) -> Callable[[Handler], Handler]:
    """Register a handler that runs after commit; one that fails is logged and never stops the next."""

    def register(handler: Handler) -> Handler:
        _afterwards[kind].append(handler)
        return handler

    return register


def publish(*facts: Fact) -> None:
    """Say facts; each handler is called once per type with the tuple of them. Refuses to run outside a transaction."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(
            "publish() needs a transaction: a fact exists together with its rows or not at all"
        )
    by_kind: dict[type, list[Fact]] = defaultdict(list)
    for fact in facts:
        by_kind[type(fact)].append(fact)
    for kind, group in by_kind.items():
        told = tuple(group)
        for handler in _within[kind]:
            handler(told)
        for handler in _afterwards[kind]:
            # A lambda, not functools.partial: Django's error log reads __qualname__.
            transaction.on_commit(lambda h=handler, f=told: h(f), robust=True)
