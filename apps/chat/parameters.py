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
