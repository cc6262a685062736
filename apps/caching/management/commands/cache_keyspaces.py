"""`manage.py cache_keyspaces`: the table of all keyspaces, printed or written into a document."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.caching import catalogue


class Command(BaseCommand):
    """The keyspaces as Markdown."""

    help = "Print the table of all declared keyspaces in Markdown, or write it into a document."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", type=Path, help="The document whose table is made anew.")

    def handle(self, *args: Any, write: Path | None, **options: Any) -> None:
        if write is None:
            self.stdout.write(catalogue.table())
            return
        try:
            changed = catalogue.write(write)
        except (OSError, catalogue.CatalogueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Written." if changed else "It was up to date.")
