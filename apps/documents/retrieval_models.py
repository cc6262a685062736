"""The tables behind search: the lexical index, and what evaluations of it measured. Search itself is SQL (sql/)."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Term(models.Model):
    """A lexeme of PostgreSQL's text search, and in how many passages it is; '' is in every passage."""

    id = models.AutoField(primary_key=True)
    lexeme = models.TextField(_("lexeme"), unique=True)
    # Kept by triggers on the postings (sql/index_v1.sql).
    passage_count = models.IntegerField(_("passages"), default=0)

    class Meta:
        verbose_name = _("term")
        verbose_name_plural = _("terms")

    def __str__(self) -> str:
        return self.lexeme


class Posting(models.Model):
    """A term's weight in a passage that has it; written by SQL only (documents_index_passages_v1)."""

    # The key also holds `impact` (migration 0002), so that reading a term's postings never leaves the index.
    pk = models.CompositePrimaryKey("term", "passage")
    # Terms are never deleted: no check for each of the millions of rows.
    term = models.ForeignKey(
        Term, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    impact = models.FloatField(_("impact"))
    passage = models.ForeignKey("documents.Passage", on_delete=models.CASCADE, related_name="+")

    class Meta:
        verbose_name = _("posting")
        verbose_name_plural = _("postings")

    def __str__(self) -> str:
        return f"{self.term_id} in {self.passage_id}"


class EvaluationRun(models.Model):
    """What one evaluation on a judged collection measured: quality by arm, and the time of a search."""

    collection = models.CharField(_("collection"), max_length=100)
    created_at = models.DateTimeField(_("at"), default=timezone.now)
    embedding_model = models.CharField(_("embedding model"), max_length=120)
    document_count = models.PositiveIntegerField(_("documents"))
    passage_count = models.PositiveIntegerField(_("passages"))
    question_count = models.PositiveIntegerField(_("questions"))
    # {arm: {measure: value}}: the arms and measures of apps.documents.evaluation.
    figures = models.JSONField(_("figures"))
    parameters = models.JSONField(_("parameters"))

    class Meta:
        verbose_name = _("evaluation")
        verbose_name_plural = _("evaluations")

    def __str__(self) -> str:
        return f"{self.collection} {self.created_at:%Y-%m-%d %H:%M}"
