"""Worked examples and properties of the routing engine; no database."""

import math
import random
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.engine import (
    ESTIMATED,
    FAMILIES,
    Decision,
    Item,
    Pool,
    Reserve,
    Seat,
    Weights,
    band,
    decide,
    explain,
    flexibility,
    means,
    order_key,
    requirement,
    score,
    why_idle,
    why_not,
)

NOW = 10_000.0


def mention(number, **about):
    """A social item that waits since a minute."""
    given_ = {"queue": "general", "family": "social", "queued_at": NOW - 60, "goal_seconds": 3600.0, **about}
    return Item(id=number, **given_)


def call(number, **about):
    return mention(
        number, **{"family": "voice", "units": 10, "goal_seconds": 20.0, "queued_at": NOW, **about}
    )


def agent(number, **about):
    return Seat(id=number, **{"capacity": 10, **about})


def pairs(decisions):
    return [(decision.item_id, decision.agent_id) for decision in decisions]


# --- score


def test_the_parts_add_up_to_the_score_exactly():
    item = mention(1, parts={"urgency": 0.1, "sentiment": 0.7, "reach": None, "value": 1 / 3}, weight=1.7)
    total, parts = score(item, NOW, means([item]), Weights())
    assert sum(parts.values()) == total
    assert set(parts) == {"urgency", "value", "sentiment", "reach" + ESTIMATED, "target", "channel", "age"}


def test_an_unknown_part_counts_as_the_mean_of_those_that_know_it_and_says_so():
    known = [mention(1, parts={"value": 1.0}), mention(2, parts={"value": 0.5}), mention(3)]
    averages = means(known)
    _, parts = score(known[2], NOW, averages, Weights(value=0.4))
    assert averages["value"] == 0.75
    assert parts["value" + ESTIMATED] == pytest.approx(0.3)
    assert "value" not in parts


def test_a_part_that_nobody_knows_counts_nothing():
    assert means([mention(1)]) == {"urgency": 0.0, "value": 0.0, "sentiment": 0.0, "reach": 0.0}


def test_parts_out_of_range_or_not_a_number_are_kept_in_bounds():
    item = mention(1, parts={"urgency": 7.0, "value": -3.0, "sentiment": math.nan})
    _, parts = score(item, NOW, means([item]), Weights(urgency=0.3))
    assert parts["urgency"] == 0.3
    assert parts["value"] == 0.0
    assert "sentiment" + ESTIMATED in parts


def test_a_shorter_promise_and_a_heavier_channel_score_higher():
    averages = means([])
    assert score(call(1), NOW, averages)[0] > score(mention(2, queued_at=NOW), NOW, averages)[0]
    assert score(mention(1, weight=2.0), NOW, averages)[0] > score(mention(1), NOW, averages)[0]


@pytest.mark.parametrize(
    "wrong", [{"age": 0.0}, {"urgency": -1.0}, {"value": math.nan}, {"bands": 0}, {"band_width": 0}]
)
def test_weights_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="weigh|number|band"):
        Weights(**wrong)


# --- order


def test_a_higher_band_goes_first_whatever_the_deadline():
    soon = mention(1, deadline=NOW + 5, parts={"urgency": 0.0, "value": 0.0})
    urgent = mention(2, deadline=NOW + 5000, parts={"urgency": 1.0, "value": 1.0})
    assert pairs(decide([soon, urgent], [agent(1, capacity=1)], NOW)) == [(2, 1)]


def test_inside_a_band_the_earliest_deadline_goes_first():
    items = [mention(1, deadline=NOW + 50), mention(2, deadline=NOW + 20), mention(3, deadline=NOW + 30)]
    assert [one.item_id for one in decide(items, [agent(1)], NOW)] == [2, 3, 1]


def test_without_a_deadline_the_promise_is_the_deadline():
    items = [mention(1, goal_seconds=3600.0), mention(2, goal_seconds=3000.0)]
    assert [one.item_id for one in decide(items, [agent(1)], NOW)] == [2, 1]


