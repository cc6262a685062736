"""What is entered on the pages of months: shared costs, and that a month shall close."""

from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from apps.accounts.models import Department
from apps.billing.forms.amount_field import AmountField
from apps.billing.models import SharedCost
from apps.billing.statements.allocation import AllocationError, read_shares


class SharedCostForm(forms.ModelForm[SharedCost]):
    """A shared cost, its amount in units of the currency; what a close would refuse is refused here."""

    amount_nanos = AmountField(
        label=_("Amount a month"),
        required=False,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_(
            "What it costs each month, in the billing currency. Empty when a department's own cost is spread."
        ),
    )

    class Meta:
        model = SharedCost
        fields = (
            "name",
            "amount_nanos",
            "source_department",
            "method",
            "shares",
            "starts_on",
            "ends_on",
        )

    def clean_shares(self) -> Any:
        """Read an empty field as no shares."""
        return self.cleaned_data["shares"] or {}

    def clean(self) -> dict[str, Any]:
        """Look at the fields together."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        source = cleaned["source_department"]
        if (cleaned["amount_nanos"] is None) == (source is None):
            self.add_error(
                "amount_nanos",
                _t("Enter either an amount or a department whose cost is spread."),
            )
        if cleaned["ends_on"] and cleaned["ends_on"] < cleaned["starts_on"]:
            self.add_error("ends_on", _t("It ends before it begins."))
        self._check_shares(cleaned)
        if source:
            self._check_source(cleaned)
        return cleaned

    def _check_shares(self, cleaned: dict[str, Any]) -> None:
        shares, source = cleaned["shares"], cleaned["source_department"]
        if cleaned["method"] != SharedCost.Method.FIXED:
            if shares:
                self.add_error("shares", _t("Only fixed shares have weights: leave this empty."))
            return
        try:
            codes = set(read_shares(shares))
        except AllocationError as error:
            self.add_error("shares", str(error))
            return
        known = set(Department.objects.filter(code__in=codes).values_list("code", flat=True))
        if codes - known:
            unknown = ", ".join(sorted(codes - known))
            self.add_error("shares", _t("There is no department with the code %s.") % unknown)
        if source and source.code in codes:
            self.add_error(
                "shares", _t("The department whose cost is spread can't take a share of it.")
            )

    def _check_source(self, cleaned: dict[str, Any]) -> None:
        """Refuse to spread a department's cost twice in the same month."""
        starts_on, ends_on = cleaned["starts_on"], cleaned["ends_on"]
        others = SharedCost.objects.filter(
            # Months count, so a cost that ends in the month in which another begins meets it.
            Q(ends_on__isnull=True) | Q(ends_on__gte=starts_on.replace(day=1)),
            source_department=cleaned["source_department"],
        ).exclude(pk=self.instance.pk)
        last = (ends_on.year, ends_on.month) if ends_on else None
        for other in others:
            if last is None or (other.starts_on.year, other.starts_on.month) <= last:
                self.add_error(
                    "source_department",
                    _t("“%s” spreads this department's cost in the same months.") % other,
                )


class CloseForm(forms.Form):
    """That a month shall close, and that it was meant."""

    is_meant = forms.BooleanField(
        label=_("I have looked at the statements, and they can be final"),
        error_messages={"required": _("Say that you have looked at the statements.")},
    )
