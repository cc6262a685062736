"""Named sets of conversations and messages; every read by a person starts with `visible_to`."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Exists, OuterRef, Q

from apps.accounts.models import User

if TYPE_CHECKING:
    from apps.chat.models import Conversation, Message


class ConversationQuerySet(models.QuerySet["Conversation"]):
    """Sets of conversations."""

    def visible_to(self, user: User) -> "ConversationQuerySet":
        """The person's own conversations."""
        return self.filter(user=user)

    def current(self) -> "ConversationQuerySet":
        """Those not archived, last used first."""
        return self.filter(is_archived=False).order_by("-updated_at", "-id")

    def archived(self) -> "ConversationQuerySet":
        """Those archived, last used first."""
        return self.filter(is_archived=True).order_by("-updated_at", "-id")

    def matching(self, text: str) -> "ConversationQuerySet":
        """Those with the text in their title or in one of their messages, in any case of letters."""
        from apps.chat.models import Message  # noqa: PLC0415 - models import this module

        said = Message.objects.filter(conversation=OuterRef("pk"), content__icontains=text)
        return self.filter(Q(title__icontains=text) | Exists(said))


class MessageQuerySet(models.QuerySet["Message"]):
    """Sets of messages."""

    def visible_to(self, user: User) -> "MessageQuerySet":
        """Messages of the person's own conversations."""
        return self.filter(conversation__user=user)
