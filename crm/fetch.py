"""The only outbound HTTP: time and size limits, no redirects, and no private address but a channel's own.

httpx's own engine, httpcore, is used bare: its network backend is the one place where an address can be resolved once,
checked, and then be the very address that is connected to.
"""

import ipaddress
import json
import socket
import ssl
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpcore
from django.conf import settings

LARGEST_ANSWER = 2_000_000
PORTS = {"http": 80, "https": 443}
# They carry an IPv4 address inside, which may be anybody's inner one.
TUNNELS = [ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]

# Nothing of the request can have been acted on when one of these came; after any other failure it may have been.
NEVER_SENT = (
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.UnsupportedProtocol,
)


class FetchError(Exception):
    """No usable answer. `sent`: the other side may have acted on the request. `refused`: we do not go there."""

    def __init__(self, detail: str, *, sent: bool, refused: bool = False):
        super().__init__(detail)
        self.sent = sent
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, read to its end."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON; ValueError when it is none."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deep") from error


def request(
    method: str,
    url: str,
    *,
    base_url: str = "",
    headers: dict[str, str] | None = None,
    params: dict[str, str] | None = None,
    data: Any = None,
    seconds: float | None = None,
    largest: int = LARGEST_ANSWER,
) -> Answer:
    """One request and its whole answer within `seconds`. Only host and port of `base_url` may be private."""
    target = f"{url}?{urlencode(params)}" if params else url
    host, port = _place(target)
    body = b"" if data is None else json.dumps(data).encode()
    sent = {
        "User-Agent": "Earshot",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        **(headers or {}),
    }
    if data is not None:
        sent["Content-Type"] = "application/json"
    backend = _Door((host, port) == _place(base_url) if base_url else False, seconds or settings.SEND_TIMEOUT)
    pool = httpcore.ConnectionPool(ssl_context=_ssl(), network_backend=backend, retries=0)
    try:
        with pool, pool.stream(method, target, headers=list(sent.items()), content=body) as response:
            names = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
            }
            return Answer(response.status, names, _read(response, largest))
    except NEVER_SENT as error:
        raise FetchError(f"{type(error).__name__}: {error}", sent=False) from error
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise FetchError(f"{type(error).__name__}: {error}", sent=True) from error
    except UnicodeError as error:
        raise FetchError(f"the address cannot be used: {error}", sent=False, refused=True) from error


def _place(url: str) -> tuple[str, int]:
    """Host and port of an address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise FetchError(f"the address cannot be used: {error}", sent=False, refused=True) from error
    if parts.scheme not in PORTS or not host or not url.isascii() or parts.username is not None:
        raise FetchError("the address must be http(s)://host[:port]/…", sent=False, refused=True)
    return host, port


@cache
def _ssl() -> ssl.SSLContext:
    return httpcore.default_ssl_context()


def _read(response: httpcore.Response, largest: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > largest:
            raise FetchError(f"the answer is longer than {largest} bytes", sent=True)
    return bytes(body)


def is_public(address: str) -> bool:
    """Whether an address belongs to the open internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif any(ip in tunnel for tunnel in TUNNELS):
            return False
    return ip.is_global and not ip.is_multicast


class _Door(httpcore.NetworkBackend):
    """Connects to an address that was looked at, and lets nobody take longer than the deadline."""

    def __init__(self, may_be_private: bool, seconds: float) -> None:
        self.may_be_private = may_be_private
        self.deadline = time.monotonic() + seconds
        self.plain = httpcore.SyncBackend()

    def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        """Resolve once, refuse what is not ours to reach, connect to exactly that address."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} has no address: {error}") from error
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if not self.may_be_private and not all(is_public(one) for one in addresses):
            raise FetchError(f"{host} is not a public address", sent=False, refused=True)
        return self._first(addresses, port, socket_options)

    def _first(self, addresses: list[str], port: int, options) -> "_Stream":
        for address in addresses[:-1]:
            try:
                return _Stream(self.plain.connect_tcp(address, port, self.left(), None, options), self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return _Stream(self.plain.connect_tcp(addresses[-1], port, self.left(), None, options), self)

    def connect_unix_socket(self, path, timeout=None, socket_options=None):
        """No socket of this machine is anybody's network."""
        raise FetchError("sockets of this machine are not reached", sent=False, refused=True)

    def left(self) -> float:
        """Seconds until the deadline; never zero, which would mean "do not wait" to a socket."""
        return max(self.deadline - time.monotonic(), 0.001)


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends at one deadline, so that a byte a second does not hold us."""

    def __init__(self, plain: httpcore.NetworkStream, door: _Door) -> None:
        self.plain = plain
        self.door = door

    def read(self, max_bytes, timeout=None):
        """Read until the deadline."""
        if time.monotonic() >= self.door.deadline:
            raise httpcore.ReadTimeout("the answer took too long")
        return self.plain.read(max_bytes, self.door.left())

    def write(self, buffer, timeout=None):
        """Write until the deadline."""
        self.plain.write(buffer, self.door.left())

    def start_tls(self, ssl_context, server_hostname=None, timeout=None):
        """The certificate is checked against the name, whatever address it led to."""
        return _Stream(self.plain.start_tls(ssl_context, server_hostname, self.door.left()), self.door)

    def close(self):
        """Hang up."""
        self.plain.close()

    def get_extra_info(self, info):
        """What httpcore asks of its own streams."""
        return self.plain.get_extra_info(info)
