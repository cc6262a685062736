"""The cost overview of the admin: what was spent by whom and on what, where it is heading, and its CSV."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.billing import calendar
from apps.billing.admin.cost_csv import CSV_HEADER, csv_rows
from apps.billing.admin.cost_page import CALLS, OVERVIEW, chart, cost_page
from apps.billing.forms.costs import Asked, CostForm
from apps.billing.models import Product
from apps.core.csv import CONTENT_TYPE, rows_to_csv
from apps.core.money import CURRENCY_SYMBOL

TEMPLATE = "admin/billing/cost_overview.html"


def overview_view(request: HttpRequest, *, context: dict[str, Any]) -> HttpResponseBase:
    """Show the overview of what is asked for; `?format=csv` writes it down, `?rows=all` shows many of each kind."""
    now = timezone.now()
    form = CostForm(request.GET, now=now)
    context |= {"title": _("Cost"), "form": form, **filter_context(form)}
    if not form.is_valid():
        return TemplateResponse(request, TEMPLATE, context)
    is_long = request.GET.get("rows") == "all"
    page = cost_page(form, at=now, is_long=is_long)
    if request.GET.get("format") == "csv":
        return csv_response(
            rows_to_csv(CSV_HEADER, csv_rows(page)), name=f"cost-{_file_part(form)}"
        )
    rows = "all" if is_long else ""
    context |= {
        "page": page,
        "chart": chart(page),
        "currency": CURRENCY_SYMBOL,
        "is_long": is_long,
        "has_more": any(section.rest for section in page.sections),
        "csv_url": f"?{form.query(rows=rows, format='csv')}",
        "long_url": f"?{form.query(rows='all')}",
        "calls_url": f"{reverse(CALLS)}?{form.query()}",
        **_neighbours(form),
    }
    return TemplateResponse(request, TEMPLATE, context)


def filter_context(form: CostForm) -> dict[str, Any]:
    """Return what the shared form of filters needs besides the form."""
    is_valid = form.is_valid()
    return {
        "products": Product.choices,
        "zone": str(calendar.zone()),
        "chosen": form.chosen() if is_valid else [],
        "asked": form.asked if is_valid else None,
        "overview_url": f"{reverse(OVERVIEW)}?{form.query()}" if is_valid else reverse(OVERVIEW),
    }


def csv_response(lines: Any, *, name: str) -> StreamingHttpResponse:
    """Return these lines as a file to keep."""
    response = StreamingHttpResponse(lines, content_type=CONTENT_TYPE)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _neighbours(form: CostForm) -> dict[str, Any]:
    """Return the months before and after the one that is shown; none after the running one, and none of free days."""
    asked: Asked = form.asked
    if not asked.is_month:
        return {}
    starts_at, ends_at = asked.cost_filter.starts_at, asked.cost_filter.ends_at
    before = calendar.previous_month(starts_at)
    found = {"previous": (before, f"?{form.query(month=f'{before:%Y-%m}')}")}
    if ends_at <= form.now:
        after = ends_at.astimezone(calendar.zone())
        found["next"] = (after, f"?{form.query(month=f'{after:%Y-%m}')}")
    return found


def _file_part(form: CostForm) -> str:
    asked = form.asked.cost_filter
    first = asked.starts_at.astimezone(calendar.zone())
    last = asked.ends_at.astimezone(calendar.zone()) - timedelta(days=1)
    return f"{first:%Y-%m-%d}-to-{last:%Y-%m-%d}"
