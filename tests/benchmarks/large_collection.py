"""A hundred thousand passages that behave like text: Zipf's law over the words, documents with topics, clustered vectors."""

import hashlib
from uuid import UUID

import numpy as np
from django.db import connection
from numpy.typing import NDArray
from pgvector import HalfVector

from apps.accounts.models import Audience, Department, User
from apps.core.ids import uuid7
from apps.documents import vectors
from apps.llm.types import Choice

PASSAGES_A_DOCUMENT = 25
WORDS_A_PASSAGE = 75  # without the stop words, which are not indexed; Cranfield's passages have 72
VOCABULARY_SIZE = 60_000
TOPIC_SHARE = 0.4
DIMENSIONS = 384
CLUSTER_COUNT = 400


class LargeCollection:
    """Fills the documents' tables; every audience gets its share of the documents."""

    def __init__(self, *, passage_count: int, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        ranks = np.arange(1, VOCABULARY_SIZE + 1)
        # Zipf-Mandelbrot: after the stop words are gone the head is flatter than 1/rank.
        weights = 1.0 / (ranks + 20.0)
        self._cumulative = np.cumsum(weights / weights.sum())
        self._words = [f"w{_letters(rank)}" for rank in ranks]
        self._centres = _unit(self._random.standard_normal((CLUSTER_COUNT, DIMENSIONS)))
        self.passage_count = passage_count

    def load(
        self, *, owner: User, department: Department, shares: dict[Audience, float], choice: Choice
    ) -> None:
        """Write documents, passages, vectors and postings, and their indexes."""
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("SET work_mem = '512MB'")
            cursor.execute("SET maintenance_work_mem = '1GB'")
            self._copy_rows(cursor, owner, department, shares, choice)
            _index_everything(cursor)
            vectors.ensure_index(choice)
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("RESET statement_timeout")
            cursor.execute("RESET work_mem")
            cursor.execute("RESET maintenance_work_mem")

    def question(self, *, words: int) -> tuple[str, NDArray[np.float32]]:
        """Return a question's words, drawn as a passage's are, and its vector."""
        return self._text(words, self._topic()), self._vector()

    def _copy_rows(
        self,
        cursor: object,
        owner: User,
        department: Department,
        shares: dict[Audience, float],
        choice: Choice,
    ) -> None:
        audiences = list(shares)
        chances = np.array(list(shares.values()))
        for start in range(0, self.passage_count, PASSAGES_A_DOCUMENT):
            document_id, version_id = uuid7(), uuid7()
            audience = audiences[self._random.choice(len(audiences), p=chances / chances.sum())]
            cursor.execute(
                "INSERT INTO documents_document (id, owner_id, audience_id, paying_department_id, name, content_type, "
                "size_bytes, sha256, tags, metadata, status, uploaded_at) "
                "VALUES (%s, %s, %s, %s, %s, '', 0, '', '{}', '{}', 'READY', now())",
                (document_id, owner.pk, audience.pk, department.pk, f"document {start}"),
            )
            cursor.execute(
                "INSERT INTO documents_documentversion (id, document_id, number, page_count, character_count, "
                "created_at) VALUES (%s, %s, 1, 1, 1, now())",
                (version_id, document_id),
            )
            cursor.execute(
                "UPDATE documents_document SET active_version_id = %s WHERE id = %s",
                (version_id, document_id),
            )
            self._copy_passages(cursor, version_id, audience, start)
        cursor.execute("SELECT id, content_hash FROM documents_passage ORDER BY id")
        keys = cursor.fetchall()
        with cursor.copy(
            "COPY documents_passageembedding (passage_id, llm_model_id, content_hash, vector) FROM STDIN"
        ) as copy:
            for passage_id, digest in keys:
                vector = HalfVector(self._vector()).to_text()
                copy.write_row((passage_id, choice.llm_model_id, digest, vector))

    def _copy_passages(
        self, cursor: object, version_id: UUID, audience: Audience, start: int
    ) -> None:
        topic = self._topic()
        with cursor.copy(
            "COPY documents_passage (version_id, audience_id, ordinal, page_number, start_offset, end_offset, text, "
            "content_hash, is_serving) FROM STDIN"
        ) as copy:
            for ordinal in range(PASSAGES_A_DOCUMENT):
                text = self._text(WORDS_A_PASSAGE, topic)
                digest = hashlib.sha256(text.encode()).digest()
                copy.write_row(
                    (version_id, audience.pk, ordinal, 1, 0, len(text), text, digest, True)
                )

    def _topic(self) -> NDArray[np.int64]:
        return np.searchsorted(self._cumulative, self._random.random(150))

    def _text(self, count: int, topic: NDArray[np.int64]) -> str:
        general = np.searchsorted(self._cumulative, self._random.random(count))
        own = topic[self._random.integers(0, len(topic), count)]
        chosen = np.where(self._random.random(count) < TOPIC_SHARE, own, general)
        return " ".join(self._words[index] for index in chosen)

    def _vector(self) -> NDArray[np.float32]:
        centre = self._centres[self._random.integers(CLUSTER_COUNT)]
        noise = self._random.standard_normal(DIMENSIONS) / np.sqrt(DIMENSIONS)
        return _unit((centre + noise)[None])[0].astype(np.float32)


def _index_everything(cursor: object) -> None:
    # What index_version would write, at once and without its upkeep: hours become minutes.
    cursor.execute("ALTER TABLE documents_posting DISABLE TRIGGER ALL")
    cursor.execute(
        "INSERT INTO documents_term (lexeme, passage_count) "
        "SELECT lexeme, count(*) FROM documents_passage, unnest(to_tsvector('english', text)) GROUP BY lexeme "
        "UNION ALL SELECT '', count(*) FROM documents_passage"
    )
    cursor.execute(
        "INSERT INTO documents_posting (term_id, impact, passage_id) "
        "SELECT t.id, documents_impact_v1(cardinality(l.positions), p.length), p.id FROM "
        "(SELECT id, text, array_length(string_to_array(text, ' '), 1) AS length FROM documents_passage) p, "
        "unnest(to_tsvector('english', p.text)) l JOIN documents_term t USING (lexeme) ORDER BY 1, 3"
    )
    cursor.execute("ALTER TABLE documents_posting ENABLE TRIGGER ALL")


def _letters(number: int) -> str:
    # No digits: the parser would take them for other kinds of token; no vowels: nothing is stemmed.
    consonants = "bcdfghjklmnpqrtvwxz"
    name = ""
    while number:
        number, rest = divmod(number, len(consonants))
        name += consonants[rest]
    return name


def _unit(vectors_of: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors_of / np.linalg.norm(vectors_of, axis=1, keepdims=True)
