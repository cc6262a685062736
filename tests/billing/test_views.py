"""The pages of cost: what each person sees, what they never see, and what they may change."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import ApiKey, Department, Membership, User
from apps.billing import alerts, calendar, services
from apps.billing.budgets import requests
from apps.billing.costs.rollups import roll_up_batch
from apps.billing.models import (
    Budget,
    BudgetIncrease,
    BudgetRequest,
    LedgerEntry,
    Mechanism,
    Meter,
    Purpose,
    UsageRecord,
)
from apps.billing.types import Settled, Usage
from apps.core.ids import uuid7
from apps.core.money import NANOS_PER_UNIT
from tests.factories.accounts import DepartmentFactory, MembershipFactory, UserFactory
from tests.factories.billing import BudgetFactory, PriceFactory, settled_call

pytestmark = pytest.mark.django_db

MILLION = 1_000_000


@pytest.fixture(autouse=True)
def _prices() -> None:
    """A unit of the currency for a million tokens, read or written."""
    for meter in (Meter.INPUT, Meter.OUTPUT):
        PriceFactory(meter=meter, nanos_per_million_tokens=NANOS_PER_UNIT)


@pytest.fixture
def head(department: Department) -> User:
    """The head of the owner's department."""
    return UserFactory(
        email="head@example.org", full_name="Head", department=department, role="HEAD"
    )


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def get(user: User, name: str, /, *arguments: Any, **query: str) -> Any:
    return signed_in(user).get(reverse(f"billing:{name}", args=arguments), query)


def post(user: User, name: str, /, *arguments: Any, **data: Any) -> Any:
    return signed_in(user).post(reverse(f"billing:{name}", args=arguments), data)


def spend(user: User | None, department: Department, units: float = 1, **fields: Any) -> Settled:
    """Have a call for the person cost this much, paid by the department."""
    return settled_call(
        usage=Usage(input_tokens=round(units * MILLION)),
        user_id=user.pk if user else None,
        department_id=department.pk,
        **fields,
    )


