"""The whole URL map of Parley."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from apps.observability.views import health

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="chat:new", permanent=False)),
    path("chat/", include("apps.chat.urls")),
    path("documents/", include("apps.documents.urls")),
    path("account/", include("apps.accounts.urls")),
    path("account/", include("allauth.account.urls")),
    path("admin/health/", admin.site.admin_view(health), name="admin-health"),
    path("admin/", admin.site.urls),
    path("silk/", include("silk.urls", namespace="silk")),
    path("", include("apps.observability.urls")),
]

handler500 = "apps.observability.views.server_error"
