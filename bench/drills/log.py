"""What a drill says, on the screen and in its file."""

import time
from pathlib import Path

from bench import report


class Log:
    """Lines with the seconds since the start."""

    def __init__(self, name: str, seed: int) -> None:
        report.RESULTS.mkdir(parents=True, exist_ok=True)
        self.path: Path = (
            report.RESULTS / f"drill-{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{seed}.log"
        )
        self.started = time.monotonic()

    def __enter__(self) -> "Log":
        self.file = self.path.open("w")
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def say(self, line: str) -> None:
        print(line, flush=True)
        self.note(line)

    def note(self, line: str) -> None:
        """Only into the file."""
        self.file.write(f"{time.monotonic() - self.started:8.2f} {line}\n")
        self.file.flush()
