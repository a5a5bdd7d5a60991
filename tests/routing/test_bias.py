"""The bias meter's arithmetic on worked examples, what the engine counts, and the lock on generated queues; no database."""

import argparse
import random

import pytest

from bench.drills import locks
from routing import bias
from routing.engine import Item, Pool, Seat, Weights, level, means

NOW = 1_700_000_000.0


def item(number, family="social", waited=60.0, **about):
    given = {"queue": "general", "goal_seconds": 3600.0, "parts": {"urgency": 0.0, "value": 0.0}, **about}
    return Item(id=number, family=family, queued_at=NOW - waited, **given)


def met(items, seats, weights=None, now=NOW, looks=None):
    """What a meter counted in one round: {line: number}, {line: overtakings}."""
    meter = bias.Meter(looks)
    pool = Pool(weights, meter=meter)
    for seat in seats:
        pool.update_seat(seat)
    for one in items:
        pool.add(one)
    pool.decide(now)
    return dict(meter.lines), {line: n for line, n in meter.overtakings.items() if n}


# --- arithmetic


@pytest.mark.parametrize(
    "part, whole, low, high",
    [(0, 30, 0.0, 11.3513), (5, 50, 4.3476, 21.3602), (50, 100, 40.3832, 59.6168), (30, 30, 88.6487, 100.0)],
)
def test_the_interval_is_wilsons(part, whole, low, high):
    found = bias.interval(part, whole)
    assert [100 * one for one in found] == pytest.approx([low, high], abs=5e-4)
    assert 0 <= found[0] <= part / whole <= found[1] <= 1


@pytest.mark.parametrize("part, whole", [(0, 0), (2, 1), (-1, 3)])
def test_a_share_of_nothing_is_refused(part, whole):
    with pytest.raises(ValueError, match="part of something"):
        bias.interval(part, whole)


def test_overtakings_are_told_per_100_choices_between_the_two_whichever_got_the_agent():
    found = {
        (one.first, one.second): one
        for one in bias.pairs({("chat", "mail"): (30, 12), ("mail", "chat"): (20, 1)}, alarm_above=10)
    }
    chat, mail = found["chat", "mail"], found["mail", "chat"]
    assert (chat.choices, chat.overtakings, chat.per_100) == (50, 12, 24.0)
    assert (mail.choices, mail.overtakings, mail.per_100) == (50, 1, 2.0)
    assert [chat.low, chat.high] == pytest.approx([14.30, 37.41], abs=0.01)
    assert (chat.alarm, mail.alarm) == (True, False)


def test_the_alarm_asks_the_lower_bound_not_the_figure():
    (one, _) = bias.pairs({("chat", "mail"): (50, 10)}, alarm_above=15)
    assert one.per_100 == 20.0 and one.low < 15 and not one.alarm


def test_under_thirty_choices_there_is_no_figure_and_no_alarm():
    few = bias.pairs({("chat", "mail"): (29, 29)}, alarm_above=0)[0]
    assert (few.choices, few.overtakings, few.alarm) == (29, 29, False)
    assert (few.per_100, few.low, few.high) == (None, None, None)
    assert bias.pairs({("chat", "mail"): (30, 30)}, alarm_above=0)[0].alarm


def test_a_pair_that_was_never_chosen_between_is_not_told():
    told = {(one.first, one.second) for one in bias.pairs({("chat", "mail"): (1, 0), ("mail", "social"): (1, 0)}, 5)}  # fmt: skip
    assert told == {("chat", "mail"), ("mail", "chat"), ("mail", "social"), ("social", "mail")}


def test_a_meter_looks_at_every_decision_until_a_flood_and_counts_all():
    meter = bias.Meter(looks=4)
    looked = [meter.looks("mail", 7.0) for _ in range(40)]
    assert [place for place, yes in enumerate(looked) if yes] == [0, 1, 2, 3, 7, 11, 15, 19, 35]
    assert meter.lines[bias.DECISION, "mail", ""] == 40
    assert meter.lines[bias.LOOKED, "mail", ""] == 9
    assert meter.looks("mail", 8.0)  # the next second begins with every one again


def test_a_meter_that_was_emptied_counts_from_nought():
    meter = bias.Meter()
    meter.choice("chat", "mail", True)
    meter.choice("chat", "mail", False)
    meter.exempt("voice", bias.CALL)
    assert meter.emptied() == [("call", "voice", "", 1, 0), ("choice", "chat", "mail", 2, 1)]
    assert meter.emptied() == []


# --- what the engine counts


def test_a_heavier_channel_that_goes_first_with_the_lower_claim_overtakes():
    young, old = item(1, "social", 0.0, weight=9.0), item(2, "mail", 3000.0, weight=0.0)
    weights = Weights(channel=1.0)
    lines, overtakings = met([young, old], [Seat(1, capacity=1)], weights)
    assert lines[bias.CHOICE, "social", "mail"] == 1
    assert overtakings == {(bias.CHOICE, "social", "mail"): 1}


