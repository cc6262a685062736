"""A text column that is encrypted at rest and never rendered; it knows nothing of who uses it."""

from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django import forms
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    _TextField = models.TextField[str, str]
else:
    _TextField = models.TextField


class SecretKeyError(ImproperlyConfigured):
    """No key, or not the key the secret was written with, is in FIELD_ENCRYPTION_KEYS."""


def _fernet() -> MultiFernet:
    """Return the cipher: it writes with the first key and reads with any, so keys rotate by putting a new one first."""
    if not settings.FIELD_ENCRYPTION_KEYS:
        raise SecretKeyError(
            "FIELD_ENCRYPTION_KEYS is empty: secrets can neither be stored nor read."
        )
    try:
        return MultiFernet([Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS])
    except ValueError as error:
        raise SecretKeyError(
            "FIELD_ENCRYPTION_KEYS holds something that is not a Fernet key."
        ) from error


class SecretFormField(forms.CharField):
    """A password input that shows nothing; left empty it changes nothing."""

    def __init__(self, **options: Any) -> None:
        options["widget"] = forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "new-password"}
        )
        options["required"] = False
        options["help_text"] = options.get("help_text") or _("Leave empty to keep what is stored.")
        super().__init__(**options)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)


class EncryptedTextField(_TextField):
    """Text encrypted with FIELD_ENCRYPTION_KEYS; an empty text is stored as it is, there being nothing to hide.

    Raises:
        SecretKeyError: on reading or writing, when no key fits.
    """

    # The journal of changes says of such a column only that it was changed.
    is_secret = True

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return _fernet().encrypt(value.encode()).decode() if value else value

    def from_db_value(
        self, value: str | None, expression: object, connection: BaseDatabaseWrapper
    ) -> str | None:
        if not value:
            return value
        try:
            return _fernet().decrypt(value).decode()
        except InvalidToken as error:
            raise SecretKeyError(
                "A stored secret can't be decrypted: FIELD_ENCRYPTION_KEYS lacks the key it was written with."
            ) from error

    def formfield(self, **options: Any) -> forms.Field | None:  # type: ignore[override]  # one form field fits
        options.pop("widget", None)
        return super().formfield(**{"form_class": SecretFormField, "max_length": None, **options})

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        if data:
            super().save_form_data(instance, data)

    def value_to_string(self, obj: models.Model) -> str:
        """Keep secrets out of data exports."""
        return ""
