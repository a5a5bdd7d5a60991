"""A list narrowed, kept as a view and shared, its rows changed together and put back, and a cell edited, in a browser."""

import json

import pytest
from playwright.sync_api import expect

from tests.journeys.house import enter

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_list_is_narrowed_kept_changed_and_put_back(house, browser):
    page = enter(browser, house.url, "supervisor")
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{house.url}/tickets/?view=all")
    expect(page.locator('[data-count="all"]')).to_have_text(str(page.locator("tr[data-id]").count()))

    # Conditions, by keyboard as far as it goes.
    page.keyboard.press("f")
    page.get_by_label("Column", exact=True).first.select_option("status")
    for word in ("Open", "Waiting on us"):
        page.get_by_role("group", name="Status").get_by_role("button", name=word, exact=True).click()
    page.get_by_role("button", name="Group", exact=True).click()
    inner = page.locator(".builder__group .builder__group")
    inner.get_by_label("Column", exact=True).select_option("owner")
    inner.get_by_label("How").select_option("filled")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**where=**")
    expect(page.get_by_text("Status is any of open, waiting on us")).to_be_visible()
    shown = page.locator("tr[data-id]").count()
    assert shown > 2

    # Other columns, then the whole kept as a view for everybody.
    page.locator(".columns summary").click()
    page.get_by_label("Priority", exact=True).check()
    page.get_by_label("Due", exact=True).uncheck()
    page.get_by_role("button", name="Show these").click()
    expect(page.get_by_role("columnheader", name="Priority")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Due")).to_have_count(0)
    page.keyboard.press("s")
    page.get_by_label("Name", exact=True).fill("Ours in work")
    page.get_by_label("Who sees it").select_option("everybody")
    page.keyboard.press("Enter")
    page.wait_for_url("**view=**")
    tab = page.get_by_role("navigation", name="Views").get_by_role("link", name="Ours in work")
    expect(tab).to_have_attribute("aria-current", "page")
    expect(tab.locator(".count")).to_have_text(str(shown))
    view = page.url

    colleague = enter(browser, house.url, "agent1")
    colleague.goto(view)
    expect(colleague.get_by_role("columnheader", name="Priority")).to_be_visible()
    colleague.context.close()

    # Two rows changed together: a preview, the act, and the way back.
    for _ in range(2):
        page.keyboard.press("j")
        page.keyboard.press("x")
    expect(page.get_by_text("2 chosen")).to_be_visible()
    ids = page.locator("[data-choose]:checked").evaluate_all("boxes => boxes.map(box => box.value)")
    before = state(page, house.url, ids)
    page.keyboard.press("b")
    page.get_by_label("What changes").select_option("priority")
    page.get_by_label("Priority", exact=True).last.select_option("urgent")
    page.get_by_label("Why this priority").fill("Storm tonight")
    page.get_by_test_id("preview").click()
    page.wait_for_url("**/bulks/**")
    expect(page.get_by_text("Nothing has been changed yet. 2 of 2 would change")).to_be_visible()
    assert state(page, house.url, ids) == before
    page.get_by_test_id("start").click()
    expect(page.get_by_test_id("bulk")).to_have_attribute("data-state", "done")
    assert {one["priority"] for one in state(page, house.url, ids)} == {"urgent"}
    page.get_by_test_id("undo").click()
    expect(page.get_by_test_id("bulk")).to_have_attribute("data-state", "undone")
    expect(page.get_by_text("2 have again what they had")).to_be_visible()
    assert state(page, house.url, ids) == before

    # All that a search leaves, also beyond what stood there when the page came.
    page.goto(f"{house.url}/tickets/?view=all")
    page.get_by_role("searchbox", name="Number, subject or customer").fill("router")
    page.wait_for_url("**search=router**")
    expect(page.locator("tr[data-id]").first).to_contain_text("outer")
    found = page.locator("tr[data-id]").count()
    page.get_by_label("Choose all rows of this page").check()
    page.get_by_role("button", name="Choose all that fit").click()
    page.get_by_role("button", name="Change…").click()
    page.get_by_label("What changes").select_option("kind")
    page.get_by_test_id("preview").click()
    page.wait_for_url("**/bulks/**")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{found} tickets")
    page.get_by_role("link", name="Leave them").click()

    # One cell, in place.
    page.goto(view)
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    page.get_by_role("form", name="Status").get_by_label("Status").select_option("waiting_on_customer")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Status: saved")
    expect(page.locator("tr.is-stale")).to_have_count(1)  # it fits the view no more, and does not jump away
    assert problems == []


def state(page, url, ids) -> list[dict]:
    """What the tickets are, as REST says it, without the time of the last change."""
    found = []
    for one in ids:
        body = json.loads(page.request.get(f"{url}/api/v1/tickets/{one}/").text())
        found.append(
            {name: body[name] for name in ("id", "priority", "priority_reason", "status", "owner", "tags")}
        )
    return found
