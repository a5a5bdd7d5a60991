"""Starts the simulated networks on the loopback."""

import socket
import sys
from pathlib import Path

import uvicorn

from socialcare.simnet.app import SimulatedNetworks
from socialcare.simnet.ledger import Ledger

DEFAULT_PORT = 8090
HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    """Says where it is once it answers."""

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        if self.started:
            port = sockets[0].getsockname()[1]
            print(f"Simulated networks are ready at http://{HOST}:{port}/", flush=True)  # noqa: T201 - what it says to the person who started it


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen(256)
    return listener


def serve(port: int, home: str) -> int:
    """Serve until SIGTERM or SIGINT; 1 when the port is taken."""
    try:
        listener = _listen(port)
    except (OSError, OverflowError) as error:
        print(f"simnet: port {port} cannot be had: {error}", file=sys.stderr)  # noqa: T201 - what it says to the person who started it
        return 1
    ledger = Ledger(Path(home) / "simnet.sqlite3")
    config = uvicorn.Config(
        SimulatedNetworks(ledger), log_level="error", access_log=False, lifespan="on",
        ws="none", timeout_graceful_shutdown=2, server_header=False,
    )  # fmt: skip
    try:
        _Server(config).run(sockets=[listener])
    finally:
        listener.close()
        ledger.close()
    return 0
