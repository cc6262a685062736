"""The lists of single calls, one's own and a department's, and the page of one call."""

from collections.abc import Callable, Sequence
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.accounts.requests import SignedInRequest
from apps.billing import access
from apps.billing.costs.types import CostFilter, Dimension
from apps.billing.pages import call_csv
from apps.billing.pages import calls as call_pages
from apps.billing.pages import usage as usage_pages
from apps.billing.pages.calls import Question, QuestionError
from apps.billing.spans import Span, SpanError
from apps.billing.views import base
from apps.billing.views.usage import headed


@login_required
@require_GET
def calls(request: SignedInRequest) -> HttpResponse:
    """Show the calls made for the person."""
    return _list(
        request,
        heading=_("My calls"),
        within=lambda span: usage_pages.mine(request.user, span),
        dimensions=usage_pages.MINE,
        urls=(reverse("billing:calls"), reverse("billing:calls-csv")),
        tab=reverse("billing:usage"),
    )


@login_required
@require_GET
def department_calls(request: SignedInRequest, code: str) -> HttpResponse:
    """Show the calls a department paid to one of its heads."""
    found = headed(request, code)
    return _list(
        request,
        heading=_("Calls of %(department)s") % {"department": found.name},
        within=lambda span: usage_pages.of_department(found, span),
        dimensions=usage_pages.OF_DEPARTMENT,
        urls=(
            reverse("billing:department-calls", args=[code]),
            reverse("billing:department-calls-csv", args=[code]),
        ),
        tab=reverse("billing:department", args=[code]),
    )


@login_required
@require_GET
def calls_csv(request: SignedInRequest) -> HttpResponse:
    """Give the person's calls that are asked for as CSV."""
    return _csv(request, _("my calls"), lambda span: usage_pages.mine(request.user, span))


@login_required
@require_GET
def department_calls_csv(request: SignedInRequest, code: str) -> HttpResponse:
    """Give a department's calls that are asked for as CSV."""
    found = headed(request, code)
    return _csv(request, code, lambda span: usage_pages.of_department(found, span))


@login_required
@require_GET
def call(request: SignedInRequest, call_id: UUID) -> HttpResponse:
    """Show one call: what it consisted of and what it cost."""
    record = get_object_or_404(
        access.visible_calls(request.user).select_related("user", "department", "api_key"),
        pk=call_id,
    )
    tab = list_url = reverse("billing:usage")
    if record.user_id == request.user.pk:
        list_url = reverse("billing:calls")
    else:
        code = record.department.code
        tab = reverse("billing:department", args=[code])
        list_url = reverse("billing:department-calls", args=[code])
    page = call_pages.call_page(user=request.user, record=record, list_url=list_url)
    return base.page(request, "billing/call.html", {"call": page}, tab=tab)


def _list(
    request: SignedInRequest,
    *,
    heading: str,
    within: Callable[[Span], CostFilter],
    dimensions: Sequence[Dimension],
    urls: tuple[str, str],
    tab: str,
) -> HttpResponse:
    try:
        question = _question(request)
        page = call_pages.calls_page(
            heading=heading,
            cost_filter=within(question.span),
            question=question,
            dimensions=dimensions,
            urls=urls,
        )
    except QuestionError as error:
        raise Http404 from error
    return base.page(request, "billing/calls.html", {"page": page}, tab=tab)


def _csv(request: SignedInRequest, name: str, within: Callable[[Span], CostFilter]) -> HttpResponse:
    try:
        question = _question(request)
        asked = call_pages.narrowed(within(question.span), question)
    except QuestionError as error:
        raise Http404 from error
    when = question.span.query.partition("=")[2]
    return base.download(f"{name} {when}", call_csv.HEADER, call_csv.rows(asked))


def _question(request: SignedInRequest) -> Question:
    try:
        return call_pages.read_question(request.GET.dict(), now=timezone.now())
    except SpanError as error:
        raise Http404 from error
