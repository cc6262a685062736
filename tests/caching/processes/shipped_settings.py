"""The tests' settings with the cache's timeout as shipped, for servers whose cache is hurt."""

from project.settings.test import *  # noqa: F403 - a settings module layers on its base

CACHE_TIMEOUT_SECONDS = 0.05
