"""The app's door for writes: verbs on conversations and feedback here, on questions in `questions`.

The writing of a reply itself is `replies`.
"""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.billing import tags
from apps.chat.answers import keep
from apps.chat.cache import changed
from apps.chat.live import outside
from apps.chat.models import Conversation, Feedback, Message
from apps.chat.questions import ROOT as ROOT
from apps.chat.questions import ChatError as ChatError
from apps.chat.questions import Draft as Draft
from apps.chat.questions import Posted as Posted
from apps.chat.questions import post_message as post_message
from apps.chat.questions import regenerate as regenerate


def stop(*, reply: Message) -> None:
    """Ask for a reply to stop: a repeat or a finished reply changes nothing. Wakes the process that writes it."""
    with transaction.atomic():
        asked = Message.objects.filter(
            pk=reply.pk, state__in=Message.UNFINISHED, cancel_requested_at__isnull=True
        ).update(cancel_requested_at=timezone.now())
        if asked:
            transaction.on_commit(lambda: outside.signal_stop(reply.pk))


def rename(*, conversation: Conversation, title: str) -> None:
    """Give a conversation another title."""
    conversation.title = title
    conversation.save(update_fields=["title"])
    changed(conversation.pk, conversation.user_id)


def set_archived(*, conversation: Conversation, is_archived: bool) -> None:
    """Put a conversation away, or bring it back."""
    conversation.is_archived = is_archived
    conversation.save(update_fields=["is_archived"])
    changed(conversation.pk, conversation.user_id)


def set_cost_tags(*, user: User, conversation: Conversation, codes: Sequence[str]) -> None:
    """Have the calls of a conversation carry these tags from now on; what was called before keeps its own.

    Raises:
        TagNotAllowedError: one that the conversation did not have may not be set by the person.
    """
    wanted, had = set(codes), set(conversation.cost_tags)
    added = tags.check(codes=wanted - had, user=user, department=conversation.paying_department)
    conversation.cost_tags = sorted({*added, *(wanted & had)})
    conversation.save(update_fields=["cost_tags"])


def delete(*, conversation: Conversation) -> None:
    """Delete a conversation for good, its messages, citations and feedback with it; running replies are stopped."""
    with transaction.atomic():
        running = conversation.messages.filter(state__in=Message.UNFINISHED)
        for reply in running:
            stop(reply=reply)
        changed(conversation.pk, conversation.user_id)
        conversation.delete()


def give_feedback(
    *, reply: Message, is_positive: bool | None, reason: str = "", comment: str = ""
) -> Feedback | None:
    """Set, change or (with None) take back the judgement of a reply; a bad one is given to nobody any more."""
    if reply.role != Message.Role.ASSISTANT or reply.is_unfinished:
        raise ChatError(_("Only a finished answer can be judged."))
    if is_positive is None:
        Feedback.objects.filter(message=reply).delete()
        changed(reply.conversation_id)
        return None
    values = {
        "is_positive": is_positive,
        "reason": reason,
        "comment": comment,
        "created_at": timezone.now(),
    }
    with transaction.atomic():
        if not is_positive:
            keep.withdraw_by(reply.receipt)
        changed(reply.conversation_id)
        return Feedback.objects.update_or_create(message=reply, defaults=values)[0]
