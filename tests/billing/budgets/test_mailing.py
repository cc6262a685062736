"""Who is written to about a request for more of a budget and about its answer: once each, with the page's address."""

import re
import smtplib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Department, Membership, User
from apps.billing import notices
from apps.billing.budgets import mailing, requests
from apps.billing.models import Budget, BudgetRequest
from apps.billing.tasks import raise_alerts
from tests.factories.accounts import UserFactory
from tests.factories.billing import BudgetFactory

pytestmark = pytest.mark.django_db(transaction=True)

BASE = "https://parley.example.org"
UNIT = 1_000_000_000


@pytest.fixture(autouse=True)
def _reached_there(settings: Settings) -> None:
    settings.PARLEY_BASE_URL = BASE


@pytest.fixture
def head(department: Department) -> User:
    return UserFactory(
        email="head@example.org",
        full_name="Hedda Head",
        department=department,
        role=Membership.Role.HEAD,
    )


@pytest.fixture
def asked(department: Department, head: User, owner: User) -> BudgetRequest:
    budget = BudgetFactory(department=department, limit_nanos=10 * UNIT)
    return requests.ask(
        asker=owner, budget_id=budget.pk, amount_nanos=5 * UNIT, reason="the <fair> & more"
    )


def opened(user: User, body: str) -> int:
    """Follow the message's one link as this person; return the status."""
    [link] = re.findall(r"https?://\S+", body)
    assert link.startswith(BASE)
    client = Client()
    client.force_login(user)
    return client.get(link.removeprefix(BASE)).status_code


def test_a_request_is_told_once_to_whom_it_is_for(
    asked: BudgetRequest, head: User, outsider: User
) -> None:
    raise_alerts()
    raise_alerts()
    [message] = mail.outbox
    assert message.bcc == ["head@example.org"]
    assert message.subject == "Parley: Owner asks for 5.00 $ more of Support · A month"
    assert "the <fair> & more" in message.body
    assert opened(head, message.body) == 200
    assert opened(outsider, message.body) == 404


def test_an_answer_is_told_once_to_whoever_asked(
    asked: BudgetRequest, head: User, owner: User, outsider: User
) -> None:
    ends = datetime(2199, 5, 1, 12, tzinfo=UTC)
    requests.approve(request_id=asked.pk, by=head, amount_nanos=3 * UNIT, expires_at=ends)
    assert (mailing.send_waiting(), mailing.send_waiting()) == (1, 0)
    [message] = mail.outbox
    assert message.bcc == [owner.email]
    assert message.subject == "Parley: 3.00 $ more of Support · A month"
    assert (
        "Hedda Head has approved your request for 5.00 $: 3.00 $, until May 1, 2199" in message.body
    )
    assert opened(owner, message.body) == 200
    assert opened(outsider, message.body) == 404


def test_a_no_is_told_too(asked: BudgetRequest, head: User, owner: User) -> None:
    mailing.send_waiting()
    requests.decline(request_id=asked.pk, by=head)
    mailing.send_waiting()
    _asking, answer = mail.outbox
    assert answer.subject == "Parley: no more of Support · A month"
    assert "Hedda Head has declined your request for 5.00 $." in answer.body


def test_nobody_who_left_is_written_to(asked: BudgetRequest, head: User, owner: User) -> None:
    requests.decline(request_id=asked.pk, by=head)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert mailing.send_waiting() == 0


def test_without_a_base_address_messages_have_no_link(
    asked: BudgetRequest, head: User, settings: Settings
) -> None:
    settings.PARLEY_BASE_URL = ""
    mailing.send_waiting()
    assert "//" not in mail.outbox[0].body
    assert reverse("billing:request", args=[asked.pk]) not in mail.outbox[0].body


def test_what_fails_is_sent_later_for_three_days(
    asked: BudgetRequest, head: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any) -> int:
        raise smtplib.SMTPServerDisconnected("gone")

    with monkeypatch.context() as patched:
        patched.setattr(EmailBackend, "send_messages", refuse)
        assert mailing.send_waiting() == 0
    late = timezone.now() + notices.RETRIED_FOR + timedelta(seconds=1)
    assert mailing.send_waiting(late) == 0
    assert mailing.send_waiting() == 1


def test_operators_are_asked_where_heads_may_not_answer(
    department: Department, head: User, owner: User, admin_user: User
) -> None:
    budget: Budget = BudgetFactory(department=department, is_raised_by_heads=False)
    requests.ask(asker=owner, budget_id=budget.pk, amount_nanos=UNIT, reason="a fair")
    mailing.send_waiting()
    [message] = mail.outbox
    assert message.bcc == [admin_user.email]
    assert opened(admin_user, message.body) == 200
