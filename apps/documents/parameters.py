"""What an operator may turn about uploads, ingestion and retrieval while everything runs."""

from django.utils.translation import gettext_noop as _

from apps.tuning.registry import Parameter, register

register(
    Parameter(
        name="documents.upload_max_bytes",
        default=50 * 1024 * 1024,
        minimum=1024,
        maximum=500 * 1024 * 1024,
        unit=_("bytes"),
        help_text=_(
            "Largest file that may be uploaded. It passes through memory once, in the web and in the worker process."
        ),
        moves=_("memory of web and workers"),
    ),
    Parameter(
        name="documents.embedding_batch_size",
        default=16,
        minimum=1,
        maximum=64,
        unit=_("texts"),
        help_text=_(
            "Passages sent to the embedding model in one call. Small: finer progress, less lost with a killed worker."
        ),
        moves=_("ingestion time"),
    ),
    Parameter(
        name="documents.ingest_attempts",
        default=5,
        minimum=1,
        maximum=50,
        unit=_("attempts"),
        help_text=_(
            "How often a run is begun, after failures and killed workers, before it waits for somebody to press retry."
        ),
        moves=_("time until a document is shown as failed"),
    ),
    Parameter(
        name="documents.ingest_lease_seconds",
        default=90,
        minimum=20,
        maximum=3600,
        unit=_("seconds"),
        help_text=_(
            "How long a silent worker keeps its run before another may take it. Above the longest embedding call."
        ),
        moves=_("time until a lost run goes on"),
    ),
)

register(
    Parameter(
        name="documents.retrieval_postings_budget",
        default=10_000,
        minimum=500,
        maximum=1_000_000,
        unit=_("postings"),
        help_text=_(
            "How many postings the text search reads for a question, rarest words first. What common words add is "
            "counted for the passages found. More finds more where questions have only common words, and takes longer."
        ),
        moves=_("search time"),
    ),
    Parameter(
        name="documents.retrieval_candidate_count",
        default=200,
        minimum=20,
        maximum=1000,
        unit=_("passages"),
        help_text=_(
            "How many passages each of text and vector search passes on to be ranked together."
        ),
        moves=_("search time"),
    ),
    Parameter(
        name="documents.retrieval_exact_scan_passages",
        default=10_000,
        minimum=0,
        maximum=100_000,
        unit=_("passages"),
        help_text=_(
            "A person who can read no more passages than this has each compared with the question, which misses none; "
            "above it the approximate index is used."
        ),
        moves=_("search time"),
    ),
    Parameter(
        name="documents.retrieval_vector_weight",
        default=0.65,
        minimum=0.0,
        maximum=1.0,
        unit=_("share"),
        help_text=_(
            "Share of meaning (vectors) in a passage's score; the rest is its words. 0: words only."
        ),
        moves=_("recall"),
    ),
    Parameter(
        name="documents.retrieval_feedback_count",
        default=5,
        minimum=0,
        maximum=50,
        unit=_("passages"),
        help_text=_(
            "The ranking leans towards what the best so many passages have in common. 0: it does not."
        ),
        moves=_("recall"),
    ),
    Parameter(
        name="documents.retrieval_feedback_weight",
        default=1.0,
        minimum=0.0,
        maximum=5.0,
        unit=_("share of the question's own weight"),
        help_text=_("How much the ranking leans towards what the best passages have in common."),
        moves=_("recall"),
    ),
    Parameter(
        name="documents.sentence_candidate_count",
        default=24,
        minimum=1,
        maximum=200,
        unit=_("sentences"),
        help_text=_(
            "How many sentences of the found passages are compared with the question by meaning; about 6 ms each."
        ),
        moves=_("time to first token"),
    ),
)
