"""The forms of a keyspace's page: its policy with shipped values beside it, and the two ways to purge."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.caching import policies
from apps.caching.keyspaces import Keyspace
from apps.caching.models import CachePolicy
from apps.caching.services import SETTABLE
from apps.tuning import rows
from apps.tuning.forms import DUE, REASON, JournalledForm

_UNITS = {"ttl_seconds": "s", "l1_ttl_seconds": "s", "max_value_bytes": _("bytes")}
_MEMORY_FIELDS = ("l1_ttl_seconds", "l1_share_ratio")


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One value of the policy: its field, what is live, what its app ships, its bounds, and why it can't be set."""

    field: forms.BoundField
    live: str
    shipped: str
    bounds: str
    is_changed: bool
    refusal: str


class PolicyForm(JournalledForm):
    """What an operator sets of a keyspace; an empty value is the shipped one."""

    class Meta:
        model = CachePolicy
        fields = SETTABLE
        widgets = {
            "is_enabled": UnfoldBooleanSwitchWidget,
            "max_value_bytes": UnfoldAdminIntegerFieldWidget,
            **{
                name: UnfoldAdminDecimalFieldWidget(attrs={"step": "any"})
                for name in policies.TUNABLE
                if name != "max_value_bytes"
            },
        }

    def __init__(
        self, *args: Any, keyspace: Keyspace[Any], refusal: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.keyspace = keyspace
        self.refusal = refusal
        for name in SETTABLE:
            field = self.fields[name]
            # A page that was opened long ago must not put back what others changed since.
            field.show_hidden_initial = True
            field.disabled = bool(refusal or self._unused(name))
            if name in policies.TUNABLE:
                field.widget.attrs["placeholder"] = _number(getattr(keyspace, name))
                if self.initial.get(name) is not None:
                    self.initial[name] = _number(self.initial[name])

    def values(self) -> dict[str, Any]:
        """Return the valid values the person changed on the page."""
        return {name: self.cleaned_data[name] for name in SETTABLE if name in self.changed_data}

    def rows(self) -> list[PolicyRow]:
        """Return the values in the order of the page."""
        policy = policies.of(self.keyspace)
        found = []
        for name in SETTABLE:
            live = getattr(policy, name)
            shipped = getattr(self.keyspace, name, True)
            found.append(
                PolicyRow(
                    field=self[name],
                    live=_shown(name, live),
                    shipped=_shown(name, shipped),
                    bounds=self._bounds(name),
                    is_changed=live != shipped,
                    refusal=self._unused(name),
                )
            )
        return found

    def about(self) -> list[forms.BoundField]:
        """Return the fields on the change itself: its reason and its time."""
        return [self[REASON], self[DUE]]

    def _unused(self, name: str) -> str:
        if name in _MEMORY_FIELDS and not self.keyspace.l1_ttl_seconds:
            return _t(
                "Its app declares it without process memory, so that no process serves it after its end."
            )
        if name in {"ttl_seconds", "max_value_bytes"} and not self.keyspace.has_l2:
            return _t("It is kept in process memory only.")
        return ""

    def _bounds(self, name: str) -> str:
        found: dict[type[Any], Any] = {
            type(one): one.limit_value
            for one in rows.field_of(CachePolicy, name).validators
            if isinstance(one, MinValueValidator | MaxValueValidator)
        }
        if MinValueValidator not in found or MaxValueValidator not in found:
            return ""
        return _t("from %(low)s to %(high)s") % {
            "low": _grouped(found[MinValueValidator]),
            "high": _grouped(found[MaxValueValidator]),
        }


class PurgeForm(forms.Form):
    """The confirmation that everything of a keyspace goes, and why."""

    is_confirmed = forms.BooleanField(
        label=_("Yes, drop every entry"),
        error_messages={"required": _("Tick the box to confirm; nothing was purged.")},
    )
    reason = forms.CharField(
        label=_("Reason"), required=False, max_length=1000, widget=UnfoldAdminTextInputWidget
    )


class PurgeKeyForm(forms.Form):
    """One key of a keyspace by its parts, and the confirmation that it goes."""

    def __init__(self, *args: Any, keyspace: Keyspace[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keyspace = keyspace
        for name in keyspace.key_fields:
            self.fields[f"part_{name}"] = forms.CharField(
                label=name,
                strip=True,
                widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
                error_messages={
                    "required": _t("%s is a part of every key; enter it.") % name,
                },
            )
        self.fields["is_confirmed"] = forms.BooleanField(
            label=_("Yes, drop this entry"),
            error_messages={"required": _("Tick the box to confirm; nothing was purged.")},
        )

    def parts(self) -> list[str]:
        """Return the key's parts in their order."""
        return [self.cleaned_data[f"part_{name}"] for name in self.keyspace.key_fields]

    def part_fields(self) -> list[forms.BoundField]:
        """Return the fields of the parts."""
        return [self[f"part_{name}"] for name in self.keyspace.key_fields]


def _number(value: float) -> str:
    """Return a value as it is typed."""
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def _grouped(value: float) -> str:
    """Return a value as it is read, thousands apart."""
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return _t("on") if value else _t("off")
    return f"{_grouped(value)} {_UNITS[name]}" if name in _UNITS else _grouped(value)
