"""How an operator enters a price and picks a month."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from apps.billing.models import Price
from apps.core.money import NANOS_PER_UNIT


class PriceForm(forms.ModelForm[Price]):
    """A price as providers publish it: per million tokens, in the currency."""

    per_million = forms.DecimalField(
        label=_("Price per million tokens"),
        min_value=0,
        max_digits=18,
        decimal_places=9,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_(
            "In the billing currency, for example 0.15. Calls already made keep their price."
        ),
    )

    class Meta:
        model = Price
        fields = ("provider_code", "model_code", "meter", "starts_at")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk:
            nanos = Decimal(self.instance.nanos_per_million_tokens)
            self.initial["per_million"] = (nanos / NANOS_PER_UNIT).normalize()

    def save(self, commit: bool = True) -> Price:  # noqa: FBT001, FBT002 - Django's signature
        self.instance.nanos_per_million_tokens = int(
            self.cleaned_data["per_million"] * NANOS_PER_UNIT
        )
        # Whoever edits an imported price has made it their own: the next import leaves it alone.
        self.instance.source = Price.Source.OPERATOR
        price: Price = super().save(commit)
        return price


class MonthForm(forms.Form):
    """The month of a report, as `?month=2026-11`."""

    month = forms.RegexField(regex=r"^20\d\d-(0[1-9]|1[0-2])$", required=False)

    def starts_at(self) -> datetime | None:
        """Return the first moment of a well-formed month, None otherwise."""
        if not self.is_valid() or not self.cleaned_data["month"]:
            return None
        year, month = map(int, self.cleaned_data["month"].split("-"))
        return datetime(year, month, 1, tzinfo=UTC)
