"""An administrator looks as others see it: their pages, rows and sockets, and nothing that could be changed."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from crm import consumers
from crm import hub as hubs
from crm.choices import Role, TeamVisibility
from crm.models import Activity, Company, RightSet, Ticket, User, Viewing
from crm.services import rights, viewing
from routing.models import Agent
from tests import factories as make
from tests.architecture import access_table as table
from tests.architecture.centre import build, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return make.make_user(Role.ADMINISTRATOR)


@pytest.fixture
def looker(admin) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def look(client: Client, **as_whom) -> None:
    assert client.post("/viewing/", as_whom).status_code == 302
    assert "viewing" in client.session


def test_the_view_shows_what_the_person_sees_and_no_more(looker):
    theirs = make.make_team(visibility=TeamVisibility.CLOSED)
    hidden, seen = make.make_ticket(team=theirs), make.make_ticket()
    agent = make.make_user(team=make.make_team())
    assert looker.get(f"/tickets/{hidden.pk}/").status_code == 200
    look(looker, person=agent.pk)
    assert looker.get(f"/tickets/{hidden.pk}/").status_code == 404
    assert looker.get(f"/api/v1/tickets/{hidden.pk}/").status_code == 404
    assert looker.get(f"/tickets/{seen.pk}/").status_code == 200
    assert looker.get("/people/").status_code == 403
    assert looker.get("/admin/").status_code == 302
    rows = looker.get("/api/v1/tickets/").json()["results"]
    assert [one["id"] for one in rows] == [seen.pk]
    looker.post("/viewing/end/")
    assert looker.get(f"/tickets/{hidden.pk}/").status_code == 200


NOTED = ("{export}", "{bulk}", "personal-data", "api/v1/companies/{company}/restricted/")


@pytest.mark.parametrize("role", Role.values)
def test_each_role_is_seen_as_the_table_says(role):
    """Every page and REST read, as the role sees it; the letters' own team is that of the view."""
    centre = build()
    client = Client(raise_request_exception=False)
    client.force_login(centre.users["A"])
    letter = next(one for one, known in table.ROLES.items() if known == role)
    in_team = role in (Role.SUPERVISOR, Role.AGENT, Role.MARKETING)
    look(client, role=role, **({"team": centre.own["team"]} if in_team else {}))
    for door in (*table.REST, *table.PAGES):
        if door.method != "GET" or not door.foreign:
            continue
        answer = client.get(door.path.format(**centre.foreign))
        # One's own is that of who looks; what is held on a person is noted when it is read, so it is not read here.
        if not any(part in door.path for part in NOTED):
            assert str(answer.status_code) == table.cell(door.foreign)[letter], str(door)


def test_every_write_is_refused_with_a_clear_word():
    centre = build()
    client = Client(raise_request_exception=False)
    client.force_login(centre.users["A"])
    look(client, role=Role.SUPERVISOR)
    before = Activity.objects.count()
    for door in (*table.REST, *table.PAGES):
        if door.method == "GET" or door.path == "/viewing/end/":
            continue
        path = door.path.format(**centre.own)
        answer = client.generic(door.method, path, b"{}", content_type="application/json")
        assert answer.status_code == 403, str(door)
        if path.startswith("/api/"):
            assert answer["Content-Type"] == "application/problem+json" and answer.json()["code"] == "viewing"
        else:
            assert "nothing can be changed" in answer.content.decode(), str(door)
    assert Activity.objects.count() == before


def test_a_read_that_would_write_cannot(looker, admin, monkeypatch):
    def scribble(self, request, **kwargs):
        Ticket.objects.create(customer=make.make_customer(), brand=make.make_brand(), subject="Sneaked in")
        return {}

    monkeypatch.setattr("crm.views.home.Keys.context", scribble)
    assert looker.get("/help/keys/").status_code == 200
    assert Ticket.objects.filter(subject="Sneaked in").count() == 1
    look(looker, role=Role.AGENT)
    assert looker.get("/help/keys/").status_code == 403
    assert Ticket.objects.filter(subject="Sneaked in").count() == 1


def test_the_banner_with_the_way_out_stands_on_every_page():
    centre = build()
    client = Client(raise_request_exception=False)
    client.force_login(centre.users["A"])
    look(client, role=Role.SUPERVISOR)
    whole = [door for door in table.PAGES if door.method == "GET" and "302" not in door.own]
    shown = 0
    for door in whole:
        answer = client.get(door.path.format(**centre.own))
        if answer["Content-Type"].startswith("text/html") and b"</html>" in answer.content:
            assert b'data-testid="viewing"' in answer.content and b"/viewing/end/" in answer.content, str(
                door
            )
            shown += 1
    assert shown > 20
    look_as_admin = make.make_user(Role.ADMINISTRATOR)
    client.post("/viewing/end/")
    look(client, person=look_as_admin.pk)
    assert b'data-testid="viewing"' in client.get("/admin/").content


@pytest.mark.parametrize("role", [one for one in Role if one != Role.ADMINISTRATOR])
def test_only_administrators_look_as_others(role, admin):
    user = make.make_user(role)
    right_set = rights.make_set(name="Administering", rights=["configure"], by=admin)
    rights.give(user, right_set=right_set, scope="everywhere", by=admin)
    client = Client()
    client.force_login(user)
    assert client.post("/viewing/", {"role": "auditor"}).status_code == 403
    assert not Viewing.objects.exists() and "viewing" not in client.session


