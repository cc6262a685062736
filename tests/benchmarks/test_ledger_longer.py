"""The ledger against its reference model for longer than the suite has time for. Run by `make bench`."""

import pytest

from tests.billing.test_ledger_stateful import berlin as berlin
from tests.billing.test_ledger_stateful import cast as cast
from tests.billing.test_ledger_stateful import happened, play

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db(transaction=True)]

EXAMPLES = 300
STEPS = 60


@pytest.mark.usefixtures("berlin", "cast")
def test_the_books_are_what_the_model_says() -> None:
    """Every kind of thing happens many times over."""
    play(EXAMPLES, STEPS)
    for kind in (
        *("reserved", "refused", "refused softly", "excess", "reaped", "switched"),
        *("settled OPEN", "settled SETTLED", "settled ESTIMATED"),
    ):
        assert happened[kind] > EXAMPLES / 10, (kind, happened)
