"""`manage.py demo`: fill an installation with the demo company."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from project.demo import loader


class Command(BaseCommand):
    help = "Load the demo company: three departments, their people and a dozen documents. A second run adds nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Say what would be added, and add nothing."
        )

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        if dry_run:
            missing = loader.missing()
            self.stdout.write(
                f"would add {missing.person_count} people and {missing.document_count} documents"
            )
            return
        loaded = loader.load()
        self.stdout.write(
            f"added {loaded.person_count} people and {loaded.document_count} documents"
        )
