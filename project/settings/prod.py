"""Production, and what `manage.py up` runs: secrets are required, cookies secure behind TLS, logs are JSON."""

from project.settings.base import *  # noqa: F403 - a settings module layers on its base
from project.settings.env import env
from project.settings.logs import logging_config

SECRET_KEY = env.str("SECRET_KEY")
FIELD_ENCRYPTION_KEYS = env.list("FIELD_ENCRYPTION_KEYS")

# `manage.py up` serves loopback without TLS and says so by PLAIN_HTTP=1; a deployment never sets it.
PLAIN_HTTP = env.bool("PLAIN_HTTP", default=False)
SECURE_SSL_REDIRECT = not PLAIN_HTTP
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = None if PLAIN_HTTP else ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 0 if PLAIN_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not PLAIN_HTTP
SECURE_HSTS_PRELOAD = not PLAIN_HTTP
SESSION_COOKIE_SECURE = not PLAIN_HTTP
CSRF_COOKIE_SECURE = not PLAIN_HTTP

LOGGING = logging_config(level=env.str("LOG_LEVEL", default="INFO"))
