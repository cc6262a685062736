"""Structured logging: one JSON line an event, with the request id of whatever caused it."""

from typing import Any

import structlog
from structlog.typing import EventDict


def one_line_a_request(logger: Any, name: str, event: EventDict) -> EventDict:
    """Drop the line that only says a request began: the one at its end says all."""
    if event.get("event") == "request_started":
        raise structlog.DropEvent
    return event


PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def logging_config(*, level: str) -> dict[str, Any]:
    """Return Django's LOGGING for JSON lines on standard error, and configure structlog alike."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            one_line_a_request,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processor": structlog.processors.JSONRenderer(),
                "foreign_pre_chain": PROCESSORS,
            },
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # One line a request comes from django_structlog; Django's own would be a second.
            "django.request": {"level": "ERROR"},
            "django_structlog.middlewares": {"level": level},
            # It looks for its middleware by name; ours wraps it (apps.observability.profiling).
            "silk.profiling.profiler": {"level": "ERROR"},
            "httpx2": {"level": "WARNING"},
            "openai": {"level": "WARNING"},
        },
    }
