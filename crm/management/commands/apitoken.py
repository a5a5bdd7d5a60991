"""`apitoken EMAIL`: a new API token, alone on stdout."""

from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError

from crm.errors import DomainError
from crm.models import User
from crm.services import tokens


class Command(BaseCommand):
    """Prints a token that acts as a user; only its digest is kept, so it cannot be shown again."""

    help = "Print a new API token for a user. Without --scope it may do all that the user may."

    def add_arguments(self, parser) -> None:
        parser.add_argument("email", metavar="EMAIL", help="the user it acts for")
        parser.add_argument(
            "--scope",
            action="append",
            default=[],
            metavar="S",
            help="for example customers:read; several may be given",
        )
        parser.add_argument("--name", default="", metavar="N", help="what the token is for")
        parser.add_argument(
            "--days", type=int, metavar="N", help="how long it lives; without, until it is revoked"
        )

    def handle(self, *args, **options) -> None:
        user = User.objects.filter(email__iexact=options["email"], is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active user {options['email']}.")
        lives = timedelta(days=options["days"]) if options["days"] else None
        try:
            token = tokens.issue(user, name=options["name"], scopes=options["scope"], lives=lives)
        except DomainError as error:
            raise CommandError("; ".join(error.extra.get("errors", {}).values()) or error.detail) from error
        self.stdout.write(token)
