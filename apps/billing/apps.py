"""Django's entry to the app."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def _open_book(**_signal: Any) -> None:
    from apps.billing.book import open_book  # noqa: PLC0415 - needs the models

    open_book()


class BillingConfig(AppConfig):
    name = "apps.billing"
    label = "billing"

    def ready(self) -> None:
        """Declare the app's parameters and keyspaces, have changes of prices reach the price book, and open the ledger's."""
        import apps.billing.parameters  # noqa: F401, PLC0415 - imported for its declarations
        from apps.billing.price_book import invalidate_with_changes  # noqa: PLC0415 - needs the models

        invalidate_with_changes()
        post_migrate.connect(_open_book, sender=self)
