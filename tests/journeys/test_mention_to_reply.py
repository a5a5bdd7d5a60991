"""The main job in browsers: a post becomes one offer at one agent, is answered, and the supervisor sees it move."""

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
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a-long-demo-password"
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-sync",
]

pytestmark = [pytest.mark.browser, pytest.mark.slow]


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

    def deliver(self, token: str, **item: object) -> dict:
        body = json.dumps({"kind": "mention", "created_at": datetime.now(UTC).isoformat(), **item}).encode()
        request = urllib.request.Request(
            f"{self.url}/api/v1/deliveries/sim-x/", body, {"Authorization": f"Bearer {token}"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def kill_web(self) -> None:
        services = json.loads((self.home / "services.json").read_text())
        os.kill(services["pids"]["web1"], signal.SIGKILL)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


@pytest.fixture(scope="module")
def house(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("house")
    for folder in (home, *home.parents):  # the user who runs PostgreSQL must reach its data
        if folder.stat().st_uid == os.getuid() and str(folder) != "/":
            folder.chmod(folder.stat().st_mode | 0o011)
    running = House(home)
    yield running
    running.stop()


@pytest.fixture
def browser(chromium: str):
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=ARGS)
        yield opened
        opened.close()


def enter(browser, house: House, who: str) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(f"{house.url}/accounts/login/")
    page.fill("input[name=login]", f"{who}@example.com")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda url: "/accounts/login" not in url)
    return page


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


def test_a_post_reaches_one_agent_is_answered_and_the_board_moves(house, browser):
    token = house.token()
    one, two = enter(browser, house, "agent1"), enter(browser, house, "agent2")
    board = enter(browser, house, "supervisor")
    for page in (one, two):
        page.goto(f"{house.url}/desk/")
        available(page)
    board.goto(f"{house.url}/boards/floor/")
    received = re.compile(r"\d+")
    expect(board.get_by_test_id("waiting-general")).to_have_text(received, timeout=10_000)

    house.deliver(
        token, id="journey-1", text="@brand I was charged twice on my bill and nobody answers, please help!",
        author={"id": "journey-author", "handle": "calm_otter", "name": "Callum Otter", "followers": 120}, lang="en",
    )  # fmt: skip
    one_offer, two_offer = one.get_by_test_id("offer"), two.get_by_test_id("offer")
    deadline = time.monotonic() + 15
    while one_offer.count() + two_offer.count() == 0 and time.monotonic() < deadline:
        one.wait_for_timeout(50)
    assert one_offer.count() + two_offer.count() == 1, "offered to exactly one"
    agent = one if one_offer.count() else two
    expect(agent.get_by_test_id("offer")).to_contain_text("charged twice")

    agent.keyboard.press("a")
    expect(agent.get_by_test_id("message").first).to_contain_text("charged twice", timeout=10_000)
    expect(agent.locator("body")).to_contain_text("Callum Otter")
    expect(board.locator("body")).to_contain_text("1 in work", timeout=10_000)

    agent.get_by_test_id("composer").fill("@calm_otter Sorry! We are looking at both charges now.")
    agent.get_by_test_id("send").click()
    answer = agent.get_by_test_id("message").filter(has_text="both charges")
    expect(answer).to_contain_text(re.compile("sent", re.I), timeout=20_000)

    ledger = json.load(urllib.request.urlopen(_simnet(house) + "/ledger", timeout=5))
    posted = [post for post in ledger["posts"] if "both charges" in json.dumps(post)]
    assert len(posted) == 1

    house.kill_web()
    expect(agent.get_by_test_id("connection")).not_to_contain_text("Live", timeout=15_000)
    expect(agent.get_by_test_id("connection")).to_contain_text("Live", timeout=30_000)


def _simnet(house: House) -> str:
    return json.loads((house.home / "services.json").read_text())["simnet_url"].rstrip("/")
