"""Operators see what there is and how its ingestion goes, never the text of others' documents."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from apps.core.admin import ReadOnlyAdmin
from apps.core.money import format_nanos
from apps.documents.models import Document, DocumentVersion, EvaluationRun, IngestRun, Passage


@admin.register(Document)
class DocumentAdmin(ReadOnlyAdmin):
    """Documents by what is known of them; the name is all that shows of the content."""

    list_display = (
        "name",
        "owner",
        "audience",
        "paying_department",
        "status",
        "size_bytes",
        "uploaded_at",
    )
    list_filter = ("status", "content_type", "paying_department")
    list_select_related = ("owner", "audience__department", "audience__user", "paying_department")
    search_fields = ("name", "owner__email", "sha256")
    ordering = ("-uploaded_at",)
    # The metadata comes out of the file, and so is content.
    exclude = ("metadata",)


@admin.register(DocumentVersion)
class DocumentVersionAdmin(ReadOnlyAdmin):
    """Versions and their sizes; pages and passages have no page here."""

    list_display = (
        "document",
        "number",
        "page_count",
        "character_count",
        "passage_count",
        "created_at",
    )
    list_select_related = ("document",)
    search_fields = ("document__name",)
    ordering = ("-created_at",)

    @admin.display(description=_("Passages"))
    def passage_count(self, version: DocumentVersion) -> int:
        return Passage.objects.filter(version=version).count()


@admin.register(IngestRun)
class IngestRunAdmin(ReadOnlyAdmin):
    """Ingestion at work and past: what failed, why, and what it cost."""

    list_display = (
        "document",
        "state",
        "step",
        "progress",
        "attempt_count",
        "cost",
        "error_code",
        "created_at",
    )
    list_filter = ("state", "step", "error_code")
    list_select_related = ("document",)
    search_fields = ("document__name", "error_code")
    ordering = ("-created_at",)

    @admin.display(description=_("Progress"))
    def progress(self, run: IngestRun) -> str:
        return f"{run.done_count} / {run.total_count}"

    @admin.display(description=_("Cost"), ordering="cost_nanos")
    def cost(self, run: IngestRun) -> str:
        return format_nanos(run.cost_nanos)


@admin.register(EvaluationRun)
class EvaluationRunAdmin(ReadOnlyAdmin):
    """What search measured on judged collections, the last first (`manage.py documents_evaluate`)."""

    list_display = (
        "collection",
        "created_at",
        "ndcg_at_10",
        "recall_at_10",
        "recall_at_100",
        "average_precision",
        "text",
        "vectors",
        "p95_ms",
    )
    list_filter = ("collection",)
    search_fields = ("collection", "embedding_model")
    ordering = ("-created_at",)

    @admin.display(description=_("nDCG@10"))
    def ndcg_at_10(self, run: EvaluationRun) -> str:
        return _figure(run, "shipped", "ndcg_at_10")

    @admin.display(description=_("Recall@10"))
    def recall_at_10(self, run: EvaluationRun) -> str:
        return _figure(run, "shipped", "recall_at_10")

    @admin.display(description=_("Recall@100"))
    def recall_at_100(self, run: EvaluationRun) -> str:
        return _figure(run, "shipped", "recall_at_100")

    @admin.display(description=_("MAP"))
    def average_precision(self, run: EvaluationRun) -> str:
        return _figure(run, "shipped", "average_precision")

    @admin.display(description=_("nDCG@10, words only"))
    def text(self, run: EvaluationRun) -> str:
        return _figure(run, "text", "ndcg_at_10")

    @admin.display(description=_("nDCG@10, vectors only"))
    def vectors(self, run: EvaluationRun) -> str:
        return _figure(run, "vectors", "ndcg_at_10")

    @admin.display(description=_("p95, ms"))
    def p95_ms(self, run: EvaluationRun) -> str:
        return f"{run.figures['shipped']['p95_ms']:.0f}"


def _figure(run: EvaluationRun, arm: str, measure: str) -> str:
    return f"{run.figures[arm][measure]:.3f}"