def test_sentiment_and_reach_move_an_item_inside_its_band_only():
    weights = Weights(sentiment=1.0, reach=1.0)
    calm = mention(1, deadline=NOW + 20, parts={"sentiment": 0.0, "reach": 0.0, "urgency": 0.5})
    loud = mention(2, deadline=NOW + 30, parts={"sentiment": 1.0, "reach": 1.0, "urgency": 0.5})
    urgent = mention(
        3, deadline=NOW + 9000, parts={"sentiment": 0.0, "reach": 0.0, "urgency": 1.0, "value": 1.0}
    )
    assert [one.item_id for one in decide([calm, loud, urgent], [agent(1)], NOW, weights)] == [3, 2, 1]
    averages = means([calm, loud, urgent])
    assert band(calm, NOW, averages, weights) == band(loud, NOW, averages, weights)


def test_reach_weighs_nothing_by_default():
    item = mention(1, parts={"reach": 1.0})
    assert score(item, NOW, means([item]))[1]["reach"] == 0.0


def test_an_item_reaches_the_highest_band_within_the_stated_time_and_is_then_served_by_deadline():
    weights = Weights()
    humble = mention(1, goal_seconds=600.0, queued_at=NOW, parts={"urgency": 0.0, "value": 0.0}, weight=0.0)
    bound = (weights.bands - 1) * weights.band_width / weights.age * 600.0
    averages = means([humble])
    assert band(humble, NOW, averages) == 0
    assert band(humble, NOW + bound + 1, averages) == weights.bands - 1
    later = NOW + bound + 1
    vips = [call(n, units=1, queued_at=later, parts={"urgency": 1.0, "value": 1.0}) for n in range(2, 30)]
    assert pairs(decide([*vips, humble], [agent(1)], later))[0] == (1, 1)


def test_nobody_starves_under_an_endless_stream_of_more_urgent_items():
    pool = Pool()
    pool.add(mention(0, goal_seconds=60.0, queued_at=0.0, parts={"urgency": 0.0, "value": 0.0}))
    for number in range(1, 1000):
        now = float(number)
        pool.add(mention(number, goal_seconds=60.0, queued_at=now, parts={"urgency": 1.0, "value": 1.0}))
        pool.update_seat(agent(1, capacity=1))
        if any(decision.item_id == 0 for decision in pool.decide(now)):
            break
    assert now <= 5 * 60 + 60


# --- who may


def test_a_required_skill_needs_its_level():
    item = mention(1, skills={"billing": 3})
    seats = [agent(1), agent(2, skills={"billing": 2}), agent(3, skills={"billing": 3})]
    decision = decide([item], seats, NOW)[0]
    assert decision.agent_id == 3
    assert decision.reason == "Billing 3, the only one free"
    assert {one["agent"]: one["why"] for one in decision.candidates[1:]} == {
        1: "lacks Billing",
        2: "Billing 2, needs 3",
    }


def test_a_language_is_required_whatever_its_case():
    seats = [agent(1, languages=frozenset({"en"})), agent(2, languages=frozenset({"ES"}))]
    decisions = decide([mention(1, language="es")], seats, NOW)
    assert pairs(decisions) == [(1, 2)]
    assert decisions[0].reason.startswith("Spanish")


def test_nobody_gets_more_units_than_he_has():
    items = [mention(n, units=4) for n in range(5)]
    assert len(decide(items, [agent(1), agent(2, load=7)], NOW)) == 2


def test_a_call_needs_a_whole_agent():
    assert decide([call(1)], [agent(1, load=1)], NOW) == []
    decision = decide([call(1, units=1)], [agent(1)], NOW)[0]
    assert decision.units == 10


def test_an_agent_in_a_call_gets_nothing():
    assert decide([mention(1)], [agent(1, in_call=True)], NOW) == []


def test_a_family_the_agent_does_not_respond_on_is_blocked():
    seats = [agent(1, blocked=frozenset({"social"}))]
    assert pairs(decide([mention(1), mention(2, family="mail")], seats, NOW)) == [(2, 1)]


