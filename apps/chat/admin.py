"""Chat in the admin: how much and how it went, never what was said."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.chat import answer_admin  # noqa: F401 - registers its pages
from apps.chat.models import Citation, Conversation, Feedback, Message
from apps.core.admin import ReadOnlyAdmin


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    """Conversations without their titles, which are people's words."""

    list_display = (
        "id",
        "user",
        "paying_department",
        "message_count",
        "sources",
        "is_archived",
        "updated_at",
    )
    list_filter = ("paying_department", "is_archived", "sources")
    search_fields = ("=id", "user__email")
    fields = (
        "id",
        "user",
        "paying_department",
        "sources",
        "is_archived",
        "created_at",
        "updated_at",
    )
    list_select_related = ("user", "paying_department")
    ordering = ("-updated_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        conversations: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = conversations.annotate(message_total=Count("messages"))
        return counted.defer("title")

    @admin.display(description=_("messages"))
    def message_count(self, conversation: Any) -> int:
        return int(conversation.message_total)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """Messages without their text."""

    list_display = ("id", "role", "state", "error_code", "request_id", "created_at", "finished_at")
    list_filter = ("role", "state", "error_code")
    search_fields = ("=id", "=request_id")
    fields = (
        "id", "conversation", "parent", "role", "state", "error_code", "request_id", "receipt",
        "created_at", "started_at", "finished_at", "lease_expires_at", "cancel_requested_at",
    )  # fmt: skip
    ordering = ("-created_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        messages: QuerySet[Any] = super().get_queryset(request)
        return messages.defer("content")


@admin.register(Citation)
class CitationAdmin(ReadOnlyAdmin):
    """Places answers rest on; not the text there."""

    list_display = ("id", "message", "number", "document_name", "page_number")
    search_fields = ("=message__id", "document_name")
    fields: ClassVar[tuple[str, ...]] = (
        "message", "number", "document", "version", "document_name", "page_number", "start_offset", "end_offset",
    )  # fmt: skip
    list_select_related = ("message",)
    ordering = ("-id",)


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin):
    """What people thought of answers, in words they chose to send."""

    list_display = ("message", "is_positive", "reason", "comment", "created_at")
    list_filter = ("is_positive", "reason")
    search_fields = ("=message__id", "comment")
    ordering = ("-created_at",)
    list_select_related = ("message",)
