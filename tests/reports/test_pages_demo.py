"""The demo's buttons: for supervisors, by POST, only where the demo is."""

import pytest

from crm.choices import Role
from reports.models import Board
from reports.services import demo
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def played(settings, monkeypatch):
    settings.DEMO = True
    Board.objects.get_or_create(slug="floor", defaults={"title": "Floor"})
    done = []
    monkeypatch.setattr(demo, "playing", lambda: bool(done and done[-1] == "play"))
    monkeypatch.setattr(demo, "play", lambda: done.append("play") or 17)
    monkeypatch.setattr(demo, "colleagues_on", lambda: "on" in done)
    monkeypatch.setattr(demo, "colleagues", lambda *, on: done.append("on" if on else "off"))
    return done


def test_a_supervisor_plays_once_and_switches_colleagues(client, played):
    client.force_login(make.make_user(Role.SUPERVISOR))
    assert "Play the demo" in client.get("/boards/floor/").content.decode()
    answer = client.post("/demo/play/", follow=True).content.decode()
    assert "17 posts" in answer and "The demo is playing" in answer
    assert client.post("/demo/play/").status_code == 409
    client.post("/demo/colleagues/", {"on": "1"})
    client.post("/demo/colleagues/", {"on": "\x00"})
    assert played == ["play", "on", "off"]


@pytest.mark.parametrize("role", [Role.AGENT, Role.MARKETING, Role.AUDITOR])
def test_nobody_else_plays(client, played, role):
    client.force_login(make.make_user(role))
    assert client.post("/demo/play/").status_code == 403
    assert client.post("/demo/colleagues/", {"on": "1"}).status_code == 403
    assert played == []


def test_a_get_plays_nothing(client, played):
    client.force_login(make.make_user(Role.SUPERVISOR))
    assert client.get("/demo/play/").status_code == 405
    assert played == []


def test_without_the_demo_there_are_no_buttons(client, played, settings):
    settings.DEMO = False
    client.force_login(make.make_user(Role.SUPERVISOR))
    assert client.post("/demo/play/").status_code == 404
    assert "Play the demo" not in client.get("/boards/floor/").content.decode()
    assert played == []
