"""An ingestion stopped by a budget waits, says so, goes on by itself, and embeds nothing twice."""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.billing.budgets.state import of_budgets
from apps.billing.models import Budget, BudgetIncrease, Meter, Reservation, UsageRecord
from apps.documents import ingestion, reasons, runs, tasks
from apps.documents.models import Document, IngestRun, Passage, PassageEmbedding
from apps.documents.progress import read_progress
from apps.llm.errors import UndeliveredError
from apps.llm.models import Route
from apps.llm.providers import openai_compatible
from apps.llm.tokens import most_embedding_tokens
from apps.tuning import live
from tests.documents.test_ingestion import LONG_TEXT
from tests.factories.billing import PriceFactory
from tests.factories.documents import uploaded
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def embedder(fake_provider: FakeProvider, db: None) -> FakeProvider:
    """An embedding model of which a token costs a nano."""
    choice = route_to(fake_provider, Route.Use.EMBEDDING)
    PriceFactory(
        provider_code=choice.provider_code,
        model_code=choice.model_code,
        meter=Meter.EMBEDDING,
        nanos_per_million_tokens=1_000_000,
    )
    return fake_provider


def worked_on(document: Document) -> IngestRun:
    """Work on a document's run as far as it goes, and return it."""
    run = document.runs.get()
    ingestion.run(run.pk)
    run.refresh_from_db()
    document.refresh_from_db()
    return run


def first_batch(document: Document) -> list[str]:
    passages = Passage.objects.filter(version__document=document).order_by("ordinal")
    size = live.integer("documents.embedding_batch_size")
    return list(passages.values_list("text", flat=True)[:size])


def test_it_goes_on_where_the_budget_stopped_it(owner: User, embedder: FakeProvider) -> None:
    budget = Budget.objects.create(user=owner, limit_nanos=0)
    document = uploaded(owner, LONG_TEXT)
    run = worked_on(document)
    assert (run.state, run.step, run.done_count) == ("WAITING", "EMBED", 0)
    assert (run.attempt_count, run.error_code) == (0, reasons.OVER_BUDGET)
    assert not embedder.requests

    # Room for one batch: the next one waits again, and what is done stays done.
    Budget.objects.update(limit_nanos=most_embedding_tokens(first_batch(document)))
    run = worked_on(document)
    assert (run.state, run.attempt_count, run.done_count) == (
        "WAITING",
        0,
        PassageEmbedding.objects.count(),
    )
    assert 0 < run.done_count < run.total_count

    BudgetIncrease.objects.create(
        budget=budget, amount_nanos=10**9, expires_at=timezone.now() + timedelta(days=1)
    )
    run = worked_on(document)
    assert (run.state, document.status, run.error_code) == ("DONE", Document.Status.READY, "")
    texts = Counter(text for request in embedder.requests for text in request.body["input"])
    assert set(texts.values()) == {1}
    assert len(texts) == Passage.objects.filter(version__document=document).count()
    spent = sum(UsageRecord.objects.values_list("amount_nanos", flat=True))
    [state] = of_budgets(Budget.objects.all())
    assert run.cost_nanos == spent == state.spent_nanos
    assert not Reservation.objects.exclude(state=Reservation.State.SETTLED).exists()


def test_it_says_why_and_when_and_not_how_much(
    owner: User, colleague: User, embedder: FakeProvider
) -> None:
    Budget.objects.create(user=owner, limit_nanos=0)
    document = uploaded(owner)
    worked_on(document)
    [found] = read_progress(owner, [document.pk])
    assert (found.status, found.can_retry) == (Document.Status.WAITING, False)
    assert "goes on by itself on" in found.reason
    assert "$" not in found.reason
    Budget.objects.all().update(is_enabled=False)
    Budget.objects.create(user=owner, limit_nanos=0, period=Budget.Period.TOTAL)
    run = worked_on(document)
    assert run.error_detail == ""
    [found] = read_progress(owner, [document.pk])
    assert found.reason == reasons.message(reasons.OVER_BUDGET)


def test_it_is_taken_up_again_by_itself_however_often(owner: User, embedder: FakeProvider) -> None:
    Budget.objects.create(user=owner, limit_nanos=0)
    document = uploaded(owner)
    run = worked_on(document)
    looks = run.attempt_limit + 1
    for _look in range(looks):
        assert not runs.due().exists()
        within = timezone.now() + timedelta(seconds=runs.BUDGET_SECONDS)
        assert IngestRun.objects.filter(lease_expires_at__lte=within).exists()
        IngestRun.objects.update(lease_expires_at=timezone.now())
        assert [found.pk for found in runs.due()] == [run.pk]
        run = worked_on(document)
    Budget.objects.update(limit_nanos=10**9)
    IngestRun.objects.update(lease_expires_at=timezone.now())
    tasks.resume_runs()
    assert worked_on(document).state == IngestRun.State.DONE


def test_a_budget_that_stops_the_second_try_of_a_call_fails_no_ingestion(
    owner: User, embedder: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    Budget.objects.create(user=owner, limit_nanos=10**9)
    document = uploaded(owner)

    async def closed(*_args: object, **_options: object) -> None:
        await Budget.objects.aupdate(limit_nanos=0)
        raise UndeliveredError("the connection was closed", is_sent=False)

    with monkeypatch.context() as unlucky:
        unlucky.setattr(openai_compatible, "embed", closed)
        run = worked_on(document)
    assert (run.state, run.error_code) == (IngestRun.State.WAITING, reasons.OVER_BUDGET)

    Budget.objects.update(limit_nanos=10**9)
    # The number of the void call comes again, and then one that was never used.
    for _look in range(2):
        IngestRun.objects.update(lease_expires_at=timezone.now())
        run = worked_on(document)
    assert (run.state, document.status) == (IngestRun.State.DONE, Document.Status.READY)


def test_it_looks_again_when_the_budget_refills(owner: User, embedder: FakeProvider) -> None:
    Budget.objects.create(user=owner, limit_nanos=0)
    run = worked_on(uploaded(owner))
    refills_at = timezone.now() + timedelta(seconds=5)
    IngestRun.objects.filter(pk=run.pk).update(
        state=IngestRun.State.RUNNING, attempt_count=1, lease_expires_at=refills_at
    )
    run.refresh_from_db()
    runs.wait_for_budget(run, refills_at=refills_at)
    run.refresh_from_db()
    assert run.lease_expires_at == refills_at


def test_a_worker_that_lost_its_run_leaves_it_alone(owner: User, embedder: FakeProvider) -> None:
    Budget.objects.create(user=owner, limit_nanos=0)
    document = uploaded(owner)

    def taken_over(label: str) -> None:
        if label == "EMBED begins":
            IngestRun.objects.update(attempt_count=2)

    ingestion.run(document.runs.get().pk, on_step=taken_over)
    run = document.runs.get()
    assert (run.state, run.attempt_count, run.error_code) == (IngestRun.State.RUNNING, 2, "")
