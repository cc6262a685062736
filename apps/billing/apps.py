"""Django's entry to the app."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "apps.billing"
    label = "billing"

    def ready(self) -> None:
        """Declare the app's keyspaces, and have changes of prices reach the book."""
        from apps.billing.price_book import invalidate_with_changes  # noqa: PLC0415 - needs the models

        invalidate_with_changes()
