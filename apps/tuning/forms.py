"""The forms behind the journal's pages: parameters with typed fields, and the reason and time of each change."""

from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.tuning import live, registry
from apps.tuning.registry import Parameter, Value

REASON, DUE = "journal_reason", "journal_due_at"


def reason_field() -> forms.CharField:
    """Return the field for why a change is made."""
    return forms.CharField(
        widget=UnfoldAdminTextInputWidget,
        label=_("Reason"),
        required=False,
        max_length=1000,
        help_text=_("Why you change it, for whoever reads the journal later."),
    )


class DueField(forms.DateTimeField):
    """When a change is to be made; empty is now, a time that is over is refused."""

    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"})
        widget.input_type = "datetime-local"
        super().__init__(
            **{
                "widget": widget,
                "label": _("Not before"),
                "required": False,
                "help_text": _("Empty: now. Else the time, in UTC, when Parley makes the change."),
                **options,
            }
        )

    def validate(self, value: Any) -> None:
        super().validate(value)
        if value and value <= timezone.now():
            raise forms.ValidationError(
                _t("Choose a time to come, or leave it empty to change it now.")
            )


class JournalledForm(forms.ModelForm[Any]):
    """What every form of a journalled row has besides its own fields."""

    journal_reason = reason_field()
    journal_due_at = DueField()


def field_for(parameter: Parameter) -> forms.Field:
    """Return a form field of the parameter's type and bounds."""
    common: dict[str, Any] = {
        "label": parameter.name,
        "required": True,
        # A page that was opened long ago must not put back what others changed since.
        "show_hidden_initial": True,
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
            widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
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


class ReasonForm(forms.Form):
    """Why something is rolled back or deleted."""

    journal_reason = reason_field()


class ParametersForm(forms.Form):
    """All parameters with their live values, the reason of the change and its time.

    `refused` tells by name why this person may not turn a parameter: its field can't be changed.
    """

    journal_reason = reason_field()
    journal_due_at = DueField()

    def __init__(self, *args: Any, refused: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.refused = refused or {}
        for parameter in registry.everything():
            field = field_for(parameter)
            field.initial = live.value(parameter.name)
            field.disabled = bool(self.refused.get(parameter.name))
            self.fields[field_name(parameter)] = field

    def about(self) -> list[forms.BoundField]:
        """Return the fields on the change itself: its reason and its time."""
        return [self[REASON], self[DUE]]

    def changes(self) -> dict[str, Value]:
        """Return the valid values this person changed on the page, by parameter name."""
        return {
            parameter.name: self.cleaned_data[field_name(parameter)]
            for parameter in registry.everything()
            if field_name(parameter) in self.changed_data
        }


def field_name(parameter: Parameter) -> str:
    """Return the parameter's name as a form field can have it."""
    return parameter.name.replace(".", "__")