def test_reach_and_sentiment_have_no_part_in_the_claim():
    loud = item(1, "social", 0.0, parts={"urgency": 0.5, "value": 0.5, "reach": 1.0, "sentiment": 1.0})
    calm = item(2, "mail", 60.0, parts={"urgency": 0.5, "value": 0.5, "reach": 0.0, "sentiment": 0.0})
    weights = Weights(reach=1.0, sentiment=1.0)
    lines, overtakings = met([loud, calm], [Seat(1, capacity=1)], weights)
    assert overtakings == {(bias.CHOICE, "social", "mail"): 1}
    averages = means([loud, calm])
    assert level(loud, NOW, averages, weights) < level(calm, NOW, averages, weights)


def test_who_had_the_better_claim_overtakes_nobody():
    lines, overtakings = met([item(1, "mail", 3000.0), item(2, "social", 0.0)], [Seat(1, capacity=1)])
    assert lines[bias.CHOICE, "mail", "social"] == 1 and overtakings == {}


def test_equal_claims_are_no_overtaking():
    lines, overtakings = met([item(1, "mail"), item(2, "social")], [Seat(1, capacity=1)])
    assert sum(n for (what, _, _), n in lines.items() if what == bias.CHOICE) == 1 and overtakings == {}


@pytest.mark.parametrize(
    "kept_from",
    [{"skills": {"billing": 3}}, {"language": "es"}, {"refused": frozenset({1})}, {"units": 9}],
)
def test_what_the_agent_could_not_take_was_no_choice(kept_from):
    heavy = item(1, "social", 0.0, weight=9.0)
    lines, _ = met([heavy, item(2, "mail", 3000.0, **kept_from)], [Seat(1, capacity=5)], Weights(channel=1.0))
    assert [line for line in lines if line[0] == bias.CHOICE] == []


def test_what_waits_in_the_same_channel_is_no_choice_between_channels():
    lines, _ = met([item(1), item(2)], [Seat(1, capacity=1)])
    assert [line for line in lines if line[0] == bias.CHOICE] == []


def test_of_each_other_channel_one_item_is_asked_the_one_with_the_best_claim():
    old = [item(number, "mail", 3000.0 + number, weight=0.0) for number in range(2, 9)]
    lines, overtakings = met([item(1, weight=9.0), *old], [Seat(1, capacity=1)], Weights(channel=1.0))
    assert lines[bias.CHOICE, "social", "mail"] == 1 and overtakings[bias.CHOICE, "social", "mail"] == 1


@pytest.mark.parametrize(
    "why, first, seat",
    [
        (bias.SAFETY, item(1, parts={"urgency": 0.95, "value": 0.0}), Seat(1, capacity=10)),
        (bias.CALL, item(1, "voice", 0.0, units=10, goal_seconds=20.0), Seat(1, capacity=10)),
        (bias.LAST_AGENT, item(1, preferred=1, preferred_until=NOW + 9), Seat(1, capacity=1)),
        (bias.ONE_HAND, item(1, customer=5), Seat(1, capacity=1, customers=frozenset({5}))),
    ],
)
def test_exempt_decisions_are_listed_apart(why, first, seat):
    old = item(2, "mail", 60.0, weight=0.0)
    lines, overtakings = met([first, old], [seat], Weights(channel=0.0))
    assert lines[why, first.family, ""] == 1
    assert (bias.CHOICE, first.family, "mail") not in lines and overtakings == {}


# --- the lock


def test_under_the_lock_the_agent_goes_to_whom_the_channel_would_overtake():
    heavy, old = item(1, "social", 0.0, weight=9.0), item(2, "mail", 3000.0, weight=0.0)

    def first(locked):
        pool = Pool(Weights(channel=1.0, locked=locked))
        pool.update_seat(Seat(1, capacity=1))
        pool.add(heavy)
        pool.add(old)
        return pool.decide(NOW)[0]

    assert first(frozenset()).item_id == 1
    assert first(frozenset({"mail"})).item_id == 1
    assert first(frozenset({"social"})).item_id == 2
    assert "social may not overtake it" in first(frozenset({"social"})).reason


def test_generated_queues_show_no_overtaking_by_a_locked_channel(tmp_path):
    class Quiet:
        def note(self, line):
            raise AssertionError(line)

    facts, checks = locks.run(None, argparse.Namespace(queues=300), random.Random(20261125), Quiet())
    assert all(checks.values()), (facts, checks)
    assert facts["decisions"] > 500


def test_under_the_lock_what_waits_long_enough_stands_above_all_that_is_new():
    weights = Weights(locked=frozenset({"mail"}))
    bound = (weights.urgency + weights.value + weights.target) / weights.age
    humble = item(1, "mail", waited=bound * 3600.0)
    best = item(2, "chat", 0.0, goal_seconds=1.0, parts={"urgency": 0.89, "value": 1.0})
    averages = means([])
    assert level(humble, NOW, averages, weights) > level(best, NOW, averages, weights)
