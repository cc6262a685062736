"""`manage.py llm_register_embedded`: tell Parley where its embedded model servers are."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.llm.registration import register_embedded


class Command(BaseCommand):
    help = "Make the embedded models' providers, or update their addresses; the key comes from EMBEDDED_API_KEY."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--chat-url", required=True, help="base URL of the chat server, up to /v1"
        )
        parser.add_argument(
            "--embedding-url", required=True, help="base URL of the embedder, up to /v1"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Not an argument: the machine's other users can read those.
        key = os.environ.get("EMBEDDED_API_KEY", "")
        if not key:
            raise CommandError("EMBEDDED_API_KEY is not set.")
        register_embedded(
            chat_url=options["chat_url"], embedding_url=options["embedding_url"], key=key
        )
