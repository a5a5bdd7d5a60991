"""A customer found by a mistyped name, his ticket split, merged and parted again, and its promise followed, in a browser."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.journeys.house import enter

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AUTHOR = {"id": "records-author", "handle": "bquill", "name": "Bartholomew Quillfeather", "followers": 90}


def test_a_mistyped_customer_is_found_and_his_ticket_split_merged_and_parted(house, browser):
    token = house.token()
    house.deliver(
        token,
        id="records-1",
        text="@brand my router is down since Monday, please help!",
        author=AUTHOR,
        lang="en",
    )
    house.deliver(
        token, id="records-2", text="@brand and my invoice was charged twice, help!", author=AUTHOR, lang="en",
        in_reply_to="records-1",
    )  # fmt: skip
    page = enter(browser, house.url, "supervisor")
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))

    deadline = time.monotonic() + 20
    while page.get_by_text("Bartholomew Quillfeather").count() == 0 and time.monotonic() < deadline:
        page.goto(f"{house.url}/search/?q=Bartolomew+Quilfeather")
    expect(page.get_by_text("similar").first).to_be_visible()
    page.get_by_role("link", name="Bartholomew Quillfeather").first.click()
    expect(page.locator("h1")).to_contain_text("Bartholomew Quillfeather")

    page.keyboard.press("Control+k")
    page.get_by_label("Command", exact=True).fill("router is down since")
    page.locator("#palette-list li", has_text="#").filter(has_text="router is down").first.click()
    page.wait_for_url(re.compile(r"/tickets/\d+/"))
    first = page.url
    deadline = time.monotonic() + 20
    while page.get_by_test_id("clock").count() == 0 and time.monotonic() < deadline:
        page.wait_for_timeout(500)
        page.reload()
    page.get_by_test_id("clock").first.locator("summary").click()
    expect(page.get_by_test_id("clock").first).to_contain_text("customer wrote on")

    page.get_by_text("charged twice").hover()
    page.get_by_test_id("split").click()
    page.wait_for_url(lambda url: "/tickets/" in url and url != first)
    second = page.url
    expect(page.locator("h1")).to_contain_text("charged twice")
    expect(page.get_by_test_id("message")).to_have_count(1)

    page.goto(first)
    expect(page.get_by_test_id("message")).to_have_count(1)
    page.get_by_label("Other ticket").select_option(second.rstrip("/").rsplit("/", 1)[1])
    page.get_by_test_id("merge").click()
    expect(page.get_by_test_id("message")).to_have_count(2)

    page.goto(second)
    page.get_by_test_id("unmerge").click()
    expect(page.get_by_test_id("unmerge")).to_have_count(0)
    expect(page.get_by_test_id("message")).to_have_count(1)

    page.get_by_label("One more thing to do").fill("Ring accounting")
    page.keyboard.press("Enter")
    page.get_by_label("Done: Ring accounting").click()
    expect(page.get_by_label("Not done: Ring accounting")).to_be_visible()
    page.get_by_label("Priority", exact=True).select_option("urgent")
    page.get_by_label("Why this priority").fill("He rang twice")
    page.get_by_role("button", name="Set priority").click()
    expect(page.get_by_text("urgent").first).to_be_visible()
    assert problems == []
