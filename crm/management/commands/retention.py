"""`manage.py retention`: what is kept for a time only goes when its time is over."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from crm.models import RetentionPolicy
from crm.processes import STOPPED, told_to_stop
from crm.services import erasures, retention


class Command(BaseCommand):
    """Runs the policies that are switched on; with --dry-run it counts, also of those that are not."""

    help = "Let go what retention policies say is over; --dry-run counts and changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--policy", type=int, metavar="ID", help="only this one")
        parser.add_argument("--dry-run", action="store_true", help="only count")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: object, **options: Any) -> None:
        policies = RetentionPolicy.objects.select_related("brand").order_by("pk")
        if options["policy"]:
            policies = policies.filter(pk=options["policy"])
            if not policies:
                raise CommandError(f"There is no policy {options['policy']}.")
        if not options["dry_run"]:
            policies = policies.filter(is_active=True)
        said = []
        with told_to_stop() as stopping:
            for policy in policies:
                count = retention.dry_run(policy)["rows"]
                if not options["dry_run"]:
                    count = self._run(policy, count, stopping, silent=options["json"])
                said.append(
                    {"policy": policy.pk, "what": str(policy), "active": policy.is_active, "rows": count}
                )
            if not options["dry_run"]:
                while not stopping() and erasures.work():
                    pass
            stopped = stopping()
        self._say(said, dry=options["dry_run"], as_json=options["json"])
        if stopped:
            sys.exit(STOPPED)

    def _run(self, policy: RetentionPolicy, total: int, stopping: Any, *, silent: bool) -> int:
        with tqdm(total=total, unit=" rows", disable=silent or not sys.stderr.isatty()) as bar:

            def told(many: int) -> bool:
                bar.update(many)
                return stopping()

            return retention.run(policy, by=None, told=told)

    def _say(self, said: list[dict[str, Any]], *, dry: bool, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"dry_run": dry, "policies": said}))
            return
        for one in said:
            state = "" if one["active"] else "  (switched off)"
            self.stdout.write(f"{one['rows']:>10,} {'would go' if dry else 'went'}  {one['what']}{state}")
        if not said:
            self.stdout.write("No policy is switched on.")
