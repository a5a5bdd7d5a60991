"""Whole simulated days over the router pipe, as a process, beside the same days inside this one and the references.

Floors of the routing's quality (P6): gap closed, attainment, voice, languages, refusals, time, and that no setting wins by
letting social wait.
"""

import argparse
import dataclasses
import json
import random
import statistics
import subprocess
import sys
from typing import Any

from bench.drills.log import Log
from bench.scene import Scene
from bench.stack import ROOT
from routing.pipe import RouterPipe
from routing.policies import REFERENCES
from routing.simulation import SCENARIOS, Day, Figures, Policy, figures, gap_closed, play, synthetic_day

SEEDS = (1, 2, 3, 4, 5)
SMALL = 0.15  # of a centre, in the short form
CLOCKS = ("ms_per_decision", "slowest_ms")
GAP, ATTAINMENT, VOICE, LANGUAGE, MILLISECONDS = 0.97, 0.985, 0.8, 0.95, 1.0


class OverPipe:
    """A router that is a process: it hears and answers lines."""

    def __init__(self) -> None:
        command = [sys.executable, "manage.py", "routerpipe"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> "OverPipe":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def hear(self, message: dict[str, Any]) -> list[list[int]] | None:
        """One line, and its answer where one is due."""
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        if message["event"] not in ("arrival", "agent_free"):
            return None
        answer = self.process.stdout.readline()
        if not answer:
            raise OSError("the router pipe has ended")
        return json.loads(answer)


def run(scene: Scene | None, options: argparse.Namespace, dice: random.Random, log: Log) -> tuple[dict, dict]:
    facts: dict = {}
    checks: dict = {}
    seeds, size = (SEEDS[:1], SMALL) if options.small else (SEEDS, 1.0)
    for scenario in SCENARIOS:
        told, right = one_scenario(scenario, seeds, size, options.small, log)
        facts |= told
        checks |= right
    return facts, checks


def one_scenario(
    scenario: str, seeds: tuple[int, ...], size: float, small: bool, log: Log
) -> tuple[dict, dict]:
    days = [synthetic_day(scenario, seed, size=size) for seed in seeds]
    inside = [played(day, RouterPipe()) for day in days]
    over = []
    for seed, day in zip(seeds, days, strict=True):
        with OverPipe() as pipe:
            over.append(played(day, pipe))
        log.note(f"{scenario}, seed {seed}: {dataclasses.asdict(over[-1])}")
    checks = {
        f"{scenario}: the same figures over the pipe": [without_clocks(one) for one in over]
        == [without_clocks(one) for one in inside],
        f"{scenario}: nothing refused": sum(one.refused for one in over) == 0,
        f"{scenario}: social's median first answer within half its target": all(one.counts for one in over),
    }
    best = {name: [played(day, make()) for day in days] for name, make in REFERENCES.items()}
    score = {name: mean(found, "score") for name, found in best.items()}
    own, attained = mean(over, "score"), mean(over, "attainment")
    gap = gap_closed(own, score["longest"], max(score.values()))
    voice = statistics.fmean(one.levels["voice"] for one in over)
    language = statistics.fmean(min(one.languages.values()) for one in over)
    took = mean(inside, "ms_per_decision")
    facts = {
        f"{scenario}, seeds {', '.join(map(str, seeds))}": f"score {own:.4f}, gap closed {gap:.3f}, attainment {attained:.4f}, "
        f"voice {voice:.3f}, worst language {language:.3f}, bias {mean(over, 'social_bias'):.2f}, {took:.3f} ms a decision",
    }
    if not small:  # a small centre is no measure
        checks |= {
            f"{scenario}: gap closed {GAP}": gap >= GAP,
            f"{scenario}: attainment {ATTAINMENT}": attained >= ATTAINMENT,
            f"{scenario}: worst language {LANGUAGE}": language >= LANGUAGE,
            f"{scenario}: {MILLISECONDS} ms a decision": took <= MILLISECONDS,
        }
        if scenario == "normal":
            checks[f"{scenario}: voice {VOICE}"] = voice >= VOICE
    return facts, checks


def played(day: Day, policy: Policy) -> Figures:
    return figures(day, play(day, policy))


def mean(days: list[Figures], name: str) -> float:
    return statistics.fmean(getattr(one, name) for one in days)


def without_clocks(one: Figures) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(one).items() if name not in CLOCKS}
