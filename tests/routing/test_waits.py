"""Expected wait: the worked examples of the formula, its honesty against chance, and where it is told."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import waits
from routing.waits import expected


def test_a_free_place_is_at_once_and_nobody_able_or_nothing_known_is_no_number():
    assert expected(1, slots=3, free=1, handling=300, begun=0, seconds=1800).words == "at once"
    nobody = expected(1, slots=0, free=0, handling=300, begun=9, seconds=1800)
    assert (nobody.low, nobody.words) == (None, "nobody is in who could take it")
    assert expected(1, slots=2, free=0, handling=None, begun=4, seconds=1800).words == "not known yet"
    assert (
        expected(99, slots=1, free=0, handling=900, begun=0, seconds=1800).words == "longer than can be said"
    )


@pytest.mark.parametrize(
    ("place", "free", "begun", "low", "high", "words"),
    [
        # 5 agents of whom each needs 300 s: one comes free each 60 s. Place 3: Erlang of 3 stages, tenth part 1.10 minutes,
        # ninetieth 5.31.
        (3, 0, 0, 66.2, 318.6, "1 to 6 minutes"),
        (1, 0, 0, 5.9, 136.8, "less than 3 minutes"),
        # Two of the five are free: who is third waits as the next one does.
        (3, 2, 0, 5.9, 136.8, "less than 3 minutes"),
        # The queue began 20 in half an hour, one each 90 s, as its agents also work elsewhere: the long end is longer.
        (3, 0, 20, 66.2, 477.9, "1 to 8 minutes"),
        # Four are too few to believe.
        (3, 0, 4, 66.2, 318.6, "1 to 6 minutes"),
        # It began one each 30 s: the short end is shorter.
        (3, 0, 60, 33.1, 318.6, "less than 6 minutes"),
        (10, 0, 0, 373.4, 852.0, "6 to 15 minutes"),
    ],
)
def test_worked_examples(place, free, begun, low, high, words):
    said = expected(place, slots=5, free=free, handling=300, begun=begun, seconds=1800)
    assert said.low == pytest.approx(low, abs=0.1) and said.high == pytest.approx(high, abs=0.1)
    assert said.words == words


@pytest.mark.parametrize("place", [1, 2, 5, 20])
def test_of_ten_who_are_told_a_range_about_eight_wait_that_long(place):
    dice = random.Random(7)
    said = expected(place, slots=4, free=0, handling=240, begun=0, seconds=1800)
    waited = [sum(dice.expovariate(4 / 240) for _ in range(place)) for _ in range(4000)]
    within = sum(said.low <= one <= said.high for one in waited) / len(waited)
    assert 0.77 <= within <= 0.83


@given(
    place=st.integers(1, 500), slots=st.integers(1, 300), free=st.integers(0, 5), handling=st.floats(1, 5000),
    begun=st.integers(0, 900),
)  # fmt: skip
def test_further_back_is_never_sooner_and_more_agents_are_never_slower(place, slots, free, handling, begun):
    more = {"free": free, "handling": handling, "begun": begun, "seconds": 1800}
    here = expected(place, slots=slots, **more)
    behind = expected(place + 1, slots=slots, **more)
    helped = expected(place, slots=slots + 1, **more)
    if here.low is None or here.high is None:
        assert behind.low is None
        return
    assert 0 <= here.low <= here.high <= waits.LONGEST
    if behind.low is not None and behind.high is not None:
        assert here.low <= behind.low and here.high <= behind.high
    assert helped.low is not None and helped.low <= here.low and helped.high <= here.high + 1e-9
