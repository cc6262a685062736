"""The learned semantic cache against fixed similarities, and an exact answer against a computed one. Run by `make bench`."""

import asyncio
import time
from statistics import median
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from apps.accounts.models import User
from apps.accounts.services import everyone
from apps.chat.answers.intervals import upper_bound
from apps.chat.models import Message
from tests.chat.answers.asking import QUESTION, near, routes
from tests.chat.answers.semantic_traffic import Tally, learned, requests, static
from tests.chat.conftest import connections_returned as connections_returned
from tests.chat.serving import Browser, Server
from tests.factories.documents import served
from tests.fake_provider import FakeProvider, Gate

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db(transaction=True)]

REQUESTS = 20_000
SEEDS = (1, 2, 3)
HITS = 30
# A small model on this machine writes 30 tokens in about this time; strong ones over the net take longer.
TOKENS, SECONDS_PER_TOKEN = 30, 0.02
EXACT_IS_SOONER = 10


class Pause(Gate):
    """The time a token takes."""

    async def pass_through(self) -> None:
        await asyncio.sleep(SECONDS_PER_TOKEN)


def test_the_learned_cache_has_more_hits_and_fewer_errors_than_a_fixed_similarity(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows: list[tuple[str, float, list[Tally]]] = []
    for threshold in (0.90, 0.95, 0.97):
        tallies = [static(requests(REQUESTS, seed=seed), threshold=threshold) for seed in SEEDS]
        rows.append((f"similarity {threshold:.2f}", 1.0, tallies))
    for bound in (0.05, 0.02):
        tallies = [learned(requests(REQUESTS, seed=seed), error_bound=bound) for seed in SEEDS]
        rows.append((f"learned, {bound:.0%}", bound, tallies))
    with capsys.disabled():
        print("\npolicy            hits    wrong given hit   95 % upper")  # noqa: T201 - a benchmark reports
        for name, _bound, tallies in rows:
            hits, wrong = sum(t.hit_count for t in tallies), sum(t.error_count for t in tallies)
            upper = upper_bound(wrong, hits, tail=0.05)
            share = hits / (REQUESTS * len(SEEDS))
            print(f"{name:16} {share:6.1%} {wrong / hits:17.2%} {upper:12.2%}")  # noqa: T201
    strict = rows[2][2]
    for _name, bound, tallies in rows[3:]:
        for tally, fixed in zip(tallies, strict, strict=True):
            assert upper_bound(tally.error_count, tally.hit_count, tail=0.05) <= bound
            assert tally.hit_count > 2 * fixed.hit_count
            assert tally.error_given_hit < fixed.error_given_hit / 2


@pytest.mark.usefixtures("connections_returned")
async def test_an_exact_answer_is_on_the_page_ten_times_sooner(
    server: Server,
    fake_provider: FakeProvider,
    owner: User,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From the POST to the last event over real HTTP; the computed one is streamed at the speed of a small model."""
    await sync_to_async(_with_a_document)(fake_provider, owner)
    fake_provider.vectors = {QUESTION: near(1.0)}
    async with Browser(server, owner) as browser:
        computed = []
        for number in range(5):
            fake_provider.will_answer()
            fake_provider.will_answer(*_slow_answer())
            computed.append(await _timed(browser, f"{QUESTION} {'x' * (number + 2)}"))
        fake_provider.will_answer()
        fake_provider.will_answer(*_slow_answer())
        await _timed(browser, QUESTION)
        given = [await _timed(browser, QUESTION) for _hit in range(HITS)]
    layers = [
        receipt["cache_layer"]
        async for receipt in Message.objects.filter(role="ASSISTANT")
        .order_by("created_at")
        .values_list("receipt", flat=True)
    ]
    assert layers == ["none"] * 6 + ["exact"] * HITS
    ratio = median(computed) / median(given)
    figures = f"computed {median(computed):.0f} ms, given {median(given):.1f} ms: {ratio:.0f} times sooner"
    with capsys.disabled():
        print(f"\n{figures}")  # noqa: T201 - a benchmark reports
    assert median(computed) >= EXACT_IS_SOONER * median(given)


def _with_a_document(provider: FakeProvider, owner: User) -> None:
    routes(provider)
    served(owner, "Annual leave is 28 days.", audience=everyone())


def _slow_answer() -> list[Any]:
    return [step for _token in range(TOKENS) for step in (Pause(), "word ")] + ["[1]."]


async def _timed(browser: Browser, question: str) -> float:
    started = time.perf_counter()
    events = await browser.answer(question, sources="ALL")
    assert events[-1][0] == "done"
    return (time.perf_counter() - started) * 1000
