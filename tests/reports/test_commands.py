"""The commands people run by hand: what they print, with which exit code, and that a second run changes nothing."""

import json
import os
import signal
from contextlib import nullcontext
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import connection

from crm import rows
from crm.choices import DeliveryState, Role
from crm.models import ApiToken, ChannelAccount, Delivery, Ticket
from crm.services import deliveries, tokens
from reports.services import replays
from routing.models import WorkItem
from socialcare.models import Mention
from tests import factories as make

pytestmark = pytest.mark.django_db
OURS = {"crm", "routing", "socialcare", "reports"}
PARTS = ("tickets_opened", "tickets_joined", "ignored", "own", "reposts", "updates")
KEYS = {"accepted", "duplicates", "quarantined", "mentions", *PARTS, "offered", "seconds", "items_per_second"}

THREAD = {
    "id": "c1",
    "turns": [
        {"author": "customer", "handle": "ada", "text": "@care my invoice is wrong, please help me!"},
        {"author": "agent", "handle": "care", "text": "@ada Sorry! Which invoice?"},
        {"author": "customer", "handle": "ada", "text": "@care the one of March, it was charged twice"},
    ],
}
ITEM = {
    "id": "p1", "kind": "mention", "text": "my line is dead, who can help?", "created_at": "2020-01-01T10:00:00Z",
    "author": {"id": "7", "handle": "bob"},
}  # fmt: skip
TWCS = (
    "tweet_id,author_id,inbound,created_at,text,response_tweet_id,in_response_to_tweet_id\n"
    "1,ada,True,Tue Oct 31 22:10:47 +0000 2017,@care my order is late and I want my money back,2,\n"
    "2,care,False,Tue Oct 31 22:12:47 +0000 2017,@ada Sorry to hear that,,1\n"
)
AIRLINE = (
    "row_id,airline,name,text,tweet_created,retweet_count\n"
    "1,Delta,ada,@Delta you lost my bag again and nobody answers,2015-02-20 13:48:01 -0800,0\n"
)


