"""Opening sockets of the application itself, as a browser or an API client would."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import orjson
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from crm import asgi, hub
from crm.models import User

OURS = (b"origin", b"http://127.0.0.1:8000")


def cookie(user: User) -> tuple[bytes, bytes]:
    """The header of a browser that is logged in."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return (b"cookie", f"sessionid={session.session_key}".encode())


@contextlib.asynccontextmanager
async def opened(path: str, headers: list) -> AsyncIterator[tuple[ApplicationCommunicator, bool, int | None]]:
    """(client, whether the handshake was accepted, the code if it was closed at once)."""
    path, _, query = path.partition("?")
    scope = {
        "type": "websocket",
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
        "subprotocols": [],
    }
    client = ApplicationCommunicator(asgi.application, scope)
    await client.send_input({"type": "websocket.connect"})
    answer = await client.receive_output(timeout=5)
    try:
        yield client, answer["type"] == "websocket.accept", answer.get("code")
    finally:
        await client.send_input({"type": "websocket.disconnect", "code": 1000})
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await client.wait(timeout=1)


async def frame(client: ApplicationCommunicator) -> dict:
    """The next frame."""
    return orjson.loads((await client.receive_output(timeout=5))["text"])


async def closing(client: ApplicationCommunicator) -> int | None:
    """The code with which it is closed next."""
    return (await client.receive_output(timeout=5)).get("code")


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Play a story in a fresh loop and end the hub's tasks with it."""

    async def whole() -> None:
        try:
            await story()
        finally:
            for task in hub.hub._tasks:
                task.cancel()
            await asyncio.gather(*hub.hub._tasks, return_exceptions=True)

    asyncio.run(whole())
