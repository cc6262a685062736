"""How an operator sets up a provider."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.llm.models import Provider


class ProviderForm(forms.ModelForm[Provider]):
    """A provider; its stored key goes to no other address than the one it was entered for."""

    class Meta:
        model = Provider
        fields = (
            "code",
            "name",
            "base_url",
            "secret",
            "connect_timeout_seconds",
            "read_timeout_seconds",
            "is_enabled",
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        has_stored_key = bool(self.instance.pk and self.initial.get("secret"))
        if has_stored_key and "base_url" in self.changed_data and not cleaned.get("secret"):
            # Or the address of a server of one's own would read out a key that is never shown.
            self.add_error("secret", _("Enter the key again: the address has changed."))
        return cleaned
