"""Django's entry to the app: parameters become known and stages reach Prometheus."""

from django.apps import AppConfig


class ObservabilityConfig(AppConfig):
    name = "apps.observability"
    label = "observability"

    def ready(self) -> None:
        from apps.core.stages import register_sink  # noqa: PLC0415 - the registry of apps must be ready first
        from apps.observability import parameters  # noqa: F401, PLC0415 - declares the parameters
        from apps.observability.metrics import observe_stage  # noqa: PLC0415

        register_sink(observe_stage)
