"""Fields of our own are as good as built-in ones: read from files, asked about on page and over REST, set, shown, exported."""

import json
import re

import pytest

from crm.choices import Role
from crm.models import CustomField
from crm.services import exports, imports
from tests import factories as make

pytestmark = pytest.mark.django_db

JSON = "application/json"
NOUNS = {"customers": "customer", "companies": "company", "tickets": "ticket"}
KINDS = {
    "word": "text", "size": "number", "since": "date", "sure": "boolean", "grade": "choice", "likes": "multi_choice",
    "site": "link",
}  # fmt: skip
# By field: how a file says it, how it is kept, and a condition that finds it.
SAID = {
    "word": ("Blue door", "Blue door", ("contains", "blue")),
    "size": ("12.5", 12.5, ("at_least", 12)),
    "since": ("2024-02-29", "2024-02-29", ("before", "2024-03-01")),
    "sure": ("yes", True, ("is", True)),
    "grade": ("gold", "gold", ("any_of", ["gold"])),
    "likes": ("tea, rum", ["rum", "tea"], ("all_of", ["tea", "rum"])),
    "site": ("https://a.example/x", "https://a.example/x", ("begins", "https://a.")),
}
FILES = {
    "customers": "Name\nAnna",
    "companies": "Name\nAcme",
    "tickets": "E-mail,Number,Subject\na@example.com,T-1,Late",
}


@pytest.fixture(autouse=True)
def by_hand(monkeypatch):
    monkeypatch.setattr("crm.tasks.read_in.delay", lambda import_id: None)


@pytest.fixture
def boss(client):
    user = make.make_user(Role.ADMINISTRATOR)
    client.force_login(user)
    make.make_brand()
    make.make_identity(make.make_customer(), kind="email", value="a@example.com", handle="")
    return user


def imported(noun, boss):
    """A row read from a file with a field of each kind, and the fields of the noun."""
    for slug, kind in KINDS.items():
        choices = {"choice": ["gold", "tin"], "multi_choice": ["rum", "tea"]}.get(kind, [])
        CustomField.objects.create(
            noun=NOUNS[noun], slug=slug, label=slug.title(), kind=kind, choices=choices
        )
    head, cells = FILES[noun].split("\n")
    head += "," + ",".join(slug.title() for slug in KINDS)
    cells += "," + ",".join(f'"{SAID[slug][0]}"' for slug in KINDS)
    kept = imports.upload(f"{head}\n{cells}\n".encode(), "own.csv", by=boss, noun=noun)
    assert [one for one in kept.mapping if one.startswith("field:")] == [f"field:{slug}" for slug in KINDS]
    imports.start(kept, by=boss)
    assert imports.work(kept.pk)
    kept.refresh_from_db()
    assert kept.counts == {"created": 1}, [one.report for one in kept.rows.all()]


@pytest.mark.parametrize("noun", NOUNS)
def test_what_a_file_says_is_found_by_conditions_on_page_and_over_rest(client, boss, noun):
    imported(noun, boss)
    make.make_customer(name="Nobody"), make.make_ticket()
    for slug, (_, stored, (op, value)) in SAID.items():
        where = {"where": json.dumps({"column": f"fields.{slug}", "op": op, "value": value})}
        (row,) = client.get(f"/api/v1/{noun}/", where).json()["results"]
        assert row["fields"][slug] == stored
        view = {"view": "all", "columns": f"fields.{slug}"} | where
        page = client.get(f"/{noun}/", view)
        assert [one.pk for one in page.context["rows"]] == [row["id"]], slug
        assert [head["label"] for head in page.context["heads"]] == [slug.title()]
        assert (
            not client.get(f"/api/v1/{noun}/", {"where": where["where"].replace('"op"', '"x"')})
            .json()
            .get("results")
        )
        ready = exports.ask(noun, "jsonl", {"where": [where["where"]]}, by=boss)
        assert json.loads(json.loads(ready.body)["fields"])[slug] == stored


