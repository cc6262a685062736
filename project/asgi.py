"""The ASGI application: Django, static files, lifespan, and the closing of connections after a failed stream."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings.prod")

django_application = get_asgi_application()

# Django must be set up before anything that imports models.
from apps.chat.lifespan import with_lifespan  # noqa: E402

application = with_lifespan(django_application)
