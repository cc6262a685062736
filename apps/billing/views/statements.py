"""The statements of closed months, for the heads of the departments they are for: to print, and as CSV."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET

from apps.accounts.requests import SignedInRequest
from apps.billing import access
from apps.billing.models import Statement
from apps.billing.statements.drafting import month_code
from apps.billing.statements.pages import HEADER, csv_rows, statement_page
from apps.billing.views import base
from apps.caching import http


@login_required
@require_GET
def statement(request: SignedInRequest, statement_id: UUID) -> HttpResponse:
    """Show a statement as it prints."""
    found = _visible(request, statement_id)
    context = {
        "statement": statement_page(found),
        "back_url": reverse("billing:department", args=[found.department.code]),
        "csv_url": reverse("billing:statement-csv", args=[found.pk]),
    }
    return http.page(request, "billing/statements/statement.html", context)


@login_required
@require_GET
def statement_csv(request: SignedInRequest, statement_id: UUID) -> HttpResponse:
    """Give a statement as CSV."""
    found = _visible(request, statement_id)
    name = f"{found.department_code} {month_code(found.month.starts_at)}"
    return base.download(name, HEADER, csv_rows([found]))


def _visible(request: SignedInRequest, statement_id: UUID) -> Statement:
    """Return a statement of a department the person heads; any other is not found."""
    visible = access.visible_statements(request.user).select_related("month", "department")
    return get_object_or_404(visible, pk=statement_id)
