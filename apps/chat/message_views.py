"""Messages as their reader sees them now: text, failure, citations, judgement, receipt."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.chat import failures, markdown
from apps.chat.citations import place_url
from apps.chat.models import Citation, Message
from apps.chat.tree import CitationNode, MessageNode
from apps.core.templatetags.ui import when
from apps.documents import readable


@dataclass(frozen=True, slots=True)
class CitationView:
    """A citation as its reader may see it now; without access there is no address."""

    pk: int
    number: int
    document_name: str
    page_number: int
    is_available: bool
    url: str


@dataclass(frozen=True, slots=True)
class EarlierView:
    """That a reply was given from an earlier one: in words, how long ago that was, and what this one cost."""

    words: str
    ago: str
    total_nanos: int


@dataclass(frozen=True)
class MessageView:
    """A message as the page shows it."""

    id: UUID
    role: str
    state: str
    content: str
    created_at: datetime
    parent: str
    is_unfinished: bool
    error_code: str = ""
    error_message: str = ""
    can_retry: bool = False
    refusing_budget: str = ""
    siblings: int = 1
    sibling_number: int = 1
    previous_sibling_url: str = ""
    next_sibling_url: str = ""
    feedback: bool | None = None
    feedback_reason: str = ""
    citations: Sequence[CitationView] = ()
    receipt: dict[str, Any] | None = None
    earlier: EarlierView | None = None

    @cached_property
    def html(self) -> SafeString:
        """The text as safe HTML, made when a template asks: a page the browser has already never does."""
        if self.role == Message.Role.USER:
            return markdown.plain(self.content)
        chips = [
            markdown.Chip(one.pk, one.number, one.document_name, one.page_number, one.is_available)
            for one in self.citations
        ]
        return markdown.render(self.content, chips=chips)


def citations_of(
    user: User, messages: Sequence[MessageNode]
) -> Mapping[UUID, Sequence[CitationView]]:
    """Return the citations of each message; which documents the person may read is asked now."""
    document_ids = {
        one.document_id for message in messages for one in message.citations if one.document_id
    }
    can_read = set(readable.readable_facts(user, document_ids)) if document_ids else set()
    return {
        message.pk: [citation_view(one, can_read) for one in message.citations]
        for message in messages
    }


def citation_view(citation: Citation | CitationNode, can_read: Collection[UUID]) -> CitationView:
    """Return a citation for a person who can read these documents."""
    is_available = citation.document_id in can_read and citation.version_id is not None
    url = (
        place_url(
            str(citation.document_id),
            str(citation.version_id),
            citation.start_offset,
            citation.end_offset,
        )
        if is_available
        else ""
    )
    return CitationView(
        citation.pk,
        citation.number,
        citation.document_name,
        citation.page_number,
        is_available,
        url,
    )


def view_of(
    message: MessageNode, siblings: Sequence[UUID], citations: Sequence[CitationView]
) -> MessageView:
    """Return a message beside its siblings, of which it is one, the oldest first."""
    position = siblings.index(message.pk)
    is_positive, reason = message.feedback or (None, "")
    failure = _failure(message)
    return MessageView(
        id=message.pk,
        role=message.role,
        state=message.state,
        content=message.content,
        created_at=message.created_at,
        parent=str(message.parent_id or "root"),
        is_unfinished=message.is_unfinished,
        error_code=message.error_code,
        error_message=failure.message if failure else "",
        can_retry=bool(failure and failure.can_retry),
        refusing_budget=failure.budget_id if failure else "",
        siblings=len(siblings),
        sibling_number=position + 1,
        previous_sibling_url=_sibling_url(message, siblings, position - 1),
        next_sibling_url=_sibling_url(message, siblings, position + 1),
        feedback=is_positive,
        feedback_reason=reason,
        citations=citations,
        receipt=_receipt(message),
        earlier=_earlier(message.receipt),
    )


def _failure(message: MessageNode) -> failures.Failure | None:
    if message.state != Message.State.FAILED:
        return None
    refusal = (message.receipt or {}).get("refusal")
    if refusal:
        return failures.Failure(refusal["text"], can_retry=True, budget_id=refusal["budget_id"])
    return failures.explain(message.error_code)


def _earlier(receipt: dict[str, Any] | None) -> EarlierView | None:
    words = {
        "exact": _("Answered from an earlier, identical question"),
        "semantic": _("Answered from an earlier question that means the same"),
    }
    layer = receipt["cache_layer"] if receipt and "answered_at" in receipt else ""
    if receipt is None or layer not in words:
        return None
    answered_at = datetime.fromisoformat(receipt["answered_at"])
    return EarlierView(words[layer], when(answered_at), receipt["total_nanos"])


def _receipt(message: MessageNode) -> dict[str, Any] | None:
    """Return the receipt with its stages under names for people."""
    if message.receipt is None:
        return None
    names = {
        "claim": _("Starting"),
        "earlier": _("Looking for an earlier answer"),
        "history": _("Reading the conversation"),
        "retrieval": _("Searching the documents"),
        "sentences": _("Choosing the best sentences"),
        "model": _("The model"),
    }
    stages = message.receipt.get("stages", {})
    return {
        **message.receipt,
        "stages": {names[name]: ms for name, ms in stages.items() if name in names},
    }


def _sibling_url(message: MessageNode, siblings: Sequence[UUID], position: int) -> str:
    if not 0 <= position < len(siblings):
        return ""
    page = reverse("chat:conversation-detail", args=[message.conversation_id])
    return f"{page}?leaf={siblings[position]}"
