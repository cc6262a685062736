"""The pages of one month: one's own usage, and a department's for its heads; as CSV too."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.accounts.models import Department
from apps.accounts.requests import SignedInRequest
from apps.billing import access, spans
from apps.billing.pages import month_csv
from apps.billing.pages import usage as usage_pages
from apps.billing.spans import Span
from apps.billing.views import base


def headed(request: SignedInRequest, code: str) -> Department:
    """Return a department the person heads; any other is not found."""
    return get_object_or_404(access.headed_departments(request.user), code=code)


@login_required
@require_GET
def usage(request: SignedInRequest) -> HttpResponse:
    """Show what was spent for the person, and how far their budgets have come."""
    now = timezone.now()
    page = usage_pages.usage_page(user=request.user, span=_month(request), now=now)
    return base.page(
        request,
        "billing/usage.html",
        {"page": page, "month": page.month},
        tab=reverse("billing:usage"),
        moments=[one.created_at for one in page.waiting],
    )


@login_required
@require_GET
def department(request: SignedInRequest, code: str) -> HttpResponse:
    """Show a department's cost to one of its heads."""
    found = headed(request, code)
    page = usage_pages.department_page(
        user=request.user, department=found, span=_month(request), now=timezone.now()
    )
    return base.page(
        request,
        "billing/department.html",
        {"page": page, "month": page.month},
        tab=reverse("billing:department", args=[code]),
        moments=[one.created_at for one in page.waiting],
    )


@login_required
@require_GET
def usage_csv(request: SignedInRequest) -> HttpResponse:
    """Give what "my usage" shows as CSV."""
    span = _month(request)
    page = usage_pages.usage_page(
        user=request.user, span=span, now=timezone.now(), line_count=month_csv.LINES
    )
    name = _("my usage")
    return base.download(
        f"{name} {span.month}", month_csv.HEADER, month_csv.rows(page.month, page.budgets)
    )


@login_required
@require_GET
def department_csv(request: SignedInRequest, code: str) -> HttpResponse:
    """Give what the department's page shows as CSV."""
    found, span = headed(request, code), _month(request)
    page = usage_pages.department_page(
        user=request.user,
        department=found,
        span=span,
        now=timezone.now(),
        line_count=month_csv.LINES,
    )
    budgets = [*page.budgets, *page.caps]
    return base.download(
        f"{code} {span.month}",
        month_csv.HEADER,
        month_csv.rows(page.month, budgets, corrections_nanos=page.corrections_nanos),
    )


def _month(request: SignedInRequest) -> Span:
    try:
        return spans.read_span(month=request.GET.get("month", ""), day="", now=timezone.now())
    except spans.SpanError as error:
        raise Http404 from error
