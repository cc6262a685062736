"""What an operator may turn about uploads, ingestion and retrieval while everything runs."""

from apps.tuning.registry import Parameter, register

register(
    Parameter(
        name="documents.upload_max_bytes",
        default=50 * 1024 * 1024,
        minimum=1024,
        maximum=500 * 1024 * 1024,
        unit="bytes",
        help_text="Largest file that may be uploaded. It passes through memory once, in the web and in the worker process.",
    ),
    Parameter(
        name="documents.embedding_batch_size",
        default=16,
        minimum=1,
        maximum=512,
        unit="texts",
        help_text="Passages sent to the embedding model in one call. Small: finer progress, less lost with a killed worker.",
        moves="ingestion time",
    ),
    Parameter(
        name="documents.ingest_attempts",
        default=5,
        minimum=1,
        maximum=50,
        unit="attempts",
        help_text="How often a run is begun, after failures and killed workers, before it waits for somebody to press retry.",
    ),
    Parameter(
        name="documents.ingest_lease_seconds",
        default=90,
        minimum=20,
        maximum=3600,
        unit="s",
        help_text="How long a silent worker keeps its run before another may take it. Above the longest embedding call.",
    ),
)
