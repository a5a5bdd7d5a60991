"""Child processes that die with their parent, are started again when they fall, and stop in order."""

import ctypes
import logging
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.2  # s until a fallen child is started again, doubling
LONGEST_PAUSE = 10.0  # s
STOPPED = 128 + signal.SIGTERM  # exit code of a command that was told to stop
STEADY = 5.0  # s up: it did start, so its earlier falls are forgotten and the next one is answered at once
LOG_LIMIT = 10 * 1024 * 1024  # bytes; a larger log makes room at the next start
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class LaunchError(Exception):
    """A start that cannot succeed, in words for the person who started it."""


@dataclass
class Service:
    """One child: how it starts, how one sees that it works, how it stops."""

    name: str
    command: list[str]
    log: Path
    environ: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    user: pwd.struct_passwd | None = None
    handed: tuple[int, ...] = ()
    ready: Callable[[], bool] = lambda: True
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 10.0
    death_signal: int = signal.SIGKILL
    before_start: Callable[[], None] = lambda: None
    after_fall: Callable[[int], None] = lambda pid: None
    process: subprocess.Popen | None = None
    falls: int = 0
    started_at: float = 0.0
    retry_at: float = 0.0

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Only from the main thread: the kernel ties the child to the thread that made it."""
        self.before_start()
        with open_log(self.log) as out:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env=os.environ | self.environ,
                start_new_session=True,  # Ctrl-C reaches the launcher alone, which stops all in order
                pass_fds=self.handed,
                preexec_fn=die_with(os.getpid(), self.death_signal),
                **demoted(self.user),
            )
        self.started_at = time.monotonic()
        self.retry_at = 0.0

    def wait_ready(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self.ready():
            if not self.alive:
                raise LaunchError(f"{self.name} ended at its start. The end of {self.log}:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise LaunchError(f"{self.name} did not become ready in {seconds:.0f} s; see {self.log}")
            time.sleep(0.02)

    def run_once(self) -> None:
        """Start, wait for the end, and insist on success."""
        self.start()
        if self.process and self.process.wait() != 0:
            raise LaunchError(f"{self.name} failed. The end of {self.log}:\n{tail(self.log)}")

    def revive(self) -> bool:
        """Start again what fell, after a pause that grows. True when a new process was started."""
        now = time.monotonic()
        if self.alive:
            if self.falls and now - self.started_at > STEADY:
                self.falls = 0
            return False
        if not self.retry_at:
            self.note_fall(now)
        if now < self.retry_at:
            return False
        self.start()
        return True

    def note_fall(self, now: float) -> None:
        self.sweep_group()
        if self.process:
            self.after_fall(self.process.pid)
        pause = min(FIRST_PAUSE * 2**self.falls, LONGEST_PAUSE)
        self.falls += 1
        self.retry_at = now + pause
        code = self.process.returncode if self.process else None
        log.warning(
            "%s ended, starting it again",
            self.name,
            extra={"code": code, "pause_s": pause, "falls": self.falls},
        )

    def ask_to_stop(self) -> None:
        if self.alive and self.process:
            self.process.send_signal(self.stop_signal)

    def make_sure_stopped(self) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop in %s s, killing it", self.name, self.stop_seconds)
            self.process.kill()
            self.process.wait()
        self.sweep_group()

    def sweep_group(self) -> None:
        """Whatever the child itself had started goes too."""
        if self.process:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


@contextmanager
def told_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM came: a long command asks between two pieces of work, and so finishes the one in hand."""
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGTERM, before)


def stop_all(services: Iterable[Service]) -> None:
    """Ask in reverse order, then wait for all of them."""
    backwards = list(services)[::-1]
    for service in backwards:
        service.ask_to_stop()
    for service in backwards:
        service.make_sure_stopped()


def die_with(parent: int, death_signal: int) -> Callable[[], None]:
    """Runs in the child after its change of user (which would clear the wish) and before its program."""

    def prepare() -> None:
        # The parent may block signals while it forks; a child must hear SIGTERM.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if LIBC is not None:
            LIBC.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def demoted(user: pwd.struct_passwd | None) -> dict:
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def open_log(path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".old.log"))
    return path.open("ab")


def tail(path: Path, lines: int = 15) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16_384))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
