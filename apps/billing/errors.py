"""What can go wrong with money; texts are fit for the person at the screen."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.billing.types import Refusal


class BillingError(Exception):
    """Base of what can go wrong with money."""


class ReservationConflictError(BillingError):
    """The same (request, attempt) already names another call: its attempts are not numbered apart."""


class CallEndedError(BillingError):
    """There is no open call of this id: it was never opened, or it has ended."""


class BookError(BillingError):
    """The settings name another currency or time zone than the ledger is kept in."""


class BudgetExceededError(BillingError):
    """A budget has no room for the call's maximum; nothing was left behind."""

    def __init__(self, refusal: "Refusal") -> None:
        super().__init__(f"over budget {refusal.budget_id}")
        self.refusal = refusal


class NotAllowedError(BillingError):
    """The person may not do this to this budget."""


class AlreadyDecidedError(BillingError):
    """Somebody has answered this request before."""


class InvalidAmountError(BillingError):
    """An amount, or a moment, that makes no sense here."""


def sqlstate_of(error: Exception) -> str:
    """Return the code that PostgreSQL gave a database error; empty where it gave none."""
    return getattr(error.__cause__, "sqlstate", None) or ""
