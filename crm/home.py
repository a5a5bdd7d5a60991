"""The home folder: who runs in it, where its services are, and which migrations its database has seen."""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from crm.processes import LaunchError

BASE = Path(__file__).resolve().parent.parent


def home_folder() -> Path:
    return Path(os.environ.get("EARSHOT_HOME", "").strip() or BASE / ".earshot").expanduser().absolute()


def prepare_home(home: Path) -> None:
    """As root the folder may be passed, not read: the user who runs PostgreSQL must reach its data."""
    try:
        home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        (home / "logs").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise LaunchError(
            f"EARSHOT_HOME={str(home)!r} is not usable: it should be a folder that this user may make and write into."
        ) from error


@contextmanager
def locked(path: Path, how: int) -> Iterator[bool]:
    """The kernel drops the lock with its holder, however that ended."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, how)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def sole_owner(home: Path, who: str, patience: float) -> Iterator[None]:
    deadline = time.monotonic() + patience
    while True:
        with locked(home / "lock", fcntl.LOCK_EX | fcntl.LOCK_NB) as mine:
            if mine:
                (home / "owner").write_text(f"{who} (process {os.getpid()})\n")
                try:
                    yield
                finally:
                    (home / "owner").unlink(missing_ok=True)
                return
        if time.monotonic() > deadline:
            raise LaunchError(
                f"it runs already in {home}: {owner_of(home)}. Stop that first, or choose another --home."
            )
        time.sleep(0.05)


def owner_of(home: Path) -> str:
    try:
        return (home / "owner").read_text().strip()
    except OSError:
        return "another Earshot"


def running_services(home: Path) -> dict:
    """What services.json says, if whoever wrote it still runs; else nothing."""
    try:
        services = json.loads((home / "services.json").read_text())
    except (OSError, ValueError):
        return {}
    with locked(home / "lock", fcntl.LOCK_SH | fcntl.LOCK_NB) as nobody_runs:
        return {} if nobody_runs else services


def write_services(home: Path, services: dict) -> None:
    draft = home / ".services.json"
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(services, indent=1) + "\n")
    draft.replace(home / "services.json")


def clear_leftovers(home: Path) -> None:
    """A launcher that was killed left its sockets; its record says where."""
    try:
        sockets = Path(json.loads((home / "services.json").read_text())["sockets"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if sockets.name.startswith("earshot-") and not sockets.is_symlink():
        shutil.rmtree(sockets, ignore_errors=True)
    (home / "services.json").unlink(missing_ok=True)


# --- Migrations: looking at the table takes milliseconds, loading Django to find nothing to do takes seconds


def own_migrations() -> list[Path]:
    return sorted(BASE.glob("*/migrations/[0-9]*.py"))


def code_stamp() -> str:
    """Changes with every migration of ours and with every package that may bring its own."""
    digest = hashlib.sha256()
    for path in [*own_migrations(), BASE / "requirements.lock"]:
        digest.update(f"{path.relative_to(BASE)}\n".encode())
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def is_migrated(home: Path, database_url: str) -> bool:
    """Whether this code migrated from this home before, and the database still says so."""
    try:
        if (home / "migrated").read_text().strip() != code_stamp():
            return False
        with psycopg.connect(database_url, connect_timeout=10) as link:
            seen = set(link.execute("SELECT app, name FROM django_migrations"))
    except (OSError, psycopg.Error):
        return False
    return all((path.parent.parent.name, path.stem) in seen for path in own_migrations())


def note_migrated(home: Path) -> None:
    (home / "migrated").write_text(code_stamp() + "\n")
