"""What a provider says it counted is believed only where it can be so; else the call is counted here."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from openai.types import CompletionUsage

from apps.billing.models import Reservation, UsageRecord
from apps.billing.types import Usage
from apps.llm import metering, services
from apps.llm.providers.openai_compatible import MOST_TOKENS, _usage
from apps.llm.types import ChatMessage, Finished
from tests.factories.billing import call_context
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider


@pytest.mark.parametrize("odd", [None, -1, MOST_TOKENS + 1, "7"])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_counts_that_can_t_be_are_none(name: str, odd: Any) -> None:
    counted = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    told = CompletionUsage.model_construct(**{**counted, name: odd}, prompt_tokens_details=None)
    assert _usage(told) is None
    told = CompletionUsage.model_construct(**counted, prompt_tokens_details=None)
    assert _usage(told) == Usage(input_tokens=7, output_tokens=2)


@pytest.mark.django_db(transaction=True)
async def test_a_negative_share_from_the_cache_leaves_no_call_open(
    fake_provider: FakeProvider,
) -> None:
    context = await sync_to_async(call_context)()
    choice = await sync_to_async(route_to)(fake_provider)
    fake_provider.will_answer("Twenty", cached_tokens=-5)
    stream = services.stream(
        choice=choice, messages=[ChatMessage("user", "How many?")], context=context
    )
    events = [event async for event in stream]
    assert isinstance(events[-1], Finished)
    await metering.drain()
    record = await UsageRecord.objects.aget()
    assert (record.cached_input_tokens, record.is_estimated) == (0, False)
    assert record.input_tokens > 0
    assert not await Reservation.objects.filter(state=Reservation.State.OPEN).aexists()
