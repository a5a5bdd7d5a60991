"""Handshake, rights and life cycle of sockets. News goes down only; up come heartbeats and typing."""

from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from crm.access import Permission, may, may_somewhere, sees_everything
from crm.hub import Person, Socket, hub
from crm.models import ApiToken, Interaction, Message, User
from crm.secrets import digest
from crm.services import notices, viewing

WHO = 4401
NOT_YOURS = 4403


class StreamConsumer(AsyncWebsocketConsumer):
    """A socket on one stream or topic; what it is about is said by `admit` in the classes below."""

    scope_word = ""
    beats = False

    async def connect(self) -> None:
        headers = {name: value for name, value in self.scope["headers"]}
        bearer = headers.get(b"authorization", b"").decode("latin-1")
        origin = headers.get(b"origin")
        if bearer:
            if origin is not None:
                await self.close()  # before accept: refused in the handshake with 403
                return
        elif origin is None or not origin_is_ours(origin.decode("latin-1")):
            await self.close()
            return
        self.socket = None
        person = await hub.in_thread(identify, bearer, headers.get(b"cookie", b"").decode("latin-1"))
        await self.accept()
        if person is None:
            await self.close(code=WHO)
            return
        if person.scopes and self.scope_word not in person.scopes:
            await self.close(code=NOT_YOURS)
            return
        socket = await hub.in_thread(self.admit, person)
        if socket is None:
            await self.close(code=NOT_YOURS)
            return
        socket.beats = self.beats
        self.socket = socket
        hub.beat(socket)
        await hub.join(socket, self.after())

    def admit(self, person: Person) -> Socket | None:
        """The socket for this person, or None when it is not his to open. Runs in a thread."""
        raise NotImplementedError  # each class below says what it is about

    def make(self, person: Person, **about: Any) -> Socket:
        """A socket that writes to this connection."""
        return Socket(person=person, send=self._send_text, close=self._close_with, **about)

    async def _send_text(self, text: str) -> None:
        await self.base_send({"type": "websocket.send", "text": text})

    async def _close_with(self, code: int) -> None:
        await self.close(code=code)

    def after(self) -> int | None:
        """The number in `?after=`; anything odd counts as none."""
        given = parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get("after", [""])[0]
        return int(given) if given.isascii() and given.isdecimal() and len(given) < 19 else None

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.socket is None or text_data is None or len(text_data) > 1000:
            return
        try:
            said = orjson.loads(text_data)
        except orjson.JSONDecodeError:
            return
        if isinstance(said, dict) and said.get("type") == "heartbeat":
            hub.beat(self.socket)

    async def disconnect(self, code: int) -> None:
        if getattr(self, "socket", None) is not None:
            hub.leave(self.socket)


def origin_is_ours(origin: str) -> bool:
    """Whether a browser page of ours opens the socket: same scheme, host and port as a trusted origin."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    for trusted in settings.CSRF_TRUSTED_ORIGINS:
        ours = urlsplit(trusted)
        if (parts.scheme, parts.hostname, port) == (ours.scheme, ours.hostname, ours.port):
            return True
    # One machine has several names for itself.
    return (
        not settings.HTTPS
        and parts.hostname in ("127.0.0.1", "localhost", "::1")
        and (port or 80) == settings.PORT
    )


def identify(bearer: str, cookies: str) -> Person | None:
    """Who opens the socket: by Bearer token, else by session cookie. Runs in a thread."""
    if bearer:
        kind, _, token = bearer.partition(" ")
        return _by_token(token.strip()) if kind.lower() == "bearer" else None
    for part in cookies.split(";"):
        name, _, value = part.strip().partition("=")
        if name == settings.SESSION_COOKIE_NAME and value:
            return _by_session(value)
    return None


def _by_token(token: str) -> Person | None:
    found = ApiToken.objects.select_related("user").filter(digest=digest(token), revoked_at=None).first()
    if found is None or not found.user.is_active or (found.expires_at and found.expires_at <= timezone.now()):
        return None
    return Person(found.user, token_id=found.pk, scopes=tuple(found.scopes))


def _by_session(key: str) -> Person | None:
    store = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user_id, backend = store.get(SESSION_KEY), store.get(BACKEND_SESSION_KEY)
    if not user_id or backend not in settings.AUTHENTICATION_BACKENDS or not str(user_id).isdecimal():
        return None
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None or not constant_time_compare(
        store.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()
    ):
        return None
    looking = viewing.standing(store.get(viewing.KEY), key, user.pk)
    if looking is None:
        return Person(user, session_key=key)
    return Person(viewing.stand_in(looking), session_key=key, viewer=user, viewing=looking.pk)


class ThreadConsumer(StreamConsumer):
    """`/ws/interactions/<id>/`: what happens in one interaction, told by ids."""

    scope_word = "interactions:read"

    def admit(self, person: Person) -> Socket | None:
        pk = int(self.scope["url_route"]["kwargs"]["pk"])
        if not Interaction.objects.visible_to(person.user).filter(pk=pk).exists():
            return None
        return self.make(person, stream=f"interaction:{pk}", snapshot=lambda: thread_snapshot(pk))


def thread_snapshot(pk: int) -> dict:
    """The interaction with its last 50 messages."""
    one = Interaction.objects.select_related("channel", "ticket", "customer").get(pk=pk)
    newest = list(Message.objects.filter(interaction_id=pk).order_by("-at", "-id")[:50])
    return {
        "interaction": {
            "id": one.pk,
            "status": one.status,
            "channel": {"slug": one.channel.slug, "kind": one.channel.kind},
            "ticket": {"id": one.ticket_id, "number": one.ticket.number, "subject": one.ticket.subject},
            "customer": {"id": one.customer_id, "name": one.customer.name},
        },
        "messages": [
            {
                "id": message.pk,
                "direction": message.direction,
                "audience": message.audience,
                "state": message.state,
                "author": message.author_name,
                "text": message.text,
                "at": message.at,
            }
            for message in reversed(newest)
        ],
    }


class EventsConsumer(StreamConsumer):
    """`/ws/events/`: the feed for API clients who may see everything."""

    scope_word = "events:read"

    def admit(self, person: Person) -> Socket | None:
        if not may(person.user, Permission.READ_EVENTS) or not sees_everything(person.user):
            return None
        return self.make(person, stream="events")


class NoticesConsumer(StreamConsumer):
    """`/ws/notices/`: how many notices wait for a person, and each new one as it comes."""

    scope_word = "notices:read"

    def admit(self, person: Person) -> Socket | None:
        if not may_somewhere(person.user, Permission.READ_WORK):
            return None
        user = person.user
        return self.make(
            person, stream=notices.stream_of(user.pk), snapshot=lambda: {"unread": notices.unread(user)}
        )
