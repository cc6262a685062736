"""Django's entry to the app."""

from django.apps import AppConfig


class CachingConfig(AppConfig):
    name = "apps.caching"
    label = "caching"

    def ready(self) -> None:
        """Declare the app's parameters, and have changes of parameters told to all processes."""
        import apps.caching.parameters  # noqa: F401, PLC0415 - imported for its declarations, once apps are loaded
        from apps.caching import news  # noqa: PLC0415 - needs the models
        from apps.tuning import live  # noqa: PLC0415

        live.register_publisher(news.tell_tuning)
