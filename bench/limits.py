"""The limit scripts beside this repository, where they are, against the same PostgreSQL and Valkey as the product."""

import argparse
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from bench.stack import ROOT, BenchError, Stack, until

SCRIPTS = Path(os.environ.get("LIM_SCRIPTS", ROOT.parent / "shared" / "limits"))
# A Python with the limits' own packages (asyncpg, scipy): the floor of P1 and P4 is then the original one.
PYTHON = os.environ.get("LIM_PYTHON", sys.executable)
DATABASE = "limits"


def present() -> bool:
    """Whether the limit scripts lie where we look for them."""
    return (SCRIPTS / "ingest.py").exists()


def environ(stack: Stack) -> dict[str, str]:
    """What points the scripts at the product's own PostgreSQL and Valkey."""
    with stack.connect() as link, suppress(psycopg.errors.DuplicateDatabase):
        link.execute(f"CREATE DATABASE {DATABASE}")
    return os.environ | {
        "LIM_PGHOST": stack.sockets,
        "LIM_PGPORT": "5432",
        "LIM_PGUSER": "earshot",
        "LIM_PGDB": DATABASE,
        "LIM_REDIS": stack.redis_url,
        "PYTHONPATH": str(ROOT),
    }


class Limit:
    """A process that has imported a script and measures it when asked; quiet between two rounds."""

    def __init__(self, stack: Stack, name: str, more: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [PYTHON, "-m", "bench.limits", name], cwd=ROOT, env=environ(stack) | more, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def measure(self, seconds: float = 3) -> dict:
        """One round of the limit."""
        self.process.stdin.write(f"{seconds:g}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(20)


@contextmanager
def limit(stack: Stack, name: str, **more: str) -> Iterator[Limit | None]:
    """A limit by name, or None with a line that says it is skipped; `more` is added to its environment."""
    if not present():
        print(f"   limit {name}: skipped, {SCRIPTS} is not there")
        yield None
        return
    one = Limit(stack, name, more)
    try:
        yield one
    finally:
        one.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def bare_server(stack: Stack) -> Iterator[tuple[int, int, str]]:
    """The bare app on its own port: (port, process id, driver)."""
    port = free_port()
    process = subprocess.Popen(
        [PYTHON, "-m", "bench.raw", "--port", str(port)],
        cwd=ROOT,
        env=environ(stack),
        stdin=subprocess.DEVNULL,
    )
    driver = "asyncpg" if has("asyncpg") else "psycopg"
    try:
        until(lambda: answers(port), 20, "the bare server answers")
        yield port, process.pid, driver
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


# --- Sockets: the scripts' own servers and their own client


APPS = {
    "raw": ("raw_app", {}, ("uvicorn", "redis")),
    "channels-pubsub": ("channels_app", {"LIM_LAYER": "pubsub"}, ("uvicorn", "channels_redis")),
}


class Served:
    """One kind of socket server of the scripts, up until it is stopped."""

    def __init__(self, stack: Stack, kind: str) -> None:
        self.kind = kind
        self.port = free_port()
        app, more, _ = APPS[kind]
        # The scripts lie where nothing may be written.
        self.environ = environ(stack) | more | {"PYTHONDONTWRITEBYTECODE": "1"}
        self.folder = SCRIPTS / "fanout"
        self.process = subprocess.Popen(
            [
                *(PYTHON, "-W", "ignore", "-m", "uvicorn", f"{app}:application", "--host", "127.0.0.1"),
                *("--port", str(self.port), "--loop", "uvloop", "--ws", "websockets", "--log-level", "error"),
            ],
            cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def measure(self, clients: int, seconds: float, rate: int) -> dict:
        """One round of the scripts' client: broadcast and targeted, closed loop and paced."""
        done = subprocess.run(
            [
                *(PYTHON, str(self.folder / "client.py"), "--kind", self.kind, "--clients", str(clients)),
                *("--port", str(self.port), "--secs", f"{seconds:g}", "--rate", str(rate)),
                *("--server-pid", str(self.process.pid)),
            ],
            cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        if done.returncode:
            raise BenchError(f"the limits' client failed on {self.kind}:\n{done.stderr[-1000:]}")
        return json.loads(done.stdout)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def fanout(stack: Stack, kinds: tuple[str, ...]) -> Iterator[list[Served]]:
    """The scripts' socket servers of these kinds; one that cannot run is left out with a line that says so."""
    servers = []
    try:
        for kind in kinds:
            if not present():
                print(f"   limit {kind}: skipped, {SCRIPTS} is not there")
            elif lacking := [name for name in APPS[kind][2] if not has(name)]:
                print(f"   limit {kind}: skipped, {', '.join(lacking)} is not installed (set LIM_PYTHON)")
            else:
                servers.append(Served(stack, kind))
                until(lambda port=servers[-1].port: answers(port), 20, f"the {kind} server answers")
        yield servers
    finally:
        for server in servers:
            server.stop()


def has(package: str) -> bool:
    """Whether the Python of the limits can import this."""
    probe = f"import importlib.util as i, sys; sys.exit(i.find_spec({package!r}) is None)"
    return subprocess.run([PYTHON, "-c", probe]).returncode == 0


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# --- Inside the limit's own process


def without_scipy() -> None:
    """The script of assignments imports the Hungarian solver; greedy does not use it."""
    try:
        __import__("scipy.optimize")
    except ImportError:
        stand_in = types.ModuleType("scipy.optimize")
        stand_in.linear_sum_assignment = None
        sys.modules |= {"scipy": types.ModuleType("scipy"), "scipy.optimize": stand_in}


def ingest(script, seconds: float) -> dict:
    rate, _, server, client = script.metered(script.batch, "unnest", 100, 2, int(seconds), "on")
    return {"per_s": rate, "cpu_us": server + client, "server_us": server, "client_us": client}


def assign(script, seconds: float) -> dict:
    got = script.batch(200, seconds, "on", "greedy")
    return {"per_s": got[0], "round_ms": got[1], "cpu_us": got[6] + got[7]}


def build_context(script) -> None:
    """The history of the script's schema, with as many customers as ours has."""
    wanted = int(os.environ["LIM_CUSTOMERS"])
    with psycopg.connect(script.DSN, autocommit=True) as link, suppress(psycopg.errors.UndefinedTable):
        if link.execute("SELECT count(*) FROM ctx.customer").fetchone() == (wanted,):
            return
    sql = (SCRIPTS / "context_schema.sql").read_text().split("VACUUM")[0]
    for written, scaled in (("1000000", wanted), ("999998", wanted - 2), ("99999", wanted // 10 - 1)):
        sql = re.sub(rf"(?<![\d,]){written}\b", str(scaled), sql)
    with psycopg.connect(script.DSN, autocommit=True) as link:
        link.execute(sql)
        for table in ("customer", "identity", "ticket", "interaction"):
            link.execute(f"VACUUM ANALYZE ctx.{table}")


def context(script, gets: float) -> dict:
    """One statement a card, for so many customers taken at random."""
    wanted = int(os.environ["LIM_CUSTOMERS"])
    dice = random.Random(7)
    with psycopg.connect(script.DSN, autocommit=True) as link:
        waits = script.run(link, script.ONE, [{"c": dice.randint(1, wanted)} for _ in range(int(gets) + 20)])[
            20:
        ]
    return {"p50_ms": script.pct(waits, 50), "p99_ms": script.pct(waits, 99)}


def search(script, gets: float) -> dict:
    """Each kind of search as one statement; milliseconds of every one, by the script's name for it."""
    wanted = int(os.environ["LIM_CUSTOMERS"])
    dice = random.Random(7)
    with psycopg.connect(script.DSN, autocommit=True) as link:
        people = link.execute(
            "SELECT c.id, c.name, c.phone, i.handle FROM ctx.customer c JOIN ctx.identity i ON i.customer_id = c.id "
            "AND i.source = 1 WHERE c.id = ANY(%s)",
            (dice.sample(range(1, wanted + 1), int(gets)),),
        ).fetchall()
        return {
            name: script.run(link, sql, [{"q": script.term(kind, one)} for one in people])
            for name, (sql, kind) in script.SEARCH.items()
            if not name.startswith(("handle contains", "phone contains"))
        }


MEASURES = {"search": search, "ingest": ingest, "assign": assign, "context": context}
SCRIPT_OF = {"search": "context"}
PREPARES = {"context": build_context, "search": build_context}  # the others have a `reset` of their own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=MEASURES)
    name = parser.parse_args().name
    sys.path.insert(0, str(SCRIPTS))
    without_scipy()
    script = __import__(SCRIPT_OF.get(name, name))
    if name in PREPARES:
        PREPARES[name](script)
    else:
        script.reset()
    for line in sys.stdin:
        print(json.dumps(MEASURES[name](script, float(line))), flush=True)


if __name__ == "__main__":
    main()
