"""What people fill in about budgets: asking for more, answering that, and the cap of one person."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Department, User
from apps.billing import spans
from apps.billing.budgets.caps import Limits
from apps.billing.forms.amount_field import MOST_INCREASE_NANOS, AmountField
from apps.billing.models import Budget

REASON_LENGTH = 500


class AskForm(forms.Form):
    """How much more, and why."""

    amount = AmountField(
        label=_("How much more, in $"),
        min_nanos=1,
        max_nanos=MOST_INCREASE_NANOS,
        help_text="",
    )
    reason = forms.CharField(
        label=_("What for"),
        max_length=REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("A sentence for whoever decides."),
    )


class DecideForm(forms.Form):
    """How much more is given, and until when; `now` is what the choices of an end count from."""

    amount = AmountField(
        label=_("Give, in $"), min_nanos=1, max_nanos=MOST_INCREASE_NANOS, help_text=""
    )
    expiry = forms.ChoiceField(label=_("Until"))

    def __init__(self, *args: Any, now: datetime, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ends = spans.ends_of_increases(now)
        expiry: Any = self.fields["expiry"]
        expiry.choices = [(code, words) for code, _moment, words in self._ends]

    def expires_at(self) -> datetime:
        """Return the chosen end."""
        ends = {code: moment for code, moment, _words in self._ends}
        return ends[self.cleaned_data["expiry"]]

    def shown(self) -> list[str]:
        """Return what a page shows of it, for its validator."""
        return [str(self.initial), *(words for _code, _moment, words in self._ends)]


class CapForm(forms.Form):
    """What one person may spend of a department's money; `person` and `period` stay once it is made."""

    person = forms.ModelChoiceField(
        label=_("Person"), queryset=User.objects.none(), empty_label=_("Choose a person")
    )
    period = forms.ChoiceField(
        label=_("Period"), choices=Budget.Period.choices, initial=Budget.Period.MONTH
    )
    limit = AmountField(
        label=_("Limit, in $"),
        help_text=_("No question begins that could take the period's cost above this."),
    )
    soft_limit = AmountField(
        label=_("Soft limit, in $"),
        required=False,
        help_text=_("From here on the person is warned; empty: nothing before the limit."),
    )
    at_limit = forms.ChoiceField(
        label=_("At the soft limit"), choices=Budget.AtLimit.choices, initial=Budget.AtLimit.REFUSE
    )

    def __init__(self, *args: Any, department: Department, is_new: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        if not is_new:
            del self.fields["person"], self.fields["period"]
            return
        person: Any = self.fields["person"]
        person.queryset = User.objects.filter(
            memberships__department=department, is_active=True
        ).order_by("full_name", "email")

    def limits(self) -> Limits:
        """Return what was filled in."""
        return Limits(
            limit_nanos=self.cleaned_data["limit"],
            soft_limit_nanos=self.cleaned_data["soft_limit"],
            at_limit=Budget.AtLimit(self.cleaned_data["at_limit"]),
        )

    def clean(self) -> dict[str, Any]:
        """Have the soft limit below the limit, and one where something begins at it."""
        cleaned = super().clean() or {}
        soft, limit = cleaned.get("soft_limit"), cleaned.get("limit")
        if soft is not None and limit is not None and soft > limit:
            self.add_error("soft_limit", _("The soft limit is at most the limit."))
        if (
            "soft_limit" in cleaned
            and soft is None
            and cleaned.get("at_limit") != Budget.AtLimit.REFUSE
        ):
            # Without one it would never begin.
            self.add_error("soft_limit", _("This begins at a soft limit: set one."))
        return cleaned
