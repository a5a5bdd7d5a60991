"""The machine of acts and timers (`tests/floor.py`) over many steps, then each fault planted in the product: is it found?"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from bench.drills.log import Log
from bench.stack import ROOT, BenchError, clean_environ

TESTS = "tests/routing/test_states.py"


def run(scene: object, options: argparse.Namespace, dice: random.Random, log: Log) -> tuple[dict, dict]:
    asked = {"STATE_STEPS": str(options.steps), "STATE_SEED": str(options.seed), "STATE_FAULTS": "all"}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", TESTS, f"--junitxml={report}", f"--basetemp={folder}/tmp"],
            cwd=ROOT, env=clean_environ() | asked, capture_output=True, text=True,
        )  # fmt: skip
        log.note(done.stdout + done.stderr)
        if not report.exists():
            raise BenchError(f"the machine did not run:\n{(done.stdout + done.stderr)[-2000:]}")
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))  # noqa: S314 - our own report
    found = {said(case): passed(case) for case in cases}
    steps = {said(case): steps_of(case) for case in cases if steps_of(case)}
    return {"steps": options.steps, "steps until a planted fault was found": steps}, found


def said(case: ElementTree.Element) -> str:
    """The fault that was planted, or the test's own words."""
    name, _, fault = case.get("name", "").partition("[")
    return f"found: {fault.rstrip(']')}" if fault else name.removeprefix("test_").replace("_", " ")


def passed(case: ElementTree.Element) -> bool:
    return case.find("failure") is None and case.find("error") is None


def steps_of(case: ElementTree.Element) -> int:
    found = [int(one.get("value", 0)) for one in case.iter("property") if one.get("name") == "steps"]
    return found[0] if found else 0
