"""A change made in one process is read in another that was not told, without a restart."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from django.db import connection

from apps.tuning import services

NAME = "documents.retrieval_feedback_weight"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def watcher(transactional_db: None) -> Iterator[subprocess.Popen[str]]:
    """A second process that hears of nothing and reads the database alone."""
    database = connection.settings_dict
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.tuning.watcher", NAME],
        env=os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "project.settings.test"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.communicate()
    assert process.returncode == 0


def test_another_process_reads_the_change_at_its_next_look(
    watcher: subprocess.Popen[str], record_property
) -> None:
    assert watcher.stdout
    # The bound: it looks again when what it knows is this old. A pushed change comes sooner.
    assert json.loads(watcher.stdout.readline()) <= 0.5
    value, _generation, _at = json.loads(watcher.stdout.readline())
    assert value == 1.0
    for wanted in (0.25, 0.75):
        revision = services.change(values={NAME: wanted}, author_id=None)
        committed_at = time.monotonic()
        assert revision
        value, generation, seen_at = json.loads(watcher.stdout.readline())
        assert (value, generation) == (wanted, revision.pk)
        record_property(f"seconds_until_{wanted}", round(seen_at - committed_at, 3))
