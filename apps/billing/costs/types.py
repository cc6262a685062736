"""What cost figures are asked by and given as; no reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CostFilter:
    """Which calls: opened from `starts_at` up to, without, `ends_at`, and agreeing with all that is given.

    `department_ids` None: all departments; empty: none. Whole months of the billing time zone are the quickest to
    sum, then whole days; what is left over is summed call by call. `is_open`: there are no calls from `ends_at` on yet,
    so that the month it is in may be read as a whole.
    """

    starts_at: datetime
    ends_at: datetime
    department_ids: tuple[UUID, ...] | None = None
    user_id: UUID | None = None
    api_key_id: UUID | None = None
    product: str | None = None
    purpose: str | None = None
    provider_code: str | None = None
    model_code: str | None = None
    tag: str | None = None
    is_open: bool = False


class Dimension(StrEnum):
    """By what cost is told apart."""

    DEPARTMENT = "DEPARTMENT"
    PERSON = "PERSON"
    API_KEY = "API_KEY"
    PRODUCT = "PRODUCT"
    PURPOSE = "PURPOSE"
    MODEL = "MODEL"
    TAG = "TAG"


@dataclass(frozen=True, slots=True)
class CostLine:
    """The sum over some calls.

    `key` is what a filter takes: an id, a code, `provider/model` for a model; empty: the calls that have none.
    `input_tokens` are all that went in, those from the provider's cache included.
    """

    key: str
    name: str
    call_count: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    amount_nanos: int


@dataclass(frozen=True, slots=True)
class DayCost:
    """One day's calls and their cost."""

    day: date
    call_count: int
    amount_nanos: int


@dataclass(frozen=True, slots=True)
class CostOverview:
    """The figures of one screen, all of one moment; a call with two tags is in the lines of both."""

    total: CostLine
    days: Sequence[DayCost]
    lines: dict[Dimension, list[CostLine]]
