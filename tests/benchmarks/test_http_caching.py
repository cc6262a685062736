"""What an unchanged conversation of 500 messages costs: bytes on the wire and the server's own time, changed or not."""

import random
import time
from statistics import median

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import User
from apps.accounts.services import everyone
from apps.chat.models import Message
from project import middleware
from tests.factories.chat import CitationFactory, conversation_of
from tests.factories.documents import served
from tests.factories.llm import RouteFactory

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db]

TURNS = 250
REPEATS = 7
WORDS = 3000


def answer(chance: random.Random) -> str:
    """Return an answer of some 120 words, of a vocabulary with few frequent and many rare ones."""

    def said(count: int) -> str:
        # Zipf-like: the rank is the power of a uniform number.
        return " ".join(f"w{int(WORDS ** chance.random()):x}ord" for _word in range(count))

    points = "\n".join(f"- **{said(2)}**: {said(15)}." for _point in range(3))
    return f"{said(40)} [1].\n\n{points}\n\n```python\ndays = {chance.random()} * hours\n```\n{said(20)}."


@pytest.fixture
def url(owner: User) -> str:
    """A conversation of 500 messages, each answer citing a document and carrying a receipt."""
    RouteFactory()
    document = served(owner, "Annual leave is 28 days.", name="leave.pdf", audience=everyone())
    conversation = conversation_of(owner, turns=TURNS)
    replies = Message.objects.filter(conversation=conversation, role="ASSISTANT")
    receipt = {
        "model_name": "Model", "provider_name": "Provider", "reason": "", "cache_layer": "none",
        "input_tokens": 812, "cached_input_tokens": 0, "output_tokens": 96, "source_count": 3,
        "total_nanos": 421_000, "amount_nanos": 420_000, "retrieval_nanos": 1_000,
        "stages": {"claim": 1.5, "history": 2.0, "retrieval": 30.0, "model": 800.0},
        "first_token_ms": 210.0, "total_ms": 900.0, "usage_record_id": str(conversation.pk),
    }  # fmt: skip
    chance = random.Random(20261122)
    for reply in replies:
        reply.content = answer(chance)
        reply.receipt = {
            **receipt,
            "total_nanos": chance.randrange(10**6),
        }
        reply.save(update_fields=["content", "receipt"])
        CitationFactory(message=reply, document=document, version=document.active_version)
    return reverse("chat:conversation-detail", args=[conversation.pk])


def cost(client: Client, url: str, **headers: str) -> tuple[int, float, float]:
    """Return the bytes of the body, and the medians of the process's ms and of the database's ms."""
    own: list[float] = []
    database: list[float] = []
    for _number in range(REPEATS):
        started = time.process_time()
        response = client.get(url, headers=headers)
        own.append((time.process_time() - started) * 1000)
    for _number in range(3):
        with CaptureQueriesContext(connection) as queries:
            client.get(url, headers=headers)
        database.append(sum(float(query["time"]) for query in queries.captured_queries) * 1000)
    return len(response.content), median(own), median(database)


def test_an_unchanged_page_costs_a_fraction(owner: User, url: str) -> None:
    client = Client()
    client.force_login(owner)
    client.get(url)
    tag = client.get(url).headers["ETag"]
    plain = cost(client, url)
    for name, headers in (
        ("200 plain", {}),
        ("200 gzip", {"Accept-Encoding": "gzip"}),
        ("200 br", {"Accept-Encoding": "br"}),
        ("304", {"Accept-Encoding": "br", "If-None-Match": tag}),
    ):
        found = cost(client, url, **headers)
        print(  # noqa: T201 - the result
            f"{name:10} {found[0]:9,d} bytes ({found[0] / plain[0]:5.1%})  {found[1]:7.1f} ms of the process "
            f"({found[1] / plain[1]:5.1%}), of which {found[2]:5.1f} ms in the database"
        )
    assert cost(client, url, **{"If-None-Match": tag})[0] == 0
    assert cost(client, url, **{"If-None-Match": tag})[1] * 2 < plain[1]
    assert cost(client, url, **{"Accept-Encoding": "gzip"})[0] * 5 < plain[0]
    assert cost(client, url, **{"Accept-Encoding": "br"})[0] * 5 < plain[0]


def test_what_a_coding_costs(owner: User, url: str) -> None:
    client = Client()
    client.force_login(owner)
    body = client.get(url).content
    for name, compress in middleware.CODINGS.items():
        took: list[float] = []
        for _number in range(REPEATS):
            started = time.process_time()
            compressed = compress(body)
            took.append((time.process_time() - started) * 1000)
        print(  # noqa: T201 - the result
            f"{name:5} {len(body):,d} -> {len(compressed):,d} bytes ({len(compressed) / len(body):.1%}) "
            f"in {median(took):.1f} ms"
        )
        assert len(compressed) * 5 < len(body)
