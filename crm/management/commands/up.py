"""Run the whole of Earshot on this machine until it is stopped."""

from argparse import ArgumentParser

from django.conf import settings
from django.core.management import BaseCommand

from crm.launcher import Plan, known_commands, up


class Command(BaseCommand):
    help = "Start PostgreSQL, Valkey, migrations, conveyor, web and worker, and watch them until Ctrl-C or SIGTERM."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, metavar="N", help="port of the pages (else PORT, else 8000)")
        parser.add_argument(
            "--home", metavar="DIR", help="folder of data, logs and media (else EARSHOT_HOME, else .earshot/)"
        )
        parser.add_argument("--no-demo", action="store_true", help="no demo centre, no simulated networks")

    def handle(self, *args: object, **options: object) -> None:
        # The launcher put the flags into the environment before the settings were read.
        up(
            Plan(
                home=settings.HOME,
                host=settings.HOST,
                port=settings.PORT,
                public_url=settings.PUBLIC_URL,
                web_processes=settings.WEB_PROCESSES,
                worker_processes=settings.WORKER_PROCESSES,
                demo=settings.DEMO,
                demo_password=settings.DEMO_PASSWORD,
                trusted_proxies=tuple(settings.TRUSTED_PROXIES),
                commands=known_commands(),
            ),
        )
