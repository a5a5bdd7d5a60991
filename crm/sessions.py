"""Sessions as rows; a key that we never gave out is not looked for."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """Django's, but a key is letters and digits: a quoted cookie may hold anything, NUL too, which no row can be asked for."""

    def _validate_session_key(self, key: str | None) -> bool:
        return bool(super()._validate_session_key(key) and key.isascii() and key.isalnum())
