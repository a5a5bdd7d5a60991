"""A sender who does not give up: the HTTP door with retries, as a network or a gateway would use it."""

import http.client
import threading
import time

import orjson

from bench import load
from bench.names import SECRET, SLUG
from bench.stack import BenchError

PATIENCE = 120.0  # s until a sender gives up on one batch: then something is badly wrong


class Sender:
    """One kept connection, opened again when it breaks; counts what was acknowledged and what was tried again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.link: http.client.HTTPConnection | None = None
        self.retries = 0

    def post(self, items: list[dict]) -> dict:
        """Send until it is acknowledged; returns the receipt."""
        body = orjson.dumps({"items": items})
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                status, answer = self._once(body)
            except (OSError, http.client.HTTPException):
                self.link = None
            else:
                if status == http.client.ACCEPTED:
                    return orjson.loads(answer)
                if status < http.client.INTERNAL_SERVER_ERROR:
                    raise BenchError(f"the door refused with {status}: {answer[:200]!r}")
            self.retries += 1
            time.sleep(0.1)
        raise BenchError(f"not acknowledged within {PATIENCE:.0f} s")

    def _once(self, body: bytes) -> tuple[int, bytes]:
        if self.link is None:
            self.link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        headers = load.signed(body, SECRET) | {"Content-Type": "application/json"}
        self.link.request("POST", f"/api/v1/deliveries/{SLUG}/", body, headers)
        answer = self.link.getresponse()
        return answer.status, answer.read()


class Replay:
    """Sends batches from its own thread as far as it is allowed, and remembers which ids were acknowledged."""

    def __init__(self, port: int, batches: list[list[dict]]) -> None:
        self.sender = Sender(port)
        self.batches = batches
        self.allowed = 0
        self.sent = 0
        self.acknowledged: set[str] = set()
        self.failure: Exception | None = None
        self.stopped = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            while self.sent < len(self.batches) and not self.stopped:
                if self.sent >= self.allowed:
                    time.sleep(0.01)
                    continue
                batch = self.batches[self.sent]
                self.sender.post(batch)
                self.acknowledged.update(item["id"] for item in batch)
                self.sent += 1
        except Exception as error:  # handed to the drill, which fails with it
            self.failure = error

    def allow(self, batches: int) -> None:
        """Let the sender go so far."""
        self.allowed = batches

    def done(self) -> bool:
        if self.failure:
            raise self.failure
        return self.sent >= len(self.batches)
