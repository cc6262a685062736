"""How people enter money: in units of the currency, kept as nanos."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.core.money import CURRENCY_SYMBOL, format_nanos, in_nanos, in_units

# A billion units: far from what a bigint of nanos holds, so that sums of amounts fit, too.
MOST_NANOS = 10**18
# A million units: a limit with thousands of increases fits a bigint, too. One that did not would stop every call.
MOST_INCREASE_NANOS = 10**15


class AmountField(forms.DecimalField):
    """A form field of an amount: shown and typed in units (0.15), cleaned to nanos (an int), None when empty.

    `min_nanos` is the least that is taken: 0, or 1 where nothing is no amount. `max_nanos`: the most.
    """

    default_error_messages = {
        "invalid": _("Enter an amount such as 0.15 or 2500."),
        "too_little": _("Enter an amount above 0."),
        "negative": _("Enter an amount that is not below 0."),
        "too_much": _("At most %(most)s."),
        "too_fine": _("At most nine decimal places: a billionth is the smallest amount kept."),
    }

    def __init__(self, *, min_nanos: int = 0, max_nanos: int = MOST_NANOS, **options: Any) -> None:
        self.min_nanos, self.max_nanos = min_nanos, max_nanos
        super().__init__(**{"help_text": CURRENCY_SYMBOL, **options})
        # Django's looks at the digits of a Decimal, and what is validated here are nanos.
        self.validators.clear()

    def prepare_value(self, value: Any) -> Any:
        """Show nanos in units; what was typed is shown as it was."""
        is_nanos = isinstance(value, int) and not isinstance(value, bool)
        return f"{in_units(value):f}" if is_nanos else value

    def to_python(self, value: Any) -> Any:
        """Return the nanos of what was typed."""
        if isinstance(value, int):
            return value
        units = super().to_python(value)
        if units is None:
            return None
        self._check(units)
        return in_nanos(units)

    def validate(self, value: Any) -> None:
        """Refuse what is missing; `to_python` has looked at the amount."""
        forms.Field.validate(self, value)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Let the browser take any number of decimals, from 0."""
        attrs: dict[str, Any] = forms.Field.widget_attrs(self, widget)
        return {**attrs, "step": "any", "min": "0", "inputmode": "decimal"}

    def _check(self, units: Decimal) -> None:
        nanos = in_nanos(units) if units.is_finite() and abs(units) < MOST_NANOS else None
        if not units.is_finite():
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        if units < 0:
            raise ValidationError(self.error_messages["negative"], code="negative")
        if nanos is None or nanos > self.max_nanos:
            most = {"most": format_nanos(self.max_nanos)}
            raise ValidationError(self.error_messages["too_much"], code="too_much", params=most)
        if in_units(nanos) != units:
            raise ValidationError(self.error_messages["too_fine"], code="too_fine")
        if nanos < self.min_nanos:
            raise ValidationError(self.error_messages["too_little"], code="too_little")
