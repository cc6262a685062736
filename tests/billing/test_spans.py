"""Which month or day is asked for, in the billing time zone."""

from datetime import UTC, datetime
from typing import Any

import pytest

from apps.billing import spans
from apps.billing.spans import SpanError

# Half past midnight of the first of March in Berlin, still February in UTC.
NOW = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_berlin(settings: Any) -> None:
    settings.BILLING_TIME_ZONE = "Europe/Berlin"


def test_nothing_asked_for_is_the_running_month_of_the_zone() -> None:
    span = spans.read_span(month="", day="", now=NOW)
    assert (span.month, span.query, span.title) == ("2026-03", "month=2026-03", "March 2026")
    assert span.starts_at == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert (span.is_running, span.is_day) == (True, False)
    assert spans.after(span, now=NOW) is None
    earlier = spans.before(span, now=NOW)
    assert (earlier.month, earlier.is_running) == ("2026-02", False)
    assert spans.after(earlier, now=NOW) == span


def test_a_day_may_have_twenty_three_hours() -> None:
    day = spans.read_span(month="", day="2025-03-30", now=NOW)
    assert (day.ends_at.astimezone(UTC) - day.starts_at.astimezone(UTC)).total_seconds() == 82_800
    assert (day.month, day.query, day.is_day) == ("2025-03", "day=2025-03-30", True)
    assert spans.read_span(month="", day="2026-03-01", now=NOW).is_running


@pytest.mark.parametrize("day", ["2026-03-02", "1999-12-31", "2026-02-30", "x"])
def test_what_has_not_begun_or_is_no_day_is_refused(day: str) -> None:
    with pytest.raises(SpanError):
        spans.read_span(month="", day=day, now=NOW)


def test_an_increase_may_end_at_sensible_moments_of_the_zone() -> None:
    ends = {code: (moment, words) for code, moment, words in spans.ends_of_increases(NOW)}
    assert list(ends) == ["MONTH", "DAY", "WEEK", "NEXT_MONTH"]
    assert ends["DAY"][0] == datetime(2026, 3, 1, 23, tzinfo=UTC)
    assert ends["WEEK"][0] == datetime(2026, 3, 8, 23, tzinfo=UTC)
    # Summer time has begun by the end of March.
    assert ends["MONTH"][0] == datetime(2026, 3, 31, 22, tzinfo=UTC)
    assert ends["MONTH"][1] == "until the month ends (31 Mar 2026, 23:59)"
    assert ends["NEXT_MONTH"][0] == datetime(2026, 4, 30, 22, tzinfo=UTC)
