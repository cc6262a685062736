"""Documents, their versions, pages and passages, and the runs that build them."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField

from apps.accounts.models import Audience, Department
from apps.core.ids import uuid7
from apps.documents.querysets import DocumentQuerySet
from apps.documents.retrieval_models import EvaluationRun, Posting, Term

__all__ = [
    "Document",
    "DocumentVersion",
    "EvaluationRun",
    "IngestRun",
    "Page",
    "Passage",
    "PassageEmbedding",
    "Posting",
    "Term",
]


class Document(models.Model):
    """A file somebody shared, whatever its versions."""

    class Status(models.TextChoices):
        WAITING = "WAITING", _("Waiting")
        READING = "READING", _("Reading")
        READY = "READY", _("Ready")
        FAILED = "FAILED", _("Failed")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="documents",
        db_index=False,
        help_text=_("Who uploaded it."),
    )
    audience = models.ForeignKey(
        Audience,
        on_delete=models.PROTECT,
        related_name="documents",
        db_index=False,
        help_text=_("Who may read it."),
    )
    paying_department = models.ForeignKey(
        Department,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Pays for its ingestion; fixed."),
    )
    active_version = models.ForeignKey(
        "DocumentVersion",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("The version that serves; empty until the first is built."),
    )
    name = models.CharField(
        _("name"), max_length=255, help_text=_("The file's name, without folders.")
    )
    content_type = models.CharField(
        _("type"), max_length=100, help_text=_("Found from the content.")
    )
    size_bytes = models.BigIntegerField(_("size"), help_text=_("Bytes of the original."))
    sha256 = models.CharField(
        _("SHA-256"), max_length=64, help_text=_("Of the original; its name in the store.")
    )
    tags = ArrayField(
        models.CharField(max_length=50),
        default=list,
        blank=True,
        help_text=_("Words to filter by."),
    )
    metadata = models.JSONField(
        default=dict, blank=True, help_text=_("Title, author and such, from the file.")
    )
    status = models.CharField(
        _("status"),
        max_length=8,
        choices=Status.choices,
        default=Status.WAITING,
        help_text=_("Of the latest run; an older version may serve meanwhile."),
    )
    uploaded_at = models.DateTimeField(_("uploaded"), default=timezone.now)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        indexes = (
            models.Index(fields=("owner", "status"), name="document_owner_status"),
            models.Index(fields=("owner", "content_type"), name="document_owner_type"),
            models.Index(fields=("owner", "-uploaded_at"), name="document_owner_uploaded"),
            models.Index(
                fields=("audience", "-uploaded_at", "-id"), name="document_audience_uploaded"
            ),
            models.Index(fields=("sha256",), name="document_sha256"),
            GinIndex(fields=("metadata",), name="document_metadata", opclasses=("jsonb_path_ops",)),
            GinIndex(fields=("tags",), name="document_tags"),
        )

    def __str__(self) -> str:
        return self.name


class DocumentVersion(models.Model):
    """One reading of a document's file: its pages and passages, immutable once active."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    document = models.ForeignKey(
        Document, on_delete=models.CASCADE, related_name="versions", db_index=False
    )
    number = models.PositiveIntegerField(_("number"))
    page_count = models.PositiveIntegerField(_("pages"), default=0)
    character_count = models.BigIntegerField(_("characters"), default=0)
    created_at = models.DateTimeField(_("made"), default=timezone.now)

    class Meta:
        verbose_name = _("version")
        verbose_name_plural = _("versions")
        constraints = (
            models.UniqueConstraint(fields=("document", "number"), name="version_number_once"),
        )

    def __str__(self) -> str:
        return f"{self.document} v{self.number}"


class Page(models.Model):
    """The text of one page (slide, sheet; a file without pages has one). Offsets count from the version's first character."""

    version = models.ForeignKey(
        DocumentVersion, on_delete=models.CASCADE, related_name="pages", db_index=False
    )
    number = models.PositiveIntegerField(_("number"))
    start_offset = models.BigIntegerField(_("starts at"))
    text = models.TextField(_("text"))

    class Meta:
        verbose_name = _("page")
        verbose_name_plural = _("pages")
        constraints = (
            models.UniqueConstraint(fields=("version", "number"), name="page_number_once"),
        )

    def __str__(self) -> str:
        return f"{self.version} p. {self.number}"


