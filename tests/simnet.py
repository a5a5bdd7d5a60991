"""The simulated networks as a real process, for tests that post."""

import subprocess
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[1]


class Networks:
    """A running simnet; `url` is where it is."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-m", "socialcare.simnet", "--port", "0", "--home", str(home)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1].rstrip("/")
        self.client = httpx.Client(base_url=self.url, timeout=10, trust_env=False)

    def behave(self, network: str, mode: str, count: int | None = 1, seconds: float | None = None) -> None:
        """The next posts of a network meet a fault."""
        data = {"network": network, "mode": mode, "count": count, "seconds": seconds}
        assert self.client.post("/behaviour", json=data).status_code == 200

    def posts(self, network: str) -> list[dict]:
        """What was posted there."""
        return [post for post in self.client.get("/ledger").json()["posts"] if post["network"] == network]

    def stop(self) -> None:
        """End it."""
        self.client.close()
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()
