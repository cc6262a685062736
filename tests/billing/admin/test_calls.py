"""Calls and the ledger in the admin: the list behind a figure, one call's sum, and corrections."""

import csv
import io
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Department, User
from apps.billing import services
from apps.billing.admin.call_page import call_page
from apps.billing.admin.calls import CALLS_SHOWN
from apps.billing.models import LedgerEntry, Mechanism, Meter, Outcome, Purpose
from apps.billing.types import Usage
from apps.core.csv import BYTE_ORDER_MARK
from apps.core.ids import uuid7
from tests.billing.admin.made import UNIT, Spender, priced
from tests.factories.accounts import DepartmentFactory
from tests.factories.billing import BudgetFactory, PriceFactory, call_context

pytestmark = pytest.mark.django_db

LIST = "admin:billing_usagerecord_changelist"
CALL = "admin:billing_usagerecord_change"
CORRECT = "admin:billing_ledgerentry_correct"
NOVEMBER = datetime(2026, 11, 10, 12, tzinfo=UTC)


@pytest.fixture
def operator(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


@pytest.fixture
def sales() -> Department:
    return DepartmentFactory(name="Sales", code="sales")


def test_pages_follow_one_another_without_gap_or_repeat(
    operator: Client, sales: Department, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    spender = Spender(sales)
    made = [
        spender.spend(1, at=NOVEMBER + timedelta(seconds=number // 2)).usage_record_id
        for number in range(CALLS_SHOWN + 3)
    ]
    with django_assert_max_num_queries(14):
        first = operator.get(reverse(LIST), {"month": "2026-11"})
    assert len(first.context["rows"]) == CALLS_SHOWN
    second = operator.get(f"{reverse(LIST)}{first.context['older_url']}")
    seen = [row.record.pk for one in (first, second) for row in one.context["rows"]]
    assert (len(seen), set(seen)) == (len(made), set(made))
    assert second.context["older_url"] == ""
    assert f"{CALLS_SHOWN + 3} calls" in second.content.decode()


def test_the_csv_has_every_call_of_the_list(
    operator: Client, sales: Department, owner: User
) -> None:
    priced("model")
    for number in range(CALLS_SHOWN + 1):
        Spender(sales, owner).spend(1, at=NOVEMBER + timedelta(seconds=number), tags=("audit",))
    Spender(DepartmentFactory()).spend(1, at=NOVEMBER)
    asked = {"month": "2026-11", "department": str(sales.pk), "format": "csv"}
    response = operator.get(reverse(LIST), asked)
    text = b"".join(response.streaming_content).decode().removeprefix(BYTE_ORDER_MARK)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len({row["request"] for row in rows}) == CALLS_SHOWN + 1
    assert {(row["person"], row["amount"], row["tags"]) for row in rows} == {
        (owner.email, "1", "audit")
    }


def test_an_id_leads_to_the_call_and_a_request_to_its_calls(
    operator: Client, sales: Department
) -> None:
    request_id = uuid7()
    first = Spender(sales).spend(1, request_id=request_id, purpose=Purpose.QUERY_EMBEDDING)
    for sought in (request_id, first.usage_record_id):
        response = operator.get(reverse(LIST), {"q": f" {sought} "})
        assert response["Location"] == reverse(CALL, args=[first.usage_record_id])
    second = Spender(sales).spend(1, request_id=request_id, attempt=2)
    text = operator.get(reverse(LIST), {"q": str(request_id)}).content.decode()
    for call in (first, second):
        assert reverse(CALL, args=[call.usage_record_id]) in text
    for nothing in (str(uuid4()), "no id", "x\0"):
        text = operator.get(reverse(LIST), {"q": nothing}).content.decode()
        assert "No call and no request has the id" in text


def test_a_call_is_the_sum_of_its_meters(
    operator: Client, sales: Department, admin_user: User
) -> None:
    PriceFactory(meter=Meter.INPUT, nanos_per_million_tokens=150_000_000)
    PriceFactory(meter=Meter.OUTPUT, nanos_per_million_tokens=600_000_001)
    budget = BudgetFactory(department=sales)
    request_id, conversation_id = uuid7(), uuid7()
    reserved = services.reserve(
        context=call_context(
            department_id=sales.pk,
            user_id=admin_user.pk,
            request_id=request_id,
            conversation_id=conversation_id,
            tags=("audit",),
        ),
        provider_code="provider",
        model_code="model",
        max_input_tokens=3000,
        max_output_tokens=1000,
    )
    usage = Usage(
        input_tokens=1001, cached_input_tokens=7, output_tokens=333, is_estimated=True, audio_ms=5
    )
    settled = services.settle(
        reservation_id=reserved.reservation_id,
        outcome=Outcome.CANCELLED,
        usage=usage,
        elapsed_ms=1234,
    )
    services.record_saving(
        mechanism=Mechanism.EXACT_CACHE,
        request_id=request_id,
        department_id=sales.pk,
        user_id=None,
        saved_nanos=UNIT,
    )
    shown = call_page(settled.usage_record_id, viewer=admin_user)
    assert shown is not None
    assert shown.record is not None
    # 1001 × 0.15 + 7 × 0.15 (no price of its own: the input's) + 333 × 0.600000001, all a million.
    exact = (1001 * 150_000_000 + 7 * 150_000_000 + 333 * 600_000_001) / 10**6
    assert int(shown.exact_sum * 10**15) == int(exact * 10**6)
    assert shown.is_rounded
    assert shown.record.amount_nanos == round(exact) == shown.owed_nanos
    assert [(line.count, line.is_borrowed) for line in shown.meters] == [
        (1001, False),
        (7, True),
        (333, False),
        (5, False),
    ]
    assert [line.price is None for line in shown.meters] == [False, False, False, True]
    text = operator.get(reverse(CALL, args=[settled.usage_record_id])).content.decode()
    for part in (
        "Stopped",
        "counted here",
        "1,234 ms",
        "no price set",
        "audit",
        str(request_id),
        reverse("admin:billing_budget_change", args=[budget.pk]),
        "Earlier answer, same question: 1.00 $",
        reverse("chat:conversation-detail", args=[conversation_id]),
    ):
        assert part in text, part


def test_nobody_reads_others_chats_through_a_call(
    operator: Client, sales: Department, owner: User
) -> None:
    conversation_id = uuid7()
    call = Spender(sales, owner).spend(1, conversation_id=conversation_id)
    text = operator.get(reverse(CALL, args=[call.usage_record_id])).content.decode()
    assert str(conversation_id) not in text


def test_open_and_unsent_calls_have_a_page_and_owe_nothing(
    operator: Client, sales: Department
) -> None:
    reserved = services.reserve(
        context=call_context(department_id=sales.pk),
        provider_code="provider",
        model_code="model",
        max_input_tokens=1,
        max_output_tokens=1,
    )
    for kind in ("usagerecord", "reservation"):
        url = reverse(f"admin:billing_{kind}_change", args=[reserved.reservation_id])
        assert "known when it ends" in operator.get(url).content.decode()
    services.void(reservation_id=reserved.reservation_id)
    assert "Never sent" in operator.get(url).content.decode()
    for wrong in (uuid4(), "x"):
        assert operator.get(reverse(CALL, args=[wrong])).status_code == 404


def test_late_usage_and_corrections_add_up_to_what_is_owed(
    operator: Client, sales: Department, admin_user: User
) -> None:
    priced("model")
    reserved = services.reserve(
        context=call_context(department_id=sales.pk),
        provider_code="provider",
        model_code="model",
        max_input_tokens=9,
        max_output_tokens=0,
    )
    for outcome, tokens in ((Outcome.ESTIMATED, 9), (Outcome.COMPLETED, 4)):
        services.settle(
            reservation_id=reserved.reservation_id,
            outcome=outcome,
            usage=Usage(input_tokens=tokens),
            elapsed_ms=1,
        )
    url = f"{reverse(CORRECT)}?call={reserved.reservation_id}"
    form = operator.get(url).context["form"]
    other = DepartmentFactory()
    sent = {
        "entry_id": str(form["entry_id"].value()),
        # The call's department is the one that is put right, whatever is sent.
        "department": str(other.pk),
        "kind": "CREDIT",
        "amount_nanos": "1.5",
        "reason": " provider's refund ",
    }
    response = operator.post(url, sent)
    [entry] = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.CORRECTION)
    assert response["Location"] == reverse("admin:billing_ledgerentry_change", args=[entry.pk])
    assert (entry.department, entry.amount_nanos, entry.author, entry.reason) == (
        sales,
        1_500_000_000,
        admin_user,
        "provider's refund",
    )
    shown = call_page(reserved.reservation_id, viewer=admin_user)
    assert shown is not None
    effects = [booking.effect_nanos for booking in shown.bookings]
    assert effects == [9 * UNIT, -5 * UNIT, -1_500_000_000]
    assert shown.owed_nanos == 2_500_000_000
    page = operator.get(response["Location"]).content.decode()
    assert "−1.50 $" in page
    assert str(reserved.reservation_id) in page


def correction(**changes: str) -> dict[str, str]:
    sent = {"entry_id": str(uuid7()), "kind": "CHARGE", "amount_nanos": "2", "reason": "forgotten"}
    return {**sent, **changes}


def test_a_correction_sent_twice_is_booked_once(operator: Client, sales: Department) -> None:
    sent = correction(department=str(sales.pk))
    first, again = (operator.post(reverse(CORRECT), sent) for _ in range(2))
    assert first["Location"] == again["Location"]
    changed = operator.post(reverse(CORRECT), {**sent, "amount_nanos": "3"})
    assert "has booked an entry already" in changed.content.decode()
    [entry] = LedgerEntry.objects.all()
    assert (entry.debit, entry.credit, entry.amount_nanos) == (
        f"department:{sales.pk}",
        "adjustments",
        2 * UNIT,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount_nanos", "0"),
        ("amount_nanos", "-1"),
        ("amount_nanos", "0.0000000001"),
        ("reason", "  "),
        ("kind", "GIFT"),
        ("department", str(UUID(int=0))),
        ("entry_id", "x"),
    ],
)
def test_a_correction_that_makes_no_sense_books_nothing(
    operator: Client, sales: Department, name: str, value: str
) -> None:
    response = operator.post(
        reverse(CORRECT), {**correction(department=str(sales.pk)), name: value}
    )
    assert response.context["form"].errors
    assert not LedgerEntry.objects.exists()


def test_the_ledger_can_be_searched_and_not_changed(operator: Client, sales: Department) -> None:
    call = Spender(sales).spend(1)
    page = reverse("admin:billing_ledgerentry_changelist")
    for words in (str(call.usage_record_id), "somebody@example.org", "no id", ""):
        assert operator.get(page, {"q": words}).status_code == 200
    credit = services.correct(
        entry_id=uuid7(),
        department_id=sales.pk,
        amount_nanos=1,
        is_credit=True,
        reason="Charged twice",
        author_id=None,
        reservation_id=call.usage_record_id,
    )
    for words, found in (
        (str(call.usage_record_id), {call.usage_record_id, credit.pk}),
        (str(credit.pk), {credit.pk}),
        ("charged TWICE", {credit.pk}),
        (str(uuid4()), set()),
    ):
        listed = operator.get(page, {"q": words}).context["cl"].result_list
        assert {entry.pk for entry in listed} == found, words
    for kind in ("ledgerentry", "usagerecord", "reservation"):
        change = reverse(f"admin:billing_{kind}_change", args=[call.usage_record_id])
        assert operator.get(change).status_code == 200
        assert operator.post(change, {}).status_code == 403
        delete = reverse(f"admin:billing_{kind}_delete", args=[call.usage_record_id])
        assert operator.post(delete, {"post": "yes"}).status_code == 403
        assert operator.get(reverse(f"admin:billing_{kind}_add")).status_code == 403


def test_operators_only(client: Client, sales: Department, owner: User, outsider: User) -> None:
    call = Spender(sales, owner).spend(1)
    pages = [
        reverse(LIST),
        f"{reverse(LIST)}?format=csv",
        reverse(CALL, args=[call.usage_record_id]),
        reverse("admin:billing_reservation_changelist"),
        reverse("admin:billing_reservation_change", args=[call.usage_record_id]),
        reverse("admin:billing_ledgerentry_changelist"),
        reverse("admin:billing_ledgerentry_change", args=[call.usage_record_id]),
        reverse(CORRECT),
    ]
    for person in (None, owner, outsider):
        if person:
            client.force_login(person)
        for url in pages:
            assert "/login/" in client.get(url)["Location"], url
        sent = correction(department=str(sales.pk))
        assert "/login/" in client.post(reverse(CORRECT), sent)["Location"]
    assert not LedgerEntry.objects.filter(kind=LedgerEntry.Kind.CORRECTION).exists()
