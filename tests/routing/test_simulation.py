"""The simulator drives the live engine: the same seed is the same day, nobody is overloaded, and it beats a plain queue."""

import json
from io import StringIO

import pytest
from django.core.management import call_command


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
