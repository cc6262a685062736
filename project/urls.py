"""The whole URL map of Parley."""

from allauth.account import urls as allauth_urls
from django.contrib import admin
from django.urls import URLPattern, include, path
from django.views.generic import RedirectView

from apps.accounts.views import closed
from apps.observability.views import health

# Sign-up, one's own change of address and the like stay shut, and so does whatever allauth adds; their names stay,
# for allauth reverses them.
ALLAUTH_OPEN = {
    "account_login",
    "account_logout",
    "account_inactive",
    "account_reauthenticate",
    "account_change_password",
    "account_set_password",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
}
allauth_patterns = [
    entry if entry.name in ALLAUTH_OPEN else URLPattern(entry.pattern, closed, name=entry.name)
    for entry in allauth_urls.urlpatterns
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="chat:new", permanent=False)),
    path("chat/", include("apps.chat.urls")),
    path("documents/", include("apps.documents.urls")),
    path("usage/", include("apps.billing.urls")),
    path("account/", include("apps.accounts.urls")),
    path("account/", include(allauth_patterns)),
    path("admin/health/", admin.site.admin_view(health), name="admin-health"),
    path("admin/", admin.site.urls),
    path("silk/", include("silk.urls", namespace="silk")),
    path("", include("apps.observability.urls")),
]

handler500 = "apps.observability.views.server_error"
