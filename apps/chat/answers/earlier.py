"""A first question before its search: what is needed to keep its answer, and an earlier answer that serves it."""

import time
from dataclasses import replace

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts.access import scope_of
from apps.billing.models import Mechanism
from apps.chat import receipts
from apps.chat.answers import exact, replay, saved, semantic, signs
from apps.chat.answers.key import answer_key, context_hash
from apps.chat.cache import changed
from apps.chat.models import CachedAnswer, Conversation, Message
from apps.chat.types import Keeping
from apps.documents.retrieval import EmbeddedQuestion
from apps.llm.types import Choice


def begun(reply: Message, choice: Choice) -> Keeping | None:
    """Return what is needed to keep the answer to a first question, None for any other.

    The scope is read from PostgreSQL before anything is searched: what changes after that moves it, and the answer is
    not kept.

    Raises:
        NoModelError: no model serves embeddings.
    """
    question, conversation = reply.parent, reply.conversation
    if question is None or question.parent_id is not None:
        return None
    chosen = None
    if conversation.sources == Conversation.Sources.CHOSEN:
        chosen = list(conversation.chosen_documents.values_list("pk", flat=True))
    scope = scope_of(conversation.user)
    key = answer_key(
        pairs=scope.pairs,
        document_ids=chosen,
        question=question.content,
        context=context_hash(choice),
    )
    return Keeping(key, scope, question.content)


def is_sought(reply: Message, keeping: Keeping) -> bool:
    """Say whether an earlier answer by meaning could be given: only then is its search bought beyond a soft limit."""
    return semantic.looks_up(keeping.question) and not _wants_another(reply)


def answered(
    reply: Message, keeping: Keeping, embedded: EmbeddedQuestion, *, is_sought: bool
) -> tuple[Keeping, bool]:
    """Give an earlier answer to the reply if one serves; return what is needed to keep another, and whether it did."""
    if not signs.must_be_computed(keeping.question):
        keeping = replace(keeping, vector=embedded.vector, llm_model_id=embedded.llm_model_id)
    if not is_sought:
        return keeping, False
    started = time.perf_counter()
    found = semantic.look_up(keeping, embedded.vector, embedded.llm_model_id)
    if found is None:
        return keeping, False
    if found.serves and _give(reply, keeping, found):
        semantic.note_hit(found.candidate, started)
        return keeping, True
    return replace(keeping, candidate=found.candidate, llm_model_id=embedded.llm_model_id), False


def _wants_another(reply: Message) -> bool:
    """Say whether the person has an answer to this already: only replies asked for again carry a key of their own."""
    question = reply.parent
    return reply.idempotency_key is not None or (
        question is not None
        and exact.asks_again(reply.conversation, question.content, but=question.pk)
    )


def _give(reply: Message, keeping: Keeping, found: semantic.Found) -> bool:
    """End the reply with an earlier answer, in one transaction that finds its passages as they were."""
    answer = found.candidate.answer
    usage = receipts.usage_of(reply)
    with transaction.atomic():
        names = replay.standing_documents(
            user=reply.conversation.user, scope=keeping.scope, answer=answer
        )
        if names is None:
            return False
        now = timezone.now()
        elapsed_ms = round((now - reply.created_at).total_seconds() * 1000, 1)
        receipt = replay.receipt(
            answer=answer,
            key=found.candidate.key,
            layer=replay.SEMANTIC,
            elapsed_ms=elapsed_ms,
            similarity=found.candidate.similarity,
        )
        cost_nanos = sum(record.amount_nanos for record in usage)
        given = Message.objects.filter(
            pk=reply.pk, state__in=Message.UNFINISHED, cancel_requested_at__isnull=True
        ).update(
            state=Message.State.DONE,
            content=answer.text,
            receipt=receipt
            | {
                "retrieval_nanos": cost_nanos,
                "total_nanos": cost_nanos,
                "saved_nanos": max(answer.amount_nanos - cost_nanos, 0),
            },
            finished_at=now,
            lease_expires_at=None,
        )
        if given != 1:
            return False
        replay.add_citations(reply, answer, names)
        saved.note_given(
            reply=reply,
            conversation=reply.conversation,
            mechanism=Mechanism.SEMANTIC_CACHE,
            answer=answer,
            actual_nanos=cost_nanos,
            saved_ms=answer.total_ms - elapsed_ms,
        )
        Conversation.objects.filter(pk=reply.conversation_id).update(updated_at=now)
        changed(reply.conversation_id, reply.conversation.user_id)
        CachedAnswer.objects.filter(pk=found.candidate.entry_id).update(
            hit_count=F("hit_count") + 1,
            expected_errors=F("expected_errors") + found.error,
            last_hit_at=now,
        )
    return True
