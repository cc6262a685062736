"""`manage.py tuning_rollback`: make something as it was after a revision of the journal."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.tuning import history, presentation
from apps.tuning.models import Revision
from apps.tuning.registry import TuningError


class Command(BaseCommand):
    help = "Make the parameters, or a row, as they were after a revision; this is a new revision itself."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("revision", type=int, help="its number in the journal")
        parser.add_argument("--reason", default="", help="why, for whoever reads the journal later")
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would change, and change nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        revision = Revision.objects.filter(pk=options["revision"]).first()
        if revision is None:
            raise CommandError(
                f"There is no revision {options['revision']}: the admin's journal shows them, and "
                "`manage.py tuning_show NAME` the last of a parameter."
            )
        try:
            if options["dry_run"]:
                made = history.preview(revision=revision, author_id=None)
            else:
                made = history.rollback(revision=revision, author_id=None, reason=options["reason"])
        except TuningError as error:
            raise CommandError(f"{error} Nothing was changed.") from error
        if made is None:
            self.stdout.write("Nothing to change: it is so already.")
            return
        for line in presentation.lines(made.subject, made.changed):
            self.stdout.write(str(line))
        self.stdout.write(
            "Dry run: nothing was changed."
            if options["dry_run"]
            else f"Revision {made.pk}; live in every process within a second."
        )
