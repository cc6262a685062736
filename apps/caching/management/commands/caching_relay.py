"""`manage.py caching_relay`: repeats the outbox's invalidations until it is told to stop."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.caching import relay


class Command(BaseCommand):
    """The relay process."""

    help = (
        "Repeat the invalidations of the outbox in Valkey, every 250 ms, until SIGTERM or SIGINT."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="Repeat what there is now, then end."
        )

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        if once:
            self.stdout.write(f"{relay.repeat_all()} invalidations repeated.")
            return
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        relay.run(stopping)
