"""One of several routers at once, without the leader's lock: reads its state when told, then decides at a given instant.

Lines in: `rebuild` (answered `ready` and the seconds it took), `go <epoch>` (answered with how many it decided and made).
The loop is the conveyor's own; only the lock is off, so that the statements' own guards are what is shown.
"""

import os
import sys
import time

os.environ |= {"LEADER_LOCK": "0", "EARSHOT_ROLE": "conveyor"}

from bench import ready  # noqa: E402, F401 - Django before its models, the lock off before the settings
from routing.conveyor import Conveyor  # noqa: E402 - the same
from routing.services import dispatch  # noqa: E402 - the same

SECONDS = 0.6


def main() -> None:
    conveyor = Conveyor()
    counted = [0, 0]
    commit = dispatch.commit

    def counting(decisions: list, rings: dict) -> list:
        made = commit(decisions, rings)
        counted[0] += len(decisions)
        counted[1] += len(made)
        return made

    dispatch.commit = counting
    for line in sys.stdin:
        word, _, at = line.strip().partition(" ")
        if word == "rebuild":
            counted[:] = [0, 0]
            started = time.monotonic()
            conveyor.start()
            print("ready", time.monotonic() - started, flush=True)
        else:
            time.sleep(max(0.0, float(at) - time.time()))
            while time.time() < float(at) + SECONDS:
                if not conveyor.step():
                    time.sleep(0.005)
            print(*counted, flush=True)


if __name__ == "__main__":
    main()
