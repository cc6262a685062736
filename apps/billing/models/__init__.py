"""The tables of money, a module for each kind."""

from apps.billing.models.anomalies import Anomaly
from apps.billing.models.budgets import (
    Budget,
    BudgetAlert,
    BudgetIncrease,
    BudgetPeriod,
    BudgetRequest,
)
from apps.billing.models.calls import Outcome, Product, Purpose, Reservation, UsageRecord
from apps.billing.models.costs import (
    DailyCost,
    DepartmentCost,
    DepartmentHourCost,
    HourlyCost,
    MemberCost,
    MonthlyCost,
    OrganisationCost,
    PersonCost,
    PersonDayCost,
    PersonMonthlyCost,
    PersonWeekCost,
)
from apps.billing.models.ledger import Book, LedgerEntry
from apps.billing.models.months import MonthClose, SharedCost, Statement
from apps.billing.models.prices import Meter, Price
from apps.billing.models.savings import Mechanism, RoiCase, Saving, SavingMonth
from apps.billing.models.tags import CostTag

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
    "DepartmentHourCost",
    "HourlyCost",
    "LedgerEntry",
    "Mechanism",
    "MemberCost",
    "Meter",
    "MonthClose",
    "MonthlyCost",
    "OrganisationCost",
    "Outcome",
    "PersonCost",
    "PersonDayCost",
    "PersonMonthlyCost",
    "PersonWeekCost",
    "Price",
    "Product",
    "Purpose",
    "Reservation",
    "RoiCase",
    "Saving",
    "SavingMonth",
    "SharedCost",
    "Statement",
    "UsageRecord",
]
