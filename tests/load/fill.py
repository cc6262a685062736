"""Fills a throw-away PostgreSQL, or a database that is named, with millions of calls: `python -m tests.load.fill`.

    python -m tests.load.fill --rows 10000000 --folder /somewhere/empty
    python -m tests.load.fill --into postgres://user:password@host/database

Without --into it starts the embedded server in the folder, migrates, loads, and says where the database is; it runs
until it is interrupted. With --into it takes a database that is migrated and has no calls; any other it refuses.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from project.supervisor.console import Console
from project.supervisor.data_folder import DataFolder
from project.supervisor.postgres import Postgres
from project.supervisor.supervisor import Supervisor


def main() -> None:
    """Load as the arguments say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000, help="calls to load")
    parser.add_argument(
        "--folder", type=Path, help="where the server keeps its data; default: a new one"
    )
    parser.add_argument(
        "--into", help="a migrated database without calls, instead of an own server"
    )
    arguments = parser.parse_args()
    if arguments.into:
        _fill(arguments.into, arguments.rows, migrates=False)
        return
    folder = DataFolder(arguments.folder or Path(tempfile.mkdtemp(prefix="parley-load-")))
    folder.create()
    postgres = Postgres(folder, folder.allocate_ports(("postgres",))["postgres"], keeps_data=False)
    with (
        (folder.path / "postgres.log").open("ab") as log,
        Supervisor(folder, Console(sys.stderr), log_file=log) as supervisor,
    ):
        supervisor.start([postgres.program()], stop_seconds=30)
        _fill(postgres.url, arguments.rows, migrates=True)
        print(f"DATABASE_URL={postgres.url}  (ends with Ctrl-C; its folder {folder.path} stays)")  # noqa: T201
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            signal.pause()


def _fill(url: str, rows: int, *, migrates: bool) -> None:
    os.environ["DATABASE_URL"] = url
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings.test")
    import django
    from django.core.management import call_command

    django.setup()
    if migrates:
        call_command("migrate", verbosity=0)
    from tests.load.usage_rows import NotEmptyError, Sizes, load

    started = time.perf_counter()
    try:
        load(Sizes(rows=rows))
    except NotEmptyError as error:
        sys.exit(str(error))
    print(f"{rows} calls and their totals in {time.perf_counter() - started:.0f} s")  # noqa: T201


@contextmanager
def connect_to(url: str) -> Iterator[None]:
    """Have Django's connection of this thread lead to a database that is filled; afterwards to its own again."""
    import environ
    from django.db import connection

    own, named = connection.settings_dict, environ.Env.db_url_config(url)
    parts = {name: named[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")}
    connection.close()
    # Without a pool: that of the own database stays as it is.
    options = {key: value for key, value in own["OPTIONS"].items() if key != "pool"}
    connection.settings_dict = {**own, **parts, "OPTIONS": options}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = own


if __name__ == "__main__":
    main()
