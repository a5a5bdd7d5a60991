"""The HTTP face of the simulated networks, plain ASGI: posts, look-ups, faults, callbacks, plays."""

import asyncio
import json
import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from socialcare.simnet.courier import Courier
from socialcare.simnet.ledger import Ledger

MODES = (
    "normal", "late", "never", "lost", "twice", "error_500", "error_429", "error_401", "malformed", "reset",
)  # fmt: skip
ERRORS = {"error_500": 500, "error_429": 429, "error_401": 401}
SILENT = ("never", "lost", "reset")
AUDIENCES = ("public", "private")
NETWORK = re.compile(r"[a-z][a-z0-9-]{0,49}")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
LONGEST_TEXT = 20_000
LARGEST_BODY = 1_000_000
LARGEST_PLAY = 20_000_000
LONGEST_SILENCE = 600.0  # seconds
DEFAULT_SECONDS = {"late": 3.0, "error_429": 1.0}


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class Silence(Exception):
    """No answer: the connection is held for some seconds, then cut."""

    def __init__(self, seconds: float) -> None:
        super().__init__("silence")
        self.seconds = seconds


class Request:
    """What came, read as far as it was needed."""

    def __init__(self, scope: dict, receive: Callable) -> None:
        self.receive = receive
        self.method = scope["method"]
        self.parts = [part for part in scope["path"].split("/") if part]
        self.query = parse_qs(scope["query_string"].decode("latin-1"))
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

    def argument(self, name: str) -> str | None:
        """One value of the query string."""
        return self.query.get(name, [None])[0]

    async def json(self, largest: int = LARGEST_BODY) -> dict:
        """The body as an object; everything else is refused."""
        # A foreign page cannot send this type without asking first.
        if "json" not in self.headers.get("content-type", ""):
            raise Refused(415, "send application/json")
        body = bytearray()
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Silence(0)
            body += message.get("body", b"")
            if len(body) > largest:
                raise Refused(413, f"at most {largest} bytes")
            more = message.get("more_body", False)
        try:
            data = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, "not JSON") from error
        if not isinstance(data, dict):
            raise Refused(400, "not an object")
        return data

    async def gone(self) -> None:
        """Return when the other side has hung up."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


class SimulatedNetworks:
    """The ASGI application."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.courier: Courier | None = None

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(Request(scope, receive), send)

    async def _live(self, receive: Callable, send: Callable) -> None:
        await receive()
        self.courier = Courier(self.ledger)
        await self.courier.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.courier.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, request: Request, send: Callable) -> None:
        try:
            host = urlsplit(f"//{request.headers.get('host', '')}").hostname
        except ValueError:
            host = None
        try:
            if host not in LOOPBACK:  # another name for this address: a page that re-bound it
                raise Refused(403, "only the loopback is served")
            status, answer = await self._route(request)
        except Refused as refused:
            await _answer(send, refused.status, {"detail": refused.detail}, refused.headers)
        except Silence as silence:
            await _stay_silent(request, send, silence.seconds)
        else:
            await _answer(send, status, answer)

    async def _route(self, request: Request) -> tuple[int, dict | bytes]:
        match request.method, request.parts:
            case "GET", [] | ["ledger"]:
                return 200, self._ledger(request) if request.parts else {"modes": list(MODES)}
            case "POST", ["behaviour"]:
                return self._behave(await request.json())
            case "POST", ["callbacks"]:
                return self._listen(await request.json())
        return await self._route_network(request)

    async def _route_network(self, request: Request) -> tuple[int, dict | bytes]:
        match request.method, request.parts:
            case "POST", [network, "posts"]:
                return await self._publish(_network(network), request)
            case "GET", [network, "posts"]:
                return self._look_up(_network(network), request)
            case "GET", [network, "posts", identity]:
                return self._show(_network(network), identity, request)
            case _, [network, "play"]:
                return await self._play(_network(network), request)
        raise Refused(404, "nothing here")

    # -- posts

    async def _publish(self, network: str, request: Request) -> tuple[int, dict | bytes]:
        _ask_token(request)
        wanted = _wanted_post(await request.json())
        mode, seconds = self.ledger.next_behaviour(network)
        if mode in ERRORS:
            headers = {"Retry-After": str(max(1, round(seconds)))} if mode == "error_429" else {}
            raise Refused(ERRORS[mode], f"simulated {mode}", **headers)
        if mode == "lost":
            raise Silence(seconds or LONGEST_SILENCE)
        post, new = self.ledger.publish(network, wanted, echoes=2 if mode == "twice" else 1)
        if not new and post["text"] != wanted["text"]:
            raise Refused(422, "this idempotency key belongs to another text")
        self.courier.ring()
        if mode in SILENT:
            raise Silence(seconds or (0 if mode == "reset" else LONGEST_SILENCE))
        if seconds:
            await asyncio.sleep(seconds)
        if mode == "malformed":
            return 201, b'{"id": "' + post["id"].encode()[:6]
        return (201 if new else 200), post

    def _look_up(self, network: str, request: Request) -> tuple[int, dict]:
        _ask_token(request)
        key = request.argument("idempotency_key")
        if key is None:
            return 200, {"results": self.ledger.newest(network, 200)}
        found = self.ledger.find(network, key)
        return 200, {"results": [found] if found else []}

    def _show(self, network: str, identity: str, request: Request) -> tuple[int, dict]:
        _ask_token(request)
        if post := self.ledger.post(network, identity):
            return 200, post
        raise Refused(404, "no such post")

    def _ledger(self, request: Request) -> dict:
        network = request.argument("network")
        return self.ledger.summary(
            network if network is None else _network(network),
            _whole(request.argument("after") or "0", 0, 2**62, "after"),
            _whole(request.argument("limit") or "100000", 1, 100_000, "limit"),
        )

    # -- steering

    def _behave(self, data: dict) -> tuple[int, dict]:
        network, mode = _network(data.get("network")), data.get("mode")
        if mode not in MODES:
            raise Refused(422, f"mode is one of {', '.join(MODES)}")
        count = data.get("count")
        if count is not None:
            count = _whole(count, 0, 1_000_000, "count")
        seconds = data.get("seconds")
        if seconds is None:
            seconds = DEFAULT_SECONDS.get(mode, 0.0)
        seconds = _amount(seconds, 0, LONGEST_SILENCE, "seconds")
        self.ledger.behave(network, mode, count, seconds)
        return 200, {"network": network, "mode": mode, "count": count, "seconds": seconds}

    def _listen(self, data: dict) -> tuple[int, dict]:
        network = _network(data.get("network"))
        slug = _network(data.get("slug") or network)
        url, secret = data.get("url"), data.get("secret")
        if not isinstance(secret, str) or not 0 < len(secret) <= 500 or not _is_text(secret):
            raise Refused(422, "secret is a text of 1 to 500 signs")
        if not isinstance(url, str) or not _is_loopback(url):
            raise Refused(422, "url is the http address of a listener on the loopback")
        self.ledger.listen(network, url, slug, secret)
        self.courier.ring()
        return 200, {"network": network, "url": url, "slug": slug}

    async def _play(self, network: str, request: Request) -> tuple[int, dict]:
        if request.method == "GET":
            return 200, self._play_status(network)
        if request.method == "DELETE":
            await self.courier.stop_play(network)
            return 200, self._play_status(network)
        if request.method != "POST":
            raise Refused(405, "GET, POST or DELETE")
        data = await request.json(LARGEST_PLAY)
        items = data.get("items")
        if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
            raise Refused(422, "items is a list of deliveries")
        rate = _amount(data.get("rate", 1), 0.01, 1000, "rate")
        if not self.ledger.start_play(network, items, rate):
            raise Refused(409, "a play is under way; DELETE it first")
        self.courier.start_play(network)
        return 202, self._play_status(network)

    def _play_status(self, network: str) -> dict:
        never = {"network": network, "running": False, "total": 0, "sent": 0, "waiting": 0}
        return self.ledger.play(network) or never


