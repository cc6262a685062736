"""A kept answer beside a computed one: how much sooner it is there, and what it asks of PostgreSQL.

Run by `make bench`; prints what it measured. Times are those of the whole answer on the wire, over real HTTP.
"""

import time
from collections import defaultdict
from statistics import median

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.accounts.services import everyone
from apps.caching import store
from apps.chat import services
from apps.chat.answers import keep
from apps.chat.models import CachedAnswer, Conversation, Message
from apps.chat.services import Draft
from apps.chat.types import AnswerKey
from apps.core.ids import uuid7
from apps.documents.models import Document, Passage, PassageEmbedding
from apps.llm import services as llm
from apps.llm.models import Route
from apps.llm.registration import register_embedded
from tests.chat.answers.asking import ask, layer, routes
from tests.chat.conftest import connections_returned as connections_returned
from tests.chat.serving import Browser, Server
from tests.conftest import EmbeddedModels
from tests.factories.billing import call_context
from tests.factories.documents import served
from tests.fake_provider import FakeProvider

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

FACTS = {
    "annual leave for engineers": "28 days",
    "notice period for trainees": "4 weeks",
    "parking fee at the depot": "3 euros",
    "meal allowance on business trips": "40 euros",
    "opening time of the canteen": "11:30",
    "probation period for drivers": "6 months",
    "deposit for a locker key": "10 euros",
    "limit for small orders": "500 euros",
    "storage quota for a mailbox": "50 gigabytes",
    "room capacity of the annex": "24 people",
}
QUESTIONS = [f"What is the {thing}?" for thing in FACTS]
ROUNDS = 4
LEAST_RATIO = 10


def policy(owner: User) -> Document:
    """Make a document of the facts that everyone may read."""
    text = " ".join(f"The {thing} is {value}." for thing, value in FACTS.items())
    return served(owner, text, audience=everyone())


def embed_passages() -> None:
    """Give the passages their vectors."""
    choice = llm.choose(Route.Use.EMBEDDING)
    passages = list(Passage.objects.all())
    found = llm.embed(
        texts=[passage.text for passage in passages], context=call_context(), choice=choice
    )
    PassageEmbedding.objects.bulk_create(
        PassageEmbedding(
            passage=passage,
            llm_model_id=choice.llm_model_id,
            content_hash=bytes(passage.content_hash),
            vector=vector,
        )
        for passage, vector in zip(passages, found.vectors, strict=True)
    )


async def timed(browser: Browser, question: str) -> tuple[float, str]:
    """Ask; return the milliseconds to the whole answer on the wire, and where it came from."""
    started = time.perf_counter()
    events = await browser.answer(question, sources="ALL")
    elapsed_ms = (time.perf_counter() - started) * 1000
    assert events[-1][0] == "done"
    reply = await Message.objects.aget(pk=events[0][1]["reply"])
    return elapsed_ms, layer(reply)


def forget_answers() -> None:
    """Have every question computed again."""
    for entry in CachedAnswer.objects.all():
        key = AnswerKey(entry.scope_hash, entry.context_hash, entry.question_hash)
        keep.withdraw(entry_id=entry.pk, key=key)
    CachedAnswer.objects.all().delete()
    store.forget()


async def compared(server: Server, owner: User, colleague: User) -> tuple[list[float], list[float]]:
    """Return the milliseconds of computed and of given answers, to two people of one scope, turn by turn."""
    times: dict[str, list[float]] = defaultdict(list)
    async with Browser(server, owner) as first, Browser(server, colleague) as second:
        await timed(first, "What is the colour of the roof?")
        for _round in range(ROUNDS):
            await sync_to_async(forget_answers)()
            for question in QUESTIONS:
                for browser in (first, second):
                    elapsed_ms, where = await timed(browser, question)
                    times[where].append(elapsed_ms)
    return times["none"], times["exact"]


def told(name: str, computed: list[float], given: list[float]) -> float:
    """Print both medians; return their ratio."""
    ratio = median(computed) / median(given)
    print(  # noqa: T201 - a benchmark reports
        f"\n{name}: computed {median(computed):.1f} ms (of {len(computed)}), exact from the cache "
        f"{median(given):.1f} ms (of {len(given)}), {ratio:.1f} times sooner"
    )
    return ratio


async def test_with_the_embedded_model(
    server: Server, embedded_models: EmbeddedModels, owner: User, colleague: User
) -> None:
    await sync_to_async(register_embedded)(
        chat_url=embedded_models.chat_url,
        embedding_url=embedded_models.embedding_url,
        key=embedded_models.api_key,
    )
    await sync_to_async(policy)(owner)
    await sync_to_async(embed_passages)()
    computed, given = await compared(server, owner, colleague)
    ratio = told("embedded model", computed, given)
    # An answer without a citation is not kept: the weak model's may be.
    assert len(given) >= 0.3 * len(computed)
    assert ratio >= LEAST_RATIO


async def test_with_a_model_that_answers_at_once(
    server: Server, fake_provider: FakeProvider, owner: User, colleague: User
) -> None:
    """No model is quicker than this one: what is left is what Parley itself does for an answer."""
    await sync_to_async(routes)(fake_provider)
    await sync_to_async(policy)(owner)
    # Each request takes one, those for embeddings too.
    for _request in range(3 * ROUNDS * len(QUESTIONS)):
        fake_provider.will_answer("It is", " 28", " days", " [1].")
    computed, given = await compared(server, owner, colleague)
    ratio = told("a model without delay", computed, given)
    assert len(given) == len(computed)
    assert ratio > 1


def test_what_an_exact_answer_asks_of_postgresql(
    fake_provider: FakeProvider, owner: User, colleague: User
) -> None:
    routes(fake_provider)
    policy(owner)
    ask(owner, QUESTIONS[0], answer="It is 28 days [1].")
    ask(colleague, QUESTIONS[1], answer="It is 4 weeks [1].")
    draft = Draft(
        content=QUESTIONS[0], idempotency_key=uuid7(), sources=str(Conversation.Sources.ALL)
    )
    with CaptureQueriesContext(
        connection,
    ) as captured:
        posted = services.post_message(user=colleague, draft=draft)

    assert layer(posted.reply) == "exact"
    statements = [query["sql"] for query in captured.captured_queries]
    print("\nAn exact answer asks PostgreSQL:", *(one[:150] for one in statements), sep="\n  ")  # noqa: T201 - a benchmark reports
    text = " ".join(statements)
    for unwanted in (
        "documents_search",
        "documents_passage",
        "llm_route",
        "llm_provider",
        "billing_",
    ):
        assert unwanted not in text
    assert statements[0] == "BEGIN"
    assert statements[-1] == "COMMIT"
    assert statements.count("BEGIN") == 1
