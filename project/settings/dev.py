"""Development: errors shown in the page, static files unhashed."""

from project.settings.base import *  # noqa: F403 - a settings module layers on its base
from project.settings.base import STORAGES

DEBUG = True
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
