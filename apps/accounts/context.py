"""What every template may ask of accounts."""

import json
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest

DEMO_LOGINS_FILE = "demo-logins.json"


def _read_demo_logins() -> list[dict[str, str]]:
    path = settings.VAR_DIR / DEMO_LOGINS_FILE
    if not path.exists():
        return []
    logins: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return logins


def demo_logins(request: HttpRequest) -> dict[str, Callable[[], Any]]:
    """Offer the demo's logins; the file is read only by the page that shows them, and exists only in a demo."""
    return {"demo_logins": _read_demo_logins}
