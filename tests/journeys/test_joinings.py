"""Work handed over in person, in two browsers: the sender stays until the receiver, who sees the thread, takes it over."""

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.house import DESKTOP, PHONE, House, enter
from tests.journeys.test_agents import pull
from tests.journeys.test_pages import WIDER_THAN_THE_SCREEN

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AUTHOR = {"id": "joinings-author", "handle": "quiet_hornbeam", "name": "Hanna Beam", "followers": 40}


def fits(page: Page) -> None:
    """The page as it stands, on a phone and in the dark too."""
    page.evaluate("() => (document.documentElement.dataset.theme = 'dark')")
    page.set_viewport_size(PHONE)
    assert page.evaluate(WIDER_THAN_THE_SCREEN) == []
    page.set_viewport_size(DESKTOP)


def test_a_warm_transfer_from_one_desk_to_another(house: House, browser):
    token = house.token()
    house.close_waiting(token)
    words = "@brand my hornbeam table arrived without legs, please help!"
    house.deliver(token, id="joinings-1", text=words, author=AUTHOR, lang="en")
    sender, receiver = enter(browser, house.url, "agent2"), enter(browser, house.url, "agent4")
    problems: list[str] = []
    for page in (sender, receiver):
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{house.url}/desk/")
    contact = pull(sender, house, token, "hornbeam")
    receiver.keyboard.press("p")
    expect(receiver.locator(".presence__button")).to_contain_text("Available")
    name = receiver.evaluate("async () => (await (await fetch('/api/v1/desk/')).json()).agent.name")

    sender.goto(f"{house.url}/desk/?interaction={contact}")
    expect(sender.get_by_test_id("ask-in")).to_be_visible()
    sender.keyboard.press("i")
    sender.get_by_label("Whom?", exact=True).select_option(label=name)
    sender.get_by_label("What for?").select_option("warm")
    sender.get_by_label("What should your colleague know?").fill("The legs are in another parcel.")
    sender.get_by_test_id("ask").click()
    expect(sender.get_by_test_id("joining")).to_contain_text("is asked in")

    receiver.get_by_test_id("asked").click()
    expect(receiver.get_by_test_id("message").last).to_contain_text("another parcel")
    fits(receiver)
    receiver.get_by_test_id("come-in").click()
    expect(receiver.get_by_test_id("take-it-on")).to_be_visible()
    expect(sender.get_by_test_id("joining")).to_contain_text("is in")
    fits(sender)
    mine = sender.locator(f'.work[data-interaction="{contact}"]')
    expect(mine).to_have_count(1)

    receiver.get_by_test_id("take-it-on").click()
    expect(receiver.locator(f'.work[data-interaction="{contact}"]')).to_have_count(1)
    expect(mine).to_have_count(0)
    expect(receiver.get_by_test_id("close")).to_be_visible()
    receiver.get_by_test_id("hand-back").click()
    expect(receiver.locator(f'.work[data-interaction="{contact}"]')).to_have_count(0)
    receiver.keyboard.press("f")
    assert not problems
    house.close(token, "hornbeam")
