"""The answers kept for later askers, and what was learned about which questions each may answer."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField

from apps.core.ids import uuid7


class CachedAnswer(models.Model):
    """An answer that may be given again, to those of the same scope; its three hashes are the exact cache's key.

    The row outlives a thumbs-down (`quarantined_at`), so that the same answer is not kept again for the same question.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    scope_hash = models.CharField(_("scope"), max_length=32)
    context_hash = models.CharField(_("made under"), max_length=32)
    question_hash = models.CharField(_("question's hash"), max_length=32)
    question = models.TextField(_("question"))
    # Empty where a sign in the question keeps it from being found by meaning.
    llm_model_id = models.UUIDField(_("embedding model"), null=True)
    vector = HalfVectorField(_("vector"), null=True)
    answer = models.JSONField(_("answer"))
    document_ids = ArrayField(models.UUIDField(), verbose_name=_("documents"))
    version_ids = ArrayField(models.UUIDField(), verbose_name=_("versions"))
    epoch = models.BigIntegerField(_("purges before"), default=0)
    created_at = models.DateTimeField(_("answered"), default=timezone.now)
    hit_count = models.PositiveIntegerField(_("given again by meaning"), default=0)
    # Sum over these hits of the probability, as estimated then, that the answer was wrong.
    expected_errors = models.FloatField(_("errors expected"), default=0)
    last_hit_at = models.DateTimeField(_("last given again"), null=True)
    quarantined_at = models.DateTimeField(_("withdrawn"), null=True)

    class Meta:
        verbose_name = _("kept answer")
        verbose_name_plural = _("kept answers")
        constraints = (
            # Its index serves the search by meaning, too: that is within one scope and context.
            models.UniqueConstraint(
                fields=("scope_hash", "context_hash", "question_hash"), name="answer_kept_once"
            ),
        )
        indexes = (
            models.Index(fields=("created_at",), name="answer_created"),
            models.Index(
                fields=("scope_hash", "context_hash", "-created_at"),
                condition=Q(quarantined_at__isnull=True, vector__isnull=False),
                name="answer_nearest",
            ),
        )

    def __str__(self) -> str:
        # Not the question: operators see this in the admin.
        return str(self.id)


class AnswerLabel(models.Model):
    """Whether an entry's answer was right for a question at this distance; outlives the entry, for the pooled prior."""

    class Source(models.TextChoices):
        MISS = "MISS", _("Compared with the answer computed instead")
        SHADOW = "SHADOW", _("Checked although it could have been given")
        THUMB = "THUMB", _("Judged by a person")

    id = models.BigAutoField(primary_key=True)
    entry_id = models.UUIDField(_("entry"))
    llm_model_id = models.UUIDField(_("embedding model"))
    similarity = models.FloatField(_("similarity"))
    is_correct = models.BooleanField(_("right"))
    source = models.CharField(_("source"), max_length=6, choices=Source.choices)
    created_at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("label of a kept answer")
        verbose_name_plural = _("labels of kept answers")
        indexes = (
            models.Index(fields=("entry_id", "-created_at"), name="answer_label_entry"),
            models.Index(fields=("-created_at",), name="answer_label_created"),
        )

    def __str__(self) -> str:
        return f"{self.entry_id} {self.similarity:.3f}"
