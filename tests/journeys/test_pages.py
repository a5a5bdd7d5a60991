"""Every page in a browser, for every role: quiet, in both themes, on a phone, without a mouse, and without a connection."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.house import DESKTOP, PAGES, PHONE, House, enter, first_row

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIRST_PAINT = 100_000  # bytes on the wire: the page, its style, the script before it, its font
WIDER_THAN_THE_SCREEN = """() => [document.documentElement, document.querySelector("#main") ?? document.body]
    .filter(pane => pane.scrollWidth > pane.clientWidth + 1).map(pane => pane.tagName)"""
OUTLINE = "() => getComputedStyle(document.activeElement).outlineStyle"


@pytest.fixture(scope="module", autouse=True)
def posts(house: House) -> str:
    """Praise for the list of mentions, which becomes nobody's work; returns the token that delivered it."""
    token = house.token()
    for author in ("pages-a", "pages-b"):
        praise(house, token, author)
    return token


def praise(house: House, token: str, author: str) -> None:
    """A post that needs no answer."""
    house.deliver(
        token,
        id=author,
        text="@brand All good now, thanks!",
        author={"id": author, "handle": author},
        lang="en",
    )


def listening(page: Page) -> list[str]:
    """What goes wrong on a page from now on."""
    wrong: list[str] = []
    page.on(
        "console", lambda said: said.type in ("error", "warning") and wrong.append(f"{page.url}: {said.text}")
    )
    page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
    page.on("response", lambda answer: answer.status >= 400 and wrong.append(f"{answer.status} {answer.url}"))
    return wrong


@pytest.mark.parametrize("who", PAGES)
def test_every_page_is_quiet_changes_its_theme_and_fits_a_phone(house: House, browser: Browser, who: str):
    page = enter(browser, house.url, who)
    wrong = listening(page)
    for path in PAGES[who]:
        page.goto(house.url + (first_row(page, house.url, path) if path.startswith("{") else path))
        papers = set()
        for theme in ("light", "dark"):
            page.evaluate("theme => (document.documentElement.dataset.theme = theme)", theme)
            papers.add(page.evaluate("getComputedStyle(document.documentElement).colorScheme"))
        assert papers == {"light", "dark"}, path
        page.set_viewport_size(PHONE)
        assert page.evaluate(WIDER_THAN_THE_SCREEN) == [], path
        page.set_viewport_size(DESKTOP)
    assert wrong == []


def test_the_pages_outside_the_frame_fit_a_phone_too(house: House, browser: Browser):
    page = browser.new_context(viewport=PHONE).new_page()
    for path, title in (("/accounts/login/", "Log in"), ("/no-such-place/", "Nothing here")):
        page.goto(house.url + path)
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        assert page.evaluate(WIDER_THAN_THE_SCREEN) == []


@pytest.mark.parametrize(
    "who, path", [("agent1", "/desk/"), ("supervisor", "/boards/floor/"), ("agent1", "/mentions/")]
)
def test_little_is_needed_for_the_first_paint(house: House, browser: Browser, who: str, path: str):
    page = enter(browser, house.url, who)
    wire = page.context.new_cdp_session(page)
    kinds: dict[str, tuple[str, str, str]] = {}
    needed: dict[str, float] = {}
    wire.on(
        "Network.responseReceived",
        lambda event: kinds.update(
            {
                event["requestId"]: (
                    event["type"],
                    event["response"]["url"],
                    event["response"]["headers"].get("content-encoding", ""),
                )
            }
        ),
    )

    def finished(event: dict) -> None:
        kind, url, packed = kinds.get(event["requestId"], ("", "", ""))
        if kind in ("Document", "Stylesheet", "Font") or url.endswith("/js/theme.js"):
            needed[url] = event["encodedDataLength"]
            assert packed == "gzip" or kind == "Font" or url.endswith("theme.js"), url

    wire.on("Network.loadingFinished", finished)
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto(house.url + path, wait_until="networkidle")
    assert any(url.endswith("css/app.css") for url in needed)
    assert sum(needed.values()) < FIRST_PAINT, needed


@pytest.fixture
def keys(house: House, browser: Browser, posts: str) -> Iterator[Page]:
    """An agent who works by keys alone: the mouse of this page is never used."""
    page = enter(browser, house.url, "agent1")
    page.goto(f"{house.url}/desk/")
    expect(page.get_by_test_id("connection")).to_have_text("Live")
    yield page
    page.goto(f"{house.url}/desk/")
    expect(page.get_by_test_id("connection")).to_have_text("Live")
    page.keyboard.press("Control+k")
    page.keyboard.type("offline")
    page.keyboard.press("Enter")
    expect(page.locator(".presence__button")).to_contain_text("Offline")
    page.context.close()


