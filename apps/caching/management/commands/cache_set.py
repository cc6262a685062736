"""Sets values of a keyspace's policy, as the admin's page does."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.caching import services
from apps.caching.keyspaces import KeyspaceError
from apps.caching.services import PolicyError
from apps.tuning import journal, presentation
from apps.tuning.registry import TuningError


class Command(BaseCommand):
    """`cache_set KEYSPACE ttl_seconds=60 beta=default`."""

    help = (
        "Set values of a keyspace's policy, live in every process within a second; `default` puts one back. "
        f"Values: {', '.join(services.SETTABLE)}."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("keyspace", help="one of those that cache_stats lists")
        parser.add_argument("values", nargs="+", metavar="name=value")
        parser.add_argument("--reason", default="", help="why, for the journal")
        parser.add_argument("--dry-run", action="store_true", help="say what would change")

    def handle(self, *args: Any, **options: Any) -> None:
        name, is_dry = options["keyspace"], options["dry_run"]
        try:
            values = dict(services.read_setting(text) for text in options["values"])
            change: dict[str, Any] = {
                "name": name,
                "values": values,
                "author_id": None,
                "reason": options["reason"],
            }
            if is_dry:
                with journal.rehearsal():
                    revision = services.set_policy(**change)
            else:
                revision = services.set_policy(**change)
        except (KeyspaceError, PolicyError, TuningError) as error:
            raise CommandError(str(error)) from error
        if revision is None:
            self.stdout.write("Nothing differs; nothing was written.")
            return
        for line in presentation.lines(revision.subject, revision.changed):
            if line.name in values:
                self.stdout.write(f"{'would set ' if is_dry else ''}{line}")
