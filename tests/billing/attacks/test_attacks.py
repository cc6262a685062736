"""What an attacker and an unforgiving user found: each of these broke something once."""

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts import api_keys
from apps.accounts.models import Department, Membership, User
from apps.billing import alerts, services
from apps.billing.models import Budget, BudgetRequest, Meter, MonthClose, Reservation
from apps.core.money import NANOS_PER_UNIT
from tests.factories.accounts import UserFactory
from tests.factories.billing import BudgetFactory, PriceFactory, call_context, settled_call

pytestmark = pytest.mark.django_db


def posted(user: User, name: str, argument: Any, **data: Any) -> Any:
    client = Client()
    client.force_login(user)
    return client.post(reverse(f"billing:{name}", args=[argument]), data)


@pytest.mark.parametrize("line_end", ["\r", "\n", "\r\n", "\v", "\u2028"])
def test_a_name_with_a_line_end_stops_no_message_and_makes_no_header(
    owner: User, department: Department, line_end: str
) -> None:
    PriceFactory(nanos_per_million_tokens=NANOS_PER_UNIT)
    User.objects.filter(pk=owner.pk).update(full_name=f"Eve{line_end}Bcc: everybody@example.org")
    Budget.objects.create(user=owner, limit_nanos=10**6)
    settled_call(department_id=department.pk, user_id=owner.pk)
    alerts.raise_due()
    [message] = mail.outbox
    assert owner.email in message.bcc
    assert "everybody@example.org" not in message.recipients()
    assert len(message.subject.splitlines()) == 1


def test_people_keep_their_names_on_one_line(owner: User) -> None:
    client = Client()
    client.force_login(owner)
    client.post(reverse("accounts:profile"), {"full_name": "Eve\r\nGive me money"})
    owner.refresh_from_db()
    assert owner.full_name == "Eve Give me money"


@pytest.mark.parametrize("prefix", ["\udce9", "\x00", "É" * 12, "a" * 500, "", "%"])
def test_a_secret_of_odd_characters_is_of_no_key(db: None, prefix: str) -> None:
    assert api_keys.find(f"parley_{prefix}_x") is None


@pytest.mark.django_db(transaction=True)
def test_a_call_voided_beside_the_reaper_keeps_it_from_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long_ago = timezone.now() - timedelta(hours=2)
    first, second = [
        services.reserve(
            context=call_context(),
            provider_code="provider",
            model_code="model",
            max_input_tokens=1,
            max_output_tokens=1,
            at=long_ago,
        ).reservation_id
        for _call in range(2)
    ]
    settle = services.settle

    def settled_late(**fields: Any) -> Any:
        if fields["reservation_id"] == first:
            services.void(reservation_id=first)
        return settle(**fields)

    monkeypatch.setattr(services, "settle", settled_late)
    services.settle_expired()
    states = dict(Reservation.objects.values_list("pk", "state"))
    assert states == {first: Reservation.State.VOID, second: Reservation.State.SETTLED}


@pytest.mark.parametrize("at_limit", [Budget.AtLimit.CACHED_ONLY, Budget.AtLimit.CHEAPER_MODEL])
def test_a_cap_s_choice_that_would_never_begin_is_refused(
    owner: User, department: Department, at_limit: str
) -> None:
    head = UserFactory(department=department, role=Membership.Role.HEAD)
    values = {"person": owner.pk, "period": "MONTH", "limit": "1", "at_limit": at_limit}
    assert posted(head, "new-cap", department.code, **values).status_code == 200
    assert not Budget.objects.exists()
    assert posted(head, "new-cap", department.code, **values, soft_limit="0").status_code == 302


def test_no_increase_is_so_large_that_a_few_of_them_stop_every_call(
    owner: User, department: Department
) -> None:
    PriceFactory(meter=Meter.INPUT)
    head = UserFactory(department=department, role=Membership.Role.HEAD)
    budget = BudgetFactory(department=department, limit_nanos=10**18)
    posted(owner, "ask", budget.pk, amount="1000000001", reason="a fair")
    assert not BudgetRequest.objects.exists()
    for _time in range(10):
        posted(owner, "ask", budget.pk, amount="1000000", reason="a fair")
        request = BudgetRequest.objects.get(state=BudgetRequest.State.WAITING)
        for amount in ("1000000000", "1000000"):
            posted(head, "request", request.pk, decision="approve", amount=amount, expiry="DAY")
    assert budget.increases.count() == 10
    assert settled_call(department_id=department.pk).amount_nanos > 0


@pytest.mark.parametrize(
    "command",
    [
        ("billing_close_month", "--month=0206-11"),
        ("billing_report", "--from=2026-12-01", "--to=2026-01-01"),
        ("billing_recompute_rollups", "--month=9999-12"),
    ],
)
def test_a_slip_of_the_pen_is_told_and_does_nothing(db: None, command: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command(*command, stdout=StringIO())
    assert not MonthClose.objects.exists()


def test_an_export_to_a_folder_says_so_and_leaves_nothing(db: None, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    month = f"--month={timezone.now():%Y-%m}"
    with pytest.raises(CommandError):
        call_command("billing_export_focus", month, f"--output={folder}", stderr=StringIO())
    assert list(tmp_path.rglob("*")) == [folder]
