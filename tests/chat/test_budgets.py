"""Budgets in chat: a refused question explains itself and stays, a sparing one is answered."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.accounts.services import everyone
from apps.billing.errors import BudgetExceededError
from apps.billing.models import Budget, Meter, Price, Purpose, Reservation, UsageRecord
from apps.chat import failures, services
from apps.chat.models import Conversation, Message
from apps.chat.prepare import prepare
from apps.core.ids import uuid7
from apps.llm import services as llm
from apps.llm.models import LLMModel
from apps.tuning import services as tuning
from tests.chat.answers.asking import QUESTION, ask, layer, near, routes
from tests.chat.answers.test_semantic import PARAPHRASE, asked_and_taught
from tests.chat.serving import Browser, Server
from tests.factories.billing import LONG_AGO
from tests.factories.documents import served
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]


def price_all(*, nanos: int = 1_000_000) -> None:
    """Have each token of every model cost a nano."""
    Price.objects.bulk_create(
        Price(
            provider_code=model.provider.code,
            model_code=model.code,
            meter=meter,
            nanos_per_million_tokens=nanos,
            starts_at=LONG_AGO,
        )
        for model in LLMModel.objects.select_related("provider")
        for meter in (Meter.INPUT, Meter.OUTPUT)
    )


@pytest.fixture
def provider(fake_provider: FakeProvider, owner: User) -> FakeProvider:
    """A provider whose answers cost something."""
    route_to(fake_provider, name="Dear")
    price_all()
    return fake_provider


class TestRefused:
    async def test_a_refused_question_says_what_is_used_up_and_what_to_do(
        self, server: Server, provider: FakeProvider, owner: User
    ) -> None:
        budget = await sync_to_async(Budget.objects.create)(user=owner, limit_nanos=10)
        async with Browser(server, owner) as browser:
            events = await browser.answer("How many days of leave?")
        name, failed = events[-1]
        assert (name, failed["code"]) == ("failed", failures.OVER_BUDGET)
        assert "refills on" in failed["message"]
        reply = await Message.objects.aget(pk=events[0][1]["reply"])
        assert (reply.state, reply.error_code, reply.content) == ("FAILED", "over_budget", "")
        assert reply.receipt is not None
        assert reply.receipt["refusal"]["budget_id"] == str(budget.pk)
        assert not provider.requests
        assert not await Reservation.objects.aexists()

        # A reload shows the question, the same words and the ways on.
        page = await sync_to_async(_page)(owner, reply.conversation_id)
        for shown in (
            "How many days of leave?",
            failed["message"].replace("'", "&#x27;"),
            reverse("billing:ask", args=[budget.pk]),
            reverse("billing:usage"),
        ):
            assert shown in page
            assert shown in failed["html"] or shown == "How many days of leave?"

    async def test_with_more_granted_the_same_question_is_answered(
        self, server: Server, provider: FakeProvider, owner: User
    ) -> None:
        await sync_to_async(Budget.objects.create)(user=owner, limit_nanos=10)
        async with Browser(server, owner) as browser:
            events = await browser.answer()
            await Budget.objects.aupdate(limit_nanos=10**9)
            again = f"/chat/messages/{events[0][1]['reply']}/regenerate/"
            data = {"idempotency_key": "00000000-0000-4000-8000-000000000001"}
            async with browser.stream("POST", again, data=data) as retried:
                assert (await retried.until("done"))["state"] == "DONE"

    def test_a_refused_search_is_a_refusal_too(
        self, fake_provider: FakeProvider, owner: User
    ) -> None:
        served(owner, audience=everyone())
        routes(fake_provider)
        price_all()
        Budget.objects.create(user=owner, limit_nanos=0)
        with pytest.raises(BudgetExceededError):
            ask(owner)
        assert not fake_provider.requests


def _page(user: User, conversation_id: Any) -> str:
    client = Client()
    client.force_login(user)
    url = reverse("chat:conversation-detail", args=[conversation_id])
    return client.get(url).content.decode()


class TestCheaperModel:
    async def test_the_receipt_says_which_model_answered_and_why(
        self, server: Server, provider: FakeProvider, owner: User
    ) -> None:
        await sync_to_async(route_to)(provider, name="Cheap")
        await sync_to_async(Budget.objects.create)(
            user=owner, limit_nanos=10**9, soft_limit_nanos=0, at_limit="CHEAPER_MODEL"
        )
        async with Browser(server, owner) as browser:
            events = await browser.answer()
        reply = await Message.objects.aget(pk=events[0][1]["reply"])
        assert reply.receipt is not None
        assert (reply.state, reply.receipt["model_name"]) == ("DONE", "Cheap")
        assert "budget" in reply.receipt["reason"]
        record = await UsageRecord.objects.aget()
        assert record.model_code == provider.requests[0].body["model"]


class TestCachedOnly:
    @pytest.fixture
    def limit(self, fake_provider: FakeProvider, owner: User) -> Callable[[], None]:
        """Documents to ask, answered by two models whose tokens cost something; a budget, once called."""
        served(owner, audience=everyone())
        routes(fake_provider)
        price_all()

        def limit() -> None:
            Budget.objects.create(
                user=owner, limit_nanos=10**9, soft_limit_nanos=0, at_limit="CACHED_ONLY"
            )

        return limit

    def test_the_same_question_is_answered_from_before(
        self, owner: User, limit: Callable[[], None]
    ) -> None:
        ask(owner)
        limit()
        assert layer(ask(owner)) == "exact"

    def test_one_that_means_the_same_is_answered_from_before(
        self, fake_provider: FakeProvider, owner: User, limit: Callable[[], None]
    ) -> None:
        tuning.change(values={"chat.semantic_shadow_ratio": 0.0}, author_id=None)
        fake_provider.vectors |= {QUESTION: near(1.0), PARAPHRASE: near(0.97)}
        asked_and_taught(owner)
        limit()
        given = ask(owner, PARAPHRASE)
        assert (layer(given), given.state) == ("semantic", "DONE")

    def test_for_any_other_its_embedding_alone_is_paid(
        self, fake_provider: FakeProvider, owner: User, limit: Callable[[], None]
    ) -> None:
        limit()
        with pytest.raises(BudgetExceededError) as raised:
            _asked_to_the_end(owner, QUESTION)
        assert raised.value.refusal.is_soft
        assert [one.path for one in fake_provider.requests] == ["/v1/embeddings"]
        assert UsageRecord.objects.get().purpose == Purpose.QUERY_EMBEDDING

    def test_where_no_earlier_answer_could_be_found_nothing_is_bought(
        self, fake_provider: FakeProvider, owner: User, limit: Callable[[], None]
    ) -> None:
        first = ask(owner)
        limit()
        fake_provider.requests.clear()
        bought = UsageRecord.objects.count()
        vain: list[tuple[str, dict[str, Any]]] = [
            ("And for part-timers?", {"conversation": first.conversation, "parent": str(first.pk)}),
            ("How many days of leave do I have left today?", {}),
        ]
        for question, fields in vain:
            with pytest.raises(BudgetExceededError) as raised:
                ask(owner, question, **fields)
            assert raised.value.refusal.is_soft
        assert fake_provider.requests == []
        assert UsageRecord.objects.count() == bought


def _asked_to_the_end(owner: User, question: str) -> None:
    """Ask as the desk does: prepare, then the model."""
    draft = services.Draft(
        content=question, idempotency_key=uuid7(), sources=Conversation.Sources.ALL
    )
    posted = services.post_message(user=owner, draft=draft)
    prepared = prepare(posted.reply.pk)
    assert prepared is not None
    assert prepared.ask is not None
    llm.complete(
        choice=prepared.ask.choice, messages=prepared.ask.messages, context=prepared.ask.context
    )


async def test_calls_carry_the_conversation_and_its_tags(
    server: Server, provider: FakeProvider, owner: User
) -> None:
    async with Browser(server, owner) as browser:
        accepted = (await browser.answer())[0][1]
        await Conversation.objects.filter(pk=accepted["conversation"]).aupdate(
            cost_tags=["launch", "pilot"]
        )
        await browser.answer(conversation=accepted["conversation"], parent=accepted["reply"])
    first, second = [one async for one in UsageRecord.objects.order_by("created_at")]
    assert {str(first.conversation_id), str(second.conversation_id)} == {accepted["conversation"]}
    assert (first.product, first.tags, second.tags) == ("chat", [], ["launch", "pilot"])
