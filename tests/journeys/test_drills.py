"""The drills in their small form, all on one house: the same code as `python -m bench.drills`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = (
    "EARSHOT_HOME",
    "SECRET_KEY",
    "DJANGO_SETTINGS_MODULE",
)  # of the test run, not of the house that is drilled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict:
    """What the drills said: name to facts and checks."""
    folder = tmp_path_factory.mktemp("drills")
    environ = {name: value for name, value in os.environ.items() if name not in OURS}
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "bench.drills",
                "races",
                "routing",
                "resume",
                "kills",
                "erasures",
                "tickets",
            ),
            *("--small", "--items", "300", "--out", str(folder / "out.json")),
        ],
        cwd=ROOT,
        env=environ | {"BENCH_RESULTS": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (folder / "out.json").exists(), done.stdout[-2000:] + done.stderr[-3000:]
    return json.loads((folder / "out.json").read_text())


def broken(found: dict, drill: str) -> str:
    """The checks that failed, with the facts and the seed that repeats them; empty when all is well."""
    body = found[drill]
    failed = [name for name, right in body["checks"].items() if not right]
    return f"{failed} seed {body['seed']}: {body['facts']}" if failed else ""


def test_two_hundred_items_fifty_times_four_routers_and_fifty_accepts_double_nothing(found):
    assert len(found["races"]["checks"]) > 10
    assert not broken(found, "races")


def test_offers_settle_whatever_becomes_of_who_was_asked_and_of_the_router(found):
    assert len(found["routing"]["checks"]) > 10
    assert not broken(found, "routing")


def test_a_desk_that_was_cut_off_comes_back_without_gap_or_repeat(found):
    assert found["resume"]["facts"]["missed while cut"] >= 3
    assert not broken(found, "resume")


def test_a_replay_survives_the_kill_of_each_process(found):
    assert all(found["kills"]["facts"]["seconds until moving again, by victim"].values())
    assert not broken(found, "kills")


def test_people_who_are_erased_are_nowhere_and_stay_out_and_figures_stand(found):
    assert found["erasures"]["facts"]["places where they stood"] >= 12
    assert not broken(found, "erasures")


def test_people_and_tickets_merged_and_parted_under_replies_and_closes_lose_and_mix_up_nothing(found):
    assert len(found["tickets"]["checks"]) > 10
    assert not broken(found, "tickets")