@pytest.mark.parametrize("noun", NOUNS)
def test_they_are_set_over_rest_and_in_many_rows_and_what_does_not_fit_is_refused(client, boss, noun):
    imported(noun, boss)
    where = json.dumps({"column": "fields.grade", "op": "filled"})
    (row,) = client.get(f"/api/v1/{noun}/", {"where": where}).json()["results"]
    path = f"/api/v1/{noun}/{row['id']}/"
    assert client.patch(path, {"fields": {"size": 3, "grade": None}}, content_type=JSON).status_code == 200
    said = client.get(path).json()["fields"]
    assert said["size"] == 3 and "grade" not in said and said["word"] == "Blue door"
    for slug, wrong in (
        ("size", "big"),
        ("since", "soon"),
        ("sure", "maybe"),
        ("grade", "lead"),
        ("site", "javascript:x"),
    ):
        refused = client.patch(path, {"fields": {slug: wrong}}, content_type=JSON)
        assert refused.status_code == 400 and f"fields.{slug}" in refused.json()["errors"], slug
    body = {"noun": noun, "ids": [row["id"]], "change": {"fields.grade": "tin", "fields.sure": False}}
    bulk = client.post("/api/v1/bulks/", body, content_type=JSON).json()
    assert client.post(f"/api/v1/bulks/{bulk['id']}/start/").json()["counts"] == {"changed": 1}
    said = client.get(path).json()["fields"]
    assert (said["grade"], said["sure"]) == ("tin", False)


@pytest.mark.parametrize("noun", NOUNS)
def test_a_retired_or_restricted_field_is_no_column_of_its_list(client, boss, noun):
    kept = {"noun": NOUNS[noun], "kind": "text"}
    CustomField.objects.create(**kept, slug="gone", label="Gone", retired=True)
    CustomField.objects.create(**kept, slug="iban", label="IBAN", restricted=True)
    names = {one["name"] for one in client.get(f"/api/v1/lists/{noun}/").json()["columns"]}
    assert not names & {"fields.gone", "fields.iban"}
    for slug in ("gone", "iban"):
        where = json.dumps({"column": f"fields.{slug}", "op": "filled"})
        assert client.get(f"/api/v1/{noun}/", {"where": where}).status_code == 400


@pytest.mark.parametrize("noun", NOUNS)
def test_a_page_says_them_by_their_labels_in_words(client, boss, noun):
    imported(noun, boss)
    CustomField.objects.filter(slug="word").update(label="Colour of the door", retired=False)
    CustomField.objects.filter(slug="site").update(retired=True)
    (row,) = client.get(f"/api/v1/{noun}/", {"where": '{"column": "fields.size", "op": "filled"}'}).json()[
        "results"
    ]
    page = client.get(f"/{noun}/{row['id']}/").content.decode()
    shown = dict(
        re.findall(r"<dt>(?:<bdi[^>]*>)?([^<]+)(?:</bdi>)?</dt><dd><bdi[^>]*>([^<]*)</bdi></dd>", page)
    )
    wanted = {
        "Colour of the door": "Blue door",
        "Size": "12.5",
        "Sure": "yes",
        "Grade": "gold",
        "Likes": "rum, tea",
    }
    assert wanted.items() <= shown.items() and "https://a.example" not in page


@pytest.mark.parametrize("choices", ["7", "99999999999999999999999", '{"a": 1}', "[1]", '[""]', '"gold"'])
def test_choices_that_are_no_list_of_words_are_refused_in_the_administration(client, boss, choices):
    kept = CustomField.objects.create(
        noun="customer", slug="grade", label="Grade", kind="choice", choices=["gold"]
    )
    path = f"/admin/crm/customfield/{kept.pk}/change/"
    page = client.post(path, {"label": "Grade", "choices": choices, "place": "1"})
    assert page.status_code == 200 and "A list of words" in page.content.decode()
    assert (
        client.post(path, {"label": "Grade", "choices": '["gold", "tin"]', "place": "1"}).status_code == 302
    )
    kept.refresh_from_db()
    assert kept.choices == ["gold", "tin"]
