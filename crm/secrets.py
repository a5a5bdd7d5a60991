"""Secrets at rest: Fernet with a key derived from SECRET_KEY; API tokens by digest only."""

import base64
import hashlib
import secrets

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import models


def _fernet() -> Fernet:
    key = hashlib.sha256(b"earshot.secrets:" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))


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
