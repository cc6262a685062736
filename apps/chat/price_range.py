"""What an answer will cost, told before its question is sent: a range learned from what recent answers took.

Each answered question is a sample of tokens. Put at the prices in force and shifted by how much longer or shorter the
new question is, the samples are what the new one may cost as likely as any of them: the interval between two of their
order statistics holds it as often as their ranks say, whatever the distribution (conformal prediction: Vovk, Gammerman
and Shafer, Algorithmic Learning in a Random World, 2005). Before there are enough of them, the range is all that is
possible. It is the range of an answer that is computed: an earlier one that serves costs less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, floor
from typing import Final

from django.db.models.functions import Length

from apps.billing import price_book
from apps.billing.models import Meter
from apps.caching import store
from apps.chat.cache import PRICE_SAMPLES
from apps.chat.models import Conversation, Message
from apps.chat.types import PriceSample
from apps.core.money import amount_nanos
from apps.llm.models import LLMModel
from apps.llm.types import Choice
from apps.tuning import live

# Wider than the 90 % that are promised: questions of a day resemble each other more than those of different days.
COVERAGE: Final = 0.95
# Between the least and the most of so many, nine of ten further ones fall.
MIN_SAMPLES: Final = 19
MAX_SAMPLES: Final = 200
REPLIES_READ: Final = 1000
CHARACTERS_PER_TOKEN: Final = 4
# Upper bounds of a prompt's own words, and of one passage's and one sentence's tokens.
PROMPT_TOKENS: Final = 500
PASSAGE_TOKENS: Final = 512
SENTENCE_TOKENS: Final = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a question before it is sent."""

    characters: int
    is_follow_up: bool
    is_searched: bool


@dataclass(frozen=True, slots=True)
class PriceRange:
    """What an answer is expected to cost, in nanos; `is_learned`: from answers before it."""

    low_nanos: int
    high_nanos: int
    is_learned: bool


def expected(asked: Asked, *, choice: Choice, embedding: Choice | None) -> PriceRange:
    """Return the range of prices for a question to this model; no query where the caches are warm."""
    prices, embedding_prices = prices_of(choice), prices_of(embedding) if embedding else {}
    key = (choice.provider_name, choice.model_name)
    learned = [
        sample
        for sample in store.get_or_compute(PRICE_SAMPLES, key, partial(read_samples, *key))
        if (sample.is_follow_up, sample.is_searched) == (asked.is_follow_up, asked.is_searched)
    ]
    if len(learned) < MIN_SAMPLES:
        most = _most(asked, choice)
        return PriceRange(0, _cost(most, asked, prices, embedding_prices), is_learned=False)
    costs = sorted(
        _cost(sample, asked, prices, embedding_prices) for sample in learned[:MAX_SAMPLES]
    )
    return PriceRange(*middle(costs), is_learned=True)


def middle(costs: Sequence[int]) -> tuple[int, int]:
    """Return the bounds between which the next cost falls with the probability `COVERAGE`; costs are sorted."""
    tail = (len(costs) + 1) * (1 - COVERAGE) / 2
    low, high = max(floor(tail), 1), min(ceil(len(costs) + 1 - tail), len(costs))
    return costs[low - 1], costs[high - 1]


def prices_of(choice: Choice) -> Mapping[str, int]:
    """Return a model's price in force by meter; meters without one fall back as billing's do."""
    prices = dict(
        price_book.in_force(provider_code=choice.provider_code, model_code=choice.model_code)
    )
    plain = prices.get(Meter.INPUT, 0)
    return {
        Meter.CACHE_READ: plain,
        Meter.EMBEDDING: plain,
        Meter.INPUT: 0,
        Meter.OUTPUT: 0,
        **prices,
    }


def _cost(
    sample: PriceSample,
    asked: Asked,
    prices: Mapping[str, int],
    embedding_prices: Mapping[str, int],
) -> int:
    """Return what the sample would have cost with the question asked in its own question's place."""
    longer = round((asked.characters - sample.question_characters) / CHARACTERS_PER_TOKEN)
    pairs: list[tuple[int, int]] = []
    if sample.input_tokens or sample.output_tokens:
        pairs += [
            (max(sample.input_tokens + longer, 0), prices[Meter.INPUT]),
            (sample.cached_input_tokens, prices[Meter.CACHE_READ]),
            (sample.output_tokens, prices[Meter.OUTPUT]),
        ]
    if sample.embedding_tokens and embedding_prices:
        pairs.append((max(sample.embedding_tokens + longer, 0), embedding_prices[Meter.EMBEDDING]))
    return amount_nanos(tokens_and_prices=pairs)


def _most(asked: Asked, choice: Choice) -> PriceSample:
    """Return the most a question can take: what `prepare` gives a model at most, or all the model can read."""
    question = asked.characters // CHARACTERS_PER_TOKEN
    history = live.integer("chat.history_tokens") if asked.is_follow_up else 0
    passages = candidates = 0
    if asked.is_searched and choice.grounding == LLMModel.Grounding.SENTENCES:
        candidates = live.integer("documents.sentence_candidate_count")
        passages = live.integer("chat.sentence_count") * SENTENCE_TOKENS
    elif asked.is_searched:
        passages = live.integer("chat.retrieval_passage_count") * PASSAGE_TOKENS
    given = PROMPT_TOKENS + question + history + passages
    return PriceSample(
        is_follow_up=asked.is_follow_up,
        is_searched=asked.is_searched,
        question_characters=asked.characters,
        input_tokens=min(given, choice.context_tokens),
        cached_input_tokens=0,
        output_tokens=choice.max_output_tokens,
        embedding_tokens=question + candidates * SENTENCE_TOKENS if asked.is_searched else 0,
    )


def read_samples(provider_name: str, model_name: str) -> tuple[PriceSample, ...]:
    """Return what the latest computed answers took, newest first: by this model, or by none where it was not asked.

    One query by the primary key, whose ids are in the order of time.
    """
    receipt = "receipt__{}".format
    # Sorted out here: a condition on the receipts could read the whole table where few fulfil it.
    replies = Message.objects.filter(role=Message.Role.ASSISTANT, state=Message.State.DONE)
    rows = (
        replies.annotate(characters=Length("parent__content"))
        .order_by("-pk")
        .values_list(
            *map(receipt, ("model_name", "provider_name", "cache_layer", "stages__retrieval")),
            "parent__parent_id",
            "characters",
            *map(receipt, ("input_tokens", "cached_input_tokens", "output_tokens")),
            receipt("embedding_tokens"),
        )[:REPLIES_READ]
    )
    makers = {(model_name, provider_name), ("", "")}
    return tuple(
        PriceSample(parent is not None, retrieval_ms is not None, characters, *taken)
        for model, provider, layer, retrieval_ms, parent, characters, *taken in rows
        if layer == "none" and (model, provider) in makers and None not in taken
    )


def is_searched(sources: str, *, is_small_talk: bool) -> bool:
    """Say whether a question is looked for in documents."""
    return sources != Conversation.Sources.NONE and not is_small_talk
