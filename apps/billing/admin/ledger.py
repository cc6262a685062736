"""The ledger in the admin: every amount that moved, and the one way to put something right, a new entry."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import action
from unfold.paginator import InfinitePaginator

from apps.accounts.models import User
from apps.billing import services
from apps.billing.admin.call_page import account_name
from apps.billing.calendar import zone
from apps.billing.forms.ledger import CREDIT, CorrectionForm
from apps.billing.models import LedgerEntry, Reservation
from apps.core.admin import ReadOnlyAdmin
from apps.core.money import format_nanos

CORRECT_URL = "admin:billing_ledgerentry_correct"


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    """Entries to read; a correction is a new one."""

    actions_list = ("open_correction",)
    list_display = (
        "booked",
        "kind",
        "debited",
        "credited",
        "amount",
        "reason",
        "author",
    )
    list_filter = (("booked_at", RangeDateTimeFilter), "kind", "department")
    list_filter_submit = True
    list_select_related = ("department", "author")
    search_fields = ("=id", "=reservation_id", "author__email", "reason")
    search_help_text = _(
        "The id of an entry or a call; words of a correction's reason, or its author's e-mail."
    )
    ordering = ("-booked_at",)
    # Millions of rows: counting them all would take longer than showing the page.
    paginator = InfinitePaginator
    fields = (
        "kind", "department", "amount", "effect", "debit", "credit", "booked_at", "posted_at", "call", "author", "reason",
    )  # fmt: skip
    readonly_fields = ("amount", "effect", "call")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[LedgerEntry], search_term: str
    ) -> tuple[QuerySet[LedgerEntry], bool]:
        """Find entries by index: by id, or among those that are no settlements by reason and author."""
        words = search_term.strip()
        if not words:
            return queryset, False
        try:
            return queryset.filter(_of(UUID(words))), False
        except ValueError:
            texts = Q(reason__icontains=words) | Q(author__email__icontains=words)
            return queryset.exclude(kind=LedgerEntry.Kind.SETTLEMENT).filter(texts), False

    @admin.display(description=_("booked for"), ordering="booked_at")
    def booked(self, entry: LedgerEntry) -> str:
        return f"{entry.booked_at.astimezone(zone()):%Y-%m-%d %H:%M}"

    @admin.display(description=_("debit"))
    def debited(self, entry: LedgerEntry) -> str:
        return account_name(entry.debit, department=entry.department)

    @admin.display(description=_("credit"))
    def credited(self, entry: LedgerEntry) -> str:
        return account_name(entry.credit, department=entry.department)

    # Unsorted: only the time has an index, and the ledger is long.
    @admin.display(description=_("amount"))
    def amount(self, entry: LedgerEntry) -> str:
        return format_nanos(entry.amount_nanos)

    @admin.display(description=_("what the department owes"))
    def effect(self, entry: LedgerEntry) -> str:
        nanos = entry.effect_nanos
        return f"+{format_nanos(nanos)}" if nanos > 0 else format_nanos(nanos).replace("-", "−")

    @admin.display(description=_("call"))
    def call(self, entry: LedgerEntry) -> str | SafeString:
        if entry.reservation_id is None:
            return _t("Of no single call")
        url = reverse("admin:billing_usagerecord_change", args=[entry.reservation_id])
        return format_html('<a href="{}">{}</a>', url, entry.reservation_id)

    @action(  # type: ignore[untyped-decorator]  # unfold ships no types
        description=_("Correct"), url_path="open-correction", icon="balance"
    )
    def open_correction(self, request: HttpRequest) -> HttpResponse:
        return redirect(CORRECT_URL)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.correct_view)
        urls: list[URLPattern] = super().get_urls()
        return [path("correct/", view, name="billing_ledgerentry_correct"), *urls]

    def correct_view(self, request: HttpRequest) -> HttpResponse:
        """Charge or credit a department; `?call=` names the call that is put right."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        call = _call(request)
        form = CorrectionForm(request.POST if request.method == "POST" else None, call=call)
        if form.is_valid():
            return self._correct(request, form)
        context = {
            **self.admin_site.each_context(request),
            "title": _t("Correct the ledger"),
            "form": form,
            "call": call,
        }
        return TemplateResponse(request, "admin/billing/correction.html", context)

    def _correct(self, request: HttpRequest, form: CorrectionForm) -> HttpResponse:
        data: dict[str, Any] = form.cleaned_data
        assert isinstance(request.user, User)  # noqa: S101 - for the type: the admin has let them in
        entry = services.correct(
            entry_id=data["entry_id"],
            department_id=data["department"].pk,
            amount_nanos=data["amount_nanos"],
            is_credit=data["kind"] == CREDIT,
            reason=data["reason"],
            author_id=request.user.pk,
            reservation_id=form.call.pk if form.call else None,
        )
        said = _t("Booked: %(what)s of %(amount)s for %(department)s, in the open month.")
        what = _t("a credit") if data["kind"] == CREDIT else _t("a charge")
        values = {
            "what": what,
            "amount": format_nanos(entry.amount_nanos),
            "department": data["department"],
        }
        messages.success(request, said % values)
        return redirect("admin:billing_ledgerentry_change", entry.pk)


def _of(pk: UUID) -> Q:
    """Return which entries have this id, or are of the call of this id."""
    kinds = LedgerEntry.Kind
    own = Q(kind__in=(kinds.SETTLEMENT, kinds.EXCESS, kinds.TRUE_UP), reservation_id=pk)
    corrections = LedgerEntry.objects.exclude(kind=kinds.SETTLEMENT).filter(reservation_id=pk)
    return Q(pk=pk) | own | Q(pk__in=list(corrections.values_list("pk", flat=True)))


def _call(request: HttpRequest) -> Reservation | None:
    named = request.GET.get("call", "")
    try:
        pk = UUID(named) if named else None
    except ValueError:
        pk = UUID(int=0)
    return (
        get_object_or_404(Reservation.objects.select_related("department"), pk=pk) if pk else None
    )
