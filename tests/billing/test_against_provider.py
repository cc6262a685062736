"""What is posted, call by call, is what a counting provider would bill: however a call ends, not a token or nano off."""

import random
from collections import Counter

import pytest
from asgiref.sync import sync_to_async

from apps.accounts.models import Department, User
from apps.billing import book
from apps.billing.models import Budget, BudgetPeriod
from apps.billing.reconcile import reconcile
from apps.llm.models import Route
from tests.billing.mixed_calls import ENDINGS, Mix, billed, posted, priced
from tests.factories.billing import call_context
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # The HTTP client leaves the body of a stream that was cut to the collector, which may run in any thread.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <async_generator object Response.aiter_raw"
    ),
]

# Each ending a few times; tests/benchmarks/test_provider_bill.py makes ten thousand.
CALLS = 6 * len(ENDINGS)


async def test_posted_is_what_the_provider_counted(
    fake_provider: FakeProvider, department: Department, owner: User
) -> None:
    await compare(fake_provider, department, owner, calls=CALLS, seed=0)


async def compare(
    provider: FakeProvider, department: Department, owner: User, *, calls: int, seed: int
) -> Counter[str]:
    """Make the calls and compare, call by call and in all; return how many ended how."""
    mix = await sync_to_async(made)(provider, department, owner, seed)
    await mix.run(calls)
    assert set(mix.ended) == set(ENDINGS)
    await sync_to_async(assert_equal)(provider)
    return mix.ended


def made(provider: FakeProvider, department: Department, owner: User, seed: int) -> Mix:
    """Set models, prices and a budget up."""
    book.open_book()
    Budget.objects.create(department=department, limit_nanos=10**15)
    chat = route_to(provider)
    embedder = route_to(provider, Route.Use.EMBEDDING)
    priced(chat)
    priced(embedder)
    context = call_context(department_id=department.pk, user_id=owner.pk)
    return Mix(provider, chat, embedder, context, random.Random(seed), Counter())


def assert_equal(provider: FakeProvider) -> None:
    """Compare each call, then all together with the ledger and the budget."""
    bills = {name: billed(bill) for name, bill in provider.bills.items()}
    records = posted()
    assert records.keys() == bills.keys()
    assert {
        name: (records[name], bill) for name, bill in bills.items() if records[name] != bill
    } == {}
    assert all(bill.request_count == 1 for bill in provider.bills.values())
    nanos = sum(bill[-1] for bill in bills.values())
    found = reconcile()
    assert found.is_clean, [one.words for one in found.differences]
    assert found.credit_nanos == nanos
    period = BudgetPeriod.objects.get()
    assert (period.spent_nanos, period.reserved_nanos) == (nanos, 0)
