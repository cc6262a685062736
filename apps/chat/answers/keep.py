"""Keeps the answers that others may be given, learns from each new one, and withdraws what was judged bad.

An answer is kept when it is whole, rests on documents and cites them, and the scope read before the search still
stands, every passage behind it included. Not kept: what was stopped, failed or cut; small talk; answers without
documents; and that the documents don't say, which a better question or the next upload should be free to change.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.accounts.access import scope_of
from apps.caching import policies, store
from apps.chat import receipts
from apps.chat.answers import labels, saved
from apps.chat.answers.agreement import say_the_same
from apps.chat.answers.key import normalised
from apps.chat.answers.replay import readable_grounds
from apps.chat.cache import ANSWER, ANSWER_SEMANTIC
from apps.chat.models import AnswerLabel, CachedAnswer, Message
from apps.chat.types import AnswerKey, Basis, Keeping, KeptAnswer, Outcome

# How an answer ends that is not cut: the provider's word for it, and none where no model was asked.
WHOLE = ("stop", "")
_REMOVED_AT_ONCE = 5000


def learn_and_record(
    *, reply: Message, basis: Basis, outcome: Outcome, answer: KeptAnswer
) -> KeptAnswer | None:
    """Learn from a computed answer, and store its entry; return the answer with its id, None where it is not kept.

    Call it in the transaction that ends the reply, so that whoever can judge the reply finds the entry.
    """
    keeping = basis.keeping
    if outcome.refusal and outcome.refusal["lets_search"]:
        saved.note_in_vain(reply=reply, usage=receipts.usage_of(reply))
    # That the documents don't say comes from no model and has no finish reason: it teaches, but is not kept.
    if keeping is None or outcome.state != Message.State.DONE or outcome.finish_reason not in WHOLE:
        return None
    if keeping.candidate is not None and keeping.candidate.is_shadow:
        usage = receipts.usage_of(reply)
        saved.note_checked(reply=reply, usage=usage, candidate=keeping.candidate.answer)
    if _learn(keeping, answer):
        # Found by meaning is then the entry that had it first: labels gather there, and nothing hides it.
        keeping = replace(keeping, vector=None)
    is_off = not (policies.of(ANSWER).is_enabled or policies.of(ANSWER_SEMANTIC).is_enabled)
    if is_off or not answer.places or not _stands(reply, keeping, answer):
        return None
    return _record(keeping, answer)


def _learn(keeping: Keeping, answer: KeptAnswer) -> bool:
    """Label the entry that was near the question, by the answer just computed; say whether it has this answer."""
    candidate = keeping.candidate
    if candidate is None or keeping.llm_model_id is None:
        return False
    is_same = say_the_same(answer, candidate.answer)
    labels.add(
        entry_id=candidate.entry_id,
        llm_model_id=keeping.llm_model_id,
        similarity=candidate.similarity,
        is_correct=is_same,
        source=AnswerLabel.Source.SHADOW if candidate.is_shadow else AnswerLabel.Source.MISS,
    )
    return is_same


def _record(keeping: Keeping, answer: KeptAnswer) -> KeptAnswer | None:
    key = keeping.key
    entry = CachedAnswer(scope_hash=key.scope, context_hash=key.context, question_hash=key.question)
    # Locked: two that answer the same question one after the other must see each other's entry.
    before = (
        CachedAnswer.objects.select_for_update()
        .filter(scope_hash=key.scope, context_hash=key.context, question_hash=key.question)
        .first()
    )
    if before is not None and say_the_same(answer, KeptAnswer.from_json(before.answer)):
        if before.quarantined_at:
            # The same answer to the same question from the same documents was judged bad: it is bad again.
            return None
        entry.pk = before.pk
    kept = replace(answer, entry_id=str(entry.pk))
    values = _values(keeping, kept)
    if before is not None:
        # Another answer takes another id: what was learned is of the old one.
        CachedAnswer.objects.filter(pk=before.pk).update(id=entry.pk, quarantined_at=None, **values)
        return kept
    for name, value in values.items():
        setattr(entry, name, value)
    CachedAnswer.objects.bulk_create([entry], ignore_conflicts=True)
    # Somebody else answered the same question in this moment: theirs is kept.
    return kept if CachedAnswer.objects.filter(pk=entry.pk).exists() else None


def _stands(reply: Message, keeping: Keeping, answer: KeptAnswer) -> bool:
    """Say whether the answer rests on what the scope names and nothing else.

    The documents first: if the scope has not moved after that, no document of its audiences had changed before.
    """
    grounds = readable_grounds(
        scope=keeping.scope, grounds=answer.grounds, entry_id=answer.entry_id
    )
    return grounds is not None and scope_of(reply.conversation.user) == keeping.scope


def _values(keeping: Keeping, kept: KeptAnswer) -> dict[str, Any]:
    return {
        "question": normalised(keeping.question),
        "llm_model_id": keeping.llm_model_id if keeping.vector is not None else None,
        "vector": keeping.vector,
        "answer": kept.to_json(),
        "document_ids": [UUID(document_id) for document_id, _version_id in kept.grounds],
        "version_ids": [UUID(version_id) for _document_id, version_id in kept.grounds],
        "epoch": policies.of(ANSWER_SEMANTIC).epoch,
        "created_at": timezone.now(),
    }


def marks(basis: Basis, kept: KeptAnswer | None) -> dict[str, Any]:
    """Return what a receipt holds of the entry made of its reply, so that a judgement finds it."""
    if kept is None or basis.keeping is None:
        return {}
    return {"answer_key": list(basis.keeping.key.as_tuple()), "entry_id": kept.entry_id}


def publish(basis: Basis, kept: KeptAnswer | None) -> None:
    """Put a recorded answer into the exact cache; call it after the commit."""
    if kept is None or basis.keeping is None:
        return
    key = basis.keeping.key.as_tuple()
    store.put(ANSWER, key, kept, cost_us=int(kept.total_ms * 1000))
    # A thumbs-down between commit and put has removed nothing yet; one after this look removes what was put.
    if not CachedAnswer.objects.filter(pk=kept.entry_id, quarantined_at__isnull=True).exists():
        store.invalidate(ANSWER, key)


def withdraw_by(receipt: dict[str, Any] | None) -> None:
    """Withdraw the entry that a reply was given from, or that was made of it, when a person says the reply is bad."""
    if not receipt or "answer_key" not in receipt:
        return
    key = AnswerKey(*receipt["answer_key"])
    with transaction.atomic():
        entry = CachedAnswer.objects.filter(
            pk=receipt["entry_id"], quarantined_at__isnull=True
        ).first()
        if entry is not None and entry.llm_model_id is not None:
            labels.add(
                entry_id=entry.pk,
                llm_model_id=entry.llm_model_id,
                similarity=receipt.get("similarity", 1.0),
                is_correct=False,
                source=AnswerLabel.Source.THUMB,
            )
        withdraw(entry_id=UUID(receipt["entry_id"]), key=key)


def withdraw(*, entry_id: UUID, key: AnswerKey) -> None:
    """Have an entry no longer given to anybody, from this transaction's commit on; the same answer is not kept again."""
    CachedAnswer.objects.filter(pk=entry_id, quarantined_at__isnull=True).update(
        quarantined_at=timezone.now()
    )
    store.invalidate(ANSWER, key.as_tuple())


def remove_old() -> int:
    """Delete the entries past both lifetimes, a batch at a time, and labels of another age; return how many entries."""
    longest = max(policies.of(ANSWER).ttl_seconds, policies.of(ANSWER_SEMANTIC).ttl_seconds)
    old = CachedAnswer.objects.filter(created_at__lt=timezone.now() - timedelta(seconds=longest))
    batch = old.order_by("created_at").values("pk")[:_REMOVED_AT_ONCE]
    removed = CachedAnswer.objects.filter(pk__in=batch).delete()[0]
    labels.remove_old()
    return removed
