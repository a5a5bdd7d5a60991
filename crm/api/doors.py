"""The screen pop, at every ring of a telephone, and search, at every letter typed, go through the quick doors."""

from typing import Any

from crm.api import quick
from crm.api.viewsets import found
from crm.models import ApiToken
from crm.services import context, search


def card(token: ApiToken, customer: int, _: Any) -> dict:
    """The context card."""
    return context.of_one(customer, token.user)


def find(token: ApiToken, _: int, asked: dict[str, str]) -> dict:
    """Customers, tickets and messages by what a person types."""
    return found(token.user, token, asked)


quick.register("GET", "customers/{id}/context/", ("customers:read",), card)
quick.register("GET", "search/", tuple(f"{kind}:read" for kind in search.KINDS), find, asks=True)
