"""The form behind the parameters page: a typed field for each declared parameter."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.tuning import live, registry
from apps.tuning.registry import Parameter


def field_for(parameter: Parameter) -> forms.Field:
    """Return a form field of the parameter's type and bounds, with its default and range in the help text."""
    common: dict[str, Any] = {
        "label": parameter.name,
        "help_text": parameter.help_text,
        "required": True,
    }
    if isinstance(parameter.default, bool):
        return forms.BooleanField(widget=UnfoldBooleanSwitchWidget, **{**common, "required": False})
    if isinstance(parameter.default, int):
        return forms.IntegerField(
            widget=UnfoldAdminIntegerFieldWidget,
            min_value=None if parameter.minimum is None else int(parameter.minimum),
            max_value=None if parameter.maximum is None else int(parameter.maximum),
            **common,
        )
    if isinstance(parameter.default, float):
        return forms.FloatField(
            widget=UnfoldAdminDecimalFieldWidget,
            min_value=parameter.minimum,
            max_value=parameter.maximum,
            **common,
        )
    if parameter.choices:
        return forms.ChoiceField(
            widget=UnfoldAdminSelectWidget,
            choices=[(choice, choice) for choice in parameter.choices],
            **common,
        )
    return forms.CharField(widget=UnfoldAdminTextInputWidget, **common)


class ParametersForm(forms.Form):
    """All parameters with their live values, and the reason of the change."""

    reason = forms.CharField(
        widget=UnfoldAdminTextInputWidget,
        label=_("Reason"),
        required=False,
        help_text=_("Why the change is made; kept in the journal."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for parameter in registry.everything():
            field = field_for(parameter)
            field.initial = live.value(parameter.name)
            self.fields[parameter.name.replace(".", "__")] = field

    def rows(self) -> list[tuple[Parameter, forms.BoundField]]:
        """Return each parameter with its field, in order of name."""
        return [
            (parameter, self[parameter.name.replace(".", "__")])
            for parameter in registry.everything()
        ]

    def values(self) -> dict[str, Any]:
        """Return the valid values by parameter name."""
        return {
            parameter.name: self.cleaned_data[parameter.name.replace(".", "__")]
            for parameter in registry.everything()
        }
