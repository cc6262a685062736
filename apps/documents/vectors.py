"""The vector index: one partial HNSW index for each embedding model, so that models serve side by side."""

from uuid import UUID

from django.db import connection, transaction

from apps.llm.types import Choice

# pgvector's limit for an HNSW index on halfvec; longer vectors are compared one by one.
MAX_INDEXED_DIMENSIONS = 4000


def ensure_index(choice: Choice) -> None:
    """Create the model's index if it is missing; best called before its first vector, when that takes no time."""
    name = index_name(choice.llm_model_id)
    if choice.dimensions is None or choice.dimensions > MAX_INDEXED_DIMENSIONS or _exists(name):
        return
    with transaction.atomic(), connection.cursor() as cursor:
        # IF NOT EXISTS alone fails when two ask at the same instant.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (name,))
        cursor.execute(
            f"CREATE INDEX IF NOT EXISTS {name} ON documents_passageembedding "
            f"USING hnsw ((vector::halfvec({int(choice.dimensions)})) halfvec_ip_ops) "
            f"WHERE llm_model_id = '{choice.llm_model_id}'"
        )


def index_name(llm_model_id: UUID) -> str:
    """Return the name of a model's index."""
    return f"embedding_hnsw_{llm_model_id.hex}"


def _exists(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))
        [exists] = cursor.fetchone()
    return bool(exists)
