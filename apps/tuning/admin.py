"""The admin of tuning: the journal, the parameters page above it, scheduled changes, and who may turn what."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.core.admin import ReadOnlyAdmin
from apps.tuning import pages, presentation, scheduling
from apps.tuning.journalled import JournalledAdmin
from apps.tuning.models import Revision, Right, ScheduledChange
from apps.tuning.registry import TuningError


def _moment(at: datetime) -> str:
    """Return a moment on one line, as the narrow columns of lists need it."""
    return format_html('<span class="whitespace-nowrap">{}</span>', f"{at:%Y-%m-%d %H:%M}")


class KindFilter(admin.SimpleListFilter):
    """Parameters, or the rows of one table."""

    title = _("what")
    parameter_name = "kind"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> Iterable[tuple[str, str]]:
        return presentation.kinds()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset.filter(subject__startswith=chosen) if chosen else queryset


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    """The journal: each change with its author and reason; above it the page that makes changes."""

    list_display = ("at", "what", "action", "summary", "author", "reason")
    list_filter = (KindFilter, "action", "is_active")
    search_fields = ("subject", "label", "reason", "author__email")
    list_select_related = ("author",)
    ordering = ("-id",)
    list_before_template = "admin/tuning/_parameters_link.html"
    fields = ("what", "subject", "action", "created_at", "author", "reason", "difference", "state")
    change_form_outer_after_template = "admin/tuning/_rollback_link.html"

    @admin.display(description=_("at (UTC)"), ordering="id")
    def at(self, revision: Revision) -> str:
        return _moment(revision.created_at)

    @admin.display(description=_("what"))
    def what(self, revision: Revision) -> str:
        return presentation.naming(revision.subject, revision.label)

    @admin.display(description=_("change"))
    def summary(self, revision: Revision) -> str:
        return presentation.summary(revision.subject, revision.changed)

    @admin.display(description=_("change"))
    def difference(self, revision: Revision) -> str:
        """Return the change as a table, old beside new."""
        found = presentation.lines(revision.subject, revision.changed)
        if not found:
            return "–"
        body = format_html_join(
            "",
            '<tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr>',
            (
                (line.label, line.old, _t("changed; never shown") if line.is_secret else line.new)
                for line in found
            ),
        )
        return format_html(
            '<table class="journal-table"><thead><tr><th scope="col">{}</th><th scope="col">{}</th>'
            '<th scope="col">{}</th></tr></thead><tbody>{}</tbody></table>',
            _t("Value"),
            _t("Before"),
            _t("After"),
            body,
        )

    @admin.display(description=_("state"))
    def state(self, revision: Revision) -> str:
        if revision.is_active:
            return _t("The latest change of this.")
        return _t("Something newer has taken its place.")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("parameters/", view(self.parameters_view), name="tuning_parameters"),
            path("<int:pk>/rollback/", view(self.rollback_view), name="tuning_revision_rollback"),
            *super().get_urls(),
        ]

    def parameters_view(self, request: HttpRequest) -> HttpResponse:
        return pages.parameters(request, self.admin_site)

    def rollback_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return pages.rollback(request, self.admin_site, get_object_or_404(Revision, pk=pk))


@admin.register(ScheduledChange)
class ScheduledChangeAdmin(ReadOnlyAdmin):
    """Changes that wait for their time; they are made on the pages of what they change, and cancelled here."""

    list_display = ("at", "what", "change", "author", "reason", "state", "error")
    list_filter = (KindFilter, "due_at")
    search_fields = ("subject", "label", "reason", "author__email")
    list_select_related = ("author", "cancelled_by")
    ordering = ("-due_at", "-id")
    actions = ("cancel_chosen",)
    fields = ("what", "change", "due_at", "state", "error", "author", "reason", "created_at")
    change_form_outer_after_template = "admin/tuning/_cancel.html"

    @admin.display(description=_("what"))
    def what(self, scheduled: ScheduledChange) -> str:
        return presentation.naming(scheduled.subject, scheduled.label)

    @admin.display(description=_("due (UTC)"), ordering="due_at")
    def at(self, scheduled: ScheduledChange) -> str:
        return _moment(scheduled.due_at)

    @admin.display(description=_("new values"))
    def change(self, scheduled: ScheduledChange) -> str:
        return presentation.planned(scheduled)

    @admin.display(description=_("state"))
    def state(self, scheduled: ScheduledChange) -> str:
        if scheduled.is_waiting:
            return _t("waiting")
        if scheduled.applied_at:
            return _t("made")
        return _t("refused") if scheduled.refused_at else _t("cancelled")

    @admin.action(description=_("Cancel what still waits"))
    def cancel_chosen(self, request: HttpRequest, queryset: QuerySet[ScheduledChange]) -> None:
        for scheduled in queryset:
            self._cancel(request, scheduled)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.cancel_view))
        return [
            path("<int:pk>/cancel/", view, name="tuning_scheduledchange_cancel"),
            *super().get_urls(),
        ]

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        self._cancel(request, get_object_or_404(ScheduledChange, pk=pk))
        return redirect("admin:tuning_scheduledchange_changelist")

    def _cancel(self, request: HttpRequest, scheduled: ScheduledChange) -> None:
        try:
            is_done = scheduling.cancel(scheduled=scheduled, user_id=request.user.pk)
        except TuningError as error:
            messages.error(request, str(error))
            return
        if is_done:
            messages.success(request, _t("Cancelled: %s.") % scheduled)
        else:
            messages.warning(request, _t("Too late: %s waits no longer.") % scheduled)


@admin.register(Right)
class RightAdmin(JournalledAdmin):
    """Who may turn what; without an entry every operator may."""

    list_display = ("pattern", "person")
    search_fields = ("pattern", "person__email", "person__full_name")
    list_select_related = ("person",)
    ordering = ("pattern", "person__email")
    autocomplete_fields = ("person",)
