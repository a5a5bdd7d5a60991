"""Fairness in a browser: why an agent gets no work, how channels fare, a lock tried and kept, and a queue's steps on a phone."""

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.house import PHONE, House, available, enter

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIDEWAYS = """() => [...document.querySelectorAll("[data-testid=queue-form] .scroll")]
    .filter(pane => pane.scrollWidth > pane.clientWidth + 1).length"""


def test_an_agent_and_his_supervisor_read_why_he_has_nothing_to_do(house: House, browser: Browser):
    house.close_waiting(house.token())
    me = enter(browser, house.url, "agent1")
    me.goto(f"{house.url}/desk/")
    me.get_by_test_id("why-idle").click()
    expect(me.get_by_test_id("why-idle")).to_contain_text("No work comes: offline.")
    available(me)
    me.goto(f"{house.url}/agents/me/idle/")
    expect(me.get_by_test_id("why-idle")).to_contain_text("Nothing waits.")
    expect(me.get_by_text("heard")).to_be_visible()

    lead = enter(browser, house.url, "supervisor")
    lead.goto(f"{house.url}/boards/floor/")
    lead.get_by_role("link", name="idle", exact=True).first.click()
    expect(lead.get_by_role("heading", level=1)).to_contain_text("Why idle?")
    expect(lead.get_by_test_id("why-idle")).to_contain_text("Nothing waits.")
    lead.goto(f"{house.url}/fairness/")
    expect(lead.get_by_test_id("bias")).to_contain_text("Overtakings")

    me.goto(f"{house.url}/desk/")
    me.keyboard.press("Control+k")
    me.keyboard.type("offline")
    me.keyboard.press("Enter")
    expect(me.locator(".presence__button")).to_contain_text("Offline")


def test_a_channel_is_locked_after_a_look_at_what_waits(house: House, browser: Browser):
    owner = enter(browser, house.url, "admin")
    owner.goto(f"{house.url}/scoring/")
    owner.get_by_role("checkbox", name="Social").check()
    owner.get_by_test_id("try").click()
    expect(owner.get_by_role("heading", name="What would have happened")).to_be_visible()
    expect(owner.get_by_role("checkbox", name="Social")).to_be_checked()
    owner.get_by_placeholder("What changes, and why").fill("posts go before everybody")
    owner.get_by_test_id("keep").click()
    expect(owner.get_by_text("Kept. What waits is scored anew.")).to_be_visible()
    owner.goto(f"{house.url}/fairness/")
    expect(owner.get_by_role("region", name="Locks")).to_contain_text("Social")
    owner.goto(f"{house.url}/scoring/")
    owner.get_by_role("checkbox", name="Social").uncheck()
    owner.get_by_placeholder("What changes, and why").fill("the journey is over")
    owner.get_by_test_id("keep").click()
    expect(owner.get_by_text("Kept. What waits is scored anew.")).to_be_visible()


def test_the_steps_of_a_queue_stand_one_below_the_other_on_a_phone(house: House, browser: Browser):
    owner = enter(browser, house.url, "admin")
    owner.set_viewport_size(PHONE)
    for path in ("/queues/billing/", "/queues/new/"):
        owner.goto(f"{house.url}{path}")
        expect(owner.get_by_label("Step 1: what is given up")).to_be_visible()
        assert owner.evaluate(SIDEWAYS) == 0, path
