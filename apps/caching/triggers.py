"""Triggers that write invalidations to the outbox, in the transaction of the change: for the migrations of the apps."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import migrations


@dataclass(frozen=True, slots=True)
class Invalidates:
    """A keyspace, and the SQL that gives its keys (one text[] a row) from `changed`: all old and new rows of a statement.

    For example: `Invalidates("accounts:audience-set:1", "SELECT ARRAY[user_id::text] FROM changed")`.
    """

    keyspace: str
    keys: str
    events: tuple[str, ...] = ("INSERT", "UPDATE", "DELETE")


_EVENTS = {
    "INSERT": ("REFERENCING NEW TABLE AS new_rows", "SELECT * FROM new_rows"),
    "UPDATE": (
        "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
        "SELECT * FROM old_rows UNION ALL SELECT * FROM new_rows",
    ),
    "DELETE": ("REFERENCING OLD TABLE AS old_rows", "SELECT * FROM old_rows"),
}


def outbox_triggers(
    table: str, invalidates: Sequence[Invalidates], *, by: str = "", version: int = 1
) -> migrations.RunSQL:
    """Return the operation that makes a table's statement triggers, one for each event, and its reverse.

    A later change makes them with the next version, which drops those before it. `by` is the app where that is not the
    table's own.
    """
    making, dropping = [], []
    for event, (tables, changed) in _EVENTS.items():
        owner = f"_by_{by}" if by else ""
        name = f"{table}_outbox{owner}_{event.lower()}_v{version}"
        concerned = [one for one in invalidates if event in one.events]
        if not concerned:
            continue
        inserts = "\n".join(_insert(one, changed) for one in concerned)
        making.append(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n{inserts}\n"
            f"    RETURN NULL;\nEND $$;\n"
            f"CREATE TRIGGER {name} AFTER {event} ON {table} {tables}\n"
            f"    FOR EACH STATEMENT EXECUTE FUNCTION {name}();"
        )
        dropping.append(f"DROP TRIGGER {name} ON {table};\nDROP FUNCTION {name}();")
    return migrations.RunSQL("\n".join(making), "\n".join(dropping))


def _insert(one: Invalidates, changed: str) -> str:
    # The clock, not the transaction's beginning: the outbox is asked what is older than a moment. It is another for
    # each row, so the keys are made distinct before.
    return f"""
    INSERT INTO caching_invalidationoutbox (keyspace, key, created_at)
        WITH changed AS ({changed}), keys (key) AS ({one.keys})
        SELECT '{one.keyspace}', key, clock_timestamp() FROM (SELECT DISTINCT key FROM keys) AS once;"""  # noqa: S608 - of our own migrations
