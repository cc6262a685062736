"""The sentences of found passages that answer a question best; for models that whole passages would overwhelm."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.billing.types import CallContext
from apps.caching import store
from apps.caching.keyspaces import Key
from apps.documents.cache import SENTENCE_EMBEDDING
from apps.documents.splitting import split_sentences
from apps.documents.types import EmbeddedText, FoundPassage, FoundSentence, Retrieval
from apps.llm import services as llm
from apps.llm.models import Route
from apps.tuning import live

# Less is a heading, a page number or a cell.
MIN_CHARACTERS = 12

# Similarity alone put the right sentence first for 70 of 108 demo questions; with what its passage's rank adds, and
# headings put behind, 81 (half of the questions were kept back: 39 of 54 there; 2026-11-22).
PASSAGE_WEIGHT = 0.1
HEADING_PENALTY = 0.2
HEADING_WORDS = 6
# A question in a document resembles the asker's most of all, and answers nothing.
QUESTION_PENALTY = 0.5

_Candidate = tuple[FoundPassage, int, int]

# Positions of the sentences, most shared lexemes first; a lexeme counts less the more sentences have it.
_OVERLAP = """
    WITH sentence AS (
        SELECT position - 1 AS position, tsvector_to_array(to_tsvector('english', text)) AS lexemes
        FROM unnest(%(sentences)s::text[]) WITH ORDINALITY s (text, position)
    ), shared AS (
        SELECT position, 1.0 / count(*) OVER (PARTITION BY lexeme) AS weight
        FROM sentence CROSS JOIN LATERAL unnest(lexemes) lexeme
        WHERE lexeme = ANY (tsvector_to_array(to_tsvector('english', %(question)s)))
    )
    SELECT s.position FROM sentence s LEFT JOIN shared USING (position)
    GROUP BY s.position ORDER BY coalesce(sum(weight), 0) DESC, s.position
"""


def best_sentences(
    *, retrieval: Retrieval, question: str, context: CallContext, count: int
) -> list[FoundSentence]:
    """Return the `count` sentences that answer best, best first; calls the embedding model where it must.

    The order is by similarity to the question, corrected by the passage's standing and against headings and questions.
    Only the `documents.sentence_candidate_count` likeliest are embedded: by the words they share with the question,
    then by their passage's rank.
    """
    candidates = _likeliest(
        list(_distinct_sentences(retrieval.passages)),
        question,
        live.integer("documents.sentence_candidate_count"),
    )
    if not candidates:
        return []
    texts = [passage.text[start:end] for passage, start, end in candidates]
    vectors = _vectors(texts, context)
    similarities = vectors @ retrieval.question_vector
    found = [
        FoundSentence(
            passage=passage,
            text=text,
            start_offset=passage.start_offset + start,
            end_offset=passage.start_offset + end,
            similarity=float(similarity),
        )
        for (passage, start, end), text, similarity in zip(
            candidates, texts, similarities, strict=True
        )
    ]
    standing = _standing(retrieval.passages)
    found.sort(key=lambda one: _merit(one, standing[one.passage.passage_id]), reverse=True)
    return found[:count]


def _vectors(texts: Sequence[str], context: CallContext) -> NDArray[np.float32]:
    """Return the texts' vectors, a row each; those of sentences compared before are known.

    A passage is found for many questions, and embedding its sentences is most of the time to the first token.
    """
    choice = llm.choose(Route.Use.EMBEDDING)
    keys: list[Key] = [(choice.llm_model_id, choice.model_code, text) for text in texts]

    def compute(missing: Sequence[Key]) -> Mapping[Key, EmbeddedText]:
        embeddings = llm.embed(
            texts=[str(text) for _model_id, _code, text in missing], context=context, choice=choice
        )
        cost_nanos = sum(settled.amount_nanos for settled in embeddings.settled) // len(missing)
        return {
            key: EmbeddedText(vector, cost_nanos)
            for key, vector in zip(missing, embeddings.vectors, strict=True)
        }

    known = store.get_many(SENTENCE_EMBEDDING, keys, compute)
    return np.stack([known[key].vector for key in keys])


def _standing(passages: Sequence[FoundPassage]) -> dict[int, float]:
    """Return each passage's score between the worst found (0) and the best (1)."""
    scores = [passage.score for passage in passages]
    low, span = min(scores), (max(scores) - min(scores)) or 1.0
    return {passage.passage_id: (passage.score - low) / span for passage in passages}


def _merit(sentence: FoundSentence, standing: float) -> float:
    text = sentence.text.rstrip()
    if text.endswith("?"):
        return sentence.similarity - QUESTION_PENALTY
    is_heading = len(text.split()) <= HEADING_WORDS and not text.endswith((".", "!", "%"))
    return sentence.similarity + PASSAGE_WEIGHT * standing - HEADING_PENALTY * is_heading


def _distinct_sentences(passages: Sequence[FoundPassage]) -> Iterator[_Candidate]:
    """Yield each sentence of the passages once, though passages overlap: its passage and [start, end) in it."""
    seen: set[tuple[UUID, int]] = set()
    for passage in passages:
        for start, end in split_sentences(passage.text):
            place = (passage.version_id, passage.start_offset + end)
            # By its end: a passage may begin in the middle of a sentence, never end in one that fits.
            if end - start >= MIN_CHARACTERS and place not in seen:
                seen.add(place)
                yield passage, start, end


def _likeliest(candidates: list[_Candidate], question: str, count: int) -> list[_Candidate]:
    """Return the `count` candidates sharing most with the question, rare words counting more; ties as they stand."""
    if len(candidates) <= count:
        return candidates
    with connection.cursor() as cursor:
        cursor.execute(
            _OVERLAP,
            {
                "question": question,
                "sentences": [passage.text[start:end] for passage, start, end in candidates],
            },
        )
        order = [position for (position,) in cursor.fetchall()]
    return [candidates[position] for position in order[:count]]
