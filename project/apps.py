"""Django's entry to the project: its commands, and the Celery application behind every `shared_task`."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "project"
    label = "project"

    def ready(self) -> None:
        # Here and not in __init__: the supervisor imports this package and must stay small.
        from project import celery  # noqa: F401, PLC0415
