"""A Celery application with one task more: it reads a cache, as tasks do."""

from project.celery import app

READ = "tests.caching.read"


@app.task(name=READ)
def read() -> None:
    """Note a read in this child, which has none of its parent's."""
    # Celery imports this module before Django is set up.
    from apps.caching import access, keyspaces
    from apps.caching.outcomes import Level

    assert not access._buffer.accesses
    [keyspace, *_others] = keyspaces.everything()
    access.note(keyspace, "0" * 32, Level.L2, 10, 20, 0)
