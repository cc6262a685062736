"""The rules of FOCUS 1.2 that a cost and usage data set has to keep, in our words, as checks of what is in a CSV.

Written from the specification's column and attribute requirements; each problem names the column and the rule.
A column is `MANDATORY`, or present because Parley has what it is for (`CONDITIONAL`, `RECOMMENDED`). An empty field is null.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

Row = Mapping[str, str]

MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart",
    "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit",
    "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
}  # fmt: skip
RECOMMENDED = {"ChargeFrequency", "InvoiceId", "ServiceSubcategory"}
# Usage is measured; prices are listed, by SKU, and agreed; departments and types of account exist; keys are resources;
# calls carry tags.
CONDITIONAL = {
    "BillingAccountType", "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "ListUnitPrice",
    "PricingCategory", "ResourceId", "ResourceName", "ResourceType", "SkuId", "SkuMeter", "SkuPriceDetails",
    "SkuPriceId", "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
}  # fmt: skip
DEFINED = MANDATORY | RECOMMENDED | CONDITIONAL

NEVER_NULL = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency",
    "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeDescription", "ChargeFrequency",
    "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
    "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "ServiceSubcategory",
}  # fmt: skip
NUMBERS = {
    "BilledCost", "ConsumedQuantity", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "ListCost",
    "ListUnitPrice", "PricingQuantity",
}  # fmt: skip
NOT_NEGATIVE = {"ContractedUnitPrice", "ListUnitPrice"}
MOMENTS = {"BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart"}
UNITS = {"ConsumedUnit", "PricingUnit"}
OBJECTS = {"SkuPriceDetails", "Tags"}
# Never null for what was used or bought, unless the row corrects an earlier bill.
NEEDED_FOR_USAGE = {
    "ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "PricingQuantity", "SkuId", "SkuPriceId",
}  # fmt: skip
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {
        "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools",
        "Identity", "Integration", "Internet of Things", "Management and Governance", "Media", "Migration", "Mobile",
        "Multicloud", "Networking", "Security", "Storage", "Web", "Other",
    },
}  # fmt: skip
# Of the categories we use; each subcategory has one parent.
SUBCATEGORIES = {
    "Bots": "AI and Machine Learning",
    "Generative AI": "AI and Machine Learning",
    "Machine Learning": "AI and Machine Learning",
    "Natural Language Processing": "AI and Machine Learning",
    "Other (AI and Machine Learning)": "AI and Machine Learning",
    "Other (Other)": "Other",
}
# (column, other): null exactly when the other is.
TOGETHER = (
    ("ConsumedUnit", "ConsumedQuantity"),
    ("PricingUnit", "PricingQuantity"),
    ("ResourceType", "ResourceId"),
    ("SubAccountName", "SubAccountId"),
    ("SubAccountType", "SubAccountId"),
    ("BillingAccountType", "BillingAccountId"),
)
# (column, other): null whenever the other is.
ONLY_WITH = (
    ("ResourceName", "ResourceId"),
    ("SkuMeter", "SkuId"),
    ("SkuPriceDetails", "SkuPriceId"),
)
# (column, other): one value of the first has one of the second.
ONE_PARENT = (
    ("SkuPriceId", "SkuId"),
    ("SkuPriceId", "ListUnitPrice"),
    ("SkuPriceId", "SkuPriceDetails"),
    ("SkuId", "SkuMeter"),
    ("ServiceName", "ServiceCategory"),
    ("ServiceName", "ServiceSubcategory"),
    ("InvoiceId", "BillingAccountId"),
    ("ResourceId", "ResourceName"),
)

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE]-?\d+)?")
MOMENT = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3])(:[0-5]\d){2}Z")
CURRENCY = re.compile(r"[A-Z]{3}")
# A whole number, then the plural of a count or a length of time.
UNIT = re.compile(
    r"([1-9]\d* )?(Tokens|Requests|Units|Counts|Seconds|Minutes|Hours|Days|Months|Years)"
)
PASCAL = re.compile(r"[A-Z][A-Za-z0-9]{0,49}")
CUSTOM = re.compile(r"x_[A-Z][A-Za-z0-9]{0,47}")


def header_problems(header: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the columns: presence, names, order."""
    for name in sorted(DEFINED - set(header)):
        yield f"{name}: is missing"
    for name in header:
        if name not in DEFINED and not CUSTOM.fullmatch(name):
            yield f"{name}: a column of one's own starts with x_"
        if name in DEFINED and not PASCAL.fullmatch(name):
            yield f"{name}: is not in Pascal case"
        if list(header).count(name) > 1:
            yield f"{name}: is there twice"
    if list(header) != sorted(header, key=lambda name: name.startswith("x_")):
        yield "columns of one's own come last"


def row_problems(row: Row) -> Iterator[str]:
    """Yield what is wrong with one row."""
    for check in (_nulls, _formats, _values, _pairs, _periods, _costs, _quantities):
        yield from check(row)