def rows_of(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def lines(page: Any, title: str) -> dict[str, int]:
    [ranking] = [one for one in page.month.rankings if one.title == title]
    return {line.name: line.amount_nanos for line in ranking.lines}


# One's own usage


def test_my_usage_is_mine_whoever_paid(
    owner: User, colleague: User, department: Department
) -> None:
    other = MembershipFactory(user=owner, department=DepartmentFactory(name="Sales")).department
    spend(owner, department, 1)
    spend(owner, other, 2, purpose=Purpose.TITLE)
    spend(colleague, department, 4)
    page = get(owner, "usage").context["page"]
    assert page.month.spent_nanos == 3 * NANOS_PER_UNIT
    assert page.month.call_count == 2
    assert lines(page, "Paid by") == {
        "Sales": 2 * NANOS_PER_UNIT,
        "Support": NANOS_PER_UNIT,
    }
    assert lines(page, "What for") == {
        "Title": 2 * NANOS_PER_UNIT,
        "Answer": NANOS_PER_UNIT,
    }


def test_who_left_a_department_sees_what_was_spent_for_them_and_no_more_of_it(
    head: User, colleague: User, department: Department
) -> None:
    BudgetFactory(department=department, limit_nanos=9 * NANOS_PER_UNIT)
    mine, theirs = spend(head, department, 1), spend(colleague, department, 2)
    assert get(head, "call", theirs.usage_record_id).status_code == 200
    Membership.objects.filter(user=head).delete()
    page = get(head, "usage").context["page"]
    assert page.month.spent_nanos == NANOS_PER_UNIT
    assert list(page.budgets) == []
    assert not page.has_department
    assert get(head, "call", mine.usage_record_id).status_code == 200
    assert get(head, "call", theirs.usage_record_id).status_code == 404
    assert get(head, "department", department.code).status_code == 404


def test_the_month_before_stands_beside_the_running_one(
    owner: User, department: Department
) -> None:
    now = timezone.now()
    this_month = calendar.month_of(now)[0]
    spend(owner, department, 3, at=this_month - timedelta(hours=1))
    spend(owner, department, 1)
    page = get(owner, "usage").context["page"]
    assert page.month.before_nanos == 3 * NANOS_PER_UNIT
    before = get(owner, "usage", month=f"{this_month - timedelta(hours=1):%Y-%m}").context["page"]
    assert before.month.spent_nanos == 3 * NANOS_PER_UNIT
    assert not before.month.is_running
    assert before.month.after_query == f"month={this_month:%Y-%m}"
    assert page.month.after_query == ""


@pytest.mark.parametrize("month", ["2026", "x", "1999-12", "2999-01", "2026-13", "2026-01-01-01"])
def test_a_month_that_is_none_is_not_found(owner: User, month: str) -> None:
    assert get(owner, "usage", month=month).status_code == 404
    assert get(owner, "usage-csv", month=month).status_code == 404
    assert get(owner, "calls", month=month).status_code == 404


def test_each_day_and_line_leads_to_the_calls_behind_it(
    owner: User, department: Department
) -> None:
    call = spend(owner, department, 1)
    spend(owner, department, 1, purpose=Purpose.JUDGE)
    month = get(owner, "usage").context["page"].month
    client = signed_in(owner)
    days = [day for day in month.chart.days if day.url]
    assert [client.get(day.url).context["page"].call_count for day in days] == [2]
    for ranking in month.rankings:
        for line in ranking.lines:
            behind = client.get(line.url).context["page"]
            assert behind.total_nanos == line.amount_nanos
            assert len(behind.rows) == line.call_count
    shown = client.get(month.calls_url).context["page"].rows
    assert {row.url for row in shown} >= {reverse("billing:call", args=[call.usage_record_id])}


def test_budgets_that_concern_somebody_say_what_is_left(
    owner: User, outsider: User, department: Department
) -> None:
    shared = BudgetFactory(
        department=department, limit_nanos=10 * NANOS_PER_UNIT, soft_limit_nanos=NANOS_PER_UNIT
    )
    own = BudgetFactory(department=None, user=owner, limit_nanos=4 * NANOS_PER_UNIT)
    BudgetFactory(department=outsider.memberships.get().department)
    BudgetFactory(department=department, user=UserFactory(department=department))
    BudgetIncrease.objects.create(
        budget=own,
        amount_nanos=2 * NANOS_PER_UNIT,
        expires_at=timezone.now() + timedelta(days=1),
        reason="The fair",
    )
    spend(owner, department, 3)
    answer = get(owner, "usage")
    found = {card.id: card for card in answer.context["page"].budgets}
    assert {pk: card.left for pk, card in found.items()} == {
        shared.pk: "7.00 $",
        own.pk: "3.00 $",
    }
    assert "The fair" in found[own.pk].increases[0]
    assert found[own.pk].says == "3.00 $ of 6.00 $ spent."
    assert found[shared.pk].soft_says == "Above 1.00 $, as now, you are warned."
    assert (found[shared.pk].bar.spent, found[shared.pk].bar.soft) == (300, 100)


def test_products_have_names_on_pages_and_codes_in_exports(
    owner: User, department: Department
) -> None:
    spend(owner, department, 2)
    spend(owner, department, 1, product="documents")
    call = spend(owner, department, 3, product="kiosk")
    page = get(owner, "usage").context["page"]
    million = NANOS_PER_UNIT
    assert lines(page, "Products") == {
        "kiosk": 3 * million,
        "Chat": 2 * million,
        "Documents": million,
    }
    [ranking] = [one for one in page.month.rankings if one.title == "Products"]
    assert "product=chat" in {line.name: line.url for line in ranking.lines}["Chat"]
    assert get(owner, "call", call.usage_record_id).context["call"].product == "kiosk"
    header, *rows = rows_of(get(owner, "calls-csv"))
    at = header.index("product")
    assert {row[at] for row in rows} == {"chat", "documents", "kiosk"}


def test_of_everybodys_budget_people_are_told_how_far_it_has_come_and_no_amount(
    owner: User, colleague: User, outsider: User, department: Department
) -> None:
    everybody = BudgetFactory(
        department=None, limit_nanos=765 * NANOS_PER_UNIT, soft_limit_nanos=612 * NANOS_PER_UNIT
    )
    BudgetIncrease.objects.create(
        budget=everybody,
        amount_nanos=235 * NANOS_PER_UNIT,
        expires_at=timezone.now() + timedelta(days=1),
        reason="Lent by the board",
    )
    spend(colleague, department, 543)
    alerts.raise_due()
    for person in (owner, outsider):
        answer = get(person, "usage")
        [card] = answer.context["page"].budgets
        assert (card.left, card.says) == ("45 %", "54 % spent.")
        assert card.soft_says == "From 84 % on you are warned."
        asking = get(person, "ask", everybody.pk)
        assert asking.context["budget"].left == "45 %"
        told = answer.content.decode() + asking.content.decode()
        for amount in ("543", "457", "765", "1,000", "847", "235", "Lent by the board"):
            assert f"{amount} $" not in told
            assert f"{amount}.00 $" not in told
        assert "Everybody · A month: 50 % is spent." in told
        assert not [row for row in rows_of(get(person, "usage-csv")) if "Budget" in row[0]]


def test_what_earlier_answers_saved_is_told(owner: User, colleague: User) -> None:
    department = owner.memberships.get().department
    for person, mechanism in (
        (owner, Mechanism.EXACT_CACHE),
        (owner, Mechanism.PROVIDER_CACHE),
        (colleague, Mechanism.EXACT_CACHE),
    ):
        services.record_saving(
            mechanism=mechanism,
            request_id=uuid7(),
            department_id=department.pk,
            user_id=person.pk,
            saved_nanos=5,
            overhead_nanos=1,
            saved_ms=2_500,
        )
    saved = get(owner, "usage").context["page"].saved
    assert (saved.answer_count, saved.net_nanos, saved.seconds) == (1, 4, 2)


def test_somebody_without_a_department_and_an_operator_have_their_page(admin_user: User) -> None:
    nobody = UserFactory(department=None)
    assert b"You are in no department yet" in get(nobody, "usage").content
    admin_user.memberships.all().delete()
    answer = get(admin_user, "usage")
    assert answer.status_code == 200
    assert [tab.name for tab in answer.context["tabs"]] == ["My usage", "All departments"]
    assert b"Add yourself to one" in answer.content
    assert signed_in(admin_user).get(answer.context["tabs"][1].url).status_code == 200


def test_my_usage_costs_as_many_queries_with_many_budgets_as_with_one(
    owner: User, department: Department, django_assert_max_num_queries: Any
) -> None:
    BudgetFactory(department=department)
    for period in Budget.Period.values:
        BudgetFactory(department=None, user=owner, period=period)
    spend(owner, department)
    client = signed_in(owner)
    with django_assert_max_num_queries(24):
        assert client.get(reverse("billing:usage")).status_code == 200


def test_a_page_that_has_not_changed_is_not_sent_again(owner: User, department: Department) -> None:
    client = signed_in(owner)
    first = client.get(reverse("billing:usage"))
    again = {"If-None-Match": first.headers["ETag"]}
    assert client.get(reverse("billing:usage"), headers=again).status_code == 304
    spend(owner, department)
    assert client.get(reverse("billing:usage"), headers=again).status_code == 200


def test_what_was_raised_of_a_budget_is_told_to_whom_it_concerns(
    owner: User, head: User, outsider: User, department: Department
) -> None:
    BudgetFactory(department=department, limit_nanos=4 * NANOS_PER_UNIT)
    BudgetFactory(department=None, user=owner, limit_nanos=7 * NANOS_PER_UNIT)
    spend(owner, department, 3.5)
    alerts.raise_due()
    told = ["Support · A month: what is left of 4.00 $ is too little for most questions."]
    assert {note.words for note in get(owner, "usage").context["page"].alerts} == {
        *told,
        "Owner · A month: 50 % of 7.00 $ is spent.",
    }
    page = get(head, "department", department.code).context["page"]
    assert [note.words for note in page.alerts] == told
    assert list(get(outsider, "usage").context["page"].alerts) == []


def test_the_outlook_is_told_once_there_is_something_to_go_by(
    head: User, owner: User, department: Department
) -> None:
    assert get(head, "department", department.code).context["page"].outlook is None
    now = timezone.now()
    for day in range(1, 29):
        spend(owner, department, 1, at=now - timedelta(days=day))
    roll_up_batch(limit=100)
    page = get(head, "department", department.code).context["page"]
    assert page.outlook.has_history
    assert page.month.spent_nanos <= page.outlook.low_nanos
    assert page.outlook.low_nanos <= page.outlook.middle_nanos <= page.outlook.high_nanos
    last_month = calendar.month_of(calendar.month_of(now)[0] - timedelta(days=1))[0]
    before = get(head, "department", department.code, month=f"{last_month:%Y-%m}")
    assert before.context["page"].outlook is None


# Single calls


def test_a_call_shows_its_meters_and_what_was_put_right(
    owner: User, department: Department
) -> None:
    settled = settled_call(
        usage=Usage(input_tokens=MILLION, cached_input_tokens=2 * MILLION, output_tokens=3),
        user_id=owner.pk,
        department_id=department.pk,
    )
    services.correct(
        entry_id=uuid7(),
        department_id=department.pk,
        amount_nanos=7,
        is_credit=True,
        reason="Charged twice",
        author_id=owner.pk,
        reservation_id=settled.usage_record_id,
    )
    call = get(owner, "call", settled.usage_record_id).context["call"]
    assert [(line.name, line.count, line.amount_nanos) for line in call.lines] == [
        ("Input tokens", MILLION, NANOS_PER_UNIT),
        ("Input tokens read from the provider's cache", 2 * MILLION, 2 * NANOS_PER_UNIT),
        ("Output tokens", 3, 3_000),
    ]
    assert sum(line.amount_nanos for line in call.lines) == call.amount_nanos
    assert [(entry.reason, entry.amount_nanos) for entry in call.corrections] == [
        ("Charged twice", -7)
    ]
    assert LedgerEntry.objects.filter(reservation_id=settled.usage_record_id).count() == 2


def test_only_the_person_is_led_to_their_conversation(
    owner: User, head: User, department: Department
) -> None:
    conversation_id = uuid7()
    call = spend(owner, department, conversation_id=conversation_id)
    link = str(conversation_id).encode()
    assert link in get(owner, "call", call.usage_record_id).content
    seen_by_head = get(head, "call", call.usage_record_id)
    assert seen_by_head.status_code == 200
    assert link not in seen_by_head.content


def test_calls_are_paged_by_the_last_one_seen(
    owner: User, department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.billing.pages.calls.PAGE_SIZE", 2)
    made = [spend(owner, department).usage_record_id for _number in range(5)]
    client, url, seen = signed_in(owner), reverse("billing:calls"), []
    while url:
        page = client.get(url).context["page"]
        assert page.call_count == 5
        seen += [row.url for row in page.rows]
        url = page.older_url
    assert seen == [reverse("billing:call", args=[pk]) for pk in reversed(made)]


def test_filters_only_ever_narrow(
    owner: User, colleague: User, outsider: User, department: Department
) -> None:
    theirs = outsider.memberships.get().department
    key = ApiKey.objects.create(
        name="Robot", prefix="pk_1", secret_hash=b"", owner=owner, department=department
    )
    spend(owner, department, 1, api_key_id=key.pk, product="api", tags=("launch",))
    spend(owner, department, 2)
    spend(colleague, department, 4)
    spend(outsider, theirs, 8)

    def total(name: str, *arguments: str, **query: str) -> int:
        page = get(owner, name, *arguments, **query).context["page"]
        assert sum(row.amount_nanos for row in page.rows) == page.total_nanos
        return int(page.total_nanos // NANOS_PER_UNIT)

    assert total("calls") == 3
    assert total("calls", key=str(key.pk)) == 1
    assert total("calls", product="api", tag="launch") == 1
    assert total("calls", model="provider/model") == 3
    assert total("calls", model="provider/other") == 0
    assert total("calls", person=str(colleague.pk)) == 0
    assert total("calls", department=str(theirs.pk)) == 0
    Membership.objects.filter(user=owner).update(role="HEAD")
    assert total("department-calls", department.code) == 7
    assert total("department-calls", department.code, person=str(colleague.pk)) == 4
    assert total("department-calls", department.code, department=str(theirs.pk)) == 0
    assert total("department-calls", department.code, person=str(outsider.pk)) == 0


@pytest.mark.parametrize(
    "query",
    [{"person": "x"}, {"key": "1"}, {"before": "x"}, {"tag": "a\x00"}, {"day": "2026-02-30"}],
)
def test_a_filter_that_cannot_be_read_is_not_found(owner: User, query: dict[str, str]) -> None:
    assert get(owner, "calls", **query).status_code == 404
    assert get(owner, "calls-csv", **query).status_code == 404


# Downloads


def test_the_download_says_what_the_page_says(owner: User, department: Department) -> None:
    BudgetFactory(department=department)
    spend(owner, department, 0.25)
    answer = get(owner, "usage-csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    head_line, *rows = rows_of(answer)
    assert head_line == ["section", "name", "amount", "currency", "calls"]
    found = {(section, name): amount for section, name, amount, *_rest in rows}
    assert found["Models", "model"] == "0.25"
    assert found["Day", timezone.now().astimezone(calendar.zone()).date().isoformat()] == "0.25"
    assert found["Budget: spent", "Support · A month"] == "0.25"
    [in_all, *_before] = [row for row in rows if row[0] == "In all"]
    assert in_all[2:] == ["0.25", "USD", "1"]


def test_calls_are_downloaded_with_their_filter(
    owner: User, colleague: User, department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.billing.pages.call_csv.BATCH", 2)
    monkeypatch.setattr("apps.billing.pages.call_csv.MOST", 4)
    for _number in range(4):
        spend(owner, department, 1, tags=("=1+1",))
    spend(owner, department, 1, purpose=Purpose.TITLE)
    spend(colleague, department, 1)
    _head_line, *rows = rows_of(get(owner, "calls-csv", purpose=Purpose.ANSWER))
    assert len(rows) == 4
    assert {(row[3], row[9], row[15]) for row in rows} == {("Owner", "'=1+1", "1")}
    _head_line, *rows, last = rows_of(get(owner, "calls-csv"))
    assert len(rows) == 4
    assert last == ["There are more calls: choose a shorter time or one filter more."]


# A department, for its heads


OF_A_DEPARTMENT = [
    "department",
    "department-csv",
    "department-calls",
    "department-calls-csv",
    "new-cap",
]


@pytest.mark.parametrize("name", OF_A_DEPARTMENT)
def test_a_department_is_shown_to_its_heads_alone(
    name: str, owner: User, head: User, outsider: User, admin_user: User, department: Department
) -> None:
    Membership.objects.filter(user=outsider).update(role="HEAD")
    assert get(head, name, department.code).status_code == 200
    for person in (owner, outsider, admin_user):
        assert get(person, name, department.code).status_code == 404
    head.is_active = False
    head.save(update_fields=["is_active"])
    assert get(head, name, department.code).status_code in {302, 404}


def test_a_head_sees_who_spent_what_and_where_the_month_goes(
    owner: User, colleague: User, head: User, outsider: User, department: Department
) -> None:
    BudgetFactory(department=department, limit_nanos=100 * NANOS_PER_UNIT)
    BudgetFactory(department=department, user=owner, limit_nanos=10 * NANOS_PER_UNIT)
    BudgetFactory(department=None, user=colleague, limit_nanos=9 * NANOS_PER_UNIT)
    spend(owner, department, 1, tags=("launch",))
    spend(colleague, department, 2)
    spend(outsider, outsider.memberships.get().department, 4)
    services.correct(
        entry_id=uuid7(),
        department_id=department.pk,
        amount_nanos=NANOS_PER_UNIT,
        is_credit=True,
        reason="Test calls",
        author_id=None,
    )
    answer = get(head, "department", department.code)
    page = answer.context["page"]
    assert page.month.spent_nanos == 3 * NANOS_PER_UNIT
    assert (page.corrections_nanos, page.owed_nanos) == (-NANOS_PER_UNIT, 2 * NANOS_PER_UNIT)
    assert lines(page, "People") == {"Colleague": 2 * NANOS_PER_UNIT, "Owner": NANOS_PER_UNIT}
    assert lines(page, "Tags") == {"launch": NANOS_PER_UNIT}
    assert [card.name for card in page.budgets] == ["Support · A month"]
    assert [card.name for card in page.caps] == ["Support · Owner · A month"]
    assert outsider.email.encode() not in answer.content
    assert [tab.name for tab in answer.context["tabs"]] == ["My usage", "Support"]


def test_a_head_of_two_departments_keeps_them_apart(
    head: User, owner: User, outsider: User, department: Department
) -> None:
    second = MembershipFactory(user=head, role="HEAD").department
    spend(owner, department, 1)
    spend(outsider, second, 2)
    assert get(head, "department", department.code).context["page"].month.call_count == 1
    page = get(head, "department", second.code).context["page"]
    assert page.month.spent_nanos == 2 * NANOS_PER_UNIT


# Asking for more


def asked(owner: User, budget: Budget) -> BudgetRequest:
    return requests.ask(
        asker=owner, budget_id=budget.pk, amount_nanos=2 * NANOS_PER_UNIT, reason="The fair"
    )


def test_a_person_asks_and_the_head_approves_another_amount_once(
    owner: User, head: User, department: Department
) -> None:
    budget = BudgetFactory(department=department)
    assert b"Head will decide" in get(owner, "ask", budget.pk).content
    answer = post(owner, "ask", budget.pk, amount="2.5", reason="The fair")
    assert answer.url == reverse("billing:usage")
    [request] = BudgetRequest.objects.all()
    assert request.amount_nanos == 5 * NANOS_PER_UNIT // 2
    assert b"The fair" in get(head, "department", department.code).content
    url = ("request", request.pk)
    approved = post(head, *url, decision="approve", amount="1", expiry="MONTH")
    assert approved.url == reverse("billing:department", args=[department.code])
    increase = BudgetIncrease.objects.get()
    assert increase.amount_nanos == NANOS_PER_UNIT
    assert increase.expires_at == calendar.month_of(timezone.now())[1]
    again = signed_in(head)
    for decision in ("approve", "decline"):
        told = again.post(
            reverse("billing:request", args=[request.pk]),
            {"decision": decision, "amount": "9", "expiry": "MONTH"},
            follow=True,
        )
        assert b"answer" in told.content
    assert BudgetIncrease.objects.count() == 1
    [card] = get(owner, "usage").context["page"].budgets
    assert card.left == "2.00 $"
    assert card.requests[0].state == "Approved"


def test_a_head_declines_without_an_amount(owner: User, head: User, department: Department) -> None:
    request = asked(owner, BudgetFactory(department=department))
    post(head, "request", request.pk, decision="decline")
    request.refresh_from_db()
    assert request.state == BudgetRequest.State.DECLINED
    assert b"Declined" in get(owner, "request", request.pk).content


@pytest.mark.parametrize(
    "sent", [{"amount": ""}, {"amount": "-1"}, {"amount": "0"}, {"expiry": "EVER"}, {"expiry": ""}]
)
def test_an_answer_that_cannot_be_taken_says_why(
    owner: User, head: User, department: Department, sent: dict[str, str]
) -> None:
    request = asked(owner, BudgetFactory(department=department))
    answer = post(
        head,
        "request",
        request.pk,
        **{"decision": "approve", "amount": "1", "expiry": "DAY", **sent},
    )
    assert answer.status_code == 200
    assert answer.context["asked"].form.errors
    request.refresh_from_db()
    assert request.state == BudgetRequest.State.WAITING


def test_a_request_is_seen_by_its_asker_and_answered_by_who_may(
    owner: User,
    colleague: User,
    outsider: User,
    admin_user: User,
    head: User,
    department: Department,
) -> None:
    Membership.objects.filter(user=outsider).update(role="HEAD")
    request = asked(owner, BudgetFactory(department=department, is_raised_by_heads=False))
    for person in (colleague, outsider):
        assert get(person, "request", request.pk).status_code == 404
        assert post(person, "request", request.pk, decision="decline").status_code == 404
    # Only operators raise this one: its head does not even see the asking.
    assert get(head, "request", request.pk).status_code == 404
    own = post(owner, "request", request.pk, decision="approve", amount="1", expiry="DAY")
    assert own.status_code == 302
    request.refresh_from_db()
    assert request.state == BudgetRequest.State.WAITING
    assert get(admin_user, "usage").context["page"].waiting[0].id == request.pk
    post(admin_user, "request", request.pk, decision="approve", amount="1", expiry="WEEK")
    request.refresh_from_db()
    assert request.state == BudgetRequest.State.APPROVED


def test_nobody_asks_for_a_budget_that_does_not_concern_them(
    outsider: User, owner: User, department: Department
) -> None:
    budget = BudgetFactory(department=department)
    assert get(outsider, "ask", budget.pk).status_code == 404
    assert post(outsider, "ask", budget.pk, amount="1", reason="x").status_code == 404
    post(owner, "ask", budget.pk, amount="1", reason="x")
    assert b"asked for more of this budget already" in get(owner, "ask", budget.pk).content
    again = post(owner, "ask", budget.pk, amount="1", reason="x")
    assert again.context["form"].non_field_errors()
    assert BudgetRequest.objects.count() == 1


# Caps of single people


CAP = {"period": "MONTH", "limit": "5", "soft_limit": "4", "at_limit": "CHEAPER_MODEL"}


def test_a_head_sets_changes_and_removes_a_cap(
    owner: User, head: User, department: Department
) -> None:
    spend(owner, department, 1)
    answer = post(head, "new-cap", department.code, person=str(owner.pk), **CAP)
    assert answer.url == reverse("billing:department", args=[department.code])
    cap = Budget.objects.get()
    assert (cap.department, cap.user, cap.limit_nanos) == (department, owner, 5 * NANOS_PER_UNIT)
    [card] = get(head, "department", department.code).context["page"].caps
    assert card.left == "4.00 $"
    post(head, "cap", cap.pk, limit="2", soft_limit="", at_limit="REFUSE")
    cap.refresh_from_db()
    assert (cap.limit_nanos, cap.soft_limit_nanos) == (2 * NANOS_PER_UNIT, None)
    post(head, "remove-cap", cap.pk)
    cap.refresh_from_db()
    assert not cap.is_enabled
    assert get(head, "cap", cap.pk).status_code == 404
    spend(owner, department, 1)
    post(head, "new-cap", department.code, person=str(owner.pk), **CAP)
    [card] = get(head, "department", department.code).context["page"].caps
    assert (card.id, card.left) == (cap.pk, "3.00 $")


def test_a_head_caps_nobody_else(
    owner: User, outsider: User, head: User, department: Department
) -> None:
    refused = post(head, "new-cap", department.code, person=str(outsider.pk), **CAP)
    assert "person" in refused.context["form"].errors
    above = post(
        head, "new-cap", department.code, person=str(owner.pk), **{**CAP, "soft_limit": "6"}
    )
    assert "soft_limit" in above.context["form"].errors
    assert not Budget.objects.exists()


def test_other_budgets_are_no_caps_to_change(
    owner: User, outsider: User, head: User, department: Department
) -> None:
    others = outsider.memberships.get().department
    of_operators = BudgetFactory(department=department, user=owner, is_raised_by_heads=False)
    for budget in (
        BudgetFactory(department=department),
        BudgetFactory(department=None, user=owner),
        BudgetFactory(department=others, user=outsider),
        of_operators,
    ):
        assert get(head, "cap", budget.pk).status_code == 404
        assert post(head, "cap", budget.pk, limit="1", at_limit="REFUSE").status_code == 404
        assert post(head, "remove-cap", budget.pk).status_code == 404
        limits = (budget.limit_nanos, True)
        assert Budget.objects.values_list("limit_nanos", "is_enabled").get(pk=budget.pk) == limits
    over = post(head, "new-cap", department.code, person=str(owner.pk), **CAP)
    assert over.context["form"].non_field_errors() == ["You may not change this budget."]
    of_operators.refresh_from_db()
    assert of_operators.limit_nanos == NANOS_PER_UNIT


def test_the_capped_person_does_not_change_the_cap(owner: User, department: Department) -> None:
    cap = BudgetFactory(department=department, user=owner)
    assert get(owner, "cap", cap.pk).status_code == 404
    assert post(owner, "remove-cap", cap.pk).status_code == 404
    assert get(owner, "new-cap", department.code).status_code == 404
    assert UsageRecord.objects.count() == 0
