"""A small server of the design system's own pages: every component once, under the product's strict policy, no database."""

import json
import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

from django import forms
from django.contrib.staticfiles import finders
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.template.loader import get_template
from django.test import RequestFactory, override_settings
from django.urls import include, path
from django.utils import timezone

PAGES = Path(__file__).parent / "pages"
POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; frame-ancestors 'none'"
FOUND = {
    "results": [{"kind": "document", "title": "Leave policy", "url": "/404.html", "detail": "PDF"}]
}


def _nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


app_name = "gallery"
urlpatterns = [
    path(
        "chat/",
        include(
            (
                [path("", _nothing, name="new"), path("search.json", _nothing, name="palette")],
                "chat",
            )
        ),
    ),
    path("documents/", include(([path("", _nothing, name="list")], "documents"))),
    path("usage/", include(([path("", _nothing, name="usage")], "billing"))),
    path("account/", include(([path("", _nothing, name="profile")], "accounts"))),
    path("admin/", include(([path("", _nothing, name="index")], "admin"))),
    path("login/", _nothing, name="account_login"),
    path("logout/", _nothing, name="account_logout"),
    path("password/reset/", _nothing, name="account_reset_password"),
    path("password/change/", _nothing, name="account_change_password"),
]


class SampleForm(forms.Form):
    """One field of each kind, some of them filled in wrongly."""

    login = forms.EmailField(label="E-mail")
    password = forms.CharField(label="Password", widget=forms.PasswordInput)
    department = forms.ChoiceField(
        choices=[("1", "Finance"), ("2", "Research")], help_text="Pays for it."
    )
    everyone = forms.BooleanField(label="Everyone may read it", required=False)
    note = forms.CharField(widget=forms.Textarea, required=False)
    kind = forms.ChoiceField(widget=forms.RadioSelect, choices=[("a", "Whole"), ("b", "Part")])


def _context() -> dict[str, Any]:
    now = timezone.now()
    return {
        "user": SimpleNamespace(
            is_authenticated=True, is_staff=True, email="ada@example.com", get_full_name="Ada Quill"
        ),
        "form": SampleForm({"login": "no address", "department": "1", "kind": "a"}),
        "page_obj": Paginator(range(100), 10).page(3),
        "just_now": now - timedelta(seconds=5),
        "yesterday": now - timedelta(days=1, hours=2),
        "long_ago": now - timedelta(days=400),
        "failure_limit": 5,
        "cooloff_timedelta": timedelta(minutes=15),
        "demo_logins": [
            {
                "email": "ada@example.com",
                "name": "Ada Quill",
                "role": "Operator",
                "password": "sample",
            },
            {
                "email": "ben@example.com",
                "name": "Ben Hargreaves",
                "role": "Head of Finance",
                "password": "sample",
            },
        ],
    }


def render(name: str) -> str:
    """Render a page of this folder, or else a template of the product, for a person who may do everything."""
    source = PAGES / name
    template = (
        engines["django"].from_string(source.read_text()) if source.exists() else get_template(name)
    )
    request = RequestFactory().get(f"/{name}")
    request.resolver_match = SimpleNamespace(app_name="chat")  # type: ignore[assignment]  # all the rail reads
    return template.render(_context(), request)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        location = unquote(urlsplit(self.path).path)
        if location.startswith("/static/"):
            found = finders.find(location.removeprefix("/static/"))
            body = Path(found).read_bytes() if found else b""
            kind = mimetypes.guess_type(location)[0] or "text/plain"
            self._answer(200 if found else 404, kind, body)
        elif location == "/chat/search.json":
            self._answer(200, "application/json", json.dumps(FOUND).encode())
        else:
            with override_settings(ROOT_URLCONF=__name__):
                body = render(location.removeprefix("/")).encode()
            self._answer(200, "text/html; charset=utf-8", body)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output to what failed."""


@contextmanager
def serve() -> Iterator[str]:
    """Serve the pages on a free loopback port and yield the base address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
