"""The price book: what counts when, and the history of a model with its meters side by side."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError
from django.utils import timezone

from apps.billing import price_book
from apps.billing.models import Meter, Price
from tests.factories.billing import PriceFactory

pytestmark = pytest.mark.django_db

JANUARY, MAY, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 5, 7))


def history(at: datetime) -> price_book.ModelPrices:
    return price_book.history(provider_code="provider", model_code="model", at=at)


def amounts(span: price_book.PriceSpan) -> list[int | None]:
    return [cell.row.nanos_per_million_tokens if cell.row else None for cell in span.cells]


def test_the_meters_of_a_model_stand_side_by_side_newest_first() -> None:
    PriceFactory(starts_at=JANUARY, nanos_per_million_tokens=10)
    PriceFactory(starts_at=JULY, nanos_per_million_tokens=12)
    PriceFactory(starts_at=MAY, meter=Meter.OUTPUT, nanos_per_million_tokens=40)
    PriceFactory(model_code="another", starts_at=MAY)
    prices = history(at=MAY + timedelta(days=3))
    assert prices.meters == [Meter.INPUT, Meter.OUTPUT]
    assert [amounts(span) for span in prices.spans] == [[12, 40], [10, 40], [10, None]]
    assert [span.starts_at for span in prices.spans] == [JULY, MAY, JANUARY]
    assert [span.ends_at for span in prices.spans] == [None, JULY, MAY]
    assert [span.is_now for span in prices.spans] == [False, True, False]
    assert [span.is_to_come for span in prices.spans] == [True, False, False]
    assert [cell.begins_here for cell in prices.spans[1].cells] == [False, True]


def test_a_meter_without_a_price_names_the_one_that_stands_in() -> None:
    PriceFactory(meter=Meter.INPUT)
    PriceFactory(meter=Meter.CACHE_READ)
    assert set(history(at=MAY).stand_ins) == {
        (Meter.CACHE_WRITE, Meter.INPUT),
        (Meter.EMBEDDING, Meter.INPUT),
        (Meter.BATCH_INPUT, Meter.INPUT),
    }


def test_a_row_ends_where_the_next_of_its_meter_begins() -> None:
    first = PriceFactory(starts_at=JANUARY)
    second = PriceFactory(starts_at=MAY)
    PriceFactory(starts_at=JULY, model_code="another")
    PriceFactory(starts_at=JULY, meter=Meter.OUTPUT)
    ends = {row.pk: row.ends_at for row in Price.objects.with_ends()}  # type: ignore[attr-defined]
    assert (ends[first.pk], ends[second.pk]) == (MAY, None)


def test_the_database_refuses_to_change_a_price_and_to_delete_one_in_force() -> None:
    price, later = PriceFactory(), PriceFactory(starts_at=timezone.now() + timedelta(days=1))
    for forbidden in (
        lambda: Price.objects.filter(pk=price.pk).update(nanos_per_million_tokens=1),
        lambda: Price.objects.filter(pk=later.pk).update(nanos_per_million_tokens=1),
        price.delete,
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            forbidden()
    later.delete()
    assert Price.objects.get().nanos_per_million_tokens == price.nanos_per_million_tokens


def test_the_page_names_the_stand_ins_the_database_charges_by() -> None:
    for meter in (Meter.INPUT, Meter.OUTPUT):
        PriceFactory(meter=meter)
    charged = {}
    with connection.cursor() as cursor:
        for meter in Meter:
            cursor.execute(
                "SELECT (billing_price_v2('provider', 'model', %s, now())).meter", [meter]
            )
            [charged[meter]] = cursor.fetchone()
    assert charged == {
        meter: price_book.STANDS_IN.get(meter, meter if meter in {"INPUT", "OUTPUT"} else None)
        for meter in Meter
    }
