"""What agents' clients ask all day goes through the quick doors."""

from typing import Any

from crm.api import quick
from crm.models import ApiToken
from routing.api import viewsets


def accept(token: ApiToken, offer: int, data: Any) -> dict:
    """Take an offer."""
    return viewsets.accept(token.user, offer, data)


def complete(token: ApiToken, item: int, data: Any) -> dict:
    """Finish work with its two codes."""
    return viewsets.complete(token.user, item, data)


quick.register("POST", "offers/{id}/accept/", ("offers:write", "desk"), accept)
quick.register("POST", "work-items/{id}/complete/", ("work-items:write", "desk"), complete)
