"""The demo's content holds together: every item passes the door, every person and address is known."""

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from crm.choices import ChannelKind, CodeKind, Family, Role, TeamVisibility, TicketStatus
from crm.connectors import items as door
from reports import recordings, scenarios

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CHANNELS = {"sim-x", "sim-mail", "sim-chat", "sim-phone"}
SCENARIOS = ["day", "languages", "safety", "storm", "threads"]


@pytest.fixture(scope="module")
def centre():
    return scenarios.centre()


def test_the_scenarios_are_listed_by_name():
    assert scenarios.names() == SCENARIOS
    assert sum(len(scenarios.scenario(name, "r", START)) for name in SCENARIOS) >= 250


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_item_of_a_scenario_passes_the_door(name):
    for _, channel, item in scenarios.scenario(name, "run7", START):
        assert channel in CHANNELS
        assert door.from_dict(item).id.startswith("run7-")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_comes_in_order_and_two_plays_share_no_id(name):
    first, second = (scenarios.scenario(name, run, START) for run in ("a", "b"))
    assert [at for at, _, _ in first] == sorted(at for at, _, _ in first)
    assert not {item["id"] for _, _, item in first} & {item["id"] for _, _, item in second}
    assert "{run}" not in json.dumps([item for _, _, item in first])


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_id_is_told_once_apart_from_calls_edits_and_deletions(name):
    played = [item for _, _, item in scenarios.scenario(name, "a", START)]
    counts = Counter(item["id"] for item in played if not item.get("event") and item["kind"] != "call")
    assert set(counts.values()) == {1}


def test_pace_shortens_the_play():
    slow, fast = (scenarios.scenario("storm", "a", START, pace=pace) for pace in (1, 4))
    assert (slow[-1][0] - START) == pytest.approx((fast[-1][0] - START) * 4, abs=timedelta(seconds=0.01))


def test_the_events_of_one_call_share_its_time_and_tell_their_own():
    calls = [item for _, channel, item in scenarios.scenario("day", "a", START) if channel == "sim-phone"]
    longest = Counter(item["id"] for item in calls).most_common(1)[0][0]
    events = [item for item in calls if item["id"] == longest]
    states = [item["extra"]["call"]["state"] for item in events]
    moments = [item["extra"]["call"]["at"] for item in events]
    assert states == ["ringing", "answered", "held", "resumed", "ended"]
    assert moments == sorted(set(moments))
    assert {item["created_at"] for item in events} == {moments[0]}


def test_an_edit_keeps_the_time_of_its_post():
    edits = [
        item for _, _, item in scenarios.scenario("threads", "a", START) if item.get("event") == "edited"
    ]
    assert len(edits) == 1
    assert edits[0]["edited_at"] > edits[0]["created_at"]


def test_the_storm_has_forty_near_duplicates():
    texts = [
        item["text"] for _, _, item in scenarios.scenario("storm", "a", START) if item["kind"] == "mention"
    ]
    assert (
        sum(
            "Millbrook" in text
            and re.search("down|no internet|without|offline|no broad", text, re.I) is not None
            for text in texts
        )
        >= 40
    )


def test_all_four_channels_and_six_languages_occur():
    played = [entry for name in SCENARIOS for entry in scenarios.scenario(name, "a", START)]
    languages = {item.get("lang") for _, _, item in played}
    kinds = {item.get("kind") for _, _, item in played}
    assert {channel for _, channel, _ in played} == CHANNELS
    assert {"en", "de", "es", "fr", "it", "pt"} <= languages
    assert {"mention", "reply", "direct_message", "repost", "post", "email", "chat", "call"} <= kinds


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_file_can_be_replayed_as_a_recording(name):
    recording = recordings.read(scenarios.FOLDER / f"{name}.jsonl")
    assert recording.format == "items"
    assert recording.bad == []
    assert len(recording.items) == len(scenarios.scenario(name, "a", START))


def test_an_unknown_scenario_is_refused_with_the_names_there_are():
    with pytest.raises(KeyError, match="storm"):
        scenarios.scenario("../centre", "a", START)


# Questions


def test_questions_are_the_same_for_one_seed_and_come_from_both_sets():
    assert scenarios.questions(50, seed=3) == scenarios.questions(50, seed=3)
    assert scenarios.questions(50, seed=3) != scenarios.questions(50, seed=4)
    assert {question["set"] for question in scenarios.questions(50)} == {"banking77", "clinc150"}


def test_more_questions_than_there_are_repeat():
    assert len(scenarios.questions(900)) == 900
    assert len({question["id"] for question in scenarios.questions(900)}) == 800


def test_every_asked_question_passes_the_door_on_its_channel():
    asked = scenarios.asked(9, seed=1, run="a", start=START, gap=5)
    for _, _, item in asked:
        assert door.from_dict(item).id == item["id"]
    assert {channel for _, channel, _ in asked} == {"sim-x", "sim-mail", "sim-chat"}


