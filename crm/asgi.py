"""The one door: plain doors first, then sockets of every app, then Django's pages and REST."""

import asyncio
import os
import sys
from importlib import import_module

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

import django  # noqa: E402 - the settings are named first

django.setup(set_prefix=False)

from channels.routing import URLRouter  # noqa: E402 - Django must be set up between these imports

from crm.pages import Pages  # noqa: E402 - the same

pages = Pages()
# Sockets share the interpreter with page threads: hand the loop its turn sooner.
sys.setswitchinterval(0.0005)

intake = import_module("crm.intake").Intake()
quick = import_module("crm.api.quick")
for app in ("crm", "routing"):
    import_module(f"{app}.api.doors")
quick_doors = quick.Quick(pages)
assets = import_module("crm.assets").Assets()
hub = import_module("crm.hub").hub
sockets = URLRouter(
    [route for app in ("crm", "routing", "reports") for route in import_module(f"{app}.sockets").urlpatterns]
)


async def application(scope: dict, receive, send) -> None:
    """Send a connection to whoever serves it."""
    if scope["type"] == "websocket":
        await _socket(scope, receive, send)
    elif scope["type"] == "http":
        if intake.serves(scope["path"], scope["method"]):
            await intake(scope, receive, send)
        elif assets.serves(scope["path"]):
            await assets(scope, receive, send)
        elif found := quick.match(scope):
            await quick_doors(found, scope, receive, send)
        else:
            await pages(scope, receive, send)
    else:
        await _life(receive, send)


async def _life(receive, send) -> None:
    await receive()
    figures = asyncio.create_task(hub.note_figures())
    warming = asyncio.create_task(pages.warm())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    figures.cancel()
    warming.cancel()
    await send({"type": "lifespan.shutdown.complete"})


async def _socket(scope: dict, receive, send) -> None:
    try:
        await sockets(scope, receive, send)
    except ValueError:
        # No such socket: refused in the handshake.
        await receive()
        await send({"type": "websocket.close", "code": 4404})
