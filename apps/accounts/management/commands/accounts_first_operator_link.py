"""Print the one-time link that makes the first operator."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from apps.accounts import services
from apps.accounts.models import User


class Command(BaseCommand):
    help = "Print the one-time link that makes the first operator of an empty installation; it is valid for a day."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--base-url", default="http://127.0.0.1:8000", help="Where the site is reached."
        )

    def handle(self, *args: Any, base_url: str, **options: Any) -> None:
        if User.objects.filter(is_operator=True).exists():
            raise CommandError("There is an operator already; operators make people in the admin.")
        path = reverse("accounts:first-operator", args=[services.first_operator_token()])
        self.stdout.write(f"{base_url.rstrip('/')}{path}")
