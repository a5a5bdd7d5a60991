"""The admin: configuration for administrators only, secrets that go in and never come out."""

import pytest

from crm.choices import Role
from crm.models import Activity, ApiToken, Channel, Code, Team, User
from crm.services import audit, tokens
from routing.models import Agent, Change, Queue
from tests import factories as make

pytestmark = pytest.mark.django_db

MODELS = (
    "crm/user", "crm/team", "crm/brand", "crm/channel", "crm/code", "crm/apitoken", "routing/queue",
    "routing/skill", "routing/agent", "routing/presencereason", "reports/board",
)  # fmt: skip


@pytest.fixture
def admin(client):
    user = make.make_user(Role.ADMINISTRATOR, is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


def channel_form(channel, **fields):
    return {
        "name": channel.name, "slug": channel.slug, "kind": channel.kind, "brand": channel.brand_id, "is_active": "on",
        "connector": "items", "base_url": "", "token": "", "secret": "", "previous_secret": "",
        "accounts-TOTAL_FORMS": 0, "accounts-INITIAL_FORMS": 0, **fields,
    }  # fmt: skip


def test_every_list_and_form_opens(client, admin):
    make.make_codes(), make.make_agent(), make.make_queue(), make.make_channel()
    tokens.issue(admin, name="mine")
    assert client.get("/admin/").status_code == 200
    for model in MODELS:
        assert client.get(f"/admin/{model}/").status_code == 200, model
        expected = 403 if model in ("crm/apitoken", "routing/queue") else 200
        assert client.get(f"/admin/{model}/add/").status_code == expected, model
    for path in (
        f"crm/user/{admin.pk}", f"crm/channel/{Channel.objects.first().pk}", f"crm/code/{Code.objects.first().pk}",
        f"crm/apitoken/{ApiToken.objects.first().pk}", f"routing/queue/{Queue.objects.first().pk}",
        f"routing/agent/{Agent.objects.first().pk}",
    ):  # fmt: skip
        assert client.get(f"/admin/{path}/change/").status_code == 200, path


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.AGENT, Role.AUDITOR, Role.MARKETING])
def test_nobody_else_configures_even_with_djangos_own_flags(client, role):
    client.force_login(make.make_user(role))
    assert client.get("/admin/").status_code == 302
    client.force_login(make.make_user(role, is_staff=True, is_superuser=True))
    for model in MODELS:
        assert client.get(f"/admin/{model}/").status_code == 302, model
        assert client.get(f"/admin/{model}/add/").status_code == 302, model


def test_strangers_come_in_by_the_one_login(client):
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/accounts/login/")


def test_a_stored_secret_is_never_shown_and_an_empty_field_keeps_it(client, admin):
    channel = make.make_channel(secret="canary-secret", token="canary-token", previous_secret="canary-old")
    path = f"/admin/crm/channel/{channel.pk}/change/"
    for shown in (path, "/admin/crm/channel/", f"/admin/crm/channel/{channel.pk}/history/"):
        assert "canary" not in client.get(shown).content.decode()
    assert client.post(path, channel_form(channel, name="Renamed")).status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.secret, channel.token, channel.previous_secret) == (
        "Renamed", "canary-secret", "canary-token", "canary-old",
    )  # fmt: skip


def test_a_form_with_an_error_does_not_give_the_secret_back(client, admin):
    channel = make.make_channel(secret="canary-secret")
    answer = client.post(
        f"/admin/crm/channel/{channel.pk}/change/", channel_form(channel, slug="", secret="canary-new")
    )
    assert answer.status_code == 200 and "canary" not in answer.content.decode()


def test_a_new_secret_leaves_the_old_one_valid_until_it_is_ended(client, admin):
    channel = make.make_channel(secret="old")
    client.post(f"/admin/crm/channel/{channel.pk}/change/", channel_form(channel, secret="new"))
    channel.refresh_from_db()
    assert (channel.secret, channel.previous_secret) == ("new", "old")
    client.post("/admin/crm/channel/", {"action": "end_previous_secret", "_selected_action": [channel.pk]})
    channel.refresh_from_db()
    assert (channel.secret, channel.previous_secret) == ("new", "")


def test_the_role_decides_who_may_open_the_admin(client, admin):
    form = {
        "email": "New@Example.com",
        "name": "New",
        "role": "administrator",
        "team": "",
        "password1": "long enough 42",
        "password2": "long enough 42",
    }
    assert client.post("/admin/crm/user/add/", form).status_code == 302
    created = User.objects.get(email="new@example.com")
    assert created.is_staff and created.check_password("long enough 42")
    changed = {
        "email": created.email,
        "name": "New",
        "alias": "",
        "role": "agent",
        "team": "",
        "is_active": "on",
    }
    assert client.post(f"/admin/crm/user/{created.pk}/change/", changed).status_code == 302
    created.refresh_from_db()
    assert (created.role, created.is_staff, created.is_superuser) == ("agent", False, False)


