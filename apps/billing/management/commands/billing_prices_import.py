"""`manage.py billing_prices_import`: seed price rows from the installed genai-prices list."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

# Half a second to load: in the command only.
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, StartDateConstraint

from apps.billing.price_list import METERS, ListPrice, import_prices, nanos_of


class Command(BaseCommand):
    help = "Add price rows for the models in the installed genai-prices list; an operator's own rows stand."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, write nothing")
        parser.add_argument("--json", action="store_true", help="print the counts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        result = import_prices(
            listed=_listed(now),
            is_dry_run=options["dry_run"],
            at=now,
            source=f"list genai-prices {version('genai-prices')}",
        )
        if options["json"]:
            self.stdout.write(json.dumps(asdict(result)))
            return
        self.stdout.write(
            _(
                "New: %(new_count)d. Unchanged: %(unchanged_count)d. Kept as an operator set them: "
                "%(kept_count)d. Models skipped, their prices being tiered or bound to hours: "
                "%(inexpressible_count)d."
            )
            % asdict(result)
        )


def _listed(now: datetime) -> Iterator[ListPrice]:
    for provider in get_snapshot().providers:
        for model in provider.models:
            nanos_by_meter = _nanos_by_meter(model, now)
            if nanos_by_meter is None or nanos_by_meter:
                yield ListPrice(provider.id, model.id, nanos_by_meter)


def _nanos_by_meter(model: ModelInfo, now: datetime) -> dict[Any, int] | None:
    """Return what the model costs from now on; None if that depends on the hour or on the prompt's length."""
    conditions = model.prices if isinstance(model.prices, list) else []
    if any(not isinstance(price.constraint, StartDateConstraint | None) for price in conditions):
        return None
    prices = model.get_prices(now)
    nanos_by_meter = {}
    for name, (meter, millions_of_units) in METERS.items():
        price = getattr(prices, name, None)
        if isinstance(price, Decimal):
            nanos_by_meter[meter] = nanos_of(price, millions_of_units)
        elif price is not None:
            return None
    return nanos_by_meter
