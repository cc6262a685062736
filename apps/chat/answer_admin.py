"""The answer caches in the admin: how often they serve and how sure that is, never what was asked or answered."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import BigIntegerField, Count, OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from apps.chat.answers import keep
from apps.chat.answers.report import report
from apps.chat.cache import ANSWER, ANSWER_SEMANTIC
from apps.chat.models import AnswerLabel, CachedAnswer
from apps.chat.types import AnswerKey
from apps.core.admin import ReadOnlyAdmin
from apps.core.money import format_nanos


class StandingFilter(admin.SimpleListFilter):
    """Whether an answer may still be given."""

    title = _("standing")
    parameter_name = "standing"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, Any]]:
        return [("kept", _("Kept")), ("withdrawn", _("Withdrawn"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in {"kept", "withdrawn"}:
            return queryset.filter(quarantined_at__isnull=self.value() == "kept")
        return queryset


@admin.register(CachedAnswer)
class CachedAnswerAdmin(ReadOnlyAdmin):
    """Kept answers by age, use and labels, under the figures of both caches; their texts are not read here."""

    list_display = (
        "id",
        "created_at",
        "made_by",
        "saved",
        "is_by_meaning",
        "hit_count",
        "label_count",
        "last_hit_at",
        "quarantined_at",
    )
    list_filter = (StandingFilter,)
    search_fields = ("=id", "=scope_hash", "=context_hash", "=question_hash")
    fields = (
        "id", "scope_hash", "context_hash", "question_hash", "created_at", "made_by", "saved", "is_by_meaning",
        "hit_count", "expected_errors", "label_count", "last_hit_at", "quarantined_at", "epoch",
    )  # fmt: skip
    ordering = ("-created_at",)
    actions = ("withdraw",)
    list_before_template = "admin/chat/_answers.html"

    class Media:
        css = {"all": ("tuning/tuning.css", "caching/caching.css")}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        answers: QuerySet[Any] = super().get_queryset(request)
        labels = (
            AnswerLabel.objects.filter(entry_id=OuterRef("pk"))
            .order_by()
            .values("entry_id")
            .annotate(total=Count("pk"))
        )
        counted: QuerySet[Any] = answers.annotate(
            label_total=Coalesce(Subquery(labels.values("total")), 0),
            model_name=KeyTextTransform("model_name", "answer"),
            saved_nanos=Cast(KeyTextTransform("amount_nanos", "answer"), BigIntegerField()),
        )
        return counted.defer("question", "answer", "vector")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the figures of both caches above the entries."""
        context = {
            "report": report(now=timezone.now()),
            "exact_name": ANSWER.name,
            "semantic_name": ANSWER_SEMANTIC.name,
        }
        shown: HttpResponse = super().changelist_view(request, {**(extra_context or {}), **context})
        return shown

    @admin.display(description=_("model"))
    def made_by(self, answer: Any) -> str:
        return str(answer.model_name)

    @admin.display(description=_("saves each time"), ordering="saved_nanos")
    def saved(self, answer: Any) -> str:
        return format_nanos(answer.saved_nanos)

    @admin.display(description=_("found by meaning"), boolean=True)
    def is_by_meaning(self, answer: Any) -> bool:
        return answer.llm_model_id is not None

    @admin.display(description=_("labels"), ordering="label_total")
    def label_count(self, answer: Any) -> int:
        return int(answer.label_total)

    @admin.action(
        description=_("Withdraw: give to nobody any more"),
        permissions=["view"],
    )
    def withdraw(self, request: HttpRequest, answers: QuerySet[Any]) -> None:
        """Withdraw the chosen answers, from both caches."""
        chosen = list(
            answers.values_list("pk", "scope_hash", "context_hash", "question_hash").order_by("pk")
        )
        for entry_id, *parts in chosen:
            keep.withdraw(entry_id=entry_id, key=AnswerKey(*parts))
        said = ngettext("%d answer withdrawn.", "%d answers withdrawn.", len(chosen)) % len(chosen)
        messages.success(request, said)


@admin.register(AnswerLabel)
class AnswerLabelAdmin(ReadOnlyAdmin):
    """Labels: whether an entry's answer was right for a question at this distance."""

    list_display = ("created_at", "entry_id", "similarity", "is_correct", "source")
    list_filter = ("source", "is_correct")
    search_fields = ("=entry_id",)
    fields = ("entry_id", "llm_model_id", "similarity", "is_correct", "source", "created_at")
    ordering = ("-created_at",)
