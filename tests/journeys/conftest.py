"""One running house and one browser for all journeys of a run."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.journeys.house import ARGS, House

# What is expected comes; how soon is measured elsewhere. A crowded machine must not fail a journey and leave its work open.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def house(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("house")
    for folder in (home, *home.parents):  # the user who runs PostgreSQL must reach its data
        if folder.stat().st_uid == os.getuid() and str(folder) != "/":
            folder.chmod(folder.stat().st_mode | 0o011)
    running = House(home)
    yield running
    running.stop()


@pytest.fixture(scope="module")  # no longer: while it is there, Django takes this thread for a loop's
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=ARGS)
        yield opened
        opened.close()