def test_the_attribution_that_the_licences_ask_for_is_there():
    words = (scenarios.FOLDER / "LICENSES.md").read_text(encoding="utf-8")
    assert "BANKING77, PolyAI, CC BY 4.0" in words
    assert "CLINC150 (oos-eval), Larson et al. 2019, CC BY 3.0" in words


# The centre


def test_the_centre_has_the_people_that_the_demo_promises(centre):
    roles = Counter(person["role"] for person in centre["people"])
    emails = {person["email"] for person in centre["people"]}
    assert roles["agent"] == 8
    assert {f"agent{number}@example.com" for number in range(1, 9)} <= emails
    assert {f"{name}@example.com" for name in ("supervisor", "marketing", "admin", "auditor")} <= emails
    assert set(roles) <= set(Role.values)


def test_every_language_and_topic_of_the_queues_finds_an_agent(centre):
    agents = [person for person in centre["people"] if person["role"] == "agent"]
    for language in ("en", "de", "es", "fr", "it", "pt"):
        for skill in ("billing", "technical"):
            able = [a for a in agents if language in a["languages"] and skill in a["skills"]]
            assert able, f"nobody answers {skill} in {language}"


def test_the_centre_uses_only_words_that_the_product_knows(centre):
    teams = {team["slug"] for team in centre["teams"]}
    assert {channel["slug"] for channel in centre["channels"]} == CHANNELS
    assert {channel["kind"] for channel in centre["channels"]} <= set(ChannelKind.values)
    assert {team["visibility"] for team in centre["teams"]} <= set(TeamVisibility.values)
    assert {queue["slug"] for queue in centre["queues"]} == {"billing", "technical", "general"}
    assert sum(queue["is_fallback"] for queue in centre["queues"]) == 1
    assert {queue["team"] for queue in centre["queues"]} <= teams
    assert all(set(queue["targets"]) == set(Family.values) for queue in centre["queues"])
    assert set(centre["codes"]) == set(CodeKind.values)
    assert all(len(code["code"]) <= 40 for codes in centre["codes"].values() for code in codes)


def test_the_history_refers_only_to_what_there_is(centre):
    people = {person["email"] for person in centre["people"]}
    brands = {brand["slug"] for brand in centre["brands"]}
    codes = {kind: {code["code"] for code in codes} | {""} for kind, codes in centre["codes"].items()}
    for customer in centre["customers"]:
        refs = {ticket["ref"] for ticket in customer["tickets"]}
        for ticket in customer["tickets"]:
            assert ticket["status"] in TicketStatus.values
            assert ticket["brand"] in brands
            assert (ticket["solved_days_ago"] is not None) == (ticket["status"] in ("solved", "closed"))
            assert ticket["owner"] in people | {None}
            assert ticket["reason"] in codes["reason"]
            assert ticket["outcome"] in codes["outcome"]
        for thread in customer["threads"]:
            days = [message["days_ago"] for message in thread["messages"]]
            assert thread["ticket"] in refs
            assert thread["channel"] in CHANNELS
            assert days == sorted(days, reverse=True)
            assert max(days) <= 60
            assert all((m["by"] is None) == (m["direction"] == "inbound") for m in thread["messages"])
            assert {m["by"] for m in thread["messages"]} <= people | {None}


def test_thirty_customers_have_identities_on_several_channels_each_of_one_customer(centre):
    values = [(i["kind"], i["value"]) for customer in centre["customers"] for i in customer["identities"]]
    assert len(centre["customers"]) == 30
    assert len(values) == len(set(values))
    assert all(len(customer["identities"]) >= 2 for customer in centre["customers"])


def test_known_authors_of_the_scenarios_are_customers_of_the_centre(centre):
    known = {i["value"] for customer in centre["customers"] for i in customer["identities"]}
    own = {account["id"] for channel in centre["channels"] for account in channel["own_accounts"]}
    authors = {
        item["author"]["id"]
        for name in SCENARIOS
        for _, _, item in scenarios.scenario(name, "a", START)
        if item.get("author")
    }
    assert len(authors & known) >= 40
    assert {author for author in authors if author.startswith("own-")} <= own


# Ready texts


def test_every_ready_reply_is_addressed_and_a_public_one_is_short():
    for form, topics in scenarios.replies().items():
        assert "en" in topics["general"]
        for by_language in topics.values():
            assert "en" in by_language
            texts = [text for choices in by_language.values() for text in choices]
            assert all("{handle}" in text for text in texts)
            assert form != "public" or max(map(len, texts)) <= 240


def test_a_reply_falls_back_to_english_and_to_a_general_answer():
    assert scenarios.reply("billing", "de", "@ann").startswith("Hallo @ann")
    assert "@ann" in scenarios.reply("billing", "hi", "@ann")
    assert scenarios.reply("never heard of", "fr", "Zoé", form="mail").startswith("Bonjour Zoé")
