"""Whether each part Parley stands on answers, and how full the connection pool is."""

from collections.abc import Callable
from dataclasses import dataclass

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _

from apps.caching import outbox
from apps.llm.models import Route

TIMEOUT_SECONDS = 1.0
# The relay works every quarter of a second.
RELAY_LAG_SECONDS = 5.0


class PartMissingError(Exception):
    """A part does not answer; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part's state; without a needed part the process is not ready."""

    name: str
    is_needed: bool
    problem: str

    @property
    def is_fine(self) -> bool:
        """Say whether the part answers."""
        return not self.problem


def _database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise PartMissingError(str(error).splitlines()[0]) from error
    if pending:
        raise PartMissingError(_("%(count)s migrations are not applied") % {"count": len(pending)})


def _valkey(url: str) -> Callable[[], None]:
    def ping() -> None:
        client = redis.Redis.from_url(
            url, socket_connect_timeout=TIMEOUT_SECONDS, socket_timeout=TIMEOUT_SECONDS
        )
        try:
            client.ping()
        except redis.RedisError as error:
            raise PartMissingError(str(error)) from error
        finally:
            client.close()

    return ping


def _models() -> None:
    try:
        used = set(Route.objects.filter(is_enabled=True).values_list("use", flat=True))
    except DatabaseError as error:
        raise PartMissingError(str(error).splitlines()[0]) from error
    missing = [str(label) for value, label in Route.Use.choices if value not in used]
    if missing:
        raise PartMissingError(_("no model is routed for: %(uses)s") % {"uses": ", ".join(missing)})


def _relay() -> None:
    try:
        age_seconds = outbox.lag().total_seconds()
    except DatabaseError as error:
        raise PartMissingError(str(error).splitlines()[0]) from error
    if age_seconds > RELAY_LAG_SECONDS:
        raise PartMissingError(
            _("invalidations have waited for %(seconds)d s: is `manage.py caching_relay` running?")
            % {"seconds": age_seconds}
        )


def parts() -> list[Part]:
    """Ask every part; the cache and the models may be away without ending readiness."""
    checks: list[tuple[str, bool, Callable[[], None]]] = [
        ("database", True, _database),
        ("state", True, _valkey(settings.REDIS_URL)),
        ("cache", False, _valkey(settings.CACHE_URL)),
        ("relay", False, _relay),
        ("models", False, _models),
    ]
    found = []
    for name, is_needed, check in checks:
        try:
            check()
            problem = ""
        except PartMissingError as error:
            problem = str(error) or _("no answer")
        found.append(Part(name=name, is_needed=is_needed, problem=problem))
    return found


def pool_figures() -> dict[str, int]:
    """Return this process's connection pool in psycopg_pool's own figures; empty without a pool."""
    pool = getattr(connection, "pool", None)
    return dict(pool.get_stats()) if pool is not None else {}
