"""Named sets of conversations and messages; every read by a person starts with `visible_to`."""

from typing import TYPE_CHECKING

from django.db import models

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


class MessageQuerySet(models.QuerySet["Message"]):
    """Sets of messages."""

    def visible_to(self, user: User) -> "MessageQuerySet":
        """Messages of the person's own conversations."""
        return self.filter(conversation__user=user)
