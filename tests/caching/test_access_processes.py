"""The access log of whole processes: their end, their forks, a worker's children, and a database that never answers."""

import os
import socket
import subprocess
import sys

import pytest
from django.conf import settings
from django.db import connection

from apps.caching import access
from apps.caching.models import AccessLog

CLOSED_PORT = """
import sys, time
import django
django.setup()
from apps.caching import access
from apps.caching.flusher import Buffer
from apps.caching.keyspaces import Keyspace, Sharing
keyspace = Keyspace(name="caching:tested:1", key_fields=("n",), help_text="", fresh_by="",
                    shared_by=Sharing.EVERYONE, ttl_seconds=60)
access.CAPACITY = access._buffer.capacity = 1000
access.start(flush_seconds=0.01)
slowest = 0.0
for number in range(5000):
    began = time.perf_counter()
    access.note(keyspace, f"{number:032x}", 2, 10, 20, 0)
    slowest = max(slowest, time.perf_counter() - began)
assert len(access._buffer.accesses) <= 1000
began = time.perf_counter()
access.stop()
print(f"{slowest:.3f} {time.perf_counter() - began:.3f} {access._buffer.dropped_count > 0}")
"""


def test_a_database_that_is_away_neither_blocks_nor_hangs_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-c", CLOSED_PORT],
        env={
            **os.environ,
            "DATABASE_URL": f"postgres://nobody@127.0.0.1:{port}/nothing",
            "DJANGO_SETTINGS_MODULE": "project.settings.test",
        },
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    _slowest, farewell_seconds, has_dropped = done.stdout.split()
    assert has_dropped == "True"
    assert float(farewell_seconds) < access.FAREWELL_SECONDS + 1


PROCESS = """
import os
import sys
import django
django.setup()
from apps.caching import access
from apps.caching.keyspaces import Keyspace, Sharing
keyspace = Keyspace(name="caching:tested:1", key_fields=("n",), help_text="", fresh_by="",
                    shared_by=Sharing.EVERYONE, ttl_seconds=60)
access.note(keyspace, "f" * 32, 2, 10, 20, 0)
if "fork" in sys.argv:
    child = os.fork()
    if child == 0:
        assert not access._buffer.accesses
        access.note(keyspace, "e" * 32, 2, 10, 20, 0)
        from apps.caching.tasks import write_the_rest
        write_the_rest()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("arguments", "expected"), [((), [-1]), (("fork",), [int("e" * 16, 16) - 2**64, -1])]
)
def test_a_process_and_its_forked_child_each_write_their_own_at_the_end(
    arguments: tuple[str, ...], expected: list[int]
) -> None:
    database = connection.settings_dict
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    subprocess.run(
        [sys.executable, "-c", PROCESS, *arguments],
        env={
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "tests.caching.flushing_settings",
        },
        cwd=settings.BASE_DIR,
        check=True,
    )
    assert sorted(AccessLog.objects.values_list("key_hash", flat=True)) == expected


@pytest.mark.django_db(transaction=True)
def test_a_worker_s_prefork_child_writes_its_last_batch_when_the_worker_is_stopped() -> None:
    from tests.caching.worker import READ, app

    database = connection.settings_dict
    environment = {
        **os.environ,
        "DATABASE_URL": "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database),
        "DJANGO_SETTINGS_MODULE": "tests.caching.flushing_settings",
        # Never by itself within this test: only the child's end writes.
        "TESTED_FLUSH_SECONDS": "3600",
    }
    command = ["-m", "celery", "-A", "tests.caching.worker", "worker", "-Q", "tested", "-c", "1"]
    worker = subprocess.Popen(
        [sys.executable, *command, "--without-gossip", "--without-mingle", "-l", "info"],
        env=environment,
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert worker.stdout is not None
    try:
        app.send_task(READ, queue="tested")
        said = []
        for line in worker.stdout:
            said.append(line)
            if READ in line and "succeeded" in line:
                break
        assert not AccessLog.objects.exists(), "".join(said)
    finally:
        worker.terminate()
        rest = worker.communicate()[0]
    assert AccessLog.objects.count() == 1, "".join(said) + rest
