"""Roles, rights and tokens are changed by who has just said his password: on pages, in the administration, over REST."""

import pytest
from django.test import Client

from crm.choices import Role, Scope
from crm.models import ApiToken, Grant, RightSet, User
from crm.services import rights, tokens
from tests import factories as make

pytestmark = pytest.mark.django_db

JSON = "application/json"
WORD = "a-long-word-for-tests"
ASKED = "/accounts/reauthenticate/"


@pytest.fixture
def boss():
    user = make.make_user(Role.ADMINISTRATOR)
    user.set_password(WORD)
    user.save()
    return user


@pytest.fixture
def stale(boss, client):
    """Logged in, but longer ago than is good for changes of rights."""
    client.force_login(boss)
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": 1_000_000.0}]
    session.save()
    return client


@pytest.fixture
def person():
    return make.make_user(Role.AGENT)


def role_of(person):
    return User.objects.get(pk=person.pk).role


def change(role=Role.AUDITOR):
    return {"act": "change", "role": role, "team": "", "is_active": "1"}


def test_a_page_asks_for_the_password_and_then_does_what_was_asked(stale, person):
    path = f"/people/{person.pk}/"
    assert stale.get(path).status_code == 200, "to look asks nothing"
    asked = stale.post(path, change())
    assert asked.status_code == 302 and asked["Location"].startswith(ASKED) and role_of(person) == Role.AGENT
    page = stale.get(asked["Location"])
    assert page.status_code == 200 and "Your password again" in page.content.decode()
    wrong = stale.post(ASKED, {"password": "wrong", "next": path})
    assert (
        wrong.status_code == 200
        and "aria-invalid" in wrong.content.decode()
        and role_of(person) == Role.AGENT
    )
    done = stale.post(ASKED, {"password": WORD, "next": path})
    assert done["Location"] == path and role_of(person) == Role.AUDITOR
    # For the next minutes it is not asked again.
    assert stale.post(path, change(Role.MARKETING))["Location"] == path and role_of(person) == Role.MARKETING


def test_who_has_just_logged_in_is_not_asked(boss, person):
    client = Client()
    client.post("/accounts/login/", {"login": boss.email, "password": WORD})
    client.post(f"/people/{person.pk}/", change())
    assert role_of(person) == Role.AUDITOR


@pytest.mark.parametrize(
    "body",
    [
        {"act": "give", "set": "auditor", "scope": "everywhere"},
        {"act": "take", "grant": "1"},
        {"act": "change", "role": "agent"},
    ],
)
def test_every_act_on_a_person_asks(stale, person, body):
    assert stale.post(f"/people/{person.pk}/", body)["Location"].startswith(ASKED)
    assert not Grant.objects.exists()


def test_sets_are_made_and_changed_with_the_password(stale, boss):
    kept = rights.make_set(name="Keepers", rights=["export"], by=boss)
    body = {"name": "Others", "rights": "import"}
    assert stale.post("/rights/new/", body)["Location"].startswith(ASKED)
    assert stale.post(f"/rights/{kept.pk}/", body)["Location"].startswith(ASKED)
    assert stale.post(f"/rights/{kept.pk}/", {"act": "retire"})["Location"].startswith(ASKED)
    kept.refresh_from_db()
    assert RightSet.objects.count() == 1 and (kept.name, kept.retired) == ("Keepers", False)


def test_who_may_not_is_refused_and_asked_nothing(person):
    client = Client()
    client.force_login(person)
    session = client.session
    session["account_authentication_methods"] = []
    session.save()
    assert client.post("/rights/new/", {"name": "A", "rights": "export"}).status_code == 403


def test_the_administration_asks_when_a_form_of_people_is_opened_or_sent(stale, person):
    before = User.objects.count()
    for path in (
        f"/admin/crm/user/{person.pk}/change/",
        f"/admin/crm/user/{person.pk}/password/",
        "/admin/crm/user/add/",
    ):
        for answer in (
            stale.get(path),
            stale.post(path, {"password1": "secret-enough-1", "role": "administrator"}),
        ):
            assert answer.status_code == 302 and answer["Location"].startswith(f"{ASKED}?next=%2Fadmin%2F"), (
                path
            )
    assert "secret-enough-1" not in str(dict(stale.session)), "a password is kept nowhere meanwhile"
    assert stale.get("/admin/crm/user/").status_code == 200
    assert role_of(person) == Role.AGENT and User.objects.count() == before
    stale.post(ASKED, {"password": WORD, "next": "/admin/crm/user/add/"})
    assert stale.get("/admin/crm/user/add/").status_code == 200


def test_a_token_is_revoked_with_the_password(stale, person):
    tokens.issue(person, name="till")
    kept = ApiToken.objects.get()
    body = {"action": "revoke", "_selected_action": [kept.pk]}
    assert stale.post("/admin/crm/apitoken/", body)["Location"].startswith(ASKED)
    kept.refresh_from_db()
    assert kept.revoked_at is None
    stale.post(ASKED, {"password": WORD, "next": "/admin/crm/apitoken/"})
    stale.post("/admin/crm/apitoken/", body)
    kept.refresh_from_db()
    assert kept.revoked_at is not None


def writes(kept, grant, person):
    return (
        ("post", "/api/v1/right-sets/", {"name": "Others", "rights": ["import"]}),
        ("patch", f"/api/v1/right-sets/{kept.pk}/", {"note": "new"}),
        ("post", "/api/v1/grants/", {"user": person.pk, "role": "auditor", "scope": "everywhere"}),
        ("post", f"/api/v1/grants/{grant.pk}/take/", {}),
    )


def test_rest_answers_password_needed_and_no_token_changes_rights(stale, boss, person):
    kept = rights.make_set(name="Keepers", rights=["export"], by=boss)
    grant = rights.give(person, right_set=kept, scope=Scope.EVERYWHERE, by=boss)
    token = {"Authorization": f"Bearer {tokens.issue(boss, name='all', scopes=['rights:write'])}"}
    for method, path, body in writes(kept, grant, person):
        said = getattr(stale, method)(path, body, content_type=JSON)
        assert (said.status_code, said.json()["code"]) == (403, "password_needed"), path
        assert ASKED in said.json()["detail"]
        said = getattr(Client(), method)(path, body, content_type=JSON, headers=token)
        assert (said.status_code, said.json()["code"]) == (403, "not_by_token"), path
    kept.refresh_from_db()
    assert (RightSet.objects.count(), Grant.objects.count(), kept.note) == (1, 1, "")
    stale.post(ASKED, {"password": WORD, "next": "/"})
    for method, path, body in writes(kept, grant, person):
        assert getattr(stale, method)(path, body, content_type=JSON).status_code in (200, 201), path
