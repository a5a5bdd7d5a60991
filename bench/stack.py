"""The product as it is run, `manage.py up` in a home of its own, seen from outside: processes, CPU, database."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
# A developer's own environment must not change what is measured.
FOREIGN = (
    "DATABASE_URL",
    "REDIS_URL",
    "PUBLIC_URL",
    "HOST",
    "PORT",
    "DEMO",
    "DEBUG",
    "EARSHOT_ROLE",
    "SIMNET_URL",
    "DJANGO_SETTINGS_MODULE",
)
UNDONE = "SELECT 1 FROM crm_delivery WHERE state IN ('queued', 'in_progress') LIMIT 1"


class BenchError(Exception):
    """The measurement cannot be made; says why."""


def until(true: Callable[[], object], seconds: float, what: str, pause: float = 0.05) -> float:
    """Wait until something is so; returns the seconds it took, raises BenchError when it never came."""
    started = time.monotonic()
    while not true():
        if time.monotonic() - started > seconds:
            raise BenchError(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)
    return time.monotonic() - started


@dataclass
class Stack:
    """A running house."""

    home: Path
    process: subprocess.Popen

    @property
    def services(self) -> dict:
        """What the launcher wrote last."""
        return json.loads((self.home / "services.json").read_text())

    @property
    def port(self) -> int:
        return self.services["port"]

    @property
    def sockets(self) -> str:
        return self.services["sockets"]

    @property
    def redis_url(self) -> str:
        return self.services["redis_url"]

    def pids(self, *kinds: str) -> list[int]:
        """Process ids by the start of their name (conveyor, web, worker, valkey, postgresql); all without a name."""
        return [
            pid
            for name, pid in self.services["pids"].items()
            if pid and (not kinds or name.startswith(kinds))
        ]

    def connect(self, database: str = "earshot") -> psycopg.Connection:
        """A connection to the embedded PostgreSQL."""
        return psycopg.connect(
            host=self.sockets, user="earshot", dbname=database, autocommit=True, connect_timeout=5
        )

    def sql(self, statement: str, params: tuple = ()) -> list[tuple]:
        """Run one statement on a connection of its own."""
        with self.connect() as link:
            done = link.execute(statement, params or None)
            return done.fetchall() if done.description else []

    def bell(self) -> redis.Redis:
        """A client of the embedded Valkey."""
        return redis.Redis.from_url(self.redis_url, socket_timeout=2)

    def environ(self) -> dict[str, str]:
        """The environment of a process that belongs to this home."""
        return clean_environ() | {"EARSHOT_HOME": str(self.home), "DJANGO_SETTINGS_MODULE": "crm.settings"}

    def lead_again(self) -> None:
        """A fresh conveyor with an empty memory: ended orderly, started again by the launcher."""
        before = self.pids("conveyor")
        for pid in before:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        until(lambda: self.pids("conveyor") != before and self.leads(), 40, "a new conveyor leads")

    def leads(self) -> bool:
        """Whether the heart of both parts of some conveyor beats."""
        with suppress(psycopg.Error):
            beating = self.sql(
                "SELECT l.name FROM routing_leader l JOIN pg_stat_activity a ON a.pid = l.backend_pid "
                "WHERE l.beat_at > now() - interval '2 s'"
            )
            return {name for (name,) in beating} == {"belt", "router"}
        return False

    def clear(self) -> None:
        """Forget all that was delivered; customers, people and settings stay. Nobody takes work afterwards."""
        self.sql(
            "UPDATE routing_agent SET chosen = 'offline', load = 0, blocked_families = '[]', missed_in_row = 0"
        )
        self.sql(
            "TRUNCATE crm_delivery, crm_awaitedchange, socialcare_mention, routing_workitem, routing_change, "
            "crm_interaction, crm_ticket, crm_threadref, crm_liveevent, crm_stream CASCADE"
        )
        self.lead_again()

    def ledger(self) -> dict[str, int]:
        """Deliveries by state, and how many items came in all."""
        row = self.sql(
            "SELECT coalesce(sum(copies), 0)::bigint, count(*) FILTER (WHERE state = 'queued'), "
            "count(*) FILTER (WHERE state = 'in_progress'), count(*) FILTER (WHERE state = 'done'), "
            "coalesce(sum(copies - 1), 0)::bigint, count(*) FILTER (WHERE state = 'quarantined') FROM crm_delivery"
        )[0]
        names = ("received", "queued", "in_progress", "done", "duplicate", "quarantined")
        return dict(zip(names, row, strict=True))

    def drained(self) -> bool:
        """Whether every delivery has come to its end."""
        return not self.sql(UNDONE)

    def drain(self, seconds: float) -> None:
        """Wait for that, on one connection: a new one for each look would cost more than much of what is measured."""
        with self.connect() as link:
            until(lambda: not link.execute(UNDONE).fetchone(), seconds, "all deliveries handled", 0.02)


def clean_environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in FOREIGN}


@contextmanager
def running(*, web: int = 1, worker: int = 1, **environ: str) -> Iterator[Stack]:
    """Start the house in a new home, hand it over, stop it and take the home away."""
    home = Path(tempfile.mkdtemp(prefix="earshot-bench-"))
    home.chmod(0o711)  # the user who runs PostgreSQL must reach its data
    given = clean_environ() | {
        "WEB_PROCESSES": str(web),
        "WORKER_PROCESSES": str(worker),
        "LOG_LEVEL": "WARNING",
        **environ,
    }
    with (home / "up.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "up", "--no-demo", "--home", str(home), "--port", "0"],
            cwd=ROOT,
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    stack = Stack(home, process)
    try:
        wait_ready(stack)
        os.environ["EARSHOT_HOME"] = str(home)
        yield stack
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        keep_logs(home)
        shutil.rmtree(home, ignore_errors=True)


def wait_ready(stack: Stack) -> None:
    def ready() -> bool:
        if stack.process.poll() is not None:
            raise BenchError(f"the house did not start:\n{(stack.home / 'up.log').read_text()[-2000:]}")
        return "ready at" in (stack.home / "up.log").read_text()

    until(ready, 120, "the house is ready")
    until(stack.leads, 60, "a conveyor leads")


def keep_logs(home: Path) -> None:
    """Where BENCH_LOGS says, for who looks for a fault."""
    if wanted := os.environ.get("BENCH_LOGS"):
        shutil.copytree(home / "logs", wanted, dirs_exist_ok=True)
        shutil.copy(home / "up.log", wanted)


# --- CPU, as the kernel counts it


def cpu_of(pid: int, with_ended_children: bool = False) -> float:
    """CPU seconds of one process; nothing when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    counted = fields[11:15] if with_ended_children else fields[11:13]
    return sum(map(int, counted)) / TICK


def children_of(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def cpu_of_server(pid: int) -> float:
    """CPU seconds of a server with all its processes, those that ended too."""
    return cpu_of(pid, with_ended_children=True) + sum(cpu_of(child) for child in children_of(pid))


def cpu_of_house(stack: Stack) -> dict[str, float]:
    """CPU seconds by kind of process: conveyor, web, worker, valkey, postgresql."""
    spent: dict[str, float] = {}
    for name, pid in stack.services["pids"].items():
        if pid:
            kind = name.rstrip("0123456789")
            spent[kind] = spent.get(kind, 0.0) + cpu_of_server(pid)
    return spent


def spent_since(stack: Stack, before: dict[str, float]) -> dict[str, float]:
    """CPU seconds by kind since an earlier reading."""
    return {kind: seconds - before.get(kind, 0.0) for kind, seconds in cpu_of_house(stack).items()}
