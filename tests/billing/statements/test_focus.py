"""The FOCUS 1.2 export keeps the specification's rules, and its sum is the statements'."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import ApiKey, Department, User
from apps.billing.models import Meter, Outcome, Price, SharedCost, Statement, UsageRecord
from apps.billing.statements import focus_rows
from apps.billing.statements.closing import close_month
from apps.billing.statements.focus import COLUMNS
from apps.billing.statements.focus_rows import ExportError
from apps.core.money import in_nanos
from tests.billing.statements.focus_rules import header_problems, row_problems, set_problems
from tests.billing.statements.making import (
    DECEMBER,
    MIDDLE,
    NOVEMBER,
    OCTOBER,
    called,
    corrected,
    opened,
    set_prices,
    settled,
)
from tests.factories.accounts import DepartmentFactory
from tests.factories.billing import PriceFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sales(owner: User) -> Department:
    """A month of everything: meters, prices that change, tags, keys, corrections, late usage, shared costs."""
    set_prices()
    sales = DepartmentFactory(code="sales", name="Sales, “North”")
    service = DepartmentFactory(code="service", name="=Service")
    library = DepartmentFactory(code="library", name="Library")
    DepartmentFactory(code="idle", name="Idle")
    key = ApiKey.objects.create(
        name="Nightly job", prefix="pk_1", secret_hash=b"1", owner=owner, department=sales
    )
    before = called(sales, at=OCTOBER)
    lost = opened(sales, at=OCTOBER)
    settled(lost.reservation_id, outcome=Outcome.ESTIMATED, at=OCTOBER, input_tokens=9001)
    close_month(starts_at=OCTOBER)

    PriceFactory(starts_at=MIDDLE, nanos_per_million_tokens=99_999_937)
    for hours in range(0, 40, 8):
        moment = MIDDLE - timedelta(hours=20) + timedelta(hours=hours)
        called(
            sales,
            at=moment,
            usage={"input_tokens": 1001 + hours, "cached_input_tokens": 77, "output_tokens": 13},
        )
    called(sales, tags=("rollout", "pilot"), usage={"output_tokens": 3, "embedding_tokens": 501})
    called(sales, api_key_id=key.pk, usage={"cache_write_tokens": 10**7, "output_tokens": 1})
    called(sales, purpose="TITLE", model_code="unpriced")
    called(sales, usage={"outcome": Outcome.FAILED, "input_tokens": 0})
    called(service, usage={"audio_ms": 61_234, "batch_input_tokens": 5, "batch_output_tokens": 7})
    called(service, at=DECEMBER - timedelta(seconds=1))
    called(library, usage={"embedding_tokens": 123_457})
    corrected(sales, -1234, call_id=before.usage_record_id)
    corrected(service, 55)
    settled(lost.reservation_id, at=MIDDLE, input_tokens=1)
    for fields in (
        {"name": "Platform", "method": "PROPORTIONAL", "amount_nanos": 1_000_000_007},
        {"name": "Library", "method": "EVEN", "source_department": library},
    ):
        SharedCost.objects.create(starts_on=date(2025, 11, 1), **fields)
    return sales


def exported(*options: str) -> list[dict[str, str]]:
    out = io.StringIO()
    call_command("billing_export_focus", "--month", "2025-11", *options, stdout=out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert tuple(rows[0]) == COLUMNS
    return rows


def problems_of(rows: list[dict[str, str]]) -> list[str]:
    found = list(header_problems(list(rows[0])))
    for number, row in enumerate(rows):
        found += [f"row {number}: {problem}" for problem in row_problems(row)]
    return found + list(set_problems(rows))


def billed(rows: list[dict[str, str]]) -> int:
    return in_nanos(sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0)))


@pytest.mark.usefixtures("sales")
def test_every_row_keeps_the_rules_and_the_sum_is_the_statements() -> None:
    for options in ((), ("--detail",)):
        rows = exported(*options)
        assert problems_of(rows) == []
        assert {row["InvoiceId"] for row in rows} == {""}
    close_month(starts_at=NOVEMBER)
    statements = Statement.objects.filter(month__starts_at=NOVEMBER)
    for options in ((), ("--detail",)):
        rows = exported(*options)
        assert problems_of(rows) == []
        kinds = {row["x_ChargeKind"] for row in rows}
        assert kinds == {"usage", "correction", "true-up", "shared"}
        assert {row["InvoiceId"] for row in rows} == {str(one.pk) for one in statements}
        for one in statements:
            own = [row for row in rows if row["InvoiceId"] == str(one.pk)]
            assert billed(own) == one.total_nanos, one.department_code
            assert {row["SubAccountId"] for row in own} == {one.department_code}


def _price_id(row: dict[str, str]) -> int:
    return int(row["SkuPriceId"].partition("#")[2])


@pytest.mark.usefixtures("sales")
def test_a_day_has_a_row_for_each_meter_and_price() -> None:
    rows = [
        row
        for row in exported("--department", "sales")
        if row["ChargePeriodStart"] == "2025-11-15T00:00:00Z"
        and (row["SkuMeter"], row["Tags"], row["ResourceId"]) == ("Input Tokens", "", "")
        and row["x_Model"] == "model"
    ]
    old, new = Price.objects.filter(meter=Meter.INPUT).order_by("starts_at")
    calls = UsageRecord.objects.filter(created_at__date=date(2025, 11, 15), input_tokens__gt=1000)
    for price, row in zip((old, new), sorted(rows, key=_price_id), strict=True):
        charged = calls.filter(price_ids__INPUT=price.pk, department__code="sales")
        tokens = sum(call.input_tokens for call in charged)
        assert row["SkuPriceId"] == f"provider/model/INPUT#{price.pk}"
        assert row["ConsumedQuantity"] == str(tokens)
        assert Decimal(row["PricingQuantity"]) == Decimal(tokens) / 10**6
        assert Decimal(row["ListUnitPrice"]) * 10**9 == price.nanos_per_million_tokens
        exact = Decimal(tokens * price.nanos_per_million_tokens) / 10**6
        assert abs(Decimal(row["BilledCost"]) * 10**9 - exact) < len(charged) + 1


@pytest.mark.usefixtures("sales")
def test_meters_without_a_price_of_their_own_are_other_skus_at_the_same_price() -> None:
    rows = {row["SkuMeter"]: row for row in exported() if row["Tags"]}
    embedded, output = rows["Embedded Tokens"], rows["Output Tokens"]
    price = Price.objects.filter(meter=Meter.INPUT).latest("starts_at")
    assert embedded["SkuPriceId"] == f"provider/model/EMBEDDING#{price.pk}"
    assert embedded["Tags"] == output["Tags"] == '{"pilot": true, "rollout": true}'
    free = [row for row in exported() if row["x_Model"] == "unpriced"]
    assert {(row["BilledCost"], row["ListUnitPrice"]) for row in free} == {("0", "0")}
    assert {row["SkuPriceId"].partition("#")[2] for row in free} == {"free"}


@pytest.mark.usefixtures("sales")
def test_audio_is_counted_in_seconds_and_a_key_is_a_resource() -> None:
    rows = exported()
    [audio] = [row for row in rows if row["SkuMeter"] == "Audio Duration"]
    assert (audio["ConsumedQuantity"], audio["ConsumedUnit"]) == ("61.234", "Seconds")
    assert (audio["PricingQuantity"], audio["PricingUnit"]) == ("0.061234", "1000 Seconds")
    with_key = [row for row in rows if row["ResourceId"]]
    assert {(row["ResourceName"], row["ResourceType"]) for row in with_key} == {
        ("Nightly job", "API key")
    }


@pytest.mark.usefixtures("sales")
def test_what_corrects_an_earlier_month_says_so() -> None:
    rows = {
        (row["x_ChargeKind"], row["SubAccountId"]): row
        for row in exported()
        if row["ChargeCategory"] == "Adjustment"
    }
    credit = rows["correction", "sales"]
    assert (credit["ChargeClass"], credit["BilledCost"]) == ("Correction", "-0.000001234")
    assert credit["ChargeDescription"] == "Agreed with finance"
    assert rows["correction", "service"]["ChargeClass"] == ""
    late = rows["true-up", "sales"]
    assert (late["ChargeClass"], late["ProviderName"]) == ("Correction", "provider")


@pytest.mark.usefixtures("sales")
def test_names_that_would_be_formulas_are_not() -> None:
    [name] = {row["SubAccountName"] for row in exported("--department", "service")}
    assert name == "'=Service"


def test_days_and_periods_are_those_of_the_billing_time_zone(owner: User, settings: Any) -> None:
    settings.BILLING_TIME_ZONE = "America/New_York"
    set_prices()
    sales = DepartmentFactory(code="sales")
    called(sales, at=datetime(2025, 11, 1, 4, tzinfo=UTC))
    called(sales, at=datetime(2025, 11, 2, 12, tzinfo=UTC))
    called(sales, at=datetime(2025, 11, 1, 3, 59, 59, tzinfo=UTC))
    rows = exported()
    assert problems_of(rows) == []
    assert {(row["BillingPeriodStart"], row["BillingPeriodEnd"]) for row in rows} == {
        ("2025-11-01T04:00:00Z", "2025-12-01T05:00:00Z")
    }
    days = {(row["ChargePeriodStart"], row["ChargePeriodEnd"]) for row in rows}
    # The second day has 25 hours.
    assert days == {
        ("2025-11-01T04:00:00Z", "2025-11-02T04:00:00Z"),
        ("2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"),
    }


def test_cost_that_no_meter_explains_has_a_row_of_its_own(sales: Department) -> None:
    call = UsageRecord.objects.filter(outcome=Outcome.FAILED).get()
    charged = focus_rows.Charged({sales.pk: {"BillingCurrency": "USD"}})
    charge = (sales.pk, call.product, call.purpose, None, "provider", "model", [], {})
    [(nanos, line)] = focus_rows._day(
        charged, ("", ""), [(*charge, 7, *(0 for _meter in focus_rows.METERS))]
    )
    row = dict(zip(COLUMNS, next(csv.reader([line])), strict=True))
    assert (nanos, row["ChargeCategory"], row["BilledCost"]) == (7, "Adjustment", "0.000000007")


@pytest.mark.usefixtures("sales")
def test_rows_that_do_not_add_up_are_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    output = tmp_path / "focus.csv"
    output.write_text("the export of before")
    monkeypatch.setattr(focus_rows.focus, "shared_rows", lambda *_parts: iter(()))
    with pytest.raises(CommandError, match="add up to"):
        call_command("billing_export_focus", "--month", "2025-11", "--output", str(output))
    assert output.read_text() == "the export of before"
    assert [file.name for file in tmp_path.iterdir()] == ["focus.csv"]
    assert issubclass(ExportError, Exception)


@pytest.mark.usefixtures("sales")
def test_a_file_is_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "focus.csv"
    call_command("billing_export_focus", "--month", "2025-11", "--output", str(output))
    assert "preview" in capsys.readouterr().err
    call_command("billing_export_focus", "--month", "2025-11")
    assert output.read_bytes().decode() == capsys.readouterr().out
    assert b"\r\n" in output.read_bytes()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--month", "2025-13"), "no month"),
        (("--month", "2999-01"), "not begun"),
        (("--month", "2025-11", "--department", "none"), "no department"),
        (("--month", "2025-11", "--output", "/none/such/file.csv"), "No such file"),
    ],
)
def test_what_makes_no_sense_is_refused(options: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("billing_export_focus", *options)


# Each of these must be found, or the test above says nothing.
BROKEN: tuple[tuple[dict[str, str], str], ...] = (
    ({"BilledCost": ""}, "BilledCost: is null"),
    ({"BilledCost": "1,5"}, "BilledCost: is no number"),
    ({"BilledCost": "+1"}, "BilledCost: is no number"),
    ({"BilledCost": "1E+2"}, "BilledCost: is no number"),
    ({"BillingCurrency": "US$"}, "BillingCurrency: is no ISO 4217 code"),
    ({"BillingPeriodStart": "2025-11-01"}, "BillingPeriodStart: is no moment in UTC"),
    ({"ChargePeriodStart": "2025-11-01T00:00:00+00:00"}, "ChargePeriodStart: is no moment in UTC"),
    ({"ChargePeriodEnd": "2026-01-01T00:00:00Z"}, "ChargePeriodEnd: is in another billing period"),
    ({"ChargeCategory": "Use"}, "ChargeCategory: Use is not allowed"),
    ({"ChargeCategory": "Credit"}, "ConsumedQuantity: is null where nothing was used"),
    ({"ChargeClass": "Fix"}, "ChargeClass: Fix is not allowed"),
    ({"ConsumedUnit": ""}, "ConsumedUnit: is null when ConsumedQuantity is, and only then"),
    ({"ConsumedUnit": "tokens"}, "ConsumedUnit: is no unit"),
    ({"ListUnitPrice": "9"}, "ListCost: is not ListUnitPrice × PricingQuantity"),
    ({"ListUnitPrice": "-1"}, "ListUnitPrice: is negative"),
    ({"SkuPriceId": ""}, "SkuPriceId: is null for what was used"),
    ({"SkuId": ""}, "SkuMeter: is null when SkuId is"),
    ({"ServiceSubcategory": "Search"}, "ServiceSubcategory: Search is not one of"),
    ({"SubAccountName": ""}, "SubAccountName: is null when SubAccountId is, and only then"),
    ({"Tags": '{"a": [1]}'}, "Tags: is no JSON object of plain values"),
    ({"Tags": '{"a": 1, "a": 2}'}, "Tags: is no JSON object of plain values"),
    ({"PublisherName": "N/A"}, "PublisherName: a stand-in for null"),
    ({"EffectiveCost": "0.5"}, "EffectiveCost: nothing is paid ahead"),
)


def test_the_rules_find_what_is_wrong() -> None:
    set_prices()
    called(DepartmentFactory())
    row = next(row for row in exported() if row["SkuMeter"] == "Input Tokens")
    assert list(row_problems(row)) == []
    for change, problem in BROKEN:
        found = list(row_problems(row | change))
        assert any(one.startswith(problem) for one in found), (change, found)
    without = [name for name in COLUMNS if name != "ListCost"]
    assert list(header_problems(without)) == ["ListCost: is missing"]
    assert list(header_problems([*COLUMNS, "Model"])) == [
        "Model: a column of one's own starts with x_",
        "columns of one's own come last",
    ]
    other = row | {"SkuId": "another"}
    assert "SkuPriceId" in next(set_problems([row, other]))
