"""`manage.py prepare`: what `up` needs done between its services and its own processes."""

import hashlib
from argparse import ArgumentParser
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.billing.book import open_book
from project.demo.loader import LOGINS_TEXT_FILE
from project.supervisor.data_folder import REPOSITORY, DataFolder, write_private
from project.supervisor.installation import announcement_file


class Command(BaseCommand):
    """Prepare the installation, in one process, skipping what is done already."""

    help = "Migrates and registers the embedded models; `up` and other commands call it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--chat-url", required=True, help="base URL of the chat model")
        parser.add_argument("--embedding-url", required=True, help="base URL of the embedder")
        parser.add_argument("--address", help="address of the site about to start, if one is")
        parser.add_argument("--demo", action="store_true", help="load the demo data once")

    def handle(self, *args: Any, **options: Any) -> None:
        self._migrate()
        open_book()
        call_command(
            "llm_register_embedded",
            chat_url=options["chat_url"],
            embedding_url=options["embedding_url"],
            stdout=self.stdout,
        )
        if address := options["address"]:
            self._collect_static()
            if options["demo"]:
                self._load_demo()
            shown = self._first_operator_link(address) or self._demo_logins()
            write_private(announcement_file(DataFolder(Path(settings.VAR_DIR))), shown)

    def _migrate(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write("migrating the database")
            call_command("migrate", interactive=False, verbosity=0)

    def _collect_static(self) -> None:
        marker = Path(settings.STATIC_ROOT) / ".collected"
        fingerprint = _static_fingerprint()
        if marker.exists() and marker.read_text() == fingerprint:
            return
        self.stdout.write("collecting static files")
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        marker.write_text(fingerprint)

    def _load_demo(self) -> None:
        marker = Path(settings.VAR_DIR) / "demo-loaded"
        if not marker.exists():
            self.stdout.write("loading the demo data")
            call_command("demo", stdout=self.stdout)
            marker.touch()

    def _demo_logins(self) -> str:
        file = Path(settings.VAR_DIR) / LOGINS_TEXT_FILE
        return file.read_text() if file.exists() else ""

    def _first_operator_link(self, address: str) -> str:
        """Return the link that makes the first operator; empty when there is an operator."""
        if User.objects.filter(is_operator=True).exists():
            return ""
        output = StringIO()
        call_command("accounts_first_operator_link", base_url=address, stdout=output)
        return _("Make the first operator with this link, once: %(link)s") % {
            "link": output.getvalue().strip()
        }


def _static_fingerprint() -> str:
    """Return what changes when the collected files would: our files, or the installed packages."""
    digest = hashlib.sha256((REPOSITORY / "requirements" / "base.txt").read_bytes())
    for folder in settings.STATICFILES_DIRS:
        for file in sorted(Path(folder).rglob("*")):
            status = file.stat()
            digest.update(f"{file}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
