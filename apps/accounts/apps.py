"""Django's entry to the app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Declare the app's keyspaces, and have changes of who reads what reach them."""
        from apps.accounts.access import invalidate_with_changes  # noqa: PLC0415 - needs the models

        invalidate_with_changes()
