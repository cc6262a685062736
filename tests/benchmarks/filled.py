"""A database of many calls for benchmarks: filled here, or one that is named and stays as it is.

PARLEY_LOAD_ROWS calls are loaded (300,000 by default: `make bench` is no night's work). Over ten million: fill a
throw-away server once and name it as often as one likes; it is never emptied, only given what surrounds calls:

    python -m tests.load.fill --rows 10000000
    PARLEY_LOADED_DATABASE=postgres://… python -m pytest -m benchmark -s tests/benchmarks/test_cost_pages.py
"""

import os
from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.load.fill import connect_to
from tests.load.surroundings import surround
from tests.load.usage_rows import Sizes, load

ROWS = int(os.environ.get("PARLEY_LOAD_ROWS", "300000"))
LOADED = os.environ.get("PARLEY_LOADED_DATABASE", "")
MARKS = [
    pytest.mark.benchmark,
    # A database that is named is somebody's: no test database is made, and none is emptied.
    *([] if LOADED else [pytest.mark.django_db(transaction=True)]),
]


@pytest.fixture
def filled(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The database, as Django's connection."""
    if LOADED:
        with django_db_blocker.unblock(), connect_to(LOADED):
            surround()
            yield
    else:
        load(Sizes(rows=ROWS))
        surround()
        yield
