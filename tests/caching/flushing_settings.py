"""The tests' settings with the access log on, for processes that a test starts."""

import os

from project.settings.test import *  # noqa: F403 - a settings module layers on its base

ACCESS_LOG_FLUSH_SECONDS = float(os.environ.get("TESTED_FLUSH_SECONDS", "0.05"))
