"""What the database does for a conversation and a document page, with warm caches and with all caches off."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Department, User
from apps.accounts.services import audience_of_department, everyone
from apps.caching import keyspaces, listener, local, policies
from apps.caching.models import CachePolicy
from apps.chat.models import Conversation, Feedback, Message
from tests.caching.waiting import until
from tests.factories.accounts import MembershipFactory
from tests.factories.chat import CitationFactory, conversation_of
from tests.factories.documents import served
from tests.factories.llm import RouteFactory

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db(transaction=True)]

REPEATS = 25
DOCUMENTS = 60
CONVERSATIONS = 40
TURNS = 10
# Of the database's milliseconds with the caches off, at most so many remain.
LARGEST_SHARE = 0.30


@dataclass(slots=True)
class Cost:
    """What one request took of the database."""

    milliseconds: float = 0
    queries: int = 0


@contextmanager
def counted() -> Iterator[Cost]:
    """Count queries, and their time from sending to the last row."""
    cost = Cost()

    def wrapper(execute: Any, *arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            cost.milliseconds += (time.perf_counter() - started) * 1000
            cost.queries += 1

    with connection.execute_wrapper(wrapper):
        yield cost


@pytest.fixture
def urls(owner: User, department: Department) -> dict[str, str]:
    """Pages of somebody with some work behind them: shared documents, conversations with citations and thumbs."""
    RouteFactory()
    MembershipFactory(user=owner, department__name="Research")
    audiences = (everyone(), audience_of_department(department))
    pages = ["Annual leave is 28 days. " * 60] * 20
    documents = [
        served(owner, *pages, name=f"policy-{number}.pdf", audience=audiences[number % 2])
        for number in range(DOCUMENTS)
    ]
    for number in range(CONVERSATIONS):
        conversation = conversation_of(
            owner, turns=TURNS, sources=Conversation.Sources.CHOSEN, title=f"Leave {number}"
        )
        conversation.chosen_documents.set(documents[:3])
        for reply in Message.objects.filter(conversation=conversation, role="ASSISTANT"):
            for cited in range(1, 4):
                document = documents[(number + cited) % DOCUMENTS]
                CitationFactory(
                    message=reply, number=cited, document=document, version=document.active_version
                )
            Feedback.objects.create(message=reply, is_positive=True)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    chip = f"{reverse('documents:detail', args=[documents[0].pk])}?start=100&end=140"
    return {
        "conversation": reverse("chat:conversation-detail", args=[conversation.pk]),
        "new conversation": reverse("chat:new"),
        "document": reverse("documents:detail", args=[documents[0].pk]),
        "document at a passage": chip,
    }


def switch(*, is_enabled: bool) -> None:
    """Turn all caches on or off, by their policies."""
    for keyspace in keyspaces.everything():
        CachePolicy.objects.update_or_create(
            keyspace=keyspace.name, defaults={"is_enabled": is_enabled}
        )
    policies.forget()


def measured(client: Client, url: str) -> Cost:
    """Return the medians of repeated requests, after two that warm what there is to warm."""
    costs = []
    for number in range(REPEATS + 2):
        with counted() as cost:
            assert client.get(url).status_code == 200
        if number >= 2:
            costs.append(cost)
    return Cost(
        median(cost.milliseconds for cost in costs), round(median(cost.queries for cost in costs))
    )


def test_warm_pages_take_less_than_a_third_of_the_database_time(
    owner: User, urls: dict[str, str]
) -> None:
    client = Client()
    client.force_login(owner)
    found = {}
    for name, url in urls.items():
        switch(is_enabled=False)
        off = measured(client, url)
        switch(is_enabled=True)
        listener.ensure()
        until(lambda: local.is_open)
        warm = measured(client, url)
        found[name] = warm.milliseconds / off.milliseconds
        print(  # noqa: T201 - the result
            f"{name}: {off.milliseconds:.2f} ms in {off.queries} queries with the caches off, "
            f"{warm.milliseconds:.2f} ms in {warm.queries} warm: {1 - found[name]:.0%} fewer"
        )
    assert found["conversation"] <= LARGEST_SHARE
    assert found["document"] <= LARGEST_SHARE