def test_an_agent_who_is_away_gets_nothing():
    assert decide([mention(1)], [agent(1, live=False)], NOW) == []


def test_the_limit_of_a_family_holds():
    seats = [agent(1, max_family={"chat": 2}, open_family={"chat": 1})]
    items = [mention(n, family="chat") for n in (1, 2)] + [mention(3)]
    assert sorted(one.item_id for one in decide(items, seats, NOW)) == [1, 3]


def test_an_agent_without_capacity_takes_no_call():
    assert decide([call(1)], [agent(1, capacity=0)], NOW) == []


# --- who best


def test_the_least_flexible_agent_goes_first():
    seats = [
        agent(1, skills={"billing": 3, "technical": 3}),
        agent(2, skills={"billing": 3}, idle_since=50.0),
    ]
    decision = decide([mention(1, skills={"billing": 1})], seats, NOW)[0]
    assert decision.agent_id == 2
    assert decision.reason == "Billing 3, least flexible"
    assert decision.candidates[1] == {"agent": 1, "eligible": True, "why": "could, but is more flexible"}


def test_among_equals_the_longest_idle_goes_first_then_the_lower_number():
    assert decide([mention(1)], [agent(1, idle_since=9.0), agent(2, idle_since=3.0)], NOW)[0].agent_id == 2
    assert decide([mention(1)], [agent(2), agent(1)], NOW)[0].agent_id == 1


def test_asynchronous_work_is_packed_beside_open_work():
    seats = [agent(1), agent(2, load=3, idle_since=NOW)]
    decisions = decide([mention(n, units=3) for n in range(3)], seats, NOW)
    assert [one.agent_id for one in decisions] == [2, 2, 1]
    assert "has room beside open work" in decisions[0].reason


def test_the_fullest_agent_with_room_is_packed_first_so_that_the_others_become_free():
    seats = [agent(1, load=3, idle_since=0.0), agent(2, load=6, idle_since=NOW)]
    assert [one.agent_id for one in decide([mention(n, units=3) for n in range(2)], seats, NOW)] == [2, 1]


def test_packing_can_be_switched_off():
    seats = [agent(1), agent(2, load=3, idle_since=NOW)]
    assert decide([mention(1)], seats, NOW, Weights(packed=frozenset()))[0].agent_id == 1


def test_a_generalist_takes_no_more_shown_candidates_than_five():
    decision = decide([mention(1)], [agent(n) for n in range(20)], NOW)[0]
    assert len(decision.candidates) == 5
    assert decision.candidates[0]["agent"] == decision.agent_id


# --- one customer, one hand


def test_the_agent_who_holds_the_customer_goes_first():
    seats = [agent(1), agent(2, load=5, customers=frozenset({77}), skills={"billing": 1})]
    decision = decide([mention(1, customer=77)], seats, NOW)[0]
    assert (decision.agent_id, decision.preferred) == (2, True)
    assert decision.reason == "has this customer's open work"


def test_the_holder_goes_one_above_capacity_but_not_two():
    seats = [agent(1), agent(2, load=10, customers=frozenset({77}))]
    items = [mention(n, customer=77, preferred_until=NOW + 60) for n in (1, 2)]
    assert pairs(decide(items, seats, NOW)) == [(1, 2)]
    assert pairs(decide(items, [seats[0], replace(seats[1], over=1)], NOW)) == []


def test_the_holder_is_never_disturbed_in_a_call_and_the_item_goes_to_the_pool_after_the_timer():
    seats = [agent(1), agent(2, load=10, in_call=True, customers=frozenset({77}))]
    item = mention(1, customer=77, preferred_until=NOW + 60)
    pool = Pool()
    for seat in seats:
        pool.update_seat(seat)
    pool.add(item)
    assert pool.decide(NOW) == []
    assert pairs(pool.decide(NOW + 60)) == [(1, 1)]