def run(command: str, *words: str, **options: object) -> str:
    out = StringIO()
    call_command(command, *words, stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


@pytest.fixture
def channel():
    make.make_queue(is_fallback=True)
    return make.make_channel(slug="sim-x")


@pytest.fixture
def recorded(tmp_path, channel):
    """Writes a recording and replays it: the figures."""

    def play(text: str | list, name: str = "recording.jsonl", **options: object) -> dict:
        file = tmp_path / name
        lines = text if isinstance(text, str) else "\n".join(json.dumps(one) for one in text)
        file.write_text(lines)
        return json.loads(run("replay", str(file), channel=channel.slug, json=True, **options))

    return play


def state() -> list:
    """What a replay may open."""
    return [model.objects.count() for model in (Delivery, Ticket, Mention, WorkItem, ChannelAccount)]


# --- All of them


def test_every_command_says_what_it_does_and_what_each_word_of_it_means():
    ours = [name for name, app in get_commands().items() if app in OURS]
    assert {"up", "replay", "reconcile", "ledger", "apitoken", "bootstrap", "seed_demo", "conveyor"} <= set(
        ours
    )
    for name in ours:
        parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
        assert parser.description, name
        unsaid = [action.dest for action in parser._actions if not action.help and action.dest != "task"]
        assert unsaid == [], name


# --- replay


def test_a_replay_tells_what_became_of_every_item(recorded):
    told = recorded([THREAD])
    assert set(told) == KEYS
    assert (told["accepted"], told["duplicates"], told["quarantined"]) == (3, 0, 0)
    assert (told["tickets_opened"], told["tickets_joined"], told["own"], told["mentions"]) == (1, 1, 1, 2)
    assert told["accepted"] == sum(told[part] for part in PARTS)
    assert not Delivery.objects.exclude(state=DeliveryState.DONE).exists()
    assert ChannelAccount.objects.get().external_id == "care"


def test_a_second_replay_opens_nothing(recorded):
    recorded([THREAD])
    before = state()
    again = recorded([THREAD])
    assert (again["accepted"], again["duplicates"], again["mentions"]) == (0, 3, 0)
    assert state() == before


@pytest.mark.parametrize(
    ("form", "text", "accepted"),
    [
        ("conversations", json.dumps(THREAD), 3),
        ("items", json.dumps(ITEM), 1),
        ("items", json.dumps({"items": [ITEM]}), 1),
        ("twcs", TWCS, 2),
        ("airline", AIRLINE, 1),
    ],
)
def test_each_format_is_recognised_and_can_be_named(recorded, form, text, accepted):
    told = recorded(text)
    assert (told["accepted"], told["tickets_opened"], told["quarantined"]) == (accepted, 1, 0)
    assert recorded(text, format=form)["duplicates"] == accepted


def test_what_cannot_be_read_is_quarantined_with_its_line_and_told_each_time(recorded, capsys):
    lines = "\n".join(
        [json.dumps(ITEM), '{"id": "p2", "kind":', json.dumps({**ITEM, "id": "p3", "created_at": "soon"})]
    )
    for duplicates in (0, 1):
        told = recorded(lines)
        assert (told["quarantined"], told["duplicates"], told["accepted"]) == (2, duplicates, 1 - duplicates)
    kept = Delivery.objects.filter(state=DeliveryState.QUARANTINED)
    assert kept.count() == 2
    assert {b"not JSON" in bytes(one.raw) for one in kept} == {True, False}


def test_a_limit_feeds_only_the_first_items_and_a_pace_feeds_all(recorded):
    items = [{**ITEM, "id": f"p{n}", "created_at": f"2020-01-01T10:00:0{n}Z"} for n in range(4)]
    assert recorded(items, limit=2)["accepted"] == 2
    assert recorded(items, rate=1000.0)["accepted"] == 2
    assert recorded([{**one, "id": one["id"] + "x"} for one in items], speed=1000.0)["accepted"] == 4


def test_the_figures_can_be_read_by_people(tmp_path, channel):
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps(ITEM))
    lines = run("replay", str(file), channel=channel.slug).splitlines()
    assert {line.split()[0] for line in lines} == KEYS


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (None, {}, "is not a file"),
        ("a,b\n1,2\n", {}, "neither JSON, nor a CSV"),
        (json.dumps(ITEM), {"channel": "nowhere"}, "There is no channel nowhere"),
    ],
)
def test_what_cannot_be_replayed_is_refused_in_words(tmp_path, channel, text, options, words):
    file = tmp_path / "x"
    if text is not None:
        file.write_text(text)
    with pytest.raises(CommandError, match=words):
        run("replay", str(file), **{"channel": channel.slug} | options)
    assert not Delivery.objects.exists()


def test_a_replay_whose_sum_does_not_hold_fails(recorded, monkeypatch):
    real = replays._count

    def lost_one(*args: object) -> dict:
        rows.run("UPDATE crm_delivery SET outcome = ''")
        return real(*args)

    monkeypatch.setattr(replays, "_count", lost_one)
    with pytest.raises(CommandError, match="sum does not hold"):
        recorded([ITEM])


def test_a_replay_that_still_waits_at_the_time_out_exits_with_3(recorded, monkeypatch):
    monkeypatch.setattr(replays, "_own_belt", nullcontext)  # somebody else leads, and stands still
    with pytest.raises(SystemExit) as end:
        recorded([ITEM], timeout=0.0)
    assert end.value.code == 3
    assert Delivery.objects.get().state == DeliveryState.QUEUED


def test_a_replay_that_is_told_to_stop_finishes_the_batch_in_hand(recorded, monkeypatch):
    monkeypatch.setattr(replays, "BATCH", 1)
    real = deliveries.accept

    def told_while_writing(*args: object) -> deliveries.Receipt:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*args)

    monkeypatch.setattr(replays.deliveries, "accept", told_while_writing)
    with pytest.raises(SystemExit) as end:
        recorded([ITEM, {**ITEM, "id": "p2"}])
    assert end.value.code == 128 + signal.SIGTERM
    assert Delivery.objects.get().state == DeliveryState.DONE


