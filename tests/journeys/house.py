"""A whole running Earshot for the browsers, who enters it, and the pages there are for each role."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a-long-demo-password"
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-sync",
]
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

# The pages of each role. A name in braces is a first row that the role can see.
PAGES = {
    "agent1": ["/desk/", "/mentions/", "/customers/", "{customer}", "/tickets/", "/tickets/?view=all", "{ticket}",
               "{interaction}", "/queues/", "/queues/billing/", "/search/?q=router", "/help/keys/", "/macros/", "/notices/",
               "/bulks/", "/handover/", "/agents/me/idle/"],
    "supervisor": ["/boards/floor/", "/boards/social/", "/mentions/", "/customers/", "{customer}", "/companies/", "{company}",
                   "/tickets/", "/mentions/?columns=network,author,text,verdict,followers,posted_at",
                   "/customers/?ordering=-last_contact", "/companies/1/restricted/", "{ticket}", "{interaction}", "/queues/",
                   "/deliveries/", "/imports/", "/exports/", "/search/?q=router", "/macros/",
                   "/macros/new/", "/notices/", "/bulks/", "/privacy/", "/merging/", "/channels/", "/simulator/"],
    "marketing": ["/mentions/", "/customers/", "{customer}", "/tickets/"],
    "auditor": ["/tickets/", "{ticket}", "{interaction}", "/customers/", "/queues/", "/boards/floor/", "/deliveries/",
                "/exports/", "/privacy/"],
    "admin": ["/channels/", "/channels/mailbox/",
              "/boards/floor/", "/privacy/", "/merging/", "/people/", "/rights/", "/rights/new/", "/deliveries/", "/imports/",
              "/exports/", "/companies/", "/admin/", "/admin/crm/channel/", "{channel}", "/queues/billing/", "/queues/new/",
              "/scoring/", "/simulator/", "/fairness/",
              "/accounts/reauthenticate/", "/admin/routing/agent/add/", "/admin/routing/queue/"],
}  # fmt: skip


class House:
    """A whole running Earshot with the demo centre."""

    def __init__(self, home: Path) -> None:
        with contextlib.closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        names = ("PATH", "LANG", "HOME")
        self.environ = {name: os.environ[name] for name in names if name in os.environ} | {
            "EARSHOT_HOME": str(home), "DEMO_PASSWORD": PASSWORD, "DEMO": "1", "PORT": str(self.port), "WEB_PROCESSES": "1",
        }  # fmt: skip
        self.log = (home / "up.log").open("wb")
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up"], cwd=ROOT, env=self.environ, stdout=self.log, stderr=self.log
        )
        deadline = time.monotonic() + 120
        while b"Password:" not in (home / "up.log").read_bytes():
            assert self.process.poll() is None, (home / "up.log").read_text()
            assert time.monotonic() < deadline, (home / "up.log").read_text()
            time.sleep(0.2)

    def token(self) -> str:
        command = [sys.executable, "manage.py", "apitoken", "admin@example.com"]
        return subprocess.run(
            command, cwd=ROOT, env=self.environ, capture_output=True, text=True, check=True
        ).stdout.strip()

    def deliver(self, token: str, **item: Any) -> dict:
        return deliver(self.url, token, "sim-x", item)

    def close(self, token: str, words: str) -> None:
        """Close the contacts in which these words stand: a journey leaves nobody waiting for the next one's agents."""
        found = call(f"{self.url}/api/v1/search/?q={quote(words)}&kinds=messages", token)
        for contact in {hit["id"] for hit in found["messages"]}:
            call(f"{self.url}/api/v1/interactions/{contact}/close/", token, {})

    def close_waiting(self, token: str) -> None:
        """Close every contact whose work waits or is offered: what journeys before this one left."""
        for state in ("waiting", "offered"):
            for item in call(f"{self.url}/api/v1/work-items/?status={state}&page_size=100", token)["results"]:
                if item["interaction"]:
                    call(f"{self.url}/api/v1/interactions/{item['interaction']}/close/", token, {})

    def simnet(self) -> str:
        return json.loads((self.home / "services.json").read_text())["simnet_url"].rstrip("/")

    def kill_web(self) -> None:
        services = json.loads((self.home / "services.json").read_text())
        os.kill(services["pids"]["web1"], signal.SIGKILL)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def call(url: str, token: str, body: dict | None = None) -> dict:
    """Ask the API; a body is posted."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return json.loads(answer.read() or b"{}")


def deliver(url: str, token: str, channel: str, item: dict) -> dict:
    """Hand one item in at the door where networks deliver."""
    body = json.dumps({"kind": "mention", "created_at": datetime.now(UTC).isoformat(), **item}).encode()
    request = urllib.request.Request(
        f"{url}/api/v1/deliveries/{channel}/", body, {"Authorization": f"Bearer {token}"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def enter(browser: Browser, url: str, who: str, **context: Any) -> Page:
    """A page of a person who has just logged in, in a browser of his own."""
    page = browser.new_context(**{"viewport": DESKTOP, **context}).new_page()
    page.goto(f"{url}/accounts/login/")
    page.fill("input[name=login]", f"{who}@example.com")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda url: "/accounts/login" not in url)
    return page


# Where each name in braces is found, and what its address looks like.
LISTED = {
    "{customer}": ("/customers/", r"/customers/\d+/"),
    "{ticket}": ("/tickets/?view=all", r"/tickets/\d+/"),
    "{interaction}": ("/search/?q=router", r"/interactions/\d+/"),
    "{company}": ("/companies/", r"/companies/\d+/"),
    "{channel}": ("/admin/crm/channel/", r"/admin/crm/channel/\d+/change/"),
}


def first_row(page: Page, url: str, name: str) -> str:
    """The address of the first such row that this person can see."""
    listed, pattern = LISTED[name]
    page.goto(url + listed)
    links = page.locator("a[href]").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    return next(link for link in links if re.fullmatch(pattern, link))


def available(page: Page) -> None:
    """Choose to be available, by the same call as the switch in the page."""
    done = page.evaluate(
        """async () => {
            const token = document.cookie.match(/csrftoken=([^;]+)/)?.[1]
                || document.querySelector('[name=csrfmiddlewaretoken]')?.value;
            const answer = await fetch('/api/v1/agents/me/presence/', {method: 'PUT', body: '{"state": "available"}',
                headers: {'Content-Type': 'application/json', 'X-CSRFToken': token}});
            return answer.status;
        }"""
    )
    assert done == 200
