"""The screen pop is asked at every ring of a telephone: it goes through the quick doors."""

from typing import Any

from crm.api import quick
from crm.models import User
from crm.services import context


def card(user: User, customer: int, _: Any) -> dict:
    """The context card."""
    return context.of_one(customer, user)


quick.register("GET", "customers/{id}/context/", ("customers:read",), card)
