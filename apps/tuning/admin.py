"""The parameters page and their journal in the admin."""

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from apps.core.admin import ReadOnlyAdmin
from apps.tuning import services
from apps.tuning.forms import ParametersForm
from apps.tuning.models import Revision


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    """The journal: each change with its author and reason; above it the page that makes changes."""

    list_display = ("created_at", "summary", "author", "reason", "is_active")
    list_filter = ("is_active",)
    search_fields = ("reason", "author__email")
    list_select_related = ("author",)
    ordering = ("-created_at",)
    list_before_template = "admin/tuning/_parameters_link.html"

    @admin.display(description="change")
    def summary(self, revision: Revision) -> str:
        return ", ".join(
            f"{name}: {old} → {new}" for name, (old, new) in sorted(revision.changed.items())
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.parameters_view)
        return [path("parameters/", view, name="tuning_parameters"), *super().get_urls()]

    def parameters_view(self, request: HttpRequest) -> HttpResponse:
        """Show every parameter with unit, default and bounds, and set them live."""
        form = ParametersForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            revision = services.change(
                values=form.values(), author_id=request.user.pk, reason=form.cleaned_data["reason"]
            )
            said = (
                _("Saved: live in every process within a second.")
                if revision
                else _("Nothing was changed.")
            )
            messages.success(request, said)
            return redirect(reverse("admin:tuning_parameters"))
        context = {**self.admin_site.each_context(request), "form": form, "title": _("Parameters")}
        return TemplateResponse(request, "admin/tuning/parameters.html", context)
