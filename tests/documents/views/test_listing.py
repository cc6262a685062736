"""The list: what is in it, how many queries it takes, and the stream of progress."""

import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.accounts.services import everyone
from apps.documents.models import Document, IngestRun
from tests.documents.views.asking import send, signed_in
from tests.factories.documents import served, uploaded

pytestmark = pytest.mark.django_db


def names(answer: Any) -> list[str]:
    return [row.name for row in answer.context["rows"]]


def test_the_list_shows_what_one_may_read_newest_first(owner: User, outsider: User) -> None:
    served(owner, name="mine.pdf")
    served(outsider, name="theirs.pdf")
    served(outsider, name="shared.pdf", audience=everyone())
    assert names(send(signed_in(owner), "get", "list")) == ["shared.pdf", "mine.pdf"]


def test_the_list_is_filtered(owner: User) -> None:
    served(owner, name="Leave policy.pdf", tags=["hr"])
    served(owner, name="Price list.pdf", tags=["sales"])
    uploaded(owner, name="waiting.txt")
    client = signed_in(owner)
    assert names(send(client, "get", "list", q="POLICY")) == ["Leave policy.pdf"]
    assert names(send(client, "get", "list", tag="sales")) == ["Price list.pdf"]
    assert names(send(client, "get", "list", status="WAITING")) == ["waiting.txt"]
    assert names(send(client, "get", "list", q="%_")) == []
    assert send(client, "get", "list").context["tags"] == ["hr", "sales"]


def test_the_list_goes_on_where_it_ended(owner: User) -> None:
    for number in range(53):
        served(owner, name=f"{number}.pdf")
    client = signed_in(owner)
    first = send(client, "get", "list")
    second = send(client, "get", "list", partial=1, after=first.context["next_cursor"])
    assert (len(names(first)), len(names(second))) == (50, 3)
    assert not set(names(first)) & set(names(second))
    assert second.context["next_cursor"] == ""
    assert len(names(send(client, "get", "list", after="forged"))) == 50


@pytest.mark.parametrize("count", [2, 20])
def test_the_list_takes_as_many_queries_for_many_documents(
    owner: User, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _number in range(count):
        served(owner)
    client = signed_in(owner)
    send(client, "get", "list")
    with django_assert_num_queries(6):
        send(client, "get", "list", partial=1)


async def streamed(user: User, *ids: object) -> list[tuple[str, dict[str, Any]]]:
    client = AsyncClient()
    await client.aforce_login(user)
    url = reverse("documents:events")
    answer = await client.get(url, {"ids": ",".join(str(one) for one in ids)})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    text = "".join([chunk.decode() async for chunk in answer.streaming_content])
    events = [event.split("\n") for event in text.split("\n\n") if event]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in events
    ]


@pytest.mark.django_db(transaction=True)
async def test_events_tell_each_change_and_end(owner: User) -> None:
    ready = await sync_to_async(served)(owner)
    failed = await sync_to_async(uploaded)(owner)
    await failed.runs.aupdate(
        state=IngestRun.State.FAILED, error_code="no_text", finished_at=timezone.now()
    )
    await Document.objects.filter(pk=failed.pk).aupdate(status=Document.Status.FAILED)
    events = await streamed(owner, ready.pk, failed.pk)
    assert events[-1] == ("end", {})
    told = {data["id"]: data for name, data in events if name == "status"}
    assert told[str(ready.pk)]["status"] == "READY"
    assert told[str(failed.pk)]["status"] == "FAILED"
    assert "no text" in told[str(failed.pk)]["reason"]
    assert told[str(failed.pk)]["can_retry"] is False


@pytest.mark.django_db(transaction=True)
async def test_events_of_somebody_elses_document_say_nothing(owner: User, outsider: User) -> None:
    document = await sync_to_async(uploaded)(owner)
    assert await streamed(outsider, document.pk) == [("end", {})]


@pytest.mark.django_db(transaction=True)
async def test_events_of_no_documents_are_refused(owner: User) -> None:
    client = AsyncClient()
    await client.aforce_login(owner)
    answer = await client.get(reverse("documents:events"), {"ids": "x"})
    assert answer.status_code == 400
