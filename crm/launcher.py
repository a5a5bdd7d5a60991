"""`manage.py up`: starts PostgreSQL, Valkey, migrations, conveyor, web and worker in order, watches and stops them."""

import errno
import fcntl
import http.client
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from crm import embedded as parts
from crm.home import (
    BASE,
    clear_leftovers,
    home_folder,
    is_migrated,
    locked,
    note_migrated,
    owner_of,
    prepare_home,
    running_services,
    sole_owner,
    write_services,
)
from crm.processes import STOPPED, LaunchError, Service, stop_all

log = logging.getLogger(__name__)

DEMO_LOGINS = ["admin", "supervisor", "marketing", "auditor", *(f"agent{n}" for n in range(1, 9))]
COUNTERS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # see crm/counters.py
# Commands that read and write no rows.
NEED_NO_SERVICES = {
    "check",
    "makemigrations",
    "makemessages",
    "compilemessages",
    "collectstatic",
    "findstatic",
}
NEED_NO_SERVICES |= {
    "check_templates",
    "help",
    "version",
    "spectacular",
    "routerpipe",
    "staffing",
    "forecast",
    "judge",
    "match",
    "simnet",
}
FIRST_PAGE = "/accounts/login/"
WAIT_FOR_OTHERS = 60.0  # s a command waits while another one starts the services


# --- PostgreSQL and Valkey, for `up`, for one command, for tests


@dataclass
class Stores:
    """The embedded PostgreSQL and Valkey of one home; what a URL replaces stays out."""

    home: Path
    durable: bool = True
    sockets: Path | None = None
    running: list[Service] = field(default_factory=list)
    services: dict = field(default_factory=dict)

    def start(self) -> None:
        self.services = {"pid": os.getpid(), "home": str(self.home), "pids": {}}
        wanted = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
        if not wanted:
            return
        self.sockets = parts.socket_folder(parts.database_user())
        self.services["sockets"] = str(self.sockets)
        write_services(self.home, self.services)
        if "DATABASE_URL" in wanted:
            self.start_postgresql(self.sockets)
        if "REDIS_URL" in wanted:
            self.start_valkey(self.sockets)

    def start_postgresql(self, sockets: Path) -> None:
        server = parts.postgresql(self.home, sockets, self.durable)
        self.running.append(server)
        server.start()
        server.wait_ready(300)  # after a crash it first repairs its data
        self.services["database_url"] = parts.database_url(sockets)

    def start_valkey(self, sockets: Path) -> None:
        server = parts.valkey(self.home, sockets)
        self.running.append(server)
        parts.start_valkey(server, self.home)
        self.services["redis_url"] = parts.redis_url(sockets)

    def publish(self, **more: object) -> None:
        self.services |= more
        self.services["pids"] |= {service.name: service.pid for service in self.running}
        write_services(self.home, self.services)

    def stop(self) -> None:
        for service in self.running[::-1]:
            stop_all([service])
        if self.sockets:
            shutil.rmtree(self.sockets, ignore_errors=True)
        (self.home / "services.json").unlink(missing_ok=True)


@contextmanager
def embedded(home: Path, durable: bool = True) -> Iterator[dict]:
    """The services of this home for as long as the block lasts: those that run, else own ones."""
    prepare_home(home)
    deadline = time.monotonic() + WAIT_FOR_OTHERS
    while True:
        with locked(home / "users", fcntl.LOCK_SH):
            services = running_services(home)
            if services.get("complete"):
                yield services
                return
        with locked(home / "lock", fcntl.LOCK_EX | fcntl.LOCK_NB) as mine:
            if mine:
                with own_stores(home, durable) as services:
                    yield services
                return
        if time.monotonic() > deadline:
            raise LaunchError(f"{home} is in use by {owner_of(home)}, whose services did not become ready.")
        time.sleep(0.05)


@contextmanager
def own_stores(home: Path, durable: bool) -> Iterator[dict]:
    (home / "owner").write_text(f"a command (process {os.getpid()})\n")
    clear_leftovers(home)
    stores = Stores(home, durable)
    try:
        stores.start()
        stores.publish(complete=True)
        yield stores.services
    finally:
        with locked(home / "users", fcntl.LOCK_EX):  # commands that came to use them finish first
            stores.stop()
            (home / "owner").unlink(missing_ok=True)


@contextmanager
def services_for(argv: list[str]) -> Iterator[None]:
    """What a command of manage.py needs before Django reads its settings."""
    command = argv[1] if len(argv) > 1 else "help"
    if command != "up" and os.access(counted := home_folder() / "counted", os.W_OK):
        os.environ.setdefault(COUNTERS_FOLDER, str(counted))
    if command == "up":
        flags_to_environ(argv[2:])
        yield
    elif needs_services(command, argv):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))  # so that what was started is stopped
        with embedded(home_folder()):
            yield
    else:
        yield


