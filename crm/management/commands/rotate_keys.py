"""`manage.py rotate_keys`: every secret at rest under today's SECRET_KEY."""

from django.core.management.base import BaseCommand, CommandError

from crm.services import keys


class Command(BaseCommand):
    """Encrypts anew what an earlier SECRET_KEY of SECRET_KEY_FALLBACKS encrypted; exit 1 at one that no known key opens."""

    help = "Encrypt every secret at rest under today's SECRET_KEY; then SECRET_KEY_FALLBACKS can be emptied."

    def handle(self, *args: object, **options: object) -> None:
        try:
            done = keys.rotate()
        except ValueError as error:
            raise CommandError(f"{error}: name the one that does in SECRET_KEY_FALLBACKS.") from error
        for column, count in done.items():
            self.stdout.write(f"{column:40} {count:>8,}")
