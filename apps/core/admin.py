"""The base of every admin page: unfold's look, and rows nobody edits by hand."""

from typing import Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin


class BaseAdmin(ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """An admin page with Parley's defaults."""

    compressed_fields = True
    warn_unsaved_form = True
    list_filter_submit = False
    list_per_page = 50
    show_full_result_count = False


class ReadOnlyAdmin(BaseAdmin):
    """Rows the system writes: shown, searched, never added, changed or deleted here."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
