"""Questions as people ask them: each is stored once with its waiting reply, and can be asked again beside it."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts import services as accounts
from apps.accounts.models import Department, User
from apps.chat.answers import exact, replay
from apps.chat.cache import changed
from apps.chat.models import Conversation, Message
from apps.core.ids import uuid7
from apps.documents.models import Document

ROOT = "root"
TITLE_CHARACTERS = 60
# A reply nobody began within this time was lost between the commit and its task.
PENDING_SECONDS = 10


class ChatError(Exception):
    """What a person asked for cannot be done; `code` is for programs, the text for the person."""

    code = "invalid"


class ReplyRunningError(ChatError):
    """The branch ends in an answer that is still being written."""

    code = "reply_running"


class NotPayerError(ChatError):
    """The department is not one the person belongs to."""

    code = "not_payer"


class KeyUsedError(ChatError):
    """The idempotency key belongs to something else."""

    code = "key_used"


@dataclass(frozen=True, slots=True)
class Draft:
    """A question as it comes from the page."""

    content: str
    idempotency_key: UUID
    conversation: Conversation | None = None
    parent: str = ""
    department_id: UUID | None = None
    sources: str = ""
    document_ids: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class Posted:
    """A question and its reply; `is_new` is false when the key had been used: nothing was written then.

    A new reply is written by `replies`, unless it was given from an earlier one and is done.
    """

    conversation: Conversation
    question: Message
    reply: Message
    is_new: bool


def post_message(*, user: User, draft: Draft) -> Posted:
    """Store a question and its waiting reply in one short transaction, once per idempotency key.

    Raises:
        ChatError: of its kinds, with words for the person.
        Message.DoesNotExist: the parent is not in the conversation.
    """
    started = time.perf_counter()
    hit = _kept_answer(user, draft)
    try:
        with transaction.atomic():
            return _post(user, draft, hit, started)
    except IntegrityError as error:
        question = (
            Message.objects.visible_to(user)
            .filter(idempotency_key=draft.idempotency_key, role=Message.Role.USER)
            .select_related("conversation")
            .first()
        )
        if question is None:
            raise KeyUsedError(_("This was already sent. Reload the page.")) from error
        reply = question.children.earliest("created_at")
        return Posted(question.conversation, question, reply, is_new=False)


def _kept_answer(user: User, draft: Draft) -> exact.Hit | None:
    """Return the answer kept for a first question, unless it is asked again where it was asked already."""
    conversation = draft.conversation
    if conversation is None:
        sources = draft.sources or str(Conversation.Sources.ALL)
    elif draft.parent == ROOT and draft.sources:
        if exact.asks_again(conversation, draft.content):
            return None
        sources = draft.sources
    else:
        return None
    return exact.find(
        user=user, question=draft.content, sources=sources, document_ids=draft.document_ids
    )


def _post(user: User, draft: Draft, hit: exact.Hit | None, started: float) -> Posted:
    conversation = draft.conversation or Conversation(
        user=user,
        paying_department=_payer(user, draft.department_id),
        title=title_of(draft.content),
    )
    if draft.conversation is None:
        conversation.save(force_insert=True)
    else:
        _require_member(user, conversation)
    question = Message(
        conversation=conversation,
        parent_id=_parent_id(conversation, draft.parent),
        role=Message.Role.USER,
        content=draft.content,
        idempotency_key=draft.idempotency_key,
    )
    question.save(force_insert=True)
    reply = replay.add_exact(user=user, question=question, hit=hit, started=started) or _add_reply(
        question, idempotency_key=None
    )
    _set_sources(user, conversation, draft)
    conversation.active_leaf = reply
    conversation.updated_at = question.created_at
    conversation.save(update_fields=["active_leaf", "updated_at", "sources"])
    changed(conversation.pk, user.pk)
    return Posted(conversation, question, reply, is_new=True)


def _payer(user: User, department_id: UUID | None) -> Department:
    if department_id is None:
        return accounts.paying_department(user)
    department = Department.objects.payable_by(user).filter(pk=department_id).first()
    if department is None:
        raise NotPayerError(_("Choose one of your own departments to pay for this."))
    return department


def _require_member(user: User, conversation: Conversation) -> None:
    if (
        not Department.objects.payable_by(user)
        .filter(pk=conversation.paying_department_id)
        .exists()
    ):
        raise NotPayerError(
            _(
                "You no longer belong to the department that pays for this conversation. Start a new one."
            )
        )


def _parent_id(conversation: Conversation, parent: str) -> UUID | None:
    """Return the reply the question follows: as told, else the last of the branch shown."""
    if parent == ROOT:
        return None
    replies = conversation.messages.filter(role=Message.Role.ASSISTANT)
    leaf = (
        replies.get(pk=parent)
        if parent
        else replies.filter(pk__in=[conversation.active_leaf_id]).first()
    )
    if leaf is not None and leaf.is_unfinished:
        raise ReplyRunningError(
            _("The answer before this is still being written. Wait for it, or stop it.")
        )
    return leaf.pk if leaf else None


def _set_sources(user: User, conversation: Conversation, draft: Draft) -> None:
    if not draft.sources:
        return
    conversation.sources = draft.sources
    chosen: Sequence[Document] = ()
    if draft.sources == Conversation.Sources.CHOSEN:
        chosen = list(Document.objects.visible_to(user).filter(pk__in=draft.document_ids))
        if not chosen:
            raise ChatError(_("Choose at least one document to ask."))
    conversation.chosen_documents.set(chosen)


def _add_reply(question: Message, *, idempotency_key: UUID | None) -> Message:
    now = timezone.now()
    reply = Message(
        conversation_id=question.conversation_id,
        parent=question,
        role=Message.Role.ASSISTANT,
        state=Message.State.PENDING,
        idempotency_key=idempotency_key,
        # Its own, not the web request's: that one may be set by the caller, and this one names what is paid for.
        request_id=uuid7(),
        created_at=now,
        lease_expires_at=now + timedelta(seconds=PENDING_SECONDS),
    )
    reply.save(force_insert=True)
    return reply


def title_of(content: str) -> str:
    """Return a title from a question: its first line, cut at a word."""
    line = re.sub(r"\s+", " ", content.strip().splitlines()[0] if content.strip() else "").strip()
    if len(line) <= TITLE_CHARACTERS:
        return line
    cut = line[:TITLE_CHARACTERS].rsplit(" ", 1)[0].rstrip(",.;:–- ")
    return f"{cut}…"


def regenerate(*, user: User, reply: Message, idempotency_key: UUID) -> Posted:
    """Store a new waiting reply beside this one, once per idempotency key.

    Raises:
        ChatError: the reply is still being written, or the person left the paying department.
    """
    if reply.parent is None or reply.role != Message.Role.ASSISTANT:
        raise ChatError(_("Only an answer can be asked for again."))
    if reply.is_unfinished:
        raise ReplyRunningError(_("This answer is still being written. Wait for it, or stop it."))
    conversation = reply.conversation
    _require_member(user, conversation)
    try:
        with transaction.atomic():
            sibling = _add_reply(reply.parent, idempotency_key=idempotency_key)
            conversation.active_leaf = sibling
            conversation.updated_at = sibling.created_at
            conversation.save(update_fields=["active_leaf", "updated_at"])
            changed(conversation.pk, user.pk)
            return Posted(conversation, reply.parent, sibling, is_new=True)
    except IntegrityError as error:
        known = Message.objects.visible_to(user).filter(
            idempotency_key=idempotency_key, parent=reply.parent, role=Message.Role.ASSISTANT
        )
        sibling_before = known.first()
        if sibling_before is None:
            raise KeyUsedError(_("This was already sent. Reload the page.")) from error
        return Posted(conversation, reply.parent, sibling_before, is_new=False)