def needs_services(command: str, argv: list[str]) -> bool:
    if command.startswith("-") or command in NEED_NO_SERVICES or {"-h", "--help"} & set(argv):
        return False
    if os.environ.get("EARSHOT_ROLE"):  # a child of the launcher
        return False
    return not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"))


def flags_to_environ(words: list[str]) -> None:
    """Settings are read before a command sees its flags, so the flags of `up` speak through the environment."""
    os.environ.setdefault("DEMO", "0" if "--no-demo" in words else "1")
    if "--no-demo" in words:
        os.environ["DEMO"] = "0"
    for flag, name in (("--port", "PORT"), ("--home", "EARSHOT_HOME")):
        for here, following in zip_longest(words, words[1:], fillvalue=""):
            if here == flag and following:
                os.environ[name] = following
            elif here.startswith(flag + "="):
                os.environ[name] = here.partition("=")[2]


# --- The whole house


@dataclass(frozen=True)
class Plan:
    """What `up` was asked for."""

    home: Path
    host: str
    port: int
    public_url: str
    web_processes: int = 2
    worker_processes: int = 1
    demo: bool = False
    demo_password: str = ""
    trusted_proxies: tuple[str, ...] = ()
    commands: frozenset[str] = frozenset()


class Stopped(Exception):
    """Somebody asked us to stop."""


class House:
    """All services of one installation on one machine."""

    def __init__(self, plan: Plan, listener: socket.socket) -> None:
        self.plan = plan
        self.listener = listener
        self.port = listener.getsockname()[1]
        self.counted = plan.home / "counted"
        self.stores = Stores(plan.home)
        self.workers: list[Service] = []
        self.environ = {
            "EARSHOT_HOME": str(plan.home),
            "HOST": plan.host,
            "PORT": str(self.port),
            "DEMO": "1" if plan.demo else "0",
            "PYTHONUNBUFFERED": "1",
            COUNTERS_FOLDER: str(self.counted),
        }

    def start(self) -> None:
        self.stores.start()
        if (own := os.environ.get("REDIS_URL")) and not parts.answers_at(own):
            note("REDIS_URL does not answer: until it does, replies wait and news comes late.", always=True)
        # Prometheus knows that counters begin again.
        shutil.rmtree(self.counted, ignore_errors=True)
        self.counted.mkdir(mode=0o700)
        if self.has_simnet:
            self.environ["SIMNET_URL"] = f"http://127.0.0.1:{kept_port(self.plan.home / 'simnet_port')}"
        self.stores.publish(port=self.port, simnet_url=self.environ.get("SIMNET_URL", ""), complete=True)
        self.migrate()
        self.seed()
        self.workers = self.planned()
        self.start_workers()

    @property
    def has_simnet(self) -> bool:
        return self.plan.demo and "simnet" in self.plan.commands

    def migrate(self) -> None:
        if own := os.environ.get("DATABASE_URL"):
            parts.check_database(own)
        url = own or self.stores.services["database_url"]
        if not is_migrated(self.plan.home, url):
            note("Bringing the database up to date…")
            self.manage("migrate", "--noinput").run_once()
            note_migrated(self.plan.home)

    def seed(self) -> None:
        """The demo centre, on the first start with the demo."""
        done = self.plan.home / "demo_seeded"
        if self.plan.demo and "seed_demo" in self.plan.commands and not done.exists():
            note("Loading the demo centre…")
            self.manage("seed_demo").run_once()
            done.touch()

    def planned(self) -> list[Service]:
        """In the order of their start: the first page alone, since on a small machine they would only slow each other."""
        services = [self.web(1)]
        if "conveyor" in self.plan.commands:
            services.append(self.manage("conveyor", role="conveyor"))
        if self.has_simnet:
            port = self.environ["SIMNET_URL"].rpartition(":")[2]
            services.append(self.manage("simnet", "--port", port, role="simnet"))
        services += [self.web(number) for number in range(2, self.plan.web_processes + 1)]
        services += [self.worker(number) for number in range(1, self.plan.worker_processes + 1)]
        return services

    def manage(self, *words: str, role: str = "command") -> Service:
        return self.service(words[0], role, [sys.executable, str(BASE / "manage.py"), *words])

    def web(self, number: int) -> Service:
        descriptor = self.listener.fileno()
        command = [sys.executable, "-m", "crm.web", "--fd", str(descriptor)]
        if self.plan.trusted_proxies:
            command += ["--trusted-proxies", ",".join(self.plan.trusted_proxies)]
        return self.service(f"web{number}", "web", command, (descriptor,))

    def worker(self, number: int) -> Service:
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "crm",
            "worker",
            "-n",
            f"worker{number}@%h",
            "--loglevel",
            "INFO",
        ]
        command += ["--pool", "threads", "--concurrency", "4", "--without-gossip", "--without-mingle"]
        service = self.service(f"worker{number}", "worker", command)
        service.environ |= {"EARSHOT_BEAT": "1" if number == 1 else "0"}
        return service

    def service(self, name: str, role: str, command: list[str], handed: tuple[int, ...] = ()) -> Service:
        return Service(
            name=name,
            command=command,
            log=self.plan.home / "logs" / f"{name}.log",
            environ=self.environ | {"EARSHOT_ROLE": role},
            folder=BASE,
            handed=handed,
            after_fall=lambda pid: forget_held(self.counted, pid),
        )

    def start_workers(self) -> None:
        """What is delivered before the conveyor works is a row, and waits for it."""
        web, *others = self.workers
        web.ready = lambda: answers_http(self.plan.host, self.port, FIRST_PAGE)
        web.start()
        web.wait_ready(60)
        for service in others:
            service.start()
        self.publish()

    def publish(self) -> None:
        pids = {service.name: service.pid for service in self.workers}
        self.stores.publish(pids=self.stores.services["pids"] | pids)

    def watch(self) -> None:
        """Start again whatever falls, until somebody stops us."""
        while True:
            if any([service.revive() for service in [*self.stores.running, *self.workers]]):
                self.publish()
            time.sleep(0.1)

    def stop(self) -> None:
        self.listener.close()
        stop_all(self.workers)
        shutil.rmtree(self.counted, ignore_errors=True)
        self.stores.stop()


