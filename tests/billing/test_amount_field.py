"""Amounts as people type them."""

import pytest
from django.core.exceptions import ValidationError

from apps.billing.forms.amount_field import AmountField


@pytest.mark.parametrize(
    ("typed", "nanos"),
    [
        ("0.15", 150_000_000),
        ("2500", 2_500_000_000_000),
        ("0.000000001", 1),
        ("1e3", 10**12),
        ("0", 0),
    ],
)
def test_units_become_nanos(typed: str, nanos: int) -> None:
    assert AmountField().clean(typed) == nanos


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "required"),
        ("a lot", "invalid"),
        ("NaN", "invalid"),
        ("Infinity", "invalid"),
        ("-1", "negative"),
        ("1e10", "too_much"),
        ("1e999999", "too_much"),
        ("0.0000000001", "too_fine"),
        ("0", "too_little"),
    ],
)
def test_what_is_no_amount_is_refused(typed: str, code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        AmountField(min_nanos=1).clean(typed)
    assert [error.code for error in refused.value.error_list] == [code]


def test_an_amount_is_shown_as_it_would_be_typed_and_unchanged_when_sent_back() -> None:
    field = AmountField(required=False)
    assert field.prepare_value(2_500_000_000_000) == "2500"
    assert field.prepare_value(1) == "0.000000001"
    assert field.prepare_value("2,5") == "2,5"
    assert not field.has_changed(1_500_000_000, "1.50")
    assert field.has_changed(1_500_000_000, "1.51")
    assert field.clean("") is None
