#!/usr/bin/env python
"""Earshot's commands. A command that finds no running services starts PostgreSQL and Valkey for its own duration."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line, load_command_class

from crm.launcher import services_for
from crm.management.commands.up import Command as Up
from crm.processes import LaunchError

# Arithmetic over pipes and files, and the simulated networks, need no apps and start in a third of the time without them.
PURE = {"staffing": "routing", "forecast": "routing", "routerpipe": "routing", "simnet": "socialcare"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    try:
        with services_for(sys.argv):
            if sys.argv[1:2] == ["up"]:
                Up().run_from_argv(
                    sys.argv
                )  # its children load the apps; it only watches, so it starts at once
            elif sys.argv[1:2] and sys.argv[1] in PURE:
                load_command_class(PURE[sys.argv[1]], sys.argv[1]).run_from_argv(sys.argv)
            else:
                execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, LaunchError) as error:
        sys.exit(f"Earshot cannot start: {error}")


if __name__ == "__main__":
    main()
