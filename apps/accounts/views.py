"""The profile page and the making of the first operator."""

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts import services
from apps.accounts.forms import FirstOperatorForm, ProfileForm
from apps.accounts.models import User

PASSWORD_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"  # noqa: S105 - a class path


@login_required
@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Show and change one's own name and default paying department."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - login_required; narrows the type
    form = ProfileForm(request.POST or None, instance=user)
    if request.method == "POST" and form.is_valid():
        user.save(update_fields=["full_name", "default_department"])
        messages.success(request, _("Saved."))
        return redirect("accounts:profile")
    memberships = user.memberships.select_related("department").order_by("department__name")
    return render(request, "accounts/profile.html", {"form": form, "memberships": memberships})


def closed(request: HttpRequest, **_arguments: str) -> HttpResponse:
    """Answer for a page of allauth that Parley does not offer."""
    raise Http404


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def first_operator(request: HttpRequest, token: str) -> HttpResponse:
    """Make the first operator of an empty installation from the one-time link, and sign them in."""
    if not services.is_first_operator_token(token):
        raise Http404
    form = FirstOperatorForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = services.make_first_operator(token=token, **form.cleaned_data)
        except services.InvalidLinkError as error:
            raise Http404 from error
        login(request, user, backend=PASSWORD_BACKEND)
        return redirect("/")
    return render(request, "accounts/first_operator.html", {"form": form})
