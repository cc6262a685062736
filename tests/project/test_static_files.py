"""The hashed names of static files, made as production makes them, and how they are served."""

import gzip
import re
from pathlib import Path
from typing import Any

import brotli
import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from servestatic.middleware import ServeStaticMiddleware


@pytest.fixture
def collected(settings: Any, tmp_path: Path) -> Path:
    settings.STATIC_ROOT = tmp_path
    # Ours only: compressing the admin's takes a minute and shows nothing more.
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "project.static_files.HashedStaticFilesStorage"},
    }
    call_command("collectstatic", interactive=False, verbosity=0)
    return tmp_path


def test_every_module_imports_hashed_modules(collected: Path) -> None:
    entry = Path(staticfiles_storage.path(staticfiles_storage.stored_name("core/frame.js")))
    seen, waiting = set(), [entry]
    while waiting:
        module = waiting.pop()
        seen.add(module.name)
        imported = re.findall(r'(?:from|import)\s*"(\.[^"]+)"', module.read_text())
        waiting += [(module.parent / name).resolve() for name in imported]
    assert len(seen) > 5
    assert all(re.search(r"\.[0-9a-f]{12}\.js$", name) for name in seen)


async def nothing(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=404)


async def served(url: str, **headers: str) -> tuple[Any, bytes]:
    """Return the answer of the middleware as the settings make it, and its body."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answer: Any = await ServeStaticMiddleware(nothing)(RequestFactory().get(url, headers=sent))
    return answer, b"".join([piece async for piece in answer])


@pytest.mark.parametrize("coding", ["br", "gzip", ""])
async def test_a_hashed_file_is_kept_for_a_year_by_everyone(
    collected: Path, settings: Any, coding: str
) -> None:
    settings.SERVESTATIC_USE_FINDERS = False
    url = staticfiles_storage.url("core/base.css")
    answer, body = await served(url, Accept_Encoding=coding)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == (
        "public, max-age=31536000, s-maxage=31536000, immutable"
    )
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.headers.get("Content-Encoding", "") == coding
    decode = {"br": brotli.decompress, "gzip": gzip.decompress, "": bytes}[coding]
    assert decode(body) == (collected / url.removeprefix("/static/")).read_bytes()
    again, empty = await served(url, If_None_Match=answer.headers["ETag"])
    assert (again.status_code, empty) == (304, b"")
    assert again.headers["Vary"] == "Accept-Encoding"
    assert "immutable" in again.headers["Cache-Control"]


async def test_a_plain_name_is_kept_for_a_minute(settings: Any) -> None:
    settings.SERVESTATIC_USE_FINDERS = True
    answer, _body = await served("/static/core/base.css")
    assert answer.headers["Cache-Control"] == "max-age=60, public"
