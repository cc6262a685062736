"""The import from genai-prices: once, offline, and never over an operator's price."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from apps.billing.models import Meter, Price
from apps.billing.price_list import IMPORTS, ListPrice, import_prices
from apps.tuning.models import Revision
from tests.factories.billing import LONG_AGO, PriceFactory

pytestmark = pytest.mark.django_db


def listed(nanos: int) -> list[ListPrice]:
    return [
        ListPrice("openai", "gpt-4o-mini", {Meter.INPUT: nanos}),
        ListPrice("x", "tiered", None),
    ]


def test_the_command_seeds_known_prices_and_run_again_adds_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("billing_prices_import", "--dry-run")
    assert not Price.objects.exists()
    call_command("billing_prices_import")
    prices = Price.objects.filter(provider_code="openai", model_code="gpt-4o-mini")
    assert {price.meter for price in prices} == {"INPUT", "CACHE_READ", "OUTPUT"}
    assert prices.get(meter="INPUT").nanos_per_million_tokens == 150_000_000
    assert _nanos("anthropic", "claude-3-5-sonnet", Meter.CACHE_WRITE) == 3_750_000_000
    # The list has embeddings as input, by which they are charged; 0.36 $ an hour of audio is 0.1 a million ms.
    assert _nanos("openai", "text-embedding-3-small", Meter.INPUT) == 20_000_000
    assert _nanos("openai", "whisper-1", Meter.AUDIO) == 100_000_000
    assert not Price.objects.filter(meter__in=("EMBEDDING", "BATCH_INPUT", "BATCH_OUTPUT")).exists()
    capsys.readouterr()
    call_command("billing_prices_import", "--json")
    assert json.loads(capsys.readouterr().out)["new_count"] == 0


def _nanos(provider_code: str, model_code: str, meter: Meter) -> int:
    rows = Price.objects.of_model(provider_code=provider_code, model_code=model_code)
    return rows.get(meter=meter).nanos_per_million_tokens


def test_an_import_is_one_revision_with_the_rows_by_provider() -> None:
    import_prices(listed=iter(listed(100)), is_dry_run=True)
    assert not Revision.objects.exists()
    for nanos, count in ((100, 1), (100, 1), (200, 2)):
        import_prices(listed=iter(listed(nanos)), source="list 1.0")
        assert Revision.objects.filter(subject=IMPORTS).count() == count
    newest = Revision.objects.active(IMPORTS).get()
    assert (newest.label, newest.changed) == ("list 1.0", {"openai": [None, 1]})


def test_a_changed_price_is_a_new_row_and_the_old_one_stays() -> None:
    import_prices(listed=iter(listed(100)), at=LONG_AGO)
    result = import_prices(listed=iter(listed(200)))
    assert (result.new_count, result.inexpressible_count) == (1, 1)
    assert list(
        Price.objects.order_by("starts_at").values_list("nanos_per_million_tokens", flat=True)
    ) == [
        100,
        200,
    ]


@pytest.mark.parametrize("ahead", [timedelta(days=-1), timedelta(days=30)])
def test_an_operator_s_price_stands(ahead: timedelta) -> None:
    PriceFactory(
        provider_code="openai",
        model_code="gpt-4o-mini",
        nanos_per_million_tokens=7,
        starts_at=timezone.now() + ahead,
    )
    result = import_prices(listed=iter(listed(200)))
    assert (result.new_count, result.kept_count) == (0, 1)
    assert Price.objects.get().nanos_per_million_tokens == 7
