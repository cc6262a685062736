"""A month's charges as FOCUS 1.2 rows (FinOps Open Cost and Usage Specification): which columns, and what is in them.

Parley as FOCUS sees it: the organisation is the billing account, a department a sub account, a statement the invoice,
a meter of a model the SKU, a price row the SKU price. Left out, as the specification has it for what a provider does
not support: regions and availability zones, commitment discounts, capacity reservations, pricing in another currency
than the billing one. Nothing here is translated: it is read by programs.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from operator import mul
from typing import Any

from apps.billing.models import Meter, Price, Statement
from apps.billing.statements.allocation import largest_remainder
from apps.core.money import in_units

Row = dict[str, str | int | Decimal | None]

# FOCUS's own in alphabetical order, then ours.
COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency",
    "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
    "ContractedUnitPrice", "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost", "ListUnitPrice",
    "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ResourceId",
    "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter",
    "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
    "x_CallId", "x_ChargeKind", "x_EntryId", "x_Model", "x_Product", "x_Purpose",
)  # fmt: skip

ISSUER = "Parley"
BILLING_ACCOUNT = {
    "BillingAccountId": "parley",
    "BillingAccountName": ISSUER,
    "BillingAccountType": "Organisation",
    "InvoiceIssuerName": ISSUER,
}
AI_SERVICE = {
    "ServiceCategory": "AI and Machine Learning",
    "ServiceName": "Language models",
    "ServiceSubcategory": "Generative AI",
}
SHARED_SERVICE = {
    "ServiceCategory": "Other",
    "ServiceName": "Shared costs",
    "ServiceSubcategory": "Other (Other)",
}
METER_NAMES = {
    Meter.INPUT: "Input Tokens",
    Meter.CACHE_READ: "Cache Read Tokens",
    Meter.CACHE_WRITE: "Cache Write Tokens",
    Meter.OUTPUT: "Output Tokens",
    Meter.EMBEDDING: "Embedded Tokens",
    Meter.BATCH_INPUT: "Batch Input Tokens",
    Meter.BATCH_OUTPUT: "Batch Output Tokens",
    Meter.AUDIO: "Audio Duration",
}
# A million tokens, as prices are kept; a million milliseconds of audio are a thousand seconds.
TOKEN_UNITS, AUDIO_UNITS = ("Tokens", "1000000 Tokens"), ("Seconds", "1000 Seconds")

# What the rows of usage of one charge differ in, in the order of COLUMNS; in `usage_row` each is a hole.
MEASURED = (
    "BilledCost", "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ContractedCost", "EffectiveCost",
    "ListCost", "PricingQuantity", "x_CallId",
)  # fmt: skip
# No text in PostgreSQL has it.
HOLE = "\0"


@dataclass(frozen=True, slots=True)
class Period:
    """A span of time, as FOCUS writes it: in UTC, to the second, its end excluded."""

    starts_at: datetime
    ends_at: datetime

    def columns(self, kind: str) -> Row:
        """Return the two columns of a "Billing" or "Charge" period."""
        return {
            f"{kind}PeriodStart": focus_time(self.starts_at),
            f"{kind}PeriodEnd": focus_time(self.ends_at),
        }


@dataclass(frozen=True, slots=True)
class Charge:
    """What the rows of one department's calls of a kind have in common."""

    common: Row
    provider_code: str
    model_code: str
    resource: Row
    own: Row
    tags: tuple[str, ...]


