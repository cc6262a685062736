"""Django's entry to the app: its parameters and keyspaces become known."""

from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    name = "apps.documents"
    label = "documents"

    def ready(self) -> None:
        """Declare the app's parameters and keyspaces."""
        import apps.documents.cache  # noqa: PLC0415 - imported for its declarations, once apps are loaded
        import apps.documents.parameters  # noqa: F401, PLC0415
