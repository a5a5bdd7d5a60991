"""The limit scripts beside this repository, where they are, against the same PostgreSQL and Valkey as the product."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from bench.stack import ROOT, Stack, until

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

    def __init__(self, stack: Stack, name: str) -> None:
        self.process = subprocess.Popen(
            [PYTHON, "-m", "bench.limits", name], cwd=ROOT, env=environ(stack), text=True,
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
def limit(stack: Stack, name: str) -> Iterator[Limit | None]:
    """A limit by name, or None with a line that says it is skipped."""
    if not present():
        print(f"   limit {name}: skipped, {SCRIPTS} is not there")
        yield None
        return
    one = Limit(stack, name)
    try:
        yield one
    finally:
        one.stop()


@contextmanager
def bare_server(stack: Stack) -> Iterator[tuple[int, int, str]]:
    """The bare app on its own port: (port, process id, driver)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [PYTHON, "-m", "bench.raw", "--port", str(port)],
        cwd=ROOT,
        env=environ(stack),
        stdin=subprocess.DEVNULL,
    )
    driver = subprocess.run(
        [PYTHON, "-c", "import importlib.util as i; print('asyncpg' if i.find_spec('asyncpg') else 'psycopg')"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    try:
        until(lambda: answers(port), 20, "the bare server answers")
        yield port, process.pid, driver
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


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


MEASURES = {"ingest": ingest, "assign": assign}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=MEASURES)
    name = parser.parse_args().name
    sys.path.insert(0, str(SCRIPTS))
    without_scipy()
    script = __import__(name)
    script.reset()
    for line in sys.stdin:
        print(json.dumps(MEASURES[name](script, float(line))), flush=True)


if __name__ == "__main__":
    main()
