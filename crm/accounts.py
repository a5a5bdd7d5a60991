"""How people get accounts: an administrator makes them; nobody signs up from outside."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedSignup(DefaultAccountAdapter):
    """allauth's adapter with the door to new accounts shut."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