def up(plan: Plan) -> None:
    """Run the whole house until SIGTERM or Ctrl-C."""
    prepare_home(plan.home)
    with sole_owner(plan.home, "manage.py up", patience=1.0):
        clear_leftovers(plan.home)
        house = House(plan, bound(plan.host, plan.port))
        try:
            with stopping_by_signal():
                house.start()
                announce(plan, house.port)
                house.watch()
        except Stopped:
            log.info("stopping")
        finally:
            house.stop()


def forget_held(counted: Path, pid: int) -> None:
    """A process fell: what it counted stays, what it held (sockets, connections) does not."""
    for file in counted.glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)


def known_commands() -> frozenset[str]:
    """The names of our own commands, found without loading Django."""
    return frozenset(path.stem for path in BASE.glob("*/management/commands/[a-z]*.py"))


@contextmanager
def stopping_by_signal() -> Iterator[None]:
    """Raise Stopped on the first signal; from then on nothing interrupts the orderly stop."""
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def stop(*_: object) -> None:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise Stopped

    for number in signals:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)


def note(line: str, always: bool = False) -> None:
    """Progress for a person who waits; silent in a pipe unless it is a warning."""
    if always or sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - what it says to the person who started it


def announce(plan: Plan, port: int, say: Callable[[str], None] | None = None) -> None:
    say = say or (lambda line: print(line, flush=True))  # noqa: T201 - what it says to the person who started it
    default = plan.public_url.endswith(":0/")
    say(f"Earshot is ready at {f'http://127.0.0.1:{port}/' if default else plan.public_url}")
    if plan.demo:
        for name in DEMO_LOGINS:
            say(f"  {name}@example.com")
        say(f"Password: {plan.demo_password}")


def bound(host: str, port: int) -> socket.socket:
    """Bound once and handed to every web process, so that one of them can fall without a refused caller."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise LaunchError(
                f"HOST={host!r} is not usable: it should be an address of this machine."
            ) from error
        raise LaunchError(
            f"{host}:{port} cannot be used ({error.strerror}): choose another with --port."
        ) from error
    listener.listen(2048)
    return listener


def kept_port(file: Path) -> int:
    """The same free port at every start: the demo's channels remember the address."""
    try:
        wanted = int(file.read_text())
    except (OSError, ValueError):
        wanted = 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file.write_text(f"{port}\n")
    return port


def answers_http(host: str, port: int, path: str = "/health/live") -> bool:
    """Whether a web process answers; a redirect to https or a refusal of the name is an answer too."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]"))  # noqa: S104 - compared, never listened on
    link = http.client.HTTPConnection(near, port, timeout=30)
    try:
        link.request("GET", path, headers={"Host": f"127.0.0.1:{port}"})
        return link.getresponse().status < http.client.INTERNAL_SERVER_ERROR
    except OSError:
        return False
    finally:
        link.close()
