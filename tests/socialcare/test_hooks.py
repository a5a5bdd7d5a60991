"""Webhooks of X and Meta in their own formats: handshake, signature over the raw bytes, and what becomes of each event.

The networks themselves were not tried: the bodies are those that others published, the calls are looked at by a server of ours.
"""

import asyncio
import base64
import hmac
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import orjson
import pytest

from crm.connectors import base, items
from crm.errors import DeliveryError
from crm.intake import Intake
from crm.models import ChannelAccount, Delivery, Interaction
from crm.services import deliveries, messages
from socialcare.models import Mention
from socialcare.networks import meta, x
from tests import factories

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
QUOTED = DATA / "payloads_webhooks_quoted"
given_bodies = pytest.mark.skipif(not QUOTED.is_dir(), reason="the bodies given to developers are not here")
SECRET = "the app's secret"


def meta_signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"x-hub-signature-256": f"sha256={hmac.new(secret.encode(), body, sha256).hexdigest()}"}


def x_signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    mac = base64.b64encode(hmac.new(secret.encode(), body, sha256).digest()).decode()
    return {"x-twitter-webhooks-signature": f"sha256={mac}"}


def ask(method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, query: str = ""):
    """One request at the door: status and body."""

    async def go():
        intake, sent, chunks = Intake(), [], [body]

        async def receive():
            return {"type": "http.request", "body": chunks.pop(0), "more_body": False}

        async def send(message):
            sent.append(message)

        named = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": named,
            "query_string": query.encode(),
        }
        assert intake.serves(path, method)
        await intake(scope, receive, send)
        if intake._connection:
            await intake._connection.close()
        return sent[0]["status"], sent[1]["body"]

    return asyncio.run(go())


@pytest.fixture
def page(transactional_db):
    options = {"account": "1234567890321", "verify_token": "agreed"}
    return factories.make_channel("facebook", slug="page", connector="meta", secret=SECRET, options=options)


@pytest.fixture
def brand_on_x(transactional_db):
    made = factories.make_channel("x", slug="brand-x", connector="x", secret=SECRET)
    ChannelAccount.objects.create(channel=made, external_id="1", handle="chatwootapp")
    return made


def run_through() -> None:
    while deliveries.process():
        pass


# --- Handshakes and signatures


def test_meta_is_answered_its_challenge_only_for_the_token_that_was_agreed(page):
    asked = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
    assert ask("GET", "/hooks/meta/page/", query=asked + "agreed") == (200, b"1158201444")
    assert ask("GET", "/hooks/meta/page/", query=asked + "guessed")[0] == 403
    assert ask("GET", "/hooks/meta/page/", query=asked.replace("subscribe", "x") + "agreed")[0] == 403
    assert ask("GET", "/hooks/meta/page/", query="&".join(["a=b"] * 60))[0] == 400
    assert ask("GET", "/hooks/x/page/", query="crc_token=a")[0] == 404  # this channel speaks Meta's language
    assert ask("GET", "/hooks/meta/nobody/", query=asked + "agreed")[0] == 404
    assert ask("PUT", "/hooks/meta/page/")[0] == 405


def test_x_is_answered_by_the_hmac_of_its_token(brand_on_x):
    status, body = ask("GET", "/hooks/x/brand-x/", query="crc_token=foo")
    wanted = base64.b64encode(hmac.new(SECRET.encode(), b"foo", sha256).digest()).decode()
    assert (status, orjson.loads(body)) == (200, {"response_token": f"sha256={wanted}"})
    assert ask("GET", "/hooks/x/brand-x/")[0] == 403


def test_what_is_not_signed_is_not_read(page, brand_on_x):
    body = orjson.dumps({"object": "page", "entry": []})
    for headers in (
        {},
        meta_signed(body, "another"),
        meta_signed(body + b" "),
        {"x-hub-signature-256": "sha1=0"},
    ):
        assert ask("POST", "/hooks/meta/page/", body, headers)[0] == 401
    assert ask("POST", "/hooks/meta/page/", body, meta_signed(body))[0] == 200
    assert ask("POST", "/hooks/x/brand-x/", b"{}", x_signed(b"{}", "another"))[0] == 401
    assert ask("POST", "/hooks/x/brand-x/", b"{}", x_signed(b"{}"))[0] == 200
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"5",
        b'{"entry": 5}',
        b'{"entry": [null, {"changes": {}}]}',
        b'{"entry": [{"messaging": [{}]}]}',
    ],
)
def test_odd_bodies_are_refused_or_hold_nothing(page, body):
    assert ask("POST", "/hooks/meta/page/", body, meta_signed(body))[0] in (200, 400)
    assert not Delivery.objects.exists()


def test_deep_and_large_bodies_are_refused(page):
    for body, status in ((b"[" * 5000 + b"]" * 5000, 400), (b'"' + b"x" * 5_300_000 + b'"', 413)):
        assert ask("POST", "/hooks/meta/page/", body, meta_signed(body))[0] == status


# --- What becomes of an event