def test_a_holder_who_is_away_or_declined_keeps_nobody_waiting():
    item = mention(1, customer=77, preferred_until=NOW + 60)
    away = agent(2, live=False, customers=frozenset({77}))
    assert pairs(decide([item], [agent(1), away], NOW)) == [(1, 1)]
    declined = replace(item, refused=frozenset({2}))
    assert pairs(decide([declined], [agent(1), replace(away, live=True)], NOW)) == [(1, 1)]


def test_a_holder_without_the_skill_does_not_get_it():
    item = mention(1, customer=77, skills={"billing": 1}, preferred_until=NOW + 60)
    seats = [agent(1, skills={"billing": 1}), agent(2, customers=frozenset({77}))]
    assert pairs(decide([item], seats, NOW)) == [(1, 1)]


def test_a_call_is_not_kept_waiting_for_the_holder():
    seats = [agent(1), agent(2, load=3, customers=frozenset({77}))]
    assert pairs(decide([call(1, customer=77, preferred_until=NOW + 60)], seats, NOW)) == [(1, 1)]


def test_the_preferred_agent_goes_first_though_he_holds_nothing():
    decision = decide([mention(1, preferred=2)], [agent(1), agent(2, skills={"billing": 1})], NOW)[0]
    assert (decision.agent_id, decision.reason) == (2, "asked for by name")


def test_two_items_of_one_customer_go_to_one_agent_in_one_round():
    items = [mention(n, customer=5, preferred_until=NOW + 60) for n in (1, 2)]
    assert pairs(decide(items, [agent(1, capacity=1), agent(2, capacity=1)], NOW)) == [(1, 1), (2, 1)]


def test_an_item_parked_for_its_holder_is_free_when_he_gives_the_customer_back():
    pool = Pool()
    pool.update_seat(agent(1))
    pool.update_seat(agent(2, load=10, over=1, customers=frozenset({77})))
    pool.add(mention(1, customer=77, preferred_until=NOW + 600))
    assert pool.decide(NOW) == []
    pool.update_seat(agent(2, load=10, over=1))
    assert pairs(pool.decide(NOW + 1)) == [(1, 1)]


# --- refused


def test_who_declined_is_not_asked_again_while_somebody_else_is_there():
    item = mention(1, refused=frozenset({1}))
    assert pairs(decide([item], [agent(1), agent(2, skills={"billing": 1})], NOW)) == [(1, 2)]
    assert decide([item], [agent(1), agent(2, load=10)], NOW) == []


def test_who_declined_is_asked_again_when_the_others_are_away():
    item = mention(1, refused=frozenset({1}))
    assert pairs(decide([item], [agent(1), agent(2, live=False)], NOW)) == [(1, 1)]


def test_an_item_refused_by_everybody_waits_and_says_why():
    item = mention(1, refused=frozenset({1, 2}))
    seats = [agent(1), agent(2)]
    assert decide([item], seats, NOW) == []
    assert explain(item, seats, NOW)["why"] == "everybody who could take it has declined or missed it"


def test_a_refused_item_does_not_stop_those_behind_it():
    items = [mention(1, refused=frozenset({1}), deadline=NOW), mention(2, deadline=NOW + 50)]
    pool = Pool()
    pool.update_seat(agent(1))
    for item in items:
        pool.add(item)
    assert pairs(pool.decide(NOW)) == [(2, 1)]
    pool.update_seat(agent(3))
    assert pairs(pool.decide(NOW)) == [(1, 3)]


# --- widening


@pytest.mark.parametrize(
    ("step", "seat"),
    [
        ("levels", agent(1, skills={"billing": 1}, languages=frozenset({"es"}))),
        ("skill:billing", agent(1, languages=frozenset({"es"}))),
        ("skills", agent(1, languages=frozenset({"es"}))),
        ("language", agent(1, skills={"billing": 4})),
    ],
)
def test_a_requirement_widens_at_its_time_and_the_decision_names_the_step(step, seat):
    item = mention(1, skills={"billing": 4}, language="es", relax_at=((NOW + 30, step),))
    pool = Pool()
    pool.update_seat(seat)
    pool.add(item)
    assert pool.decide(NOW + 29) == []
    assert [one.step for one in pool.decide(NOW + 30)] == [step]


