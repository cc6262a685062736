"""Parley's wiring: settings, URLs, ASGI, Celery, the supervisor; imported by no app."""

from project.celery import app as celery_app

__all__ = ["celery_app"]