@given_bodies
def test_a_comment_becomes_a_mention_once_however_often_it_is_told(page):
    body = (QUOTED / "facebook_feed_comment_add.json").read_bytes()
    assert orjson.loads(ask("POST", "/hooks/meta/page/", body, meta_signed(body))[1])["accepted"] == 1
    assert orjson.loads(ask("POST", "/hooks/meta/page/", body, meta_signed(body))[1])["duplicates"] == 1
    run_through()
    mention = Mention.objects.get()
    assert (mention.external_id, mention.text) == ("901097836652708_903438993085259", "and the next one")
    assert mention.posted_at.isoformat() == "2015-12-03T09:30:03+00:00"


def feed(verb: str, **value) -> bytes:
    said = {
        "item": "comment",
        "verb": verb,
        "comment_id": "7_8",
        "post_id": "1_7",
        "parent_id": "1_7",
        "created_time": 1449135003,
    }
    said |= {"from": {"id": "55", "name": "Anna"}, "message": "My order is broken, please help"} | value
    change = {"field": "feed", "value": said}
    return orjson.dumps(
        {"object": "page", "entry": [{"id": "1234567890321", "time": 1449135100, "changes": [change]}]}
    )


def test_an_edit_is_followed_and_a_removed_comment_goes(page):
    for body in (feed("add"), feed("edited", message="My order is broken again"), feed("remove")):
        assert ask("POST", "/hooks/meta/page/", body, meta_signed(body))[0] == 200
        run_through()
        if b"again" in body:
            assert Interaction.objects.get().messages.get().text == "My order is broken again"
    assert Interaction.objects.get().messages.get().deleted_at is not None


def test_another_pages_events_and_likes_are_not_ours(page):
    other = feed("add").replace(b"1234567890321", b"999")
    like = feed("add").replace(b'"comment"', b'"reaction"')
    for body in (other, like):
        assert ask("POST", "/hooks/meta/page/", body, meta_signed(body))[0] == 200
    assert not Delivery.objects.exists()


@given_bodies
@pytest.mark.parametrize(
    ("name", "ident", "event"),
    [
        ("messenger_message_reply", "mid.1457764197618:41d102a3e1ae206a38", "created"),
        ("instagram_message_create", "message-id-1", "created"),
        ("instagram_story_mention", "message-id-1", "created"),
        ("instagram_message_unsend", "message-id-to-delete", "deleted"),
        ("facebook_mention_post_add", "1234567890321_98722536423179", "created"),
    ],
)
def test_the_published_bodies_are_read(name, ident, event):
    pieces = meta.split(orjson.loads((QUOTED / f"{name}.json").read_bytes()), {})
    item = meta.parse(pieces[0])
    assert (len(pieces), item.id, item.event) == (1, ident, event)
    assert item.event == "deleted" or item.created_at.tzinfo is not None


@given_bodies
def test_what_was_seen_or_typed_is_no_message():
    for network, name in ((meta, "instagram_seen"), (x, "twitter_account_activity_typing")):
        assert network.split(orjson.loads((QUOTED / f"{name}.json").read_bytes()), {}) == []


@given_bodies
def test_posts_and_private_messages_of_x_are_read():
    post = x.parse(
        x.split(orjson.loads((QUOTED / "twitter_account_activity_tweet_create.json").read_bytes()), {})[0]
    )
    assert (post.id, post.author_id, post.handle, post.followers) == ("1", "2", "surveyjoyHQ", 21)
    private = x.parse(
        x.split(orjson.loads((QUOTED / "twitter_account_activity_dm.json").read_bytes()), {})[0]
    )
    assert (private.id, private.author_id, private.audience) == (
        "954491830116155396",
        "3001969357",
        "private",
    )


@pytest.mark.skipif(
    not (DATA / "payloads_twitter_v1").is_dir(), reason="the bodies given to developers are not here"
)
def test_every_post_of_the_old_collection_is_read_with_its_whole_text():
    read = 0
    for name in ("get_mentions.json", "get_replies.json", "get_home_timeline.json", "get_search.json"):
        said = orjson.loads((DATA / "payloads_twitter_v1" / name).read_bytes())
        for tweet in said["statuses"] if isinstance(said, dict) else said:
            item = x.parse(x.split({"tweet_create_events": [tweet]}, {})[0])
            assert item.id == tweet["id_str"] and "&amp;" not in item.text and item.author_id
            read += 1
    assert read > 10


def test_a_post_of_the_new_form_is_read_with_its_author_and_thread():
    told = {
        "data": {
            "id": "1346889436626259968", "author_id": "2244994945", "text": "@brand it is broken &amp; bad", "lang": "en",
            "created_at": "2021-01-06T18:40:40.000Z", "conversation_id": "1346889436626259968",
            "referenced_tweets": [{"type": "replied_to", "id": "17"}],
            "public_metrics": {"like_count": 3, "retweet_count": 1, "reply_count": 0},
        },
        "includes": {
            "users": [{"id": "2244994945", "username": "anna", "name": "Anna", "public_metrics": {"followers_count": 9}}]
        },
    }  # fmt: skip
    item = x.parse(x.split(told, {})[0])
    assert (item.kind, item.in_reply_to, item.text) == ("reply", "17", "@brand it is broken & bad")
    assert (item.handle, item.followers, item.likes, item.reposts) == ("anna", 9, 3, 1)


