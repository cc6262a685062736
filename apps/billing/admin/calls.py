"""Calls in the admin: the list behind each figure, and the page of one call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.paginator import InfinitePaginator

from apps.accounts.models import User
from apps.billing import calendar
from apps.billing.admin.call_page import call_page
from apps.billing.admin.costs import csv_response, filter_context, overview_view
from apps.billing.costs.overview import calls, total
from apps.billing.costs.types import CostFilter
from apps.billing.forms.costs import CostForm
from apps.billing.models import Reservation, UsageRecord
from apps.core.admin import ReadOnlyAdmin
from apps.core.csv import rows_to_csv
from apps.core.money import format_nanos, in_units

CALLS_SHOWN = 50
CALLS_IN_CSV = 50_000
CALL_URL = "admin:billing_usagerecord_change"
# An address by its name, so that billing need not know chat.
CONVERSATION_URL = "chat:conversation-detail"
CSV_HEADER = (
    "at", "request", "attempt", "department", "person", "key", "product", "purpose", "provider", "model", "tags",
    "input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "embedding_tokens",
    "batch_input_tokens", "batch_output_tokens", "audio_ms", "amount", "currency", "outcome", "counted_here", "duration_ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call in the list, with all that went in and all that came out."""

    record: UsageRecord

    @property
    def input_tokens(self) -> int:
        """Return the tokens that went in, at whatever price."""
        one = self.record
        fresh = one.input_tokens + one.embedding_tokens + one.batch_input_tokens
        return fresh + one.cached_input_tokens + one.cache_write_tokens

    @property
    def output_tokens(self) -> int:
        """Return the tokens that came out."""
        return self.record.output_tokens + self.record.batch_output_tokens


class CallAdmin(ReadOnlyAdmin):
    """What reservations and usage records share: the page of a call, which shows both."""

    def change_view(
        self, request: HttpRequest, object_id: str, *_args: Any, **_options: Any
    ) -> HttpResponse:
        """Show one call, by the id its reservation and its usage record share; never what was said."""
        if request.method not in {"GET", "HEAD"} or not self.has_view_permission(request):
            raise PermissionDenied
        assert isinstance(request.user, User)  # noqa: S101 - for the type: the admin has let them in
        pk = _id(object_id)
        page = call_page(pk, viewer=request.user) if pk else None
        if page is None:
            raise Http404
        conversation = page.conversation_id
        context = {
            **self.admin_site.each_context(request),
            "title": _t("Call"),
            "page": page,
            "zone": str(calendar.zone()),
            "correct_url": f"{reverse('admin:billing_ledgerentry_correct')}?call={page.reservation.pk}",
            "conversation_url": reverse(CONVERSATION_URL, args=[conversation])
            if conversation
            else "",
        }
        return TemplateResponse(request, "admin/billing/call.html", context)


@admin.register(Reservation)
class ReservationAdmin(CallAdmin):
    """Opened calls; those still open long after are settled at an estimate."""

    list_display = (
        "created_at",
        "department",
        "user",
        "purpose",
        "model_code",
        "most",
        "state",
        "expires_at",
    )
    # By what else a call is found, the list of calls has quickly; here each row would be looked at.
    list_filter = ("state",)
    list_select_related = ("department", "user")
    search_fields = ("=request_id",)
    search_help_text = _("The id of a request.")
    # Ids are in the order of time, and have the index.
    ordering = ("-id",)
    paginator = InfinitePaginator

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Reservation], search_term: str
    ) -> tuple[QuerySet[Reservation], bool]:
        """Find by index: the id is compared as one, not as text."""
        if not search_term.strip():
            return queryset, False
        sought = _id(search_term.strip())
        return (queryset.filter(request_id=sought) if sought else queryset.none()), False

    @admin.display(description=_("held for it"))
    def most(self, reservation: Reservation) -> str:
        return format_nanos(reservation.max_nanos)


