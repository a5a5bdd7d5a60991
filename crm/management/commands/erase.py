"""`manage.py erase`: people's records erased or made anonymous, looked at first."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from tqdm import tqdm

from crm.choices import ErasureState, ErasureWay, ErasureWhy
from crm.errors import DomainError
from crm.models import Customer, Erasure
from crm.processes import STOPPED, told_to_stop
from crm.services import erasures, holds, merges

SLICE = 50  # people between two looks whether we are told to stop


class Command(BaseCommand):
    """Without --yes it only says what would go. What is on hold is named and left alone: exit 1."""

    help = "Erase customers, or make them anonymous. It cannot be undone; without --yes it only looks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("customer", type=int, nargs="*", metavar="ID", help="number of a customer")
        parser.add_argument("--file", type=Path, metavar="FILE", help="numbers of customers, one a line")
        parser.add_argument("--anonymise", action="store_true", help="keep facts that name nobody")
        parser.add_argument(
            "--why",
            choices=ErasureWhy.values,
            default=ErasureWhy.REQUEST.value,
            help="the ground that the proof names",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what would go (as without --yes)"
        )
        parser.add_argument("--yes", action="store_true", help="do it; it cannot be undone")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: object, **options: Any) -> None:
        customers = self._customers(options)
        if options["dry_run"] or not options["yes"]:
            self._look(customers, as_json=options["json"])
            return
        held = [one for one in customers if holds.standing(one)]
        way = ErasureWay.ANONYMISE if options["anonymise"] else ErasureWay.ERASE
        with transaction.atomic():
            free = [one.pk for one in customers if one not in held]
            promised = erasures.promise(free, way=way.value, why=options["why"], by=None)
        self._follow([one.pk for one in promised], silent=options["json"])
        self._say([one.pk for one in promised], [one.pk for one in held], as_json=options["json"])

    def _customers(self, options: dict[str, Any]) -> list[Customer]:
        ids = list(options["customer"])
        if options["file"]:
            try:
                ids += [int(line) for line in options["file"].read_text().split()]
            except (OSError, ValueError) as error:
                raise CommandError(f"{options['file']}: holds no numbers of customers ({error}).") from error
        found = {one.pk: merges.holder_of(one) for one in Customer.objects.filter(pk__in=ids)}
        if missing := sorted(set(ids) - set(found)):
            raise CommandError(f"There is no customer {missing[0]}.")
        if not ids:
            raise CommandError("Name customers by their numbers.")
        return list({one.pk: one for one in found.values()}.values())

    def _look(self, customers: list[Customer], *, as_json: bool) -> None:
        counts: Counter[str] = Counter()
        held = []
        for one in tqdm(customers, unit=" people", disable=as_json or not sys.stderr.isatty()):
            counts.update(erasures.counts_of(one))
            if holds.standing(one):
                held.append(one.pk)
        said = {"customers": len(customers), "held": held, "counts": dict(counts), "dry_run": True}
        self._print(said, as_json=as_json, end="Nothing was changed: add --yes. It cannot be undone.")

    def _follow(self, promised: list[int], *, silent: bool) -> None:
        """Do the work here; a worker who is at it too takes turns with us."""
        with (
            told_to_stop() as stopping,
            tqdm(total=len(promised), unit=" people", disable=silent or not sys.stderr.isatty()) as bar,
        ):
            while True:
                try:
                    erasures.work(SLICE)
                except DomainError as error:
                    raise CommandError(error.detail) from error
                waiting = Erasure.objects.filter(pk__in=promised, state=ErasureState.WAITING)
                bar.update(len(promised) - waiting.count() - bar.n)
                if not waiting.filter(problem="").exists():
                    return
                if stopping():
                    self.stderr.write("Stopped; what is left goes on when Earshot runs.")
                    sys.exit(STOPPED)

    def _say(self, promised: list[int], held: list[int], *, as_json: bool) -> None:
        counts: Counter[str] = Counter()
        for one in Erasure.objects.filter(pk__in=promised, state=ErasureState.DONE):
            counts.update(one.counts)
        waiting = dict(
            Erasure.objects.filter(pk__in=promised, state=ErasureState.WAITING).values_list("pk", "problem")
        )
        said = {
            "erased": len(promised) - len(waiting),
            "waiting": waiting,
            "held": held,
            "counts": dict(counts),
        }
        self._print(said, as_json=as_json)
        if held or waiting:
            raise SystemExit(1)

    def _print(self, said: dict[str, Any], *, as_json: bool, end: str = "") -> None:
        if as_json:
            self.stdout.write(json.dumps(said))
            return
        for name, count in sorted(said.pop("counts").items()):
            self.stdout.write(f"  {name:30} {count:>10,}")
        self.stdout.write(", ".join(f"{name} {value}" for name, value in said.items()))
        if end:
            self.stdout.write(end)
