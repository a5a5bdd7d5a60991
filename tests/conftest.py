"""What a test run stands on: an embedded PostgreSQL without fsync and, for who asks, a Valkey; both go with it."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client

from crm import hub, launcher, rows

PATIENCE = 20.0  # s for threads of a test to end what they began
AT_WORK = (
    "SELECT pid, state, left(query, 200) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'"
)
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_unconfigure() -> None:
    """The home of the run was made by its settings."""
    shutil.rmtree(settings.HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def services() -> Iterator[dict]:
    """`services.json` of the run: database_url, redis_url, home. Started when the first test asks."""
    with launcher.embedded(Path(settings.HOME), durable=False) as running:
        yield running


@pytest.fixture(scope="session")
def django_db_modify_db_settings(services: dict) -> None:
    """pytest-django's hook: the test database is made in the embedded server."""
    folder = services["sockets"]
    connections.settings["default"]["HOST"] = folder
    connections["default"].settings_dict["HOST"] = folder


@pytest.fixture(autouse=True)
def _nobody_at_work_at_the_end(request) -> Iterator[None]:
    """Who commits has his tables emptied: nobody may still work on them then, or the two could wait for each other."""
    marker = request.node.get_closest_marker("django_db")
    commits = "transactional_db" in request.fixturenames or bool(marker and marker.kwargs.get("transaction"))
    if commits:
        request.getfixturevalue("transactional_db")  # so that this ends first
    yield
    if commits:
        until = time.monotonic() + PATIENCE
        while at_work := rows.run(AT_WORK):
            assert time.monotonic() < until, f"at work when the test was over: {at_work}"
            time.sleep(0.02)


@pytest.fixture(autouse=True)
def said_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is logged in by a test has said his password just now, as at the page of the login."""
    log_in = Client._login

    def freshly(self: Client, user, backend=None) -> None:
        log_in(self, user, backend)
        session = self.session
        session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
        session["account_authentication_methods_user"] = str(user.pk)
        session.save()

    monkeypatch.setattr(Client, "_login", freshly)


@pytest.fixture
def valkey(services: dict, settings) -> str:
    """The address of a real, empty Valkey."""
    settings.REDIS_URL = services["redis_url"]
    launcher.parts.empty_valkey(Path(services["sockets"]))
    return services["redis_url"]


@pytest.fixture
def running(transactional_db, services: dict, settings) -> Iterator[hub.Hub]:
    """A hub of its own for each test; bells are rung by hand, the rows are real."""
    settings.REDIS_URL = "redis://127.0.0.1:1/"
    hub.hub._tasks = []
    yield hub.hub
    # A story's end cancels its tasks, not what their threads have begun: that must be over when the tables are emptied.
    hub.hub._threads.shutdown(wait=True)
    hub.hub._threads = hub.threads()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a browser; without one the test is skipped, and the run says so."""
    for name in CHROMIUMS:
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            if os.access(found := os.path.join(folder, name), os.X_OK):
                return found
    pytest.skip("no Chromium or Chrome found: install one, for example `apt-get install chromium`")
