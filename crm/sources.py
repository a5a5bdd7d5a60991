"""By which door an act came in, for the history: page, api, admin, or the house itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

HOUSE = "house"
_DOORS = (("/api/", "api"), ("/admin/", "admin"))
_source: ContextVar[str] = ContextVar("source", default=HOUSE)


def current() -> str:
    """The door of what is done now."""
    return _source.get()


@contextmanager
def through(door: str) -> Iterator[None]:
    """What is done inside came in by this door, also when the house does it later."""
    token = _source.set(door)
    try:
        yield
    finally:
        _source.reset(token)


class SourceMiddleware:
    """Remembers the door for as long as the request is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        door = next((name for prefix, name in _DOORS if request.path.startswith(prefix)), "page")
        with through(door):
            return self.get_response(request)
