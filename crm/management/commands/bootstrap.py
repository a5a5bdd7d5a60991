"""The first administrator of an empty installation."""

from argparse import ArgumentParser

from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError, call_command

from crm.choices import Role


class Command(BaseCommand):
    help = "Make the first administrator. A second call changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", required=True, metavar="E", help="the login")
        parser.add_argument(
            "--password", required=True, metavar="P", help="refused when it is short or common"
        )

    def handle(self, *args: object, **options: str) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        users = get_user_model().objects
        email = users.normalize_email(options["email"].strip()).lower()
        if users.filter(email__iexact=email).exists():
            self.stdout.write(f"{email} is there already.")
            return
        user = get_user_model()(email=email, role=Role.ADMINISTRATOR, is_staff=True, is_superuser=True)
        try:
            validate_password(options["password"], user)
            user.set_password(options["password"])
            user.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        user.save()
        self.stdout.write(f"{email} is administrator.")