def test_the_first_step_is_called_exact():
    assert decide([mention(1)], [agent(1)], NOW)[0].step == "exact"
    assert requirement(mention(1, relax_at=((NOW, "ring 2"),)), NOW)[1] == "ring 2"


# --- reserve


def test_young_deferred_work_leaves_the_last_idle_agents_free_for_calls():
    reserve = Reserve(seats=1, hold=0.25)
    item = mention(1, queued_at=NOW)
    assert decide([item], [agent(1)], NOW, reserve=reserve) == []
    assert pairs(decide([item], [agent(1)], NOW + 900, reserve=reserve)) == [(1, 1)]
    assert len(decide([item], [agent(1), agent(2)], NOW, reserve=reserve)) == 1


def test_a_quarter_of_those_who_take_calls_is_kept_free_where_that_is_more():
    items = [mention(n, queued_at=NOW, units=10) for n in range(20)]
    made = decide(items, [agent(n) for n in range(16)], NOW, reserve=Reserve(seats=1))
    assert len(made) == 12


def test_held_work_is_still_packed_beside_open_work():
    items = [mention(1, queued_at=NOW), mention(2, queued_at=NOW, parts={"urgency": 0.95})]
    assert sorted(pairs(decide(items, [agent(1)], NOW, reserve=Reserve(seats=1)))) == [(1, 1), (2, 1)]


@pytest.mark.parametrize("about", [{"family": "message"}, {"parts": {"urgency": 0.95}}])
def test_private_messages_and_safety_are_never_held(about):
    assert len(decide([mention(1, queued_at=NOW, **about)], [agent(1)], NOW, reserve=Reserve(seats=5))) == 1


def test_an_agent_who_takes_no_calls_is_not_kept_for_them():
    seats = [agent(1, max_family={"voice": 0})]
    assert len(decide([mention(1, queued_at=NOW)], seats, NOW, reserve=Reserve(seats=5))) == 1


def test_the_hold_of_a_queue_goes_before_the_share_of_the_promise():
    reserve = Reserve(seats=1, hold_seconds={"general": 10.0})
    assert len(decide([mention(1, queued_at=NOW)], [agent(1)], NOW + 11, reserve=reserve)) == 1


# --- why


def test_explain_names_the_reason_of_every_agent():
    item = mention(1, skills={"billing": 2}, language="es")
    spanish = frozenset({"es"})
    seats = [
        agent(1, languages=spanish),
        agent(2, skills={"billing": 2}),
        agent(3, skills={"billing": 2}, languages=spanish, load=10),
        agent(4, skills={"billing": 2}, languages=spanish, live=False),
        agent(5, skills={"billing": 2}, languages=spanish, blocked=frozenset({"social"})),
    ]
    told = explain(item, seats, NOW, items=[mention(2, deadline=NOW)])
    assert {one["agent"]: one["why"] for one in told["candidates"]} == {
        1: "lacks Billing",
        2: "does not speak Spanish",
        3: "no room, 10 of 10 units in use, needs 1",
        4: "not available",
        5: "not responding on social",
    }
    assert told["why"] == "all 1 who could take it are busy"
    assert told["ahead"] == 1
    assert sum(told["parts"].values()) == told["score"]


@pytest.mark.parametrize(
    ("item", "seats", "why"),
    [
        (mention(1, skills={"x": 1}), [agent(1)], "nobody has the skills and the language for it"),
        (mention(1), [agent(1, live=False)], "nobody who could take it is available"),
        (mention(1, queued_at=NOW), [agent(1)], "held for calls"),
        (mention(1), [], "nobody has the skills and the language for it"),
        (
            mention(1, customer=7, preferred_until=NOW + 9),
            [agent(1, in_call=True, customers=frozenset({7}))],
            "waits for agent 1, who has this customer's open work",
        ),
    ],
)
def test_explain_says_in_one_sentence_why_an_item_waits(item, seats, why):
    assert explain(item, seats, NOW, reserve=Reserve())["why"] == why


