"""What all ways of running share; production adds its guards, tests their shortcuts."""

from pathlib import Path
from typing import Any

import django_stubs_ext

from project.settings.admin_site import UNFOLD as UNFOLD
from project.settings.env import BASE_DIR, env
from project.settings.schedule import CELERY_BEAT_SCHEDULE as CELERY_BEAT_SCHEDULE
from project.static_files import UNHASHED_SECONDS, add_headers

django_stubs_ext.monkeypatch()

VAR_DIR = Path(env.str("PARLEY_VAR", default=str(BASE_DIR / "var")))

SECRET_KEY = env.str("SECRET_KEY", default="")
FIELD_ENCRYPTION_KEYS: list[str] = env.list("FIELD_ENCRYPTION_KEYS", default=[])
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
DEBUG = False
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "axes",
    "csp",
    "silk",
    "django_prometheus",
    "django_structlog",
    "django_celery_beat",
    "apps.core",
    "apps.tuning",
    "apps.caching",
    "apps.accounts",
    "apps.billing",
    "apps.llm",
    "apps.documents",
    "apps.chat",
    "apps.observability",
    "project",
]

MIDDLEWARE = [
    "apps.core.middleware.RequestContextMiddleware",
    "project.middleware.PrivateByDefaultMiddleware",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    # Within the static files, which are compressed beforehand; around all that writes a body, a tag or a Vary.
    "project.middleware.CompressionMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "apps.observability.profiling.StaffProfilingMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.accounts.context.demo_logins",
            ],
        },
    },
]


def postgres(url_variable: str, *, pool_max: int) -> dict[str, Any]:
    """Return the database configuration with Django's native pool.

    `pool_max` is the largest number of connections of this process; a caller waits
    `DATABASE_POOL_TIMEOUT` seconds (30) for one, then gets an error that becomes a 503.
    """
    database: dict[str, Any] = env.db(url_variable, engine="django.db.backends.postgresql")
    database["CONN_MAX_AGE"] = 0
    database["OPTIONS"] = {
        **database.get("OPTIONS", {}),
        "application_name": env.str("APPLICATION_NAME", default="parley"),
        "options": "-c jit=off -c statement_timeout=30000",
        "pool": {
            "min_size": 1,
            "max_size": pool_max,
            "timeout": env.float("DATABASE_POOL_TIMEOUT", default=30.0),
        },
    }
    return database


DATABASES: dict[str, dict[str, Any]] = {
    "default": postgres("DATABASE_URL", pool_max=env.int("DATABASE_POOL_MAX", default=10)),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHE_URL = env.str("CACHE_URL", default="redis://127.0.0.1:6379/0")
# How long a request waits for the cache at most, and once: after that values are computed until it is back.
CACHE_TIMEOUT_SECONDS = env.float("CACHE_TIMEOUT_SECONDS", default=0.05)
REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6380/0")
# Django's own cache holds allauth's limits of sign-ins, which refuse everybody where they cannot count: so it is the
# state's Valkey, not the cache's. What Parley caches goes through `caching.store`.
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "parley",
        "OPTIONS": {
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 0.5,
            "IGNORE_EXCEPTIONS": True,
            "LOG_IGNORED_EXCEPTIONS": True,
        },
    },
}

# How often a process writes its accesses of the cache, off the request path; 0: not at all.
ACCESS_LOG_FLUSH_SECONDS = env.float("ACCESS_LOG_FLUSH_SECONDS", default=1.0)

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=REDIS_URL)
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
CELERY_TASK_ROUTES = {
    "apps.tuning.tasks.*": {"queue": "interactive"},
    "apps.documents.tasks.*": {"queue": "ingest"},
    "apps.billing.tasks.*": {"queue": "billing"},
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = None
# django-axes counts failed sign-ins; one lock-out mechanism, not two.
ACCOUNT_RATE_LIMITS = {"login_failed": None}
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_CALLABLE = "apps.accounts.adapter.sign_in_name"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_LOCKOUT_TEMPLATE = "account/lockout.html"
AXES_IPWARE_PROXY_COUNT = env.int("PROXY_COUNT", default=0)

# The path is what follows the third slash, so an absolute one begins with a fourth.
EMAIL_CONFIG: dict[str, Any] = env.email_url("EMAIL_URL", default=f"filemail:///{VAR_DIR / 'mail'}")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="parley@localhost")
# Where people reach Parley, like https://parley.example.org, for the links in messages; empty: messages have none.
PARLEY_BASE_URL = env.str("PARLEY_BASE_URL", default="").rstrip("/")

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
# In which time zone budgets refill and months close, and in which currency prices are; fixed by the first ledger entry.
BILLING_TIME_ZONE = env.str("BILLING_TIME_ZONE", default="UTC")
BILLING_CURRENCY = env.str("BILLING_CURRENCY", default="USD")
USE_I18N = True
USE_TZ = True
LOCALE_PATHS = [BASE_DIR / "locale"]

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Templates name the hashed files; compressing the others too would double the first start's longest step.
SERVESTATIC_KEEP_ONLY_HASHED_FILES = True
SERVESTATIC_MAX_AGE = UNHASHED_SECONDS
SERVESTATIC_ADD_HEADERS_FUNCTION = add_headers
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "project.static_files.HashedStaticFilesStorage"},
    "documents": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR_DIR / "documents", "file_permissions_mode": 0o600},
    },
}
MEDIA_ROOT = VAR_DIR / "media"
FILE_UPLOAD_TEMP_DIR = None
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

SESSION_ENGINE = "apps.accounts.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
CONTENT_SECURITY_POLICY = {
    # The admin and silk bring inline scripts of their own; `apps.core.middleware` serves them a policy of theirs.
    "EXCLUDE_URL_PREFIXES": ["/admin/", "/silk/"],
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}

# Which requests are recorded is decided live, by `apps.observability.profiling`.
SILKY_AUTHENTICATION = True
SILKY_AUTHORISATION = True
SILKY_PERMISSIONS = lambda user: user.is_staff  # noqa: E731 - silk asks for a callable here
SILKY_MAX_REQUEST_BODY_SIZE = 0
SILKY_MAX_RESPONSE_BODY_SIZE = 0
SILKY_ANALYZE_QUERIES = False
SILKY_SENSITIVE_KEYS = {
    "username",
    "api",
    "token",
    "key",
    "secret",
    "password",
    "signature",
    "authorization",
    "cookie",
    "login",
    "q",
    "question",
    "content",
}
SILKY_MAX_RECORDED_REQUESTS = 2000
SILKY_MAX_RECORDED_REQUESTS_CHECK_PERCENT = 0

PROMETHEUS_EXPORT_MIGRATIONS = False
