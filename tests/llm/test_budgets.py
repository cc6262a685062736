"""Budgets at the door of model calls: refusals pass unharmed, and the cheapest model answers where one asks for it."""

import pytest

from apps.billing.errors import BudgetExceededError
from apps.billing.models import Budget, Meter, Purpose, Reservation, UsageRecord
from apps.billing.types import CallContext, Thrift
from apps.llm import metering, services
from apps.llm.models import Route
from apps.llm.types import ChatMessage, Choice, Finished, Instead, Token
from tests.factories.billing import PriceFactory, call_context
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGES = [ChatMessage("user", "How many days of leave?")]
MILLION = 1_000_000
# What a call of these messages can take at most, by the dear model and by the cheap one.
DEAR, CHEAP = 1_000 * MILLION, 10 * MILLION


def priced(choice: Choice, nanos: int) -> Choice:
    for meter in (Meter.INPUT, Meter.OUTPUT):
        PriceFactory(
            provider_code=choice.provider_code,
            model_code=choice.model_code,
            meter=meter,
            nanos_per_million_tokens=nanos,
        )
    return choice


@pytest.fixture
def call() -> CallContext:
    return call_context()


@pytest.fixture
def dear(fake_provider: FakeProvider) -> Choice:
    return priced(route_to(fake_provider), DEAR)


@pytest.fixture
def cheap(fake_provider: FakeProvider, dear: Choice) -> Choice:
    return priced(route_to(fake_provider), CHEAP)


def limited(call: CallContext, **fields: object) -> Budget:
    return Budget.objects.create(
        **{"department_id": call.department_id, "limit_nanos": 10_000 * DEAR, **fields}
    )


async def heard(choice: Choice, call: CallContext, **options: object) -> list[object]:
    stream = services.stream(choice=choice, messages=MESSAGES, context=call, **options)  # type: ignore[arg-type]
    return [event async for event in stream]


async def test_a_refusal_passes_unharmed_and_asks_nobody(
    fake_provider: FakeProvider, dear: Choice, call: CallContext, caplog: pytest.LogCaptureFixture
) -> None:
    budget = await Budget.objects.acreate(department_id=call.department_id, limit_nanos=1)
    with pytest.raises(BudgetExceededError) as raised:
        await heard(dear, call, use=Route.Use.ANSWER)
    assert raised.value.refusal.budget_id == budget.pk
    await metering.drain()
    assert not fake_provider.requests
    assert not await Reservation.objects.aexists()
    assert not caplog.records