def test_an_offer_is_accepted_answered_noted_and_closed_by_keys(house: House, keys: Page, posts: str):
    keys.keyboard.press("p")
    expect(keys.locator(".presence__button")).to_contain_text("Available")
    house.deliver(posts, id="keys-1", text="@brand my bill is wrong again, please call me",
                  author={"id": "keys-author", "handle": "by_keys", "name": "Keya Board"}, lang="en")  # fmt: skip
    wanted = keys.get_by_test_id("message").filter(has_text="please call me")
    keys.get_by_test_id("offer").filter(has_text="please call me").wait_for(timeout=30_000)
    keys.keyboard.press("a")
    expect(wanted).to_be_visible()

    keys.keyboard.press("r")
    keys.keyboard.type("@by_keys We call you within the hour.")
    keys.keyboard.press("Control+Enter")
    expect(keys.get_by_test_id("message").filter(has_text="within the hour")).to_contain_text(
        re.compile("sent"), timeout=20_000
    )
    keys.keyboard.press("Escape")
    keys.keyboard.press("n")
    keys.keyboard.type("Wants a call, not a post.")
    keys.keyboard.press("Control+Enter")
    expect(keys.get_by_test_id("message").filter(has_text="not a post")).to_contain_text("note, internal")

    keys.keyboard.press("Escape")
    keys.keyboard.press("e")
    expect(keys.get_by_test_id("outcome")).to_be_focused()
    expect(keys.get_by_test_id("outcome").locator("option").first).to_be_attached()
    keys.keyboard.press("ArrowDown")
    keys.keyboard.press("Shift+Tab")
    keys.keyboard.press("Shift+Tab")
    keys.keyboard.press("ArrowDown")
    for _ in range(3):
        keys.keyboard.press("Tab")
    expect(keys.get_by_test_id("complete")).to_be_focused()
    keys.keyboard.press("Enter")
    expect(wanted).to_have_count(0, timeout=10_000)


def test_palette_help_verdicts_and_places_answer_to_keys(house: House, keys: Page):
    keys.keyboard.press("?")
    expect(keys.get_by_role("dialog", name="Keyboard")).to_be_visible()
    keys.keyboard.press("Escape")
    keys.keyboard.press("Control+k")
    keys.keyboard.type("go to ment")
    keys.keyboard.press("Enter")
    keys.wait_for_url("**/mentions/")

    keys.keyboard.press("j")
    row = keys.locator('.mention[aria-current="true"]')
    expect(row).to_have_count(1)
    keys.keyboard.press("2")
    expect(row.locator('[data-verdict="follow"]')).to_have_attribute("aria-pressed", "true")
    expect(keys.locator("#toasts")).to_contain_text("saved")
    keys.keyboard.press("g")
    keys.keyboard.press("t")
    keys.wait_for_url("**/tickets/")
    for _ in range(12):
        keys.keyboard.press("Tab")
        assert keys.evaluate(OUTLINE) != "none", keys.evaluate("document.activeElement.outerHTML")


def test_new_posts_wait_behind_a_button_and_move_no_row(house: House, browser: Browser, posts: str):
    page = enter(browser, house.url, "marketing")
    page.goto(f"{house.url}/mentions/")
    top = page.get_by_test_id("mention").first
    first = top.get_attribute("data-mention")
    praise(house, posts, "fresh")
    button = page.locator('[data-act="fresh"]')
    for _ in range(20):
        page.evaluate("document.querySelector('mention-list').look()")
        if button.is_visible():
            break
        page.wait_for_timeout(250)
    expect(button).to_contain_text(re.compile(r"\d+ new"))
    assert top.get_attribute("data-mention") == first
    button.click()
    expect(page.get_by_test_id("mention").first).to_contain_text("@fresh")
    expect(button).to_be_hidden()


def test_without_a_connection_the_board_says_so_greys_and_heals(house: House, browser: Browser):
    page = enter(browser, house.url, "supervisor")
    page.goto(f"{house.url}/boards/floor/")
    mark, banner, board = (
        page.get_by_test_id("connection"),
        page.locator("#offline"),
        page.locator("live-board"),
    )
    expect(mark).to_have_text("Live")
    page.context.set_offline(True)
    expect(banner).to_contain_text(
        re.compile(r"Connection lost \d+ s ago. Nothing you typed is lost"), timeout=10_000
    )
    expect(board).to_have_class(re.compile("is-stale"))
    page.context.set_offline(False)
    expect(mark).to_have_text("Live", timeout=20_000)
    expect(banner).to_be_hidden()
    expect(board).not_to_have_class(re.compile("is-stale"))
