"""The request of a person who is signed in, as views behind `login_required` get it."""

from django.http import HttpRequest

from apps.accounts.models import User


class SignedInRequest(HttpRequest):
    """A request behind `login_required`."""

    user: User
