"""The table of usage records: append-only, by month, and months that don't matter are not read."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import Sum

from apps.billing import services, tasks
from apps.billing.costs import upkeep
from apps.billing.models import Outcome, UsageRecord
from apps.billing.types import Usage
from tests.factories.billing import call_context

pytestmark = pytest.mark.django_db


def record_at(at: datetime) -> UsageRecord:
    reserved = services.reserve(
        context=call_context(),
        provider_code="provider",
        model_code="model",
        max_input_tokens=1,
        max_output_tokens=1,
        at=at,
    )
    settled = services.settle(
        reservation_id=reserved.reservation_id,
        outcome=Outcome.COMPLETED,
        usage=Usage(input_tokens=1),
        elapsed_ms=1,
    )
    return UsageRecord.objects.get(pk=settled.usage_record_id)


def partition_of(record_id: UUID) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM billing_usagerecord WHERE id = %s", (record_id,)
        )
        [name] = cursor.fetchone()
    return str(name)


def test_records_can_t_be_changed_or_deleted() -> None:
    record = record_at(datetime.now(UTC))
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        UsageRecord.objects.update(amount_nanos=0)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        record.delete()
    assert UsageRecord.objects.get() == record


def test_a_month_with_a_partition_goes_there_and_any_other_to_the_default() -> None:
    tasks.make_partitions()
    now = datetime.now(UTC)
    assert partition_of(record_at(now).pk) == f"billing_usagerecord_{now:%Y_%m}"
    assert (
        partition_of(record_at(datetime(2019, 5, 1, tzinfo=UTC)).pk)
        == "billing_usagerecord_default"
    )


def test_making_partitions_again_makes_none() -> None:
    upkeep.make_partitions()
    assert upkeep.make_partitions() == 0


def test_records_that_came_before_their_partition_move_into_it() -> None:
    moment = datetime(2031, 2, 28, 23, 59, 59, tzinfo=UTC)
    record, other = record_at(moment), record_at(datetime(2019, 5, 1, tzinfo=UTC))
    # The foreign keys are checked at commit; PostgreSQL alters no table while checks are pending.
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert upkeep.make_partitions(at=moment) == 4
    assert partition_of(record.pk) == "billing_usagerecord_2031_02"
    assert partition_of(other.pk) == "billing_usagerecord_default"
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        UsageRecord.objects.filter(pk=other.pk).delete()


def test_a_month_s_report_reads_that_month_only() -> None:
    upkeep.make_partitions(at=datetime(2026, 11, 1, tzinfo=UTC))
    november = UsageRecord.objects.between(
        datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    )
    plan = november.values("department_id").annotate(nanos=Sum("amount_nanos")).explain()
    assert "billing_usagerecord_2026_11" in plan
    assert "billing_usagerecord_2026_12" not in plan
    assert "billing_usagerecord_default" not in plan


def test_a_department_s_months_are_found_by_their_index() -> None:
    department_id = call_context().department_id
    upkeep.make_partitions(at=datetime(2026, 11, 1, tzinfo=UTC))
    november = UsageRecord.objects.filter(department_id=department_id).between(
        datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    )
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
    assert "department_id_created_at_idx" in november.explain()