def focus_time(moment: datetime) -> str:
    """Return a moment as FOCUS wants it: 2026-11-01T00:00:00Z."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def common_columns(statement: Statement, period: Period, *, is_issued: bool) -> Row:
    """Return what all rows of a statement say; an open month has no invoice yet."""
    return {
        **BILLING_ACCOUNT,
        **period.columns("Billing"),
        "BillingCurrency": statement.currency,
        "InvoiceId": str(statement.pk) if is_issued else None,
        "SubAccountId": statement.department_code,
        "SubAccountName": statement.department_name,
        "SubAccountType": "Department",
    }


def billed_by_meter(
    amount_nanos: int, quantities: Sequence[int], prices_nanos: Sequence[int]
) -> list[int]:
    """Divide what calls cost over the meters they used, by what each costs to the last digit; the parts add up to it.

    Calls are rounded to the nano one by one, so a part can differ from quantity × price by as many half nanos as there
    were calls.
    """
    if len(quantities) == 1:
        return [amount_nanos]
    exact = [*map(mul, quantities, prices_nanos)]
    return largest_remainder(amount_nanos, exact if any(exact) else quantities)


def usage_row(charge: Charge, meter: Meter, price: Price | None) -> Row:
    """Return the row of one meter at one price, with a hole wherever something is measured."""
    unit_price = in_units(price.nanos_per_million_tokens if price else 0)
    unit, pricing_unit = AUDIO_UNITS if meter == Meter.AUDIO else TOKEN_UNITS
    sku = f"{charge.provider_code}/{charge.model_code}/{meter}"
    currency = charge.common["BillingCurrency"]
    return {
        **charge.common,
        **AI_SERVICE,
        **charge.resource,
        **charge.own,
        **dict.fromkeys(MEASURED, HOLE),
        "ListUnitPrice": unit_price,
        "ContractedUnitPrice": unit_price,
        "PricingCategory": "Standard",
        "PricingUnit": pricing_unit,
        "ConsumedUnit": unit,
        "ChargeCategory": "Usage",
        "ChargeDescription": (
            f"{METER_NAMES[meter]} of {charge.model_code} at {unit_price:f} {currency} per {pricing_unit}"
        ),
        "ChargeFrequency": "Usage-Based",
        "ProviderName": charge.provider_code,
        "PublisherName": charge.provider_code,
        "SkuId": sku,
        "SkuMeter": METER_NAMES[meter],
        # A meter without a price of its own is charged by another's row: the SKU is part of the price's name.
        "SkuPriceId": f"{sku}#{price.pk if price else 'free'}",
        "SkuPriceDetails": _price_details(price),
        "Tags": _tags(charge),
        "x_ChargeKind": "usage",
        "x_Model": charge.model_code,
    }


def consumed_places(meter: Meter) -> int:
    """Return how many decimals the quantity consumed has: audio is counted in milliseconds, and told in seconds."""
    return 3 if meter == Meter.AUDIO else 0


def unmetered_row(
    charge: Charge, amount_nanos: int, period: tuple[str, str], call_id: str = ""
) -> Row:
    """Return the row of calls that cost something though no meter counted anything."""
    return {
        **charge.common,
        "ChargePeriodStart": period[0],
        "ChargePeriodEnd": period[1],
        **_costs(amount_nanos),
        **AI_SERVICE,
        **charge.resource,
        **charge.own,
        "x_CallId": call_id,
        "ChargeCategory": "Adjustment",
        "ChargeDescription": f"Calls of {charge.model_code} without metered usage",
        "ChargeFrequency": "One-Time",
        "ProviderName": charge.provider_code,
        "PublisherName": charge.provider_code,
        "Tags": _tags(charge),
        "x_ChargeKind": "unmetered",
        "x_Model": charge.model_code,
    }


def adjustment_row(
    common: Row, period: Period, *, entry: Mapping[str, Any], is_of_earlier_month: bool
) -> Row:
    """Return the row of a correction or of usage that came after its estimate.

    `entry`: id, kind, reason, provider (empty: the organisation itself) and nanos, signed.
    """
    provider = entry["provider"] or ISSUER
    return {
        **common,
        **period.columns("Charge"),
        **_costs(entry["nanos"]),
        **AI_SERVICE,
        "ChargeCategory": "Adjustment",
        "ChargeClass": "Correction" if is_of_earlier_month else None,
        "ChargeDescription": entry["reason"],
        "ChargeFrequency": "One-Time",
        "ProviderName": provider,
        "PublisherName": provider,
        "x_ChargeKind": entry["kind"].lower().replace("_", "-"),
        "x_EntryId": str(entry["id"]),
    }


def shared_rows(common: Row, period: Period, lines: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """Yield a row for each of a statement's lines of shared cost."""
    for line in lines:
        yield {
            **common,
            **period.columns("Charge"),
            **_costs(line["amount_nanos"]),
            **SHARED_SERVICE,
            "ChargeCategory": "Adjustment",
            "ChargeDescription": f"Shared cost: {line['name']}",
            "ChargeFrequency": "Recurring",
            "ProviderName": ISSUER,
            "PublisherName": ISSUER,
            "x_ChargeKind": "shared",
        }


def _costs(nanos: int) -> Row:
    """Return the four costs of a charge without a unit price; what is billed is what it costs."""
    amount = in_units(nanos)
    return {
        "BilledCost": amount,
        "EffectiveCost": amount,
        "ListCost": amount,
        "ContractedCost": amount,
    }


def _tags(charge: Charge) -> str | None:
    return json.dumps(dict.fromkeys(charge.tags, True)) if charge.tags else None


def _price_details(price: Price | None) -> str | None:
    if price is None:
        return None
    return json.dumps({"x_ValidFrom": focus_time(price.starts_at), "x_Source": price.source})
