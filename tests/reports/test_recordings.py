"""Recorded input becomes items that the door can take, always the same ones, and nothing is dropped."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from reports import recordings

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
KINDS = {"mention", "reply", "comment", "review", "direct_message", "repost", "post", "email", "chat"}


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def lines(*values):
    return "\n".join(value if isinstance(value, str) else json.dumps(value) for value in values)


def shared(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    return path


def assert_valid(recording):
    ids = [item["id"] for item in recording.items]
    assert len(set(ids)) == len(ids)
    for item in recording.items:
        assert isinstance(item["text"], str)
        assert item["kind"] in KINDS
        assert item["author"]["id"]
        assert datetime.fromisoformat(item["created_at"]).tzinfo is not None


def turn(author, text, handle=None, at=None):
    known = {"author": author, "text": text, "handle": handle, "created_at": at}
    return {name: value for name, value in known.items() if value is not None}


# Conversations


def test_a_conversation_becomes_a_mention_and_replies_in_one_thread(tmp_path):
    thread = {
        "id": "c1",
        "turns": [turn("customer", "@Brightline my bill &amp; my patience", "Tess", "2020-04-01T10:00:00Z")],
        "closing": turn("agent", "@tess see our page", "BrightlineCare", "2020-04-01T10:30:00Z"),
    }
    first, last = recordings.read(write(tmp_path, "a.jsonl", lines(thread))).items
    assert (first["kind"], first["text"]) == ("mention", "@Brightline my bill & my patience")
    assert (last["kind"], last["in_reply_to"]) == ("reply", first["id"])
    assert first["conversation"] == last["conversation"] == "c1"
    assert first["author"] == {"id": "tess", "handle": "Tess", "name": "Tess"}


def test_agents_are_own_accounts_and_so_is_the_brand_that_opens_with_an_advertisement(tmp_path):
    thread = {
        "id": "c1",
        "turns": [
            turn("customer", "Two months for the price of one!", "Brightline"),
            turn("customer", "Does it work abroad?", "mild_otter"),
            turn("agent", "It does.", "Ask_Brightline"),
        ],
    }
    recording = recordings.read(write(tmp_path, "a.jsonl", lines(thread)))
    assert [account["id"] for account in recording.own_accounts] == ["ask_brightline", "brightline"]
    assert [item["kind"] for item in recording.items] == ["post", "mention", "reply"]


def test_a_customer_who_only_sounds_like_a_brand_is_not_an_own_account(tmp_path):
    turns = [turn("customer", "Hi", "brightlinefan"), turn("agent", "Hi", "BrightlineHelp")]
    thread = {"id": "c1", "turns": turns}
    recording = recordings.read(write(tmp_path, "a.jsonl", lines(thread)))
    assert [account["handle"] for account in recording.own_accounts] == ["BrightlineHelp"]


def test_an_answer_points_at_the_customer_it_addresses_and_not_at_the_bystander(tmp_path):
    thread = {
        "id": "c1",
        "turns": [
            turn("customer", "No signal", "ann"),
            turn("customer", "Me neither", "ben"),
            turn("agent", "@ann where are you?", "Care"),
        ],
    }
    items = recordings.read(write(tmp_path, "a.jsonl", lines(thread))).items
    assert items[2]["in_reply_to"] == items[0]["id"]
    assert items[1]["kind"] == "reply"


def test_masked_handles_become_handles_and_each_conversation_has_its_own_customer(tmp_path):
    turns = [turn("agent", "__cust__ hello"), turn("customer", "__company__ hi")]
    threads = [{"id": f"as-{number}", "turns": turns} for number in (1, 2)]
    recording = recordings.read(write(tmp_path, "a.jsonl", lines(*threads)))
    assert recording.own_accounts == [{"id": "company", "handle": "company", "name": "company"}]
    assert [item["text"] for item in recording.items[:2]] == ["@customer_as_1 hello", "@company hi"]
    assert [item["kind"] for item in recording.items[:2]] == ["post", "mention"]
    assert {item["author"]["id"] for item in recording.items} == {"company", "as-1", "as-2"}


def test_turns_without_a_time_get_the_same_rising_times_at_every_reading(tmp_path):
    threads = [{"turns": [turn("customer", "a"), turn("agent", "b")]}, {"turns": [turn("customer", "c")]}]
    path = write(tmp_path, "a.jsonl", lines(*threads))
    times = [item["created_at"] for item in recordings.read(path).items]
    assert times == sorted(set(times))
    assert recordings.read(path).items == recordings.read(path).items
    assert recordings.read(path, limit=2).items == recordings.read(path).items[:2]


def test_a_broken_line_or_turn_is_kept_as_an_item_for_quarantine(tmp_path):
    thread = {"id": "c1", "turns": [turn("customer", "fine"), {"author": "customer"}, "what?"]}
    path = write(tmp_path, "a.jsonl", lines(thread, "{broken", {"id": "c2"}, "[" * 100_000))
    recording = recordings.read(path, format="conversations")
    assert len(recording.items) == 6
    assert [broken.line for broken in recording.bad] == [1, 1, 2, 3, 4]
    assert all("text" not in item and item["extra"]["reason"] for item in recording.items[1:])
    assert len({item["id"] for item in recording.items}) == 6


# Customer Support on Twitter

TWCS = """tweet_id,author_id,inbound,created_at,text,response_tweet_id,in_response_to_tweet_id
1,7,True,Wed Oct 11 06:55:44 +0000 2017,"It broke, twice &gt;:(","2,3.0",
2,115858,False,Wed Oct 11 07:00:00 +0000 2017,Sorry to hear,,1.0
3,8,True,Wed Oct 11 07:05:00 +0000 2017,Mine too,,
4.0,7,True,Wed Oct 11 07:10:00 +0000 2017,And now?,,99
5,115858,False,Wed Oct 11 07:20:00 +0000 2017,We open at nine,,
"""


def test_twcs_ids_lists_of_children_and_missing_parents_are_understood(tmp_path):
    recording = recordings.read(write(tmp_path, "a.csv", TWCS))
    assert recording.format == "twcs"
    assert_valid(recording)
    assert [item["id"] for item in recording.items] == ["1", "2", "3", "4", "5"]
    assert [item.get("in_reply_to") for item in recording.items] == [None, "1", "1", "99", None]
    assert [item["kind"] for item in recording.items] == ["mention", "reply", "reply", "reply", "post"]
    assert recording.items[0]["text"] == "It broke, twice >:("
    assert recording.items[0]["created_at"] == "2017-10-11T06:55:44+00:00"


def test_a_numeric_handle_that_answers_is_a_brand(tmp_path):
    recording = recordings.read(write(tmp_path, "a.csv", TWCS))
    assert [account["id"] for account in recording.own_accounts] == ["115858"]


def test_first_posts_with_id_and_text_only_have_each_their_own_author(tmp_path):
    recording = recordings.read(write(tmp_path, "a.csv", 'id,text\nx1,"two\nlines"\nx2,hello\n'))
    assert_valid(recording)
    assert recording.items[0]["text"] == "two\nlines"
    assert len({item["author"]["id"] for item in recording.items}) == 2


def test_a_row_that_does_not_fit_its_header_is_kept_for_quarantine(tmp_path):
    recording = recordings.read(write(tmp_path, "a.csv", "id,text\nx1,one,two,three\nx2\nx3,fine\n"))
    assert [broken.line for broken in recording.bad] == [1, 2]
    assert len(recording.items) == 3
    assert sum("text" in item for item in recording.items) == 1


# Airline sentiment

AIRLINE = """row_id,airline,name,retweet_count,text,tweet_created
8,Delta,Ann,2,@BlueWing late &amp; rude,2015-02-16 23:36:05 -0800
9,Delta,Ben,0,"@BlueWing thanks
again",2015-02-20 13:48
10,Delta,BlueWing,0,@ann we are sorry,
"""


def test_airline_times_are_local_even_where_the_offset_and_the_seconds_were_lost(tmp_path):
    recording = recordings.read(write(tmp_path, "a.csv", AIRLINE))
    assert recording.format == "airline"
    assert_valid(recording)
    assert recording.items[0]["created_at"] == "2015-02-16T23:36:05-08:00"
    assert recording.items[1]["created_at"] == "2015-02-20T13:48:00-08:00"
    assert recording.items[0]["text"] == "@BlueWing late & rude"
    assert recording.items[0]["reach"] == {"reposts": 2}


def test_the_account_that_an_airlines_rows_address_is_its_own(tmp_path):
    recording = recordings.read(write(tmp_path, "a.csv", AIRLINE))
    assert [account["id"] for account in recording.own_accounts] == ["bluewing"]
    assert recording.items[2]["author"]["id"] == "bluewing"


# Delivery items

MOMENT = "2025-01-01T00:00:00Z"
ITEM = {"id": "1", "kind": "mention", "text": "hi", "created_at": MOMENT, "author": {"id": "a"}}


@pytest.mark.parametrize(
    "text",
    [
        lines(ITEM, ITEM | {"id": "2"}),
        json.dumps([ITEM, ITEM | {"id": "2"}], indent=2),
        json.dumps({"items": [ITEM, ITEM | {"id": "2"}]}, indent=2),
        lines({"items": [ITEM]}, {"items": [ITEM | {"id": "2"}]}),
    ],
    ids=["lines", "array", "object", "batches"],
)
def test_items_are_read_from_lines_an_array_an_object_and_batches(tmp_path, text):
    recording = recordings.read(write(tmp_path, "a.json", text))
    assert recording.items == [ITEM, ITEM | {"id": "2"}]
    assert recording.format == "items"


def test_an_item_passes_as_it_came_so_that_the_door_judges_it(tmp_path):
    odd = {"id": "3", "kind": "telepathy", "text": None, "created_at": "yesterday", "author": {}}
    recording = recordings.read(write(tmp_path, "a.jsonl", lines(odd, "7", "nonsense")))
    assert recording.items[0] == odd
    assert [broken.line for broken in recording.bad] == [2, 3]
    assert len(recording.items) == 3


def test_an_item_without_id_and_time_gets_them_from_its_place(tmp_path):
    bare = {"kind": "mention", "text": "hi", "author": {"id": "a"}}
    path = write(tmp_path, "a.jsonl", lines(bare, bare))
    recording = recordings.read(path)
    assert_valid(recording)
    assert recordings.read(path).items == recording.items


def test_a_line_separator_inside_a_text_does_not_split_it(tmp_path):
    item = ITEM | {"text": "one\u2028two\x0bthree\x85four"}
    recording = recordings.read(write(tmp_path, "a.jsonl", json.dumps(item, ensure_ascii=False)))
    assert recording.items == [item]


def test_a_scenario_can_be_replayed_as_a_recording_and_one_channel_of_it_alone(tmp_path):
    item = {"id": "{run}-1", "kind": "mention", "text": "hi", "author": {"id": "a"}}
    path = write(
        tmp_path,
        "day.jsonl",
        lines(
            {"after": 5, "channel": "sim-x", "item": item},
            {"after": 9.5, "channel": "sim-mail", "item": item | {"id": "{run}-2", "kind": "email"}},
        ),
    )
    recording = recordings.read(path)
    assert_valid(recording)
    assert [item["id"] for item in recording.items] == ["recorded-1", "recorded-2"]
    assert [item["id"] for item in recordings.read(path, channel="sim-mail").items] == ["recorded-2"]


def test_bytes_that_are_not_utf8_do_not_stop_the_reading(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps(ITEM).encode() + b'\n{"id": "2", "text": "caf\xe9"}\n')
    recording = recordings.read(path)
    assert recording.items[1]["text"] == "caf\ufffd"


def test_by_time_puts_items_in_the_order_of_posting(tmp_path):
    later = ITEM | {"id": "2", "created_at": "2025-01-01T05:00:00+00:00"}
    earlier = ITEM | {"id": "3", "created_at": "2025-01-01T05:30:00+01:00"}
    recording = recordings.read(write(tmp_path, "a.jsonl", lines(later, earlier)))
    assert [item["id"] for item in recording.by_time()] == ["3", "2"]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "hello there\n"])
def test_a_file_of_another_shape_is_refused_by_name(tmp_path, text):
    path = write(tmp_path, "a.csv", text)
    with pytest.raises(recordings.UnknownFormatError, match="neither"):
        recordings.read(path)


def test_an_unknown_format_is_refused(tmp_path):
    path = write(tmp_path, "a.csv", "")
    with pytest.raises(recordings.UnknownFormatError, match="'xml'"):
        recordings.read(path, format="xml")


def test_an_empty_file_is_an_empty_recording(tmp_path):
    recording = recordings.read(write(tmp_path, "a.jsonl", "\n\n"))
    assert recording.items == []
    assert recording.bad == []


# The real recordings, where they lie beside the checkout


@pytest.mark.parametrize(
    ("name", "form", "count", "own"),
    [
        ("ibm_twitter_care/conversations.jsonl", "conversations", 686 + 525, 28),
        ("twcs_airlines_asapp/conversations.jsonl", "conversations", 5319, 1),
        ("twcs/sample.csv", "twcs", 93, 13),
        ("twcs/inbound.csv", "twcs", 975, 0),
        ("airline_sentiment/tweets.csv", "airline", 7149, 6),
    ],
)
def test_a_real_recording_is_read_whole_and_the_same_at_every_reading(name, form, count, own):
    path = shared(name)
    recording = recordings.read(path)
    assert recording.format == form
    assert len(recording.items) == count
    assert len(recording.own_accounts) == own
    assert recording.bad == []
    assert_valid(recording)
    assert [item["id"] for item in recordings.read(path).items] == [item["id"] for item in recording.items]


def test_the_ibm_threads_keep_their_conversations_and_the_opening_advertisements_are_ours():
    recording = recordings.read(shared("ibm_twitter_care/conversations.jsonl"))
    kinds = Counter(item["kind"] for item in recording.items)
    own = {account["id"] for account in recording.own_accounts}
    assert len({item["conversation"] for item in recording.items}) == 525
    assert kinds["post"] == 6
    assert {"tmobile", "chase", "godaddy", "amazon"} <= own
    assert sum(item["author"]["id"] in own for item in recording.items) == 525 + 61 + 6


def test_the_airline_rows_without_offset_fall_on_their_own_days():
    recording = recordings.read(shared("airline_sentiment/tweets.csv"))
    days = Counter(item["created_at"][:10] for item in recording.items)
    assert days["2015-02-20"] == 1490
    assert days["2015-02-16"] == 4
