"""The tunables of the reply pipeline."""

from django.utils.translation import gettext_noop as _

from apps.tuning.registry import Parameter, register

register(
    Parameter(
        name="chat.answer_similarity_threshold",
        default=0.50,
        minimum=0.0,
        maximum=1.0,
        unit=_("cosine similarity"),
        help_text=_(
            "A model that is given sentences is not asked when the best sentence is less similar to the question than "
            "this: the answer is then that the documents don't say. Lower answers more, and more wrongly."
        ),
        moves=_("share of questions refused"),
    ),
    Parameter(
        name="chat.sentence_count",
        default=1,
        minimum=1,
        maximum=10,
        unit=_("sentences"),
        help_text=_(
            "How many of the best sentences a weak model is given, at most: only near ties of the best go along. "
            "A model of 135 M parameters mixes them up: one is best."
        ),
        moves=_("time to first token"),
    ),
    Parameter(
        name="chat.retrieval_passage_count",
        default=8,
        minimum=1,
        maximum=50,
        unit=_("passages"),
        help_text=_(
            "How many passages are found for a question; a strong model is given all of them."
        ),
        moves=_("input tokens"),
    ),
    Parameter(
        name="chat.history_tokens",
        default=1500,
        minimum=0,
        maximum=100_000,
        unit=_("tokens"),
        help_text=_(
            "How much of the conversation so far goes to a strong model, at most. 0: none."
        ),
        moves=_("input tokens"),
    ),
    Parameter(
        name="chat.reply_lease_seconds",
        default=30,
        minimum=5,
        maximum=600,
        unit=_("seconds"),
        help_text=_("A reply whose process died is marked failed after this long."),
        moves=_("time until a lost reply is shown as failed"),
    ),
)
register(
    Parameter(
        name="chat.semantic_error_bound",
        default=0.02,
        minimum=0.0,
        maximum=0.5,
        unit=_("wrong answers per answer given again"),
        help_text=_(
            "An answer to a question that means the same is given again only where the probability that it is wrong "
            "is at most this. It bounds the errors among the answers given, not among all questions. 0: never given."
        ),
        moves=_("hits of the semantic answer cache, and its errors"),
    ),
    Parameter(
        name="chat.semantic_minimum_labels",
        default=4,
        minimum=1,
        maximum=100,
        unit=_("labels"),
        help_text=_(
            "How often an answer must have been compared with a computed one before it may be given to another question."
        ),
        moves=_("hits of the semantic answer cache"),
    ),
    Parameter(
        name="chat.semantic_shadow_ratio",
        default=0.03,
        minimum=0.0,
        maximum=1.0,
        unit=_("share"),
        help_text=_(
            "Share of the answers that could be given again but are computed all the same, to measure the errors. "
            "1: everything is computed, and only learned from."
        ),
        moves=_("certainty about the semantic answer cache's errors"),
    ),
    Parameter(
        name="chat.semantic_similarity_floor",
        default=0.75,
        minimum=0.0,
        maximum=1.0,
        unit=_("cosine similarity"),
        help_text=_(
            "Questions less similar than this are not compared at all, nor learned from. What may be given above it is "
            "learned."
        ),
        moves=_("labels gathered for the semantic answer cache"),
    ),
)
