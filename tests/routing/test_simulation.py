"""The simulator drives the live engine: the same seed is the same day, nobody is overloaded, and it beats a plain queue."""

import json
from dataclasses import replace
from io import StringIO

import pytest
from django.core.management import call_command

from routing import bias
from routing.pipe import RouterPipe
from routing.simulation import Day, play, synthetic_day


def played(**options):
    out = StringIO()
    call_command("simulate", json=True, size=0.2, stdout=out, **options)
    return json.loads(out.getvalue())["scenarios"]


@pytest.mark.parametrize("scenario", ["normal", "storm", "thin"])
def test_the_engine_beats_longest_waiting_and_gives_nobody_what_he_cannot_take(scenario):
    engine = played(scenario=[scenario], policy=["engine"], seed=[1])[scenario]["engine"]["mean"]
    plain = played(scenario=[scenario], policy=["longest"], seed=[1])[scenario]["longest"]["mean"]
    assert engine["items"] == plain["items"] > 1_000
    assert engine["refused"] == 0
    assert engine["score"] > plain["score"]
    assert engine["attainment"] > plain["attainment"]


def test_the_same_seed_is_the_same_day():
    def day():
        mean = played(scenario=["normal"], policy=["engine"], seed=[3])["normal"]["engine"]["mean"]
        return {name: value for name, value in mean.items() if "ms" not in name}

    assert day() == day()


def renamed(day, names):
    """The same day with its channels called otherwise."""
    arrivals = [replace(one, channel=names[one.channel]) for one in day.arrivals]
    agents = [replace(one, channels=tuple(names[channel] for channel in one.channels)) for one in day.agents]
    return Day(arrivals, agents, {names[name]: about for name, about in day.channels.items()}, day.closes)


def test_with_masked_names_a_day_does_not_depend_on_what_its_channels_are_called():
    day = synthetic_day("normal", 4, size=0.1)
    # A call takes an agent whole in any played day: only its name stays.
    other = renamed(day, {"voice": "voice", "chat": "social", "dm": "email", "social": "chat", "email": "dm"})
    masked = play(day, RouterPipe(masked=True))
    assert masked.refused == [] and len(masked.answered) > 500
    assert play(other, RouterPipe(masked=True)).answered == masked.answered
    assert play(other, RouterPipe()).answered != play(day, RouterPipe()).answered


def test_a_played_day_counts_every_choice_between_channels():
    meter = bias.Meter(looks=None)
    played_day = play(synthetic_day("normal", 4, size=0.1), RouterPipe(meter=meter))
    decisions = sum(number for (what, _, _), number in meter.lines.items() if what == bias.DECISION)
    assert decisions == len(played_day.answered)
    assert decisions == sum(number for (what, _, _), number in meter.lines.items() if what == bias.LOOKED)
    assert any(pair.per_100 is not None for pair in bias.pairs(bias.choices_in(meter.emptied()), 10.0))
