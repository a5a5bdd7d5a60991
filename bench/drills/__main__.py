"""`python -m bench.drills NAME... [--seed S] [--small]`: hurt the house, then count what is lost or doubled."""

import argparse
import json
import random
import sys
import time
from importlib import import_module
from pathlib import Path

from bench import report
from bench.drills.log import Log
from bench.scene import Scene, build
from bench.stack import BenchError, running

DRILLS = ("races", "routing", "resume", "kills", "erasures", "tickets", "states", "days", "locks")
NO_HOUSE = ("states", "days", "locks")
SMALL = {
    "items": 400,
    "kills": 1,
    "rounds": 2,
    "seconds": 2.0,
    "people": 20,
    "races": 60,
    "steps": 0,
    "queues": 300,
}
FULL = {
    "items": 10_000,
    "kills": 5,
    "rounds": 50,
    "seconds": 30.0,
    "people": 1_000,
    "races": 500,
    "steps": 5_000,
    "queues": 10_000,
}
AGENTS = 50
CAPACITY = 9  # units: three items of a social channel


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=DRILLS)
    parser.add_argument("--seed", type=int, help="repeats a run's choices")
    parser.add_argument("--items", type=int, help="kills: items replayed")
    parser.add_argument("--kills", type=int, help="kills: how often each process is killed")
    parser.add_argument("--rounds", type=int, help="races: rounds of four routers")
    parser.add_argument("--seconds", type=float, help="resume: how long the socket is cut")
    parser.add_argument("--people", type=int, help="erasures: how many are erased; as many stay")
    parser.add_argument("--races", type=int, help="tickets: how many races; routing: twice as many")
    parser.add_argument("--steps", type=int, help="states: steps of the machine")
    parser.add_argument("--queues", type=int, help="locks: how many queues are generated")
    parser.add_argument("--small", action="store_true", help="the short form that the tests run")
    parser.add_argument("--out", type=Path, help="where the JSON of all drills of this run goes too")
    options = parser.parse_args()
    for name, value in (SMALL if options.small else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(2**32)
    bodies = {}
    for name in NO_HOUSE:
        if name in options.names:
            with Log(name, options.seed) as log:
                bodies[name] = drill(name, None, options, log)
    if wanted := [name for name in DRILLS if name in options.names and name not in NO_HOUSE]:
        with running(web=1 if options.small else 2, worker=1) as stack:
            scene = build(stack, agents=AGENTS, customers=0, capacity=CAPACITY)
            for place, name in enumerate(wanted):
                if place:
                    stack.clear()
                with Log(name, options.seed) as log:
                    bodies[name] = drill(name, scene, options, log)
    if options.out:
        options.out.write_text(json.dumps(bodies, default=str))
    return 0 if all(all(body["checks"].values()) for body in bodies.values()) else 1


def drill(name: str, scene: Scene | None, options: argparse.Namespace, log: Log) -> dict:
    log.say(f"drill {name}, seed {options.seed}; log in {log.path}")
    started = time.monotonic()
    try:
        facts, checks = import_module(f"bench.drills.{name}").run(
            scene, options, random.Random(options.seed), log
        )
    except (BenchError, OSError) as error:
        facts, checks = {"error": f"{type(error).__name__}: {error}"}, {"carried through": False}
    for what, value in facts.items():
        log.say(f"  {what}: {value}")
    for what, right in checks.items():
        log.say(f"{'yes' if right else 'NO '} {what}")
    log.say(f"{time.monotonic() - started:.0f} s; repeat with --seed {options.seed}\n")
    given = {key: value for key, value in vars(options).items() if key != "out"}
    body = {"drill": name, "seed": options.seed, "options": given, "facts": facts, "checks": checks}
    (report.RESULTS / f"{log.path.stem}.json").write_text(json.dumps(body, indent=1, default=str) + "\n")
    return body


if __name__ == "__main__":
    sys.exit(main())