@admin.register(UsageRecord)
class UsageRecordAdmin(CallAdmin):
    """What each call used and cost: the overview, the list behind it, and each call."""

    list_display = ("created_at", "department", "user", "purpose", "model_code", "outcome")
    search_fields: ClassVar[tuple[str, ...]] = ("=request_id",)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.overview)
        own = path("totals/", view, name="billing_usagerecord_totals")
        urls: list[URLPattern] = super().get_urls()
        return [own, *urls]

    def overview(self, request: HttpRequest) -> HttpResponseBase:
        """Show the cost overview."""
        return overview_view(request, context=self._context(request))

    def changelist_view(self, request: HttpRequest, *_args: Any, **_options: Any) -> HttpResponse:
        """List the calls behind a figure, newest first; `?q=` finds a call or a request by its id."""
        context = self._context(request) | {"title": _t("Calls"), "q": request.GET.get("q", "")}
        if sought := _id(context["q"].strip()):
            return self._found(request, sought, context)
        form = CostForm(request.GET, now=timezone.now())
        context |= {"form": form, "is_not_found": bool(context["q"]), **filter_context(form)}
        if form.is_valid():
            asked = form.asked.cost_filter
            if request.GET.get("format") == "csv":
                return csv_response(rows_to_csv(CSV_HEADER, _csv_rows(asked)), name="calls")  # type: ignore[return-value]
            before = _id(request.GET.get("before", ""))
            context |= _listed(form, calls(asked, before=before, count=CALLS_SHOWN + 1), before)
        return TemplateResponse(request, "admin/billing/calls.html", context)

    def _context(self, request: HttpRequest) -> dict[str, Any]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context: dict[str, Any] = self.admin_site.each_context(request)
        return context

    def _found(self, request: HttpRequest, sought: UUID, context: dict[str, Any]) -> HttpResponse:
        """Go to the call of this id, or to the one of this request; show the list where a request made several."""
        found = list(Reservation.objects.filter(Q(pk=sought) | Q(request_id=sought)).order_by("pk"))
        if len(found) == 1:
            return redirect(CALL_URL, found[0].pk)
        form = CostForm({}, now=timezone.now())
        context |= {"form": form, "is_not_found": not found, **filter_context(form)}
        context |= {"attempts": found}
        return TemplateResponse(request, "admin/billing/calls.html", context)


def _listed(form: CostForm, found: Sequence[UsageRecord], before: UUID | None) -> dict[str, Any]:
    shown, more = found[:CALLS_SHOWN], found[CALLS_SHOWN:]
    return {
        "rows": [CallRow(record) for record in shown],
        "total": total(form.asked.cost_filter),
        "older_url": f"?{form.query(before=str(shown[-1].pk))}" if more else "",
        "newest_url": f"?{form.query()}" if before else "",
        "csv_url": f"?{form.query(format='csv')}",
        "csv_most": CALLS_IN_CSV,
    }


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _csv_rows(asked: CostFilter) -> Iterator[Sequence[object]]:
    """Yield all calls of the list, as many as a file takes, page by page."""
    before, count = None, 0
    while count < CALLS_IN_CSV and (found := calls(asked, before=before, count=1000)):
        for record in found:
            yield _csv_row(record)
        before, count = found[-1].pk, count + len(found)


def _csv_row(record: UsageRecord) -> Sequence[object]:
    return (
        record.created_at,
        record.request_id,
        record.attempt,
        record.department.code,
        record.user.email if record.user else None,
        record.api_key.prefix if record.api_key else None,
        record.product,
        record.purpose,
        record.provider_code,
        record.model_code,
        " ".join(record.tags),
        record.input_tokens,
        record.cached_input_tokens,
        record.cache_write_tokens,
        record.output_tokens,
        record.embedding_tokens,
        record.batch_input_tokens,
        record.batch_output_tokens,
        record.audio_ms,
        in_units(record.amount_nanos),
        settings.BILLING_CURRENCY,
        record.outcome,
        record.is_estimated,
        record.elapsed_ms,
    )
