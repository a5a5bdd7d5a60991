"""Compile every template, so that a broken tag is found before a page is asked for."""

from pathlib import Path

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.template import TemplateSyntaxError, engines


class Command(BaseCommand):
    help = "Compile all templates of Earshot; fail on the first that is broken."

    def handle(self, *args: object, **options: object) -> None:
        engine = engines["django"]
        root = Path(settings.BASE_DIR) / "templates"
        names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        for name in names:
            try:
                engine.get_template(name)
            except (TemplateSyntaxError, UnicodeDecodeError) as error:
                raise CommandError(f"{name}: {error}") from error
        self.stdout.write(f"{len(names)} templates compile.")
