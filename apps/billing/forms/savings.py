"""What is entered on the pages of savings and returns."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from apps.accounts.models import Department
from apps.billing.forms.amount_field import AmountField
from apps.billing.models import RoiCase


class SavingFilterForm(forms.Form):
    """Of which department the savings are; empty: of all."""

    department = forms.ModelChoiceField(
        queryset=Department.objects.none(),
        required=False,
        to_field_name="code",
        label=_("Department"),
        empty_label=_("All departments"),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["department"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - declared above
        field.queryset = Department.objects.order_by("name")


class RoiCaseForm(forms.ModelForm[RoiCase]):
    """The inputs of a return on investment, amounts in units of the currency."""

    monthly_before_nanos = AmountField(
        label=_("Cost a month before"),
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("What a month cost without it, in the billing currency."),
    )
    monthly_after_nanos = AmountField(
        label=_("Cost a month after"),
        required=False,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_(
            "What a month costs with it. Empty: what the calls of the last full month did cost."
        ),
    )
    hours = forms.DecimalField(
        label=_("Hours of work"),
        min_value=0,
        max_digits=9,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("What it took to do."),
    )
    hourly_rate_nanos = AmountField(
        label=_("Cost of an hour"),
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("What an hour of that work costs, in the billing currency."),
    )

    class Meta:
        model = RoiCase
        fields = (
            "name",
            "monthly_before_nanos",
            "monthly_after_nanos",
            "hours",
            "hourly_rate_nanos",
        )
