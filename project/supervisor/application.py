"""Parley's own processes as programs: the preparation, web, worker, beat and relay."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace

from project.supervisor.data_folder import REPOSITORY
from project.supervisor.installation import Installation
from project.supervisor.models import http_readiness
from project.supervisor.program import Program

_QUEUES = "interactive,ingest,batch,billing,maintenance"
_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"


def preparation_program(
    installation: Installation, *, address: str = "", demo: bool = False
) -> Program:
    """Return the program that migrates and registers the models.

    With the `address` of a site that starts next, it also makes all that the site needs.
    """
    options = [
        f"--chat-url={installation.chat.url}",
        f"--embedding-url={installation.embedder.url}",
        *([f"--address={address}"] if address else []),
        *(["--demo"] if demo else []),
    ]
    return _program(installation, "prepare", [str(REPOSITORY / "manage.py"), "prepare", *options])


def application_programs(installation: Installation, *, port: int) -> list[Program]:
    """Return web, worker, beat and relay."""
    web = [
        *("-m", "uvicorn", "project.asgi:application", "--host", "127.0.0.1", "--port", str(port)),
        # Without it uvicorn ends before replies that outlive their request have drained.
        *("--lifespan", "on"),
        # Without it uvicorn waits for ever on open streams.
        *("--timeout-graceful-shutdown", "5"),
        *("--no-access-log", "--no-server-header", "--log-level", "warning"),
    ]
    worker = [
        *("-m", "celery", "-A", "project.celery", "--quiet", "worker", "-Q", _QUEUES),
        *("--concurrency", "2", "--prefetch-multiplier", "1", "--loglevel", "WARNING"),
        *("--without-gossip", "--without-mingle"),
    ]
    beat = [
        *("-m", "celery", "-A", "project.celery", "--quiet", "beat", "--pidfile="),
        *("--loglevel", "WARNING", "--scheduler", _SCHEDULER),
    ]
    # Each worker process has a pool of its own and one task at a time.
    small_pool = {"DATABASE_POOL_MAX": "2"}
    return [
        replace(_program(installation, "web", web), is_ready=http_readiness(port, "/livez")),
        replace(_program(installation, "worker", worker, small_pool), niceness=10),
        replace(_program(installation, "beat", beat, small_pool), niceness=10),
        # Not stepping back: how long a lost invalidation stays unseen is its business.
        _program(
            installation, "relay", [str(REPOSITORY / "manage.py"), "caching_relay"], small_pool
        ),
    ]


def _program(
    installation: Installation,
    name: str,
    arguments: list[str],
    defaults: Mapping[str, str] | None = None,
) -> Program:
    return Program(
        name=name,
        argv=[sys.executable, *arguments],
        environment={
            "APPLICATION_NAME": f"parley-{name}",
            **(defaults or {}),
            **os.environ,
            **installation.environment(),
        },
    )
