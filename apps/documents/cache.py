"""The keyspaces of documents: what is found and shown of them, the same for all who may read it."""

import base64
from typing import Any
from uuid import UUID

import numpy as np

from apps.accounts.cache import AUDIENCE_GENERATION
from apps.caching import store
from apps.caching.keyspaces import Keyspace, Sharing, register
from apps.documents.facts import DocumentFacts
from apps.documents.types import (
    Choosable,
    EmbeddedText,
    FoundPassage,
    Named,
    PageRows,
    named_from_json,
    named_to_json,
)

_HOUR = 3600
_DAY = 24 * _HOUR


def _dump_vector(embedded: EmbeddedText) -> list[Any]:
    raw = embedded.vector.astype("<f4").tobytes()
    return [base64.b64encode(raw).decode(), embedded.cost_nanos]


def _load_vector(data: list[Any]) -> EmbeddedText:
    # Of bytes: nobody can write to it.
    return EmbeddedText(np.frombuffer(base64.b64decode(data[0]), dtype="<f4"), int(data[1]))


def _cost_nanos(embedded: EmbeddedText) -> int:
    return embedded.cost_nanos


# Vectors depend on the text and the model alone, so whoever asks gets the same; that a question is known already can be
# told from the time it takes, and says no more than that somebody asked it. No early refresh: it would be paid by
# somebody whose question was answered already.
QUERY_EMBEDDING: Keyspace[EmbeddedText] = register(
    Keyspace(
        name="documents:query-embedding:1",
        key_fields=("llm_model_id", "model_code", "text"),
        help_text="The vector of a question by an embedding model: a question asked again is not embedded again.",
        fresh_by="Nothing changes it: it depends on the text and the model alone, both in the key.",
        shared_by=Sharing.EVERYONE,
        ttl_seconds=_DAY,
        beta=0,
        stale_if_error_seconds=7 * _DAY,
        dump=_dump_vector,
        load=_load_vector,
        cost_nanos=_cost_nanos,
    )
)
SENTENCE_EMBEDDING: Keyspace[EmbeddedText] = register(
    Keyspace(
        name="documents:sentence-embedding:1",
        key_fields=("llm_model_id", "model_code", "text"),
        help_text="The vectors of the sentences compared with questions: those of a passage found again are at hand.",
        fresh_by="Nothing changes it: it depends on the text and the model alone, both in the key.",
        shared_by=Sharing.EVERYONE,
        ttl_seconds=_DAY,
        beta=0,
        dump=_dump_vector,
        load=_load_vector,
        cost_nanos=_cost_nanos,
    )
)


def _dump_passages(passages: tuple[FoundPassage, ...]) -> list[Any]:
    return [
        [str(value) if isinstance(value, UUID) else value for value in _values(passage)]
        for passage in passages
    ]


def _values(passage: FoundPassage) -> list[Any]:
    return [getattr(passage, name) for name in passage.__slots__]


def _load_passages(data: list[Any]) -> tuple[FoundPassage, ...]:
    return tuple(
        FoundPassage(pk, UUID(document_id), UUID(version_id), *rest)
        for pk, document_id, version_id, *rest in data
    )


RETRIEVAL: Keyspace[tuple[FoundPassage, ...]] = register(
    Keyspace(
        name="documents:retrieval:1",
        key_fields=("scope", "documents", "question", "llm_model_id", "passage_count", "ranking"),
        help_text="The passages found for a question, for everybody who may read the same documents.",
        fresh_by="The key names the generation of every audience the asker is part of, read from PostgreSQL at the "
        "beginning of each search; triggers move them with each change of what these find.",
        shared_by=Sharing.AUDIENCES,
        ttl_seconds=_HOUR,
        dump=_dump_passages,
        load=_load_passages,
    )
)
DOCUMENT: Keyspace[DocumentFacts] = register(
    Keyspace(
        name="documents:document:1",
        key_fields=("document_id",),
        help_text="A document's facts. Whether somebody may have them is decided at each read, by its audience.",
        fresh_by="Invalidated by each change; triggers on documents, versions, runs, audiences and named people.",
        shared_by=Sharing.AUDIENCES,
        ttl_seconds=_HOUR,
        l1_ttl_seconds=1,
        l1_share_ratio=0.1,
        dump=DocumentFacts.to_json,
        load=DocumentFacts.from_json,
    )
)
PAGES: Keyspace[PageRows] = register(
    Keyspace(
        name="documents:pages:1",
        key_fields=("version_id", "first_page"),
        help_text="A window of a version's pages, once the document's facts have said that the person may read it.",
        fresh_by="The pages of a version that was read never change; a trigger on pages covers a repair by hand.",
        shared_by=Sharing.AUDIENCES,
        ttl_seconds=_HOUR,
        dump=PageRows.to_json,
        load=PageRows.from_json,
    )
)
PAGE_STARTS: Keyspace[tuple[tuple[int, int], ...]] = register(
    Keyspace(
        name="documents:page-starts:1",
        key_fields=("version_id",),
        help_text="Where each page of a version begins: which page a citation leads to.",
        fresh_by="The pages of a version that was read never change; a trigger on pages covers a repair by hand.",
        shared_by=Sharing.AUDIENCES,
        ttl_seconds=_HOUR,
        dump=list,
        load=lambda data: tuple((number, offset) for number, offset in data),
    )
)
CHOOSABLE: Keyspace[Choosable] = register(
    Keyspace(
        name="documents:choosable:1",
        key_fields=("scope",),
        help_text="The documents a question can be limited to: how many, and the first by name.",
        fresh_by="The key names the generation of every audience the person is part of, through the caches of people.",
        shared_by=Sharing.AUDIENCES,
        ttl_seconds=_HOUR,
        dump=Choosable.to_json,
        load=Choosable.from_json,
    )
)


DEPARTMENTS: Keyspace[tuple[Named, ...]] = register(
    Keyspace(
        name="documents:departments:1",
        key_fields=("user_id",),
        help_text="The departments a person may charge and share with, by name.",
        fresh_by="Triggers on memberships and departments.",
        shared_by=Sharing.USER,
        ttl_seconds=600,
        l1_ttl_seconds=1,
        l1_share_ratio=0.02,
        dump=named_to_json,
        load=named_from_json,
    )
)
NAME: Keyspace[str] = register(
    Keyspace(
        name="documents:name:1",
        key_fields=("kind", "id"),
        help_text="The name of a person or a department, as it stands beside what is theirs.",
        fresh_by="Triggers on people and departments.",
        shared_by=Sharing.EVERYONE,
        ttl_seconds=600,
        l1_ttl_seconds=1,
        l1_share_ratio=0.02,
    )
)


def changed(document_id: UUID, *audience_ids: int) -> None:
    """Have a document's facts, and what these audiences find, computed anew after the transaction.

    Triggers repeat it; this is for whoever made the change and looks at once.
    """
    store.invalidate(DOCUMENT, (document_id,))
    for audience_id in set(audience_ids):
        store.invalidate(AUDIENCE_GENERATION, (audience_id,))
