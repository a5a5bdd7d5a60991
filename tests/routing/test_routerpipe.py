"""The router pipe, line by line and as a command."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from routing.management.commands.routerpipe import serve
from routing.management.pipes import MAX_LINE, lines

ROOT = Path(__file__).resolve().parents[2]
CHANNELS = {
    "voice": {"target": 20, "goal": 0.8, "units": 15, "patience": 240, "aht": 360},
    "social": {"target": 3600, "goal": 0.9, "units": 3, "patience": None, "aht": 240},
}


def hello(*agents):
    return {"event": "hello", "units": 15, "channels": CHANNELS, "agents": list(agents)}


def agent(number, **about):
    return {
        "id": number, "channels": ["chat", "voice", "social"], "langs": ["en", "es"], "tech": True,
        "free": 15, "on": True, "since": 0.0, "open": [], "flex": 8, **about,
    }  # fmt: skip


def arrival(number, now=12.5, **about):
    item = {
        "id": number, "channel": "voice", "lang": "es", "tech": False, "vip": False,
        "at": now, "target": 20, "units": 15, "weight": 1.0, **about,
    }  # fmt: skip
    return {"event": "arrival", "now": now, "item": item}


def talk(*messages):
    said = [message if isinstance(message, str) else json.dumps(message) for message in messages]
    out, err = io.StringIO(), io.StringIO()
    serve(said, out, err)
    return [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def test_an_arrival_is_answered_with_what_was_assigned():
    assert talk(hello(agent(0)), arrival(7)) == ([[[7, 0]]], "")


def test_the_pipe_keeps_queue_and_load_itself():
    answers, _ = talk(
        hello(agent(0)),
        arrival(7),
        arrival(8),
        {"event": "agent_free", "now": 30.0, "agent": agent(0, since=30.0)},
    )
    assert answers == [[[7, 0]], [], [[8, 0]]]


def test_who_hung_up_is_not_assigned_and_the_line_is_not_answered():
    answers, _ = talk(
        hello(agent(0)),
        arrival(7),
        arrival(8),
        {"event": "abandon", "now": 20.0, "item": {"id": 8}},
        {"event": "agent_free", "now": 30.0, "agent": agent(0)},
    )
    assert answers == [[[7, 0]], [], []]


def test_who_went_home_gets_nothing_new():
    off = {"event": "agent_off", "now": 5.0, "agent": {"id": 0}}
    back = {"event": "agent_free", "now": 30.0, "agent": agent(0)}
    assert talk(hello(agent(0)), off, arrival(7), back)[0] == [[], [[7, 0]]]


def test_what_an_agent_line_leaves_out_stays_as_it_was():
    free = {"event": "agent_free", "now": 30.0, "agent": {"id": 0}}
    assert talk(hello(agent(0)), arrival(7), arrival(8), free)[0] == [[[7, 0]], [], []]


@pytest.mark.parametrize(
    ("seat", "item"),
    [
        ({"tech": False}, {"tech": True}),
        ({"langs": ["en"]}, {"lang": "es"}),
        ({"channels": ["social"]}, {"channel": "voice"}),
        ({"on": False}, {}),
        ({"free": 14}, {}),
    ],
)
def test_skill_language_channel_shift_and_room_are_required(seat, item):
    assert talk(hello(agent(0, **seat)), arrival(7, **item))[0] == [[]]


def test_asynchronous_items_share_an_agent():
    lines = [arrival(n, channel="social", units=3, target=3600, at=-3000) for n in range(6)]
    assert [len(answer) for answer in talk(hello(agent(0)), *lines)[0]] == [1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[" * 100_000,
        '{"event": "arrival"}',
        '{"event": "arrival", "now": NaN, "item": {}}',
        '{"event": "arrival", "now": 1, "item": {"id": true, "channel": "voice"}}',
        '{"event": "arrival", "now": 1, "item": {"id": 1, "channel": 5}}',
        '{"event": "arrival", "now": 1, "item": {"id": 1, "channel": "voice", "units": 1e999}}',
        '{"event": "arrival", "now": 1, "item": {"id": 1, "channel": "voice", "target": -Infinity}}',
        '{"event": "agent_free", "now": 1, "agent": {"id": 1, "langs": "en"}}',
        '{"event": "agent_free", "now": 1, "agent": []}',
    ],
)
def test_a_bad_line_is_reported_answered_with_nothing_and_the_pipe_goes_on(line):
    answers, errors = talk(hello(agent(0)), line, arrival(7))
    assert answers == [[], [[7, 0]]]
    assert errors.startswith("line 2: ")


@pytest.mark.parametrize(
    "line", ['{"event": "dance"}', '{"event": "abandon"}', '{"event": "agent_off", "agent": 1}']
)
def test_a_bad_line_that_waits_for_no_answer_gets_none(line):
    answers, errors = talk(hello(agent(0)), line, arrival(7))
    assert answers == [[[7, 0]]]
    assert "line 2: " in errors


def test_a_new_hello_starts_again():
    assert talk(hello(agent(0)), arrival(7), hello(agent(0)), arrival(8))[0] == [[[7, 0]], [[8, 0]]]


def test_young_deferred_work_is_held_where_calls_come_and_not_elsewhere():
    start = hello(agent(0, channels=["social", "voice"]))
    line = arrival(7, channel="social", units=3, target=3600)
    assert talk(start, line)[0] == [[]]
    calm = {**start, "channels": {"social": CHANNELS["social"]}}
    assert talk(calm, line)[0] == [[[7, 0]]]


def test_an_unknown_channel_and_unknown_fields_are_no_trouble():
    line = arrival(7, channel="fax", target=14400, units=3, at=-10_000, colour="red")
    assert talk(hello(agent(0, channels=["fax"])), line)[0] == [[[7, 0]]]


def test_an_endless_line_and_wrong_bytes_do_no_harm():
    stream = io.BytesIO(b"x" * (3 * MAX_LINE) + b"\n" + b"\xff\xfe\n" + b'{"event": "abandon"}\n')
    assert [len(line) < 100 for line in lines(stream)] == [True, True, True]


def test_the_command_answers_each_line_at_once():
    process = subprocess.Popen(
        [sys.executable, "manage.py", "routerpipe"], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        for message in (hello(agent(0)), arrival(7)):
            process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == [[7, 0]]
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
        process.communicate()
