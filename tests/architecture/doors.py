"""What doors there are, read from the application itself, and how to knock at them without a trace."""

import hmac
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256

from django.db import transaction
from django.urls import URLPattern, get_resolver
from django.views.generic.edit import ProcessFormView

from crm import asgi, intake
from crm.api.base import NotHere
from tests.architecture import access_table as table
from tests.architecture.centre import Centre

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def patterns(found=None, prefix="/") -> Iterator[tuple[str, URLPattern]]:
    """Every address of the resolver, regular expressions spelled as paths."""
    for one in get_resolver().url_patterns if found is None else found:
        here = prefix + str(one.pattern).replace("^", "").removesuffix("$")
        if isinstance(one, URLPattern):
            yield here, one
        else:
            yield from patterns(one.url_patterns, here)


def shape(path: str) -> str:
    """An address with its arguments made alike: `/customers/<int:pk>/` and `/customers/{customer}/?page_size=2` are one."""
    path = re.sub(r"/\?[a-z].*", "/", path)  # what is asked of an address is no other address
    return re.sub(r"\(\?P<[^>]+>(?:[^()\[\]]|\[[^\]]*\])+\)|<[^>]+>|\{[^}]+\}", "{}", path)


def methods_of(pattern: URLPattern) -> set[str]:
    """What a view answers to."""
    view = pattern.callback
    if actions := getattr(view, "actions", None):
        return {name.upper() for name in actions} - {"HEAD"}
    kind = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if kind is None:
        return {"GET"}
    allowed = {name.upper() for name in kind.http_method_names}
    if getattr(kind, "put", None) is ProcessFormView.put:
        allowed.discard("PUT")  # Django's forms take it for a POST
    return {name for name in METHODS if hasattr(kind, name.lower()) and name in allowed}


def doors_there_are() -> set[str]:
    """Each method at each address outside the admin."""
    return {
        f"{method} {shape(path)}"
        for path, pattern in patterns()
        if not path.startswith(table.ADMIN) and getattr(pattern.callback, "cls", None) is not NotHere
        for method in methods_of(pattern)
    }


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is written here was never written."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def admin_addresses(centre: Centre) -> list[str]:
    """Each address of the admin with an existing row's id where it takes one."""
    found = []
    for path, _ in patterns():
        if path.startswith(table.ADMIN) and "(?P<url>" not in path and "content_type_id" not in path:
            model = path.removeprefix(table.ADMIN).split("/")[1:2]
            pk = {"user": centre.own["user"], "agent": centre.own["agent"], "channel": centre.own["channel"]}
            filled = re.sub(r"\(\?P<app_label>[^)]*\)", "crm", path)
            found.append(re.sub(r"<[^>]+>", str(pk.get(model[0] if model else "", 1)), filled))
    return found


def signed(body: bytes, secret: str, at: float | None = None) -> tuple[bytes, bytes]:
    """The header with which a channel's sender signs a body."""
    stamp = str(int(time.time() if at is None else at))
    mac = hmac.new(secret.encode(), stamp.encode() + b"." + body, sha256).hexdigest()
    return (b"x-earshot-signature", f"t={stamp},v1={mac}".encode())


async def with_an_intake_of_its_own(monkeypatch, story: Callable[[], Awaitable[None]]) -> None:
    """The door's connection belongs to one loop."""
    own = intake.Intake()
    monkeypatch.setattr(asgi, "intake", own)
    try:
        await story()
    finally:
        if own._connection:
            await own._connection.close()
