"""What the views of cost share: the signed-in request, the tabs, and a download as CSV."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.accounts.requests import SignedInRequest
from apps.billing import access
from apps.caching import http
from apps.core import csv


@dataclass(frozen=True, slots=True)
class Tab:
    """One of the pages of cost."""

    name: str
    url: str
    is_current: bool


def page(
    request: SignedInRequest,
    template: str,
    context: dict[str, Any],
    *,
    tab: str = "",
    moments: Iterable[Any] = (),
) -> HttpResponse:
    """Return a page of cost, or 304 if the browser has it as it is now; `tab` is the address of its tab."""
    whole = {**context, "tabs": _tabs(request.user, tab)}
    return http.page(request, template, whole, moments=moments)


def form_page(
    request: SignedInRequest, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Return a page with a form, which nobody keeps."""
    whole = {**context, "tabs": _tabs(request.user, "")}
    answer = render(request, template, whole, status=status)
    answer.headers["Cache-Control"] = http.NOT_KEPT
    return answer


def download(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """Return rows as a CSV file of this name."""
    disposition = content_disposition_header(as_attachment=True, filename=f"{name}.csv")
    return HttpResponse(
        "".join(csv.rows_to_csv(header, rows)),
        content_type=csv.CONTENT_TYPE,
        headers={"Content-Disposition": str(disposition), "Cache-Control": http.NOT_KEPT},
    )


def _tabs(user: User, current: str) -> list[Tab]:
    mine = reverse("billing:usage")
    tabs = [Tab(_("My usage"), mine, mine == current)]
    for department in access.headed_departments(user):
        url = reverse("billing:department", args=[department.code])
        tabs.append(Tab(department.name, url, url == current))
    if user.is_operator:
        # What all departments spend is shown in the admin.
        everything = reverse("admin:billing_usagerecord_totals")
        tabs.append(Tab(_("All departments"), everything, is_current=False))
    return tabs
