"""The keyspace of money: prices to be shown. Budgets, cost, and what a call costs are read from no cache."""

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
