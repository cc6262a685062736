"""How an operator enters a price."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from apps.billing.forms.amount_field import AmountField
from apps.billing.models import Price


class PriceForm(forms.ModelForm[Price]):
    """A new price as providers publish it: per million of what is counted, in the currency, from now or later on."""

    per_million = AmountField(
        label=_("Price per million"),
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_(
            "In the billing currency per million tokens, for example 0.15; audio: per million milliseconds, an hour's price ÷ 3.6."
        ),
    )

    class Meta:
        model = Price
        fields = ("provider_code", "model_code", "meter", "starts_at")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if (starts_at := self.fields.get("starts_at")) is not None:
            # A moment filled in when the page was opened would have passed when it is sent.
            starts_at.required, starts_at.initial = False, None
            starts_at.help_text = _(
                "Calls opened from this moment on cost this much; UTC. Empty: from now on."
            )

    def clean_starts_at(self) -> datetime:
        now = timezone.now()
        starts_at: datetime = self.cleaned_data["starts_at"] or now
        if starts_at < now:
            raise forms.ValidationError(
                _t(
                    "That is over: calls made since were charged by the price in force then, and stay so. Choose a moment "
                    "to come, or leave it empty for now. What was charged wrongly is put right by a correction."
                )
            )
        return starts_at

    def save(self, commit: bool = True) -> Price:  # noqa: FBT001, FBT002 - Django's signature
        self.instance.nanos_per_million_tokens = self.cleaned_data["per_million"]
        self.instance.source = Price.Source.OPERATOR
        price: Price = super().save(commit)
        return price
