"""`python -m bench [P1 P2 ...]`: each phase beside its limit, in one run; a table, and JSON under bench/results/."""

import argparse
import time
from importlib import import_module

from bench import limits, report, scene
from bench.stack import BenchError, running

PHASES = ("P2", "P1", "P5", "P4", "P7", "P8", "P10", "P11", "LISTS")
ALIASES = {"P3": "P2"}  # the CPU of P2 is read while P2 runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phases", nargs="*", help=f"of {', '.join(PHASES)}; all without")
    parser.add_argument(
        "--quick", action="store_true", help="one short round: shows that it works, not how fast"
    )
    parser.add_argument("--web", type=int, default=1, help="web processes; the limits have one")
    options = parser.parse_args()
    asked = {ALIASES.get(name.upper(), name.upper()) for name in options.phases} or set(PHASES)
    if unknown := asked - set(PHASES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if not limits.present():
        print(f"limits: skipped, {limits.SCRIPTS} is not there; figures stand alone")
    started = time.monotonic()
    found: dict[str, report.Found] = {}
    with running(web=options.web) as stack:
        print(f"the house is up after {time.monotonic() - started:.1f} s")
        known = scene.QUICK_KNOWN if options.quick else scene.KNOWN
        place = scene.build(stack, agents=200, customers=known, quick=options.quick)
        for name in [phase for phase in PHASES if phase in asked]:
            if found:
                stack.clear()
            found[name] = measured(name, place)
    report.say(found)
    took = time.monotonic() - started
    beside = str(limits.SCRIPTS) if limits.present() else "skipped"
    print(f"\n{took:.0f} s in all; {report.save(found, took, beside)}")
    return 0 if all(all(one.checks.values()) for one in found.values()) else 1


def measured(name: str, place: scene.Scene) -> report.Found:
    """Run one phase; what cannot be measured is said, and the others go on."""
    began = time.monotonic()
    try:
        one = import_module(f"bench.{name.lower()}").run(place)
    except (BenchError, OSError, TimeoutError) as error:
        one = report.Found(checks={"measured": False}, notes=[f"{type(error).__name__}: {error}"])
    print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
    return one


if __name__ == "__main__":
    raise SystemExit(main())
