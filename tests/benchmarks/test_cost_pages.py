"""Every page of cost takes less than 100 ms of database time, as operators, heads and members open it.

Over how many calls, and how over ten million: tests/benchmarks/filled.py. PARLEY_SCREENS=ledger measures only the
pages whose names this regular expression is found in, PARLEY_SHOW_ABOVE=50 prints the statements of those above so
many milliseconds, PARLEY_LOOKS=9 opens each as often.
"""

import os
import re
from functools import partial

import pytest
from django.db import connection
from django.test import Client

from tests.benchmarks.filled import MARKS
from tests.benchmarks.filled import filled as filled
from tests.load.database_time import DatabaseTime, database_time, dearest, watch
from tests.load.screens import Screen, screens

pytestmark = MARKS

MOST_MS = 100
LOOKS = int(os.environ.get("PARLEY_LOOKS", "3"))
CHOSEN = re.compile(os.environ.get("PARLEY_SCREENS", ""))
SHOW_ABOVE = float(os.environ.get("PARLEY_SHOW_ABOVE", "inf"))


def open_page(client: Client, screen: Screen) -> None:
    answer = client.get(screen.url)
    # A search for one call leads to it.
    assert answer.status_code in {200, 302}, screen
    # A file is written while it is sent.
    b"".join(answer) if answer.streaming else answer.content  # type: ignore[arg-type]


def told(screen: Screen, took: DatabaseTime) -> str:
    said = f"{screen.name:<64} {took.busy:8.1f} ({took.elapsed:8.1f}) {took.statement_count:4}"
    if took.busy < SHOW_ABOVE:
        return said
    lines = [f"    {ms:8.1f} {' '.join(query.split())[:1500]}" for ms, query in dearest()]
    return "\n".join([said, *lines])


@pytest.mark.usefixtures("filled")
def test_every_page_of_cost_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    watch()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM billing_usagerecord")
        [call_count] = cursor.fetchone()
    head = f"\n{call_count} calls; of each page the server's milliseconds at work (by the wall clock), statements"
    with capsys.disabled():
        print(head)  # noqa: T201 - a benchmark reports
    slow: dict[str, float] = {}
    for screen in screens():
        if not CHOSEN.search(screen.name):
            continue
        client = Client()
        client.force_login(screen.user)
        took = database_time(partial(open_page, client, screen), looks=LOOKS)
        with capsys.disabled():
            print(told(screen, took), flush=True)  # noqa: T201
        if took.busy >= MOST_MS:
            slow[screen.name] = took.busy
    assert slow == {}