def test_why_idle_counts_what_keeps_the_work_from_an_agent():
    items = [mention(1, skills={"x": 1}), mention(2, skills={"x": 1}), mention(3, language="es")]
    told = why_idle(agent(1), items, NOW)
    assert told["reasons"] == {"lacks X": 2, "does not speak Spanish": 1}
    assert told["why"] == "lacks X: 2 waiting"
    assert why_idle(agent(1), [], NOW)["why"] == "nothing is waiting"
    held = why_idle(agent(1), [mention(1, queued_at=NOW)], NOW, Reserve())
    assert held["why"] == "held for calls: 1 waiting"


# --- the pool


def test_what_was_given_has_left_the_pool_and_weighs_on_the_agent():
    pool = Pool()
    pool.update_seat(agent(1))
    pool.add(mention(1, units=4, customer=9))
    pool.decide(NOW)
    assert 1 not in pool
    seat = pool.seat(1)
    assert (seat.load, seat.customers, dict(seat.open_family)) == (4, frozenset({9}), {"social": 1})


def test_the_pool_never_changes_what_it_was_given():
    seats, items = [agent(1, open_family={})], [mention(1, customer=4)]
    before = asdict(seats[0]), asdict(items[0])
    decide(items, seats, NOW)
    assert (asdict(seats[0]), asdict(items[0])) == before


def test_adding_a_known_item_replaces_it_and_removing_an_unknown_one_is_nothing():
    pool = Pool()
    pool.add(mention(1, language="es"))
    pool.add(mention(1))
    assert pool.remove(5) is None
    pool.update_seat(agent(1))
    assert pairs(pool.decide(NOW)) == [(1, 1)]
    assert len(pool) == 0


def test_a_limit_ends_the_round_early():
    pool = Pool()
    pool.update_seat(agent(1))
    for number in range(5):
        pool.add(mention(number))
    assert len(pool.decide(NOW, limit=2)) == 2
    assert len(pool) == 3


def test_no_index_is_left_behind_by_what_came_and_went():
    pool = Pool()
    for number in range(2000):
        pool.add(mention(number, customer=number, preferred=3, deadline=NOW + number))
        if number >= 10:
            pool.remove(number - 5)
    for number in range(2000):
        pool.remove(number)
    assert (len(pool), pool._units, pool._by_customer, pool._by_preferred) == (0, {}, {}, {})
    assert pool._tally.known == {"urgency": 0, "value": 0, "sentiment": 0, "reach": 0}


# --- properties

SKILLS = ("billing", "technical", "sales")
unit = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 0.8, 1.0]), st.floats(0, 1))
skills = st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 4), max_size=2)
agents = st.integers(0, 5)


@st.composite
def items(draw, number):
    family = draw(st.sampled_from(FAMILIES))
    queued = NOW - draw(st.integers(0, 4000))
    return Item(
        id=number,
        queue=draw(st.sampled_from(["general", "billing"])),
        family=family,
        units=10 if family == "voice" else draw(st.sampled_from([1, 3, 5])),
        skills=draw(skills),
        language=draw(st.sampled_from([None, None, "en", "es"])),
        queued_at=queued,
        deadline=draw(st.one_of(st.none(), st.integers(0, 5000).map(lambda after: queued + after))),
        goal_seconds=draw(st.sampled_from([20.0, 900.0, 3600.0])),
        parts={part: draw(unit) for part in ("urgency", "sentiment", "reach", "value")},
        weight=draw(st.sampled_from([1.0, 3.0])),
        customer=draw(st.one_of(st.none(), st.integers(0, 4))),
        preferred=draw(st.one_of(st.none(), st.none(), agents)),
        preferred_until=NOW + draw(st.sampled_from([-10, 0, 30])),
        refused=frozenset(draw(st.sets(agents, max_size=2))),
        relax_at=tuple(draw(st.lists(st.tuples(st.integers(-50, 50).map(lambda at: NOW + at), st.sampled_from(
            ["levels", "skill:billing", "skills", "language"])), max_size=2))),
    )  # fmt: skip


