"""Tests: real PostgreSQL and Valkey from the environment, quick hashing, mail kept in memory."""

import atexit
import shutil
import tempfile
from pathlib import Path

from project.settings.base import *  # noqa: F403 - a settings module layers on its base
from project.settings.base import STORAGES

SECRET_KEY = "tests-only-not-a-secret"  # noqa: S105 - tests only
FIELD_ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CELERY_TASK_ALWAYS_EAGER = False
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
VAR_DIR = Path(tempfile.mkdtemp(prefix="parley-test-"))
atexit.register(shutil.rmtree, VAR_DIR, ignore_errors=True)
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir()
# Browser tests get the files as they are in static/, without collecting them.
SERVESTATIC_USE_FINDERS = True
STORAGES["documents"] = {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {"location": VAR_DIR / "documents"},
}
METRICS_TOKEN = "tests-only-metrics-token"  # noqa: S105 - tests only
# A test that looks at the access log starts its flusher itself: another thread would write into everybody's tables.
ACCESS_LOG_FLUSH_SECONDS = 0.0
# On a busy machine a test's answer may take longer than a request would wait; what the limit does has tests of its own.
CACHE_TIMEOUT_SECONDS = 5.0
