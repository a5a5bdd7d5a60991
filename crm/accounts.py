"""How people get accounts: an administrator makes them, nobody signs up from outside; and when they say their password again."""

import time
from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from crm.errors import NotAllowed


class ClosedSignup(DefaultAccountAdapter):
    """allauth's adapter with the door to new accounts shut."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


def is_fresh(request: HttpRequest) -> bool:
    """Whether who asks said his password, at the login or again, within the last ACCOUNT_REAUTHENTICATION_TIMEOUT seconds."""
    newest = max((one["at"] for one in get_authentication_records(request, request.user)), default=0.0)
    return time.time() - newest < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def ask_again(request: HttpRequest) -> None:
    """Of a page: unless the login is fresh, allauth asks for the password, and then does what was asked."""
    if not is_fresh(request):
        raise ReauthenticationRequired


def led_to_the_question(request: HttpRequest) -> HttpResponse | None:
    """Of a form that may hold a password, which is kept nowhere meanwhile: the way to the question, or None."""
    if is_fresh(request):
        return None
    return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': request.get_full_path()})}")


def require_fresh(request: Any) -> None:
    """Of REST: NotAllowed `not_by_token` for a token, whoever holds it, and `password_needed` for a login that is not fresh."""
    if request.auth is not None:
        raise NotAllowed(
            "Rights are changed by people who are logged in, not by a token.", code="not_by_token"
        )
    if not is_fresh(request):
        raise NotAllowed(
            f"Say your password again at {reverse('account_reauthenticate')}, then repeat this.",
            code="password_needed",
        )
