"""What every phase is given: the stack, its centre, and numbers nobody has used yet."""

import json
import random
import subprocess
import sys
from dataclasses import dataclass, field
from http.client import ACCEPTED
from itertools import count

import orjson

from bench import load
from bench.names import SECRET, SLUG
from bench.stack import ROOT, BenchError, Stack

BATCH = 1000
KNOWN = 100_000
QUICK_KNOWN = 1_000
AUTHORS = 165_000  # so that about 60 % of items come from known people, as in the limit


@dataclass
class Scene:
    """A house with its people."""

    stack: Stack
    channel: int
    agents: list[int]
    users: list[int]
    quick: bool = False
    numbers: count = field(default_factory=lambda: count(1))
    dice: random.Random = field(default_factory=lambda: random.Random(7))

    def items(self, wanted: int, duplicates: float = 0.0) -> list[dict]:
        """So many complaints, the last share of each batch a copy of an earlier one."""
        fresh = [
            load.item(f"post-{next(self.numbers)}", f"h{self.dice.randint(1, AUTHORS)}")
            for _ in range(wanted - int(wanted * duplicates))
        ]
        again = [self.dice.choice(fresh) for _ in range(wanted - len(fresh))]
        mixed = fresh + again
        self.dice.shuffle(mixed)
        return mixed

    def delivery(self, items: list[dict]) -> bytes:
        """The bytes of a signed request with these items."""
        body = orjson.dumps(items[0] if len(items) == 1 else {"items": items})
        return load.delivery(self.stack.port, SLUG, SECRET, body)

    def post(self, items: list[dict]) -> None:
        """Hand all of these in at the door, and wait until they are handled."""
        load.run(self._post(items))
        self.stack.drain(120)

    async def _post(self, items: list[dict]) -> None:
        caller = await load.connect(self.stack.port)
        for start in range(0, len(items), BATCH):
            status, answer = await caller.call(self.delivery(items[start : start + BATCH]))
            if status != ACCEPTED:
                raise BenchError(f"the door answered {status}: {answer[:200]!r}")
        if caller.transport:
            caller.transport.close()

    def available(self, agents: list[int] | None = None) -> None:
        """These agents (all without a list) take work, heard of for the next hour."""
        wanted = self.agents if agents is None else agents
        self.stack.sql(
            "WITH woken AS (UPDATE routing_agent SET chosen = 'available', silent = false, seen_on_socket = true, "
            "seen_at = now() + interval '1 hour' WHERE id = ANY(%s) RETURNING id) "
            "INSERT INTO routing_change (agent_id) SELECT id FROM woken",
            (wanted,),
        )
        self.stack.bell().publish("earshot:conveyor", "1")


def build(stack: Stack, *, agents: int, customers: int, capacity: int = 15, quick: bool = False) -> Scene:
    """Make the centre in the running house."""
    made = subprocess.run(
        [
            sys.executable, "-m", "bench.centre", "--agents", str(agents), "--customers", str(customers),
            "--capacity", str(capacity),
        ],
        cwd=ROOT, env=stack.environ(), capture_output=True, text=True,
    )  # fmt: skip
    if made.returncode:
        raise BenchError(f"the centre could not be made:\n{made.stderr[-2000:]}")
    return Scene(stack, **json.loads(made.stdout.strip().splitlines()[-1]), quick=quick)
