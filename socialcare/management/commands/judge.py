"""`manage.py judge FILE --text COL`: triage over anybody's CSV, and with labels how often it is right."""

import json
import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from socialcare.services import trials


class Command(BaseCommand):
    """Judges each text of a CSV; no database and no services are needed."""

    help = "Triage over a CSV: answers, or with --label n, accuracy, macro_f1 and figures per class."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        """The names of the interface."""
        parser.add_argument("file", type=Path, metavar="FILE", help="CSV with a header, UTF-8")
        parser.add_argument("--text", required=True, metavar="COL", help="column of the texts")
        parser.add_argument("--label", metavar="COL", help="column of the right answers")
        parser.add_argument("--task", choices=trials.TASKS, default="sentiment")
        parser.add_argument("--lang", metavar="COL", help="column of the language, as code or name")
        parser.add_argument("--learn", type=Path, metavar="FILE3", help="labelled CSV to learn from first")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args, **options) -> None:
        """Read, learn if asked, judge, say."""
        columns = trials.Columns(options["text"], options["label"], options["lang"])
        try:
            table = trials.read(options["file"], columns)
            judge, known = self._judge(options, columns, table)
            with tqdm(total=len(table.texts), unit=" texts", disable=not sys.stderr.isatty()) as bar:
                result = trials.run(table, options["task"], judge, bar.update, known)
        except (trials.BadTable, trials.UnknownLabel, trials.CannotLearn) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            self._say(result)

    @staticmethod
    def _judge(options: dict, columns: trials.Columns, table: trials.Table) -> tuple[trials.Judge, list[str]]:
        """The judge that is asked, and the labels that it learned from."""
        if not options["learn"]:
            return trials.shipped(options["task"]), []
        if not columns.label:
            raise CommandError("--learn needs --label: the column of the right answers, in both files")
        lesson = trials.read(options["learn"], columns)
        return trials.learned(lesson, options["task"], table.labels), lesson.labels

    def _say(self, result: dict) -> None:
        if "accuracy" in result:
            self._say_score(result)
        else:
            for one in result["answers"]:
                self.stdout.write(f"{one['row']:>8}  {one['answer']:<30} {one['confidence']:.2f}")
        self.stdout.write(
            f"{result['n']} texts, {result['texts_per_second']} texts a second "
            f"({result['texts_per_processor_second']} a second of one processor)"
        )

    def _say_score(self, result: dict) -> None:
        width = max(12, *(len(name) for name in result["per_class"]))
        self.stdout.write(f"{'':{width}} {'n':>7} {'precision':>10} {'recall':>8} {'f1':>8}")
        for name, one in result["per_class"].items():
            self.stdout.write(
                f"{name:{width}} {one['n']:>7} {one['precision']:>10.3f} {one['recall']:>8.3f} {one['f1']:>8.3f}"
            )
        self.stdout.write(f"accuracy {result['accuracy']:.3f}   macro_f1 {result['macro_f1']:.3f}")
        for half, figure in (("in_scope", "accuracy"), ("out_of_scope", "recall")):
            if half in result:
                self.stdout.write(f"{half} {figure} {result[half][figure]:.3f} of {result[half]['n']}")
