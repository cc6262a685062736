"""The keyspace of routes: which model serves what, with its provider's key, so in process memory only."""

from apps.caching.keyspaces import Keyspace, Sharing, register
from apps.llm.types import RoutedModel

ROUTE: Keyspace[RoutedModel] = register(
    Keyspace(
        name="llm:route:1",
        key_fields=("use",),
        help_text="The model that serves a use, and how its provider is reached. In memory only: it holds the "
        "provider's key.",
        fresh_by="Saving providers, models and routes, and triggers on them.",
        shared_by=Sharing.EVERYONE,
        ttl_seconds=300,
        has_l2=False,
        l1_ttl_seconds=300,
        l1_share_ratio=0.001,
    )
)
