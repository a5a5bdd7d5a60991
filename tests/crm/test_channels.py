"""Channels as people set them up: pages and REST, what is refused by field, and that no password ever comes back."""

import pytest
from django.test import Client

from crm.choices import Role
from crm.models import Activity, Channel, ChannelAccount, Poll
from crm.services import polls, tokens
from tests import factories as make
from tests.mailservers import PASSWORD, USER, Mailbox, Postbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return make.make_user(role=Role.ADMINISTRATOR)


@pytest.fixture
def page(admin):
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def servers(tmp_path):
    mailbox, postbox = Mailbox(tmp_path / "imap.log"), Postbox()
    yield mailbox, postbox
    postbox.stop()
    mailbox.stop()


def box(of, servers=None, **changes):
    ports = {"imap_port": servers[0].port, "smtp_port": servers[1].port} if servers else {}
    return {
        "name": "Care mail", "brand": of.slug, "address": "Care@Example.com", "user": USER, "password": PASSWORD,
        "imap_host": "127.0.0.1", "imap_security": "none", "smtp_host": "127.0.0.1", "smtp_security": "none", **ports, **changes,
    }  # fmt: skip


def test_the_guide_keeps_tries_out_and_switches_on(page, servers):
    mailbox, postbox = servers
    answer = page.post("/channels/mailbox/", box(make.make_brand(), servers))
    channel = Channel.objects.get(connector="mail")
    assert answer.url == f"/channels/{channel.pk}/" and not Poll.objects.get().is_on
    shown = page.post(answer.url, {"act": "probe"}).content.decode()
    assert "4 mails lie in INBOX" in shown and PASSWORD not in shown
    assert not postbox.taken
    # Nothing carries a mail from the one server to the other here: it left, and that it is not there is said.
    tried = page.post(answer.url, {"act": "trial"}).content.decode()
    assert len(postbox.taken) == 1 and "was not there" in tried
    page.post(answer.url, {"act": "on", "every": "15"})
    poll = Poll.objects.get()
    assert (poll.is_on, poll.every) == (True, 15)
    assert ChannelAccount.objects.get().external_id == "care@example.com"
    assert polls.due() == [channel.pk]
    verbs = list(Activity.objects.order_by("pk").values_list("verb", flat=True))
    assert verbs == ["channel.opened", "channel.tried", "poll.switched"]


def test_a_mail_to_ourselves_that_arrives_is_said_to(page, servers, monkeypatch):
    mailbox, postbox = servers
    monkeypatch.setattr(postbox, "taken", Carried(mailbox))
    page.post("/channels/mailbox/", box(make.make_brand(), servers))
    shown = page.post(
        f"/channels/{Channel.objects.get(connector='mail').pk}/", {"act": "trial"}
    ).content.decode()
    assert "left and arrived" in shown


class Carried(list):
    """What is taken is carried on into the mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__()
        self.mailbox = mailbox

    def append(self, mail: bytes) -> None:
        super().append(mail)
        self.mailbox.put(mail)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("brand", "nobody"), ("address", "care"), ("address", "a b@example.com"),
        ("imap_host", "imap.example.com/x"), ("password", ""),
        ("imap_host", "-"), ("imap_port", "0"), ("imap_port", "x"), ("imap_security", "ssl3"), ("since_days", "400"),
        ("folder", "IN\r\nBOX"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_by_field_and_nothing_is_kept(page, field, value):
    answer = page.post("/channels/mailbox/", box(make.make_brand(), **{field: value}))
    assert answer.status_code == 400 and f"<b>{field}</b>" in answer.content.decode()
    assert not Channel.objects.filter(connector="mail").exists()
    assert PASSWORD not in answer.content.decode()


def test_a_password_is_changed_or_kept_and_never_shown(page):
    brand = make.make_brand()
    page.post("/channels/mailbox/", box(brand))
    channel = Channel.objects.get(connector="mail")
    at = f"/channels/{channel.pk}/"
    page.post(at, {"act": "keep", **box(brand, password="", imap_host="imap.example.com", since_days="3")})
    channel.refresh_from_db()
    assert (
        channel.token == PASSWORD
        and channel.options["imap_host"] == "imap.example.com"
        and channel.options["since_days"] == 3
    )
    page.post(at, {"act": "keep", **box(brand, password="another one")})
    channel.refresh_from_db()
    assert channel.token == "another one"
    assert "another one" not in page.get(at).content.decode()
    line = Activity.objects.order_by("pk").last()
    assert "password" in line.data["fields"] and "another" not in str(line.data)


def test_what_fails_stands_first_and_says_why(page):
    for name in ("A good one", "Bad one"):
        made = make.make_channel(
            "email", slug=name[:1].lower() + "-box", name=name, connector="mail", options={}
        )
        Poll.objects.create(channel=made, is_on=True)
    polls.fetch(Channel.objects.get(name="Bad one").pk)
    shown = page.get("/channels/").content.decode()
    assert shown.index("Bad one") < shown.index("A good one") and "is not set up" in shown
    assert (
        "Nothing is lost" in page.get(f"/channels/{Channel.objects.get(name='Bad one').pk}/").content.decode()
    )


def test_the_same_over_rest(admin, servers):
    token = tokens.issue(admin, name="t")
    client = Client(headers={"Authorization": f"Bearer {token}"})
    made = client.post("/api/v1/channels/", box(make.make_brand(), servers), content_type="application/json")
    assert made.status_code == 201 and PASSWORD not in made.content.decode()
    at = f"/api/v1/channels/{made.json()['slug']}"
    assert client.post(f"{at}/probe/").json()["good"] is True
    assert (
        client.put(f"{at}/poll/", {"is_on": True, "every": 60}, content_type="application/json").json()[
            "every"
        ]
        == 60
    )
    assert client.get(f"{at}/poll/").json()["is_on"] is True
    wrong = client.post(
        "/api/v1/channels/", box(make.make_brand(), address="x"), content_type="application/json"
    )
    assert wrong.status_code == 400 and "address" in wrong.json()["errors"]
    pushed = make.make_channel("x", slug="pushed")
    assert client.get(f"/api/v1/channels/{pushed.slug}/poll/").status_code == 404
    assert (
        client.put(
            f"/api/v1/channels/{pushed.slug}/poll/", {"is_on": True}, content_type="application/json"
        ).status_code
        == 400
    )