@st.composite
def seats(draw, number):
    load = draw(st.sampled_from([0, 0, 0, 3, 7, 10]))
    return Seat(
        id=number,
        skills=draw(skills),
        languages=frozenset(draw(st.sets(st.sampled_from(["en", "es"])))),
        capacity=10,
        load=load,
        live=draw(st.sampled_from([True, True, True, False])),
        idle_since=NOW - draw(st.integers(0, 3)),
        blocked=frozenset(draw(st.sets(st.sampled_from(FAMILIES), max_size=1))),
        customers=frozenset(draw(st.sets(st.integers(0, 4), max_size=2))),
        in_call=load == 10 and draw(st.booleans()),
        over=draw(st.sampled_from([0, 0, 1])),
        max_family=draw(st.sampled_from([None, None, {"voice": 0}, {"chat": 1}])),
    )


@st.composite
def centres(draw):
    waiting = [draw(items(number)) for number in range(draw(st.integers(0, 12)))]
    return waiting, [draw(seats(number)) for number in range(draw(st.integers(0, 6)))]


reserves = st.sampled_from([None, Reserve(seats=1), Reserve(seats=3, hold=0.5)])


@settings(max_examples=80, deadline=None)
@given(centres(), reserves)
def test_no_decision_breaks_a_rule(centre, reserve):
    waiting, present = centre
    by_item, by_seat = {item.id: item for item in waiting}, {seat.id: replace(seat) for seat in present}
    made = decide(waiting, present, NOW, reserve=reserve)
    assert len({one.item_id for one in made}) == len(made)
    for one in made:
        item, seat = by_item[one.item_id], by_seat[one.agent_id]
        need, step = requirement(item, NOW)
        assert one.step == step
        assert sum(one.parts.values()) == one.score
        assert seat.live
        assert not seat.in_call
        assert item.family not in seat.blocked
        assert all(seat.skills.get(code, 0) >= level for code, level in need.skills)
        assert need.language is None or need.language in seat.languages
        seat.load += one.units
        if seat.load > seat.capacity:
            assert one.preferred
            assert item.family != "voice"
            seat.over += 1
            assert seat.over <= 1
        if item.family == "voice":
            assert one.units == seat.load == seat.capacity
            seat.in_call = True
        assert one.reason
        assert 1 <= len(one.candidates) <= 5


@settings(max_examples=50, deadline=None)
@given(centres(), reserves, st.randoms(use_true_random=False))
def test_the_same_snapshot_gives_the_same_decisions_in_whatever_order_it_is_given(centre, reserve, shuffler):
    waiting, present = centre
    first = decide(waiting, present, NOW, reserve=reserve)
    shuffler.shuffle(waiting)
    shuffler.shuffle(present)
    assert decide(waiting, present, NOW, reserve=reserve) == first


@settings(max_examples=50, deadline=None)
@given(centres())
def test_no_agent_stays_idle_beside_work_he_could_do(centre):
    waiting, present = centre
    waiting = [replace(item, preferred_until=0.0) for item in waiting]
    pool = Pool()
    for seat in present:
        pool.update_seat(seat)
    for item in waiting:
        pool.add(item)
    pool.decide(NOW)
    assert [
        (item.id, seat.id) for item in pool.items for seat in pool.seats if why_not(item, seat, NOW) is None
    ] == []


