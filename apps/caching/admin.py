"""The admin of the cache: all keyspaces with their figures, and a page for each with its policy and its purges."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.views.decorators.http import require_POST

from apps.caching import contents, figures, keyspaces, policies, presentation, services
from apps.caching.forms import PolicyForm, PurgeForm, PurgeKeyForm
from apps.caching.keyspaces import Keyspace, KeyspaceError
from apps.caching.models import CachePolicy
from apps.caching.services import PolicyError
from apps.tuning import rows
from apps.tuning.forms import DUE, REASON
from apps.tuning.journalled import JournalledAdmin
from apps.tuning.models import Revision, ScheduledChange
from apps.tuning.presentation import summary
from apps.tuning.registry import TuningError

KEYSPACE_URL = "admin:caching_keyspace"
CHANGES_SHOWN = 5
CHANGES_MARKED = 50


@admin.register(CachePolicy)
class CachePolicyAdmin(JournalledAdmin):
    """Policies by keyspace: every declared keyspace is listed, whether anybody has set something of it or not."""

    journal_key = "keyspace"
    list_display = ("keyspace", "is_enabled")
    search_fields = ("keyspace",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        purge = view(require_POST(self.purge_view))
        purge_key = view(require_POST(self.purge_key_view))
        page = "keyspaces/<str:name>/"
        return [
            path(page, view(self.keyspace_view), name="caching_keyspace"),
            path(f"{page}purge/", purge, name="caching_keyspace_purge"),
            path(f"{page}purge-key/", purge_key, name="caching_keyspace_purge_key"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, *_args: Any, **_options: Any) -> HttpResponse:
        """List every keyspace by app, with its figures."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        summary, groups = presentation.everything(now=timezone.now())
        context = {
            **self.admin_site.each_context(request),
            "title": _t("Caches"),
            "summary": summary,
            "groups": groups,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/caching/keyspaces.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, *_args: Any, **_options: Any
    ) -> HttpResponse:
        """Go to the page of the keyspace; the journal links to rows."""
        row = get_object_or_404(CachePolicy, pk=object_id)
        return redirect(KEYSPACE_URL, row.keyspace)

    def keyspace_view(self, request: HttpRequest, name: str) -> HttpResponseBase:
        """Show a keyspace's figures, and change its policy."""
        if request.method != "POST":
            return self._page(request, self._keyspace(request, name))
        keyspace = self._changeable(request, name)
        form = self._policy_form(request, keyspace)
        if form.is_valid():
            try:
                messages.success(request, self._save(request, keyspace, form))
                return redirect(KEYSPACE_URL, keyspace.name)
            except (PolicyError, TuningError) as error:
                form.add_error(None, str(error))
        return self._page(request, keyspace, form=form)

    def purge_view(self, request: HttpRequest, name: str) -> HttpResponseBase:
        """Drop all entries of a keyspace."""
        keyspace = self._changeable(request, name)
        form = PurgeForm(request.POST)
        if form.is_valid():
            try:
                services.purge(
                    name=keyspace.name,
                    author_id=request.user.pk,
                    reason=form.cleaned_data["reason"],
                )
            except TuningError as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, _t("Purged: every entry of %s is left behind.") % name)
                return redirect(KEYSPACE_URL, keyspace.name)
        return self._page(request, keyspace, purge_form=form)

    def purge_key_view(self, request: HttpRequest, name: str) -> HttpResponseBase:
        """Drop one key of a keyspace."""
        keyspace = self._changeable(request, name)
        form = PurgeKeyForm(request.POST, keyspace=keyspace)
        if not form.is_valid():
            return self._page(request, keyspace, purge_key_form=form)
        was_held = contents.holds(keyspace, form.parts())
        services.purge_key(name=keyspace.name, parts=form.parts(), author_id=request.user.pk)
        if was_held is None:
            said = _t("Valkey does not answer: the key goes as soon as it does.")
        elif was_held:
            said = _t("Purged: Valkey held this key, and does no more.")
        else:
            said = _t("Valkey held nothing under this key; processes have dropped it, too.")
        messages.success(request, said)
        return redirect(KEYSPACE_URL, keyspace.name)

    def _keyspace(self, request: HttpRequest, name: str) -> Keyspace[Any]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            return keyspaces.get(name)
        except KeyspaceError as error:
            raise Http404(str(error)) from error

    def _changeable(self, request: HttpRequest, name: str) -> Keyspace[Any]:
        keyspace = self._keyspace(request, name)
        if not self.has_change_permission(request, services.policy_row(name)):
            raise PermissionDenied
        return keyspace

    def _policy_form(self, request: HttpRequest, keyspace: Keyspace[Any]) -> PolicyForm:
        row = services.policy_row(keyspace.name)
        return PolicyForm(
            request.POST if request.method == "POST" else None,
            instance=row,
            keyspace=keyspace,
            refusal=self.refusal(request, row),
        )

    def _save(self, request: HttpRequest, keyspace: Keyspace[Any], form: PolicyForm) -> str:
        due_at = form.cleaned_data.get(DUE)
        change: dict[str, Any] = {
            "name": keyspace.name,
            "values": form.values(),
            "author_id": request.user.pk,
            "reason": form.cleaned_data[REASON],
        }
        if due_at:
            services.schedule_policy(due_at=due_at, **change)
            return _t("Nothing is changed yet: it will be at %s UTC.") % f"{due_at:%Y-%m-%d %H:%M}"
        if services.set_policy(**change):
            return _t("Saved: live in every process within a second.")
        return _t("Nothing was changed.")

    def _page(
        self,
        request: HttpRequest,
        keyspace: Keyspace[Any],
        *,
        form: PolicyForm | None = None,
        purge_form: PurgeForm | None = None,
        purge_key_form: PurgeKeyForm | None = None,
    ) -> HttpResponse:
        now = timezone.now()
        row = services.policy_row(keyspace.name)
        span = request.GET.get("span", "day")
        span = span if span in figures.SPANS else "day"
        points = figures.series(keyspace.name, now=now, span=span)
        windows = figures.overview(now=now).get(keyspace.name) or {
            window: figures.Reads() for window in figures.WINDOWS
        }
        subject = rows.subject_of(row)
        history = Revision.objects.of(subject).exclude(action=Revision.Action.FOUND)
        changes = list(history.select_related("author")[:CHANGES_MARKED])
        context = {
            **self.admin_site.each_context(request),
            "title": keyspace.name,
            "opts": self.opts,
            "keyspace": keyspace,
            "is_on": policies.of(keyspace).is_enabled,
            "shared_by": presentation.shared_by(keyspace),
            "levels": presentation.levels(keyspace),
            "windows": {name: presentation.window_cells(one) for name, one in windows.items()},
            "level_rows": presentation.level_rows(
                keyspace, figures.latencies(keyspace.name, now=now)
            ),
            "span": span,
            "spans": self._spans(),
            "chart": presentation.chart(points, [one.created_at for one in changes]),
            "points": [
                (point.at, presentation.window_cells(point.reads))
                for point in reversed(points)
                if point.reads.counts
            ],
            "form": form
            or PolicyForm(instance=row, keyspace=keyspace, refusal=self.refusal(request, row)),
            "refusal": self.refusal(request, row),
            "purge_form": purge_form or PurgeForm(),
            "purge_key_form": purge_key_form or PurgeKeyForm(keyspace=keyspace),
            "subject": subject,
            "changes": [
                (one, summary(one.subject, one.changed)) for one in changes[:CHANGES_SHOWN]
            ],
            "waiting": ScheduledChange.objects.waiting().filter(subject=subject),
        }
        return TemplateResponse(request, "admin/caching/keyspace.html", context)

    @staticmethod
    def _spans() -> list[tuple[str, str]]:
        return [("hour", _t("Last hour")), ("day", _t("Last day")), ("week", _t("Last week"))]
