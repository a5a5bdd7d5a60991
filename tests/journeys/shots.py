"""Take every page's picture from a running demo: `python -m tests.journeys.shots --base URL --token TOKEN`.

Wants a fresh demo (`DEMO=1 make run`) with the password in DEMO_PASSWORD and a token of `manage.py apitoken
admin@example.com`. It plays a story of its own to one agent, then the demo to all, and writes NAME-light.png,
NAME-dark.png and NAME-phone.png. Pictures shrink when `pngquant` is installed.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.journeys import house
from tests.journeys.house import ARGS, DESKTOP, PHONE, available, deliver, enter

SETTLE = 350  # ms: fonts, transitions, a first tick
LIFE = 75  # s of the played demo before the pictures of the busy pages

# What reaches the one agent who is there, in this order: accepted, or left ringing. The people are the demo centre's own.
HELD = [
    ("sim-mail", "email", {"id": "nadia.okonjo@example.com", "name": "Nadia Okonjo", "email": "nadia.okonjo@example.com"},
     "Invoice address change",
     "Hello,\n\nplease send the November invoice to my new address, 14 Alder Row. The contract number is BM-448190."),
    ("sim-chat", "chat", {"id": "visitor-1010", "name": "Ben Trask", "email": "ben.trask@example.com"}, None,
     "I cannot log in to my account after the update, it says the code has expired"),
    ("sim-x", "mention", {"id": "x-1029", "handle": "prisc_b", "name": "Priscilla Boateng", "followers": 1450}, None,
     "@BrightmereCare I was charged in full again for two weeks without service. You promised a call by Thursday about"
     " my credit and nobody called. This is the third time I ask."),
]  # fmt: skip
ANSWER = "@prisc_b That should not happen, and I am sorry. I am looking at your bill now and stay with you until it is settled."
NOTE = "The credit is ours to give: 14 days, £24.50. Can be booked today. The call that was promised was never made."
DRAFT = "@prisc_b The credit of £24.50 is booked today and shows on your December bill. Shall I call you to confirm?"
FOLLOW_UP = "Thanks for answering. What do you need from me?"
RINGING = (
    "sim-x", "mention", {"id": "x-1024", "handle": "arjunsethi", "name": "Arjun Sethi", "followers": 715}, None,
    "@BrightmereCare why is my invoice in the wrong currency again? I was billed twice in October, and nobody answers.",
)  # fmt: skip
WAITING = [
    ("sim-x", "mention", {"id": "x-1003", "handle": "lukas_brenner", "name": "Lukas Brenner", "followers": 238}, "de",
     "@BrightmereCare Seit heute Morgen kein Internet. LED am Modem blinkt rot, Neustart hilft nicht. Gibt es eine Störung?"),
    ("sim-x", "mention", {"id": "x-1005", "handle": "ines_aguirre", "name": "Inés Aguirre", "followers": 96}, "es",
     "@BrightmereCare Me habéis cobrado dos veces la factura y nadie contesta al teléfono. ¿Quién me ayuda?"),
    ("sim-mail", "email", {"id": "yusuf.demir@example.com", "name": "Yusuf Demir", "email": "yusuf.demir@example.com"}, "de",
     "Guten Tag, die Rechnung für Oktober ist zu hoch. Bitte prüfen Sie das. Mit freundlichen Grüßen, Yusuf Demir"),
]  # fmt: skip
BROKEN = [
    {"id": "broken-1", "kind": "telepathy", "text": "Can you hear me?", "author": {"id": "x-1"}},
    {"id": "broken-2", "kind": "mention", "text": 42, "author": {"id": "x-2"}},
    {
        "id": "broken-3",
        "kind": "mention",
        "text": "When does it start?",
        "created_at": "yesterday",
        "author": {"id": "x-3"},
    },
    {"id": "broken-4", "kind": "mention", "text": "No author came with this one", "author": None},
]


class Album:
    """Where the pictures go, and in which forms."""

    def __init__(self, out: Path) -> None:
        self.out = out
        out.mkdir(parents=True, exist_ok=True)

    def take(self, page: Page, name: str, phone: bool = True) -> None:
        """One page in light and dark, and on a phone."""
        for theme in ("dark", "light"):
            _theme(page, theme)
            self.press(page, f"{name}-{theme}")
        if phone:
            page.set_viewport_size(PHONE)
            self.press(page, f"{name}-phone")
            page.set_viewport_size(DESKTOP)

    def press(self, page: Page, name: str) -> None:
        """One picture as the page stands."""
        page.evaluate("document.fonts.ready")
        page.wait_for_timeout(SETTLE)
        path = self.out / f"{name}.png"
        page.screenshot(path=path)
        if shutil.which("pngquant"):
            subprocess.run(
                ["pngquant", "--force", "--skip-if-larger", "--strip", "--output", path, "128", path],
                check=False,
            )
        print(path)  # noqa: T201 - the script's answer


def _theme(page: Page, theme: str) -> None:
    page.evaluate(
        """theme => {
            localStorage.setItem("theme", theme);
            document.documentElement.dataset.theme = theme;
            document.dispatchEvent(new CustomEvent("theme"));
        }""",
        theme,
    )


class Story:
    """The demo centre brought to life through its own doors."""

    def __init__(self, base: str, token: str) -> None:
        self.base, self.token, self.run = base, token, f"shots-{int(time.time())}"
        self.told = 0

    def tell(
        self, channel: str, kind: str, author: dict, extra: str | None, text: str, thread: str = ""
    ) -> None:
        """Let somebody write. `extra` is the title of a mail, else the language."""
        self.told += 1
        mail = kind == "email" and extra and len(extra) > 2
        item = {"id": f"{self.run}-{self.told}", "kind": kind, "text": text, "author": author, "lang": "en"}
        item |= {"title": extra} if mail else {"lang": extra or "en"}
        item |= {} if kind == "mention" else {"audience": "private"}
        item |= {"conversation": f"{self.run}-{thread}"} if thread else {}
        deliver(self.base, self.token, channel, item)

    def broken(self) -> None:
        """What cannot be handled, for the quarantine."""
        for item in BROKEN:
            with contextlib.suppress(urllib.error.HTTPError):  # 422: refused, and kept
                deliver(self.base, self.token, "sim-x", {**item, "id": f"{self.run}-{item['id']}"})

    def desk(self, page: Page) -> None:
        """Accept what is held, answer the last of it, and leave one offer ringing."""
        page.goto(f"{self.base}/desk/")
        available(page)
        for channel, kind, author, extra, text in WAITING:
            self.tell(channel, kind, author, extra, text)
        for channel, kind, author, extra, text in HELD:
            self.tell(channel, kind, author, extra, text, thread="open" if author["id"] == "x-1029" else "")
            page.get_by_test_id("offer").first.wait_for(timeout=20_000)
            page.keyboard.press("a")
            _shows(page, text.split("\n")[0][:40])
        self._talk(page)
        self.tell(*RINGING)
        page.get_by_test_id("offer").first.wait_for(timeout=20_000)
        page.get_by_test_id("composer").fill(DRAFT)
        expect(page.get_by_test_id("work")).to_have_count(len(HELD))

    def _talk(self, page: Page) -> None:
        for key, text in (("r", ANSWER), ("n", NOTE)):
            page.locator(".thread__list").focus()
            page.keyboard.press(key)
            page.get_by_test_id("composer").fill(text)
            page.keyboard.press("Control+Enter")
            _shows(page, text[:40])
        page.locator(".thread__list").focus()
        page.keyboard.press("r")
        page.keyboard.press("Escape")
        self.tell(*HELD[2][:4], FOLLOW_UP, thread="open")
        _shows(page, FOLLOW_UP)

    def play(self, page: Page) -> None:
        """All colleagues, and the whole demo."""
        page.goto(f"{self.base}/boards/floor/")
        off = page.get_by_role("button", name="Simulated colleagues off")
        if off.count():
            off.click()
        play = page.get_by_test_id("play-demo")
        if play.is_enabled():
            play.click()
        page.wait_for_timeout(LIFE * 1000)


def _shows(page: Page, text: str) -> None:
    page.get_by_test_id("message").filter(has_text=text).first.wait_for(timeout=20_000)


def _first(page: Page, base: str, listed: str, pattern: str) -> str:
    """The address of the first row of a list."""
    page.goto(f"{base}{listed}")
    links = page.locator("main a[href]").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    return next(link for link in links if re.fullmatch(pattern, link))


def take_desk(browser: Browser, album: Album, story: Story) -> None:
    """The agent's own pages; the offers ring while the camera runs."""
    agent = enter(browser, story.base, "agent1")
    story.desk(agent)
    album.take(agent, "desk", phone=False)
    agent.set_viewport_size(PHONE)
    for pane in ("work", "thread", "customer"):
        agent.evaluate("pane => (document.querySelector('desk-board').dataset.pane = pane)", pane)
        album.press(agent, f"desk-{pane}-phone")
    agent.set_viewport_size(DESKTOP)
    agent.evaluate("document.querySelector('desk-board').dataset.pane = 'thread'")
    agent.locator(".thread__list").focus()
    for name, key in (("keys", "?"), ("commands", "Control+k"), ("close", "e")):
        agent.keyboard.press(key)
        agent.locator("dialog[open]").wait_for()
        album.take(agent, name, phone=name != "close")
        agent.keyboard.press("Escape")
    agent.goto(f"{story.base}/handover/")
    album.take(agent, "handover")
    agent.context.close()