@settings(max_examples=50, deadline=None)
@given(centres())
def test_lanes_are_served_in_the_order_of_the_key(centre):
    waiting, _ = centre
    waiting = [replace(item, customer=None, preferred=None, refused=frozenset()) for item in waiting]
    everybody = [
        agent(n, skills=dict.fromkeys(SKILLS, 4), languages=frozenset({"en", "es"}))
        for n in range(len(waiting))
    ]
    averages = means(waiting)
    served = [one.item_id for one in decide(waiting, everybody, NOW)]
    assert served == [item.id for item in sorted(waiting, key=lambda item: order_key(item, NOW, averages))]


def fresh_decide(pool_items, pool_seats, now, reserve):
    return decide(list(pool_items), [replace(seat) for seat in pool_seats], now, reserve=reserve)


@settings(max_examples=50, deadline=None)
@given(st.data(), reserves)
def test_a_pool_that_lived_long_decides_as_a_fresh_one(data, reserve):
    pool, now, number = Pool(reserve=reserve), NOW, 0
    for _ in range(data.draw(st.integers(1, 12))):
        act = data.draw(
            st.sampled_from(["add", "add", "add", "remove", "seat", "seat", "gone", "round", "round"])
        )
        if act == "add":
            pool.add(data.draw(items(number)))
            number += 1
        elif act == "remove" and number:
            pool.remove(data.draw(st.integers(0, number - 1)))
        elif act == "seat":
            pool.update_seat(data.draw(seats(data.draw(agents))))
        elif act == "gone":
            pool.remove_seat(data.draw(agents))
        else:
            now += data.draw(st.sampled_from([0, 1, 29, 31, 500, 5000]))
            expected = fresh_decide(pool.items, pool.seats, now, reserve)
            assert pool.decide(now) == expected


def test_a_pool_decides_as_a_fresh_one_over_a_long_random_day():
    chance = random.Random(20240607)
    pool, reserve, number, made = Pool(reserve=Reserve(seats=2)), Reserve(seats=2), 0, 0
    for minute in range(250):
        now = NOW + minute * 7.0
        for _ in range(chance.randrange(12)):
            number += 1
            pool.add(random_item(chance, number, now))
        for waiting in list(pool.items):
            if chance.random() < 0.01:
                pool.remove(waiting.id)
        for _ in range(chance.randrange(5)):
            pool.update_seat(random_seat(chance, now))
        expected = fresh_decide(pool.items, pool.seats, now, reserve)
        got = pool.decide(now)
        assert got == expected
        made += len(got)
    assert made > 200


def random_item(chance, number, now):
    family = chance.choice(FAMILIES)
    return Item(
        id=number,
        queue="general",
        family=family,
        units=10 if family == "voice" else 3,
        skills={chance.choice(SKILLS): chance.randrange(1, 4)},
        language=chance.choice([None, "en", "es"]),
        queued_at=now - chance.choice([0.0, 100.0, 3000.0]),
        goal_seconds=chance.choice([20.0, 300.0, 3600.0]),
        parts={
            part: chance.choice([None, chance.random()])
            for part in ("urgency", "sentiment", "reach", "value")
        },
        customer=chance.randrange(60),
        preferred_until=now + chance.choice([0.0, 20.0]),
        refused=frozenset(chance.sample(range(20), chance.randrange(3))),
    )


def random_seat(chance, now):
    return Seat(
        id=chance.randrange(20),
        skills={code: chance.randrange(1, 5) for code in chance.sample(SKILLS, 2)},
        languages=frozenset(chance.sample(["en", "es"], chance.randrange(3))),
        capacity=10,
        load=chance.choice([0, 0, 3, 10]),
        live=chance.random() < 0.9,
        idle_since=now - chance.randrange(50),
        customers=frozenset(chance.sample(range(60), 2)),
    )


def test_a_seat_with_more_skills_is_more_flexible():
    assert flexibility(agent(1, skills={"a": 1}, languages=frozenset({"en"}))) == 2
    assert flexibility(agent(1, skills={"a": 1}, max_family={"voice": 0})) == 0


def test_a_decision_can_be_compared_and_stored():
    decision = decide([mention(1)], [agent(1)], NOW)[0]
    assert isinstance(decision, Decision)
    assert decision == Decision(**asdict(decision))
