"""Prints the cache's figures: all keyspaces, or one by level."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.caching.keyspaces import KeyspaceError
from apps.caching.presentation import duration, number, share, size
from apps.caching.reports import report
from apps.core.money import format_nanos

HEADINGS = ("keyspace", "5 min", "1 h", "24 h", "reads", "memory", "Valkey", "size", "saved", "")


class Command(BaseCommand):
    """`cache_stats [KEYSPACE] [--json]`."""

    help = "Show hit rates, entries, sizes and savings of all keyspaces, or of one with its latencies by level."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("keyspace", nargs="?", help="only this one, with its levels")
        parser.add_argument("--json", action="store_true", help="exact figures, for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = report(now=timezone.now(), only=options["keyspace"])
        except KeyspaceError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
            return
        self._table([HEADINGS, *(_row(*one) for one in found["keyspaces"].items())])
        for one in found["keyspaces"].values():
            if "latencies" in one:
                self.stdout.write("")
                self._table([("level", "reads", "p50", "p95"), *_levels(one["latencies"])])
        if found["valkey"] is None:
            self.stdout.write("Valkey does not answer: its entries are not known.")
        if found["reads_not_written"]:
            lost = number(found["reads_not_written"])
            self.stdout.write(f"{lost} reads are missing from these figures, the log, or both.")

    def _table(self, rows: list[tuple[str, ...]]) -> None:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for name, *cells in rows:
            padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
            self.stdout.write("  ".join([name.ljust(widths[0]), *padded]).rstrip())


def _row(name: str, one: dict[str, Any]) -> tuple[str, ...]:
    windows, held, day = one["windows"], one["valkey"], one["windows"]["day"]
    return (
        name if one["is_enabled"] else f"{name} (off)",
        *(share(windows[window]["hit_ratio"]) for window in ("five_minutes", "hour", "day")),
        number(sum(day[level] for level in ("L1", "L2", "MISS", "STALE"))),
        number(one["memory"]["entries"]),
        number(held["entries"]) if held else "?",
        size(held["bytes"]) if held else "?",
        duration(day["saved_us"]),
        format_nanos(day["saved_nanos"]),
    )


def _levels(latencies: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (level, number(one["reads"]), duration(one["p50_us"]), duration(one["p95_us"]))
        for level, one in latencies.items()
    ]
