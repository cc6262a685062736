"""Parley's wiring: settings, URLs, ASGI, Celery, the supervisor; imported by no app."""
