"""Carries signed deliveries to the listeners' public door: echoes until taken, plays at their rate."""

import asyncio
import hashlib
import hmac
import json
import time
import uuid

import httpx  # noqa: TID251 — a process of its own that imports nothing of ours, crm/fetch.py neither

from socialcare.simnet.ledger import Ledger, now_text

AT_ONCE = 8  # echoes under way together
FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0  # seconds between two tries
LOOK = 0.25  # seconds between looks when nothing rings
BATCH = 100
TIMEOUT = 10.0
REFUSED = {400, 413, 422}  # the door has seen it and will never take it; it keeps it in quarantine itself


def signature(secret: str, body: bytes, at: int) -> str:
    """The header that shows who sent the body, and when."""
    code = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={code}"


def door(url: str, slug: str) -> str:
    """The public door of a listener."""
    return f"{url.rstrip('/')}/api/v1/deliveries/{slug}/"


class Courier:
    """Two kinds of loops over what the ledger says is owed."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.bell = asyncio.Event()
        self.tasks: set[asyncio.Task] = set()
        self.plays: dict[str, asyncio.Task] = {}
        self.client = httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, follow_redirects=False)

    async def start(self) -> None:
        """Take up what was owed when the process ended."""
        self._keep(self._echo_forever())
        for network in self.ledger.running_plays():
            self.start_play(network)

    async def stop(self) -> None:
        """Stop; rows stay."""
        tasks = [*self.tasks, *self.plays.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.client.aclose()

    def ring(self) -> None:
        """Something new is owed."""
        self.bell.set()

    def _keep(self, work) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # -- echoes

    async def _echo_forever(self) -> None:
        while True:
            self.bell.clear()
            due = self.ledger.due_echoes(AT_ONCE)
            if due:
                await asyncio.gather(*(self._echo(row) for row in due))
                continue
            try:
                await asyncio.wait_for(self.bell.wait(), LOOK)
            except TimeoutError:
                continue

    async def _echo(self, row) -> None:
        status, _ = await self._deliver(row, row["body"].encode())
        if status == 202:
            self.ledger.echoed(row["number"], "done", "202")
        elif status in REFUSED:
            self.ledger.echoed(row["number"], "refused", str(status))
        else:
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(row["attempts"], 10))
            self.ledger.echo_later(row["number"], wait, str(status))

    async def _deliver(self, callback, body: bytes) -> tuple[int | str, dict]:
        """Status (or the kind of failure) and the door's answer."""
        headers = {
            "Content-Type": "application/json",
            "X-Earshot-Signature": signature(callback["secret"], body, int(time.time())),
        }
        try:
            response = await self.client.post(
                door(callback["url"], callback["slug"]), content=body, headers=headers
            )
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return type(error).__name__, {}
        try:
            answer = response.json()
        except ValueError:
            answer = {}
        return response.status_code, answer if isinstance(answer, dict) else {}

    # -- plays

    def start_play(self, network: str) -> None:
        """Play what the ledger holds for a network."""
        self.plays[network] = asyncio.create_task(self._play(network))

    async def stop_play(self, network: str) -> None:
        """Stop a play and drop the rest of it."""
        if task := self.plays.pop(network, None):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.ledger.end_play(network)

    async def _play(self, network: str) -> None:
        rate = self.ledger.play(network)["rate"]
        size = max(1, min(BATCH, int(rate / 10)))  # some ten requests a second at most
        due, failures = time.monotonic(), 0
        while rows := self.ledger.play_items(network, size):
            problem = await self._play_rows(network, rows)
            if problem:
                self.ledger.play_says(network, problem)
                await asyncio.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures, 10)))
                failures, due = failures + 1, time.monotonic()
                continue
            failures = 0
            due = max(
                due + len(rows) / rate, time.monotonic() - 1
            )  # after a pause no burst of what was missed
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        self.ledger.end_play(network)

    async def _play_rows(self, network: str, rows: list) -> str:
        """Deliver some items; what stood in the way, or nothing."""
        callback = self.ledger.callback(network)
        if callback is None:
            return "no callback is registered for this network"
        items = [self._stamped(row) for row in rows]
        body = items[0] if len(items) == 1 else b'{"items": [' + b", ".join(items) + b"]}"
        status, answer = await self._deliver(callback, body)
        if status != 202 and status not in REFUSED:
            return f"the door says {status}"
        rejected = answer.get("rejected")
        counts = {
            "duplicates": answer.get("duplicates") if isinstance(answer.get("duplicates"), int) else 0,
            "rejected": len(rejected) if isinstance(rejected, list) else 0 if status == 202 else len(rows),
        }
        self.ledger.played(network, [row["number"] for row in rows], counts)
        return ""

    def _stamped(self, row) -> bytes:
        """The item with the id and the time it lacks; written down before it leaves."""
        item = json.loads(row["body"])
        if not item.get("id") or (not item.get("created_at") and item.get("event") != "deleted"):
            item["id"] = item.get("id") or f"play-{uuid.uuid4().hex[:16]}"
            item["created_at"] = item.get("created_at") or now_text()
            self.ledger.stamp(row["number"], json.dumps(item))
        return json.dumps(item).encode()
