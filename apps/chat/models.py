"""Conversations, their tree of messages, citations and feedback."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Department
from apps.chat.answer_models import AnswerLabel, CachedAnswer
from apps.chat.querysets import ConversationQuerySet, MessageQuerySet
from apps.core.ids import uuid7
from apps.documents.models import Document, DocumentVersion

__all__ = [
    "AnswerLabel",
    "CachedAnswer",
    "Citation",
    "Conversation",
    "Feedback",
    "Message",
]


class Conversation(models.Model):
    """A person's conversation; its messages form a tree, of which `active_leaf` names the branch shown."""

    class Sources(models.TextChoices):
        ALL = "ALL", _("All documents")
        CHOSEN = "CHOSEN", _("Chosen documents")
        NONE = "NONE", _("No documents")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="conversations",
        db_index=False,
    )
    paying_department = models.ForeignKey(Department, on_delete=models.PROTECT, related_name="+")
    title = models.CharField(_("title"), max_length=200, blank=True, default="")
    sources = models.CharField(
        _("sources"), max_length=8, choices=Sources.choices, default=Sources.ALL
    )
    chosen_documents = models.ManyToManyField(Document, blank=True, related_name="+")
    active_leaf = models.ForeignKey(
        "Message", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    is_archived = models.BooleanField(_("archived"), default=False)
    cost_tags = ArrayField(
        models.CharField(max_length=40), verbose_name=_("cost tags"), default=list
    )
    created_at = models.DateTimeField(_("started"), default=timezone.now)
    updated_at = models.DateTimeField(_("last used"), default=timezone.now)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        indexes = (
            models.Index(
                fields=("user", "-updated_at", "-id"),
                condition=Q(is_archived=False),
                name="conversation_current",
            ),
            models.Index(
                fields=("user", "-updated_at", "-id"),
                condition=Q(is_archived=True),
                name="conversation_archived",
            ),
        )

    def __str__(self) -> str:
        # Not the title: it comes from the question, and operators see this in the admin.
        return str(self.id)


class Message(models.Model):
    """A question or a reply. A reply's row exists from the moment the question is posted."""

    class Role(models.TextChoices):
        USER = "USER", _("Question")
        ASSISTANT = "ASSISTANT", _("Answer")

    class State(models.TextChoices):
        PENDING = "PENDING", _("Waiting")
        RUNNING = "RUNNING", _("Being written")
        DONE = "DONE", _("Done")
        STOPPED = "STOPPED", _("Stopped")
        FAILED = "FAILED", _("Failed")

    UNFINISHED = (State.PENDING, State.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="children")
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.DONE)
    content = models.TextField(_("text"), blank=True, default="")
    error_code = models.CharField(_("error"), max_length=40, blank=True, default="")
    idempotency_key = models.UUIDField(_("idempotency key"), null=True)
    request_id = models.UUIDField(_("request"), null=True)
    receipt = models.JSONField(_("receipt"), null=True)
    created_at = models.DateTimeField(_("at"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    lease_expires_at = models.DateTimeField(_("lease ends"), null=True)
    cancel_requested_at = models.DateTimeField(_("stop asked"), null=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = (
            # Alone, not with the conversation: a double click on a new conversation would make two of both.
            models.UniqueConstraint(fields=("idempotency_key",), name="message_posted_once"),
        )
        indexes = (
            models.Index(fields=("conversation", "created_at"), name="message_conversation"),
            models.Index(
                fields=("lease_expires_at",),
                condition=Q(state__in=("PENDING", "RUNNING")),
                name="message_unfinished",
            ),
        )

    def __str__(self) -> str:
        return str(self.id)

    @property
    def is_unfinished(self) -> bool:
        """Say whether a reply is still waiting or being written."""
        return self.state in self.UNFINISHED


class Citation(models.Model):
    """A place in a document version that a reply rests on; its text is read again, through access, when shown."""

    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="citations", db_index=False
    )
    number = models.PositiveSmallIntegerField(_("number"))
    document = models.ForeignKey(
        Document, on_delete=models.SET_NULL, null=True, related_name="citations"
    )
    version = models.ForeignKey(
        DocumentVersion, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    document_name = models.CharField(_("document"), max_length=255)
    page_number = models.PositiveIntegerField(_("page"))
    start_offset = models.BigIntegerField(_("starts at"))
    end_offset = models.BigIntegerField(_("ends before"))

    class Meta:
        verbose_name = _("citation")
        verbose_name_plural = _("citations")
        constraints = (
            models.UniqueConstraint(fields=("message", "number"), name="citation_number_once"),
        )

    def __str__(self) -> str:
        return f"[{self.number}] {self.document_name}"


class Feedback(models.Model):
    """A person's judgement of a reply."""

    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="feedback")
    is_positive = models.BooleanField(_("thumb up"))
    reason = models.CharField(_("reason"), max_length=20, blank=True, default="")
    comment = models.TextField(_("comment"), blank=True, default="")
    created_at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("feedback")
        verbose_name_plural = _("feedback")
        indexes = (
            models.Index(
                fields=("-created_at",), condition=Q(is_positive=False), name="feedback_negative"
            ),
        )

    def __str__(self) -> str:
        return str(self.message_id)
