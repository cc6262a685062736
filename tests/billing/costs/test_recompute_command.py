"""`manage.py billing_recompute_rollups` says which months' totals differ from their calls, and makes them right."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.billing.costs import rollups
from apps.billing.models import HourlyCost, MonthlyCost
from tests.billing.costs.calls import Organisation, month

pytestmark = pytest.mark.django_db


@pytest.fixture
def _calls() -> None:
    organisation = Organisation()
    organisation.spend_by(month(2026, 9), count=5)
    organisation.spend_by(month(2026, 10), count=8)
    rollups.roll_up_batch(limit=100)


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("billing_recompute_rollups", *arguments, stdout=output)
    return output.getvalue()


def damage() -> None:
    one = HourlyCost.objects.filter(starts_at__gte=month(2026, 10)[0])[0]
    one.amount_nanos += 5_000_000_000
    one.save(update_fields=["amount_nanos"])


@pytest.mark.usefixtures("_calls")
def test_months_that_agree_are_left_alone() -> None:
    assert run() == "2026-09  totals and calls agree\n2026-10  totals and calls agree\n"


@pytest.mark.usefixtures("_calls")
def test_checking_changes_nothing_and_ends_with_one() -> None:
    damage()
    outputs = StringIO(), StringIO()
    for output in outputs:
        with pytest.raises(SystemExit) as ended:
            call_command("billing_recompute_rollups", "--check", "--json", stdout=output)
        assert ended.value.code == 1
    first, second = (json.loads(output.getvalue()) for output in outputs)
    assert first == second
    assert first == [
        {"month": "2026-09", "has_detail": True, "differences": [], "is_remade": False},
        {
            "month": "2026-10",
            "has_detail": True,
            "differences": [
                {"total_name": "hourlycost", "row_count": 1, "off_nanos": 5_000_000_000}
            ],
            "is_remade": False,
        },
    ]


@pytest.mark.usefixtures("_calls")
def test_what_differs_is_made_anew_in_the_month_that_is_named() -> None:
    damage()
    MonthlyCost.objects.filter(starts_at=month(2026, 9)[0]).delete()
    said = run("--month", "2026-10")
    assert said.startswith("2026-10  made anew\n")
    assert "hourlycost: 1 rows, off by 5.00 $" in said
    assert rollups.differences(starts_at=month(2026, 10)[0]) == []
    assert rollups.differences(starts_at=month(2026, 9)[0])
    [september, october] = json.loads(run("--json"))
    assert (september["is_remade"], october["is_remade"]) == (True, False)


@pytest.mark.usefixtures("_calls")
def test_a_month_whose_calls_were_removed_is_said_to_be_so() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("TRUNCATE billing_usagerecord")
    assert "2026-10  its calls were removed" in run("--month", "2026-10")


def test_a_month_that_is_none_is_refused(capsys: Any) -> None:
    with pytest.raises(CommandError, match="write it like 2026-11"):
        run("--month", "November")
