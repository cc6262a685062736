"""The last step of a reply: stores its text, citations and receipt, once. Synchronous, run as one thread hop."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.billing.models import Outcome as CallOutcome
from apps.billing.models import UsageRecord
from apps.chat import citations, failures, receipts
from apps.chat.answers import keep
from apps.chat.cache import changed
from apps.chat.live import outside
from apps.chat.models import Citation, Conversation, Message
from apps.chat.prompts import Source
from apps.chat.types import Basis, KeptAnswer, Outcome, Place
from apps.documents.locks import hold_documents
from apps.documents.models import DocumentVersion
from apps.llm.models import LLMModel


def finish(reply_id: UUID, basis: Basis, outcome: Outcome) -> bool:
    """End a reply in the outcome's state; False when somebody else ended it, and then nothing is changed."""
    reply = Message.objects.select_related("conversation").filter(pk=reply_id).first()
    if reply is None:
        return False
    return _finish(reply, receipts.usage_of(reply), basis, outcome)


def _finish(reply: Message, usage: list[UsageRecord], basis: Basis, outcome: Outcome) -> bool:
    text, cited = _settled_text(outcome, basis)
    now = timezone.now()
    receipt = receipts.make_receipt(usage=usage, basis=basis, outcome=outcome)
    answer = _answer(text, cited, receipt, basis, now)
    with transaction.atomic():
        kept = keep.learn_and_record(reply=reply, basis=basis, outcome=outcome, answer=answer)
        finished = Message.objects.filter(pk=reply.pk, state__in=Message.UNFINISHED).update(
            state=outcome.state,
            content=text,
            error_code=outcome.error_code,
            receipt=receipt | keep.marks(basis, kept),
            finished_at=now,
            lease_expires_at=None,
        )
        if finished != 1:
            transaction.set_rollback(True)
            return False
        _store_citations(reply, cited)
        Conversation.objects.filter(pk=reply.conversation_id).update(updated_at=now)
        changed(reply.conversation_id, reply.conversation.user_id)
    keep.publish(basis, kept)
    return True


def _answer(
    text: str, cited: Sequence[Place], receipt: dict[str, Any], basis: Basis, now: datetime
) -> KeptAnswer:
    """Return the answer as it could be kept; its entry is not made yet."""
    return KeptAnswer(
        entry_id="",
        text=text,
        places=tuple(replace(place, text="") for place in cited),
        grounds=tuple(
            dict.fromkeys((place.document_id, place.version_id) for place in basis.places)
        ),
        model_name=basis.model_name,
        provider_name=basis.provider_name,
        source_count=len(basis.places),
        amount_nanos=receipt["total_nanos"],
        total_ms=receipt["total_ms"] or 0.0,
        made_at=now.isoformat(),
    )


def _settled_text(outcome: Outcome, basis: Basis) -> tuple[str, list[Place]]:
    """Return the text with its marks in order, and the places they name."""
    text = outcome.text.replace("\x00", "").strip()
    if not basis.places or not text:
        return text, []
    by_number = {place.number: place for place in basis.places}
    text, numbers = citations.settle_marks(text, by_number)
    if not numbers and basis.grounding == LLMModel.Grounding.SENTENCES:
        sources = [
            Source(one.number, one.document_name, one.page_number, one.text) for one in basis.places
        ]
        numbers = citations.supporting_numbers(text, sources)
        text = citations.with_marks(text, numbers)
    return text, [by_number[number] for number in numbers]


def _store_citations(reply: Message, places: Sequence[Place]) -> None:
    # A document can go between search and answer: the citation stays, without it.
    documents = hold_documents([place.document_id for place in places])
    # Versions go with their documents only, which are held.
    version_ids = [place.version_id for place in places]
    present = DocumentVersion.objects.filter(pk__in=version_ids, document__in=documents)
    versions = {str(pk) for pk in present.values_list("pk", flat=True)} if documents else set()
    Citation.objects.bulk_create(
        Citation(
            message=reply,
            number=place.number,
            document_id=place.document_id if place.document_id in documents else None,
            version_id=place.version_id if place.version_id in versions else None,
            document_name=place.document_name,
            page_number=place.page_number,
            start_offset=place.start_offset,
            end_offset=place.end_offset,
        )
        for place in places
    )


def sweep() -> int:
    """End the replies whose time is up: nobody began them, or their process died. Return how many.

    One that was streamed whole and settled is finished; any other is FAILED with the text that had arrived.
    """
    overdue = Message.objects.filter(
        state__in=Message.UNFINISHED, lease_expires_at__lt=timezone.now()
    ).select_related("conversation")
    count = 0
    for reply in overdue.order_by("lease_expires_at")[:500]:
        recovered = outside.recover(reply.pk)
        usage = receipts.usage_of(reply)
        answer = receipts.answer_of(usage)
        is_settled = answer is not None and answer.outcome == CallOutcome.COMPLETED
        is_whole = recovered.is_complete and (
            is_settled or not recovered.prepared.get("model_name")
        )
        state = Message.State.DONE if is_whole else _state_of_lost(reply)
        code = failures.LOST if state == Message.State.FAILED else ""
        outcome = Outcome(state, recovered.text, error_code=code)
        if _finish(reply, usage, Basis.from_json(recovered.prepared), outcome):
            count += 1
            outside.tell_ended(reply.pk)
    return count


def _state_of_lost(reply: Message) -> str:
    """Return STOPPED where the person had asked for it anyway, else FAILED."""
    return Message.State.STOPPED if reply.cancel_requested_at else Message.State.FAILED
