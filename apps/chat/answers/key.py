"""The key of a kept answer: who may have it, how it was made, and what was asked; each part a hash."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from uuid import UUID

from django.utils.translation import get_language

from apps.chat import prompts
from apps.chat.types import AnswerKey
from apps.llm import services as llm
from apps.llm.models import Route
from apps.llm.types import Choice
from apps.tuning import live, registry

Pairs = tuple[tuple[int, int], ...]

# Moves when code that makes answers changes what they are; prompts and parameters move keys by themselves.
PIPELINE_VERSION = 1

# Parameters of these apps are part of the key, so that a new one is, unless it is named here.
_APPS = ("chat.", "documents.", "llm.")
NEUTRAL = frozenset(
    {
        "chat.reply_lease_seconds",
        # First turns have no history.
        "chat.history_tokens",
        "chat.semantic_error_bound",
        "chat.semantic_minimum_labels",
        "chat.semantic_shadow_ratio",
        "chat.semantic_similarity_floor",
    }
)

_FIRST_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_ASKS = re.compile(
    r"(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|am|do|does|did|can|could|may|might|must|shall|should"
    r"|will|would|has|have|had)\b",
    re.IGNORECASE,
)
# Spellings of the same characters. The rest of NFKC would make 2³ and 23 one.
_SAME = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "…": "..."})
_LIGATURES = range(0xFB00, 0xFB07)
_WIDTHS = ("<wide>", "<narrow>", "<noBreak>")


def normalised(question: str) -> str:
    """Return a question in the one spelling of those that surely mean the same.

    Unicode composition and width, curly quotes, runs of spaces, the first word's capital, a full stop at the end, and
    a question mark where the first word says that it is a question. Other capitals stay (IT is not it), and so do
    all other signs. In a text of several lines inner whitespace may carry meaning (code, tables) and stays.
    """
    text = "".join(map(_plain, unicodedata.normalize("NFC", question))).translate(_SAME).strip()
    if "\n" in text or "`" in text:
        return text
    text = " ".join(text.split())
    text = _without_end(text)
    first = _FIRST_WORD.match(text)
    if first and first.group()[1:].islower():
        text = text[0].lower() + text[1:]
    return text


def _plain(character: str) -> str:
    is_same = (
        unicodedata.decomposition(character).startswith(_WIDTHS) or ord(character) in _LIGATURES
    )
    return unicodedata.normalize("NFKC", character) if is_same else character


def _without_end(text: str) -> str:
    bare = text.rstrip(" .?")
    end = text[len(bare) :]
    if not bare or ("?" in end and not _ASKS.match(text)):
        return text
    return bare


def scope_hash(pairs: Pairs, document_ids: Iterable[UUID] | None) -> str:
    """Return the hash of who reads what, as it stands: audiences with their generations, and the documents chosen."""
    chosen = "ALL" if document_ids is None else ",".join(sorted(map(str, set(document_ids))))
    return _hash(repr(sorted(pairs)), chosen)


def context_hash(choice: Choice, *, locale: str | None = None) -> str:
    """Return the hash of all that makes an answer besides the question and the documents.

    Prompts, models and their limits, tuned parameters, the language of the page, the version of the pipeline.

    Raises:
        NoModelError: no model serves embeddings.
    """
    embedding = llm.choose(Route.Use.EMBEDDING)
    return _hash(
        str(PIPELINE_VERSION),
        prompts.version(),
        repr(
            (
                choice.provider_code,
                choice.model_code,
                choice.grounding,
                choice.context_tokens,
                choice.max_output_tokens,
                str(embedding.llm_model_id),
            )
        ),
        repr([(name, live.value(name)) for name in moving_parameters()]),
        locale if locale is not None else get_language() or "",
    )


def moving_parameters() -> list[str]:
    """Return the names of the parameters an answer depends on."""
    return [
        parameter.name
        for parameter in registry.everything()
        if parameter.name.startswith(_APPS) and parameter.name not in NEUTRAL
    ]


def question_hash(question: str) -> str:
    """Return the hash of a question's one spelling."""
    return _hash(normalised(question))


def answer_key(
    *, pairs: Pairs, document_ids: Iterable[UUID] | None, question: str, context: str
) -> AnswerKey:
    """Return the key under which an answer to this question may be kept."""
    return AnswerKey(scope_hash(pairs, document_ids), context, question_hash(question))


def _hash(*parts: str) -> str:
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"parley-answer").hexdigest()
