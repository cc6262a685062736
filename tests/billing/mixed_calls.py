"""Calls of every kind and end, made against the counting fake provider: what it would bill beside what was posted.

Every word is one token of the tokeniser Parley counts with, so the provider's count of what it sent needs none.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from apps.billing.models import Meter, Purpose, UsageRecord
from apps.billing.types import CallContext
from apps.core.ids import uuid7
from apps.core.money import amount_nanos
from apps.llm import services, tokens
from apps.llm.errors import ProviderError
from apps.llm.types import ChatMessage, Choice, Finished
from tests.factories.billing import PriceFactory
from tests.fake_provider import BREAK, HANG, Bill, FakeProvider, Gate, Script, Step

T = TypeVar("T")

WORD = " days"
AT_ONCE = 8
PRICES = {
    Meter.INPUT: 150_000_001,
    Meter.CACHE_READ: 37_500_003,
    Meter.OUTPUT: 600_000_007,
    Meter.EMBEDDING: 20_000_011,
}
ERRORS = (400, 401, 404, 408, 429, 500, 503)
ENDINGS = (
    *("whole", "whole", "cached", "no usage", "broken off", "cut", "cut at once"),
    *("asked whole", "asked whole, cached", "asked whole, no usage", "asked whole, broken off"),
    *("refused", "retried", "embedded", "embedded in batches", "embedded, no usage"),
    *("embedding refused", "embedding broken off"),
)


def priced(choice: Choice) -> None:
    """Give the model prices that no rounding leaves alone."""
    for meter, nanos in PRICES.items():
        PriceFactory(
            provider_code=choice.provider_code,
            model_code=choice.model_code,
            meter=meter,
            nanos_per_million_tokens=nanos,
        )


@dataclass
class Mix:
    """Makes calls at random, some at once; the dice decide everything, so a run can be repeated."""

    provider: FakeProvider
    chat: Choice
    embedder: Choice
    context: CallContext
    dice: random.Random
    ended: Counter[str]

    async def run(self, calls: int) -> None:
        """Make so many requests, and wait until all is settled."""
        self.provider.tokens_per_message = tokens.TOKENS_PER_MESSAGE
        self.provider.tokens_per_text = tokens.TOKENS_PER_EMBEDDED_TEXT
        numbers = iter(range(calls))

        async def work() -> None:
            for number in numbers:
                await self.one(ENDINGS[number % len(ENDINGS)])

        await asyncio.gather(*(work() for _worker in range(AT_ONCE)))
        await services.close()

    async def one(self, ending: str) -> None:
        """Make one request that ends so."""
        context = replace(
            self.context,
            request_id=uuid7(),
            purpose=self.dice.choice([Purpose.ANSWER, Purpose.TITLE, Purpose.JUDGE]),
        )
        self.ended[ending] += 1
        if ending.startswith("embed"):
            await self.embedded(ending, context)
        elif ending.startswith("asked"):
            await self.asked(ending, context)
        else:
            await self.streamed(ending, context)

    def will(self, context: CallContext, *steps: Step, **options: object) -> None:
        """Have the provider do this when the call comes."""
        name = f"{context.request_id}/{context.attempt}"
        self.provider.will_do(name, Script(steps=steps, **options))  # type: ignore[arg-type]

    def words(self, most: int = 30) -> list[str]:
        """Return some words, at least one."""
        return [WORD] * self.dice.randint(1, most)

    def messages(self) -> list[ChatMessage]:
        """Return a prompt of some messages."""
        return [
            ChatMessage("user", "".join(self.words(60)))
            for _message in range(self.dice.randint(1, 4))
        ]

    async def streamed(self, ending: str, context: CallContext) -> None:
        """Stream an answer."""
        answer, messages = self.words(), self.messages()
        listen: Callable[[], Awaitable[object]] = self.listening(messages, context)
        gate = Gate()
        if ending in ("refused", "retried"):
            self.will(context, status=self.dice.choice(ERRORS))
        elif ending == "broken off":
            self.will(context, *answer, BREAK)
        elif ending == "cut":
            self.will(context, *answer, HANG)
            listen = self.listening(messages, context, until=len(answer))
        elif ending == "cut at once":
            self.will(context, gate, *answer)
            listen = self.cut_at_once(self.listening(messages, context), gate)
        else:
            cached = self.dice.randint(1, 8) if ending == "cached" else 0
            self.will(context, *answer, cached_tokens=cached, has_usage=ending != "no usage")
        with suppress(ProviderError):
            await listen()
        if ending == "retried":
            await self.streamed("whole", replace(context, attempt=context.attempt + 1))

    def listening(
        self, messages: list[ChatMessage], context: CallContext, *, until: int | None = None
    ) -> Callable[[], Awaitable[object]]:
        """Return what listens to an answer, to its end or until so many tokens have come."""

        async def listen() -> None:
            heard = 0
            stream = services.stream(choice=self.chat, messages=messages, context=context)
            async with aclosing(stream) as events:
                async for event in events:
                    heard += not isinstance(event, Finished)
                    if heard == until:
                        return

        return listen

    def cut_at_once(
        self, listen: Callable[[], Awaitable[object]], gate: Gate
    ) -> Callable[[], Awaitable[object]]:
        """Return what stops listening when the provider has the question, before its first token."""

        async def cut() -> None:
            listening = asyncio.ensure_future(listen())
            await gate.reached()
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

        return cut

    async def asked(self, ending: str, context: CallContext) -> None:
        """Ask for a whole answer."""
        answer, messages = self.words(), self.messages()
        self.will(
            context,
            *answer,
            *([BREAK] if ending.endswith("broken off") else []),
            cached_tokens=self.dice.randint(1, 8) if ending.endswith("cached") else 0,
            has_usage=not ending.endswith("no usage"),
        )
        with suppress(ProviderError):
            await services.acomplete(choice=self.chat, messages=messages, context=context)

    async def embedded(self, ending: str, context: CallContext) -> None:
        """Embed some texts."""
        count = services.EMBEDDING_BATCH_SIZE if ending.endswith("batches") else 0
        texts = ["".join(self.words()) for _text in range(count + self.dice.randint(1, 5))]
        context = replace(context, purpose=Purpose.DOCUMENT_EMBEDDING)
        if ending == "embedding refused":
            self.will(context, status=self.dice.choice(ERRORS))
        elif ending == "embedding broken off":
            self.will(context, BREAK)
        else:
            self.will(context, has_usage=ending != "embedded, no usage")
        with suppress(ProviderError):
            await services.aembed(texts=texts, context=context, choice=self.embedder)


def billed(bill: Bill) -> tuple[int, int, int, int, int]:
    """Return what the provider would bill: fresh, cached, output and embedded tokens, and nanos."""
    fresh = bill.input_tokens - bill.cached_tokens
    counts = (fresh, bill.cached_tokens, bill.output_tokens, bill.embedded_tokens)
    return (
        *counts,
        amount_nanos(tokens_and_prices=list(zip(counts, PRICES.values(), strict=True))),
    )


def posted() -> dict[str, tuple[int, int, int, int, int]]:
    """Return what was posted for each call, in the same order."""
    return {
        str(record): (
            record.input_tokens,
            record.cached_input_tokens,
            record.output_tokens,
            record.embedding_tokens,
            record.amount_nanos,
        )
        for record in UsageRecord.objects.all()
    }