# ---------------------------------------------------------------- reading and answering


def _ask_token(request: Request) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(401, "a Bearer token is needed")


def _network(name: object) -> str:
    if isinstance(name, str) and NETWORK.fullmatch(name):
        return name
    raise Refused(404, "no such network")


def _is_text(value: str) -> bool:
    """Neither NUL nor half of a surrogate pair: no network takes them."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in value


def _is_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and parts.hostname in LOOPBACK and parts.port != 0
    except ValueError:
        return False


def _whole(value: object, low: int, high: int, name: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused(422, f"{name} is a whole number from {low} to {high}")
    return value


def _amount(value: object, low: float, high: float, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise Refused(422, f"{name} is a number from {low} to {high}")
    return float(value)


def _wanted_post(data: dict) -> dict:
    """The fields of a post, checked."""
    text = data.get("text")
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT or not _is_text(text):
        raise Refused(422, f"text is a text of 1 to {LONGEST_TEXT} signs")
    post = {"text": text}
    for name in ("in_reply_to", "conversation", "idempotency_key"):
        post[name] = _optional_text(data.get(name), name)
    audience = data.get("audience") or "public"
    if audience not in AUDIENCES:
        raise Refused(422, "audience is public or private")
    post["audience"] = audience
    post["author"] = _author(data.get("author"))
    return post


def _optional_text(value: object, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and 0 < len(value) <= 500 and _is_text(value):
        return value
    raise Refused(422, f"{name} is a text of 1 to 500 signs")


def _author(author: object) -> str | dict:
    """The brand's account: a name, or an object with an id."""
    if author is None:
        return "brand"
    name = author.get("id") if isinstance(author, dict) else author
    if not isinstance(name, str) or not _optional_text(name, "author"):
        raise Refused(422, "author is a text or an object with an id")
    if isinstance(author, dict):
        names = ("id", "handle", "name")
        return {key: _optional_text(author[key], key) for key in names if author.get(key)}
    return name


async def _answer(send: Callable, status: int, answer: dict | bytes, headers: dict | None = None) -> None:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    pairs = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    pairs += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def _stay_silent(request: Request, send: Callable, seconds: float) -> None:
    """Say nothing until the other side hangs up or the time is over, then cut in the middle of an answer."""
    if seconds:
        try:
            await asyncio.wait_for(request.gone(), seconds)
        except TimeoutError:
            pass
        else:
            return
    await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"100")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})
