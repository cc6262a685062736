"""Setting, changing and removing the cap of one person, by the heads of the department that pays."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.requests import SignedInRequest
from apps.billing.budgets import caps
from apps.billing.errors import BillingError
from apps.billing.forms.requests import CapForm
from apps.billing.models import Budget
from apps.billing.views import base
from apps.billing.views.usage import headed


@login_required
@require_http_methods(["GET", "POST"])
def new_cap(request: SignedInRequest, code: str) -> HttpResponse:
    """Set what one member may spend of the department's money."""
    department = headed(request, code)
    form = CapForm(request.POST or None, department=department, is_new=True)
    if request.method == "POST" and form.is_valid():
        try:
            caps.set_cap(
                by=request.user,
                department=department,
                person=form.cleaned_data["person"],
                period=Budget.Period(form.cleaned_data["period"]),
                limits=form.limits(),
            )
        except BillingError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("Saved: the cap holds from now on."))
            return redirect("billing:department", code=code)
    context = {"form": form, "department": department, "cap": None}
    return base.form_page(request, "billing/cap.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def cap(request: SignedInRequest, budget_id: UUID) -> HttpResponse:
    """Change the limits of a cap."""
    budget = _changeable(request, budget_id)
    department = budget.department
    assert department is not None  # noqa: S101 - a cap has one; narrows the type
    form = CapForm(
        request.POST or None,
        department=department,
        is_new=False,
        initial={
            "limit": budget.limit_nanos,
            "soft_limit": budget.soft_limit_nanos,
            "at_limit": budget.at_limit,
        },
    )
    if request.method == "POST" and form.is_valid():
        try:
            caps.change_cap(by=request.user, budget=budget, limits=form.limits())
        except BillingError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("Saved: the cap holds from now on."))
            return redirect("billing:department", code=department.code)
    context = {"form": form, "department": department, "cap": budget}
    return base.form_page(request, "billing/cap.html", context)


@login_required
@require_POST
def remove_cap(request: SignedInRequest, budget_id: UUID) -> HttpResponse:
    """Have a cap hold no more."""
    budget = _changeable(request, budget_id)
    caps.remove_cap(by=request.user, budget=budget)
    messages.success(request, _("Removed. The department’s own budget still holds."))
    return redirect("billing:department", code=budget.department and budget.department.code)


def _changeable(request: SignedInRequest, budget_id: UUID) -> Budget:
    """Return a cap the person may change; any other budget is not found."""
    found = (
        Budget.objects.select_related("department", "user")
        .filter(pk=budget_id, is_enabled=True)
        .first()
    )
    if found is None or not caps.may_change(by=request.user, budget=found):
        raise Http404
    return found
