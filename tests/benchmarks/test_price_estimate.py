"""How often the price told before a question is sent holds what it then cost, and how wide it is. Run by `make bench`.

Mixed questions, in an order drawn at random: first ones and follow-ups, with documents and without, a few words and pages, answerable or
not, small talk, answers of log-normal length, partly read from the provider's cache; halfway the price doubles.
"""

import random
from collections import defaultdict
from dataclasses import dataclass
from statistics import median

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.services import everyone
from apps.billing.models import Meter, Price
from apps.caching import store
from apps.chat import composer, services
from apps.chat.cache import PRICE_SAMPLES
from apps.chat.finish import finish
from apps.chat.models import Conversation, Message
from apps.chat.prepare import prepare
from apps.chat.types import Outcome
from apps.core.ids import uuid7
from apps.core.stages import collect
from apps.llm import services as llm
from apps.llm.models import LLMModel, Route
from apps.llm.types import Choice
from tests.factories.documents import served
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db(transaction=True)]

QUESTIONS = 500
SEED = 1
PROMISED = 0.90
# Samples are read anew every five minutes; here, after so many questions.
READ_ANEW_AFTER = 20
TOPICS = ("leave", "travel", "training", "parking", "laptops", "pensions", "badges", "visitors")


@dataclass(frozen=True)
class Measured:
    """One question: the range told, and what it cost."""

    kind: str
    low: int
    high: int
    cost: int

    @property
    def is_held(self) -> bool:
        return self.low <= self.cost <= self.high


def papers(owner: User, draw: random.Random) -> None:
    """Have a document on each topic, of one to eight pages."""
    for topic in TOPICS:
        pages = [
            " ".join(
                f"The rule {number} on {topic} allows {draw.randrange(2, 60)} days in case {number}."
                for number in range(draw.randrange(5, 60))
            )
            for _page in range(draw.randrange(1, 9))
        ]
        served(owner, *pages, name=f"{topic}.pdf", audience=everyone())


def price(choice: Choice, *, times: int = 1) -> None:
    """Set prices like a small commercial model's, from now on."""
    nanos = {Meter.INPUT: 150, Meter.CACHE_READ: 75, Meter.OUTPUT: 600, Meter.EMBEDDING: 20}
    now = timezone.now()
    for meter, each in nanos.items():
        # One by one: saved prices tell the price book.
        Price.objects.create(
            provider_code=choice.provider_code,
            model_code=choice.model_code,
            meter=meter,
            nanos_per_million_tokens=each * times * 1_000_000,
            starts_at=now,
        )


def words_of(draw: random.Random, number: int) -> str:
    """Return a question: mostly a line, sometimes a page, sometimes of nothing in the documents, or small talk."""
    chance = draw.random()
    if chance < 0.05:
        return "Thank you very much"
    topic = draw.choice(TOPICS) if chance < 0.85 else "zebra quantum flux"
    rest = " ".join(f"detail{draw.randrange(10_000)}" for _word in range(draw.randrange(0, 8)))
    page = " and ".join([f"case {number}"] * draw.randrange(50, 400)) if chance > 0.95 else ""
    return f"What does rule {number} on {topic} allow {rest} {page}?"


class Asking:
    """Asks as pages do: what the composer would tell first, then the question, its answer and its receipt."""

    def __init__(self, user: User, provider: FakeProvider, draw: random.Random) -> None:
        self.user, self.provider, self.draw = user, provider, draw
        self.last: Message | None = None

    def ask(self, number: int) -> Measured | None:
        """Return what was measured; None where the answer was not computed."""
        draw, last = self.draw, self.last
        goes_on = last is not None and draw.random() < 0.4
        conversation = last.conversation if last is not None and goes_on else None
        sources = (
            conversation.sources if conversation else draw.choice(["ALL", "ALL", "ALL", "NONE"])
        )
        content = words_of(draw, number)
        typed = composer.Typed(content, sources, goes_on, conversation)
        told = composer.told(self.user, typed)
        draft = services.Draft(
            content=content,
            idempotency_key=uuid7(),
            conversation=conversation,
            parent=str(last.pk) if last is not None and goes_on else "",
            sources=sources,
        )
        self.last = reply = self._answered(services.post_message(user=self.user, draft=draft).reply)
        receipt = reply.receipt
        assert receipt is not None
        if receipt["cache_layer"] != "none":
            return None
        kind = (
            f"{'follow-up' if goes_on else 'first'}, {'documents' if sources == 'ALL' else 'none'}"
        )
        return Measured(kind, told["low_nanos"], told["high_nanos"], receipt["total_nanos"])

    def _answered(self, reply: Message) -> Message:
        if reply.is_unfinished:
            with collect() as timings:
                prepared = prepare(reply.pk)
            assert prepared is not None
            text, finish_reason = prepared.text, ""
            if prepared.ask is not None:
                length = min(int(self.draw.lognormvariate(3.5, 0.8)) + 1, 700)
                cached = self.draw.choice([0, 0, 20])
                self.provider.will_answer(*["word "] * length, cached_tokens=cached)
                done = llm.complete(
                    choice=prepared.ask.choice,
                    messages=prepared.ask.messages,
                    context=prepared.ask.context,
                    max_output_tokens=prepared.ask.max_output_tokens,
                )
                text, finish_reason = done.text, done.finish_reason
            outcome = Outcome(
                Message.State.DONE,
                text,
                finish_reason=finish_reason,
                stages_ms=timings.as_dict(),
            )
            assert finish(reply.pk, prepared.basis, outcome)
        return Message.objects.select_related("conversation").get(pk=reply.pk)


@pytest.mark.parametrize("grounding", list(LLMModel.Grounding))
def test_nine_of_ten_prices_are_within_the_range_told(
    fake_provider: FakeProvider, owner: User, grounding: str
) -> None:
    draw = random.Random(SEED)
    papers(owner, draw)
    choices = [
        route_to(fake_provider, grounding=grounding),
        route_to(fake_provider, Route.Use.EMBEDDING),
    ]
    for choice in choices:
        price(choice)
    asking = Asking(owner, fake_provider, draw)
    found: list[Measured] = []
    for number in range(QUESTIONS):
        if number % READ_ANEW_AFTER == 0:
            store.invalidate(PRICE_SAMPLES, (choices[0].provider_name, choices[0].model_name))
        if number == QUESTIONS // 2:
            for choice in choices:
                price(choice, times=2)
        measured = asking.ask(number)
        found += [measured] if measured else []
    assert Conversation.objects.exists()
    report(grounding, found)
    assert sum(one.is_held for one in found) >= PROMISED * len(found)


def report(grounding: str, found: list[Measured]) -> None:
    """Print the share held and the width, over all and by kind."""
    kinds = defaultdict(list)
    for one in found:
        kinds["all"].append(one)
        kinds[one.kind].append(one)
    for kind, ones in sorted(kinds.items()):
        held = sum(one.is_held for one in ones) / len(ones)
        widths = [one.high / one.low for one in ones if one.low]
        width = f"{median(widths):.1f}" if widths else "-"
        print(f"{grounding} {kind:<20} {len(ones):>4} held {held:.1%} high/low {width}")  # noqa: T201 - the result
