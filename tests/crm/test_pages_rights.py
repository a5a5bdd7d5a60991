"""The pages of people and rights: what is given and taken there, and what is said when it is refused."""

import pytest
from django.test import Client

from crm.choices import Role
from crm.models import Grant, RightSet, User
from crm.services import rights
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return make.make_user(Role.ADMINISTRATOR)


@pytest.fixture
def client(admin) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def post(client: Client, path: str, **body) -> str:
    """What the page says after the act."""
    answer = client.post(path, body, follow=True)
    return answer.content.decode()


def test_a_set_is_made_given_seen_in_the_matrix_and_taken_away(client):
    team, person = make.make_team(name="Payments"), make.make_user(name="Ines Roth")
    said = post(
        client, "/rights/new/", name="Lead", note="of a team", rights=["supervise", "watch_boards", "import"]
    )
    made = RightSet.objects.get()
    assert "Made." in said and made.rights == ["import", "supervise", "watch_boards"]
    said = post(client, f"/people/{person.pk}/", act="give", set=made.pk, scope="team", team=team.pk)
    assert "Done." in said and "team Payments" in said
    person.refresh_from_db()
    assert person.reach == {one: {"teams": [team.pk]} for one in ("supervise", "watch_boards")}
    matrix = client.get("/rights/").content.decode()
    assert "Lead" in matrix and "given 1×" in matrix
    assert "team Payments" in client.get("/people/?q=ines").content.decode()
    post(client, f"/people/{person.pk}/", act="take", grant=Grant.objects.get().pk)
    person.refresh_from_db()
    assert person.reach == {}


def test_a_built_in_set_is_given_by_its_name_and_edited_nowhere(client):
    person = make.make_user()
    post(client, f"/people/{person.pk}/", act="give", set="auditor", scope="everywhere")
    assert Grant.objects.get().role == Role.AUDITOR
    assert client.get("/rights/auditor/").status_code == 404


def test_what_is_refused_says_why_and_loses_nothing_typed(client, admin):
    said = post(client, "/rights/new/", name="Supervisor", note="kept words", rights=["export"])
    assert "is taken" in said and "kept words" in said and not RightSet.objects.exists()
    said = post(client, f"/people/{admin.pk}/", act="change", role="agent", team="", is_active="1")
    assert "this is the last one" in said
    person = make.make_user()
    said = post(client, f"/people/{person.pk}/", act="give", set="agent", scope="team", team="")
    assert "goes with the scope team" in said
    for odd in (
        {"act": "fly"},
        {"act": "take", "grant": "1" * 25},
        {"act": "give", "set": "", "scope": "own"},
    ):
        assert client.post(f"/people/{person.pk}/", odd).status_code == 302
    assert not Grant.objects.exists()


def test_a_grant_of_another_person_is_not_taken_here(client, admin):
    person, other = make.make_user(), make.make_user()
    grant = rights.give(other, role=Role.AUDITOR, scope="everywhere", by=admin)
    client.post(f"/people/{person.pk}/", {"act": "take", "grant": grant.pk})
    assert Grant.objects.get().ended_at is None


def test_role_team_and_leaving_are_changed_on_the_persons_page(client):
    person, team = make.make_user(), make.make_team()
    post(client, f"/people/{person.pk}/", act="change", role="supervisor", team=team.pk, is_active="1")
    person.refresh_from_db()
    assert (person.role, person.team, person.is_active) == (Role.SUPERVISOR, team, True)
    post(client, f"/people/{person.pk}/", act="change", role="supervisor", team=team.pk)
    assert not User.objects.get(pk=person.pk).is_active
    assert person.email not in client.get("/people/").content.decode()
    assert person.email in client.get("/people/?away=1").content.decode()


def test_more_people_cost_no_more_statements(client, admin, django_assert_max_num_queries):
    right_set = rights.make_set(name="A", rights=["export"], by=admin)
    for _ in range(12):
        rights.give(make.make_user(team=make.make_team()), right_set=right_set, scope="everywhere", by=admin)
    with django_assert_max_num_queries(8):
        client.get("/people/")
    with django_assert_max_num_queries(6):
        client.get("/rights/")


def test_a_set_is_retired_and_used_again(client, admin):
    right_set = rights.make_set(name="A", rights=["export"], by=admin)
    person = make.make_user()
    rights.give(person, right_set=right_set, scope="everywhere", by=admin)
    post(client, f"/rights/{right_set.pk}/", act="retire")
    assert User.objects.get(pk=person.pk).reach == {}
    post(client, f"/rights/{right_set.pk}/", act="revive")
    assert User.objects.get(pk=person.pk).reach == {"export": {"all": True}}


def test_who_may_administer_by_a_set_finds_the_way_there_and_cannot_rise(admin):
    keeper = make.make_user()
    right_set = rights.make_set(name="Keeper", rights=["configure"], by=admin)
    rights.give(keeper, right_set=right_set, scope="everywhere", by=admin)
    client = Client()
    client.force_login(User.objects.get(pk=keeper.pk))
    assert 'href="/people/"' in client.get("/people/").content.decode()
    said = post(client, f"/people/{keeper.pk}/", act="change", role="administrator", team="", is_active="1")
    assert "Nobody gives what he has not himself" in said
    form = {"email": admin.email, "name": "", "alias": "", "role": "agent", "team": "", "is_active": "on"}
    assert client.post(f"/admin/crm/user/{admin.pk}/change/", form).status_code == 403
    passwords = {"password1": "long enough 42", "password2": "long enough 42"}
    assert client.post(f"/admin/crm/user/{admin.pk}/password/", passwords).status_code == 403
    new = {"email": "rise@example.com", "name": "R", "role": "administrator", "team": "", **passwords}
    assert client.post("/admin/crm/user/add/", new).status_code == 200
    assert not User.objects.filter(email="rise@example.com").exists()
