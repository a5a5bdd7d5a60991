"""Rules in a browser: nobody speaks enough French, so a queue asks for less, then hands its work on, and says so."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.house import House, available, call, enter

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHANNEL = "sim-x"


def ask(house: House, token: str, method: str, path: str, body: dict) -> dict:
    request = urllib.request.Request(
        f"{house.url}/api/v1/{path}", json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}, method=method,
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"{}")


@pytest.fixture(scope="module")
def token(house: House) -> Iterator[str]:
    """All posts lead to the queue of this journey, until it is over."""
    token = house.token()
    house.close_waiting(token)
    yield token
    ask(
        house,
        token,
        "PATCH",
        "queues/french/",
        {"channels": [], "steps": [], "reason": "the journey is over"},
    )
    for words in ("journeyfrench one", "journeyfrench two"):
        house.close(token, words)


def keep(page: Page) -> None:
    page.get_by_test_id("keep").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("French")


def ticket_of(house: House, token: str, words: str) -> int:
    """The ticket that this post opened, as soon as it is there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        hits = call(f"{house.url}/api/v1/search/?q={quote(words)}&kinds=messages", token)["messages"]
        if hits:
            return call(f"{house.url}/api/v1/interactions/{hits[0]['id']}/", token)["ticket"]
        time.sleep(0.2)
    raise AssertionError(f"nothing with {words!r} came")


def post(house: House, token: str, number: str) -> int:
    house.deliver(
        token, id=f"journeyfrench-{number}", text=f"@brand journeyfrench {number}: my bill is wrong, please help me!",
        author={"id": f"journeyfrench-{number}", "handle": f"french_{number}", "name": f"Manon {number}"}, lang="en",
    )  # fmt: skip
    return ticket_of(house, token, f"journeyfrench {number}")


def test_a_queue_asks_for_less_then_hands_on_and_everybody_can_read_why(
    house: House, browser: Browser, token: str
):
    me = enter(browser, house.url, "agent1")
    me.goto(f"{house.url}/desk/")
    agent = me.evaluate("async () => (await (await fetch('/api/v1/desk/')).json()).agent.id")
    ask(house, token, "POST", "skills/", {"code": "french", "name": "French"})
    before = call(f"{house.url}/api/v1/agents/{agent}/", token)["skills"] | {"french": 2, "billing": 3}
    held = [{"skill": code, "level": level} for code, level in before.items()]
    ask(house, token, "PUT", f"agents/{agent}/skills/", {"skills": held})

    owner = enter(browser, house.url, "admin")
    owner.goto(f"{house.url}/queues/new/")
    owner.get_by_role("textbox", name="Name").fill("French")
    owner.get_by_role("textbox", name="Key").fill("french")
    owner.get_by_label("Skills it needs").fill("french 4, billing 1")
    owner.get_by_role("checkbox", name=CHANNEL).check()
    owner.get_by_label("Step 1: after so many seconds").fill("6")
    owner.get_by_label("Step 1: what is given up").select_option("level")
    owner.get_by_label("Step 1: skill").select_option("french")
    owner.get_by_label("Step 1: level").fill("2")
    owner.get_by_label("Step 2: after so many seconds").fill("600")
    owner.get_by_label("Step 2: what is given up").select_option("overflow")
    owner.get_by_label("Step 2: queue").select_option("general")
    owner.get_by_label("Step 2: only if somebody is in").uncheck()
    owner.get_by_label("What changes, and why").fill("customers in France")
    keep(owner)
    expect(owner.locator("body")).to_contain_text("customers in France")

    # Relaxed: nobody has French 4, and after its step the one with French 2 is asked.
    available(me)
    ticket = post(house, token, "one")
    expect(me.get_by_test_id("offer")).to_contain_text("journeyfrench one")
    me.keyboard.press("a")
    expect(me.get_by_test_id("message").first).to_contain_text("journeyfrench one")
    owner.goto(f"{house.url}/tickets/{ticket}/")
    owner.get_by_text("Why this agent?").click()
    expect(owner.locator("body")).to_contain_text("asked for French from level 2")

    # Handed on: nobody is in, the page says why it waits, and what happens when.
    ask(house, token, "PUT", f"agents/{agent}/presence/", {"state": "break"})
    owner.goto(f"{house.url}/queues/french/")
    owner.get_by_label("Skills it needs").fill("french 5, billing 1")
    owner.get_by_label("Step 2: after so many seconds").fill("8")
    owner.get_by_test_id("try").click()
    expect(owner.get_by_test_id("preview")).to_contain_text("Nothing is kept yet")
    owner.get_by_label("What changes, and why").fill("only the fluent, and sooner on")
    keep(owner)
    ticket = post(house, token, "two")
    owner.goto(f"{house.url}/tickets/{ticket}/")
    waits = owner.get_by_test_id("waits")
    expect(waits).to_contain_text(re.compile("nobody (has the skills|who could)", re.I))
    expect(waits).to_contain_text("French from level 2")
    expect(waits).to_contain_text("To General")
    deadline = time.monotonic() + 40
    while "french → general" not in owner.locator("body").inner_text() and time.monotonic() < deadline:
        owner.wait_for_timeout(500)
        owner.reload()
    expect(owner.locator("body")).to_contain_text("french → general")
