"""The keyspaces of money: the price book and operators' totals. Budgets, and what a call costs, are read from no cache."""

from apps.billing.reports import UsageReport
from apps.caching.keyspaces import Keyspace, Sharing, register

PRICE_BOOK: Keyspace[tuple[tuple[str, int], ...]] = register(
    Keyspace(
        name="billing:price-book:1",
        key_fields=("provider_code", "model_code"),
        help_text="The prices of a model that are in force now, to be shown. Calls are charged from the price rows.",
        fresh_by="Saving prices, and triggers on them; a price set for a later moment shows when its copy ends.",
        shared_by=Sharing.EVERYONE,
        ttl_seconds=60,
        l1_ttl_seconds=5,
        l1_share_ratio=0.02,
        stale_if_error_seconds=600,
        load=lambda stored: tuple((meter, nanos) for meter, nanos in stored),
    )
)
DASHBOARD: Keyspace[UsageReport] = register(
    Keyspace(
        name="billing:dashboard:1",
        key_fields=("starts_at", "ends_at"),
        help_text="Totals of a month for the admin, by department, model and purpose.",
        fresh_by="Its lifetime alone: totals are as old as that at most.",
        shared_by=Sharing.OPERATORS,
        ttl_seconds=30,
        stale_if_error_seconds=300,
        load=UsageReport.from_json,
    )
)
