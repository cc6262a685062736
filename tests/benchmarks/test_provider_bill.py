"""Ten thousand mixed calls against the counting provider: the difference is 0 tokens and 0 nanos. Run by `make bench`."""

import pytest

from apps.accounts.models import Department, User
from tests.billing.mixed_calls import billed
from tests.billing.test_against_provider import compare
from tests.fake_provider import FakeProvider

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.django_db(transaction=True),
    # The HTTP client leaves the body of a stream that was cut to the collector, which may run in any thread.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <async_generator object Response.aiter_raw"
    ),
]

CALLS = 10_000


async def test_ten_thousand_calls_are_posted_as_billed(
    fake_provider: FakeProvider, department: Department, owner: User
) -> None:
    ended = await compare(fake_provider, department, owner, calls=CALLS, seed=1)
    bills = [billed(bill) for bill in fake_provider.bills.values()]
    print(  # noqa: T201 - a benchmark reports
        f"\n{sum(ended.values())} requests, {len(bills)} provider calls: fresh, cached, output and embedded tokens and"
        f" nanos billed {[sum(one) for one in zip(*bills, strict=True)]}, posted the same, call by call; {dict(ended)}"
    )
