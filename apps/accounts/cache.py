"""The keyspaces of people: what each may read, and how far the things readable by an audience have moved."""

from apps.caching.keyspaces import Keyspace, Sharing, register

AUDIENCE_SET: Keyspace[tuple[int, ...]] = register(
    Keyspace(
        name="accounts:audience-set:1",
        key_fields=("user_id",),
        help_text="The audiences a person is part of: what they may read.",
        fresh_by="Triggers on memberships, named people, audiences and the person's own row.",
        shared_by=Sharing.USER,
        ttl_seconds=600,
        l1_ttl_seconds=1,
        l1_share_ratio=0.1,
        load=tuple,
    )
)
AUDIENCE_GENERATION: Keyspace[int] = register(
    Keyspace(
        name="accounts:audience-generation:1",
        key_fields=("audience_id",),
        help_text="The generation of an audience: it moves with each change of what its people may read.",
        fresh_by="Triggers on audiences.",
        shared_by=Sharing.AUDIENCES,
        ttl_seconds=600,
        l1_ttl_seconds=1,
        l1_share_ratio=0.1,
    )
)
SESSION: Keyspace[tuple[str, float] | None] = register(
    Keyspace(
        name="accounts:session:1",
        key_fields=("session_key",),
        help_text="The signed data of a session, and when it ends. Never in the memory of a process.",
        fresh_by="Saving and ending a session, and triggers on sessions.",
        shared_by=Sharing.USER,
        ttl_seconds=300,
        max_value_bytes=64 * 1024,
        load=lambda stored: (stored[0], stored[1]),
    )
)
