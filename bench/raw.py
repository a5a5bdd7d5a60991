"""The floor for comparison: a bare ASGI app that checks a signature, inserts one durable row and pushes to raw sockets.

The same as the limit scripts' webhook and socket servers, with psycopg where asyncpg is not installed.
"""

import argparse
import asyncio
import hmac
import os
from hashlib import sha256

import redis.asyncio
import uvicorn

try:
    import asyncpg
except ImportError:  # not in our lock; the measurement says which driver it was
    asyncpg = None
import psycopg
import psycopg_pool

SECRET = b"limit-secret"
HOST, USER, NAME = (os.environ.get(name, "") for name in ("LIM_PGHOST", "LIM_PGUSER", "LIM_PGDB"))
REDIS = os.environ.get("LIM_REDIS", "")
SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source smallint NOT NULL,
    body jsonb NOT NULL, at timestamptz NOT NULL DEFAULT now())
"""
DRIVER = "asyncpg" if asyncpg else "psycopg"
STATE: dict = {}
SOCKETS: dict[str, object] = {}


async def start() -> None:
    if asyncpg:
        STATE["pool"] = await asyncpg.create_pool(min_size=8, max_size=8, host=HOST, user=USER, database=NAME)
        await STATE["pool"].execute(SCHEMA)
    else:
        pool = psycopg_pool.AsyncConnectionPool(
            f"host={HOST} user={USER} dbname={NAME}",
            min_size=8,
            max_size=8,
            open=False,
            kwargs={"autocommit": True},
        )
        await pool.open(wait=True)
        STATE["pool"] = pool
        async with pool.connection() as link:
            await link.execute(SCHEMA)
    STATE["redis"] = redis.asyncio.Redis.from_url(REDIS)
    STATE["pump"] = asyncio.create_task(pump())


async def insert(body: bytes) -> None:
    if asyncpg:
        async with STATE["pool"].acquire() as link:
            await link.execute("INSERT INTO inbox (source, body) VALUES (1, $1::text::jsonb)", body.decode())
    else:
        async with STATE["pool"].connection() as link:
            cursor = psycopg.AsyncRawCursor(link)
            await cursor.execute(
                "INSERT INTO inbox (source, body) VALUES (1, $1::text::jsonb)", (body.decode(),), prepare=True
            )


async def pump() -> None:
    """One subscription, one dictionary of sockets: `all`, or `one` as `who|text`."""
    bell = redis.asyncio.Redis.from_url(REDIS, socket_timeout=None).pubsub()
    await bell.subscribe("all", "one")
    async for message in bell.listen():
        if message["type"] != "message":
            continue
        text = message["data"].decode()
        if message["channel"] == b"all":
            event = {"type": "websocket.send", "text": text}
            for send in list(SOCKETS.values()):
                await send(event)
        else:
            who, _, body = text.partition("|")
            if send := SOCKETS.get(who):
                await send({"type": "websocket.send", "text": body})


async def reply(send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read(receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def post(scope: dict, receive, send) -> None:
    """`/hook`: signed, one row, 200. `/chain/<who>`: the same, then a push to that socket."""
    body = await read(receive)
    given = dict(scope["headers"]).get(b"x-hub-signature-256", b"")
    wanted = b"sha256=" + hmac.new(SECRET, body, sha256).hexdigest().encode()
    if not hmac.compare_digest(given, wanted):
        await reply(send, 403, b"{}")
        return
    await insert(body)
    if scope["path"].startswith("/chain/"):
        who = scope["path"].rpartition("/")[2]
        await STATE["redis"].publish("one", f"{who}|{body.decode()}")
    await reply(send, 200, b'{"ok": true}')


async def socket(scope: dict, receive, send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    me = scope["path"].rpartition("/")[2]
    SOCKETS[me] = send
    try:
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        SOCKETS.pop(me, None)


async def application(scope: dict, receive, send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await socket(scope, receive, send)
    elif scope["path"] == "/json":
        await reply(send, 200, b'{"ok": true}')
    else:
        await post(scope, receive, send)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(
        application, host="127.0.0.1", port=parser.parse_args().port, loop="uvloop", http="httptools",
        ws="websockets", log_level="error", access_log=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
