"""The main job in browsers: a post becomes one offer at one agent, is answered, and the supervisor sees it move."""

import json
import re
import time
import urllib.request

import pytest
from playwright.sync_api import expect

from tests.journeys.house import available, enter

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_post_reaches_one_agent_is_answered_and_the_board_moves(house, browser):
    token = house.token()
    one, two = enter(browser, house.url, "agent1"), enter(browser, house.url, "agent2")
    board = enter(browser, house.url, "supervisor")
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

    ledger = json.load(urllib.request.urlopen(house.simnet() + "/ledger", timeout=5))
    posted = [post for post in ledger["posts"] if "both charges" in json.dumps(post)]
    assert len(posted) == 1

    house.kill_web()
    expect(agent.get_by_test_id("connection")).not_to_contain_text("Live", timeout=15_000)
    expect(agent.get_by_test_id("connection")).to_contain_text("Live", timeout=30_000)
