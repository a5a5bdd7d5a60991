"""An agent's day in browsers: work put aside comes back, a hand is seen and answered, what is left is handed over."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.house import House, available, call, enter

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AUTHOR = {"id": "agents-author", "handle": "patient_vole", "name": "Petra Vole", "followers": 40}


def pull(page: Page, house: House, token: str, words: str) -> int:
    """Take the work in which these words stand, by the page's own session; returns its contact."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = call(f"{house.url}/api/v1/search/?q={words}&kinds=messages", token)["messages"]
        if found:
            contact = found[0]["id"]
            items = call(f"{house.url}/api/v1/work-items/?interaction={contact}", token)["results"]
            taken = page.evaluate(
                """async id => (await fetch(`/api/v1/work-items/${id}/claim/`, {method: 'POST', headers: {
                    'X-CSRFToken': document.querySelector('meta[name=csrf]').content}})).status""",
                items[0]["id"],
            )
            if taken == 201:
                return contact
        page.wait_for_timeout(500)
    raise AssertionError("nobody let go of it")


def test_work_is_put_aside_comes_back_help_is_asked_for_and_the_rest_handed_over(house, browser):
    token = house.token()
    house.deliver(
        token,
        id="agents-1",
        text="@brand my zebrawood parcel never came, please help!",
        author=AUTHOR,
        lang="en",
    )
    agent, lead = enter(browser, house.url, "agent3"), enter(browser, house.url, "supervisor")
    problems: list[str] = []
    agent.on("pageerror", lambda error: problems.append(str(error)))
    agent.goto(f"{house.url}/desk/")
    contact = pull(agent, house, token, "zebrawood")
    agent.goto(f"{house.url}/desk/?interaction={contact}")
    expect(agent.get_by_test_id("park")).to_be_visible()
    agent.keyboard.press("p")
    expect(agent.locator(".presence__button")).to_contain_text("Available")
    agent.keyboard.press("f")
    expect(agent.locator(".presence__button")).to_contain_text("then offline")

    agent.keyboard.press("z")
    agent.get_by_test_id("pending").click()
    expect(agent.locator('.work[data-state="parked"]')).to_have_count(1)
    house.deliver(
        token, id="agents-2", text="@brand still no zebrawood parcel, this is a scandal!", author=AUTHOR, lang="en",
        in_reply_to="agents-1",
    )  # fmt: skip

    agent.keyboard.press("p")
    expect(agent.locator('.work[data-state="accepted"]')).to_have_count(1)
    expect(agent.locator('.work[data-state="parked"]')).to_have_count(0)

    agent.goto(f"{house.url}/desk/?interaction={contact}")
    expect(agent.get_by_test_id("message").last).to_contain_text("scandal")
    agent.keyboard.press("h")
    agent.locator('[data-hand="decision"]').click()
    expect(agent.get_by_text("Your hand is up")).to_be_visible()
    lead.goto(f"{house.url}/boards/floor/")
    lead.get_by_role("link", name=re.compile("raised a hand: Somebody must decide")).click()
    lead.get_by_test_id("whisper").click()
    lead.get_by_label("A word to the agent").fill("Send a new one today.")
    lead.get_by_role("button", name="Whisper", exact=True).last.click()
    expect(agent.locator("#toasts")).to_contain_text("Send a new one today.")
    expect(agent.get_by_test_id("message").last).to_contain_text("Send a new one today.")
    agent.get_by_test_id("lower").click()
    expect(agent.get_by_test_id("raise")).to_be_visible()

    agent.goto(f"{house.url}/handover/")
    row = agent.get_by_test_id("handover").locator("li").filter(has_text="zebrawood")
    row.get_by_placeholder("Where it stands").fill("A new parcel leaves today")
    row.get_by_role("button", name=re.compile("Return to")).click()
    expect(agent.get_by_test_id("handover").filter(has_text="zebrawood")).to_have_count(0)
    agent.goto(f"{house.url}/desk/")
    agent.keyboard.press("Control+k")
    agent.keyboard.type("offline")
    agent.keyboard.press("Enter")
    expect(agent.locator(".presence__button")).to_contain_text("Offline")
    assert not problems
    house.close(token, "zebrawood")


def test_a_full_agent_is_asked_nothing_until_he_puts_one_aside_and_sees_the_room(house, browser):
    token = house.token()
    house.close_waiting(token)
    agent, lead = enter(browser, house.url, "agent4"), enter(browser, house.url, "supervisor")
    agent.goto(f"{house.url}/desk/")
    used = agent.locator('[data-fill="capacity"]')
    expect(used).to_have_text(re.compile(r"^\d+ / 15$"))
    room = 5 - int(used.inner_text().split(" / ")[0]) // 3
    assert room > 1, "the demo's agent has hands free"
    words = [f"sandalwood{number}" for number in range(room + 1)]
    for number, word in enumerate(words):
        house.deliver(
            token, id=f"full-{number}", text=f"@brand my {word} parcel never came, please help!", lang="en",
            author={"id": f"full-{number}", "handle": f"full_{number}", "name": f"Full {number}"},
        )  # fmt: skip
        if number < room:
            contact = pull(agent, house, token, word)
    expect(used).to_have_text(re.compile(r"^1[345] / 15$"))

    # Nothing more comes to him, and the ticket of what waits says why.
    available(agent)
    ticket = call(f"{house.url}/api/v1/interactions/{contact_of(house, token, words[-1])}/", token)["ticket"]
    lead.goto(f"{house.url}/tickets/{ticket}/")
    expect(lead.get_by_test_id("waits")).to_contain_text(re.compile("no room|has room|busy|full", re.I))
    expect(agent.get_by_test_id("offer")).to_have_count(0)

    # One put aside, and there is room, which is filled by what waited.
    agent.goto(f"{house.url}/desk/?interaction={contact}")
    expect(agent.get_by_test_id("park")).to_be_visible()
    agent.keyboard.press("z")
    agent.get_by_role("button", name="In an hour").click()
    expect(agent.locator('.work[data-state="parked"]')).to_have_count(1)
    expect(agent.get_by_test_id("offer")).to_contain_text(words[-1])
    agent.keyboard.press("a")
    expect(used).to_have_text(re.compile(r"^1[345] / 15$"))
    for word in words:
        house.close(token, word)
    expect(used).to_have_text(re.compile(r"^\d / 15$"))
    agent.keyboard.press("Control+k")
    agent.keyboard.type("offline")
    agent.keyboard.press("Enter")
    expect(agent.locator(".presence__button")).to_contain_text("Offline")
    agent.context.close()  # nobody of this story answers in the next one


def contact_of(house: House, token: str, words: str) -> int:
    """The contact that these words opened, as soon as it is there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := call(f"{house.url}/api/v1/search/?q={words}&kinds=messages", token)["messages"]:
            return found[0]["id"]
        time.sleep(0.2)
    raise AssertionError(f"nothing with {words} came")