def test_people_and_codes_are_never_deleted(client, admin):
    reason, _ = make.make_codes()
    assert client.post(f"/admin/crm/user/{admin.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.post(f"/admin/crm/code/{reason.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_token_is_revoked_at_once(client, admin):
    text = tokens.issue(admin, name="mine")
    assert tokens.recognise(text) is not None
    page = client.get("/admin/crm/apitoken/").content.decode()
    assert text not in page and ApiToken.objects.get().digest not in page
    client.post("/admin/crm/apitoken/", {"action": "revoke", "_selected_action": [ApiToken.objects.get().pk]})
    assert tokens.recognise(text) is None


def test_each_change_of_configuration_is_a_line_of_the_history_without_secrets(client, admin):
    channel = make.make_channel(connector="items")
    client.post(
        f"/admin/crm/channel/{channel.pk}/change/",
        channel_form(channel, name="Renamed", secret="quite-a-secret", is_active=""),
    )
    line = Activity.objects.get(verb="config.changed")
    assert (line.actor, line.data["model"], line.data["row"]) == (admin, "channel", channel.pk)
    assert line.data["fields"]["is_active"] == [True, False] and line.data["fields"]["name"] is None
    assert "quite-a-secret" not in str(line.data)
    client.post("/admin/crm/team/add/", {"name": "Night", "slug": "night", "visibility": "closed"})
    assert Activity.objects.get(verb="config.added").data["fields"]["visibility"][1] == "closed"
    team = Team.objects.get(slug="night")
    client.post(f"/admin/crm/team/{team.pk}/delete/", {"post": "yes"})
    assert Activity.objects.get(verb="config.deleted").data == {"model": "team", "row": team.pk}
    token = tokens.issue(admin, name="mine")
    tokens.revoke(tokens.recognise(token), by=admin)
    tokens.revoke(ApiToken.objects.get(), by=admin)
    assert list(Activity.objects.filter(verb__startswith="token.").values_list("verb", flat=True).order_by("pk")) == [
        "token.issued", "token.revoked",
    ]  # fmt: skip
    assert audit.verify()["broken"] == 0


def test_languages_are_typed_as_people_write_them(client, admin):
    user = make.make_user()
    form = {
        "user": user.pk,
        "languages": "en, de",
        "capacity": 15,
        "parked_limit": 20,
        "agent_skills-TOTAL_FORMS": 0,
        "agent_skills-INITIAL_FORMS": 0,
    }
    assert client.post("/admin/routing/agent/add/", form).status_code == 302
    agent = Agent.objects.get(user=user)
    assert agent.languages == ["en", "de"] and agent.intervals.filter(ended_at=None).count() == 1
    assert Change.objects.filter(agent_id=agent.pk).exists(), "the conveyor reads the agent again"


def test_a_queue_is_looked_at_here_and_changed_on_its_page_with_a_reason(client, admin):
    queue = make.make_queue(name="Billing")
    listed = client.get("/admin/routing/queue/").content.decode()
    assert f'href="/queues/{queue.slug}/"' in listed and "delete_selected" not in listed
    looked = client.get(f"/admin/routing/queue/{queue.pk}/change/").content.decode()
    assert "Billing" in looked and 'name="_save"' not in looked
    for path in ("add", f"{queue.pk}/change", f"{queue.pk}/delete"):
        assert (
            client.post(f"/admin/routing/queue/{path}/", {"name": "Other", "post": "yes"}).status_code == 403
        ), path
    queue.refresh_from_db()
    assert queue.name == "Billing"
    assert client.get(f"/queues/{queue.slug}/").status_code == 200


def test_a_board_of_some_families_is_made(client, admin):
    assert (
        client.post(
            "/admin/reports/board/add/", {"title": "Calls", "slug": "calls", "families": ["voice"]}
        ).status_code
        == 302
    )
    assert client.get("/boards/calls/").status_code == 200
    assert (
        client.post(
            "/admin/reports/board/add/", {"title": "X", "slug": "x", "families": ["evil"]}
        ).status_code
        == 200
    )


@pytest.mark.parametrize("words", ["a\x00b", "\ud800", "x" * 100_000, "‮"])
def test_hostile_text_in_a_form_breaks_nothing(client, admin, words):
    answer = client.post(
        "/admin/crm/brand/add/", {"name": words.encode("utf-8", "replace"), "slug": "brand-x"}
    )
    assert answer.status_code in (200, 302, 400)
    assert client.get("/admin/crm/brand/", {"q": words.encode("utf-8", "replace")}).status_code in (
        200,
        302,
        400,
    )
