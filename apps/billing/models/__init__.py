"""The tables of money, a module for each kind."""

from apps.billing.models.anomalies import Anomaly
from apps.billing.models.budgets import (
    Budget,
    BudgetAlert,
    BudgetIncrease,
    BudgetPeriod,
    BudgetRequest,
)
from apps.billing.models.calls import Outcome, Purpose, Reservation, UsageRecord
from apps.billing.models.costs import (
    CostTag,
    DailyCost,
    DepartmentCost,
    HourlyCost,
    MonthlyCost,
    PersonCost,
    PersonDayCost,
    PersonMonthlyCost,
)
from apps.billing.models.ledger import Book, LedgerEntry
from apps.billing.models.months import MonthClose, SharedCost, Statement
from apps.billing.models.prices import Meter, Price
from apps.billing.models.savings import Mechanism, RoiCase, Saving

__all__ = [
    "Anomaly",
    "Book",
    "Budget",
    "BudgetAlert",
    "BudgetIncrease",
    "BudgetPeriod",
    "BudgetRequest",
    "CostTag",
    "DailyCost",
    "DepartmentCost",
    "HourlyCost",
    "LedgerEntry",
    "Mechanism",
    "Meter",
    "MonthClose",
    "MonthlyCost",
    "Outcome",
    "PersonCost",
    "PersonDayCost",
    "PersonMonthlyCost",
    "Price",
    "Purpose",
    "Reservation",
    "RoiCase",
    "Saving",
    "SharedCost",
    "Statement",
    "UsageRecord",
]
