"""A file read in by a person: columns said, tried dry, read in, found, undone; and a macro used by keys, a colleague called."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.journeys.house import House, enter

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FILE = (
    "Who,Mail,Twitter,Company\n"
    "Imogen Import,imogen@import.example,@imogen_i,Import Ltd\n"
    "Igor Import,igor@import.example,,Import Ltd\n"
    "Bad Row,not-an-address,,\n"
)


def test_a_file_is_mapped_tried_dry_read_in_and_undone(house, browser):
    page = enter(browser, house.url, "supervisor")
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{house.url}/imports/")
    page.get_by_label("What is in it").select_option("customers")
    page.get_by_test_id("import-file").set_input_files(
        {"name": "people.csv", "mimeType": "text/csv", "buffer": FILE.encode()}
    )
    page.get_by_test_id("upload").click()
    page.wait_for_url(re.compile(r"/imports/\d+/"))
    expect(page.locator("#map-1")).to_have_value("email")
    page.locator("#map-0").select_option("name")
    page.get_by_test_id("check").click()
    expect(page.get_by_test_id("import")).to_have_attribute("data-state", "checked", timeout=30_000)
    expect(page.locator("[data-row]", has_text="Bad Row")).to_contain_text("no e-mail address")
    expect(page.get_by_text("This is what would happen. Nothing has been changed yet.")).to_be_visible()
    outcomes = page.get_by_role("navigation", name="Outcomes")
    expect(outcomes).to_contain_text(re.compile(r"[Cc]reated\s*2"))
    expect(outcomes).to_contain_text(re.compile(r"[Ff]ailed\s*1"))
    assert not found(page, house, "Imogen")

    page.go_back()
    page.get_by_test_id("start").click()
    expect(page.get_by_test_id("import")).to_have_attribute("data-state", "done", timeout=30_000)
    here = page.url
    expect(page.get_by_text("The rows are in. All of it can be undone")).to_be_visible()
    assert found(page, house, "Imogen")
    page.get_by_role("link", name="Imogen Import").click()
    expect(page.locator("h1")).to_have_text("Imogen Import")
    expect(page.get_by_test_id("identity")).to_have_count(2)
    expect(page.locator(".page__head")).to_contain_text("imogen@import.example")
    expect(page.locator(".page__head")).to_contain_text("@imogen_i")
    page.goto(f"{house.url}/companies/?search=Import+Ltd")
    expect(page.get_by_role("link", name="Import Ltd")).to_be_visible()

    page.goto(here)
    page.get_by_text("Undo the whole import").click()
    page.get_by_test_id("undo").click()
    expect(page.get_by_test_id("import")).to_have_attribute("data-state", "undone", timeout=30_000)
    expect(page.get_by_text("The import was undone.")).to_be_visible()
    assert not found(page, house, "Imogen")
    page.goto(f"{house.url}/companies/?search=Import+Ltd")
    expect(page.get_by_text("Nothing fits")).to_be_visible()
    assert problems == []


def found(page, house, name):
    page.goto(f"{house.url}/customers/?search={name}")
    return page.get_by_role("link", name=f"{name} Import").count() > 0


@pytest.fixture
def posts(house: House) -> Iterator[str]:
    token = house.token()
    yield token
    house.close(token, "zirconium")


def test_a_macro_answers_by_keys_and_a_colleague_who_is_called_sees_it(house, browser, posts):
    token = posts
    house.deliver(
        token, id="macros-1", text="@brand my zirconium router is down since Monday, please help!", lang="en",
        author={"id": "macros-author", "handle": "macro_mia", "name": "Mia", "followers": 5},
    )  # fmt: skip
    page = enter(browser, house.url, "supervisor")
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{house.url}/search/?q=zirconium")
    for _ in range(40):
        if page.locator("li[data-row]", has_text="zirconium").locator('a[href^="/tickets/"]').count():
            break
        page.wait_for_timeout(500)
        page.reload()
    page.locator("li[data-row]", has_text="zirconium").locator('a[href^="/tickets/"]').first.click()
    page.get_by_role("link", name="Open thread").click()
    text = page.get_by_test_id("composer")
    text.click()
    page.keyboard.type("/refund")
    expect(page.get_by_role("option", name=re.compile("Refund is booked"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(text).to_have_value(re.compile("@macro_mia, the refund is booked"))
    expect(page.get_by_text("waiting on customer")).to_be_visible()
    page.get_by_label(re.compile("Leave out: sleeps")).click()
    page.get_by_test_id("send").click()
    expect(page.get_by_role("link", name="Refund is booked")).to_be_visible(timeout=15_000)

    colleague = enter(browser, house.url, "marketing")
    name = colleague.locator(".menu__who strong").text_content()
    page.locator('[data-mode="note"]').click()
    page.keyboard.type(f"Please look, @{name.split()[0]}")
    page.get_by_role("option", name=re.compile(name)).click()
    page.get_by_test_id("send").click()
    expect(colleague.locator(".bell__count")).to_have_text("1", timeout=15_000)
    colleague.get_by_test_id("bell").click()
    colleague.get_by_role("button", name=re.compile("called you")).click()
    colleague.wait_for_url(re.compile(r"/interactions/\d+/"))
    expect(colleague.get_by_test_id("message").filter(has_text="Please look,")).to_be_visible()
    expect(colleague.locator(".bell__count")).to_be_hidden()
    assert problems == []
