"""`python -m bench` in its shortest form: that it measures, compares and writes down, not how fast anything is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("EARSHOT_HOME", "SECRET_KEY", "DJANGO_SETTINGS_MODULE")  # of the test run, not of the house

pytestmark = pytest.mark.slow


def bench(folder: Path, *asked: str, **environ: str) -> tuple[str, dict]:
    """What a run printed, and the JSON it left."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", *asked],
        cwd=ROOT,
        env=kept | {"BENCH_RESULTS": str(folder)} | environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    files = list(folder.glob("bench-*.json"))
    assert len(files) == 1, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout, json.loads(files[0].read_text())


def test_two_phases_leave_a_table_and_json_and_say_that_limits_are_missing(tmp_path):
    said, found = bench(tmp_path, "P2", "P4", LIM_SCRIPTS=str(tmp_path / "nowhere"))

    assert list(found["phases"]) == ["P2", "P4"]
    assert found["limits"] == "skipped"
    assert "limits: skipped" in said
    for phase in found["phases"].values():
        assert phase["checks"] and all(phase["checks"].values()), phase
    bulk, whole = (found["phases"][name]["rows"] for name in ("P2", "P4"))
    assert bulk[0]["value"] > 0
    assert bulk[0]["limit"] is None and bulk[0]["ratio"] is None and bulk[0]["verdict"] == ""
    # The raw chain of P4 is ours: there a ratio stands beside floor and goal.
    assert whole[0]["ratio"] == pytest.approx(whole[0]["value"] / whole[0]["limit"])
    assert (whole[0]["floor"], whole[0]["goal"]) == (20, 5)
    table = {line[5:51].strip(): line for line in said.splitlines() if line[:3] in ("P2 ", "P3 ", "P4 ")}
    for row in bulk + whole:
        assert row["what"].strip() in table