def set_problems(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what is wrong between rows."""
    for name, other in ONE_PARENT:
        parents: dict[str, str] = {}
        for row in rows:
            if row[name] and parents.setdefault(row[name], row[other]) != row[other]:
                yield f"{name}: {row[name]} has more than one {other}"


def _nulls(row: Row) -> Iterator[str]:
    yield from (f"{name}: is null" for name in sorted(NEVER_NULL) if not row[name])
    for name, value in row.items():
        if value and not value.strip():
            yield f"{name}: nothing but spaces"
        if value in {"NULL", "null", "None", "N/A", "Not Applicable"}:
            yield f"{name}: a stand-in for null"


def _formats(row: Row) -> Iterator[str]:
    shapes: tuple[tuple[set[str], Callable[[str], object], str], ...] = (
        (NUMBERS, NUMBER.fullmatch, "is no number"),
        (MOMENTS, MOMENT.fullmatch, "is no moment in UTC"),
        (UNITS, UNIT.fullmatch, "is no unit"),
        (OBJECTS, _is_flat_object, "is no JSON object of plain values"),
        ({"BillingCurrency"}, CURRENCY.fullmatch, "is no ISO 4217 code"),
    )
    for names, is_right, problem in shapes:
        yield from (
            f"{name}: {problem}" for name in sorted(names) if row[name] and not is_right(row[name])
        )
    for name in sorted(NOT_NEGATIVE):
        if row[name].startswith("-"):
            yield f"{name}: is negative"


def _is_flat_object(text: str) -> bool:
    if not text.startswith("{"):
        return False
    try:
        pairs: list[tuple[str, object]] = json.loads(text, object_pairs_hook=list)
    except ValueError:
        return False
    keys = [key for key, _value in pairs]
    plain = all(isinstance(value, str | int | float | bool | None) for _key, value in pairs)
    return plain and len(set(keys)) == len(keys)


def _keys(text: str) -> list[str]:
    return list(json.loads(text)) if _is_flat_object(text) else []


def _values(row: Row) -> Iterator[str]:
    for name, allowed in ALLOWED.items():
        if row[name] and row[name] not in allowed:
            yield f"{name}: {row[name]} is not allowed"
    if SUBCATEGORIES.get(row["ServiceSubcategory"]) != row["ServiceCategory"]:
        yield f"ServiceSubcategory: {row['ServiceSubcategory']} is not one of {row['ServiceCategory']}"
    if row["ChargeFrequency"] == "Usage-Based" and row["ChargeCategory"] == "Purchase":
        yield "ChargeFrequency: nothing bought is usage-based"
    if any(key.startswith("x_") for key in _keys(row["Tags"])):
        yield "Tags: there is one scheme of tags, so none has a prefix"
    for key in _keys(row["SkuPriceDetails"]):
        if not key.startswith("x_"):
            yield f"SkuPriceDetails: {key} is none of FOCUS's own, so it starts with x_"


def _pairs(row: Row) -> Iterator[str]:
    for name, other in TOGETHER:
        if bool(row[name]) != bool(row[other]):
            yield f"{name}: is null when {other} is, and only then"
    for name, other in ONLY_WITH:
        if row[name] and not row[other]:
            yield f"{name}: is null when {other} is"


def _periods(row: Row) -> Iterator[str]:
    for kind in ("Billing", "Charge"):
        if not row[f"{kind}PeriodStart"] < row[f"{kind}PeriodEnd"]:
            yield f"{kind}PeriodEnd: is not after the start"
    if not row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["BillingPeriodEnd"]:
        yield "ChargePeriodStart: is in another billing period"
    if row["ChargePeriodEnd"] > row["BillingPeriodEnd"]:
        yield "ChargePeriodEnd: is in another billing period"


def _costs(row: Row) -> Iterator[str]:
    is_correction = row["ChargeClass"] == "Correction"
    for cost, price in (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")):
        if not NUMBER.fullmatch(row[cost]):
            continue
        if not row[price] and row[cost] != row["BilledCost"]:
            yield f"{cost}: without a unit price it is what was billed"
        if row[price] and row["PricingQuantity"] and not is_correction:
            product = Decimal(row[price]) * Decimal(row["PricingQuantity"])
            if product != Decimal(row[cost]):
                yield f"{cost}: is not {price} × PricingQuantity"
    if row["EffectiveCost"] != row["BilledCost"]:
        yield "EffectiveCost: nothing is paid ahead, so it is what was billed"


def _quantities(row: Row) -> Iterator[str]:
    is_correction = row["ChargeClass"] == "Correction"
    category = row["ChargeCategory"]
    if category != "Usage" and row["ConsumedQuantity"]:
        yield "ConsumedQuantity: is null where nothing was used"
    if category == "Usage" and not is_correction and not row["ConsumedQuantity"]:
        yield "ConsumedQuantity: is null"
    if category in {"Usage", "Purchase"} and not is_correction:
        yield from (
            f"{name}: is null for what was used"
            for name in sorted(NEEDED_FOR_USAGE)
            if not row[name]
        )
