"""Gives a kept answer to somebody: checks in the storing transaction that they may have it, and writes the reply."""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.access import Scope, scope_of
from apps.accounts.models import User
from apps.billing.models import Mechanism
from apps.chat.answers import saved
from apps.chat.answers.exact import Hit
from apps.chat.models import Citation, Message
from apps.chat.types import AnswerKey, KeptAnswer
from apps.core.ids import uuid7

EXACT = "exact"
SEMANTIC = "semantic"

# The documents whose version behind the answer serves now, to these audiences; none once the entry is withdrawn.
# Kept from deletion until the transaction ends: citations of them are checked at its COMMIT.
_STANDING = """
    SELECT d.id::text, d.name
    FROM unnest(%(documents)s::uuid[], %(versions)s::uuid[]) AS ground (document_id, version_id)
    JOIN documents_document d ON d.id = ground.document_id AND d.active_version_id = ground.version_id
    WHERE d.audience_id = ANY (%(audiences)s::bigint[])
        AND NOT EXISTS (
            SELECT FROM chat_cachedanswer c WHERE c.id = %(entry)s AND c.quarantined_at IS NOT NULL)
    ORDER BY d.id
    FOR KEY SHARE OF d
"""


def standing_documents(*, user: User, scope: Scope, answer: KeptAnswer) -> dict[str, str] | None:
    """Return the names, by id, of the documents behind an answer kept under this scope, if the person may have it now.

    Call it in the transaction that stores the answer: two queries, and the second sees what the first has seen or later.
    None when the person's scope is another by now, a passage's document has changed, or the entry was withdrawn.
    """
    if scope_of(user) != scope:
        return None
    return readable_grounds(scope=scope, grounds=answer.grounds, entry_id=answer.entry_id)


def readable_grounds(
    *, scope: Scope, grounds: Sequence[tuple[str, str]], entry_id: str
) -> dict[str, str] | None:
    """Return the names, by id, of these documents, if each still serves that version to one of the audiences."""
    with connection.cursor() as cursor:
        cursor.execute(
            _STANDING,
            {
                "documents": [document_id for document_id, _version_id in grounds],
                "versions": [version_id for _document_id, version_id in grounds],
                "audiences": list(scope.audience_ids),
                "entry": entry_id or None,
            },
        )
        names = dict(cursor.fetchall())
    return names if names.keys() == {document_id for document_id, _version in grounds} else None


def add_exact(*, user: User, question: Message, hit: Hit | None, started: float) -> Message | None:
    """Store the reply a hit gives to a question, None where there is no hit or the person may not have it now.

    `started` is the question's arrival by `time.perf_counter`. Call it in the transaction that stores the question.
    """
    if hit is None:
        return None
    names = standing_documents(user=user, scope=hit.scope, answer=hit.answer)
    if names is None:
        return None
    now = timezone.now()
    elapsed_ms = round((time.perf_counter() - started) * 1000, 1)
    reply = Message(
        conversation_id=question.conversation_id,
        parent=question,
        role=Message.Role.ASSISTANT,
        state=Message.State.DONE,
        content=hit.answer.text,
        request_id=uuid7(),
        receipt=receipt(answer=hit.answer, key=hit.key, layer=EXACT, elapsed_ms=elapsed_ms),
        created_at=now,
        finished_at=now,
    )
    reply.save(force_insert=True)
    add_citations(reply, hit.answer, names)
    saved.note_given(
        reply=reply,
        conversation=question.conversation,
        mechanism=Mechanism.EXACT_CACHE,
        answer=hit.answer,
        actual_nanos=0,
        saved_ms=hit.answer.total_ms - elapsed_ms,
    )
    return reply


def add_citations(reply: Message, answer: KeptAnswer, names: dict[str, str]) -> None:
    """Store the citations of a kept answer, under the names the documents have now."""
    Citation.objects.bulk_create(
        Citation(
            message=reply,
            number=place.number,
            document_id=UUID(place.document_id),
            version_id=UUID(place.version_id),
            document_name=names[place.document_id],
            page_number=place.page_number,
            start_offset=place.start_offset,
            end_offset=place.end_offset,
        )
        for place in answer.places
    )


def receipt(
    *, answer: KeptAnswer, key: AnswerKey, layer: str, elapsed_ms: float, similarity: float = 1.0
) -> dict[str, Any]:
    """Return the receipt of a reply that no model was asked for; amounts are nanos, times milliseconds."""
    reasons = {
        EXACT: _(
            "The same question was answered before, from the same documents: no model was asked."
        ),
        SEMANTIC: _(
            "A question that means the same was answered before, from the same documents: no model was asked."
        ),
    }
    return {
        "model_name": "",
        "provider_name": "",
        "reason": reasons[layer],
        "usage_record_id": "",
        "outcome": "",
        "input_tokens": 0,
        "cached_input_tokens": 0,
        "output_tokens": 0,
        "amount_nanos": 0,
        "retrieval_nanos": 0,
        "total_nanos": 0,
        "cache_layer": layer,
        "source_count": answer.source_count,
        "finish_reason": "",
        "stages": {},
        "first_token_ms": elapsed_ms,
        "total_ms": elapsed_ms,
        "answer_key": list(key.as_tuple()),
        "entry_id": answer.entry_id,
        "answered_at": answer.made_at,
        "answered_by": answer.model_name,
        "saved_nanos": answer.amount_nanos,
        "saved_ms": max(round(answer.total_ms - elapsed_ms, 1), 0.0),
        "similarity": round(similarity, 4),
    }
