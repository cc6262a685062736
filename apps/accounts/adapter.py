"""How django-allauth and django-axes behave here: nobody signs up by themselves, lock-out goes by e-mail."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.urls import reverse


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Sign-in by e-mail only; people are made by operators."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("accounts:profile")


def sign_in_name(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """Return the e-mail a sign-in was tried with, for django-axes.

    allauth hands it over as `email`, the admin's own page as `username`; without this axes finds no name and locks
    out a whole address.
    """
    names = [(credentials or {}).get(name) for name in ("email", "username")]
    names += [request.POST.get(name) for name in ("login", "username")]
    given = next(filter(None, names), "")
    return str(given).strip().lower()
