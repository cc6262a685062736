"""Django's entry to the app."""

from django.apps import AppConfig


class LLMConfig(AppConfig):
    name = "apps.llm"
    label = "llm"

    def ready(self) -> None:
        """Have changes of providers, models and routes reach the cache of routes."""
        from apps.caching.signals import invalidate_with  # noqa: PLC0415 - needs the models
        from apps.llm.cache import ROUTE  # noqa: PLC0415
        from apps.llm.models import LLMModel, Provider, Route  # noqa: PLC0415

        for model in (Provider, LLMModel, Route):
            invalidate_with(model, lambda _row: [(ROUTE, (str(use),)) for use in Route.Use])
