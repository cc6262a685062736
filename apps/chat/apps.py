"""Django's entry to the app."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "apps.chat"
    label = "chat"

    def ready(self) -> None:
        """Declare the app's parameters and keyspaces."""
        import apps.chat.cache  # noqa: PLC0415 - imported for its declarations, once apps are loaded
        import apps.chat.parameters  # noqa: F401, PLC0415
