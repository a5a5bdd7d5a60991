"""`manage.py simnet`: the simulated networks, for the demo and for tests."""

import os
import sys

from django.core.management.base import BaseCommand, CommandParser

from socialcare.simnet.server import DEFAULT_PORT, serve


class Command(BaseCommand):
    """Serves the simulated networks on the loopback until it is told to stop."""

    help = "The simulated networks (sim-x, sim-mail, sim-chat, sim-phone): posts, echoes, faults, plays."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Port and home."""
        home = os.environ.get("EARSHOT_HOME") or ".earshot"
        parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free one")
        parser.add_argument("--home", default=home, help="folder of the ledger file")

    def handle(self, *args, **options) -> None:
        """Serve."""
        if code := serve(options["port"], options["home"]):
            sys.exit(code)
