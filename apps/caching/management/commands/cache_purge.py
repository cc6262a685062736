"""Drops cached values: one key of a keyspace, or all of it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.caching import contents, keyspaces, services
from apps.caching.keyspaces import Keyspace, KeyspaceError
from apps.tuning.registry import TuningError


class Command(BaseCommand):
    """`cache_purge KEYSPACE --key part …` or `cache_purge KEYSPACE --all`."""

    help = "Drop one key of a keyspace, or all its entries, in every process; values are computed anew when asked for."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("keyspace", help="one of those that cache_stats lists")
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "--key", nargs="+", metavar="part", help="the key's parts, in their order"
        )
        which.add_argument("--all", action="store_true", help="every entry")
        parser.add_argument("--reason", default="", help="why, for the journal (with --all)")
        parser.add_argument("--dry-run", action="store_true", help="say what would be dropped")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            keyspace = keyspaces.get(options["keyspace"])
            if options["all"]:
                self._purge_all(keyspace, reason=options["reason"], is_dry=options["dry_run"])
            else:
                self._purge_key(keyspace, options["key"], is_dry=options["dry_run"])
        except (KeyspaceError, TuningError) as error:
            raise CommandError(str(error)) from error

    def _purge_all(self, keyspace: Keyspace[Any], *, reason: str, is_dry: bool) -> None:
        found = contents.valkey()
        held = found.by_keyspace.get(keyspace.name, contents.L2Figures()) if found else None
        count = "an unknown number of" if held is None else str(held.entries)
        if is_dry:
            self.stdout.write(f"would purge {keyspace.name}: {count} entries in Valkey")
            return
        services.purge(name=keyspace.name, author_id=None, reason=reason)
        self.stdout.write(f"purged {keyspace.name}: {count} entries in Valkey")

    def _purge_key(self, keyspace: Keyspace[Any], parts: list[str], *, is_dry: bool) -> None:
        is_held = contents.holds(keyspace, parts)
        told = {True: "held by Valkey", False: "not in Valkey", None: "Valkey does not answer"}
        if not is_dry:
            services.purge_key(name=keyspace.name, parts=parts, author_id=None)
        done = "would purge" if is_dry else "purged"
        self.stdout.write(f"{done} {keyspace.name} {' '.join(parts)} ({told[is_held]})")