def test_our_own_post_is_no_mention_and_a_deleted_one_goes(brand_on_x):
    tweet = {
        "id_str": "5",
        "text": "@chatwootapp it is broken, help",
        "created_at": "Wed Feb 05 08:39:31 +0000 2020",
        "user": {"id_str": "2"},
    }
    own = tweet | {"id_str": "6", "in_reply_to_status_id_str": "5", "user": {"id_str": "1"}, "text": "On it"}
    gone = {"status": {"id": "5", "user_id": "2"}, "timestamp_ms": "1580900000000"}
    for told in (
        {"tweet_create_events": [tweet]},
        {"tweet_create_events": [own]},
        {"tweet_delete_events": [gone]},
    ):
        body = orjson.dumps({"for_user_id": "1", **told})
        assert ask("POST", "/hooks/x/brand-x/", body, x_signed(body))[0] == 200
        run_through()
    assert Mention.objects.count() == 1
    assert Delivery.objects.get(external_id="6").outcome == "own"
    contact = Interaction.objects.get()
    assert (
        contact.first_response_at is not None and contact.messages.get(external_id="5").deleted_at is not None
    )


# --- Answers


class Recorder(BaseHTTPRequestHandler):
    """Keeps each request and answers as told."""

    asked: list = []
    answers: list = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, orjson.loads(body), self.headers["Authorization"]))
        status, said = self.answers.pop(0)
        said = orjson.dumps(said)
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_args) -> None:
        """Quietly."""


@pytest.fixture
def graph():
    Recorder.asked, Recorder.answers = [], []
    server = HTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def written(channel, audience: str = "public", **fields):
    contact = factories.make_interaction(channel, audience=fields.pop("of", audience))
    return messages._store(
        contact, factories.make_user(), "Hello", audience, fields.pop("key", "k" * 64), released=True
    )


@pytest.mark.django_db
def test_answers_are_asked_of_meta_as_it_is_documented(graph):
    channel = factories.make_channel(
        "facebook", connector="meta", base_url=f"{graph}/v23.0", token="page token"
    )
    Recorder.answers = [(200, {"id": "7_9"}), (200, {"recipient_id": "1", "message_id": "m_1"})]
    message = written(channel)
    message.in_reply_to = "7_8"
    assert meta.send(channel, message) == "7_9"
    message = written(channel, "private", of="public", key="l" * 64)
    message.in_reply_to = "7_8"
    assert meta.send(channel, message) == "m_1"
    private = {"recipient": {"comment_id": "7_8"}, "messaging_type": "RESPONSE", "message": {"text": "Hello"}}
    assert Recorder.asked == [
        ("/v23.0/7_8/comments", {"message": "Hello"}, "Bearer page token"),
        ("/v23.0/me/messages", private, "Bearer page token"),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(("code", "permanent"), [(190, True), (4, False), (613, False), (100, True)])
def test_metas_errors_say_whether_to_wait(graph, code, permanent):
    channel = factories.make_channel("facebook", connector="meta", base_url=graph, token="t")
    Recorder.answers = [(400, {"error": {"message": "no", "code": code}})]
    with pytest.raises(DeliveryError) as refused:
        meta.send(channel, written(channel))
    assert refused.value.permanent is permanent and not refused.value.unclear


@pytest.mark.django_db
def test_answers_are_asked_of_x_as_it_is_documented(graph):
    channel = factories.make_channel("x", connector="x", base_url=graph, token="t")
    Recorder.answers = [
        (201, {"data": {"id": "99", "text": "Hello"}}),
        (201, {"data": {"dm_event_id": "77"}}),
        (429, {"detail": "slow"}),
    ]
    message = written(channel)
    message.in_reply_to = "5"
    assert x.send(channel, message) == "99"
    private = written(channel, "private", of="public", key="l" * 64)
    assert x.send(channel, private) == "77"
    with pytest.raises(DeliveryError) as refused:
        x.send(channel, message)
    assert not refused.value.permanent
    assert Recorder.asked[0] == (
        "/2/tweets",
        {"text": "Hello", "reply": {"in_reply_to_tweet_id": "5"}},
        "Bearer t",
    )
    assert Recorder.asked[1][0] == f"/2/dm_conversations/with/{private.interaction.identity.value}/messages"


def test_bytes_that_are_no_text_wait_in_the_quarantine(page):
    body = feed("add").replace(b"please", b"\\ud800")
    assert ask("POST", "/hooks/meta/page/", body, meta_signed(body))[0] == 200
    assert Delivery.objects.get().state == "quarantined"
    with pytest.raises(items.Rejected):
        base.parser("meta")(bytes(Delivery.objects.get().raw))
