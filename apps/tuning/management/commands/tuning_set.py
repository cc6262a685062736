"""`manage.py tuning_set`: turn parameters."""

from contextlib import nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.tuning import journal, presentation, registry, services
from apps.tuning.registry import TuningError, Value


class Command(BaseCommand):
    help = (
        "Set parameters, live in every process within a second, with one entry in the journal. "
        "NAME=default puts one back. Nothing is set unless all can be."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "settings",
            nargs="+",
            metavar="NAME=VALUE",
            help="for example chat.sentence_count=2",
        )
        parser.add_argument("--reason", default="", help="why, for whoever reads the journal later")
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would change, and change nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            values = _parsed(options["settings"])
            with journal.rehearsal() if options["dry_run"] else nullcontext():
                revision = services.change(values=values, author_id=None, reason=options["reason"])
        except TuningError as error:
            raise CommandError(f"{error}. Nothing was changed.") from error
        if revision is None:
            self.stdout.write("Nothing to change: it is so already.")
            return
        for line in presentation.lines(revision.subject, revision.changed):
            self.stdout.write(str(line))
        self.stdout.write(
            "Dry run: nothing was changed."
            if options["dry_run"]
            else f"Revision {revision.pk}; live in every process within a second."
        )


def _parsed(settings: list[str]) -> dict[str, Value | None]:
    values: dict[str, Value | None] = {}
    for setting in settings:
        name, found, text = setting.partition("=")
        if not found:
            raise TuningError(f"{setting!r} is not NAME=VALUE, like chat.sentence_count=2")
        if not registry.is_declared(name):
            raise TuningError(f"No parameter is called {name}; `manage.py tuning_show` lists all")
        if name in values:
            raise TuningError(f"{name} is given twice")
        values[name] = registry.get(name).parse(text)
    return values