def test_a_view_ends_by_itself_and_with_the_rights_of_who_looks(looker, admin):
    make.make_user(Role.ADMINISTRATOR)
    look(looker, role=Role.AGENT)
    Viewing.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert looker.get("/people/").status_code == 200 and "viewing" not in looker.session
    viewing.end_over()
    assert Activity.objects.filter(verb="viewing.ended", actor=None).count() == 1
    look(looker, role=Role.AUDITOR)
    rights.change_person(admin, {"role": Role.AGENT}, by=admin)
    assert looker.get("/privacy/").status_code == 403  # an agent's answer, not the auditor's


def test_start_and_end_stand_in_the_history(looker, admin):
    agent = make.make_user()
    look(looker, person=agent.pk)
    assert looker.post("/viewing/end/").url == f"/people/{agent.pk}/"
    assert looker.post("/viewing/end/").status_code == 302
    lines = Activity.objects.filter(verb__startswith="viewing.").order_by("pk")
    assert [(one.verb, one.actor_id, one.data["as"], one.data["kind"]) for one in lines] == [
        ("viewing.started", admin.pk, str(agent.pk), "person"),
        ("viewing.ended", admin.pk, str(agent.pk), "person"),
    ]


def test_a_new_view_ends_the_one_before(looker):
    look(looker, role=Role.AGENT)
    looker.post("/viewing/end/")
    look(looker, role=Role.AUDITOR)
    assert Viewing.objects.filter(ended_at=None).count() == 1


def test_logging_out_is_possible_while_looking(looker):
    look(looker, role=Role.AGENT)
    assert looker.post("/accounts/logout/").status_code == 302
    assert looker.get("/people/").status_code == 302


def test_a_view_is_of_one_session_and_never_of_a_token(looker, admin):
    look(looker, role=Role.AGENT)
    other = Client()
    other.force_login(admin)
    assert other.get("/people/").status_code == 200
    session = other.session
    session["viewing"] = Viewing.objects.get().pk
    session.save()
    assert other.get("/people/").status_code == 200  # another session's view is nobody's here
    headers = {"Authorization": f"Bearer {make_token(admin)}"}
    body = {"data": {"name": "Acme"}, "content_type": "application/json"}
    assert looker.post("/api/v1/companies/", **body, headers=headers).status_code == 201
    # Where the session decides, no header opens a way around the view.
    body["data"]["name"] = "Others"
    assert (
        looker.post("/api/v1/companies/", **body, headers={"Authorization": "Basic eA=="}).status_code == 403
    )
    assert (
        looker.post("/rights/new/", {"name": "Third", "rights": "export"}, headers=headers).status_code == 403
    )
    assert Company.objects.count() == 1 and not RightSet.objects.exists()


def test_a_set_is_seen_alone(looker, admin):
    theirs = make.make_team(visibility=TeamVisibility.CLOSED)
    right_set = rights.make_set(name="Readers", rights=["read_work", "import"], by=admin)
    mine, other = make.make_ticket(team=theirs), make.make_ticket()
    look(looker, set=right_set.pk, team=theirs.pk)
    assert looker.get(f"/tickets/{mine.pk}/").status_code == 200
    assert looker.get(f"/tickets/{other.pk}/").status_code == 404
    assert looker.get("/customers/").status_code == 403
    assert looker.get("/imports/").status_code == 403  # a right of the whole house does not come with a team
    looker.post("/viewing/end/")
    look(looker, set=right_set.pk)
    assert looker.get("/imports/").status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"role": "king"},
        {"person": "0"},
        {"person": "x"},
        {"person": "9" * 25},
        {"role": "agent", "set": "1"},
    ],
)
def test_odd_wishes_begin_no_view(looker, asked):
    RightSet.objects.create(pk=1, name="A", rights=["export"])
    assert looker.post("/viewing/", asked).status_code == 302
    assert not Viewing.objects.exists() and "viewing" not in looker.session


# --- Sockets


def test_a_socket_opened_while_looking_is_the_others_and_no_sign_of_life(looker, admin):
    agent: Agent = make.make_agent()
    key = looker.session.session_key
    plain = consumers._by_session(key)
    assert plain.user == admin and plain.viewer is None
    look(looker, person=agent.user_id)
    assert hubs._standing([plain]) == {id(plain): 4408}
    looking = consumers._by_session(key)
    assert (looking.user, looking.viewer) == (agent.user, admin)
    assert hubs._standing([looking]) == {id(looking): 0}
    socket = hubs.Socket(person=looking, send=None, close=None, beats=True)
    own = hubs.Hub()
    own.beat(socket)
    assert own._beats == set()
    User.objects.filter(pk=agent.user_id).update(role=Role.AUDITOR)
    assert hubs._standing([looking]) == {id(looking): 4408}
    looker.post("/viewing/end/")
    again = consumers._by_session(key)
    assert hubs._standing([looking]) == {id(looking): 4408} and again.viewer is None


def test_a_socket_as_a_role_stands_while_who_looks_does(looker, admin):
    make.make_user(Role.ADMINISTRATOR)
    look(looker, role=Role.SUPERVISOR)
    person = consumers._by_session(looker.session.session_key)
    assert person.user.role == Role.SUPERVISOR and hubs._standing([person]) == {id(person): 0}
    User.objects.filter(pk=admin.pk).update(is_active=False)
    assert hubs._standing([person])[id(person)] == 4401