class Passage(models.Model):
    """A piece of a version that is searched and cited; its text is the version's [start_offset, end_offset)."""

    version = models.ForeignKey(
        DocumentVersion, on_delete=models.CASCADE, related_name="passages", db_index=False
    )
    # The index below serves its lookups too.
    audience = models.ForeignKey(
        Audience, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    ordinal = models.PositiveIntegerField(_("ordinal"))
    page_number = models.PositiveIntegerField(_("page"))
    start_offset = models.BigIntegerField(_("starts at"))
    end_offset = models.BigIntegerField(_("ends before"))
    text = models.TextField(_("text"))
    content_hash = models.BinaryField(_("content hash"), max_length=32)
    is_serving = models.BooleanField(_("serving"), default=False)

    class Meta:
        verbose_name = _("passage")
        verbose_name_plural = _("passages")
        constraints = (
            models.UniqueConstraint(fields=("version", "ordinal"), name="passage_ordinal_once"),
            models.CheckConstraint(
                condition=Q(end_offset__gt=F("start_offset")), name="passage_not_empty"
            ),
        )
        indexes = (models.Index(fields=("audience", "is_serving"), name="passage_readable"),)

    def __str__(self) -> str:
        return f"{self.version} #{self.ordinal}"


class PassageEmbedding(models.Model):
    """A passage's vector by one embedding model; several models' vectors may stand side by side."""

    passage = models.ForeignKey(
        Passage, on_delete=models.CASCADE, related_name="embeddings", db_index=False
    )
    llm_model_id = models.UUIDField(_("embedding model"))
    content_hash = models.BinaryField(_("content hash"), max_length=32)
    vector = HalfVectorField(_("vector"))

    class Meta:
        verbose_name = _("embedding")
        verbose_name_plural = _("embeddings")
        constraints = (
            models.UniqueConstraint(fields=("passage", "llm_model_id"), name="embedding_once"),
        )
        indexes = (models.Index(fields=("llm_model_id", "content_hash"), name="embedding_content"),)

    def __str__(self) -> str:
        return f"{self.passage_id}"


class IngestRun(models.Model):
    """One attempt to build a version, from file to index; its row is the truth, its Celery message a hint."""

    class State(models.TextChoices):
        WAITING = "WAITING", _("Waiting")
        RUNNING = "RUNNING", _("Running")
        DONE = "DONE", _("Done")
        FAILED = "FAILED", _("Failed")

    class Step(models.TextChoices):
        EXTRACT = "EXTRACT", _("Reading the file")
        SPLIT = "SPLIT", _("Splitting into passages")
        EMBED = "EMBED", _("Computing embeddings")
        INDEX = "INDEX", _("Indexing")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    document = models.ForeignKey(
        Document, on_delete=models.CASCADE, related_name="runs", db_index=False
    )
    version = models.OneToOneField(DocumentVersion, on_delete=models.CASCADE, related_name="run")
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.WAITING)
    step = models.CharField(_("step"), max_length=8, choices=Step.choices, default=Step.EXTRACT)
    done_count = models.PositiveIntegerField(_("done"), default=0)
    total_count = models.PositiveIntegerField(_("of"), default=0)
    cost_nanos = models.BigIntegerField(_("cost"), default=0)
    attempt_count = models.PositiveSmallIntegerField(_("attempts"), default=0)
    attempt_limit = models.PositiveSmallIntegerField(_("attempts allowed"), default=5)
    step_started_at = models.DateTimeField(_("step started"), null=True)
    step_start_count = models.PositiveIntegerField(_("done at the step's start"), default=0)
    error_code = models.CharField(_("error"), max_length=40, blank=True, default="")
    error_detail = models.TextField(_("detail"), blank=True, default="")
    created_at = models.DateTimeField(_("made"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True)
    lease_expires_at = models.DateTimeField(_("lease ends"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("ingestion run")
        verbose_name_plural = _("ingestion runs")
        constraints = (
            models.UniqueConstraint(
                fields=("document",),
                condition=Q(state__in=("WAITING", "RUNNING")),
                name="run_one_unfinished",
            ),
        )
        indexes = (
            models.Index(fields=("document", "-created_at"), name="run_document_created"),
            models.Index(
                fields=("lease_expires_at",),
                condition=Q(state__in=("WAITING", "RUNNING")),
                name="run_unfinished",
            ),
        )

    def __str__(self) -> str:
        return f"{self.document} {self.state}"


class EmbeddingClaim(models.Model):
    """A text a run is having embedded now: other runs with the same text wait for its vector."""

    run = models.ForeignKey(IngestRun, on_delete=models.CASCADE, related_name="+")
    llm_model_id = models.UUIDField(_("embedding model"))
    content_hash = models.BinaryField(_("content hash"), max_length=32)
    expires_at = models.DateTimeField(_("ends"))

    class Meta:
        verbose_name = _("text being embedded")
        verbose_name_plural = _("texts being embedded")
        constraints = (
            models.UniqueConstraint(
                fields=("llm_model_id", "content_hash"), name="claim_text_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.run_id}"
