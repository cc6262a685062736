"""What earlier answers save is in the ledger of savings, once, and baseline = actual + saved − overhead for each request."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from apps.accounts.models import User
from apps.billing import services as billing
from apps.billing.errors import BudgetExceededError
from apps.billing.models import Budget, Mechanism, Outcome, Purpose, Saving, UsageRecord
from apps.billing.savings import Identity, audit, identity
from apps.billing.types import CallContext, Usage
from apps.chat import services
from apps.chat.answers.saved import note_checked
from apps.chat.finish import finish
from apps.chat.models import CachedAnswer, Conversation, Message
from apps.chat.prepare import prepare
from apps.chat.receipts import refused_by
from apps.chat.services import Draft
from apps.chat.types import ANSWER_ATTEMPT, QUESTION_ATTEMPT, KeptAnswer
from apps.chat.types import Outcome as AnswerOutcome
from apps.core.ids import uuid7
from apps.llm.attempts import SECOND_TRY
from apps.llm.models import LLMModel
from tests.chat.answers.asking import ANSWER, QUESTION, layer, near
from tests.chat.answers.test_semantic import PARAPHRASE, taught, turn
from tests.factories.billing import LONG_AGO, BudgetFactory, PriceFactory
from tests.fake_provider import FakeProvider

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("provider", "policy", "_priced"),
]

NANOS_PER_TOKEN = 1_000


@pytest.fixture
def _priced(provider: FakeProvider) -> None:
    provider.vectors.update({QUESTION: near(1.0), PARAPHRASE: near(0.97)})
    for llm_model in LLMModel.objects.select_related("provider"):
        PriceFactory(
            provider_code=llm_model.provider.code,
            model_code=llm_model.code,
            nanos_per_million_tokens=NANOS_PER_TOKEN * 1_000_000,
            starts_at=LONG_AGO,
        )
    turn(**{"chat.semantic_shadow_ratio": 0.0})


def asked(user: User, question: str = QUESTION, *, tokens: int = 500) -> Message:
    """Ask; a model that has to be asked uses this many tokens."""
    draft = Draft(content=question, idempotency_key=uuid7(), sources=Conversation.Sources.ALL)
    posted = services.post_message(user=user, draft=draft)
    if not posted.reply.is_unfinished:
        return posted.reply
    reply = Message.objects.select_related("conversation").get(pk=posted.reply.pk)
    prepared = prepare(reply.pk)
    if prepared is not None:
        pay_for_answer(reply, tokens=tokens)
        outcome = AnswerOutcome(Message.State.DONE, ANSWER, finish_reason="stop", total_ms=900.0)
        assert finish(reply.pk, prepared.basis, outcome)
    return Message.objects.get(pk=reply.pk)


def pay_for_answer(reply: Message, *, tokens: int) -> None:
    """Book what an answer of this many tokens costs."""
    assert reply.request_id is not None
    chat_model = LLMModel.objects.select_related("provider").get(kind=LLMModel.Kind.CHAT)
    reserved = billing.reserve(
        context=CallContext(
            request_id=reply.request_id,
            department_id=reply.conversation.paying_department_id,
            purpose=Purpose.ANSWER,
            user_id=reply.conversation.user_id,
            attempt=ANSWER_ATTEMPT,
        ),
        provider_code=chat_model.provider.code,
        model_code=chat_model.code,
        max_input_tokens=1000,
        max_output_tokens=1000,
    )
    billing.settle(
        reservation_id=reserved.reservation_id,
        outcome=Outcome.COMPLETED,
        usage=Usage(input_tokens=tokens),
        elapsed_ms=1,
    )


def request_of(reply: Message) -> UUID:
    assert reply.request_id is not None
    return reply.request_id


def test_the_same_question_saves_all_that_the_answer_had_cost(owner: User, colleague: User) -> None:
    first = asked(owner)
    again = asked(colleague)
    assert (layer(first), layer(again)) == ("none", "exact")
    assert first.receipt is not None
    assert again.receipt is not None
    cost = identity(request_of(first))
    assert cost.actual_nanos == first.receipt["total_nanos"] > 500 * NANOS_PER_TOKEN
    assert identity(request_of(again)) == Identity(0, cost.actual_nanos, 0)
    saving = Saving.objects.get()
    assert (saving.mechanism, saving.request_id) == (Mechanism.EXACT_CACHE, again.request_id)
    assert saving.department_id == again.conversation.paying_department_id
    assert saving.user_id == colleague.pk
    assert saving.saved_nanos == again.receipt["saved_nanos"]
    assert saving.saved_ms == round(again.receipt["saved_ms"])


def test_a_question_sent_twice_saves_once(owner: User, colleague: User) -> None:
    asked(owner)
    draft = Draft(content=QUESTION, idempotency_key=uuid7(), sources=Conversation.Sources.ALL)
    assert services.post_message(user=colleague, draft=draft).is_new
    assert not services.post_message(user=colleague, draft=draft).is_new
    assert Saving.objects.count() == 1


def test_a_paraphrase_costs_its_embedding_and_saves_the_rest(owner: User, colleague: User) -> None:
    first = asked(owner)
    taught(CachedAnswer.objects.get())
    given = asked(colleague, PARAPHRASE)
    assert layer(given) == "semantic"
    assert given.receipt is not None
    before, now = identity(request_of(first)), identity(request_of(given))
    assert now.actual_nanos == given.receipt["total_nanos"] > 0
    assert now.baseline_nanos == before.actual_nanos
    assert (now.saved_nanos, now.overhead_nanos) == (before.actual_nanos - now.actual_nanos, 0)
    saving = Saving.objects.get()
    assert saving.mechanism == Mechanism.SEMANTIC_CACHE
    assert saving.saved_nanos == given.receipt["saved_nanos"]


def test_a_check_is_an_overhead_beside_what_the_hit_would_have_saved(
    owner: User, colleague: User
) -> None:
    first = asked(owner)
    taught(CachedAnswer.objects.get())
    turn(**{"chat.semantic_shadow_ratio": 1.0})
    checked = asked(colleague, PARAPHRASE, tokens=700)
    assert layer(checked) == "none"
    now = identity(request_of(checked))
    assert now.baseline_nanos == identity(request_of(first)).actual_nanos
    saving = Saving.objects.get()
    found = audit(saving.created_at, saving.created_at + timedelta(seconds=1))
    assert (found.request_count, found.real_nanos) == (1, 700 * NANOS_PER_TOKEN)
    assert found.claimed_nanos == saving.saved_nanos
    assert found.real_share is not None
    assert 1.3 < found.real_share < 1.5


def test_an_embedding_the_provider_took_at_the_second_try_is_no_part_of_the_check(
    owner: User, colleague: User
) -> None:
    asked(owner)
    kept = KeptAnswer.from_json(CachedAnswer.objects.get().answer)
    reply = asked(colleague)
    Message.objects.filter(pk=reply.pk).update(request_id=uuid7())
    reply = Message.objects.select_related("conversation").get(pk=reply.pk)
    embedding = UsageRecord(attempt=QUESTION_ATTEMPT + SECOND_TRY, amount_nanos=7)
    answer = UsageRecord(attempt=ANSWER_ATTEMPT + SECOND_TRY, amount_nanos=500)
    note_checked(reply=reply, usage=[answer, embedding], candidate=kept)
    saving = Saving.objects.get(request_id=reply.request_id)
    assert (saving.saved_nanos, saving.overhead_nanos) == (kept.amount_nanos - 7, 500)


def test_a_search_in_vain_changes_nothing(owner: User, colleague: User) -> None:
    asked(owner)
    missed = asked(colleague, PARAPHRASE)
    assert layer(missed) == "none"
    assert not Saving.objects.exists()
    sums = identity(request_of(missed))
    assert sums.baseline_nanos == sums.actual_nanos > 500 * NANOS_PER_TOKEN


def test_a_search_for_earlier_answers_alone_is_an_overhead_when_none_is_given(owner: User) -> None:
    draft = Draft(content=QUESTION, idempotency_key=uuid7(), sources=Conversation.Sources.ALL)
    posted = services.post_message(user=owner, draft=draft)
    BudgetFactory(
        department=posted.conversation.paying_department,
        at_limit=Budget.AtLimit.CACHED_ONLY,
        soft_limit_nanos=0,
    )
    reply = Message.objects.select_related("conversation").get(pk=posted.reply.pk)
    prepared = prepare(reply.pk)
    assert prepared is not None
    with pytest.raises(BudgetExceededError) as refused:
        pay_for_answer(reply, tokens=500)
    refusal = refused.value.refusal
    outcome = AnswerOutcome(Message.State.FAILED, "", refusal=refused_by(refusal))
    assert finish(reply.pk, prepared.basis, outcome)
    sums = identity(request_of(reply))
    assert sums.overhead_nanos == sums.actual_nanos > 0
    assert sums.baseline_nanos == 0
    assert not refused_by(replace(refusal, is_soft=False))["lets_search"]
