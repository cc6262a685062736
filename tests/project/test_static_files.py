"""The hashed names of static files, made as production makes them."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command


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