def test_deliveries_of_others_meanwhile_are_not_counted(recorded, channel, monkeypatch):
    real = replays._wait

    def somebody_else_delivers(*args: object) -> None:
        deliveries.accept(channel, [json.dumps({**ITEM, "id": "other"}).encode()])
        real(*args)
        deliveries.process()

    monkeypatch.setattr(replays, "_wait", somebody_else_delivers)
    assert recorded([ITEM])["accepted"] == 1


# --- seed_demo


def content() -> dict[str, list]:
    """Every row of every table of ours, but for the moments at which somebody looked."""
    found = {}
    for model in apps.get_models():
        if model._meta.app_label in OURS:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT t::text FROM {connection.ops.quote_name(model._meta.db_table)} t ORDER BY 1"
                )
                found[model._meta.label] = cursor.fetchall()
    return found


def test_the_demo_centre_is_seeded_once_and_a_second_time_changes_no_row(settings):
    settings.DEMO, settings.DEMO_PASSWORD = True, "correct horse battery"
    made = json.loads(run("seed_demo", json=True))
    assert made["users"] == 12
    assert made["customers"] > 0
    first = content()
    assert first["crm.Interaction"]
    assert first["routing.Queue"]
    assert json.loads(run("seed_demo", json=True)) == made
    assert content() == first
    assert "12 users" in run("seed_demo")


# --- ledger, apitoken, bootstrap


def test_the_ledger_adds_up_and_fails_when_it_does_not(channel, monkeypatch):
    item = json.dumps(ITEM).encode()
    deliveries.accept(channel, [item, item, b"{}"])
    counted = json.loads(run("ledger", json=True))
    assert counted == {
        "received": 3,
        "queued": 1,
        "in_progress": 0,
        "done": 0,
        "duplicate": 1,
        "quarantined": 1,
    }
    assert run("ledger").split()[:2] == ["received", "3"]
    monkeypatch.setattr(deliveries, "ledger", lambda: counted | {"done": 5})
    with pytest.raises(CommandError, match="received 3, accounted for 8"):
        run("ledger")


def test_a_token_stands_alone_on_stdout_and_acts_for_its_user():
    user = make.make_user(Role.API_CLIENT)
    shown = run("apitoken", user.email.upper(), scope=["customers:read"], name="import", days=3)
    token = shown.strip()
    assert shown == token + "\n"
    known = tokens.recognise(token)
    assert (known.user, known.scopes, known.name) == (user, ["customers:read"], "import")
    assert known.expires_at is not None
    assert token not in {kept.digest for kept in ApiToken.objects.all()}


@pytest.mark.parametrize(
    ("role", "words", "refusal"),
    [
        (Role.API_CLIENT, {"scope": ["everything:write"]}, "everything:write: is not one of the scopes"),
        (Role.AGENT, {"scope": ["events:read"]}, "events:read is not for this user"),
        (None, {}, "There is no active user"),
    ],
)
def test_no_token_for_nobody_and_none_beyond_the_users_rights(role, words, refusal):
    email = make.make_user(role).email if role else "nobody@example.com"
    with pytest.raises(CommandError, match=refusal):
        run("apitoken", email, **words)
    assert not ApiToken.objects.exists()


def test_the_first_administrator_is_made_once(django_user_model):
    words = {"email": "Owner@Example.com", "password": "a long enough phrase 17"}
    assert "is administrator" in run("bootstrap", **words)
    assert "is there already" in run("bootstrap", **words)
    owner = django_user_model.objects.get()
    assert (owner.role, owner.email, owner.check_password(words["password"])) == (
        Role.ADMINISTRATOR, "owner@example.com", True,
    )  # fmt: skip


def test_a_weak_password_makes_no_administrator(django_user_model):
    with pytest.raises(CommandError, match="too short|too common"):
        run("bootstrap", email="owner@example.com", password="password")
    assert not django_user_model.objects.exists()


def test_the_recordings_of_the_demo_are_replayed_too(channel):
    play = Path(replays.__file__).parents[1] / "demo"
    scenario = next(path for path in sorted(play.glob("**/*.jsonl")) if path.stat().st_size)
    told = json.loads(run("replay", str(scenario), channel=channel.slug, json=True))
    assert told["accepted"] + told["quarantined"] + told["duplicates"] > 0
