"""`python -m socialcare.simnet --port N [--home DIR]`."""

import argparse
import os
import sys

from socialcare.simnet.server import DEFAULT_PORT, serve


def main() -> int:
    """Read the arguments and serve until told to stop."""
    parser = argparse.ArgumentParser(prog="simnet", description="The simulated networks of the demo.")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="0 takes a free one (default %(default)s)"
    )
    parser.add_argument(
        "--home", default=os.environ.get("EARSHOT_HOME") or ".earshot", help="where the ledger lies"
    )
    arguments = parser.parse_args()
    return serve(arguments.port, arguments.home)


if __name__ == "__main__":
    sys.exit(main())
