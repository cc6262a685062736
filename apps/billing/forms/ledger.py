"""How an operator charges or credits a department by hand."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from apps.accounts.models import Department
from apps.billing.forms.amount_field import AmountField
from apps.billing.models import LedgerEntry, Reservation
from apps.core.ids import uuid7
from apps.core.money import CURRENCY_SYMBOL

CHARGE, CREDIT = "CHARGE", "CREDIT"


class CorrectionForm(forms.Form):
    """A correction: one new entry in the open month. `call` names the call it corrects, whose department it is then.

    `entry_id` is made with the form, so that sending it twice books once.
    """

    entry_id = forms.UUIDField(widget=forms.HiddenInput)
    department = forms.ModelChoiceField(
        Department.objects.order_by("name"),
        label=_("Department"),
        widget=UnfoldAdminSelectWidget,
        help_text=_("Whose cost is put right."),
    )
    kind = forms.ChoiceField(
        choices=(
            (CREDIT, _("Credit: the department owes less")),
            (CHARGE, _("Charge: the department owes more")),
        ),
        label=_("What it does"),
        widget=UnfoldAdminRadioSelectWidget,
    )
    amount_nanos = AmountField(
        min_nanos=1,
        label=_("Amount"),
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("In %s, above 0.") % CURRENCY_SYMBOL,
    )
    reason = forms.CharField(
        max_length=500,
        label=_("Reason"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("Shown on the department's statement and in exports."),
    )

    def __init__(self, data: Any = None, *, call: Reservation | None = None) -> None:
        department_id = call.department_id if call else None
        super().__init__(data, initial={"entry_id": uuid7(), "department": department_id})
        self.call = call
        # What is disabled keeps its initial value, whatever is sent.
        self.fields["department"].disabled = call is not None

    def clean(self) -> dict[str, Any]:
        """Refuse a form that was sent before with other values: its entry stands as it is."""
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        entry = LedgerEntry.objects.filter(pk=cleaned["entry_id"]).first()
        if entry and not self._is_same(entry, cleaned):
            said = _t("This form has booked an entry already. Open it anew to book another one.")
            raise forms.ValidationError(said, code="booked")
        return cleaned

    def _is_same(self, entry: LedgerEntry, cleaned: dict[str, Any]) -> bool:
        return (entry.department_id, entry.amount_nanos, entry.reason, entry.reservation_id) == (
            cleaned["department"].pk,
            cleaned["amount_nanos"],
            cleaned["reason"].strip(),
            self.call.pk if self.call else None,
        ) and (entry.debit == "adjustments") == (cleaned["kind"] == CREDIT)
