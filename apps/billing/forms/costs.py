"""What an operator asks of cost: the time and the filters of the cost pages, and a correction of the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.accounts.models import ApiKey, Department, User
from apps.billing import calendar
from apps.billing.costs.types import CostFilter, Dimension
from apps.billing.models import CostTag, Price, Purpose

MOST_DAYS = 400
FIRST_YEAR, LAST_YEAR = 2000, 2099
# By which field of the form each dimension is narrowed.
FIELD_OF = {
    Dimension.DEPARTMENT: "department",
    Dimension.PERSON: "person",
    Dimension.API_KEY: "key",
    Dimension.PRODUCT: "product",
    Dimension.PURPOSE: "purpose",
    Dimension.MODEL: "model",
    Dimension.TAG: "tag",
}
FILTERS = tuple(FIELD_OF.values())


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid question: what to sum up, and how it reads. `is_month`: one calendar month, not free dates."""

    cost_filter: CostFilter
    title: str
    is_month: bool
    is_running: bool


class CostForm(forms.Form):
    """The filters of the cost pages, all optional: the running month of everything without any.

    `month` is "2026-11"; `from` and `to` are days, the last one included, and go before the month. A person is named by
    e-mail or id, a model as provider/model.
    """

    department = forms.ModelChoiceField(
        Department.objects.order_by("name"),
        required=False,
        label=_("Department"),
        empty_label=_("All departments"),
        widget=UnfoldAdminSelectWidget,
    )
    key = forms.ModelChoiceField(
        ApiKey.objects.order_by("name", "prefix"),
        required=False,
        label=_("API key"),
        empty_label=_("With and without a key"),
        widget=UnfoldAdminSelectWidget,
    )
    product = forms.CharField(
        required=False,
        max_length=40,
        label=_("Product"),
        widget=UnfoldAdminTextInputWidget(
            attrs={"list": "cost-products", "placeholder": _("All products")}
        ),
    )
    purpose = forms.ChoiceField(
        choices=[("", _("All purposes")), *Purpose.choices],
        required=False,
        label=_("Purpose"),
        widget=UnfoldAdminSelectWidget,
    )
    model = forms.CharField(
        required=False, max_length=181, label=_("Model"), widget=UnfoldAdminSelectWidget
    )
    tag = forms.CharField(
        required=False, max_length=40, label=_("Tag"), widget=UnfoldAdminSelectWidget
    )
    person = forms.CharField(
        required=False,
        max_length=254,
        label=_("Person"),
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": _("name@example.org")}),
    )
    month = forms.RegexField(
        regex=r"^20\d\d-(0[1-9]|1[0-2])$",
        required=False,
        label=_("Month"),
        error_messages={"invalid": _("A month looks like 2026-11.")},
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "2026-11"}),
    )

    def __init__(self, data: Mapping[str, Any], *, now: datetime | None = None) -> None:
        super().__init__(data)
        self.now = now or timezone.now()
        for name, label in (("from", _("From")), ("to", _("To"))):
            widget = UnfoldAdminTextInputWidget()
            widget.input_type = "date"
            self.fields[name] = forms.DateField(required=False, label=label, widget=widget)
        self._offer("model", _("All models"), _priced_models())
        self._offer("tag", _("All tags"), _tags())

    def _offer(self, name: str, nothing: Any, values: list[str]) -> None:
        """Let a field choose among these; what is asked for is among them, known or not."""
        asked = str(self.data.get(name, ""))
        offered = values if not asked or asked in values else [asked, *values]
        widget: Any = self.fields[name].widget
        widget.choices = [("", nothing), *((value, value) for value in offered)]

    def clean_person(self) -> User | None:
        """Find the person by e-mail, or by the id that links carry."""
        named = self.cleaned_data["person"].strip()
        if not named:
            return None
        try:
            found = User.objects.filter(pk=UUID(named)).first()
        except ValueError:
            found = User.objects.filter(email=named.lower()).first()
        if found is None:
            raise forms.ValidationError(_t("Nobody has this e-mail."), code="unknown")
        return found

    def clean_model(self) -> str:
        """Have both parts of a model's name."""
        named: str = self.cleaned_data["model"]
        provider, _slash, code = named.partition("/")
        if named and not (provider and code):
            raise forms.ValidationError(_t("A model looks like provider/model."), code="invalid")
        return named

    def clean(self) -> dict[str, Any]:
        """Have the days in order, and no more than a page can show."""
        cleaned = super().clean() or {}
        named: list[date | None] = [cleaned.get("from"), cleaned.get("to")]
        if any(named):
            first, last = self._ordered(*named)
            cleaned |= {"from": first, "to": last}
        return cleaned

    def _ordered(self, first: date | None, last: date | None) -> tuple[date, date]:
        """Return both days: the first of the month and today stand for the one that is missing."""
        today = self.now.astimezone(calendar.zone()).date()
        if last is None:
            last = max(first or today, today)
        if first is None:
            first = last.replace(day=1)
        if not FIRST_YEAR <= first.year <= last.year <= LAST_YEAR:
            raise forms.ValidationError(_t("Choose days of this century, the first one first."))
        if not 0 <= (last - first).days < MOST_DAYS:
            said = _t("Choose at most %(days)s days, the first one first.")
            raise forms.ValidationError(said % {"days": MOST_DAYS})
        return first, last

    @cached_property
    def asked(self) -> Asked:
        """Return the valid question."""
        data = self.cleaned_data
        starts_at, ends_at, title, is_month = self._span()
        provider_code, _slash, model_code = data["model"].partition("/")
        return Asked(
            CostFilter(
                starts_at=starts_at,
                ends_at=ends_at,
                department_ids=(data["department"].pk,) if data["department"] else None,
                user_id=data["person"].pk if data["person"] else None,
                api_key_id=data["key"].pk if data["key"] else None,
                product=data["product"] or None,
                purpose=data["purpose"] or None,
                provider_code=provider_code or None,
                model_code=model_code or None,
                tag=data["tag"] or None,
                is_open=self.now < ends_at,
            ),
            title=title,
            is_month=is_month,
            is_running=starts_at <= self.now < ends_at,
        )

    def _span(self) -> tuple[datetime, datetime, str, bool]:
        first, last, month = (self.cleaned_data[name] for name in ("from", "to", "month"))
        if first:
            title = f"{_day(first)} – {_day(last)}" if last > first else _day(first)
            return _begin(first), _begin(last + timedelta(days=1)), title, False
        moment = _begin(date.fromisoformat(f"{month}-01")) if month else self.now
        starts_at, ends_at = calendar.month_of(moment)
        return starts_at, ends_at, date_format(starts_at, "F Y"), True

    def values(self) -> dict[str, str]:
        """Return what is asked for as an address carries it, without what is left open."""
        data = self.cleaned_data
        texts = {
            **{name: str(data[name] or "") for name in ("product", "purpose", "model", "tag")},
            **{name: str(data[name].pk) if data[name] else "" for name in ("department", "key")},
            "person": data["person"].email if data["person"] else "",
            "month": "" if data["from"] else data["month"],
            **{name: data[name].isoformat() if data[name] else "" for name in ("from", "to")},
        }
        return {name: text for name, text in texts.items() if text}

    def query(self, **changes: str) -> str:
        """Return the address's query of this question with changes; an empty value leaves a filter out."""
        values = {**self.values(), **changes}
        return urlencode({name: value for name, value in values.items() if value})

    def chosen(self) -> list[tuple[str, str, str]]:
        """Return the filters in force: label, value as people read it, and the query without it."""
        data = self.cleaned_data
        read = {**{name: str(data[name]) for name in FILTERS if data[name]}}
        if data["purpose"]:
            read["purpose"] = str(Purpose(data["purpose"]).label)
        return [
            (str(self.fields[name].label), text, self.query(**{name: ""}))
            for name, text in read.items()
        ]


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=calendar.zone())


def _day(day: date) -> str:
    return date_format(day, "j F Y")


def _priced_models() -> list[str]:
    codes = Price.objects.values_list("provider_code", "model_code").distinct()
    return [
        f"{provider}/{model}" for provider, model in codes.order_by("provider_code", "model_code")
    ]


def _tags() -> list[str]:
    return list(CostTag.objects.values_list("code", flat=True).distinct().order_by("code"))
