"""Secrets at rest: Fernet with a key derived from SECRET_KEY; API tokens by digest only.

What was encrypted under an earlier SECRET_KEY still opens while that one stands in SECRET_KEY_FALLBACKS; `manage.py
rotate_keys` encrypts it anew, and then the earlier one is needed no more.
"""

import base64
import hashlib
import secrets
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


def derived(purpose: str, secret_key: str) -> bytes:
    """The 32 bytes that a SECRET_KEY means for one purpose."""
    return hashlib.sha256(f"earshot.{purpose}:".encode() + secret_key.encode()).digest()


@lru_cache(8)
def _fernet_of(secret_keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(derived("secrets", key))) for key in secret_keys])


def _fernet() -> MultiFernet:
    return _fernet_of((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def encrypt(text: str) -> str:
    """Encrypt a text for the database."""
    return _fernet().encrypt(text.encode()).decode() if text else ""


def decrypt(stored: str) -> str:
    """Decrypt what `encrypt` wrote; raises ValueError when the key is another one."""
    if not stored:
        return ""
    try:
        return _fernet().decrypt(stored.encode()).decode()
    except InvalidToken as error:
        raise ValueError("a stored secret does not open with this SECRET_KEY") from error


def rotate(stored: str) -> str:
    """The same secret under today's SECRET_KEY; raises ValueError when no known key opens it."""
    return encrypt(decrypt(stored))


def new_token() -> str:
    """A fresh API token with 256 random bits."""
    return "ear_" + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What of a token is kept."""
    return hashlib.sha256(token.encode()).hexdigest()


class EncryptedField(models.TextField):
    """A text that stands encrypted in the database and in clear on the instance."""

    def get_prep_value(self, value):
        return encrypt(value or "")

    def from_db_value(self, value, expression, connection):
        return decrypt(value) if value else ""
