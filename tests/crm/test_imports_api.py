"""Imports and exports over REST, from the file that comes in to the file that leaves."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from crm.choices import Role
from crm.models import Customer, Import
from crm.services import exports, imports
from tests import factories as make

pytestmark = pytest.mark.django_db
JSON = {"content_type": "application/json"}


@pytest.fixture(autouse=True)
def by_hand(monkeypatch):
    """No worker takes the work out of the tests' hands."""
    for task in ("read_in", "write_out"):
        monkeypatch.setattr(f"crm.tasks.{task}.delay", lambda pk: None)


@pytest.fixture
def boss(client):
    user = make.make_user(Role.SUPERVISOR)
    client.force_login(user)
    return user


def send(client, raw, noun="customers", name="people.csv"):
    return client.post("/api/v1/imports/", {"file": SimpleUploadedFile(name, raw), "noun": noun})


def test_a_file_is_uploaded_mapped_tried_read_in_and_undone(client, boss):
    kept = send(client, b"Name,E-mail\nAnna,anna@example.com\nBad,no-address\n").json()
    here = f"/api/v1/imports/{kept['id']}/"
    assert (kept["state"], kept["mapping"], kept["noun"]) == ("open", ["name", "email"], "customers")
    targets = [one["target"] for one in client.get(here + "targets/").json()["results"]]
    assert "email" in targets and "handle:x" in targets
    wrong = client.patch(here, {"mapping": ["name", "no-such"]}, **JSON)
    assert wrong.status_code == 400 and "mapping" in wrong.json()["errors"]
    assert client.patch(here, {"region": "DE"}, **JSON).json()["region"] == "DE"
    for act, state in (("check", "checked"), ("start", "done"), ("undo", "undone")):
        assert client.post(f"{here}{act}/", **JSON).status_code == 202
        assert imports.work(kept["id"])
        seen = client.get(here).json()
        assert seen["state"] == state
        if act != "undo":
            assert (seen["passed"], seen["counts"]) == (2, {"created": 1, "failed": 1})
        assert Customer.objects.filter(name="Anna").count() == (act == "start")
    report = client.get(here + "rows/?outcome=failed").json()
    assert [(one["line"], "no e-mail address" in one["report"]) for one in report["results"]] == [(3, True)]
    assert client.get(here + "rows/?after=2").json()["results"][0]["line"] == 3
    assert client.post(here + "start/", **JSON).json()["code"] == "wrong_state"


@pytest.mark.parametrize(
    ("raw", "noun", "words"),
    [
        (b"a\x00,b\n1,2", "customers", "NUL"),
        (b"", "tickets", "is empty"),
        (b"a,A\n1,2", "companies", "twice"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_clear_refusal(client, boss, raw, noun, words):
    answer = send(client, raw, noun)
    assert answer.status_code == 400 and words in answer.json()["detail"] and not Import.objects.exists()


def test_odd_uploads_are_refused(client, boss):
    assert send(client, b"a\n1", "no-such").status_code == 400
    assert client.post("/api/v1/imports/", {}).status_code == 400
    assert client.post("/api/v1/imports/", {"file": "words"}, **JSON).status_code == 400
    kept = send(client, b"Name\nA").json()
    assert client.get(f"/api/v1/imports/{kept['id']}/rows/?outcome=x").status_code == 400
    assert client.get(f"/api/v1/imports/{kept['id']}/rows/?after=x").status_code == 400


def test_a_long_report_comes_in_pieces(client, boss):
    kept = send(client, b"Name\n" + b"\n".join(b"P%d" % n for n in range(250))).json()
    first = client.get(f"/api/v1/imports/{kept['id']}/rows/").json()
    rest = client.get(f"/api/v1/imports/{kept['id']}/rows/?after={first['next']}").json()
    assert (len(first["results"]), len(rest["results"]), rest["next"]) == (200, 50, None)


def test_an_export_is_asked_for_made_and_fetched(client, boss):
    make.make_customer(name="=Anna", language="de"), make.make_customer(name="Bob", language="en")
    asked = client.post(
        "/api/v1/exports/", {"noun": "customers", "format": "csv", "query": {"language": ["de"]}}, **JSON
    ).json()
    here = f"/api/v1/exports/{asked['id']}/"
    assert asked["state"] == "waiting" and client.get(here + "file/").json()["code"] == "not_ready"
    exports.work(asked["id"])
    assert client.get(here).json()["rows"] == 1
    answer = client.get(here + "file/")
    assert answer["Content-Disposition"].startswith("attachment") and "no-store" in answer["Cache-Control"]
    wrong = client.post(
        "/api/v1/exports/", {"noun": "customers", "format": "csv", "query": {"x": ["1"]}}, **JSON
    )
    assert wrong.status_code == 400
    client.force_login(make.make_user(Role.SUPERVISOR))
    assert client.get(here).status_code == 404
