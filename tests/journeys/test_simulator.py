"""The simulator in a browser: last week's arrivals with one agent fewer, laid beside the week as it was."""

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.house import House, available, enter

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PLAYED = 60_000  # ms


def test_last_weeks_arrivals_are_played_with_one_agent_fewer_and_compared(house: House, browser: Browser):
    token = house.token()
    for number in range(4):
        house.deliver(
            token, id=f"journeywhatif-{number}", text=f"@brand journeywhatif {number}: my order is late, please help me!",
            author={"id": f"journeywhatif-{number}", "handle": f"whatif_{number}"}, lang="en",
        )  # fmt: skip
    for who in ("agent1", "agent2"):
        desk = enter(browser, house.url, who)
        desk.goto(f"{house.url}/desk/")
        available(desk)
        if who == "agent1":  # what comes is packed on the one who is there first
            expect(desk.get_by_test_id("offer").first).to_be_visible(timeout=40_000)

    boss = enter(browser, house.url, "supervisor")
    boss.goto(f"{house.url}/boards/floor/")
    boss.keyboard.press("g")
    boss.keyboard.press("s")
    expect(boss.get_by_role("heading", level=1)).to_have_text("Simulator")
    boss.get_by_label("Agents more or fewer").fill("-1")
    boss.get_by_test_id("play").click()
    expect(boss.get_by_role("heading", level=1)).to_have_text("Last 7 days: 1 agent fewer")
    expect(boss.locator('[data-testid="simulation"][data-state="done"]')).to_be_visible(timeout=PLAYED)
    expect(boss.get_by_test_id("by-channel")).to_contain_text("Social")
    agents = boss.get_by_test_id("totals").locator("tr", has_text="Agents").first
    before, after = (int(word) for word in agents.locator("td").inner_text().split("→"))
    assert after == before - 1

    # The address is handed on; an agent is told that it is not his.
    other = enter(browser, house.url, "admin")
    other.goto(boss.url)
    expect(other.get_by_test_id("by-channel")).to_be_visible()
    agent = enter(browser, house.url, "agent1")
    assert agent.goto(boss.url).status == 403

    # And played again with something else.
    boss.get_by_role("link", name="Change and play again").click()
    expect(boss.get_by_label("Agents more or fewer")).to_have_value("-1")