def take_floor(browser: Browser, album: Album, story: Story) -> None:
    """The supervisor's pages, full."""
    page = enter(browser, story.base, "supervisor")
    story.broken()
    story.play(page)
    visits: list[tuple[str, str, Callable[[], object] | None]] = [
        ("board", "/boards/floor/", None),
        ("mentions", "/mentions/", lambda: page.keyboard.press("j")),
        ("queues", "/queues/", None),
        ("tickets", "/tickets/", None),
        ("customers", "/customers/", None),
        ("companies", "/companies/", None),
        ("imports", "/imports/", None),
        ("exports", "/exports/", None),
        ("quarantine", "/deliveries/", None),
        ("search", "/search/?q=invoice", None),
        ("macros", "/macros/", None),
        ("macro-new", "/macros/new/", None),
        ("notices", "/notices/", None),
        ("bulks", "/bulks/", None),
        ("privacy", "/privacy/", None),
        ("rights", "/rights/", None),
    ]
    for name, path, act in visits:
        page.goto(f"{story.base}{path}")
        if act:
            act()
        album.take(page, name)
    for name, listed, pattern in (
        ("customer", "/search/?q=Priscilla+Boateng", r"/customers/\d+/"),
        ("ticket", "/search/?q=two+weeks+without+service", r"/tickets/\d+/"),
        ("interaction", "/search/?q=two+weeks+without+service", r"/interactions/\d+/"),
    ):
        page.goto(f"{story.base}{_first(page, story.base, listed, pattern)}")
        album.take(page, name)
    customer = _first(page, story.base, "/search/?q=Priscilla+Boateng", r"/customers/\d+/")
    for name in ("privacy", "disclosure"):
        page.goto(f"{story.base}{customer}{name}/")
        album.take(page, f"customer-{name}")
    page.goto(f"{story.base}/nothing-here/")
    album.take(page, "not-found")
    page.goto(f"{story.base}/accounts/logout/")
    album.take(page, "logout", phone=False)
    page.context.close()


