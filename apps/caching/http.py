"""Conditional answers: what identifies a page as one person sees it, and the 304 when their browser has just that.

A validator is made from what the page shows (its context, the person, the session's CSRF secret, the language, the
release), never from its bytes, in which the masked CSRF token differs each time: an unchanged page costs its reads,
which are made through access as ever, and no rendering. Nothing is kept here.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache, singledispatch
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.messages import get_messages
from django.contrib.staticfiles.storage import staticfiles_storage
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.functional import Promise
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import get_language

from apps.core.templatetags.ui import when

# The browser keeps it and asks each time whether it still holds.
REVALIDATED = "private, no-cache"
# Nobody keeps it.
NOT_KEPT = "private, no-store"

_ROOT = Path(__file__).resolve().parents[2]
# What makes the markup, below the project's folder: another release shows other pages from the same data.
_SOURCES = (
    "templates/**/*.html",
    "apps/**/*.py",
    "project/**/*.py",
    "locale/**/*.mo",
    "requirements/base.txt",
)


class UnknownValueError(TypeError):
    """The context holds something of which it is not known what a page shows."""


def page(
    request: HttpRequest, template: str, context: dict[str, Any], *, moments: Iterable[Any] = ()
) -> HttpResponse:
    """Return a whole page, or 304 if the browser has it as it is now.

    `moments` are the times the page tells relative to now ("5 minutes ago"): its words change though its data do not.
    A page that carries a message shown once is kept by nobody.

    Raises:
        UnknownValueError: the context holds a value that `_plain` does not know.
    """

    def rendered() -> HttpResponse:
        return render(request, template, context)

    if len(get_messages(request)):
        return _not_kept(rendered())
    # The forms of a kept page must match the cookie: a new secret, as after signing in, makes another page.
    get_token(request)
    secret = request.META["CSRF_COOKIE"]
    return conditional(request, [secret, context, _spoken(moments)], rendered)


def fragment(
    request: HttpRequest, template: str, context: dict[str, Any], *, moments: Iterable[Any] = ()
) -> HttpResponse:
    """Return a part of a page without forms or messages, or 304; see `page`."""
    return conditional(
        request, [context, _spoken(moments)], lambda: render(request, template, context)
    )


def data(request: HttpRequest, shown: dict[str, Any]) -> HttpResponse:
    """Return JSON, or 304 if the browser has it as it is now."""
    return conditional(request, shown, lambda: JsonResponse(shown))


def conditional(
    request: HttpRequest, shown: object, make: Callable[[], HttpResponse]
) -> HttpResponse:
    """Return 304 if the request names the validator of what is shown, else what `make` makes.

    The caller has read `shown` through the person's access first: what they may not see never comes here. While
    templates are edited (DEBUG), nothing is kept.
    """
    if settings.DEBUG:
        return _not_kept(make())
    etag = validator(request, shown)
    response = get_conditional_response(request, etag=etag)
    answer: HttpResponse = make() if response is None else response
    answer.headers["ETag"] = etag
    answer.headers["Cache-Control"] = REVALIDATED
    patch_vary_headers(answer, ("Cookie", "Accept-Language"))
    return answer


def _not_kept(response: HttpResponse) -> HttpResponse:
    response.headers["Cache-Control"] = NOT_KEPT
    return response


def validator(request: HttpRequest, shown: object) -> str:
    """Return the weak entity tag of what this person is shown at this address.

    Weak, since compression changes the bytes; keyed, so that nothing can be learnt from it about a secret within.
    """
    user: Any = request.user
    parts = [
        release(),
        get_language(),
        get_current_timezone_name(),
        request.get_full_path(),
        # What the frame around each page tells of its reader.
        [user.pk, user.get_full_name(), user.email, user.is_staff],
        shown,
    ]
    text = json.dumps(parts, default=_plain, ensure_ascii=False, check_circular=False)
    key = hashlib.sha256(settings.SECRET_KEY.encode()).digest()
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=16)
    return f'W/"{digest.hexdigest()}"'


def _spoken(moments: Iterable[Any]) -> list[str]:
    return [str(when(moment)) for moment in moments]


@singledispatch
def _plain(value: object) -> object:
    """Return a value as JSON takes it, with its type: equal only where a page would show the same."""
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, [getattr(value, name) for name in _names(type(value))]]
    # A form says itself what a page shows of it: its fields could choose among all people.
    if callable(shown := getattr(value, "shown", None)):
        return [type(value).__name__, shown()]
    raise UnknownValueError(f"what does a page show of a {type(value).__qualname__}?")


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@_plain.register(UUID)
@_plain.register(date)
@_plain.register(timedelta)
@_plain.register(Decimal)
def _(value: object) -> object:
    return [type(value).__name__, str(value)]


@_plain.register
def _(value: Promise) -> object:
    return str(value)


@_plain.register(set)
@_plain.register(frozenset)
def _(value: set[object]) -> object:
    return ["set", sorted(map(repr, value))]


@_plain.register
def _(value: QuerySet) -> object:  # type: ignore[type-arg]  # of whatever model; dispatch takes a plain class
    # Read here and kept in the queryset: the template does not read it again.
    return list(value)


@_plain.register
def _(value: Model) -> object:
    # The columns that were read and what was annotated; a template that followed a relation would read on its own.
    shown = {name: held for name, held in vars(value).items() if not name.startswith("_")}
    return [value._meta.label, shown]


@cache
def release() -> str:
    """Return what tells this release's markup from another's: a digest of code, templates, texts and static names.

    Read once a process (some 300 small files, 15 ms).
    """
    digest = hashlib.blake2b(digest_size=16)
    for pattern in _SOURCES:
        for path in sorted(_ROOT.glob(pattern)):
            digest.update(str(path.relative_to(_ROOT)).encode())
            digest.update(path.read_bytes())
    digest.update(str(settings.STATIC_URL).encode())
    digest.update(str(getattr(staticfiles_storage, "manifest_hash", "")).encode())
    return digest.hexdigest()
