"""A Mastodon server that we did not write (mastodon-mock), on loopback: the brand and a customer, with fixed tokens."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx

from tests.mailservers import HOST, free_port

PEOPLE = ("brand", "customer", "other")


class Mastodon:
    """A running server; `say` posts as somebody there."""

    def __init__(self, home: Path) -> None:
        config = home / "mock.toml"
        seeded = [f'[[seed.accounts]]\nusername = "{one}"\naccess_token = "{one}_token"' for one in PEOPLE]
        config.write_text("\n".join(["[seed]", *seeded]))
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        program = os.path.join(os.path.dirname(sys.executable), "mastodon_mock")
        with (home / "mastodon.log").open("wb") as log:
            self.process = subprocess.Popen(
                [program, "serve", "--in-memory", "--config", str(config), "--host", HOST, "--port", str(self.port)],
                stdout=log, stderr=log,
            )  # fmt: skip
        self.client = httpx.Client(base_url=self.url, timeout=20, trust_env=False)
        for _ in range(600):
            with suppress(httpx.HTTPError):
                if self.client.get("/api/v1/instance").status_code == 200:
                    return
            time.sleep(0.1)
        raise RuntimeError((home / "mastodon.log").read_text())

    def ask(self, who: str, method: str, path: str, **arguments) -> dict | list:
        """One request as somebody."""
        headers = {"Authorization": f"Bearer {who}_token"}
        answer = self.client.request(method, f"/api/v1{path}", headers=headers, **arguments)
        answer.raise_for_status()
        return answer.json()

    def say(self, who: str, text: str, **more) -> dict:
        """Post as somebody."""
        return self.ask(who, "POST", "/statuses", json={"status": text, **more})

    def posts(self, who: str) -> list[dict]:
        """What somebody posted, newest first."""
        me = self.ask(who, "GET", "/accounts/verify_credentials")
        return self.ask(who, "GET", f"/accounts/{me['id']}/statuses")

    def fail(self, **fault) -> None:
        """The next requests meet a fault."""
        self.client.post("/api/v1/_mock/faults", json=fault).raise_for_status()

    def recover(self) -> None:
        """No more faults."""
        self.client.delete("/api/v1/_mock/faults")

    def stop(self) -> None:
        """End it."""
        self.client.close()
        self.process.terminate()
        self.process.wait(20)
