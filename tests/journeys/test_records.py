"""A customer found by a mistyped name, his ticket split, merged and parted again, and its promise followed, in a browser."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.journeys.house import deliver, enter

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AGO = r"(just now|\d+ (minute|hour)s? ago)"
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
    person = page.url

    # The card in words: three sentences, and the three answers.
    said, answers = (
        page.get_by_label("Summary").locator("p"),
        page.get_by_label("Summary").locator("dl > div"),
    )
    expect(said).to_have_count(3)
    expect(said.nth(0)).to_have_text(re.compile(rf"^The customer wrote last, on X, {AGO}\.$"))
    expect(said.nth(1)).to_have_text(re.compile(r"^#\d+ is new and nothing has been promised\.$"))
    expect(said.nth(2)).to_have_text("No other contact in the last 30 days.")
    expect(answers).to_have_count(3)
    expect(answers.nth(0)).to_have_text(
        re.compile(r"Talked to us already\?\s*Nobody of us has answered yet\.")
    )
    expect(answers.nth(1)).to_have_text(re.compile(r"Got what was needed\?\s*Nothing has ended yet\."))
    expect(answers.nth(2)).to_have_text(re.compile(r"Still open\?\s*#\d+$"))
    number = answers.nth(2).get_by_role("link").inner_text()
    expect(page.get_by_test_id("entry").filter(has_text="charged twice")).to_be_visible()

    page.keyboard.press("Control+k")
    page.get_by_label("Command", exact=True).fill("router is down since")
    page.locator("#palette-list li", has_text="#").filter(has_text="router is down").first.click()
    page.wait_for_url(re.compile(r"/tickets/\d+/"))
    first = page.url
    expect(page.locator(".page__head")).to_contain_text(number)
    deadline = time.monotonic() + 20
    while page.get_by_test_id("clock").count() == 0 and time.monotonic() < deadline:
        page.wait_for_timeout(500)
        page.reload()
    # The clock of the first response: since when, why, until when, by which promise.
    clock = page.get_by_test_id("clock").filter(has_text="First response").first
    clock.locator("summary").click()
    lines = clock.locator(".clock__lines li")
    expect(lines).to_have_count(1)
    expect(lines.first).to_have_text(
        re.compile(r"^\s*\d\d \w{3} \d\d:\d\d:\d\d\s+start\w*\s+.*customer wrote on")
    )
    expect(clock).to_contain_text(re.compile(r"Public posts.*; due \d\d \w{3} \d{4} \d\d:\d\d:\d\d"))

    page.get_by_text("charged twice").hover()
    page.get_by_test_id("split").click()
    page.wait_for_url(lambda url: "/tickets/" in url and url != first)
    second = page.url
    expect(page.locator("h1")).to_contain_text("charged twice")
    expect(page.get_by_test_id("message")).to_have_count(1)

    page.goto(first)
    expect(page.get_by_test_id("message")).to_have_count(1)
    page.get_by_label("Other ticket", exact=True).select_option(second.rstrip("/").rsplit("/", 1)[1])
    page.get_by_test_id("merge").click()
    expect(page.get_by_test_id("message")).to_have_count(2)

    page.goto(second)
    page.get_by_test_id("unmerge").click()
    expect(page.get_by_test_id("unmerge")).to_have_count(0)
    expect(page.get_by_test_id("message")).to_have_count(1)

    # What is promised is what the card says from then on.
    page.get_by_label("Promise", exact=True).fill("A call about the second invoice")
    page.get_by_label("Promised by").fill((datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M"))
    page.get_by_role("button", name="Promise", exact=True).click()
    expect(page.get_by_label("Facts")).to_contain_text("A call about the second invoice")
    page.goto(person)
    expect(said.nth(1)).to_have_text(
        re.compile(r"^“A call about the second invoice” was promised for .* UTC \(#\d+\)\.$")
    )
    expect(answers.nth(1)).to_have_text(
        re.compile(r"Got what was needed\?\s*Not yet: “A call about the second invoice”")
    )
    expect(answers.nth(2).get_by_role("link")).to_have_count(2)
    page.goto(second)

    page.get_by_label("One more thing to do").fill("Ring accounting")
    page.keyboard.press("Enter")
    page.get_by_label("Done: Ring accounting").click()
    expect(page.get_by_label("Not done: Ring accounting")).to_be_visible()
    page.get_by_label("Priority", exact=True).select_option("urgent")
    page.get_by_label("Why this priority").fill("He rang twice")
    page.get_by_role("button", name="Set priority").click()
    expect(page.get_by_text("urgent").first).to_be_visible()
    assert problems == []


def test_two_records_of_one_person_are_compared_merged_parted_and_told_apart(house, browser):
    token = house.token()
    who = {"id": "same", "name": "Hieronymus Quastenbaum", "email": "hq@example.com"}
    post = {
        "id": "same-post",
        "text": "@brand my parcel is lost, please help!",
        "author": who | {"handle": "hqb"},
        "lang": "en",
    }
    mail = {
        "id": "same-mail",
        "kind": "email",
        "text": "Please help, my parcel is lost",
        "author": who,
        "lang": "en",
    }
    deliver(house.url, token, "sim-x", post)
    deliver(house.url, token, "sim-mail", mail)
    page = enter(browser, house.url, "supervisor")
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    deadline = time.monotonic() + 20
    while page.get_by_role("link", name="Hieronymus Quastenbaum").count() < 2 and time.monotonic() < deadline:
        page.goto(f"{house.url}/search/?q=Hieronymus+Quastenbaum")
    page.get_by_role("link", name="Hieronymus Quastenbaum").first.click()

    # Compared, made one, read as one, and two again.
    page.get_by_test_id("compare").click()
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_text("It can be undone at any time")).to_be_visible()
    expect(page.get_by_test_id("identity")).to_have_count(2)
    expect(
        page.get_by_test_id("entry").filter(has_text="parcel is lost").filter(has_text="Mail")
    ).to_have_count(1)
    narrow = page.get_by_role("navigation", name="Narrow the timeline")
    narrow.get_by_role("link", name="E-mail").click()
    expect(page.get_by_test_id("entry").filter(has_text="Post")).to_have_count(0)
    expect(page.get_by_test_id("entry")).to_have_count(1)
    expect(narrow.get_by_role("link", name="E-mail")).to_have_attribute("aria-current", "true")
    page.get_by_test_id("undo-merge").click()
    expect(page.get_by_text("a customer of its own again")).to_be_visible()
    expect(page.get_by_test_id("identity")).to_have_count(1)
    own = (
        page.get_by_test_id("entry")
        .filter(has_text="parcel is lost")
        .filter(has_text=re.compile("Post|Mail"))
    )
    expect(own).to_have_count(1)

    # An address is checked and preferred, an agreement is kept, and a letter becomes a ticket.
    address = page.get_by_test_id("identity")
    address.get_by_label(re.compile("How sure")).select_option("verified")
    address.get_by_role("button", name="Keep").click()
    expect(page.get_by_label(re.compile("How sure"))).to_have_value("verified")
    page.get_by_test_id("prefer").click()
    expect(page.get_by_text("first choice")).to_be_visible()
    page.get_by_label("Agreement to").select_option("survey")
    page.get_by_label("How", exact=True).fill("by letter")
    page.get_by_label("How", exact=True).press("Enter")
    expect(page.get_by_text("agreed: by letter")).to_be_visible()
    page.get_by_test_id("new-ticket").click()
    page.get_by_label("Subject").fill("A letter about the parcel")
    page.get_by_role("button", name="Open", exact=True).click()
    page.wait_for_url(re.compile(r"/tickets/\d+/"))

    # Its clock is paused for a cause and runs on; its owner and type are set.
    page.get_by_label("Cause of the pause").select_option("A supplier is asked")
    page.get_by_label("More about the pause").fill("the carrier, by phone")
    page.get_by_label("More about the pause").press("Enter")
    expect(page.get_by_text("is paused: A supplier is asked (the carrier, by phone)")).to_be_visible()
    page.get_by_test_id("resume").click()
    expect(page.get_by_test_id("resume")).to_have_count(0)
    page.get_by_test_id("edit-ticket").locator("summary").click()
    page.get_by_test_id("edit-ticket").locator("select[name=kind]").select_option("incident")
    page.get_by_test_id("edit-ticket").get_by_role("button", name="Keep").click()
    expect(page.locator("dl.facts").first).to_contain_text("incident")
    assert problems == []
