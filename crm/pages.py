"""Django's pages and REST behind the one door: each request runs whole in one of a few threads, beside the loop.

Django's own ASGI handler walks from loop to thread and back at every middleware and makes a thread for each request; this
one reads the body in the loop, crosses once, and says 503 when too many wait.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from tempfile import SpooledTemporaryFile
from typing import Any

from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import connections
from django.http import HttpResponse, HttpResponseBase
from django.urls import get_resolver, set_script_prefix

WAITING = 64  # requests that may wait for a thread
LARGEST_BODY = (
    52 * 1024 * 1024
)  # bytes; more is read to its end, so that its sender hears why, and kept nowhere
BODY_SECONDS = 60  # until a slow sender is given up

Send = Callable[[dict], Awaitable[None]]
Receive = Callable[[], Awaitable[dict]]


class Pages(ASGIHandler):
    """Pages and REST of one web process. A request that has begun is finished, also when its sender has left."""

    def __init__(self) -> None:
        self.load_middleware(is_async=False)
        self._threads = ThreadPoolExecutor(settings.PAGE_THREADS, thread_name_prefix="page")
        self._inside = 0

    async def __call__(self, scope: dict, receive: Receive, send: Send) -> None:
        bounded = _Bounded(receive)
        try:
            body = await asyncio.wait_for(self.read_body(bounded), BODY_SECONDS)
        except RequestAborted:
            return
        except TimeoutError:
            await self.send_response(HttpResponse("The body did not come.", status=408), send)
            return
        if bounded.size > LARGEST_BODY:
            body.close()
            await self.send_response(HttpResponse("This is too large: at most 50 MB.", status=413), send)
            return
        if self._inside >= settings.PAGE_THREADS + WAITING:
            body.close()
            await self.send_response(_busy(), send)
            return
        self._inside += 1
        try:
            await self._answer(scope, body, send)
        finally:
            self._inside -= 1
            body.close()

    async def _answer(self, scope: dict, body: SpooledTemporaryFile, send: Send) -> None:
        response = await self._in_thread(self._serve, scope, body)
        try:
            await self.send_response(response, send)
        finally:
            if response.streaming:
                await self._in_thread(_close, response)

    async def _in_thread(self, work: Callable, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    def _serve(self, scope: dict, body: SpooledTemporaryFile) -> HttpResponseBase:
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refused = self.create_request(scope, body)
        response = refused if request is None else self.get_response(request)
        response._handler_class = self.__class__
        if response.streaming:
            # A file: it is sent by the loop and closed afterwards, but holds no connection meanwhile.
            connections.close_all()
        else:
            # Here and not after it was sent: the connection belongs to this thread.
            response.close()
        return response

    async def warm(self) -> None:
        """Load every address before somebody asks, beside the loop: it takes seconds, and would stop all sockets."""
        await self._in_thread(_load_addresses)


class _Bounded:
    """Passes a body on as far as it is believed, and counts how large it is."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.size = 0

    async def __call__(self) -> dict:
        message = await self._receive()
        self.size += len(message.get("body", b""))
        return {**message, "body": b""} if self.size > LARGEST_BODY else message


def _busy() -> HttpResponse:
    return HttpResponse("Too many requests at once; try again.", status=503, headers={"Retry-After": "2"})


def _close(response: HttpResponseBase) -> None:
    response.close()


def _load_addresses() -> None:
    get_resolver()._populate()