class TestCheaperModel:
    @pytest.fixture
    def budget(self, call: CallContext) -> Budget:
        return limited(call, soft_limit_nanos=0, at_limit=Budget.AtLimit.CHEAPER_MODEL)

    async def test_answers_from_the_soft_limit_on_and_says_why(
        self,
        fake_provider: FakeProvider,
        dear: Choice,
        cheap: Choice,
        call: CallContext,
        budget: Budget,
    ) -> None:
        events = await heard(dear, call, use=Route.Use.ANSWER)
        instead = events[0]
        assert isinstance(instead, Instead)
        assert instead.choice.model_code == cheap.model_code
        assert "budget" in instead.choice.reason
        assert fake_provider.requests[0].body["model"] == cheap.model_code
        assert (await UsageRecord.objects.aget()).model_code == cheap.model_code

    async def test_the_only_model_answers_by_itself(
        self, fake_provider: FakeProvider, dear: Choice, call: CallContext, budget: Budget
    ) -> None:
        events = await heard(dear, call, use=Route.Use.ANSWER)
        assert isinstance(events[0], Instead)
        assert events[0].choice.llm_model_id == dear.llm_model_id
        assert [event.text for event in events if isinstance(event, Token)]

    async def test_also_where_only_its_price_fits_the_limit(
        self, fake_provider: FakeProvider, dear: Choice, cheap: Choice, call: CallContext
    ) -> None:
        # The dear model's maximum is above the limit, the cheap one's is not.
        await Budget.objects.acreate(
            department_id=call.department_id,
            limit_nanos=50 * 1024 * 10,
            at_limit=Budget.AtLimit.CHEAPER_MODEL,
        )
        events = await heard(dear, call, use=Route.Use.ANSWER)
        assert isinstance(events[-1], Finished)
        assert events[-1].settled.model_code == cheap.model_code

    @pytest.mark.parametrize("is_plain_first", [True, False])
    async def test_whichever_budget_is_met_first(
        self,
        fake_provider: FakeProvider,
        dear: Choice,
        cheap: Choice,
        call: CallContext,
        is_plain_first: bool,
    ) -> None:
        # Everybody's has room for the cheap model only; the department's asks for that one.
        frugal = {"department_id": call.department_id, "soft_limit_nanos": 0}
        frugal |= {"limit_nanos": 10_000 * DEAR, "at_limit": Budget.AtLimit.CHEAPER_MODEL}
        budgets = [{"limit_nanos": 50 * 1024 * 10}, frugal]
        for fields in budgets if is_plain_first else budgets[::-1]:
            await Budget.objects.acreate(**fields)
        events = await heard(dear, call, use=Route.Use.ANSWER)
        assert isinstance(events[-1], Finished)
        assert events[-1].settled.model_code == cheap.model_code

    async def test_not_one_that_cannot_read_the_prompt(
        self, fake_provider: FakeProvider, dear: Choice, call: CallContext, budget: Budget
    ) -> None:
        await metering.in_thread(
            lambda: priced(route_to(fake_provider, context_tokens=20, max_output_tokens=10), CHEAP)
        )
        events = await heard(dear, call, use=Route.Use.ANSWER)
        assert isinstance(events[-1], Finished)
        assert events[-1].settled.model_code == dear.model_code

    async def test_not_where_the_caller_wants_this_very_model(
        self,
        fake_provider: FakeProvider,
        dear: Choice,
        cheap: Choice,
        call: CallContext,
        budget: Budget,
    ) -> None:
        with pytest.raises(BudgetExceededError):
            await heard(dear, call)

    async def test_closed_before_it_is_sent_the_call_is_void(
        self,
        fake_provider: FakeProvider,
        dear: Choice,
        cheap: Choice,
        call: CallContext,
        budget: Budget,
    ) -> None:
        stream = services.stream(choice=dear, messages=MESSAGES, context=call, use=Route.Use.ANSWER)
        await anext(stream)
        await stream.aclose()
        await metering.drain()
        assert (await Reservation.objects.aget()).state == Reservation.State.VOID
        assert not fake_provider.requests


class TestEmbedding:
    @pytest.fixture
    def embedder(self, fake_provider: FakeProvider) -> Choice:
        choice = route_to(fake_provider, Route.Use.EMBEDDING)
        PriceFactory(
            provider_code=choice.provider_code,
            model_code=choice.model_code,
            meter=Meter.EMBEDDING,
            nanos_per_million_tokens=DEAR,
        )
        return choice

    def test_the_embedding_model_is_the_cheapest_that_can(
        self, embedder: Choice, call: CallContext
    ) -> None:
        limited(call, soft_limit_nanos=0, at_limit=Budget.AtLimit.CHEAPER_MODEL)
        embeddings = services.embed(texts=["a"], context=call)
        assert [one.amount_nanos for one in embeddings.settled] == [1_000]

    def test_only_the_question_s_own_passes_a_budget_for_earlier_answers(
        self, embedder: Choice, call: CallContext
    ) -> None:
        limited(call, soft_limit_nanos=0, at_limit=Budget.AtLimit.CACHED_ONLY)
        with pytest.raises(BudgetExceededError):
            services.embed(texts=["a"], context=call)
        again = call_context(department_id=call.department_id, purpose=Purpose.QUERY_EMBEDDING)
        embeddings = services.embed(texts=["a"], context=again, thrift=Thrift.SEARCH)
        assert len(embeddings.vectors) == 1