def take_house(browser: Browser, album: Album, base: str) -> None:
    """The entrance and the administration."""
    page = browser.new_context(viewport=DESKTOP).new_page()
    page.goto(f"{base}/accounts/login/")
    album.take(page, "login")
    page.context.close()
    page = enter(browser, base, "admin")
    page.goto(f"{base}/admin/")
    album.take(page, "admin")
    page.goto(f"{base}/admin/routing/queue/")
    album.take(page, "admin-queue")
    for name, path in (
        ("queue", "/queues/billing/"),
        ("queue-new", "/queues/new/"),
        ("scoring", "/scoring/"),
        ("simulator", "/simulator/"),
        ("merging", "/merging/"),
    ):
        page.goto(f"{base}{path}")
        album.take(page, name)
    page.context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="http://127.0.0.1:8000")
    parser.add_argument("--token", required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--only", choices=["desk", "floor", "house"])
    options = parser.parse_args()
    house.PASSWORD = os.environ.get("DEMO_PASSWORD", house.PASSWORD)
    story, album = Story(options.base.rstrip("/"), options.token), Album(options.out)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=options.browser, args=ARGS)
        if options.only in (None, "desk"):
            take_desk(browser, album, story)
        if options.only in (None, "floor"):
            take_floor(browser, album, story)
        if options.only in (None, "house"):
            take_house(browser, album, story.base)
        browser.close()


if __name__ == "__main__":
    main()
