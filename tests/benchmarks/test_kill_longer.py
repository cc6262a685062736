"""A thousand calls at once against five dollars, again at each step at which their processes can die. Run by `make bench`."""

import time
from pathlib import Path

import pytest

from apps.billing.models import LedgerEntry
from apps.llm.types import Choice
from tests.billing.killing import Size
from tests.billing.test_kill import choice as choice
from tests.billing.test_kill import kill_at_each_step
from tests.fake_provider import FakeProvider

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db(transaction=True)]

A_THOUSAND = Size(processes=8, killed=4, calls=125, limit_nanos=5 * 10**9)


def test_a_thousand_calls_at_each_step_are_posted_exactly_once(
    choice: Choice, fake_provider: FakeProvider, tmp_path: Path
) -> None:
    """Half of the processes are killed at each step; what they lost is settled, and made anew where it was not sent."""
    started = time.perf_counter()
    rounds = kill_at_each_step(choice, fake_provider, tmp_path, A_THOUSAND)
    refused = {one.step: len(one.refused) for one in rounds}
    print(  # noqa: T201 - a benchmark reports
        f"\n{len(rounds)} steps of {len(rounds[0].names)} calls, {A_THOUSAND.killed} of {A_THOUSAND.processes} processes"
        f" killed at each, in {time.perf_counter() - started:.0f} s: overspend 0, {refused} refused, each with reason,"
        f" {LedgerEntry.objects.count()} others posted exactly once"
    )
    assert len(rounds[0].names) == 1000
    assert all(refused.values())
