"""Calls of several people, products and models, for the pages of cost."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from apps.accounts.models import Department, User
from apps.billing import services
from apps.billing.models import Meter, Outcome, Purpose
from apps.billing.types import Settled, Usage
from tests.factories.billing import PriceFactory, call_context

UNIT = 10**9


@dataclass(frozen=True, slots=True)
class Spender:
    """Somebody whose calls cost one unit of the currency a token."""

    department: Department
    user: User | None = None
    others: dict[str, Any] = field(default_factory=dict)

    def spend(
        self, units: int, *, at: datetime | None = None, model_code: str = "model", **fields: Any
    ) -> Settled:
        """Make a call that costs this much."""
        context = call_context(
            **{
                "department_id": self.department.pk,
                "user_id": self.user.pk if self.user else None,
                "purpose": Purpose.ANSWER,
                **self.others,
                **fields,
            }
        )
        reserved = services.reserve(
            context=context,
            provider_code="provider",
            model_code=model_code,
            max_input_tokens=units,
            max_output_tokens=0,
            at=at,
        )
        return services.settle(
            reservation_id=reserved.reservation_id,
            outcome=Outcome.COMPLETED,
            usage=Usage(input_tokens=units),
            elapsed_ms=1234,
            at=at,
        )


def priced(*model_codes: str) -> None:
    """Let every token of these models cost one unit of the currency."""
    for code in model_codes:
        PriceFactory(model_code=code, meter=Meter.INPUT, nanos_per_million_tokens=UNIT * 10**6)
