"""How operators set budgets, raise them, and answer those who ask for more."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget

from apps.billing.forms.amount_field import MOST_INCREASE_NANOS, AmountField
from apps.billing.models import Budget, BudgetIncrease
from apps.billing.spans import ends_of_increases
from apps.core.money import CURRENCY_SYMBOL


class BudgetForm(forms.ModelForm[Budget]):
    """A budget with its limits in units of the currency."""

    limit_nanos = AmountField(
        label=_("Limit"),
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_(
            "In %s. No call begins that could take the period's cost above this. Below what is spent already: nothing"
            " more begins until the budget refills."
        )
        % CURRENCY_SYMBOL,
    )
    soft_limit_nanos = AmountField(
        required=False,
        label=_("Soft limit"),
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_(
            "In %s. From here on people are warned, and what is chosen below begins. Empty: no warning before the limit."
        )
        % CURRENCY_SYMBOL,
    )

    class Meta:
        model = Budget
        fields = (
            "department", "user", "api_key", "period", "limit_nanos", "soft_limit_nanos", "at_limit",
            "is_raised_by_heads", "is_enabled",
        )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        """Have the limits in order, a choice that can begin, and one budget of a kind."""
        cleaned: dict[str, Any] = super().clean() or {}
        limit, soft = cleaned.get("limit_nanos"), cleaned.get("soft_limit_nanos")
        if limit is not None and soft is not None and soft > limit:
            self.add_error("soft_limit_nanos", _t("The soft limit is not above the limit."))
        if soft is None and cleaned.get("at_limit", Budget.AtLimit.REFUSE) != Budget.AtLimit.REFUSE:
            said = _t("This begins at a soft limit: set one.")
            self.add_error("soft_limit_nanos", said)
        self._refuse_key_of_another_department(cleaned)
        return cleaned

    def _refuse_key_of_another_department(self, cleaned: dict[str, Any]) -> None:
        """Such a budget would match no call: a key's calls are paid by its own department."""
        key, department = cleaned.get("api_key"), cleaned.get("department")
        if key and department and key.department_id != department.pk:
            said = _t("The key belongs to another department: leave the department empty.")
            self.add_error("department", said)


class IncreaseForm(forms.ModelForm[BudgetIncrease]):
    """More of a budget until a moment."""

    amount_nanos = AmountField(
        min_nanos=1,
        max_nanos=MOST_INCREASE_NANOS,
        label=_("Amount"),
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("In %s. Added to the limit and the soft limit while it lasts.")
        % CURRENCY_SYMBOL,
    )

    class Meta:
        model = BudgetIncrease
        fields = ("budget", "amount_nanos", "starts_at", "expires_at", "reason")

    def clean(self) -> dict[str, Any]:
        """Have it end after it begins, and a new one still to come."""
        cleaned: dict[str, Any] = super().clean() or {}
        starts_at = cleaned.get("starts_at") or self.instance.starts_at
        expires_at = cleaned.get("expires_at")
        if expires_at and starts_at and expires_at <= starts_at:
            self.add_error("expires_at", _t("It ends after it begins."))
        elif expires_at and self.instance._state.adding and expires_at <= timezone.now():
            self.add_error("expires_at", _t("Choose an end that is still to come."))
        return cleaned


class AnswerForm(forms.Form):
    """The answer to a request for more: how much, and until when. What was asked is proposed."""

    amount_nanos = AmountField(
        min_nanos=1,
        max_nanos=MOST_INCREASE_NANOS,
        label=_("Amount"),
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="",
    )
    until = forms.ChoiceField(label=_("It lasts"), widget=UnfoldAdminSelectWidget)

    def __init__(self, data: Any = None, *, amount_nanos: int, now: datetime) -> None:
        super().__init__(data, initial={"amount_nanos": amount_nanos})
        self.ends = {code: (moment, words) for code, moment, words in ends_of_increases(now)}
        until: Any = self.fields["until"]
        until.choices = [(code, words) for code, (_moment, words) in self.ends.items()]

    def expires_at(self) -> datetime:
        """Return when the increase of a valid form ends."""
        moment, _words = self.ends[self.cleaned_data["until"]]
        return moment
