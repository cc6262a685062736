"""Every URL of Parley as somebody else: what names another person's object answers 404, and pages need a sign-in.

The walk is made from the URL map itself, so that a new URL fails here until it is given its object.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.billing import calendar
from apps.billing.budgets import requests
from apps.billing.models import MonthClose
from tests.factories.billing import LONG_AGO, BudgetFactory, StatementFactory, settled_call
from tests.factories.chat import CitationFactory, conversation_of, waiting_reply
from tests.factories.documents import served

OURS = {"chat", "documents", "accounts", "billing", "observability"}
# Asked by machines, or by those who have no account yet; each has tests of its own.
PUBLIC = {
    "observability:livez",
    "observability:readyz",
    "observability:metrics",
    "accounts:first-operator",
}


def _patterns(resolver: URLResolver, namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from _patterns(entry, entry.namespace or namespace)
        elif namespace in OURS:
            yield f"{namespace}:{entry.name}", entry


# What an operator may see of somebody else's: they answer requests for more of a budget.
OPERATORS_MAY = {"billing:request"}

ROUTES = dict(_patterns(get_resolver()))
WITH_OBJECT = sorted(
    name for name, entry in ROUTES.items() if entry.pattern.converters and name not in PUBLIC
)
WITHOUT_OBJECT = sorted(set(ROUTES) - set(WITH_OBJECT) - PUBLIC)


@pytest.fixture
def arguments(owner: User) -> dict[str, dict[str, Any]]:
    """The owner's objects, for each kind of URL argument."""
    document = served(owner, name="secret-plan.pdf")
    conversation = conversation_of(owner, title="Secret question")
    reply = conversation.active_leaf
    citation = CitationFactory(message=reply, document=document, version=document.active_version)
    running = waiting_reply(conversation)
    department = owner.memberships.get().department
    cap = BudgetFactory(department=department, user=owner)
    asked = requests.ask(asker=owner, budget_id=cap.pk, amount_nanos=1, reason="Secret question")
    call = settled_call(user_id=owner.pk, department_id=department.pk)
    closed = MonthClose.objects.create(
        starts_at=LONG_AGO, ends_at=calendar.next_month(LONG_AGO), closed_at=timezone.now()
    )
    statement = StatementFactory(month=closed, department=department)
    return {
        "billing": {
            "code": department.code,
            "budget_id": cap.pk,
            "request_id": asked.pk,
            "call_id": call.usage_record_id,
            "statement_id": statement.pk,
        },
        "documents": {"document_id": document.pk},
        "chat": {"pk": conversation.pk, "kind": "json", "message_id": reply.pk},
        "chat:citation": {"pk": citation.pk},
        "chat:stop": {"message_id": running.pk},
        "chat:stream": {"message_id": running.pk},
    }


def _url(name: str, arguments: dict[str, dict[str, Any]]) -> str:
    values = arguments.get(name, arguments[name.partition(":")[0]])
    return reverse(name, kwargs={key: values[key] for key in ROUTES[name].pattern.converters})


def _ask(client: Client, url: str) -> Any:
    """Ask by the method the URL takes."""
    response = client.get(url)
    if response.status_code != 405:
        return response
    return client.post(url, {"idempotency_key": str(uuid4())})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", WITH_OBJECT)
def test_somebody_elses_object_is_not_found(
    name: str, arguments: dict[str, dict[str, Any]], outsider: User, admin_user: User
) -> None:
    url = _url(name, arguments)
    for person in (outsider, admin_user):
        if person == admin_user and name in OPERATORS_MAY:
            continue
        client = Client()
        client.force_login(person)
        response = _ask(client, url)
        assert response.status_code == 404, (person.email, response.status_code)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", WITH_OBJECT)
def test_a_visitor_is_sent_to_the_sign_in(name: str, arguments: dict[str, dict[str, Any]]) -> None:
    response = _ask(Client(), _url(name, arguments))
    assert response.status_code in {302, 401}
    assert response.status_code == 401 or "/login/" in response.headers["Location"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", WITHOUT_OBJECT)
def test_a_page_needs_a_sign_in_and_shows_nothing_of_others(
    name: str, arguments: dict[str, dict[str, Any]], outsider: User
) -> None:
    url = reverse(name)
    visitor = _ask(Client(), url)
    assert visitor.status_code in {302, 401}
    client = Client()
    client.force_login(outsider)
    shown = _ask(client, f"{url}?q=secret")
    content = b"" if shown.streaming else shown.content
    assert b"secret-plan" not in content
    assert b"Secret question" not in content


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name",
    ["chat:new", "chat:conversation-list", "chat:palette", "documents:list", "documents:people"],
)
def test_a_nul_in_a_search_is_no_error(name: str, owner: User, client: Client) -> None:
    client.force_login(owner)
    for query in ("q=a%00b", "q=a&tag=%00"):
        assert client.get(f"{reverse(name)}?{query}").status_code == 200
